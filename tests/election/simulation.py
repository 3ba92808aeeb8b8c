"""Several real `Election` cores against one store, in simulated true time: everything that can go wrong, by seed.

Each candidate has a clock of its own (any offset, a rate wrong by up to ρ), its own durations, its own way to the
server and its own watch. The store compares and swaps and knows one resourceVersion. After a storm of faults comes
a calm, in which somebody must come to lead, and stay. `simulate` returns what happened, or raises `Violation` with a
timeline. Two kinds of promises are checked: the rules that the core obeys (a term is not valid beyond its last
committed write, no release while work runs, …), and what they are for, their consequences (no two works overlap, tokens
rise, nobody's Lease is released by another, somebody leads, requests are few).

Two faults are beyond what any rule on a Lease can outlast, since they take away what the others wait for: a holder
blanked by hand, and a Lease deleted. There only this is checked: the undermined term may overlap with later ones, yet
never with one of a candidate that knew of the Lease, found it gone and created it anew (`Client.ignorant_since`), as
long as its own duration is not the shorter one: that of a holder it never saw it cannot know.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from lease_aio.election.core import Election, Failure, Kind, Request
from lease_aio.election.events import Ended, Event, Started, Stopping, TermRecord
from lease_aio.model import Lease
from lease_aio.timing import Timing

_NETWORK = {"lost request", "lost answer", "slow answer", "write landed late", "partition", "watch gap", "slow watch"}
_SERVER = {"throttled", "error after the write", "refused", "conflict", "polling"}
_OUTAGES = ("outage: throttled", "outage: refused", "outage: writes break")
_HANDS = {"label edited", "holder blanked", "deleted"}
_PROCESS = {"crash", "restart with the same identity", "restart with a fresh identity", "twin identity", "resigned"}
_HOST = {"work ended", "slow to stop", "wall clock jumped"}
FAULTS = _NETWORK | _SERVER | {*_OUTAGES} | _HANDS | _PROCESS | _HOST
BURST = 45  # requests of one candidate in ten retry intervals
UNCONDITIONAL = "*"  # the version of a write that no store would compare; only a mutant sends it
_EVENTS = 20_000
_SLACK = 1e-6


class Violation(AssertionError):
    """A promise was broken. The message ends with the timeline."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What one seed did."""

    faults: Counter[str]
    terms: int
    requests: int
    simulated_s: float
    burst: int  # most requests of one candidate in ten of its retry intervals
    calm_s: float  # how long the calm lasted before somebody led


@dataclass(kw_only=True, slots=True)
class Tenancy:
    """One winning write, as the server saw it."""

    owner: Election
    duration_s: int
    acquired_at: float
    created: bool
    ignorant_since: float  # of its candidate
    blanked: bool = False
    deleted: bool = False


