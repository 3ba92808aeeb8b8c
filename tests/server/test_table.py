"""What `kubectl get` prints."""

from __future__ import annotations

from typing import Any

import pytest

from lease_aio.server import LEASES, NODES, StatusError
from lease_aio.server.table import age, duration, render

NOW = 1_800_000_000_000_000
MINUTE, HOUR, DAY, YEAR = 60, 3600, 86_400, 365 * 86_400
Json = dict[str, Any]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-2, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (2 * MINUTE, "2m"),
        (2 * MINUTE + 1, "2m1s"),
        (10 * MINUTE - 1, "9m59s"),
        (10 * MINUTE, "10m"),
        (3 * HOUR - 1, "179m"),
        (3 * HOUR, "3h"),
        (7 * HOUR + MINUTE, "7h1m"),
        (8 * HOUR + 30 * MINUTE, "8h"),
        (48 * HOUR, "2d"),
        (49 * HOUR, "2d1h"),
        (8 * DAY + HOUR, "8d"),
        (2 * YEAR, "2y"),
        (2 * YEAR - 1, "729d"),
        (3 * YEAR + DAY, "3y1d"),
        (8 * YEAR + DAY, "8y"),
    ],
)
def test_durations_are_written_as_people_read_them(seconds: int, expected: str) -> None:
    assert duration(seconds) == expected


def test_an_object_without_a_birth_has_no_known_age() -> None:
    assert age(None, NOW) == "<unknown>"


def rows(resource: Any, *objects: Json, include: str = "") -> list[Json]:
    table = render(resource, objects, now=NOW, include=include, version="v1", list_metadata={})
    return table["rows"]


def lease(**spec: Any) -> Json:
    return {"kind": "Lease", "metadata": {"name": "l", "creationTimestamp": "2027-01-15T07:59:50Z"}, "spec": spec}


def test_a_lease_shows_its_holder_and_age() -> None:
    assert [row["cells"] for row in rows(LEASES, lease(holderIdentity="h"), lease())] == [
        ["l", "h", "10s"],
        ["l", "", "10s"],
    ]


@pytest.mark.parametrize(
    ("include", "kind"), [("", "PartialObjectMetadata"), ("Metadata", "PartialObjectMetadata"), ("Object", "Lease")]
)
def test_a_row_carries_what_is_asked_for(include: str, kind: str) -> None:
    assert rows(LEASES, lease(), include=include)[0]["object"]["kind"] == kind


def test_a_row_may_carry_nothing() -> None:
    assert rows(LEASES, lease(), include="None")[0]["object"] is None


def test_something_else_in_a_row_is_refused() -> None:
    with pytest.raises(StatusError, match="must be 'Metadata', 'Object', 'None', or empty"):
        rows(LEASES, lease(), include="All")


@pytest.mark.parametrize(
    ("conditions", "spec", "expected"),
    [
        ([], {}, "Unknown"),
        ([{"type": "Ready", "status": "True"}], {}, "Ready"),
        ([{"type": "Ready", "status": "Unknown"}], {}, "NotReady"),
        ([{"type": "Ready", "status": "True"}], {"unschedulable": True}, "Ready,SchedulingDisabled"),
    ],
)
def test_a_node_shows_whether_it_is_ready(conditions: list[Json], spec: Json, expected: str) -> None:
    node = {"metadata": {"name": "n"}, "spec": spec, "status": {"conditions": conditions}}
    assert rows(NODES, node)[0]["cells"][1] == expected


def test_a_node_shows_its_roles_and_addresses() -> None:
    labels = {"node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/edge": "", "kubernetes.io/role": "old"}
    status = {"addresses": [{"type": "InternalIP", "address": "10.0.0.1"}], "nodeInfo": {"kubeletVersion": "v1.37.2"}}
    cells = rows(NODES, {"metadata": {"name": "n", "labels": labels}, "spec": {}, "status": status})[0]["cells"]
    assert cells[2] == "edge,old,worker"
    assert cells[4:7] == ["v1.37.2", "10.0.0.1", "<none>"]
