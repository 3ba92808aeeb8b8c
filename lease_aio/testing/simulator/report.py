"""What a campaign showed, in words and tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lease_aio.testing.simulator.campaign import Tally, run_campaign
from lease_aio.testing.simulator.faults import FAULTS
from lease_aio.testing.simulator.plan import Fleet, Plan, Release

_DAY_S = 86_400


def summary(tally: Tally, elapsed_s: float, faults: Mapping[str, str] = FAULTS) -> str:
    """Faults by class, and the sums."""
    lines = ["| fault | struck | what it is |", "|---|--:|---|"]
    lines += [f"| {fault} | {tally.faults[fault]:,} | {what} |" for fault, what in faults.items()]
    lines += ["", "| | |", "|---|--:|"]
    lines += [f"| {name} | {value} |" for name, value in _sums(tally, elapsed_s)]
    return "\n".join(lines)


def _sums(tally: Tally, elapsed_s: float) -> list[tuple[str, str]]:
    return [
        ("seeds", f"{tally.seeds:,}"),
        ("seeds a second", f"{tally.seeds / elapsed_s:.0f}"),
        ("simulated days", f"{tally.simulated_s / _DAY_S:.1f}"),
        ("faults", f"{tally.faults.total():,}"),
        ("terms", f"{tally.terms:,}"),
        *_coordinated(tally),
        ("requests of ours", f"{tally.requests:,}"),
        ("most requests of one candidate in ten retry intervals", f"{tally.most_requests}"),
        ("longest calm until somebody led for good", f"{tally.longest_calm_s:.1f} s"),
        ("writes of the work that reached the resource", f"{tally.writes_offered:,}"),
        ("stale ones among them", f"{tally.stale_offered:,}"),
        ("stale ones let in", f"{tally.stale_accepted}"),
        *((f"overlaps that are not ours: {why}", f"{count:,}") for why, count in sorted(tally.overlaps.items())),
        ("violations", f"{tally.violations}"),
        ("violations a seed, at most (95 %)", _bound(tally)),
    ]


def _coordinated(tally: Tally) -> list[tuple[str, str]]:
    if not tally.appointed + tally.fallbacks:
        return []
    return [
        ("terms by appointment", f"{tally.appointed:,}"),
        ("terms without, a coordinator being waited for in vain", f"{tally.fallbacks:,}"),
        ("terms that yielded to whom the coordinator preferred", f"{tally.yields:,}"),
    ]


def _bound(tally: Tally) -> str:
    """The rule of three: none in N seeds bounds the rate by 3/N."""
    return f"{3 / tally.seeds:.2g}" if not tally.violations else "-"


def contrast(seeds: range, *, processes: int = 1) -> str:
    """What electors with client-go's rules do under the same faults, as a Markdown table.

    An overlap counts if no hand took the Lease away, and the older one's process did not stand still after its last
    renewal.

    Args:
        seeds: Which.
        processes: On so many processes.
    """
    exact = frozenset({"clock rate off"})
    rows = [
        ("ours", Plan(fleet=Fleet.OURS)),
        *((f"client-go, release {each.value}", Plan(fleet=Fleet.CLIENT_GO, release=each)) for each in Release),
    ]
    lines = [
        f"| {len(seeds):,} seeds of every fault | seeds with overlapping leaders | the same, all clock rates exact |",
        "|---|--:|--:|",
    ]
    for name, plan in rows:
        wrong = _overlapping(seeds, processes, plan)
        lines.append(f"| {name} | {wrong} | {_overlapping(seeds, processes, replace(plan, without=exact))} |")
    return "\n".join(lines)


def _overlapping(seeds: range, processes: int, plan: Plan) -> str:
    tally = run_campaign(seeds, processes=processes, plan=plan)
    count = tally.overlapping + tally.violations
    return f"{count:,} ({count / tally.seeds:.2%})"