class Client:
    """One candidate: its clock, its core, its work, its watch."""

    def __init__(self, sim: Simulation, name: str, identity: str, rho: float) -> None:
        rng = self.rng = sim.rng
        self.sim, self.name, self.identity = sim, name, identity
        duration = rng.choice((4, 6, 10))
        self.timing = Timing(
            lease_duration_s=duration,
            renew_interval_s=duration / rng.choice((5, 6, 8)),
            request_timeout_s=duration / rng.choice((4, 6, 8)),
            stop_grace_s=duration * rng.choice((0.05, 0.2)),
            clock_error=rho,
            retry_interval_s=duration / 15,
        )
        self.rate = 1 + rho * rng.choice((-1, 1, rng.uniform(-1, 1)))
        self.offset, self.wall_offset = rng.uniform(-1e4, 1e4), rng.uniform(-1e4, 1e4)
        self.cut_until = self.deaf_until = -math.inf
        self.answers_only = False
        self.renew_core()

    def renew_core(self) -> None:
        """A new process."""
        self.core = self.sim.election(
            name="x", namespace="default", identity=self.identity, timing=self.timing, random=self.rng.random
        )
        self.core.polling = self.sim.hit("polling", 0.2)
        self.alive, self.working, self.tenancy = True, None, None
        self.floor, self.heard_until = -math.inf, self.sim.now
        self.candidacy, self.armed, self.waits_for = 0, math.inf, None
        self.last_sent = -math.inf  # of the newest write of this process that was committed
        self.last_stamp = 0
        self.sent: deque[float] = deque()
        self.let_go_at = -math.inf  # when the Lease under its own term was deleted: what it knew is void
        self.ignorant_since = -math.inf  # before this, no tenancy escaped its notice
        self.contend()

    working: TermRecord | None
    tenancy: Tenancy | None
    waits_for: Request | None

    def now(self) -> float:
        self.floor = max(self.floor, self.offset + self.rate * self.sim.now)
        return self.floor

    def after(self, local_s: float, action: Callable[..., None], *args: Any) -> None:
        """Do that after so many seconds of this candidate's clock, unless the process is another one by then."""
        core = self.core

        def act() -> None:
            if self.alive and self.core is core:
                action(*args)

        self.sim.at(self.sim.now + local_s / self.rate, act)

    # ------------------------------------------------------------------ the shell

    def contend(self) -> None:
        self.core.contend(self.now())
        self.candidacy += 1
        self.step(())

    def step(self, events: tuple[Event, ...]) -> None:
        """Perform the events, send what is due, set the timer; as the shell does."""
        core, now = self.core, self.now()
        for event in (*events, *core.expire(now)):
            self.perform(event)
        request = core.tick(now, int((now + self.wall_offset) * 1e6) + 10**15)
        if request is not None:
            self.sim.send(self, request)
        self.check(now)
        wake = min(core.due, core.valid_until if core.leading and core.valid_until > now else math.inf)
        if wake != self.armed:
            self.armed = wake
            if wake < math.inf:
                self.after(max(0.0, wake - now), self.wake, wake)

    def wake(self, local: float) -> None:
        if local == self.armed:
            self.armed = math.inf
            self.floor = max(self.floor, local)  # a timer is never early
            self.step(())

    def perform(self, event: Event) -> None:
        self.sim.note(self, event)
        match event:
            case Started():
                self.working = event.term
                self.sim.started(self, event.term)
            case Stopping() if self.working is not None:
                grace = self.timing.stop_grace_s
                slow = self.sim.hit("slow to stop", 0.5)
                self.after(grace if slow else self.rng.uniform(0, grace), self.stop_work)
            case Ended():
                self.after(self.rng.uniform(0, self.timing.renew_interval_s), self.contend)

    def stop_work(self) -> None:
        self.sim.note(self, "work stopped")
        self.working = None
        self.leave(self.core.work_stopped)

    def leave(self, how: Callable[[float], tuple[Event, ...]]) -> None:
        candidacy = self.candidacy

        def give_up() -> None:
            if self.candidacy == candidacy and self.working is None and not self.core.leading:
                self.step(self.core.abandon())

        self.step(how(self.now()))
        self.after(2 * self.timing.request_timeout_s, give_up)

    def hears(self) -> bool:
        """There is a watch, and it stands."""
        return self.alive and not self.core.polling and self.sim.now >= max(self.cut_until, self.deaf_until)

    def sees(self, lease: Lease | None, at: float) -> None:
        """What this process knows of the Lease's existence from here on."""
        if lease is not None and at >= self.let_go_at:
            self.ignorant_since = math.inf
        elif lease is None and self.core.leading:
            self.ignorant_since, self.let_go_at = -math.inf, at
        elif lease is None and self.ignorant_since == math.inf:
            self.ignorant_since = at

    def learns_from(self, request: Request, lease: Lease | None, at: float | None) -> None:
        """An outcome is told, with the Lease as it was `at` that time; one of an abandoned request tells nothing."""
        if self.waits_for is request:
            self.waits_for = None
            if at is not None:
                self.sees(lease, at)

    def check(self, now: float) -> None:
        core = self.core
        if core.leading:
            latest = self.last_sent + self.timing.term_length_s
            self.sim.rule(core.valid_until <= latest + _SLACK, self, "valid beyond its last committed write")
            self.sim.rule(now < core.valid_until, self, "leads after its term")
            self.sim.rule(core.holder == self.identity, self, "leads while it knows of another holder")
        self.sim.rule(core.leading <= (self.working is not None), self, "leads without work")

    def count(self, now: float) -> None:
        self.sent.append(now)
        while self.sent[0] < now - 10 * self.timing.retry_interval_s:
            self.sent.popleft()
        self.sim.burst = max(self.sim.burst, len(self.sent))
        self.sim.promise(len(self.sent) <= BURST, self, f"more than {BURST} requests in ten retry intervals")


