"""Nodes of a fleet in the caller's hand: one of them, or those that a selector chose; and what can be done to them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping

from lease_aio.errors import ApiError, ConfigurationError
from lease_aio.heartbeat.fleet.choose import choose
from lease_aio.heartbeat.fleet.control import Control, check_s
from lease_aio.heartbeat.states import NodeState, checked_reason
from lease_aio.model import Lease


class Verbs(ABC):
    """What can be done to nodes while they run.

    Each verb returns the names of those that it changed, changes nothing where it is so already, and passes over those
    that have left the fleet. Different things may be done to one node at once; each is undone by its own counterpart,
    or all by `heal`. A request that was handed to the connection before may still arrive, as with a real machine.

    A verb is done when it returns, and nothing else runs meanwhile: some microseconds a node. See `Selection.parts`.
    """

    def __init__(self, control: Control) -> None:
        self._control = control

    @abstractmethod
    def _meant(self) -> tuple[str, ...]:
        """Whom a verb is about."""

    def silence(self) -> tuple[str, ...]:
        """Cut them off from the API server: neither leases nor status are sent until `revive`.

        The control plane sees a silent node, whether it is partitioned or has lost its power.
        """
        return self._control.silence(self._meant())

    def revive(self, *, over_s: float = 0.0) -> tuple[str, ...]:
        """Let the silent send again. Each starts with a read, as a kubelet does whose renewals have failed.

        Args:
            over_s: Spread that over so many seconds; 0 for at once.

        Raises:
            ConfigurationError: no such time.
        """
        return self._control.revive(self._meant(), check_s("over_s", over_s))

    def pause(self) -> tuple[str, ...]:
        """Let their processes stand still, as SIGSTOP or a frozen machine does, until `resume`."""
        return self._control.pause(self._meant())

    def resume(self) -> tuple[str, ...]:
        """Let the paused go on where they were, without a read: what has become due meanwhile is done at once."""
        return self._control.resume(self._meant())

    def slow(self, delay_s: float) -> tuple[str, ...]:
        """Hold each of their requests for so long before it is sent; it then carries the time at which it was made.

        It takes no room of other nodes while it is held. A kubelet waits for an answer no longer than 10 s: one that is
        held for longer is a timeout, and was never sent. 0 ends it, but for what is held already.

        Raises:
            ConfigurationError: no such time.
        """
        return self._control.slow(self._meant(), check_s("delay_s", delay_s))

    def skew(self, offset_s: float, *, drift: float = 0.0) -> tuple[str, ...]:
        """Set their wall clocks wrong: renewTime and the times in conditions are off, when they renew is not.

        Args:
            offset_s: By so many seconds from now on; negative for a clock that was set back. 0 ends it.
            drift: And by so many more after each true second. A clock stops at the years 1 and 9999.

        Raises:
            ConfigurationError: a number that is none.
        """
        return self._control.skew(self._meant(), _finite("offset_s", offset_s), _finite("drift", drift))

    def crash(self) -> tuple[str, ...]:
        """End their processes, until `restart`: nothing is sent, and all that was remembered is forgotten.

        What is wrong with the machine stays: its clock, its network, its readiness.
        """
        return self._control.crash(self._meant())

    def restart(self, *, down_s: float = 0.0, over_s: float = 0.0) -> tuple[str, ...]:
        """Start the processes of those that have crashed, and end and start those of the others.

        Args:
            down_s: For how long from now they are down.
            over_s: Spread the starts over so many seconds after that.

        Raises:
            ConfigurationError: no such time.
        """
        return self._control.restart(self._meant(), check_s("down_s", down_s), check_s("over_s", over_s))

    def unready(self, reason: str = "SimulatedFailure") -> tuple[str, ...]:
        """Let them report Ready=False from their next computation of the status on: within about 10 s.

        Args:
            reason: One word in CamelCase, as in `KubeletNotReady`.

        Raises:
            ConfigurationError: this fleet reports no status; or no such word.
        """
        return self._control.unready(self._meant(), checked_reason(reason))

    def ready(self) -> tuple[str, ...]:
        """Let them report Ready=True again, likewise.

        Raises:
            ConfigurationError: this fleet reports no status.
        """
        return self._control.unready(self._meant(), "")

    def heal(self) -> tuple[str, ...]:
        """Undo all that was done to them. Returns those to whom something was."""
        return self._control.heal(self._meant())


class SimNode(Verbs):
    """One node of a fleet. A light handle, made when it is asked for.

    Attributes:
        name: The node's.
    """

    def __init__(self, control: Control, name: str) -> None:
        super().__init__(control)
        self.name = name

    def __repr__(self) -> str:
        return f"<SimNode {self.name}>"

    @property
    def state(self) -> NodeState:
        """How it does now. This and what follows raise KeyError once the node has left the fleet."""
        return self._control.state(self.name)

    @property
    def labels(self) -> dict[str, str]:
        """Those that the fleet gives it, and that `select` looks at."""
        return self._control.nodes[self.name].kind.labels(self.name)

    @property
    def lease(self) -> Lease | None:
        """Its lease as last confirmed, but for renewTime and duration; None before that."""
        return self._control.nodes[self.name].beat.renewer.lease

    @property
    def last_renewed(self) -> float | None:
        """When a write was last confirmed, on the clock's `now()`; None before that, and after a stop."""
        return self._control.nodes[self.name].beat.renewal.last_success

    @property
    def last_error(self) -> ApiError | None:
        """What its last request met, if that failed; None again after one that did not."""
        return self._control.nodes[self.name].beat.last_error

    def _meant(self) -> tuple[str, ...]:
        return (self.name,)


