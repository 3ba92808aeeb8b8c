"""What a run has shown, for people and as JSON, and whether it passed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from tests.torture.analysis import (
    CLIENT_GO,
    CLIENT_GO_FROZEN,
    OURS,
    OURS_FROZEN,
    HandOver,
    Overlap,
    blanked,
    hand_overs,
    led_s,
    overlaps,
    percentile,
    stale_writes,
    token_faults,
)
from tests.torture.driver import Run
from tests.torture.nemesis import Fault


def report(run: Run) -> dict[str, Any]:
    """All numbers, as plain values."""
    evidence, found = run.evidence, overlaps(run.evidence)
    offered, accepted = stale_writes(run.offers)
    return {
        "seed": run.seed,
        "seconds": round(run.wall_s, 1),
        "terms": dict(Counter(OURS if work.ours else CLIENT_GO for work in evidence.works)),
        "led": round(led_s(evidence.works) / max(run.wall_s, 1e-9), 3),
        "faults": {fault.value: run.faults[fault.value] for fault in Fault},
        "answers_lost": run.lost_answers,
        "overlaps": {culprit: _lengths(found, culprit) for culprit in (OURS, CLIENT_GO, OURS_FROZEN, CLIENT_GO_FROZEN)},
        "overlap_list": [asdict(overlap) for overlap in found],
        "writes": {"offered": len(run.offers), "stale_offered": offered, "stale_accepted": accepted},
        "emptied_by_another": dict(Counter(_by(blank.by) for blank in blanked(evidence))),
        "token_faults": token_faults(evidence),
        "hand_overs": summary(hand_overs(evidence.works), run.server_away),
        "server_away_s": round(sum(end - start for start, end in run.server_away), 1),
        "led_again_after_s": None if run.calm_s is None else round(run.calm_s, 2),
        "deaf_to_sigterm": list(run.deaf),
        "history": {"writes": len(evidence.writes), "gaps": run.gaps},
        "failures": failures(run, found, accepted),
    }


def failures(run: Run, found: Sequence[Overlap], stale_accepted: int) -> list[str]:
    """Why the run did not pass; empty if it did."""
    faults = [f"an overlap of {each.length_s:.3f} s is ours: {each.why}" for each in found if each.culprit == OURS]
    if stale_accepted:
        faults.append(f"{stale_accepted} stale writes were accepted")
    faults += [f"{blank.by} emptied the Lease of {blank.victim}" for blank in blanked(run.evidence) if _ours(blank.by)]
    faults += token_faults(run.evidence)
    if run.calm_s is None:
        faults.append("nobody led after the faults had ended")
    faults += [f"{name} did not end on SIGTERM" for name in run.deaf if _ours(name)]
    return faults


def _ours(name: str) -> bool:
    return name.startswith(OURS)


def _by(name: str) -> str:
    return OURS if _ours(name) else CLIENT_GO


def _lengths(found: Iterable[Overlap], culprit: str) -> dict[str, float]:
    lengths = [overlap.length_s for overlap in found if overlap.culprit == culprit]
    return {"count": len(lengths), "longest_s": round(max(lengths, default=0.0), 3), "sum_s": round(sum(lengths), 3)}


def summary(found: Iterable[HandOver], server_away: Sequence[tuple[float, float]]) -> dict[str, dict[str, float]]:
    """Quantiles of the hand-over times, by how the leader ended and who followed whom; those that the API server's
    absence had a part in stand apart."""
    groups: dict[str, list[float]] = {}
    for each in found:
        away = ", API server away" if each.during(server_away) else ""
        groups.setdefault(f"{each.kind}, {each.previous} to {each.following}{away}", []).append(each.seconds)
    return {name: quantiles(values) for name, values in sorted(groups.items())}


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """Count, p50, p90, p99 and the largest, in seconds."""
    named = {f"p{percent}_s": percentile(values, percent) for percent in (50, 90, 99)}
    return {"count": len(values), **{k: round(v, 4) for k, v in named.items()}, "max_s": round(max(values), 4)}


def text(numbers: Mapping[str, Any]) -> str:
    """The same for people."""
    terms, writes = numbers["terms"], numbers["writes"]
    lines = [
        f"seed {numbers['seed']}, {numbers['seconds']:.0f} s: "
        + ", ".join(f"{count} terms of {who}" for who, count in terms.items())
        + f"; led {numbers['led']:.1%} of the time; API server away for {numbers['server_away_s']} s",
        "faults: " + ", ".join(f"{name} {count}" for name, count in numbers["faults"].items()),
        f"answers lost after their request was forwarded: {numbers['answers_lost']}",
    ]
    for culprit, each in numbers["overlaps"].items():
        lines.append(f"overlaps by {culprit}: {each['count']}, longest {each['longest_s']} s, sum {each['sum_s']} s")
    lines += [f"  {each['length_s']:.3f} s: {each['culprit']}: {each['why']}" for each in numbers["overlap_list"]]
    lines += [
        f"fenced writes: {writes['offered']}, stale: {writes['stale_offered']}, accepted: {writes['stale_accepted']}",
        f"Leases emptied under a holder by another: {numbers['emptied_by_another'] or 'none'}",
        f"led again {numbers['led_again_after_s']} s after the last fault",
        "hand-overs:",
    ]
    for name, each in numbers["hand_overs"].items():
        lines.append("  " + name + ": " + ", ".join(f"{key.removesuffix('_s')} {value}" for key, value in each.items()))
    lines += [f"FAILED: {why}" for why in numbers["failures"]] or ["passed"]
    return "\n".join(lines)
