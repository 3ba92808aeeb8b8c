"""The NoExecute taints of one zone: a queue that a token bucket lets out. Pure.

Source of the rules: `RateLimitedTimedQueue` of kubernetes/kubernetes. The controller looks at it every 100 ms; here the
times come out exactly, so up to 100 ms earlier.
"""

from __future__ import annotations

import math
from collections.abc import Iterator


class Evictions:
    """Nodes that wait for their NoExecute taint.

    Args:
        rate_per_s: Taints a second; the bucket holds one token and starts full.
        now: The time.
    """

    __slots__ = ("_queue", "_token_at", "rate_per_s")

    def __init__(self, rate_per_s: float, now: float) -> None:
        self.rate_per_s = rate_per_s
        self._queue: dict[str, float] = {}  # name to the time of its queuing, oldest first
        self._token_at = now if rate_per_s > 0 else math.inf  # when the bucket has its token

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def next_at(self) -> float:
        """When the next node would be let out; infinity for never."""
        added = next(iter(self._queue.values()), math.inf)
        return max(added, self._token_at)

    def add(self, name: str, now: float) -> None:
        """Queue a node; one that waits keeps its place."""
        self._queue.setdefault(name, now)

    def discard(self, name: str) -> None:
        """Take a node out, if it is there."""
        self._queue.pop(name, None)

    def due(self, now: float) -> Iterator[tuple[str, float]]:
        """Let out those whose time has come, each with that time. Each takes a token, whatever becomes of it."""
        while (at := self.next_at) <= now:
            name = next(iter(self._queue))
            del self._queue[name]
            self._token_at = at + 1 / self.rate_per_s
            yield name, at

    def swap_rate(self, rate_per_s: float, now: float) -> None:
        """Change the rate. A new bucket is full, unless the old one was empty."""
        if rate_per_s == self.rate_per_s:
            return
        empty = self._token_at > now
        self.rate_per_s = rate_per_s
        if rate_per_s <= 0:
            self._token_at = math.inf
        else:
            self._token_at = now + 1 / rate_per_s if empty else now
