"""The garbage collector of a process that holds many objects for long: it need not look at them again and again."""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator
from contextlib import contextmanager

_RARELY = (50_000, 20, 50)


@contextmanager
def rarely_collecting() -> Generator[Callable[[], None]]:
    """Collect rarely within the block; yields what is to be called once all that lives long is there.

    Each request in flight holds some tens of objects, so a burst of a hundred of them exceeds Python's default
    threshold of 700 again and again, and now and then the collector walks through all nodes: with 50,000 over TLS
    it took a sixth of the time. `benchmarks/fleet_scale.py --default-gc` shows what it costs.

    It is for whoever owns the process; the settings from before are restored at the end.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.set_threshold(*_RARELY)
    try:
        yield gc.freeze
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
