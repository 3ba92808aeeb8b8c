"""The machine's own clock."""

import math
import time

import anyio
import pytest

from lease_aio.clock import SystemClock


async def test_a_sleep_that_is_already_over_still_gives_way_to_a_cancellation():
    clock = SystemClock()
    turns = 0
    with anyio.CancelScope() as scope:
        while turns < 3:
            turns += 1
            scope.cancel()
            await clock.sleep_until(clock.now() - 1)
    assert turns == 1


async def test_a_sleep_without_end_ends_by_cancellation_only():
    with anyio.move_on_after(0.01) as scope:
        await SystemClock().sleep_until(math.inf)
    assert scope.cancelled_caught


async def test_a_sleeper_never_wakes_early():
    clock = SystemClock()
    for wanted_s in (1e-6, 1e-3, 5e-3):
        when = clock.now() + wanted_s
        await clock.sleep_until(when)
        assert clock.now() >= when


async def test_a_suspend_is_noticed_with_the_next_slice(monkeypatch: pytest.MonkeyPatch):
    clock = SystemClock()
    slept: list[float] = []
    time_line = 0.0

    async def suspended_in_the_second_slice(delay_s: float) -> None:
        nonlocal time_line
        slept.append(delay_s)
        time_line += 3600.0 if len(slept) == 2 else delay_s

    monkeypatch.setattr(clock, "_now", lambda: time_line)
    monkeypatch.setattr(clock, "_slice_s", 1.0)
    monkeypatch.setattr(anyio, "sleep", suspended_in_the_second_slice)
    await clock.sleep_until(60.0)
    assert slept == [1.0, 1.0]
    assert time_line == 3601.0


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="this platform has no CLOCK_BOOTTIME")
def test_on_linux_time_includes_suspends():
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    read = SystemClock().now()
    assert before <= read <= time.clock_gettime(time.CLOCK_BOOTTIME)


def test_the_wall_clock_counts_microseconds_since_the_epoch():
    assert abs(SystemClock().wall_us() / 1e6 - time.time()) < 1
