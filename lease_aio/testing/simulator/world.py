"""One seed: true time, the store, the machines, what goes wrong, and the calm after it."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from lease_aio.election.core import Election
from lease_aio.errors import ApiError
from lease_aio.model import Lease
from lease_aio.testing.simulator.candidate import Candidate
from lease_aio.testing.simulator.clientgo import ClientGo
from lease_aio.testing.simulator.clock import TrueTime
from lease_aio.testing.simulator.coordinator import Coordinator, Judging
from lease_aio.testing.simulator.faults import Dice
from lease_aio.testing.simulator.host import Call, Host, Recruit
from lease_aio.testing.simulator.invariants import Judge
from lease_aio.testing.simulator.network import Network, is_conflict
from lease_aio.testing.simulator.plan import MOST_CANDIDATES, Backing, Fleet, Plan, Release
from lease_aio.testing.simulator.server import Real, Server, Swap
from lease_aio.testing.simulator.timeline import Timeline
from lease_aio.testing.simulator.trouble import Trouble
from lease_aio.testing.simulator.work import Resource

_EVENTS = 40_000
_LOOK_S = 0.5
_NAMES = "abcdef"
assert len(_NAMES) == MOST_CANDIDATES


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What one seed did.

    Attributes:
        faults: How often each class struck.
        terms: How many began.
        requests: Of our candidates.
        simulated_s: True time that passed.
        most_requests: The most of one of our candidates in ten of its retry intervals.
        calm_s: How long the calm lasted before somebody led for good.
        overlaps: Overlapping work that is not ours to answer for, by cause.
        writes_offered: Writes of the work that reached the fenced resource.
        stale_offered: Those among them of a term after a later one had written.
        stale_accepted: Those of these that were let in.
        appointed: Terms for which a coordinator chose.
        fallbacks: Terms of coordinated candidates for which none did.
        yields: Terms that made room for whom it preferred.
    """

    faults: Counter[str]
    terms: int
    requests: int
    simulated_s: float
    most_requests: int
    calm_s: float
    overlaps: Counter[str]
    writes_offered: int
    stale_offered: int
    stale_accepted: int
    appointed: int = 0
    fallbacks: int = 0
    yields: int = 0


