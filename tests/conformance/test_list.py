"""Listing Leases: selectors, pages and the meaning of a resourceVersion."""

from __future__ import annotations

import pytest

from tests.conformance.rig import COORDINATION, Api, Json, Namespace, bad_option, bad_request, unique

FORBIDDEN, UNSUPPORTED = "FieldValueForbidden", "FieldValueNotSupported"


def names(answer: Json) -> list[str]:
    return [item["metadata"]["name"] for item in answer["items"]]


async def _five(ns: Namespace) -> None:
    for number, name in enumerate("abcde"):
        labels = {"number": str(number), "parity": "even" if number % 2 == 0 else "odd"}
        await ns.create(name, metadata={"labels": labels if name != "e" else {}}, holderIdentity=name)


async def test_a_namespace_that_does_not_exist_has_no_leases(api: Api) -> None:
    answer = await api.get(f"{COORDINATION}/namespaces/{unique('absent')}/leases")
    assert (answer.status, answer.json["items"]) == (200, [])


async def test_an_empty_list_has_items_and_a_version(api: Api, ns: Namespace) -> None:
    answer = await api.get(ns.leases)
    version = answer.json["metadata"].pop("resourceVersion")
    assert int(version) > 0
    expected = {"kind": "LeaseList", "apiVersion": "coordination.k8s.io/v1", "metadata": {}, "items": []}
    assert answer.json | {"metadata": {}} == expected


async def test_items_are_sorted_by_name_and_carry_no_kind(api: Api, ns: Namespace) -> None:
    made = {name: await ns.create(name, holderIdentity=name) for name in ("b", "a-b", "a", "c.d")}
    listed = (await api.get(ns.leases)).json
    assert names(listed) == ["a", "a-b", "b", "c.d"]
    for item in listed["items"]:
        own = made[item["metadata"]["name"]]
        assert {"kind": own["kind"], "apiVersion": own["apiVersion"], **item} == own
        assert not {"kind", "apiVersion"} & item.keys()


async def test_all_namespaces_are_listed_together(api: Api, ns: Namespace) -> None:
    await ns.create("lock")
    answer = await api.get(f"{COORDINATION}/leases")
    places = [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in answer.json["items"]]
    assert (ns.name, "lock") in places
    assert places == sorted(places)


async def test_the_version_of_a_list_is_the_newest(api: Api, ns: Namespace) -> None:
    made = await ns.create("lock")
    listed = await api.get(ns.leases)
    assert int(listed.version) >= int(made["metadata"]["resourceVersion"])


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("parity=even", ["a", "c"]),
        ("parity==odd", ["b", "d"]),
        ("parity!=even", ["b", "d", "e"]),
        ("parity=even,number=2", ["c"]),
        ("number in (1,2)", ["b", "c"]),
        ("number notin (1,2)", ["a", "d", "e"]),
        ("parity", ["a", "b", "c", "d"]),
        ("!parity", ["e"]),
        ("number>1", ["c", "d"]),
        ("number<1", ["a"]),
        ("parity in (even),number notin (0)", ["c"]),
        ("colour=red", []),
        ("", ["a", "b", "c", "d", "e"]),
    ],
)
async def test_labels_select(api: Api, ns: Namespace, selector: str, expected: list[str]) -> None:
    await _five(ns)
    answer = await api.get(ns.leases, labelSelector=selector)
    assert (answer.status, names(answer.json)) == (200, expected)


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("a=b=c", "found '=', expected: ',' or 'end of string'"),
    ],
)
async def test_a_malformed_label_selector_is_refused(api: Api, ns: Namespace, selector: str, message: str) -> None:
    answer = await api.get(ns.leases, labelSelector=selector)
    assert (answer.status, answer.json) == (400, bad_request(message))


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("metadata.name=b", ["b"]),
        ("metadata.name==b", ["b"]),
        ("metadata.name!=b", ["a", "c", "d", "e"]),
        ("metadata.name=nobody", []),
        ("metadata.namespace=default", []),
        ("metadata.name!=a,metadata.name!=b,metadata.name!=c", ["d", "e"]),
    ],
)
async def test_fields_select(api: Api, ns: Namespace, selector: str, expected: list[str]) -> None:
    await _five(ns)
    answer = await api.get(ns.leases, fieldSelector=selector)
    assert (answer.status, names(answer.json)) == (200, expected)


async def test_the_namespace_is_a_field(api: Api, ns: Namespace) -> None:
    await ns.create("lock")
    answer = await api.get(f"{COORDINATION}/leases", fieldSelector=f"metadata.namespace={ns.name}")
    assert names(answer.json) == ["lock"]


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        (
            "spec.holderIdentity=a",
            '"spec.holderIdentity" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
        ("metadata", "invalid selector: 'metadata'; can't understand 'metadata'"),
    ],
)
async def test_another_field_is_refused(api: Api, ns: Namespace, selector: str, message: str) -> None:
    answer = await api.get(ns.leases, fieldSelector=selector)
    assert (answer.status, answer.json) == (400, bad_request(message))


async def test_pages_together_are_the_list_of_the_first_moment(api: Api, ns: Namespace) -> None:
    await _five(ns)
    first = (await api.get(ns.leases, limit="2")).json
    assert names(first) == ["a", "b"]
    assert first["metadata"]["remainingItemCount"] == 3
    await ns.create("a-late-one")
    await api.delete(ns.path("d"))
    second = (await api.get(ns.leases, limit="2", **{"continue": first["metadata"]["continue"]})).json
    assert names(second) == ["c", "d"]
    assert second["metadata"]["remainingItemCount"] == 1
    third = (await api.get(ns.leases, limit="2", **{"continue": second["metadata"]["continue"]})).json
    assert names(third) == ["e"]
    assert not {"continue", "remainingItemCount"} & third["metadata"].keys()
    versions = {page["metadata"]["resourceVersion"] for page in (first, second, third)}
    assert len(versions) == 1


