"""What can be done to the nodes of a fleet while it runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import wraps
from typing import Concatenate, ParamSpec

from lease_aio.errors import ConfigurationError
from lease_aio.heartbeat.fleet.hollow import Hollow
from lease_aio.heartbeat.sender import BeatGroup
from lease_aio.heartbeat.states import NodeState, Trouble, state_of
from lease_aio.scheduler import Renewal, Scheduler, spread
from lease_aio.scheduler.renewal import State

_SWEEP_ABOVE = 256  # at most so many requests of processes that have crashed are under way

P = ParamSpec("P")


def _at_once(
    verb: Callable[Concatenate[Control, P], Iterator[str]],
) -> Callable[Concatenate[Control, P], tuple[str, ...]]:
    """Do it to all of them, and return the names that it changed."""

    @wraps(verb)
    def done(self: Control, /, *args: P.args, **options: P.kwargs) -> tuple[str, ...]:
        return tuple(verb(self, *args, **options))

    return done


class Control:
    """Does to nodes, by name, what `Verbs` promises. Names that are not there (any more) are passed over.

    Args:
        group: What their beats share.
        scheduler: Drives them.
        nodes: By name; the fleet's own, which changes.
        random: Uniform in [0, 1): chooses.
        status: Whether they report a status, too.
    """

    def __init__(
        self,
        group: BeatGroup,
        scheduler: Scheduler,
        nodes: Mapping[str, Hollow],
        random: Callable[[], float],
        *,
        status: bool,
    ) -> None:
        self._group = group
        self._scheduler = scheduler
        self._nodes = nodes
        self._leaving: set[Renewal] = set()
        self._status = status
        self.random = random

    @property
    def nodes(self) -> Mapping[str, Hollow]:
        """As given."""
        return self._nodes

    def state(self, name: str) -> NodeState:
        """The state of a node. Raises KeyError if it is not there."""
        return state_of(self._nodes[name].beat.renewal, self._group.troubles.get(name), self._group.clock.now())

    @_at_once
    def silence(self, names: Iterable[str]) -> Iterator[str]:
        """Send nothing."""
        for name, trouble in self._troubled(names, lambda one: not one.silenced):
            trouble.silenced = trouble.rereads = True
            self._stop(name)
            yield name

    @_at_once
    def revive(self, names: Iterable[str], over_s: float) -> Iterator[str]:
        """Send again."""
        chosen = [(name, one) for name, one in self._known(names) if one is not None and one.silenced]
        for (name, trouble), phase_s in zip(chosen, _phases(len(chosen), over_s), strict=True):
            trouble.silenced = False
            self._go_on(name, trouble, phase_s)
            yield name

    @_at_once
    def pause(self, names: Iterable[str]) -> Iterator[str]:
        """Stand still."""
        now = self._group.clock.now()
        runs = (None, NodeState.SILENCED)
        for name, trouble in self._troubled(names, lambda one: one.state(now) in runs):
            trouble.paused = True
            self._stop(name)
            yield name

    @_at_once
    def resume(self, names: Iterable[str]) -> Iterator[str]:
        """Stand still no more."""
        for name, trouble in self._known(names):
            if trouble is not None and trouble.paused:
                trouble.paused = False
                self._go_on(name, trouble, 0.0)
                yield name

    @_at_once
    def slow(self, names: Iterable[str], delay_s: float) -> Iterator[str]:
        """Hold each request."""
        for name, trouble in self._troubled(names, lambda one: one.delay_s != delay_s):
            trouble.delay_s = delay_s
            self._group.settle(name, trouble)
            yield name

    @_at_once
    def skew(self, names: Iterable[str], offset_s: float, drift: float) -> Iterator[str]:
        """Set the clock wrong."""
        now = self._group.clock.now()
        wanted = (offset_s, drift)
        for name, trouble in self._troubled(names, lambda one: (one.offset_s, one.drift) != wanted):
            trouble.offset_s, trouble.drift = wanted
            trouble.skewed_at = now
            self._group.settle(name, trouble)
            yield name

    @_at_once
    def crash(self, names: Iterable[str]) -> Iterator[str]:
        """End the process."""
        for name, trouble in self._troubled(names, lambda one: not one.crashed):
            trouble.crashed = True
            self._crash(name, trouble)
            yield name

    @_at_once
    def restart(self, names: Iterable[str], down_s: float, over_s: float) -> Iterator[str]:
        """End the process if it runs, and start it again."""
        now = self._group.clock.now()
        chosen = [name for name, _ in self._known(names)]
        for name, phase_s in zip(chosen, _phases(len(chosen), over_s), strict=True):
            trouble = self._group.troubles.setdefault(name, Trouble())
            self._crash(name, trouble)
            trouble.crashed = False
            trouble.starts_at = now + down_s + phase_s
            self._go_on(name, trouble, 0.0)
            yield name

    @_at_once
    def unready(self, names: Iterable[str], reason: str) -> Iterator[str]:
        """Report Ready=False for that reason, or Ready=True where it is empty."""
        if not self._status:
            raise ConfigurationError("this fleet reports no status, so readiness means nothing: give status=True")
        for name, trouble in self._troubled(names, lambda one: one.unready != reason):
            trouble.unready = reason
            self._group.settle(name, trouble)
            self._readiness_changed(name)
            yield name

    @_at_once
    def heal(self, names: Iterable[str]) -> Iterator[str]:
        """Undo all."""
        for name, trouble in self._known(names):
            if trouble is None:
                continue
            trouble.delay_s = trouble.offset_s = trouble.drift = 0.0
            trouble.unready = ""
            trouble.silenced = trouble.paused = trouble.crashed = False
            now = self._group.clock.now()
            if now < trouble.starts_at:
                trouble.starts_at = -math.inf
                for sender in self._nodes[name].senders:
                    self._scheduler.change(sender.renewal, due=now)
            self._go_on(name, trouble, 0.0)
            self._readiness_changed(name)
            yield name

    def forget(self, node: Hollow) -> None:
        """The node has left the fleet: send nothing more for it."""
        self._group.troubles.pop(node.beat.name, None)
        self._end(node)

    async def drain(self) -> None:
        """Wait until nothing is under way for nodes that have left, and processes that have crashed."""
        for renewal in tuple(self._leaving):
            await self._scheduler.drain(renewal)
        self._leaving.clear()

    def _known(self, names: Iterable[str]) -> Iterator[tuple[str, Trouble | None]]:
        return ((name, self._group.troubles.get(name)) for name in tuple(names) if name in self._nodes)

    def _troubled(self, names: Iterable[str], changes: Callable[[Trouble], bool]) -> Iterator[tuple[str, Trouble]]:
        """Those for which that changes anything, each with an entry in the table."""
        for name, known in self._known(names):
            trouble = known or Trouble()
            if changes(trouble):
                self._group.troubles[name] = trouble
                yield name, trouble

    def _stop(self, name: str) -> None:
        """What is under way ends by itself, and leaves the scheduler then."""
        for sender in self._nodes[name].senders:
            if sender.renewal.state is not State.IN_FLIGHT:
                self._scheduler.remove(sender.renewal)

    def _crash(self, name: str, trouble: Trouble) -> None:
        node = self._nodes[name]
        trouble.renewed_at = node.beat.renewal.last_success or trouble.renewed_at
        trouble.paused = trouble.rereads = False
        trouble.starts_at = -math.inf
        self._end(node)
        node.reborn(self._group.clock.now())

    def _end(self, node: Hollow) -> None:
        for sender in node.senders:
            self._group.held.pop(sender, None)
            self._scheduler.remove(sender.renewal)
            if sender.renewal.state is State.LEAVING:
                self._leaving.add(sender.renewal)
        if len(self._leaving) > _SWEEP_ABOVE:
            self._leaving = {one for one in self._leaving if one.state is State.LEAVING}

    def _go_on(self, name: str, trouble: Trouble, phase_s: float) -> None:
        """Let it run, unless something else stops it still, or nothing had stopped it for good yet."""
        if not trouble.stopped:
            earliest = max(self._group.clock.now(), trouble.starts_at) + phase_s
            reconnects = trouble.rereads
            for sender in self._nodes[name].senders:
                if sender.renewal.state is State.IDLE:
                    sender.goes_on(sender.reconnects(earliest) if reconnects else sender.resumes(earliest))
                    self._scheduler.add(sender.renewal)
            # a request for the lease that is under way reads that, and reads the lease after it
            trouble.rereads = reconnects and self._nodes[name].beat.renewal.state is State.IN_FLIGHT
        self._group.settle(name, trouble)

    def _readiness_changed(self, name: str) -> None:
        status = self._nodes[name].status
        if status is not None:
            status.readiness_changed()


def _phases(count: int, over_s: float) -> Iterator[float]:
    """So many phases, spread over so many seconds."""
    return (spread(number, over_s) if over_s else 0.0 for number in range(count))


def check_s(what: str, seconds: float) -> float:
    """The seconds themselves, if they can be waited for.

    Raises:
        ConfigurationError: they are no number, negative or infinite.
    """
    if not 0 <= seconds < math.inf:
        raise ConfigurationError(f"{what}={seconds!r} must be zero or more seconds")
    return seconds
