"""Which nodes chance takes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lease_aio.errors import ConfigurationError


def choose(
    among: Sequence[str], *, count: int | None, fraction: float | None, random: Callable[[], float]
) -> tuple[str, ...]:
    """Some of `among`, at random.

    Args:
        among: What there is to choose from.
        count: So many, or all if there are fewer.
        fraction: Such a part instead, from 0 to 1.
        random: Uniform in [0, 1): chooses.

    Raises:
        ConfigurationError: a number out of range, or not exactly one of the two.
    """
    if (count is None) is (fraction is None):
        raise ConfigurationError("say how many nodes are meant in exactly one way: count or fraction")
    if fraction is not None:
        if not 0 <= fraction <= 1:
            raise ConfigurationError(f"fraction={fraction!r} must lie between 0 and 1")
        count = round(fraction * len(among))
    if count is None or count < 0:
        raise ConfigurationError(f"count={count!r} must be zero or more")
    shuffled = sorted(among, key=lambda _: random())
    return tuple(shuffled[:count])
