"""Numbers as programs and people read them. Pure."""

from __future__ import annotations

from lease_aio.scheduler import HistogramSnapshot
from lease_aio.words import rate, span

__all__ = ["rate", "span", "spread_of", "spread_text"]


def spread_of(histogram: HistogramSnapshot) -> dict[str, float | None]:
    """Median, 99th percentile and largest value, in seconds; None while there is no value."""
    if not histogram.count:
        return {"p50": None, "p99": None, "max": None}
    return {
        "p50": round(histogram.percentile(50), 6),
        "p99": round(histogram.percentile(99), 6),
        "max": round(histogram.max_s, 6),
    }


def spread_text(histogram: HistogramSnapshot) -> str:
    """Median, 99th percentile and largest value, for people; a dash while there is no value."""
    if not histogram.count:
        return "–"
    values = (histogram.percentile(50), histogram.percentile(99), histogram.max_s)
    return " ".join(f"{name} {span(value)}" for name, value in zip(("p50", "p99", "max"), values, strict=True))
