"""What a monitor judges by; validated once, here. Pure."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import Self

from lease_aio.errors import ConfigurationError
from lease_aio.heartbeat.renewal.rules import NODE_LEASES
from lease_aio.naming import check_namespace

_HTTP2_DETECTION_S = 45.0  # a kubelet's connection that died is dropped after so long: read idle 30 s, ping 15 s
_INTERVALS = 3


class Mode(enum.Enum):
    """What counts as a sign of life, and when it counts."""

    KUBERNETES = "kubernetes"
    """As node-lifecycle-controller: signs are looked for once a pass, and a Lease counts if its renewTime is later than
    that of the last one that counted."""

    CAREFUL = "careful"
    """Each change of the Lease counts, at the time of its event. No foreign clock is looked at, time spent blind does
    not count against a node, and nothing is tainted while a large part of the cluster is silent at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MonitorSettings:
    """The durations and thresholds of a monitor. The defaults are those of kube-controller-manager 1.37.

    Attributes:
        mode: See `Mode`.
        grace_s: How long after its last sign of life a node is believed in (`--node-monitor-grace-period`). 40 s before
            Kubernetes 1.32.
        startup_grace_s: The same for a Node whose kubelet never posted a status (`--node-startup-grace-period`).
        period_s: Between two passes, from the end of one to the start of the next (`--node-monitor-period`).
        renew_interval_s: How often the leases are renewed; only to tell a quiet watch from a broken one.
        live_check: Read a Lease from the server before its node is called Unknown, so that a stale watch calls nobody
            so. The controller does it since 1.37 (kubernetes/kubernetes#138698).
        evict_in_next_pass: Queue the NoExecute taint one pass after the node became Unknown, as the controller did
            before 1.29 (kubernetes/kubernetes#120816).
        eviction_rate_per_s: NoExecute taints a second in one zone (`--node-eviction-rate`).
        secondary_eviction_rate_per_s: The same in a large zone that is partially disrupted.
        large_zone: A zone with more nodes than this is large (`--large-cluster-size-threshold`).
        unhealthy_zone_threshold: The part of a zone's nodes, of at least three, that makes it partially disrupted.
        heed_written: Take over an Unknown that somebody wrote on a Node. Without it this monitor comes to its own
            verdict, which is what a comparison with the controller wants.
        namespace: Where the node leases are.

    Raises:
        ConfigurationError: a value is out of range.
    """

    mode: Mode = Mode.KUBERNETES
    grace_s: float = 50.0
    startup_grace_s: float = 60.0
    period_s: float = 5.0
    renew_interval_s: float = 10.0
    live_check: bool = True
    evict_in_next_pass: bool = False
    eviction_rate_per_s: float = 0.1
    secondary_eviction_rate_per_s: float = 0.01
    large_zone: int = 50
    unhealthy_zone_threshold: float = 0.55
    heed_written: bool = True
    namespace: str = NODE_LEASES

    def __post_init__(self) -> None:
        for name in ("grace_s", "startup_grace_s", "period_s", "renew_interval_s"):
            _check(name, getattr(self, name), "a positive number of seconds", above=0.0)
        for name in ("eviction_rate_per_s", "secondary_eviction_rate_per_s", "large_zone"):
            _check(name, getattr(self, name), "zero or more", least=0.0)
        _check("unhealthy_zone_threshold", self.unhealthy_zone_threshold, "a part from 0 to 1", least=0.0, most=1.0)
        check_namespace(self.namespace)
        if self.period_s >= self.grace_s:
            raise ConfigurationError(
                f"period_s={self.period_s:g} must be less than grace_s={self.grace_s:g}: a node that renews in time "
                "would run out of grace between two looks"
            )

    @classmethod
    def of_release(cls, minor: int) -> Self:
        """The defaults of kube-controller-manager 1.`minor`, from 1.19 on.

        Raises:
            ConfigurationError: a release before 1.19, whose rules differ in more than this.
        """
        if minor < 19:
            raise ConfigurationError(f"minor={minor!r} must be 19 or more: earlier controllers judged by other rules")
        return cls(grace_s=40.0 if minor < 32 else 50.0, live_check=minor >= 37, evict_in_next_pass=minor < 29)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What works, but is likely to call nodes Unknown that are well."""
        found: list[str] = []
        if self.grace_s < _INTERVALS * self.renew_interval_s:
            found.append(
                f"grace_s={self.grace_s:g} is less than {_INTERVALS} renew intervals of {self.renew_interval_s:g} s: "
                "two renewals that fail in a row make a node Unknown"
            )
        if self.grace_s <= _HTTP2_DETECTION_S:
            found.append(
                f"grace_s={self.grace_s:g} is not more than the {_HTTP2_DETECTION_S:g} s that a kubelet takes to drop "
                "a dead connection (kubernetes/kubernetes#121793); the default since 1.32 is 50"
            )
        return tuple(found)


def _check(
    name: str,
    value: object,
    wanted: str,
    *,
    above: float = -math.inf,
    least: float = -math.inf,
    most: float = math.inf,
) -> None:
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if not (math.isfinite(number) and number > above and least <= number <= most):
        raise ConfigurationError(f"{name}={value!r} must be {wanted}")