async def test_pages_of_a_selection_do_not_count_what_remains(api: Api, ns: Namespace) -> None:
    await _five(ns)
    first = (await api.get(ns.leases, limit="1", labelSelector="parity=odd")).json
    assert names(first) == ["b"]
    assert "remainingItemCount" not in first["metadata"]
    more = {"continue": first["metadata"]["continue"]}
    second = (await api.get(ns.leases, limit="5", labelSelector="parity=odd", **more)).json
    assert names(second) == ["d"]


async def test_a_limit_that_is_not_reached_changes_nothing(api: Api, ns: Namespace) -> None:
    await _five(ns)
    listed = (await api.get(ns.leases, limit="5")).json
    assert names(listed) == list("abcde")
    assert "continue" not in listed["metadata"]


async def test_a_continue_token_that_is_garbage_is_refused(api: Api, ns: Namespace) -> None:
    answer = await api.get(ns.leases, **{"continue": "abc"})
    assert (answer.status, answer.json["reason"]) == (400, "BadRequest")
    assert answer.json["message"].startswith("invalid continue token: continue key is not valid")


async def test_a_continue_token_goes_with_no_version(api: Api, ns: Namespace) -> None:
    await _five(ns)
    first = await api.get(ns.leases, limit="2")
    more = {"continue": first.json["metadata"]["continue"], "resourceVersion": first.version}
    answer = await api.get(ns.leases, **more)
    message = "specifying resource version is not allowed when using continue"
    assert (answer.status, answer.json) == (400, bad_request(message))


async def test_a_limit_that_is_no_number_is_refused(api: Api, ns: Namespace) -> None:
    answer = await api.get(ns.leases, limit="a")
    assert (answer.status, answer.json) == (400, bad_request('strconv.ParseInt: parsing "a": invalid syntax'))


@pytest.mark.parametrize("params", [{}, {"resourceVersionMatch": "NotOlderThan"}])
async def test_a_list_is_at_least_as_new_as_asked(api: Api, ns: Namespace, params: dict[str, str]) -> None:
    version = (await ns.create("lock"))["metadata"]["resourceVersion"]
    answer = await api.get(ns.leases, resourceVersion=version, **params)
    assert names(answer.json) == ["lock"]
    assert int(answer.version) >= int(version)


async def test_a_list_of_any_age_is_a_list(api: Api, ns: Namespace) -> None:
    answer = await api.get(ns.leases, resourceVersion="0")
    assert (answer.status, answer.json["kind"]) == (200, "LeaseList")


async def test_a_list_of_an_exact_version_shows_the_past(api: Api, ns: Namespace) -> None:
    await ns.create("a")
    version = (await ns.create("b"))["metadata"]["resourceVersion"]
    await ns.create("c")
    await api.delete(ns.path("a"))
    answer = await api.get(ns.leases, resourceVersion=version, resourceVersionMatch="Exact")
    assert (answer.version, names(answer.json)) == (version, ["a", "b"])


@pytest.mark.parametrize(
    ("params", "cause"),
    [
        (
            {"resourceVersionMatch": "Exact"},
            (
                "resourceVersionMatch",
                FORBIDDEN,
                "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
            ),
        ),
        (
            {"resourceVersionMatch": "Exact", "resourceVersion": "0"},
            (
                "resourceVersionMatch",
                FORBIDDEN,
                'Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
            ),
        ),
        (
            {"resourceVersionMatch": "Maybe", "resourceVersion": "1"},
            (
                "resourceVersionMatch",
                UNSUPPORTED,
                'Unsupported value: "Maybe": supported values: "Exact", "NotOlderThan", ""',
            ),
        ),
        (
            {"sendInitialEvents": "true", "resourceVersion": "1", "resourceVersionMatch": "NotOlderThan"},
            ("sendInitialEvents", FORBIDDEN, "Forbidden: sendInitialEvents is forbidden for list"),
        ),
    ],
)
async def test_options_that_contradict_each_other_are_refused(
    api: Api, ns: Namespace, params: dict[str, str], cause: tuple[str, str, str]
) -> None:
    answer = await api.get(ns.leases, **params)
    assert (answer.status, answer.json) == (422, bad_option("ListOptions", cause))


async def test_a_version_that_is_no_number_is_refused(api: Api, ns: Namespace) -> None:
    quarrel = 'resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc": invalid syntax'
    listed = await api.get(ns.leases, resourceVersion="abc")
    assert (listed.status, listed.json) == (400, bad_request(f"invalid resource version: {quarrel}"))
    await ns.create("lock")
    read = await api.get(ns.path("lock"), resourceVersion="abc")
    assert (read.status, read.json["message"], read.json.get("reason")) == (500, quarrel, None)


async def test_one_lease_can_be_read_at_any_age_or_at_least_as_new(api: Api, ns: Namespace) -> None:
    made = await ns.create("lock")
    version = made["metadata"]["resourceVersion"]
    assert (await api.get(ns.path("lock"), resourceVersion=version)).json == made


@pytest.mark.slow
async def test_a_version_of_the_future_times_out(api: Api, ns: Namespace) -> None:
    ahead = str(int((await ns.create("lock"))["metadata"]["resourceVersion"]) + 1_000_000)
    answer = await api.get(ns.leases, resourceVersion=ahead)
    assert (answer.status, answer.json["reason"]) == (504, "Timeout")
    assert answer.json["message"].startswith(f"Timeout: Too large resource version: {ahead}, current: ")
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    assert answer.json["details"] == {"causes": [cause], "retryAfterSeconds": 1}
    assert answer.headers["Retry-After"] == "1"
