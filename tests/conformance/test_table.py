"""Leases, nodes and namespaces as the tables that kubectl prints."""

from __future__ import annotations

import re

import pytest

from tests.conformance.rig import (
    NAMESPACES,
    NODES,
    TABLE,
    Answer,
    Api,
    Namespace,
    bad_request,
    not_found,
    unique,
)

COLUMN_KEYS = {"name", "type", "format", "description", "priority"}
LEASE_COLUMNS = [("Name", "string", "name", 0), ("Holder", "string", "", 0), ("Age", "string", "", 0)]
NODE_COLUMNS = [
    ("Name", "string", "name", 0),
    ("Status", "string", "", 0),
    ("Roles", "string", "", 0),
    ("Age", "string", "", 0),
    ("Version", "string", "", 0),
    ("Internal-IP", "string", "", 1),
    ("External-IP", "string", "", 1),
    ("OS-Image", "string", "", 1),
    ("Kernel-Version", "string", "", 1),
    ("Container-Runtime", "string", "", 1),
]


def columns(answer: Answer) -> list[tuple[str, str, str, int]]:
    defined = answer.json["columnDefinitions"]
    assert all(column.keys() == COLUMN_KEYS and column["description"] for column in defined)
    return [(c["name"], c["type"], c["format"], c["priority"]) for c in defined]


async def test_a_missing_lease_is_a_plain_error(api: Api, ns: Namespace) -> None:
    answer = await api.get(ns.path("lock"), accept=TABLE)
    assert (answer.status, answer.json) == (404, not_found("lock"))


