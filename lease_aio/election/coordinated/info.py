"""What a candidate of a coordinated election says of itself. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from lease_aio.election.coordinated.versions import ZERO, check_version
from lease_aio.errors import ConfigurationError
from lease_aio.model import LeaseCandidate, LeaseCandidateSpec, MicroTime, ObjectMeta

OLDEST_EMULATION_VERSION = "OldestEmulationVersion"
"""The one strategy that kube-apiserver's coordinator has: see `rules.pick_leader`."""
FALLBACK_AFTER_S = 15.0
"""Longer than kube-apiserver's coordinator needs to elect: 5 s until it looks, 5 s for signs of life, 5 s in hand."""

_NAME = re.compile(r"[-._a-zA-Z0-9]{1,253}", re.ASCII)
_DOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_STRATEGY = re.compile(rf"{_DOMAIN}/([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class CandidateInfo:
    """What a coordinator chooses by, and how long it is waited for.

    Attributes:
        binary_version: What the program is; strict semver, such as `1.31.0`.
        emulation_version: Which version it behaves as; the binary's if left out. Of `OldestEmulationVersion`, the
            oldest wins, so that in an upgrade nothing new is used before all can do it.
        strategy: How to choose: `OldestEmulationVersion`, or one of a coordinator of your own, `example.com/name`.
        fallback_after_s: How long a Lease that nobody holds any more is left to the coordinator, before the candidate
            takes it as in a plain election. While nobody coordinates, that is waited for once. Shorter than the lease
            duration, candidates may get in the way of appointments that are not taken up at once.
        labels: Put on the LeaseCandidate, for a strategy of your own to read: a zone, a priority.

    Raises:
        ConfigurationError: a version is not strict semver, or the emulation version is the newer one; the strategy is
            no name; the time is no number of seconds.
    """

    binary_version: str
    emulation_version: str = ""
    strategy: str = OLDEST_EMULATION_VERSION
    fallback_after_s: float = FALLBACK_AFTER_S
    labels: Mapping[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        binary = check_version("binary_version", self.binary_version)
        if not self.emulation_version:
            object.__setattr__(self, "emulation_version", self.binary_version)
        if check_version("emulation_version", self.emulation_version) > binary:
            raise ConfigurationError(
                f"emulation_version={self.emulation_version!r} is newer than binary_version={self.binary_version!r}: "
                "a program behaves as itself or as an older one"
            )
        if self.strategy == OLDEST_EMULATION_VERSION and check_version("", self.emulation_version) == ZERO:
            raise ConfigurationError(
                f"emulation_version={self.emulation_version!r} counts as none, which the API server refuses with "
                f"strategy {OLDEST_EMULATION_VERSION!r}: give a version from 0.0.1 up"
            )
        if self.strategy != OLDEST_EMULATION_VERSION and not _STRATEGY.fullmatch(self.strategy):
            raise ConfigurationError(
                f"strategy={self.strategy!r} must be {OLDEST_EMULATION_VERSION!r}, or a name of your own with a "
                "domain, such as 'example.com/priority'"
            )
        if not 0 <= self.fallback_after_s < math.inf:
            raise ConfigurationError(f"fallback_after_s={self.fallback_after_s!r} must be zero or more seconds")

    def candidate(self, name: str, namespace: str, *, lease: str, at: MicroTime) -> LeaseCandidate:
        """The object to be published: its name is the holder identity."""
        spec = LeaseCandidateSpec(
            lease_name=lease,
            renew_time=at,
            binary_version=self.binary_version,
            emulation_version=self.emulation_version,
            strategy=self.strategy,
        )
        return LeaseCandidate(metadata=ObjectMeta(name=name, namespace=namespace, labels=dict(self.labels)), spec=spec)


def check_candidate_name(identity: str) -> str:
    """The identity itself, if an API server takes it as the name of a LeaseCandidate.

    Raises:
        ConfigurationError: it does not.
    """
    if not _NAME.fullmatch(identity) or identity == "." or identity.startswith(".."):
        raise ConfigurationError(
            f"identity {identity!r} is also the name of the LeaseCandidate, so it must have 1 to 253 letters, digits, "
            "'-', '_' or '.', and not begin with two dots; candidate_identity() gives such a one"
        )
    return identity
