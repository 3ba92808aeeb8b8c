"""Many small pieces of news as few lines. Pure."""

from __future__ import annotations

_NAMED = 3
_COLLECTED_FOR_S = 1.0


class Digest:
    """Collects what is said of single nodes, so that hundreds that fall silent together make one line."""

    def __init__(self) -> None:
        self._pending: dict[str, tuple[float, list[str]]] = {}

    def add(self, at_s: float, node: str, words: str) -> None:
        """This is said of that node."""
        self._pending.setdefault(words, (at_s, []))[1].append(node)

    def ready(self, now_s: float) -> list[str]:
        """The lines whose second is over, oldest first. They are not told again."""
        done = [words for words, (at_s, _) in self._pending.items() if now_s >= at_s + _COLLECTED_FOR_S]
        return [nodes_line(at_s, nodes, words) for words in done for at_s, nodes in [self._pending.pop(words)]]


def nodes_line(at_s: float, nodes: list[str], words: str) -> str:
    """`  116 s  10 nodes unknown: node-3, node-7, node-12 and 7 more`."""
    if len(nodes) == 1:
        return moment(at_s, f"{nodes[0]} {words}")
    more = f" and {len(nodes) - _NAMED} more" if len(nodes) > _NAMED else ""
    return moment(at_s, f"{len(nodes)} nodes {words}: {', '.join(nodes[:_NAMED])}{more}")


def moment(at_s: float, text: str) -> str:
    """A line about something that happened then."""
    return f"{at_s:5.0f} s  {text}"
