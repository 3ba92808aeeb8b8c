"""What a Node's status says otherwise than its kubelet would, and the patch that mends it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any

from lease_aio.heartbeat.node.description import conditions_of, healthy_status
from lease_aio.heartbeat.node.profile import NodeKind
from lease_aio.model import Node, NodeAddress, NodeStatus, Time, to_dict

_READY = "Ready"
_SCALES: Mapping[str, Fraction] = {
    **{unit: Fraction(1024) ** (power + 1) for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"))},
    **{unit: Fraction(1000) ** (power + 1) for power, unit in enumerate("kMGTPE")},
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "": Fraction(1),
}
_QUANTITY = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))([A-Za-z]*)([+-]?[0-9]{0,2})", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class Drift:
    """What the API server has otherwise than it should be; heartbeat times do not count.

    Attributes:
        missing: There is no such Node.
        conditions: Types of those whose status, reason or message differ.
        turned: Of them, those whose status does: the time of the transition is now.
        rest: Whether anything else of the status differs.
        labels: Whether one of the two labels is missing or wrong that a kubelet sets again.
    """

    missing: bool = False
    conditions: frozenset[str] = frozenset()
    turned: frozenset[str] = frozenset()
    rest: bool = False
    labels: bool = False

    def with_ready(self, *, turned: bool) -> Drift:
        """The same, and the node's own readiness has changed."""
        ready = frozenset({_READY})
        more = self.turned | ready if turned else self.turned
        return replace(self, conditions=self.conditions | ready, turned=more)


MISSING = Drift(missing=True)
NO_DRIFT = Drift()


def drift_of(node: Node, kind: NodeKind, unready: str) -> Drift | None:
    """How `node` differs from what its kubelet would write; None if it does not.

    Fields, resources and conditions that others have added are theirs.

    Args:
        node: As the API server has it.
        kind: What the kubelet is told to be.
        unready: Why it is not ready; empty if it is.
    """
    different: set[str] = set()
    turned: set[str] = set()
    for kind_of, status, reason, message in conditions_of(unready):
        found = node.status.condition(kind_of)
        if found is None or found.status != status:
            turned.add(kind_of)
        if found is None or (found.status, found.reason, found.message) != (status, reason, message):
            different.add(kind_of)
    rest = not _says(node.status, healthy_status(node.name, kind.profile, 0))
    labels = any(node.metadata.labels.get(key) != value for key, value in _required(kind).items())
    if not (different or rest or labels):
        return None
    return Drift(conditions=frozenset(different), turned=frozenset(turned), rest=rest, labels=labels)


def status_patch(name: str, kind: NodeKind, unready: str, drift: Drift, wall_us: int) -> dict[str, Any]:
    """The body of a strategic merge patch of the status that mends `drift` and tells that the node is alive.

    As a kubelet's it is a strategic merge, without a resourceVersion. Conditions are merged by their type: those of
    others stay, whoever writes at the same time, and there is no conflict to try again for. Nor does it overwrite what
    it does not name: a change that was not seen yet is mended by the next computation, with its own transition time.

    Args:
        name: The node's.
        kind: What it is told to be.
        unready: Why it is not ready; empty if it is.
        drift: What is to be mended.
        wall_us: The node's wall clock, microseconds since the epoch.
    """
    now = str(Time(wall_us))
    conditions: list[dict[str, str]] = []
    for kind_of, status, reason, message in conditions_of(unready):
        entry = {"type": kind_of, "lastHeartbeatTime": now}
        if kind_of in drift.conditions:
            entry |= {"status": status, "reason": reason, "message": message}
        if kind_of in drift.turned:
            entry["lastTransitionTime"] = now
        conditions.append(entry)
    body: dict[str, Any] = {"conditions": conditions}
    if drift.rest:
        wanted = healthy_status(name, kind.profile, 0)
        body |= {
            "capacity": wanted.capacity,
            "allocatable": wanted.allocatable,
            "nodeInfo": wanted.node_info,
            "addresses": [{"$patch": "replace"}, *(to_dict(address) for address in wanted.addresses)],
        }
    return {"status": body, "metadata": {"labels": _required(kind)}} if drift.labels else {"status": body}


def _required(kind: NodeKind) -> dict[str, str]:
    return {key: kind.shared[key] for key in ("kubernetes.io/os", "kubernetes.io/arch")}


def _says(found: NodeStatus, wanted: NodeStatus) -> bool:
    """Whether all that is wanted is there, but for the conditions."""
    return (
        _holds(found.capacity, wanted.capacity)
        and _holds(found.allocatable, wanted.allocatable)
        and _pairs(found.addresses) == _pairs(wanted.addresses)
        and all(found.node_info.get(key) == value for key, value in wanted.node_info.items())
    )


def _pairs(addresses: tuple[NodeAddress, ...]) -> set[tuple[str, str]]:
    return {(one.type, one.address) for one in addresses}


def _holds(found: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether these quantities are there. An API server writes them its own way: 1024Mi comes back as 1Gi."""
    return all(
        resource in found and (found[resource] == amount or _is_same(found[resource], amount))
        for resource, amount in wanted.items()
    )


def _is_same(found: str, wanted: str) -> bool:
    amount = _amount(found)
    return amount is not None and amount == _amount(wanted)


@lru_cache(maxsize=4096)
def _amount(quantity: str) -> Fraction | None:
    match = _QUANTITY.fullmatch(quantity)
    if match is None:
        return None
    number, unit, exponent = match.groups()
    if unit in {"e", "E"} and exponent:
        return Fraction(number) * Fraction(10) ** int(exponent)
    scale = None if exponent else _SCALES.get(unit)
    return None if scale is None else Fraction(number) * scale
