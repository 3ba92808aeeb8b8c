"""Whom a coordinator chooses: the rules of kube-apiserver's (`pkg/controlplane/controller/leaderelection`). Pure.

Times of candidates are compared with a wall clock, as there: they decide who counts as alive, never who may lead.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from lease_aio.election.coordinated.info import OLDEST_EMULATION_VERSION
from lease_aio.election.coordinated.versions import ZERO, Version, read_version, version_or_zero
from lease_aio.errors import ConfigurationError
from lease_aio.model import Lease, LeaseCandidate

Strategy = Callable[[Sequence[LeaseCandidate]], LeaseCandidate | None]
"""Chooses among candidates that are alive; None where none of them will do. It must depend on nothing but them."""


class Disagreement(ValueError):
    """Candidates of the same binary version ask for different strategies: nobody can be elected."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CoordinatorTiming:
    """The durations of a coordinator, in seconds; kube-apiserver's by default.

    Attributes:
        look_again_s: Between two looks at a Lease that is managed.
        answer_s: How long candidates have to give a sign of life when asked.
        appointment_s: What an appointment is good for, unless it is taken up: whole seconds.
        candidate_s: How long after its last sign of life a candidate is one; after half of it all are asked.
        clock_error: By how much the rate of this clock may differ from a holder's.

    Raises:
        ConfigurationError: a value is out of range.
    """

    look_again_s: float = 5.0
    answer_s: float = 5.0
    appointment_s: int = 5
    candidate_s: float = 1800.0
    clock_error: float = 0.01

    def __post_init__(self) -> None:
        for name in ("look_again_s", "answer_s", "candidate_s"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigurationError(f"{name}={getattr(self, name)!r} must be a positive number of seconds")
        if self.appointment_s != int(self.appointment_s) or self.appointment_s < 1:
            raise ConfigurationError(f"appointment_s={self.appointment_s!r} must be whole seconds, one or more")
        if not 0 <= self.clock_error < 1:
            raise ConfigurationError(f"clock_error={self.clock_error!r} must be a fraction from 0 up to 1")


def pick_leader(candidates: Sequence[LeaseCandidate]) -> LeaseCandidate | None:
    """`OldestEmulationVersion`: the oldest emulation version, then the oldest binary, then the oldest object.

    Candidates whose versions cannot be read are passed over.
    """
    best: LeaseCandidate | None = None
    for candidate in candidates:
        if is_valid(candidate) and (best is None or compare(best, candidate) > 0):
            best = candidate
    return best


def is_valid(candidate: LeaseCandidate) -> bool:
    """Both its versions can be read."""
    spec = candidate.spec
    return read_version(spec.emulation_version) is not None and read_version(spec.binary_version) is not None


def compare(first: LeaseCandidate, second: LeaseCandidate) -> int:
    """-1 where the first is the better one, 1 where the second is. Versions that cannot be read count as 0.0.0."""
    mine, other = _versions(first), _versions(second)
    if mine != other:
        return -1 if mine < other else 1
    return 1 if _created_us(first) > _created_us(second) else -1


def _versions(candidate: LeaseCandidate) -> tuple[Version, Version]:
    return version_or_zero(candidate.spec.emulation_version), version_or_zero(candidate.spec.binary_version)


def _created_us(candidate: LeaseCandidate) -> int:
    created = candidate.metadata.creation_timestamp
    return created.epoch_us if created is not None else 0


def pick_strategy(candidates: Sequence[LeaseCandidate]) -> str:
    """The strategy of the newest binary: in an upgrade the new ones know best.

    Raises:
        Disagreement: the newest ones ask for different ones, or there are no candidates.
    """
    if not candidates:
        raise Disagreement("no candidates")
    newest, strategy, name = ZERO, "", ""
    for at, candidate in enumerate(candidates):
        version = version_or_zero(candidate.spec.binary_version)
        if at == 0 or version > newest:
            newest, strategy, name = version, candidate.spec.strategy, candidate.name
        elif version == newest and candidate.spec.strategy != strategy:
            raise Disagreement(
                f"candidates {name!r} and {candidate.name!r} have the same binary version {version!r} and ask for "
                f"different strategies, {strategy!r} and {candidate.spec.strategy!r}"
            )
    return strategy


def is_candidate_expired(candidate: LeaseCandidate, wall_us: int, timing: CoordinatorTiming) -> bool:
    """It has given no sign of life for too long."""
    return not _within(candidate, wall_us, timing.candidate_s)


def is_lease_expired(lease: Lease, wall_us: int, timing: CoordinatorTiming, silent_s: float | None) -> bool:
    """Its holder's time is over.

    Args:
        lease: The record.
        wall_us: The wall clock.
        timing: Durations.
        silent_s: How long this version has been seen, on a monotonic clock: then the holder's clock does not count.
            None: as kube-apiserver does, which compares the holder's `renewTime` with its own wall clock.
    """
    renewed, duration_s = lease.spec.renew_time, lease.spec.lease_duration_seconds
    if renewed is None or duration_s is None:
        return True
    if silent_s is not None:
        return silent_s >= duration_s * (1 + timing.clock_error)
    return renewed.epoch_us + duration_s * 1_000_000 < wall_us


def has_answered(candidate: LeaseCandidate) -> bool:
    """Its last sign of life is no older than the last question."""
    ping, renewed = candidate.spec.ping_time, candidate.spec.renew_time
    return ping is None or (renewed is not None and renewed.epoch_us >= ping.epoch_us)


def is_asked(candidate: LeaseCandidate, wall_us: int, timing: CoordinatorTiming) -> bool:
    """It was asked for a sign of life just now, and may still answer."""
    ping = candidate.spec.ping_time
    return ping is not None and ping.epoch_us + timing.answer_s * 1e6 > wall_us and not has_answered(candidate)


def is_fresh(candidate: LeaseCandidate, wall_us: int, timing: CoordinatorTiming) -> bool:
    """It gave a sign of life just now."""
    renewed = candidate.spec.renew_time
    return renewed is not None and renewed.epoch_us + timing.answer_s * 1e6 > wall_us


def is_to_be_asked(candidate: LeaseCandidate, wall_us: int, timing: CoordinatorTiming) -> bool:
    """It was never asked, or answered the last time, which is a while ago. Who did not answer is not asked again."""
    ping = candidate.spec.ping_time
    if ping is None:
        return True
    return ping.epoch_us + timing.answer_s * 1e6 < wall_us and has_answered(candidate)


def is_half_expired(candidate: LeaseCandidate, wall_us: int, timing: CoordinatorTiming) -> bool:
    """It is time to ask all candidates whether they are still there."""
    return candidate.spec.renew_time is not None and not _within(candidate, wall_us, timing.candidate_s / 2)


def _within(candidate: LeaseCandidate, wall_us: int, span_s: float) -> bool:
    renewed = candidate.spec.renew_time
    return renewed is not None and renewed.epoch_us + span_s * 1e6 >= wall_us


BUILT_IN: Mapping[str, Strategy] = MappingProxyType({OLDEST_EMULATION_VERSION: pick_leader})
"""The strategies of a coordinator unless it is given others."""
