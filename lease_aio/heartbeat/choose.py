"""Which nodes are meant. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from lease_aio.errors import ConfigurationError


def choose(
    among: Sequence[str],
    known: Collection[str],
    *,
    names: Iterable[str] | None,
    count: int | None,
    fraction: float | None,
    random: Callable[[], float],
) -> tuple[str, ...]:
    """Some of `among`, by exactly one of three ways.

    Args:
        among: What there is to choose from.
        known: All names there are. To name one that is known but not among those is no error, and chooses nothing.
        names: These.
        count: So many, or all if there are fewer, at random.
        fraction: Such a part, from 0 to 1, at random.
        random: Uniform in [0, 1): chooses.

    Raises:
        ConfigurationError: an unknown name, a number out of range, or not exactly one way.
    """
    if sum(way is not None for way in (names, count, fraction)) != 1:
        raise ConfigurationError("say which nodes are meant in exactly one way: names, count or fraction")
    if names is not None:
        return _named(among, known, names)
    if fraction is not None:
        if not 0 <= fraction <= 1:
            raise ConfigurationError(f"fraction={fraction!r} must lie between 0 and 1")
        count = round(fraction * len(among))
    if count is None or count < 0:
        raise ConfigurationError(f"count={count!r} must be zero or more")
    shuffled = sorted(among, key=lambda _: random())
    return tuple(shuffled[:count])


def _named(among: Sequence[str], known: Collection[str], names: Iterable[str]) -> tuple[str, ...]:
    if isinstance(names, str):
        raise ConfigurationError(f"names={names!r} is one string; give a list of names")
    wanted = dict.fromkeys(names)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ConfigurationError(f"there is no node {unknown[0]!r} in this fleet; see its `names`")
    allowed = set(among)
    return tuple(name for name in wanted if name in allowed)
