"""What a fleet will ask of its API server, told before it starts. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from lease_aio.cli.numbers import rate
from lease_aio.heartbeat.record.tally import FleetParameters

BYTES_A_REVISION = 870
"""What one renewal adds to etcd until it is compacted: NVSentinel measured 290 MB in 5 min at 1,115 renewals/s."""

COMPACTION_S = 300.0
"""How often a kube-apiserver has etcd compacted, unless told otherwise."""

_STATUS_REPORT_S = 300.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """What is to be expected while all is well.

    Attributes:
        renewals_per_s: PUTs of leases.
        patches_per_s: Of the status of Nodes, where it is reported.
        etcd_bytes: Which the renewals add to etcd between two compactions.
    """

    renewals_per_s: float
    patches_per_s: float
    etcd_bytes: float

    @property
    def text(self) -> str:
        """In words."""
        patches = f" and {rate(self.patches_per_s)} status patches/s" if self.patches_per_s else ""
        return (
            f"expect {rate(self.renewals_per_s)} renewals/s{patches}, "
            f"and {size(self.etcd_bytes)} in etcd every 5 min until it is compacted"
        )


def expected_load(nodes: float, *, lease_duration_s: float, status: bool) -> Load:
    """For so many nodes; each renews every quarter of its lease's duration, and a little later than that."""
    parameters = FleetParameters(lease_duration_s=lease_duration_s, renew_interval_s=lease_duration_s / 4)
    renewals_per_s = nodes * parameters.due_per_s
    return Load(
        renewals_per_s=renewals_per_s,
        patches_per_s=nodes / _STATUS_REPORT_S if status else 0.0,
        etcd_bytes=renewals_per_s * COMPACTION_S * BYTES_A_REVISION,
    )


def size(amount: float) -> str:
    """So many bytes with the unit that fits them: `2.6 MB`, `128 MB`."""
    for unit in ("B", "kB", "MB"):
        if amount < 999.5:
            return f"{amount:.0f} {unit}" if amount >= 9.95 or unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"
