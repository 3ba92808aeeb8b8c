"""Creating a Lease: what is refused, what is filled in, what is stored."""

from __future__ import annotations

import re

import pytest

from tests.conformance.rig import (
    COORDINATION,
    NAMESPACES,
    Api,
    Namespace,
    about,
    bad_option,
    bad_request,
    failure,
    invalid,
    lease,
    unique,
)

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
SECOND = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LABEL_VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation "
    "is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
REQUIRED, INVALID, TOO_LONG = "FieldValueRequired", "FieldValueInvalid", "FieldValueTooLong"


async def test_a_name_that_exists_is_refused(api: Api, ns: Namespace) -> None:
    await ns.create("lock")
    again = await api.post(ns.leases, lease("lock"))
    message = 'leases.coordination.k8s.io "lock" already exists'
    assert again.json == failure(409, message, reason="AlreadyExists", details=about("lock"))
    assert again.status == 409


async def test_the_namespace_must_exist(api: Api) -> None:
    name = unique("absent")
    answer = await api.post(f"{COORDINATION}/namespaces/{name}/leases", lease("lock"))
    assert answer.status == 404
    details = {"name": name, "kind": "namespaces"}
    assert answer.json == failure(404, f'namespaces "{name}" not found', reason="NotFound", details=details)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Foo", SUBDOMAIN),
        ("a_b", SUBDOMAIN),
        ("-a", SUBDOMAIN),
        ("a..b", SUBDOMAIN),
        ("a" * 254, "must be no more than 253 characters"),
    ],
)
async def test_a_bad_name_is_refused(api: Api, ns: Namespace, name: str, text: str) -> None:
    answer = await api.post(ns.leases, lease(name))
    assert answer.status == 422
    assert answer.json == invalid(name, ("metadata.name", INVALID, f'Invalid value: "{name}": {text}'))


async def test_a_name_is_required(api: Api, ns: Namespace) -> None:
    answer = await api.post(ns.leases, lease(None))
    expected = invalid("", ("metadata.name", REQUIRED, "Required value: name or generateName is required"))
    assert (answer.status, answer.json) == (422, expected)


async def test_a_name_of_253_characters_is_accepted(api: Api, ns: Namespace) -> None:
    assert (await ns.create("a" * 253))["metadata"]["name"] == "a" * 253


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("leaseDurationSeconds", 0, "Invalid value: 0: must be greater than 0"),
        ("leaseDurationSeconds", -5, "Invalid value: -5: must be greater than 0"),
        ("leaseTransitions", -1, "Invalid value: -1: must be greater than or equal to 0"),
    ],
)
async def test_a_number_out_of_range_is_refused(api: Api, ns: Namespace, field: str, value: int, text: str) -> None:
    answer = await api.post(ns.leases, lease("lock", **{field: value}))
    assert (answer.status, answer.json) == (422, invalid("lock", (f"spec.{field}", INVALID, text)))


async def test_every_cause_is_told(api: Api, ns: Namespace) -> None:
    answer = await api.post(ns.leases, lease("lock", leaseDurationSeconds=0, leaseTransitions=-1))
    expected = invalid(
        "lock",
        ("spec.leaseDurationSeconds", INVALID, "Invalid value: 0: must be greater than 0"),
        ("spec.leaseTransitions", INVALID, "Invalid value: -1: must be greater than or equal to 0"),
    )
    assert (answer.status, answer.json) == (422, expected)


@pytest.mark.parametrize(
    ("metadata", "reason", "text"),
    [
        ({"labels": {"a": ".."}}, INVALID, f'Invalid value: "..": {LABEL_VALUE}'),
        (
            {"labels": {"a": "x" * 64}},
            INVALID,
            f'Invalid value: "{"x" * 64}": must be no more than 63 bytes',
        ),
        (
            {"annotations": {"a": "x" * 262145}},
            TOO_LONG,
            "Too long: may not be more than 262144 bytes",
        ),
    ],
    ids=["label value", "label length", "annotations"],
)
async def test_bad_metadata_is_refused(
    api: Api, ns: Namespace, metadata: dict[str, object], reason: str, text: str
) -> None:
    answer = await api.post(ns.leases, lease("lock", metadata=metadata))
    cause = (f"metadata.{next(iter(metadata))}", reason, text)
    assert (answer.status, answer.json) == (422, invalid("lock", cause))


