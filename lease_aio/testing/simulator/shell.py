"""The whole client by seed: several real `LeaseClient`s on one store, in virtual time, each with a clock of its own.

What the simulation of the rules alone leaves out is real here: candidates, scheduler, shared watches, cancellation and
clean-up. It is a hundred times slower and has fewer faults: nothing can stand still on a loop that all share, and a
process dies by losing its network and being cancelled. A seed decides everything.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from types import MappingProxyType

import anyio

from lease_aio.api.memory import MemoryApi, Moment
from lease_aio.api.transport import Fault, TransportError
from lease_aio.client import LeaseClient
from lease_aio.election.term import Term
from lease_aio.errors import Call, LeaseAioError, TermLost
from lease_aio.server import LEASES, StatusError, Store
from lease_aio.testing.virtual import WALL_START_US, VirtualClock, run
from lease_aio.timing import Timing

SHELL_FAULTS: Mapping[str, str] = MappingProxyType(
    {
        "request lost": "a request never arrives",
        "answer lost": "the server did it, and nobody hears of it",
        "slow": "a request, an answer or an event of a watch comes late",
        "connection reset": "the connection breaks before the request was done",
        "connection reset after the write": "the connection breaks before the answer",
        "429": "throttled",
        "500": "an error before the write",
        "401": "the token checker is away for a moment",
        "403": "the request is refused",
        "partition": "a machine is cut off",
        "dies": "a process loses its network and is cancelled; another starts later",
        "cancelled": "a process is cancelled; another starts later",
        "work ended": "the work returns",
        "resigned": "a leader gives up",
        "handed over": "a leader gives up in favour of another",
        "label edited": "somebody labels the Lease",
        "wall clock jumped": "a wall clock is set",
    }
)
"""Every fault class, and what it does."""

_ERRORS = {"429": "TooManyRequests", "500": "InternalError", "401": "Unauthorized", "403": "Forbidden"}


class ShellViolation(AssertionError):
    """A promise was broken. The message ends with the timeline."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ShellOutcome:
    """What one seed did.

    Attributes:
        faults: How often each class struck.
        terms: How many bodies ran.
        requests: Sent by all.
        timeline: What happened, one line each.
    """

    faults: Counter[str]
    terms: int
    requests: int
    timeline: str


def simulate_shell(seed: int) -> ShellOutcome:
    """Run one seed of the whole client to its end.

    Raises:
        ShellViolation: two bodies ran at once, a token did not rise, nobody led in the calm, or the Lease was not
            released at the end.
    """
    return run(_Stage(seed).play)


class _Stage:
    """True time, which is the loop's; the store; who works; what goes wrong."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.seed = seed
        self.store = Store(now=WALL_START_US)
        self.faults: Counter[str] = Counter()
        self.terms = self.requests = self.token = 0
        self.storm = True
        self.harshness = self.rng.choice((0.02, 0.1, 0.25))
        self.rho = self.rng.choice((0.0, 0.01, 0.1))
        self.working: _Machine | None = None
        self.lines: list[str] = []
        self.broken = ""

    def hit(self, fault: str, chance: float) -> bool:
        if not self.storm or self.rng.random() >= chance:
            return False
        self.faults[fault] += 1
        return True

    def note(self, who: str, what: str) -> None:
        self.lines.append(f"{anyio.current_time() - self.began:9.3f}  {who:<3} {what}")

    def require(self, kept: object, what: str) -> None:
        """Remembered, not raised: the promise is broken in a task of another's."""
        if not kept and not self.broken:
            self.broken = what
            self.note("-", f"VIOLATION: {what}")
            self.all.cancel()

    async def play(self) -> ShellOutcome:
        self.began = anyio.current_time()
        duration = self.rng.choice((4, 6))
        machines = [_Machine(self, name, duration) for name in "abcd"[: self.rng.randint(2, 4)]]
        with anyio.CancelScope() as self.all:
            async with anyio.create_task_group() as tasks:
                for machine in machines:
                    tasks.start_soon(machine.live)
                await self._weather(machines)
                await self._calm(machines, duration)
                tasks.cancel_scope.cancel()
        if self.broken:
            raise ShellViolation(f"seed {self.seed}: {self.broken}\n" + "\n".join(self.lines[-60:]))
        return ShellOutcome(
            faults=self.faults, terms=self.terms, requests=self.requests, timeline="\n".join(self.lines)
        )

    async def _weather(self, machines: list[_Machine]) -> None:
        until = anyio.current_time() + self.rng.uniform(20, 50)
        while anyio.current_time() < until:
            await anyio.sleep(self.rng.expovariate(1.0))
            self._strike(self.rng.choice(machines))

    def _strike(self, machine: _Machine) -> None:
        fault = self.rng.choice(("partition", "dies", "cancelled", "resigned", "handed over", "label", "wall"))
        leads = machine.term is not None
        if fault in {"partition", "dies", "cancelled"} and self.hit(fault, 0.5):
            self.note(machine.name, fault)
            machine.strike(fault)
        elif fault == "resigned" and leads and self.hit(fault, 1):
            machine.resign("")
        elif fault == "handed over" and leads and self.hit(fault, 1):
            machine.resign(self.rng.choice([name for name in "abcd" if name != machine.name]))
        elif fault == "label":
            self._label()
        elif fault == "wall" and self.hit("wall clock jumped", 0.5):
            machine.clock.step_wall(self.rng.uniform(-1000, 1000))

    def _label(self) -> None:
        stored = self.store.find(LEASES, "default", "x")
        if stored is not None and self.hit("label edited", 1):
            labels = {"edited": str(self.store.resource_version)}
            body = {**stored, "metadata": {**stored["metadata"], "labels": labels}}
            self.store.replace(LEASES, "default", "x", body, now=WALL_START_US)

    async def _calm(self, machines: list[_Machine], duration: int) -> None:
        self.note("-", "calm")
        self.storm = False
        for machine in machines:
            machine.cut_until = -math.inf
        patience_s = (2 * duration * (1 + self.rho) + 8 * duration / 5) / (1 - self.rho) + 10
        with anyio.move_on_after(patience_s):
            await anyio.sleep(duration / 2)  # for those told to stop just now
            while self.working is None or self.working.term is None or not self.working.term.valid_for():  # noqa: ASYNC110
                await anyio.sleep(0.25)
        self.require(self.working is not None, "nobody leads, faults or not")
        leader, token = self.working, self.token
        await anyio.sleep(2.2 * duration)
        self.require(self.working is leader and self.token == token, "the leader changed in the calm")

    # ------------------------------------------------------------------ the work

    def begins(self, machine: _Machine, term: Term) -> None:
        self.note(machine.name, f"LEADS: token {term.token}, transitions {term.transitions}")
        self.terms += 1
        self.require(self.working is None, "two bodies run at once")
        self.require(term.token > self.token, f"token {term.token} after {self.token}")
        self.token = max(self.token, term.token)
        self.working, machine.term = machine, term

    def ended(self, machine: _Machine) -> None:
        self.note(machine.name, "work stopped")
        machine.term = None
        if self.working is machine:
            self.working = None


