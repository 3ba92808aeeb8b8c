"""Numbers as programs and people read them. Pure."""

from __future__ import annotations

from lease_aio.scheduler import HistogramSnapshot


def spread_of(histogram: HistogramSnapshot) -> dict[str, float | None]:
    """Median, 99th percentile and largest value, in seconds; None while there is no value."""
    if not histogram.count:
        return {"p50": None, "p99": None, "max": None}
    return {
        "p50": round(histogram.percentile(50), 6),
        "p99": round(histogram.percentile(99), 6),
        "max": round(histogram.max_s, 6),
    }


def span(seconds: float) -> str:
    """A duration with the unit that fits it: `812 µs`, `4.1 ms`, `10.2 s`, `12 min`."""
    if seconds < 0:
        return f"-{span(-seconds)}"
    if seconds < 0.0009995:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 0.9995:
        return f"{seconds * 1e3:.{1 if seconds < 0.00995 else 0}f} ms"
    return f"{seconds:.1f} s" if seconds < 600 else f"{seconds / 60:.0f} min"


def rate(per_s: float) -> str:
    """A rate with as many digits as it needs: `0.5`, `9.9`, `371`."""
    return f"{per_s:.1f}" if per_s < 9.95 else f"{per_s:.0f}"


def spread_text(histogram: HistogramSnapshot) -> str:
    """Median, 99th percentile and largest value, for people; a dash while there is no value."""
    if not histogram.count:
        return "–"
    values = (histogram.percentile(50), histogram.percentile(99), histogram.max_s)
    return " ".join(f"{name} {span(value)}" for name, value in zip(("p50", "p99", "max"), values, strict=True))