@pytest.mark.parametrize(
    ("sent", "quarrel"),
    [
        ("2026-08-11T19:37:19Z", 'cannot parse "Z" as ".000000"'),
        ("2026-08-11T19:37:19.103Z", 'cannot parse ".103Z" as ".000000"'),
        ("2026-08-11T19:37:19.123456789Z", 'cannot parse "789Z" as "Z07:00"'),
        ("2026-08-11T19:37:19.123456", 'cannot parse "" as "Z07:00"'),
        ("2026-08-11 19:37:19.123456Z", 'cannot parse " 19:37:19.123456Z" as "T"'),
        ("", 'cannot parse "" as "2006"'),
        ("now", 'cannot parse "now" as "2006"'),
    ],
)
@pytest.mark.parametrize("field", ["renewTime", "acquireTime"])
async def test_a_time_without_six_digits_and_a_zone_is_refused(
    api: Api, ns: Namespace, field: str, sent: str, quarrel: str
) -> None:
    answer = await api.post(ns.leases, lease("lock", **{field: sent}))
    message = (
        'Lease in version "v1" cannot be handled as a Lease: '
        f'parsing time "{sent}" as "2006-01-02T15:04:05.000000Z07:00": {quarrel}'
    )
    assert (answer.status, answer.json) == (400, bad_request(message))


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("2026-08-11T19:37:19.123456Z", "2026-08-11T19:37:19.123456Z"),
        ("2026-08-11T19:37:19.000000Z", "2026-08-11T19:37:19.000000Z"),
        ("2026-08-11T21:37:19.123456+02:00", "2026-08-11T19:37:19.123456Z"),
        ("2026-08-11T18:07:19.123456-01:30", "2026-08-11T19:37:19.123456Z"),
        ("0000-02-29T00:00:00.000000Z", "0000-02-29T00:00:00.000000Z"),
        ("0001-01-01T00:00:00.000000+01:00", "0000-12-31T23:00:00.000000Z"),
        ("0000-01-01T00:00:00.000000+01:00", "-0001-12-31T23:00:00.000000Z"),
        ("9999-12-31T23:59:59.999999-01:00", "10000-01-01T00:59:59.999999Z"),
    ],
)
async def test_a_time_is_stored_in_utc_with_six_digits(ns: Namespace, sent: str, stored: str) -> None:
    await ns.create("lock", renewTime=sent)
    assert (await ns.read("lock"))["spec"] == {"renewTime": stored}


async def test_a_null_time_is_left_out(ns: Namespace) -> None:
    assert (await ns.create("lock", renewTime=None, holderIdentity="a"))["spec"] == {"holderIdentity": "a"}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (
            "holderIdentity",
            7,
            "json: cannot unmarshal number into Go struct field LeaseSpec.spec.holderIdentity of type string",
        ),
        (
            "leaseDurationSeconds",
            "15",
            "json: cannot unmarshal string into Go struct field LeaseSpec.spec.leaseDurationSeconds of type int32",
        ),
    ],
)
async def test_a_value_of_another_type_is_refused(
    api: Api, ns: Namespace, field: str, value: object, message: str
) -> None:
    answer = await api.post(ns.leases, lease("lock", **{field: value}))
    expected = bad_request(f'Lease in version "v1" cannot be handled as a Lease: {message}')
    assert (answer.status, answer.json) == (400, expected)


@pytest.mark.parametrize("value", [2**31, 1.5])
async def test_a_number_that_is_no_int32_is_refused(api: Api, ns: Namespace, value: float) -> None:
    answer = await api.post(ns.leases, lease("lock", leaseTransitions=value))
    message = (
        'Lease in version "v1" cannot be handled as a Lease: json: cannot unmarshal number '
        f"{value} into Go struct field LeaseSpec.spec.leaseTransitions of type int32"
    )
    assert (answer.status, answer.json) == (400, bad_request(message))


async def test_all_fields_come_back_as_sent(ns: Namespace) -> None:
    spec = {
        "holderIdentity": "a",
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-08-11T19:37:19.000001Z",
        "renewTime": "2026-08-11T19:37:20.000002Z",
        "leaseTransitions": 0,
    }
    assert (await ns.create("lock", **spec))["spec"] == spec
    assert (await ns.read("lock"))["spec"] == spec


