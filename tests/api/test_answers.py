"""What each answer means: a table of what servers, and things that are none, have been seen to say."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lease_aio.api.answers import (
    LONGEST_S,
    Status,
    date_of,
    error_from_answer,
    error_from_status,
    error_from_transport,
    read_object,
    retry_after_s,
)
from lease_aio.api.protocol import LEASES
from lease_aio.api.rest import read_page
from lease_aio.api.transport import Answer, Fault, TransportError
from lease_aio.api.watching import read_event
from lease_aio.errors import (
    AlreadyExists,
    ApiError,
    Call,
    Conflict,
    Expired,
    Invalid,
    NotFound,
    Refused,
    Throttled,
    Unavailable,
)
from lease_aio.model import Lease, Time
from tests.api.servers import LEASE, lease_text, status_text

ORIGIN = "https://10.0.0.1:6443"
HTML = "<html><head><title>503</title><style>p {}</style></head><body><h1>Bad &amp; gone</h1></body></html>"


def call(verb: str = "update") -> Call:
    return Call(verb=verb, resource="leases.coordination.k8s.io", namespace="b", name="a")


def answered(status: int, body: str = "", media: str = "application/json", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, {"Content-Type": media, **named}, body.encode())


def error_for(answer: Answer, verb: str = "update") -> ApiError:
    return error_from_answer(call(verb), answer, ORIGIN)


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (400, "BadRequest", Invalid),
        (401, "Unauthorized", Refused),
        (403, "Forbidden", Refused),
        (404, "NotFound", NotFound),
        (405, "MethodNotAllowed", Invalid),
        (409, "AlreadyExists", AlreadyExists),
        (409, "Conflict", Conflict),
        (410, "Expired", Expired),
        (410, "Gone", Expired),
        (413, "RequestEntityTooLarge", Invalid),
        (415, "UnsupportedMediaType", Invalid),
        (422, "Invalid", Invalid),
        (429, "TooManyRequests", Throttled),
        (500, "InternalError", Unavailable),
        (500, "ServerTimeout", Unavailable),
        (503, "ServiceUnavailable", Unavailable),
        (504, "Timeout", Unavailable),
        (500, "", Unavailable),
        (422, "SomethingNew", Invalid),
    ],
)
def test_a_status_is_the_error_of_its_reason(code: int, reason: str, kind: type[ApiError]) -> None:
    error = error_for(answered(code, status_text(code, reason, "words")))
    assert type(error) is kind
    assert (error.status, error.reason, error.server_message) == (code, reason, "words")


def test_the_reason_counts_before_the_code() -> None:
    assert isinstance(error_for(answered(500, status_text(500, "Conflict", "x"))), Conflict)


def test_a_refusal_carries_verb_resource_namespace_name_and_the_servers_words() -> None:
    words = 'leases.coordination.k8s.io "a" is forbidden: User "u" cannot update resource "leases"'
    error = error_for(answered(403, status_text(403, "Forbidden", words)))
    assert str(error) == f"update leases.coordination.k8s.io b/a: 403 Forbidden: {words}"


@pytest.mark.parametrize(("verb", "kind"), [("create", AlreadyExists), ("update", Conflict)])
def test_a_conflict_without_a_reason_depends_on_the_verb(verb: str, kind: type[ApiError]) -> None:
    assert type(error_for(answered(409, status_text(409, "", "x")), verb)) is kind


def test_the_html_of_a_proxy_is_an_ordinary_error_in_readable_words() -> None:
    error = error_for(answered(503, HTML, "text/html"), "get")
    assert isinstance(error, Unavailable)
    assert error.server_message == "503 Bad & gone"


def test_a_plain_429_is_throttled_and_says_how_long() -> None:
    error = error_for(answered(429, "Too many requests, please try again later.\n", "text/plain", Retry_After="7"))
    assert isinstance(error, Throttled)
    assert error.retry_after_s == 7
    assert "Too many requests" in str(error)


def test_an_empty_answer_is_an_ordinary_error() -> None:
    assert str(error_for(answered(502, "", "text/plain"), "get")).endswith("502: empty answer")


def test_a_wait_in_the_details_counts_where_no_header_came() -> None:
    body = status_text(429, "TooManyRequests", "x", details={"retryAfterSeconds": 3})
    assert error_for(answered(429, body)).retry_after_s == 3
    assert error_for(answered(429, body, Retry_After="9")).retry_after_s == 9


def test_nobody_is_made_to_wait_for_hours() -> None:
    body = status_text(429, "TooManyRequests", "x", details={"retryAfterSeconds": 86_400})
    assert error_for(answered(429, body)).retry_after_s == LONGEST_S


@pytest.mark.parametrize("status", [404, 409, 410])
def test_what_only_an_api_server_may_say_of_an_object_is_not_believed_of_others(status: int) -> None:
    error = error_for(answered(status, "404 page not found", "text/plain"), "get")
    assert type(error) is Unavailable
    assert "no Kubernetes API server" in str(error)
    assert ORIGIN in str(error)


def test_a_redirect_names_where_it_points() -> None:
    error = error_for(answered(302, "", "text/html", Location="https://login.example/"), "get")
    assert isinstance(error, Unavailable)
    assert "https://login.example/" in str(error)


def test_a_json_body_that_is_no_status_is_judged_by_its_code() -> None:
    assert type(error_for(answered(403, '{"error": "denied by gateway"}'))) is Refused
    assert type(error_for(answered(403, "[1, 2]"))) is Refused


def test_a_status_with_fields_of_wrong_types_is_still_an_error() -> None:
    assert type(error_for(answered(500, '{"kind": "Status", "code": "x"}'))) is Unavailable


@given(st.sampled_from([200, 302, 404, 409, 429, 500, 502]), st.binary(max_size=30), st.binary(max_size=30))
@example(502, b'{"kind":"Status","message":"caf', b'\xe9"}')  # Latin-1
@example(200, b'{"kind":"Lease","metadata":{"name":"', b'\xff"}}')
@example(200, b'{"newer":1, <html>', b"")
@example(200, b'{"metadata":{},"items":' + b"[" * 5_000, b"")
@example(200, b'{"metadata":{"name":"a"},"spec":{"renewTime":"10000-01-01T00:00:00.000000Z"', b"}}")
def test_whatever_bytes_come_the_error_is_one_of_ours(status: int, head: bytes, tail: bytes) -> None:
    """Anything else would end the scheduler or a watch, and with it all that the client renews."""
    answer = Answer(status, {}, head + tail)
    for reading in (
        lambda: read_object(call(), answer, Lease, ORIGIN),
        lambda: read_page(call("list"), answer, LEASES, ORIGIN),
        lambda: read_event(call("watch"), b'{"type":"ADDED","object":' + answer.body, LEASES),
        lambda: read_event(call("watch"), b'{"type":"ERROR","object":' + answer.body + b"}", LEASES),
    ):
        with contextlib.suppress(ApiError):
            reading()


def test_a_long_message_is_cut_and_no_shorter_than_what_api_servers_say() -> None:
    assert len(error_for(answered(422, status_text(422, "Invalid", "x" * 100_000))).server_message) == 4_000


def test_a_long_body_is_cut() -> None:
    assert len(error_for(answered(500, "x" * 100_000, "text/plain")).server_message) < 400


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_write_after_which_the_server_failed_may_have_been_done(status: int) -> None:
    assert error_for(answered(status, "x", "text/plain"), "update").outcome_unknown
    assert not error_for(answered(status, "x", "text/plain"), "get").outcome_unknown


@pytest.mark.parametrize("status", [401, 403, 409, 422, 429])
def test_a_write_that_was_refused_was_not_done(status: int) -> None:
    assert not error_for(answered(status, status_text(status, "", "x"))).outcome_unknown


def test_etcds_own_timeout_comes_as_500_and_leaves_a_write_unknown() -> None:
    assert error_for(answered(500, status_text(500, "", "etcdserver: request timed out"))).outcome_unknown


def test_an_object_is_read() -> None:
    assert read_object(call(), answered(200, lease_text()), Lease, ORIGIN) == LEASE


@pytest.mark.parametrize("body", [HTML, "", "{}", "null", json.dumps({"kind": "Status", "status": "Success"})])
def test_a_success_without_the_object_asks_whether_it_is_an_api_server(body: str) -> None:
    with pytest.raises(Unavailable, match=r"10\.0\.0\.1.*Kubernetes API server\?.*server URL") as caught:
        read_object(call(), answered(200, body, "text/html"), Lease, ORIGIN)
    assert caught.value.outcome_unknown


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "1.5"}, None),
        ({"Retry-After": "12"}, 12.0),
        ({"Retry-After": "86400"}, 60.0),
        ({"Retry-After": "9" * 400}, 60.0),
        ({"Retry-After": "Sun, 01 Feb 2026 12:00:00 GMT", "Date": "Sat, 31 Jan 2026 12:00:00 GMT"}, 60.0),
        ({"Retry-After": "Sat, 31 Jan 2026 12:00:30 GMT"}, None),
        ({"Retry-After": "Sat, 31 Jan 2026 12:00:30 GMT", "Date": "Sat, 31 Jan 2026 12:00:00 GMT"}, 30.0),
        ({"Retry-After": "Sat, 31 Jan 2026 11:00:00 GMT", "Date": "Sat, 31 Jan 2026 12:00:00 GMT"}, 0.0),
        ({"Retry-After": "Sat, 31 Jan 2026 11:00:00", "Date": "Sat, 31 Jan 2026 12:00:00 GMT"}, None),
        ({"Retry-After": "Sat, 31 Jan 2026 11:00:00 +99999999999999", "Date": "Sat, 31 Jan 2026 12:00:00 GMT"}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers) == seconds


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.CREDENTIALS])
def test_every_fault_of_the_way_names_the_server_and_a_remedy(fault: Fault) -> None:
    error = error_from_transport(call(), TransportError(fault, "words", sent=True), ORIGIN)
    assert type(error) is Unavailable
    assert error.outcome_unknown
    assert f"{ORIGIN}: {fault.value} (words); " in str(error)


def test_a_write_that_never_left_was_not_done() -> None:
    error = error_from_transport(call(), TransportError(Fault.REFUSED, "x", sent=False), ORIGIN)
    assert (error.outcome_unknown, error.sent) == (False, False)


def test_missing_credentials_are_a_refusal() -> None:
    error = error_from_transport(call(), TransportError(Fault.CREDENTIALS, "plugin failed", sent=False), ORIGIN)
    assert type(error) is Refused
    assert "plugin failed" in str(error)


@pytest.mark.parametrize("body", [{}, {"code": 410}, {"reason": "Expired"}])
def test_a_status_in_a_stream_is_judged_without_an_http_code(body: dict[str, Any]) -> None:
    kind = Unavailable if not body else Expired
    assert type(error_from_status(call("watch"), Status(kind="Status", **body))) is kind


@pytest.mark.parametrize(
    "date", [None, "", "yesterday", "Wed, 25 Nov 2026 21:00:00 -0000", "Wed, 99 Nov 2026 21:00:00 GMT", "1764104400"]
)
def test_an_answer_whose_date_names_no_instant_has_none(date: str | None) -> None:
    assert date_of({} if date is None else {"Date": date}) is None


def test_the_date_of_an_answer_is_read_to_the_second() -> None:
    assert date_of({"Date": "Wed, 25 Nov 2026 21:00:07 GMT"}) == Time.parse("2026-11-25T21:00:07Z")