class SimNodes(Mapping[str, SimNode]):
    """All nodes of a fleet, by name, as they are at each moment."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def __getitem__(self, name: str) -> SimNode:
        if name not in self._control.nodes:
            raise KeyError(name)
        return SimNode(self._control, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._control.nodes)

    def __len__(self) -> int:
        return len(self._control.nodes)


class Selection(Verbs, Collection[str]):
    """Some nodes of a fleet, fixed when they were selected.

    Attributes:
        names: Theirs.
    """

    def __init__(self, control: Control, names: tuple[str, ...]) -> None:
        super().__init__(control)
        self.names = names

    def __repr__(self) -> str:
        return f"<Selection of {len(self.names)} nodes>"

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def sample(self, *, count: int | None = None, fraction: float | None = None) -> Selection:
        """Some of them, at random.

        Args:
            count: So many, or all if there are fewer.
            fraction: Such a part instead, from 0 to 1.

        Raises:
            ConfigurationError: a number out of range, or not exactly one of the two.
        """
        names = choose(self.names, count=count, fraction=fraction, random=self._control.random)
        return Selection(self._control, names)

    def parts(self, most: int = 1000) -> Iterator[Selection]:
        """The same nodes a thousand at a time, so that others get their turn between two parts.

            for part in fleet.select().parts():
                part.crash()
                await anyio.sleep(0)

        Args:
            most: So many in one part.

        Raises:
            ConfigurationError: less than one.
        """
        if most < 1:
            raise ConfigurationError(f"most={most!r} must be 1 or more nodes in a part")
        starts = range(0, len(self.names), most)
        return (Selection(self._control, self.names[start : start + most]) for start in starts)

    def in_state(self, *states: NodeState) -> Selection:
        """Those of them that are in one of these states now."""
        among = (name for name in self.names if name in self._control.nodes)
        return Selection(self._control, tuple(name for name in among if self._control.state(name) in states))

    def _meant(self) -> tuple[str, ...]:
        return self.names


def _finite(what: str, number: float) -> float:
    if not math.isfinite(number):
        raise ConfigurationError(f"{what}={number!r} must be a finite number of seconds")
    return number
