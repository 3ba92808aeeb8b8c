"""Virtual time: what its users may rely on."""

import asyncio
import math
import socket
import threading
import time

import anyio
import pytest

from lease_aio.testing import Deadlock, VirtualClock, run
from lease_aio.testing.virtual import CLOCK_START, WALL_START_US

pytestmark = pytest.mark.virtual_time


def test_waiting_for_nothing_is_a_deadlock_that_names_the_waiting_task():
    async def waits_for_nothing() -> None:
        await anyio.Event().wait()

    with pytest.raises(Deadlock, match=r"(?s)nowhere to go.*waits_for_nothing:\d+ > wait:\d+"):
        run(waits_for_nothing)


def test_a_deadlock_still_lets_tasks_clean_up():
    cleaned: list[str] = []

    async def waits_for_nothing() -> None:
        try:
            await anyio.Event().wait()
        finally:
            cleaned.append("done")

    with pytest.raises(Deadlock):
        run(waits_for_nothing)
    assert cleaned == ["done"]


async def test_a_virtual_clock_on_a_real_loop_is_refused():
    def on_a_real_loop() -> None:
        async def reads() -> None:
            VirtualClock().now()

        asyncio.run(reads())

    with pytest.raises(RuntimeError, match="VIRTUAL_TIME"):
        await asyncio.to_thread(on_a_real_loop)


@pytest.mark.parametrize("rate", [0.0, -1.0, math.nan, math.inf])
def test_an_impossible_rate_is_refused(rate: float):
    with pytest.raises(ValueError, match="rate="):
        VirtualClock(rate=rate)


@pytest.mark.parametrize("seconds", [-1.0, math.nan])
def test_an_impossible_suspend_is_refused(seconds: float):
    with pytest.raises(ValueError, match="seconds="):
        VirtualClock().advance_suspended(seconds)


async def test_a_day_passes_in_no_time(virtual_clock: VirtualClock):
    began, really_began = virtual_clock.now(), time.monotonic()
    await anyio.sleep(3 * 86_400)
    assert virtual_clock.now() - began == 3 * 86_400
    assert time.monotonic() - really_began < 60


async def test_timers_fire_in_order_and_on_time():
    loop = asyncio.get_running_loop()
    began, fired = loop.time(), dict[float, float]()

    async def sleeper(delay_s: float) -> None:
        await anyio.sleep(delay_s)
        fired[delay_s] = loop.time() - began

    async with anyio.create_task_group() as group:
        for delay_s in (30.0, 0.5, 7.25):
            group.start_soon(sleeper, delay_s)
    assert fired == {0.5: 0.5, 7.25: 7.25, 30.0: 30.0}
    assert list(fired) == [0.5, 7.25, 30.0]


async def test_every_kind_of_timeout_obeys():
    loop = asyncio.get_running_loop()
    began = loop.time()
    with anyio.move_on_after(40):
        await anyio.sleep_forever()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2):
            await asyncio.sleep(100)
    assert loop.time() - began == 42


async def test_time_stands_still_while_a_thread_of_asyncio_works():
    loop = asyncio.get_running_loop()
    began, released = loop.time(), threading.Event()
    asyncio.get_running_loop().call_soon(released.set)
    async with asyncio.timeout(0.001):
        assert await asyncio.to_thread(released.wait, 5)
    assert loop.time() == began


async def test_io_without_any_timer_is_waited_for():
    loop = asyncio.get_running_loop()
    near, far = socket.socketpair()
    with near, far:
        near.settimeout(0)
        threading.Timer(0.01, far.send, (b"x",)).start()
        assert await loop.sock_recv(near, 1) == b"x"


async def test_a_sleeper_reaches_its_time_exactly(virtual_clock: VirtualClock):
    when = virtual_clock.now() + 12.5
    await virtual_clock.sleep_until(when)
    assert virtual_clock.now() == when


@pytest.mark.parametrize("rate", [0.9, 0.99, 1.0, 1.013, 1.1])
@pytest.mark.parametrize("delay_s", [1e-9, 0.1, 3.3, 1e5])
async def test_a_sleeper_never_wakes_early_whatever_the_rate(rate: float, delay_s: float):
    clock = VirtualClock(rate=rate)
    when = clock.now() + delay_s
    await clock.sleep_until(when)
    assert when <= clock.now() <= when + 1e-8


async def test_a_fast_clock_gains_on_a_true_one():
    true, fast = VirtualClock(), VirtualClock(rate=1.1, offset_s=50.0)
    began, fast_began = true.now(), fast.now()
    await anyio.sleep(100)
    assert true.now() - began == 100
    assert fast.now() - fast_began == pytest.approx(110)


async def test_two_machines_may_disagree_on_the_origin():
    apart = VirtualClock(offset_s=5.0).now() - VirtualClock().now()
    assert apart == 5.0 - CLOCK_START


async def test_a_suspend_moves_the_clock_but_no_timer(virtual_clock: VirtualClock):
    loop = asyncio.get_running_loop()
    began, loop_began = virtual_clock.now(), loop.time()
    virtual_clock.advance_suspended(600)
    assert (virtual_clock.now() - began, loop.time() - loop_began) == (600, 0)
    await anyio.sleep(5)
    assert virtual_clock.now() - began == 605


async def test_a_sleeper_notices_a_suspend_one_second_after_the_resume(virtual_clock: VirtualClock):
    loop = asyncio.get_running_loop()
    woke: list[float] = []

    async def sleeper() -> None:
        await virtual_clock.sleep_until(virtual_clock.now() + 15)
        woke.append(loop.time())

    async with anyio.create_task_group() as group:
        group.start_soon(sleeper)
        await anyio.sleep(3)
        resumed = loop.time()
        virtual_clock.advance_suspended(600)
    assert woke == [resumed + 1]


async def test_a_short_suspend_brings_the_sleeper_forward(virtual_clock: VirtualClock):
    when = virtual_clock.now() + 15

    async def sleeper() -> None:
        await virtual_clock.sleep_until(when)
        assert virtual_clock.now() == when

    async with anyio.create_task_group() as group:
        group.start_soon(sleeper)
        await anyio.sleep(3)
        virtual_clock.advance_suspended(10)


async def test_the_wall_clock_can_be_set_back_without_moving_time(virtual_clock: VirtualClock):
    began, wall_began = virtual_clock.now(), virtual_clock.wall_us()
    virtual_clock.step_wall(-3600)
    await anyio.sleep(1)
    assert virtual_clock.now() - began == 1
    assert virtual_clock.wall_us() - wall_began == -3_599_000_000


def test_a_fresh_loop_starts_at_the_same_time_each_run():
    async def wall() -> int:
        return VirtualClock().wall_us()

    assert run(wall) == run(wall) == WALL_START_US


def test_run_returns_what_the_function_returns_and_raises_what_it_raises():
    async def divide(a: int, b: int) -> float:
        await anyio.sleep(1)
        return a / b

    assert run(divide, 6, 3) == 2
    with pytest.raises(ZeroDivisionError):
        run(divide, 1, 0)