class Simulation:
    """True time, the store, the network, and who makes trouble."""

    def __init__(self, seed: int, election: type[Election], *, consequences_only: bool) -> None:
        rng = self.rng = Random(seed)
        self.seed, self.election, self.consequences_only = seed, election, consequences_only
        self.now, self.order = 0.0, 0
        self.queue: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self.lease: Lease | None = None
        self.version = rng.randrange(1, 1000)
        self.tenancies: dict[object, Tenancy] = {}
        self.token = self.terms = self.requests = self.burst = 0
        self.faults: Counter[str] = Counter()
        self.timeline: list[tuple[float, str, object]] = []
        self.storm_until = rng.uniform(30, 90)
        self.outage, self.outage_until = "", -math.inf
        self.leader, self.leader_since = 0, math.inf
        self.harshness = rng.choice((0.02, 0.1, 0.3))
        self.sabotage = rng.choice(("", "", "", "holder blanked", "deleted"))
        rho = rng.choice((0.0, 0.01, 0.1, 0.25))
        twins = self.hit("twin identity", 0.1)
        self.clients: list[Client] = []
        for name in "abcd"[: rng.randint(2, 4)]:
            self.clients.append(Client(self, name, "twin" if twins else name, rho))
        longest = max(c.timing.lease_duration_s for c in self.clients)
        requests = max(c.timing.request_timeout_s for c in self.clients)
        self.patience = longest * (1 + rho) / (1 - rho) + 8 * requests / (1 - rho)
        self.steady = 1.2 * longest / (1 - rho)
        self.at(rng.expovariate(0.2), self.trouble)
        self.at(self.storm_until, self.calm)

    # ------------------------------------------------------------------ time and dice

    def at(self, when: float, action: Callable[..., None], *args: Any) -> None:
        self.order += 1
        heapq.heappush(self.queue, (when, self.order, action, args))

    def hit(self, fault: str, chance: float) -> bool:
        """Whether that fault strikes here; none does in the calm."""
        if self.now >= self.storm_until or self.rng.random() >= chance:
            return False
        self.faults[fault] += 1
        return True

    def note(self, client: Client | None, what: object) -> None:
        self.timeline.append((self.now, client.name if client is not None else "-", what))

    def rule(self, kept: object, client: Client | None, what: str) -> None:
        """A promise that only serves the others."""
        self.promise(kept or self.consequences_only, client, what)

    def promise(self, kept: object, client: Client | None, what: str) -> None:
        if not kept:
            self.note(client, f"VIOLATION: {what}")
            raise Violation(f"seed {self.seed}: {what}\n{self.told()}")

    def told(self) -> str:
        return "\n".join(f"{at:9.3f} {who} {_tell(what)}" for at, who, what in self.timeline[-60:])

    def run(self) -> Outcome:
        while self.queue:
            self.promise(self.order < _EVENTS, None, "it goes round in circles")
            self.now, _, action, args = heapq.heappop(self.queue)
            action(*args)
            if self.now >= self.storm_until and self.settled():
                break
        return Outcome(
            faults=self.faults,
            terms=self.terms,
            requests=self.requests,
            simulated_s=self.now,
            burst=self.burst,
            calm_s=self.leader_since - self.storm_until,
        )

    def settled(self) -> bool:
        """In the calm: somebody has led for more than a term without a break."""
        leading = next((c.working.token for c in self.clients if c.working and c.core.leading), 0)
        if leading != self.leader:
            self.leader, self.leader_since = leading, self.now
        since = self.leader_since if leading else math.inf
        late = self.storm_until + self.patience + (self.steady if leading else 0)
        self.promise(self.now < late or since + self.steady <= self.now, None, "nobody leads for good, faults or not")
        return since + self.steady <= self.now

    # ------------------------------------------------------------------ the network

    def send(self, client: Client, request: Request) -> None:
        self.requests += 1
        self.note(client, request)
        now = client.now()
        client.count(now)
        self.rule(request.kind is not Kind.RELEASE or client.working is None, client, "releases while work runs")
        if request.lease is not None and request.lease.spec.renew_time is not None:
            stamp = request.lease.spec.renew_time.epoch_us
            self.rule(stamp > client.last_stamp, client, "wrote a time twice")
            client.last_stamp = stamp
        timeout_s, rng, p = client.timing.request_timeout_s, self.rng, self.harshness
        cut = self.now < client.cut_until
        outage = self.outage if self.now < self.outage_until else ""
        gives_up = timeout_s * (rng.random() if self.hit("error after the write", p / 4) else 1)
        client.waits_for = request
        client.after(gives_up, self.give_up, client, client.core, request)
        if outage == "outage: throttled" or self.hit("throttled", p / 3):
            client.after(rng.uniform(0, 0.02), self.fail, client, client.core, request, Failure.NOT_DONE)
            return
        if outage == "outage: refused" or self.hit("refused", p / 60):
            client.after(rng.uniform(0, 0.02), self.fail, client, client.core, request, Failure.PERMANENT)
            return
        if outage == "outage: writes break" and request.lease is not None:
            client.after(rng.uniform(0, 0.02), self.fail, client, client.core, request, Failure.UNKNOWN)
            return
        if (cut and not client.answers_only and rng.random() < 0.5) or self.hit("lost request", p / 3):
            return
        up = rng.uniform(0.001, 0.02)
        if cut and not client.answers_only:
            up = client.cut_until - self.now + up  # held on the way, and done when nobody waits any more
        elif self.hit("write landed late", p / 2):
            up = timeout_s * rng.uniform(0, 2.5)
        self.at(self.now + up, self.serve, client, client.core, request, now)

    def serve(self, client: Client, core: Election, request: Request, sent: float) -> None:
        """The request has reached the server, perhaps after its sender's end."""
        failure: Failure | None = None
        answer: Lease | None = self.lease
        if request.lease is not None:
            failure = self.refusal(request)
            if failure is None:
                answer = self.commit(client, core, request, sent)
        if (self.now < client.cut_until and client.answers_only) or self.hit("lost answer", self.harshness / 3):
            return
        slow = self.hit("slow answer", self.harshness / 2)
        down = self.rng.uniform(0, 1.5) * client.timing.request_timeout_s if slow else self.rng.uniform(0.001, 0.02)
        if failure is not None:
            self.at(self.now + down, self.fail, client, core, request, failure)
        else:
            self.at(self.now + down, self.answer, client, core, request, answer, self.now)

    def refusal(self, request: Request) -> Failure | None:
        assert request.lease is not None
        if request.creates:
            failure = Failure.CONFLICT if self.lease is not None else None
        elif self.lease is None:
            failure = Failure.GONE
        else:
            stale = request.lease.resource_version not in (self.lease.resource_version, UNCONDITIONAL)
            failure = Failure.CONFLICT if stale else None
        self.faults["conflict"] += failure is Failure.CONFLICT
        return failure

    def commit(self, client: Client, core: Election, request: Request, sent: float) -> Lease:
        wrote, old = request.lease, self.lease
        assert wrote is not None
        if request.kind is Kind.RELEASE:
            held = self.tenancies.get(_key(old)) if old is not None else None
            self.promise(held is None or held.owner is core, client, "released what another holds")
        if request.kind is Kind.ACQUIRE:
            rise = wrote.spec.lease_transitions == (0 if old is None else (old.spec.lease_transitions or 0) + 1)
            self.rule(rise, client, "transitions did not rise by one")
            self.tenancies[_key(wrote)] = Tenancy(
                owner=core,
                duration_s=client.timing.lease_duration_s,
                acquired_at=self.now,
                created=old is None,
                ignorant_since=client.ignorant_since,
            )
        if client.core is core and request.kind is not Kind.RELEASE:
            client.last_sent = max(client.last_sent, sent)
            if request.kind is Kind.ACQUIRE:
                client.tenancy = self.tenancies[_key(wrote)]
        self.store(wrote)
        self.note(client, f"  landed: {request.kind.value}, now version {self.version}")
        assert self.lease is not None
        return self.lease

    def answer(self, client: Client, core: Election, request: Request, lease: Lease | None, served: float) -> None:
        if client.alive and client.core is core:
            client.learns_from(request, lease, served)
            client.step(core.answered(request, lease, client.now()))

    def give_up(self, client: Client, core: Election, request: Request) -> None:
        if client.waits_for is request:
            self.fail(client, core, request, Failure.UNKNOWN)

    def fail(self, client: Client, core: Election, request: Request, failure: Failure) -> None:
        if client.alive and client.core is core:
            if failure is Failure.UNKNOWN and request.kind is Kind.READ:
                failure = Failure.NOT_DONE
            client.learns_from(request, None, self.now if failure is Failure.GONE else None)
            client.step(core.failed(request, failure, client.now()))

    # ------------------------------------------------------------------ the store and the watches

    def store(self, lease: Lease | None) -> None:
        self.version += 1
        self.lease = lease and lease.with_metadata(resource_version=str(self.version))
        for client in self.clients:
            if client.hears():
                self.show(client, self.lease, str(self.version))

    def show(self, client: Client, lease: Lease | None, version: str) -> None:
        """Put one change into the watch of a client: late, perhaps, but in order."""
        slow = self.hit("slow watch", self.harshness / 3)
        delay = self.rng.uniform(0, client.timing.lease_duration_s / 2) if slow else self.rng.uniform(0.001, 0.03)
        client.heard_until = max(client.heard_until, self.now + delay)
        self.at(client.heard_until, self.hear, client, client.core, lease, version, self.now)

    def hear(self, client: Client, core: Election, lease: Lease | None, version: str, shown: float) -> None:
        if client.core is not core or not client.hears():
            return
        client.sees(lease, shown)
        told = core.vanished(version) if lease is None else core.observed(lease, client.now())
        client.step(told)

    def relist(self, client: Client) -> None:
        """The watch is back, and begins with what stands now; of an absence it cannot tell since when."""
        if client.hears():
            self.show(client, self.lease, "")

    # ------------------------------------------------------------------ trouble

    def trouble(self) -> None:
        if self.now >= self.storm_until:
            return
        self.at(self.now + self.rng.expovariate(0.7), self.trouble)
        if self.rng.random() < 0.6:
            self.rng.choice((self.cut, self.deafen, self.crash, self.end_work, self.jump))(
                self.rng.choice(self.clients)
            )
        else:
            self.rng.choice((self.edit, self.undermine, self.fail_all))()

    def a_while(self) -> float:
        return self.rng.uniform(0.1, 2) * self.rng.choice(self.clients).timing.lease_duration_s

    def cut(self, client: Client) -> None:
        if self.hit("partition", 1):
            client.cut_until, client.answers_only = self.now + self.a_while(), self.rng.random() < 0.3
            self.note(client, f"cut off until {client.cut_until:.3f}")
            self.at(client.cut_until, self.relist, client)

    def deafen(self, client: Client) -> None:
        if self.hit("watch gap", 1):
            client.deaf_until = self.now + self.a_while()
            self.at(client.deaf_until, self.relist, client)

    def crash(self, client: Client) -> None:
        if client.alive and self.hit("crash", 0.6):
            self.note(client, "crashed")
            client.alive, client.working = False, None
            self.at(self.now + self.a_while() * self.rng.choice((0.01, 1)), self.restart, client)

    def end_work(self, client: Client) -> None:
        if client.alive and client.core.leading and self.hit("resigned", 0.5):
            client.step(client.core.resign(client.now()))
        elif client.alive and client.core.leading and self.hit("work ended", 1):
            client.stop_work()
        elif client.alive and client.working is None and self.hit("resigned", 0.5):
            client.leave(client.core.resign)

    def edit(self) -> None:
        if self.lease is not None and self.hit("label edited", 1):
            self.store(self.lease.with_metadata(labels={"edited": str(self.version)}))

    def jump(self, client: Client) -> None:
        if self.hit("wall clock jumped", 0.5):
            client.wall_offset += self.rng.uniform(-1000, 1000)

    def fail_all(self) -> None:
        kind = self.rng.choice(_OUTAGES)
        if self.hit(kind, 0.3):
            self.outage, self.outage_until = kind, self.now + self.a_while() / 2
            self.note(None, f"{kind}, until {self.outage_until:.3f}")

    def undermine(self) -> None:
        if self.lease is None or not self.lease.holder or not self.sabotage or not self.hit(self.sabotage, 1):
            return
        self.note(None, self.sabotage)
        tenancy = self.tenancies[_key(self.lease)]
        if self.sabotage == "deleted":
            tenancy.deleted = True
            self.store(None)
        else:
            tenancy.blanked = True
            self.store(self.lease.with_spec(holder_identity=self.rng.choice(("", None))))

    def restart(self, client: Client) -> None:
        if client.alive:  # since the calm
            return
        if self.hit("restart with a fresh identity", 0.5):
            client.identity = f"{client.name}{self.order}"
        else:
            self.faults["restart with the same identity"] += 1
        self.note(client, f"restarted as {client.identity}")
        client.renew_core()

    def calm(self) -> None:
        """All that is broken is mended at once."""
        self.note(None, "calm")
        self.outage_until = -math.inf
        for client in self.clients:
            client.cut_until = client.deaf_until = -math.inf
            self.restart(client)
            self.relist(client)

    # ------------------------------------------------------------------ the promise

    def started(self, client: Client, term: TermRecord) -> None:
        self.terms += 1
        mine = client.tenancy
        assert mine is not None
        undermined = mine.blanked or mine.deleted
        self.promise(term.token > self.token or undermined, client, f"token {term.token} after {self.token}")
        self.token = max(self.token, term.token)
        for other in self.clients:
            if other is not client and other.working is not None:
                assert other.tenancy is not None
                self.promise(_may_overlap(other.tenancy, mine), client, f"work overlaps with that of {other.name}")


def _may_overlap(old: Tenancy, new: Tenancy) -> bool:
    if new.blanked or new.deleted or old.blanked:
        return True
    ignorant = old.acquired_at >= new.ignorant_since or old.duration_s > new.duration_s
    return old.deleted and (not new.created or ignorant)


def _key(lease: Lease) -> object:
    """Which winning write a record goes back to."""
    return lease.spec.acquire_time, lease.spec.lease_transitions, lease.holder


def _tell(what: object) -> str:
    if not isinstance(what, Request):
        return str(what)
    base = f" on version {what.lease.resource_version or 'none'}" if what.lease is not None else ""
    return f"sends {what.kind.value}{base}"


def simulate(seed: int, *, election: type[Election] = Election, consequences_only: bool = False) -> Outcome:
    """Run one seed to its end.

    Args:
        seed: Decides everything.
        election: The core, or a broken variant of it.
        consequences_only: Let a variant break the inner rules, and see what comes of it.

    Raises:
        Violation: a promise was broken.
    """
    return Simulation(seed, election, consequences_only=consequences_only).run()