async def test_a_list_is_one_row_a_lease(api: Api, ns: Namespace) -> None:
    await ns.create("a", holderIdentity="x")
    await ns.create("b")
    answer = await api.get(ns.leases, accept=TABLE)
    assert answer.status == 200
    assert (answer.json["kind"], answer.json["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert columns(answer) == LEASE_COLUMNS
    cells = [row["cells"] for row in answer.json["rows"]]
    assert [cell[:2] for cell in cells] == [["a", "x"], ["b", ""]]
    assert all(re.fullmatch(r"\d+s", cell[2]) for cell in cells)
    assert int(answer.version) > 0


async def test_one_lease_is_a_table_of_one_row(api: Api, ns: Namespace) -> None:
    made = await ns.create("a", holderIdentity="x")
    answer = await api.get(ns.path("a"), accept=TABLE)
    assert columns(answer) == LEASE_COLUMNS
    assert [row["cells"][:2] for row in answer.json["rows"]] == [["a", "x"]]
    assert answer.version == made["metadata"]["resourceVersion"]


async def test_an_empty_list_is_a_table_without_rows(api: Api, ns: Namespace) -> None:
    answer = await api.get(ns.leases, accept=TABLE)
    assert columns(answer) == LEASE_COLUMNS
    assert answer.json["rows"] == []


@pytest.mark.parametrize("params", [{}, {"includeObject": "Metadata"}])
async def test_a_row_carries_the_metadata(api: Api, ns: Namespace, params: dict[str, str]) -> None:
    made = await ns.create("a", metadata={"labels": {"team": "red"}})
    answer = await api.get(ns.leases, accept=TABLE, **params)
    (row,) = answer.json["rows"]
    expected = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": made["metadata"]}
    assert row["object"] == expected


async def test_a_row_carries_the_whole_object_when_asked(api: Api, ns: Namespace) -> None:
    made = await ns.create("a", holderIdentity="x")
    answer = await api.get(ns.leases, accept=TABLE, includeObject="Object")
    assert [row["object"] for row in answer.json["rows"]] == [made]


async def test_a_row_carries_no_object_when_asked(api: Api, ns: Namespace) -> None:
    await ns.create("a", holderIdentity="x")
    answer = await api.get(ns.leases, accept=TABLE, includeObject="None")
    assert [row["object"] for row in answer.json["rows"]] == [None]


async def test_another_object_policy_is_refused(api: Api, ns: Namespace) -> None:
    answer = await api.get(ns.leases, accept=TABLE, includeObject="Full")
    message = (
        'Unable to convert to Table as requested: includeObject: Invalid value: "Full": '
        "must be 'Metadata', 'Object', 'None', or empty"
    )
    assert (answer.status, answer.json) == (400, bad_request(message))


async def test_pages_of_a_table_continue(api: Api, ns: Namespace) -> None:
    for name in "abc":
        await ns.create(name)
    first = await api.get(ns.leases, accept=TABLE, limit="2")
    assert first.json["metadata"]["remainingItemCount"] == 1
    second = await api.get(ns.leases, accept=TABLE, limit="2", **{"continue": first.json["metadata"]["continue"]})
    assert [row["cells"][0] for row in (*first.json["rows"], *second.json["rows"])] == ["a", "b", "c"]


async def test_the_offer_of_kubectl_is_answered_with_a_table(api: Api, ns: Namespace) -> None:
    offer = f"{TABLE},application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
    answer = await api.get(ns.leases, accept=offer)
    assert (answer.json["kind"], answer.json["apiVersion"]) == ("Table", "meta.k8s.io/v1")


async def test_an_unknown_table_falls_back_to_what_else_is_accepted(api: Api, ns: Namespace) -> None:
    answer = await api.get(ns.leases, accept="application/json;as=Table;v=v9;g=meta.k8s.io,application/json")
    assert answer.json["kind"] == "LeaseList"


async def test_only_the_first_event_of_a_watch_defines_columns(api: Api, ns: Namespace) -> None:
    version = (await api.get(ns.leases)).version
    async with await api.watch(ns.leases, accept=TABLE, resourceVersion=version) as watch:
        await ns.create("a", holderIdentity="x")
        await ns.create("b")
        await api.delete(ns.path("a"))
        events = await watch.take(3)
    assert [kind for kind, _ in events] == ["ADDED", "ADDED", "DELETED"]
    assert [table["kind"] for _, table in events] == ["Table"] * 3
    assert [row["cells"][:2] for _, table in events for row in table["rows"]] == [["a", "x"], ["b", ""], ["a", "x"]]
    definitions = [table["columnDefinitions"] for _, table in events]
    assert [column["name"] for column in definitions[0]] == ["Name", "Holder", "Age"]
    assert definitions[1:] == [None, None]


async def test_a_node_without_conditions_is_unknown(api: Api) -> None:
    name = unique("node")
    await api.post(NODES, {"metadata": {"name": name}})
    answer = await api.get(f"{NODES}/{name}", accept=TABLE)
    assert columns(answer) == NODE_COLUMNS
    (row,) = answer.json["rows"]
    cells = row["cells"]
    assert [*cells[:3], cells[4]] == [name, "Unknown", "<none>", ""]
    assert cells[5:] == ["<none>", "<none>", "<unknown>", "<unknown>", "<unknown>"]


@pytest.mark.parametrize(
    ("status", "spec", "cell"),
    [
        ("True", {}, "Ready"),
        ("False", {}, "NotReady"),
        ("Unknown", {}, "NotReady"),
        ("True", {"unschedulable": True}, "Ready,SchedulingDisabled"),
    ],
)
async def test_a_node_shows_its_ready_condition(
    api: Api,
    status: str,
    spec: dict[str, bool],
    cell: str,
) -> None:
    name = unique("node")
    await api.post(NODES, {"metadata": {"name": name}, "spec": spec})
    conditions = [{"type": "Ready", "status": status}]
    info = {"kubeletVersion": "v1.37.2"}
    await api.patch(f"{NODES}/{name}/status", {"status": {"conditions": conditions, "nodeInfo": info}})
    (row,) = (await api.get(f"{NODES}/{name}", accept=TABLE)).json["rows"]
    assert [row["cells"][1], row["cells"][4]] == [cell, "v1.37.2"]


async def test_a_namespace_shows_its_phase(api: Api, ns: Namespace) -> None:
    answer = await api.get(f"{NAMESPACES}/{ns.name}", accept=TABLE)
    assert [column[0] for column in columns(answer)] == ["Name", "Status", "Age"]
    assert answer.json["rows"][0]["cells"][:2] == [ns.name, "Active"]
