"""How `lease-aio fleet` sets Python's collector while it runs."""

import gc

import pytest

from lease_aio.cli.collector import rarely_collecting


def test_the_collector_is_as_before_whatever_happens():
    before = gc.get_threshold()
    with pytest.raises(ZeroDivisionError), rarely_collecting() as all_are_there:
        all_are_there()
        raise ZeroDivisionError
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)


def test_a_burst_of_requests_makes_it_collect_nothing():
    seen = []
    with rarely_collecting() as all_are_there:
        all_are_there()
        gc.callbacks.append(lambda phase, _: seen.append(phase))
        try:
            for _ in range(20):
                burst = [[] for _ in range(5_000)]
                burst.clear()
        finally:
            gc.callbacks.pop()
    assert seen == []


def test_what_is_told_to_be_there_for_long_is_looked_at_no_more():
    with rarely_collecting() as all_are_there:
        kept = [[] for _ in range(1_000)]
        all_are_there()
        assert gc.get_freeze_count() > len(kept)
        assert len(gc.get_objects()) < len(kept)