class _Machine:
    """One process after another on one machine: a client, a candidate, work."""

    def __init__(self, stage: _Stage, name: str, duration: int) -> None:
        self.stage, self.name = stage, name
        rho = stage.rho
        self._rate = 1 + rho * stage.rng.choice((-1.0, 1.0, stage.rng.uniform(-1, 1)))
        self.clock = VirtualClock(rate=self._rate, offset_s=stage.rng.uniform(0, 1e6))
        self.timing = Timing(
            lease_duration_s=duration,
            renew_interval_s=duration / 6,
            request_timeout_s=duration / 5,
            stop_grace_s=duration / 8,
            clock_error=rho,
            retry_interval_s=duration / 15,
        )
        self.term: Term | None = None
        self.cut_until = -math.inf
        self._process = anyio.CancelScope()

    async def live(self) -> None:
        """Until cancelled."""
        while True:
            with anyio.CancelScope() as self._process:
                await self._contend()
            await anyio.sleep(self.stage.rng.uniform(0, self.timing.lease_duration_s / 2))

    async def _contend(self) -> None:
        api = MemoryApi(self.stage.store, wall_us=self.clock.wall_us, faults=self._network, timeout_s=3.0)
        rng = self.stage.rng
        async with LeaseClient(api, identity=self.name, clock=self.clock, random=rng.random) as leases:
            try:
                async for term in leases.terms("x", timing=self.timing):
                    async with term:
                        await self._work(term)
            except LeaseAioError as error:
                self.stage.note(self.name, f"gives up: {type(error).__name__}")

    async def _work(self, term: Term) -> None:
        rng, stage = self.stage.rng, self.stage
        stage.begins(self, term)
        try:
            while not stage.hit("work ended", 0.02):
                await anyio.sleep(rng.uniform(0.05, 0.5))
                term.check()
        except TermLost:
            stage.require(False, "work that may run finds its term lost")  # noqa: FBT003
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(rng.choice((rng.random(), 0.999)) * self.timing.stop_grace_s / self._rate)
            stage.ended(self)

    # ------------------------------------------------------------------ trouble

    def strike(self, fault: str) -> None:
        now = anyio.current_time()
        if fault != "cancelled":
            self.cut_until = now + self.stage.rng.uniform(0.1, 2) * self.timing.lease_duration_s
        if fault != "partition":
            self._process.cancel()

    def resign(self, successor: str) -> None:
        assert self.term is not None
        if successor:
            self.term.transfer_to(successor)
        else:
            self.term.resign()

    async def _network(self, moment: Moment, call: Call) -> None:
        stage, p = self.stage, self.stage.harshness
        before = moment is Moment.BEFORE
        stage.requests += before
        if anyio.current_time() < self.cut_until:
            await anyio.sleep(self.cut_until - anyio.current_time())
            if before:
                raise TransportError(Fault.BROKEN, "cut off", sent=False)
        if stage.hit("slow", p / 2):
            await anyio.sleep(stage.rng.uniform(0, self.timing.request_timeout_s * 1.3))
        if before:
            await self._on_the_way(p)
        elif call.verb != "watch":
            await self._on_the_way_back(p)

    async def _on_the_way(self, p: float) -> None:
        hit = self.stage.hit
        if hit("request lost", p / 3):
            await anyio.sleep_forever()
        if hit("connection reset", p / 4):
            raise TransportError(Fault.BROKEN, "reset", sent=True)
        for code, chance in (("429", p / 4), ("500", p / 4), ("401", p / 20), ("403", p / 40)):
            if hit(code, chance):
                raise StatusError(int(code), _ERRORS[code], "by dice")

    async def _on_the_way_back(self, p: float) -> None:
        if self.stage.hit("answer lost", p / 3):
            await anyio.sleep_forever()
        if self.stage.hit("connection reset after the write", p / 4):
            raise TransportError(Fault.BROKEN, "reset", sent=True)
