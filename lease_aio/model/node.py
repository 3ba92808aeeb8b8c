"""The parts of `Node` and `Namespace` (core v1) that heartbeats need; the rest is kept in `extra`."""

from __future__ import annotations

import msgspec

from lease_aio.model.meta import KubeObject
from lease_aio.model.times import Time
from lease_aio.model.wire import Wire, always


class Taint(Wire, frozen=True, kw_only=True):
    """What keeps pods off a node."""

    key: str
    effect: str
    value: str = ""
    time_added: Time | None = None


class NodeSpec(Wire, frozen=True, kw_only=True):
    """What is asked of a node."""

    provider_id: str = msgspec.field(default="", name="providerID")
    unschedulable: bool = False
    taints: tuple[Taint, ...] = ()


class NodeCondition(Wire, frozen=True, kw_only=True):
    """One condition; `type` `Ready` with status `True` is what makes a node available."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_heartbeat_time: Time | None = None
    last_transition_time: Time | None = None


class NodeAddress(Wire, frozen=True, kw_only=True):
    """An address such as `InternalIP` or `Hostname`."""

    type: str
    address: str


class NodeStatus(Wire, frozen=True, kw_only=True):
    """What a node says of itself."""

    capacity: dict[str, str] = {}
    allocatable: dict[str, str] = {}
    conditions: tuple[NodeCondition, ...] = ()
    addresses: tuple[NodeAddress, ...] = ()
    node_info: dict[str, str | dict[str, str | int] | None] = {}

    def condition(self, kind: str) -> NodeCondition | None:
        """The condition of that type, if there is one."""
        return next((c for c in self.conditions if c.type == kind), None)


class Node(KubeObject, frozen=True, kw_only=True):
    """A node of the cluster."""

    api_version: str = always("v1")
    kind: str = always("Node")
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()


class Namespace(KubeObject, frozen=True, kw_only=True):
    """A namespace; only its metadata is typed."""

    api_version: str = always("v1")
    kind: str = always("Namespace")