class World:
    """All of one simulation. `run` lets it happen."""

    def __init__(self, seed: int, election: type[Election], plan: Plan) -> None:
        self.seed, self.plan = seed, plan
        self.time, self.timeline = TrueTime(), Timeline()
        dice = self.dice = Dice(seed, plan)
        real = plan.backing is Backing.STORE or (plan.backing is Backing.AUTO and seed % 10 == 0)
        self.server = Server(self.time, Real() if real else Swap())
        self._patience = self._steady = 0.0
        self.judge, self.resource = Judge(self, plan), Resource(self)
        self.harshness = dice.pick((0.02, 0.1, 0.3))
        self.network = Network(self, self.harshness)
        storm_s = dice.between(20, 60)
        self.storm_until = storm_s if plan.storm_s is None else plan.storm_s
        self._rho = dice.pick((0.0, 0.01, 0.1, 0.25))
        if self._rho and not dice.hit("clock rate off", 1):
            self._rho = 0.0
        self.requests = 0
        self.hosts: list[Host] = []
        self.appointed = self.fallbacks = self.yields = 0
        self._leader: object = None
        self._leader_since = math.inf
        self._muster(election)
        self.trouble = Trouble(self, rate=1.0)
        self.time.at(self.storm_until, self._calm)
        for host in self.hosts:
            host.start()

    def _muster(self, election: type[Election]) -> None:
        dice, plan, rho = self.dice, self.plan, self._rho
        count = min(plan.candidates, 2 + int(3 * dice.random()))
        durations = (4, 6, 10) if dice.hit("mixed durations", 0.7) else (dice.pick((4, 6, 10)),)
        if plan.fleet is Fleet.COORDINATED:
            self._muster_coordinated(election, count, durations)
            return
        twins = dice.hit("twin identity", 0.1)
        release = dice.pick(tuple(Release))
        release = plan.release or release
        mixed = plan.fleet is Fleet.MIXED and dice.hit("client-go competes", 0.25)
        rivals = 1 + (dice.random() < 0.3) if mixed else 0
        for name in _NAMES[:count]:
            identity = "twin" if twins and plan.fleet is not Fleet.CLIENT_GO else name
            recruit = Recruit(name=name, identity=identity, rho=rho, durations=durations)
            if plan.fleet is Fleet.CLIENT_GO:
                self.hosts.append(ClientGo(self, recruit, release))
            else:
                self.hosts.append(Candidate(self, recruit, election))
        for name in ("g", "h")[:rivals]:
            recruit = Recruit(name=name, identity=name, rho=rho, durations=durations)
            self.hosts.append(ClientGo(self, recruit, release))
        self._be_patient()

    def _muster_coordinated(self, election: type[Election], count: int, durations: tuple[int, ...]) -> None:
        dice, rho = self.dice, self._rho
        judging = dice.pick(tuple(Judging))
        if judging is Judging.WRONG_WALL and not dice.hit("coordinator's wall clock off", 1):
            judging = Judging.WALL
        twins = dice.hit("twin identity", 0.1)
        mixed = judging is Judging.SIGHT and dice.hit("plain candidates", 0.3)
        fallback = dice.pick((0.1, 0.5, 1.5, 2.0))
        if (
            judging is not Judging.SIGHT
        ):  # such a coordinator may end a term before its time, and blots out its duration
            durations = durations[:1]
        for name in _NAMES[:count]:
            plain = mixed and dice.random() < 0.4
            recruit = Recruit(
                name=name,
                identity="twin" if twins else name,
                rho=rho,
                durations=durations,
                fallback_after_s=None if plain else fallback * max(durations),
            )
            self.hosts.append(Candidate(self, recruit, election))
        patience = self._be_patient()
        self._patience += fallback * max(durations) / (1 - rho)
        if not dice.hit("no coordinator", 0.15):
            look_s = dice.pick((0.5, 1.5))
            self.hosts.append(Coordinator(self, rho, judging, look_s, stays=fallback >= 1.5))
            self._patience += 2 * patience + 20 * look_s / (1 - rho)

    def _be_patient(self) -> float:
        """How long somebody may take to lead for good."""
        rho = self._rho
        longest = max(host.timing.lease_duration_s for host in self.hosts)
        slowest = max(host.timing.request_timeout_s for host in self.hosts)
        self._patience = longest * (1 + rho) / (1 - rho) + 8 * slowest / (1 - rho)
        self._steady = 1.1 * longest / (1 - rho)
        return self._patience

    # ------------------------------------------------------------------ what happens

    def run(self) -> Outcome:
        """Let it happen, to its end.

        Raises:
            Violation: a promise was broken.
        """
        few = self.time.run(_EVENTS)
        self.judge.promise(few, "I10", None, "it goes round in circles")
        return self._outcome()

    def _outcome(self) -> Outcome:
        resource = self.resource
        ours = [host for host in self.hosts if isinstance(host, Candidate)]
        return Outcome(
            faults=self.dice.struck,
            terms=self.judge.terms,
            requests=self.requests,
            simulated_s=self.time.now,
            most_requests=max((host.most_requests for host in ours), default=0),
            calm_s=self._leader_since - self.storm_until,
            overlaps=self.judge.overlaps,
            writes_offered=resource.offered,
            stale_offered=resource.stale,
            stale_accepted=resource.accepted,
            appointed=self.appointed,
            fallbacks=self.fallbacks,
            yields=self.yields,
        )

    def _calm(self) -> None:
        """All that is broken is mended at once."""
        self.note(None, "calm")
        self.dice.calm = True
        self.network.outage_until = self.server.down_until = -math.inf
        for host in self.hosts:
            host.cut_until = host.deaf_until = -math.inf
            self.trouble.restart(host)
            self.tune_in(host, None)
            if isinstance(host, Candidate) and host.coordinated:
                host.core.candidates_served(served=True)
        self._look()

    def _look(self) -> None:
        """In the calm: it is over when somebody has led for more than a term without a break."""
        leading = next((host.working for host in self.hosts if host.leading), None)
        now = self.time.now
        if leading is not self._leader:
            self._leader, self._leader_since = leading, now
        if leading is not None and now >= self._leader_since + self._steady:
            self.time.over = True
            return
        patience = self._patience + (self._steady if leading is not None else 0.0)
        self.judge.promise(now < self.storm_until + patience, "I7", None, "nobody leads for good, faults or not")
        self.time.at(now + _LOOK_S, self._look)

    # ------------------------------------------------------------------ the store and the watches

    def perform(self, call: Call) -> Lease | ApiError | None:
        """The server does what is asked."""
        server = self.server
        if call.lease is None:
            return server.lease
        old = server.lease
        outcome = server.write(call.lease)
        if isinstance(outcome, ApiError):
            self.dice.struck["409"] += is_conflict(outcome)
            return outcome
        host = call.host
        if isinstance(host, Coordinator):
            self.note(host, f"  stored: {outcome.holder} appointed, now version {server.version}")
            self.publish()
            return outcome
        ignorant_since = host.ignorant_since if isinstance(host, Candidate) else -math.inf
        self.note(host, f"  stored: {call.kind.value}, now version {server.version}")
        self.judge.stored(call, old, outcome, ignorant_since=ignorant_since)
        self.publish()
        if call.epoch == host.epoch and host.alive:
            host.landed(call)
        return outcome

    def publish(self) -> None:
        """Show the last change to all who watch."""
        version, lease = self.server.version, self.server.lease
        for host in self.hosts:
            if isinstance(host, Candidate) and host.hears():
                host.show(version, lease)

    def tune_in(self, host: Host, heard: int | None) -> None:
        """A watch is back.

        Args:
            host: Whose.
            heard: How many changes it has heard, and goes on from there; None: it begins with what stands now.
        """
        if not isinstance(host, Candidate) or not host.hears():
            return
        if heard is None:
            host.show(None, self.server.lease)
            return
        for version, lease in self.server.history[max(0, heard) :]:
            host.show(version, lease)

    def note(self, host: Host | None, what: object) -> None:
        """Put it into the timeline."""
        self.timeline.note(self.time.now, host.name if host is not None else "-", what)
