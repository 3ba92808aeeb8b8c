"""How a lease is kept alive: the settings that all leases of one kind share."""

from __future__ import annotations

import enum
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lease_aio.errors import ConfigurationError
from lease_aio.naming import check_namespace
from lease_aio.timing import check_duration

NODE_LEASES = "kube-node-lease"
"""The namespace in which the control plane looks for node leases."""


class Owner(enum.Enum):
    """Whether a lease is owned by the Node of its name, so that it is collected when the Node is gone."""

    REQUIRED = "required"
    """As a kubelet since 1.29: where a lease has no owner, nothing is written until the Node can be read."""

    IF_FOUND = "if_found"
    """Owned if the Node exists, written without an owner if it does not. Costs one read more for each such write."""

    NONE = "none"
    """Never owned, the Node is never asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RenewalRules:
    """How leases of one kind are written and how often; the defaults are a kubelet's.

    Attributes:
        namespace: Where the leases live.
        lease_duration_s: What is written as `leaseDurationSeconds`, whole seconds.
        renew_interval_s: From the end of one pass to the start of the next, without jitter.
        jitter: The most that is added to it at random, as a part of it (kubernetes/kubernetes#101652).
        request_timeout_s: Bound of each request.
        backoff_jitter: The most that is added to the pauses of 0.2 to 7 s while the server cannot be reached. A kubelet
            has none, so that nodes which failed together come back together; 1.0 spreads them.
        longest_backoff_s: Where those pauses end to grow.
        owner: Whether leases are owned by their Nodes.
        labels: Asserted at each write, beside labels of others.
        annotations: The same for annotations.
        random: Numbers of [0, 1) for both jitters.

    Raises:
        ConfigurationError: a value is out of range, or the interval leaves no room for a failed renewal.
    """

    namespace: str = NODE_LEASES
    lease_duration_s: int = 40
    renew_interval_s: float = 10.0
    jitter: float = 0.04
    request_timeout_s: float = 10.0
    backoff_jitter: float = 0.0
    longest_backoff_s: float = 7.0
    owner: Owner = Owner.NONE
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    random: Callable[[], float] = random.random

    def __post_init__(self) -> None:
        check_namespace(self.namespace)
        check_duration(self.lease_duration_s)
        for name in ("renew_interval_s", "request_timeout_s", "longest_backoff_s"):
            _check(name, getattr(self, name), more_than=0.0)
        for name in ("jitter", "backoff_jitter"):
            _check(name, getattr(self, name))
        if self.longest_wait_s >= self.lease_duration_s:
            raise ConfigurationError(
                f"renew_interval_s={self.renew_interval_s} with jitter={self.jitter} waits up to "
                f"{self.longest_wait_s:.3g} s, so a lease of lease_duration_s={self.lease_duration_s} would look dead "
                "between two renewals; a kubelet renews every quarter of the duration"
            )

    @property
    def longest_wait_s(self) -> float:
        """The longest wait between two passes, jitter included."""
        return self.renew_interval_s * (1 + self.jitter)


def node_rules(
    *,
    lease_duration_s: int = 40,
    renew_interval_s: float | None = None,
    namespace: str = NODE_LEASES,
    owner: Owner = Owner.REQUIRED,
    backoff_jitter: float = 0.0,
    random: Callable[[], float] = random.random,
) -> RenewalRules:
    """A kubelet's rules: renewed every quarter of the duration, requests bounded by 10 s or the duration.

    Raises:
        ConfigurationError: see `RenewalRules`.
    """
    check_duration(lease_duration_s)
    return RenewalRules(
        namespace=namespace,
        lease_duration_s=lease_duration_s,
        renew_interval_s=lease_duration_s * 0.25 if renew_interval_s is None else renew_interval_s,
        request_timeout_s=min(10.0, float(lease_duration_s)),
        owner=owner,
        backoff_jitter=backoff_jitter,
        random=random,
    )


def _check(name: str, value: float, *, more_than: float | None = None) -> None:
    enough = value >= 0 if more_than is None else value > more_than
    if not enough or not math.isfinite(value):
        wanted = "zero or more" if more_than is None else "a positive number"
        raise ConfigurationError(f"{name}={value!r} must be {wanted}")
