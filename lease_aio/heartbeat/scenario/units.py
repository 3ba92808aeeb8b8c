"""Durations and shares as people write them: `90s`, `1m30s`, `20%`. Pure."""

from __future__ import annotations

import re

_NUMBER = r"(\d+(?:\.\d+)?)"
_DURATION = re.compile(rf"(?P<sign>-?)(?:{_NUMBER}h)?(?:{_NUMBER}m)?(?:{_NUMBER}s)?(?:{_NUMBER}ms)?", re.ASCII)
_SHARE = re.compile(rf"(?P<sign>-?){_NUMBER}%", re.ASCII)
_UNITS_S = (3600.0, 60.0, 1.0, 0.001)
_LONGEST_S = 1e9


def parse_duration(text: str) -> float | None:
    """Seconds, of hours, minutes, seconds and milliseconds in this order; None for no duration, and for 30 years."""
    found = _DURATION.fullmatch(text)
    if found is None:
        return None
    parts = found.groups()[1:]
    if not any(parts):
        return None
    seconds = sum(float(part) * unit_s for part, unit_s in zip(parts, _UNITS_S, strict=True) if part)
    if not seconds < _LONGEST_S:
        return None
    return -seconds if found["sign"] else seconds


def parse_share(text: str) -> float | None:
    """A share of one, of per cent; None where it is none."""
    found = _SHARE.fullmatch(text)
    if found is None:
        return None
    share = float(found[2]) / 100
    return -share if found["sign"] else share


def duration_text(seconds: float) -> str:
    """As `parse_duration` reads it, to the millisecond: `1m30s`, `1.5s`, `0s`."""
    if seconds < 0:
        return f"-{duration_text(-seconds)}"
    if 0 < seconds < 1:
        return f"{round(seconds * 1000):g}ms"
    minutes, rest_s = divmod(round(seconds, 3), 60)
    hours, minutes = divmod(minutes, 60)
    text = (f"{hours:g}h" if hours else "") + (f"{minutes:g}m" if minutes else "")
    return text + (f"{round(rest_s, 3):g}s" if rest_s or not text else "")


def share_text(share: float) -> str:
    """As `parse_share` reads it: `20%`."""
    return f"{round(share * 100, 6):g}%"