async def test_an_empty_holder_is_kept(ns: Namespace) -> None:
    await ns.create("lock", holderIdentity="")
    assert (await ns.read("lock"))["spec"] == {"holderIdentity": ""}


async def test_an_empty_spec_is_an_empty_object(ns: Namespace) -> None:
    await ns.create("lock")
    assert (await ns.read("lock"))["spec"] == {}


async def test_strategy_is_dropped_without_its_feature_gate(ns: Namespace) -> None:
    made = await ns.create("lock", strategy="OldestEmulationVersion", preferredHolder="b")
    assert made["spec"] == {}


async def test_metadata_is_filled_in_by_the_server(ns: Namespace) -> None:
    sent = {
        "uid": "mine",
        "creationTimestamp": "2001-01-01T00:00:00Z",
        "selfLink": "/x",
        "deletionTimestamp": "2001-01-01T00:00:00Z",
        "deletionGracePeriodSeconds": 5,
        "labels": {"a": "b"},
        "annotations": {"c": "d"},
    }
    metadata = (await ns.create("lock", metadata=sent))["metadata"]
    metadata.pop("managedFields", None)
    assert UUID4.fullmatch(metadata.pop("uid"))
    assert SECOND.fullmatch(metadata.pop("creationTimestamp"))
    assert int(metadata.pop("resourceVersion")) > 0
    assert metadata == {
        "name": "lock",
        "namespace": ns.name,
        "labels": {"a": "b"},
        "annotations": {"c": "d"},
    }


async def test_kind_and_version_stand_in_the_answer(api: Api, ns: Namespace) -> None:
    answer = await api.post(ns.leases, {"metadata": {"name": "lock"}})
    assert answer.status == 201
    assert (answer.json["kind"], answer.json["apiVersion"]) == ("Lease", "coordination.k8s.io/v1")


async def test_a_generated_name_has_five_letters_more(ns: Namespace) -> None:
    made = await ns.create(None, metadata={"generateName": "worker-"})
    assert re.fullmatch(r"worker-[bcdfghjklmnpqrstvwxz2456789]{5}", made["metadata"]["name"])
    assert made["metadata"]["generateName"] == "worker-"


async def test_a_long_generated_name_is_cut_to_63(ns: Namespace) -> None:
    made = await ns.create(None, metadata={"generateName": "w" * 80})
    assert re.fullmatch("w" * 58 + "[bcdfghjklmnpqrstvwxz2456789]{5}", made["metadata"]["name"])


async def test_a_name_wins_over_a_generated_one(ns: Namespace) -> None:
    assert (await ns.create("lock", metadata={"generateName": "w-"}))["metadata"]["name"] == "lock"


async def test_a_resource_version_on_create_is_refused(api: Api, ns: Namespace) -> None:
    answer = await api.post(ns.leases, lease("lock", metadata={"resourceVersion": "5"}))
    message = "resourceVersion should not be set on objects to be created"
    assert (answer.status, answer.json) == (500, failure(500, message))


async def test_the_namespace_in_the_body_must_match_the_path(api: Api, ns: Namespace) -> None:
    answer = await api.post(ns.leases, lease("lock", metadata={"namespace": "default"}))
    message = "the namespace of the provided object does not match the namespace sent on the request"
    assert (answer.status, answer.json) == (400, bad_request(message))


async def test_another_api_version_in_the_body_is_refused(api: Api, ns: Namespace) -> None:
    answer = await api.post(ns.leases, {**lease("lock"), "apiVersion": "coordination.k8s.io/v1beta1"})
    message = (
        "the API version in the data (coordination.k8s.io/v1beta1) does not match "
        "the expected API version (coordination.k8s.io/v1)"
    )
    assert (answer.status, answer.json) == (400, bad_request(message))


@pytest.mark.parametrize(("version", "kind"), [("v1", "Lease"), ("v1", "Other"), ("coordination.k8s.io/v1", "Pod")])
async def test_another_kind_in_the_body_is_refused(api: Api, ns: Namespace, version: str, kind: str) -> None:
    answer = await api.post(ns.leases, {**lease("lock"), "apiVersion": version, "kind": kind})
    message = (
        f'{kind} in version "v1" cannot be handled as a Lease: '
        f'no kind "{kind}" is registered for version "{version}" in scheme '
    )
    assert (answer.status, answer.json["reason"]) == (400, "BadRequest")
    assert answer.json["message"].startswith(message)


