"""Numbers as people read them. Pure."""

from __future__ import annotations


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


def length(seconds: float) -> str:
    """How long something ran, in whole seconds: `0 s`, `180 s`, `12 min 30 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole <= 300:
        return f"{whole} s"
    unit, word, smaller, smaller_word = (60, "min", 1, "s") if whole < 3600 else (3600, "h", 60, "min")
    rest = whole % unit // smaller
    return f"{whole // unit} {word}" + (f" {rest} {smaller_word}" if rest else "")