@pytest.mark.parametrize("data", ["{", "[]", '"text"', ""])
async def test_a_body_that_is_no_object_is_refused(api: Api, ns: Namespace, data: str) -> None:
    answer = await api.call("POST", ns.leases, data=data)
    opening = "the object provided is unrecognized (must be of type Lease): couldn't get version/kind; "
    assert (answer.status, answer.json["reason"]) == (400, "BadRequest")
    assert answer.json["message"].startswith(opening + "json parse error: ")


async def test_a_body_that_is_nested_too_deeply_is_refused(api: Api, ns: Namespace) -> None:
    answer = await api.call("POST", ns.leases, data='{"metadata":{"name":"lock"},"spec":' + "[" * 20_000)
    assert (answer.status, answer.json["reason"]) == (400, "BadRequest")
    assert "exceeded max depth" in answer.json["message"]


async def test_bytes_that_are_no_utf_8_are_replaced(api: Api, ns: Namespace) -> None:
    answer = await api.call("POST", ns.leases, data=b'{"metadata":{"name":"lock"},"spec":{"holderIdentity":"\xe9"}}')
    assert (answer.status, answer.json["spec"]) == (201, {"holderIdentity": "\N{REPLACEMENT CHARACTER}"})


UNKNOWN = 'unknown field "spec.colour"'


async def test_an_unknown_field_is_refused_under_strict_validation(api: Api, ns: Namespace) -> None:
    answer = await api.post(ns.leases, lease("lock", colour="red"), fieldValidation="Strict")
    message = f'Lease in version "v1" cannot be handled as a Lease: strict decoding error: {UNKNOWN}'
    assert (answer.status, answer.json) == (400, bad_request(message))


@pytest.mark.parametrize("params", [{}, {"fieldValidation": "Warn"}])
async def test_an_unknown_field_is_warned_about_and_dropped(api: Api, ns: Namespace, params: dict[str, str]) -> None:
    answer = await api.post(ns.leases, lease("lock", colour="red"), **params)
    assert answer.status == 201
    assert answer.json["spec"] == {}
    assert answer.headers["Warning"] == '299 - "unknown field \\"spec.colour\\""'


async def test_an_unknown_field_is_dropped_in_silence_when_ignored(api: Api, ns: Namespace) -> None:
    answer = await api.post(ns.leases, lease("lock", colour="red"), fieldValidation="Ignore")
    assert (answer.status, answer.json["spec"], answer.headers.get("Warning")) == (201, {}, None)


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("fieldValidation", "Maybe", '"Maybe": supported values: "", "Ignore", "Strict", "Warn"'),
        ("dryRun", "Some", '["Some"]: supported values: "All"'),
    ],
)
async def test_an_unknown_option_is_refused(api: Api, ns: Namespace, field: str, value: str, text: str) -> None:
    answer = await api.post(ns.leases, lease("lock"), **{field: value})
    expected = bad_option("CreateOptions", (field, "FieldValueNotSupported", f"Unsupported value: {text}"))
    assert (answer.status, answer.json) == (422, expected)


async def test_a_dry_run_answers_but_stores_nothing(api: Api, ns: Namespace) -> None:
    answer = await api.post(ns.leases, lease("lock", holderIdentity="a"), dryRun="All")
    assert answer.status == 201
    assert UUID4.fullmatch(answer.json["metadata"]["uid"])
    assert "resourceVersion" not in answer.json["metadata"]
    assert (await api.get(ns.path("lock"))).status == 404


async def test_a_dry_run_finds_an_existing_name(api: Api, ns: Namespace) -> None:
    await ns.create("lock")
    answer = await api.post(ns.leases, lease("lock"), dryRun="All")
    assert (answer.status, answer.json["reason"]) == (409, "AlreadyExists")


async def test_versions_grow_over_all_resources(api: Api, ns: Namespace) -> None:
    first = int((await ns.create("a"))["metadata"]["resourceVersion"])
    node = await api.post("/api/v1/nodes", {"metadata": {"name": unique("node")}})
    namespace = await api.post(NAMESPACES, {"metadata": {"name": unique("between")}})
    second = int((await ns.create("b"))["metadata"]["resourceVersion"])
    assert first < int(node.version) < int(namespace.version) < second
