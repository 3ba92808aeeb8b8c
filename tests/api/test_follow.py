"""Following in virtual time: what is waited out, what is raised, and what is left open."""

import random
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from lease_aio.api import LEASES, Backoff, Change, ChangeType, Follow, follow
from lease_aio.api.memory import MemoryApi, Moment
from lease_aio.api.transport import Fault, TransportError
from lease_aio.errors import Call, Invalid, LeaseAioError, NotFound, Refused
from lease_aio.model import Lease, LeaseSpec, new_lease
from lease_aio.server import StatusError, Store
from lease_aio.testing import VirtualClock

pytestmark = pytest.mark.virtual_time

BROKEN = TransportError(Fault.BROKEN, "reset", sent=True)
GONE = StatusError(410, "Expired", "too old resource version: 1 (2)")


class Troubled:
    """Fails the next calls of a verb, in order; None lets one through. Keeps a log of all calls with their time."""

    def __init__(self) -> None:
        self.plan: dict[tuple[str, Moment], list[Exception | None]] = {}
        self.calls: list[str] = []
        self.at: list[float] = []

    def will(self, verb: str, *errors: Exception | None, moment: Moment = Moment.BEFORE) -> None:
        self.plan[verb, moment] = list(errors)

    async def __call__(self, moment: Moment, call: Call) -> None:
        if moment is Moment.BEFORE:
            self.calls.append(call.verb)
            self.at.append(anyio.current_time())
        planned = self.plan.get((call.verb, moment))
        if planned and (error := planned.pop(0)) is not None:
            raise error


class World:
    """A store, an api on it that has troubles, and one that has none."""

    def __init__(self) -> None:
        self.store = Store(now=0)
        self.troubles = Troubled()
        self.api = MemoryApi(self.store, faults=self.troubles)
        self.calm = MemoryApi(self.store)

    def follow(self, **options: Any) -> Follow[Lease]:
        options = {"clock": VirtualClock(), "random": random.Random(1).random, **options}
        return follow(self.api, LEASES, "default", **options)

    async def write(self, name: str, holder: str = "x") -> None:
        try:
            current = await self.calm.get(LEASES, name, "default")
            await self.calm.replace(LEASES, current.with_spec(holder_identity=holder))
        except NotFound:
            await self.calm.create(LEASES, new_lease(name, "default", LeaseSpec(holder_identity=holder)))

    @property
    def open_watches(self) -> int:
        return self.store.open_watches


async def take(changes: Follow[Lease], count: int) -> list[tuple[ChangeType, str]]:
    with anyio.fail_after(600):
        return [_short(await anext(changes)) for _ in range(count)]


def _short(change: Change[Lease]) -> tuple[ChangeType, str]:
    return change.type, change.name


SET, GONE_, SYNCED = ChangeType.SET, ChangeType.GONE, ChangeType.SYNCED


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (StatusError(403, "Forbidden", "no"), Refused),
        (StatusError(400, "BadRequest", "no"), Invalid),
        (StatusError(404, "NotFound", "no"), NotFound),
    ],
)
@pytest.mark.parametrize("verb", ["list", "watch"])
async def test_what_waiting_does_not_mend_is_raised_with_verb_and_resource(
    verb: str, error: StatusError, kind: type[LeaseAioError]
) -> None:
    world = World()
    world.troubles.will(verb, error)
    async with world.follow() as changes:
        with pytest.raises(kind, match=rf"^{verb} leases\.coordination\.k8s\.io default: "):
            await take(changes, 2)
    assert world.open_watches == 0


async def test_a_server_that_is_away_is_asked_again_with_growing_waits() -> None:
    world = World()
    world.troubles.will("list", *[BROKEN] * 12)
    async with world.follow() as changes:
        assert await take(changes, 1) == [(SYNCED, "")]
    waits = [after - before for before, after in zip(world.troubles.at, world.troubles.at[1:], strict=False)]
    assert len(waits) == 12
    for number, wait_s in enumerate(waits):
        longest = min(30.0, 0.5 * 2**number)
        assert longest / 2 - 0.01 <= wait_s <= longest + 0.01


async def test_the_servers_retry_after_is_honoured() -> None:
    world = World()
    world.troubles.will("list", StatusError(429, "TooManyRequests", "later", retry_after_s=40))
    async with world.follow() as changes:
        await take(changes, 1)
    assert 40 <= world.troubles.at[1] - world.troubles.at[0] <= 50


async def test_while_it_waits_it_says_why() -> None:
    world = World()
    world.troubles.will("list", *[BROKEN] * 3)
    async with world.follow(backoff=Backoff(first_s=100, cap_s=100)) as changes:
        with anyio.move_on_after(200):
            await anext(changes)
        assert changes.failures >= 2
        assert "list leases" in str(changes.last_error)
        await take(changes, 1)
        assert (changes.failures, changes.last_error) == (0, None)


async def test_first_all_that_there_is_then_every_change() -> None:
    world = World()
    for name in "ab":
        await world.write(name)
    async with world.follow() as changes:
        assert await take(changes, 3) == [(SET, "a"), (SET, "b"), (SYNCED, "")]
        await world.write("c")
        await world.write("a", "y")
        await world.calm.delete(LEASES, "b", "default")
        assert await take(changes, 3) == [(SET, "c"), (SET, "a"), (GONE_, "b")]
    assert world.troubles.calls == ["list", "watch"]
    assert world.open_watches == 0


async def test_nothing_is_missed_between_list_and_watch() -> None:
    world = World()
    await world.write("a")
    async with world.follow() as changes:
        assert await take(changes, 2) == [(SET, "a"), (SYNCED, "")]
        await world.calm.delete(LEASES, "a", "default")
        await world.write("b")
        assert world.troubles.calls == ["list"]
        assert await take(changes, 2) == [(GONE_, "a"), (SET, "b")]


async def test_a_broken_watch_is_resumed_where_it_was() -> None:
    world = World()
    world.troubles.will("watch", None, BROKEN, moment=Moment.AFTER)
    async with world.follow() as changes:
        await take(changes, 1)
        for name in "abc":
            await world.write(name)
        assert await take(changes, 3) == [(SET, "a"), (SET, "b"), (SET, "c")]
    assert world.troubles.calls == ["list", "watch", "watch"]


async def test_a_watch_that_ends_in_order_is_opened_again_from_its_bookmark() -> None:
    world = World()
    async with world.follow(watch_timeout_s=60) as changes:
        await take(changes, 1)
        with anyio.move_on_after(1000):
            await anext(changes)
        await world.write("a")
        assert await take(changes, 1) == [(SET, "a")]
    assert 8 <= world.troubles.calls.count("watch") <= 18
    assert world.troubles.calls.count("list") == 1


async def test_watches_that_end_at_once_are_no_busy_loop() -> None:
    world = World()
    async with world.follow(watch_timeout_s=0) as changes:
        await take(changes, 1)
        with anyio.move_on_after(300):
            await anext(changes)
    assert world.troubles.calls.count("watch") < 400


async def test_a_place_that_is_forgotten_costs_a_list_and_tells_the_difference() -> None:
    world = World()
    for name in "abc":
        await world.write(name)
    async with world.follow() as changes:
        await take(changes, 4)
        world.troubles.will("watch", GONE)
        await world.calm.delete(LEASES, "a", "default")
        await world.write("b", "y")
        assert await take(changes, 3) == [(SET, "b"), (GONE_, "a"), (SYNCED, "")]
    assert world.troubles.calls[:3] == ["list", "watch", "list"]


async def test_a_server_that_forgets_at_once_is_not_listed_in_a_loop() -> None:
    world = World()
    world.troubles.will("watch", *[GONE] * 1000)
    async with world.follow() as changes:
        with anyio.move_on_after(300):
            while True:
                await anext(changes)
    assert world.troubles.calls.count("list") < 25


async def test_pages_that_expire_are_listed_again_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lease_aio.api.following.PAGE_LIMIT", 2)
    world = World()
    for name in "abcde":
        await world.write(name)
    world.troubles.will("list", None, GONE)
    async with world.follow() as changes:
        assert await take(changes, 6) == [(SET, name) for name in "abcde"] + [(SYNCED, "")]
    assert world.troubles.calls == ["list", "list", "list"]


async def test_the_list_after_one_without_pages_has_pages_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lease_aio.api.following.PAGE_LIMIT", 2)
    world = World()
    for name in "abcde":
        await world.write(name)
    world.troubles.will("list", None, GONE)
    world.troubles.will("watch", GONE)
    async with world.follow() as changes:
        await take(changes, 6)
        await world.write("f")
        assert await take(changes, 2) == [(SET, "f"), (SYNCED, "")]
    assert world.troubles.calls == ["list", "list", "list", "watch", "list", "list", "list"]


async def test_watches_end_at_different_times(monkeypatch: pytest.MonkeyPatch) -> None:
    world, asked = World(), list[float]()
    watch = world.api.watch

    async def noted(*where: Any, timeout_s: float, **options: Any) -> Any:
        asked.append(timeout_s)
        return await watch(*where, timeout_s=timeout_s, **options)

    monkeypatch.setattr(world.api, "watch", noted)
    async with world.follow(watch_timeout_s=10) as changes:
        await take(changes, 1)
        with anyio.move_on_after(300):
            await anext(changes)
    assert len(asked) >= 15
    assert 10 <= min(asked) < 13
    assert 17 < max(asked) < 20


async def test_a_list_in_one_that_comes_to_nothing_is_made_in_pages_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lease_aio.api.following.PAGE_LIMIT", 2)
    world = World()
    for name in "abcde":
        await world.write(name)
    world.troubles.will("list", None, GONE, BROKEN)
    async with world.follow() as changes:
        assert await take(changes, 6) == [(SET, name) for name in "abcde"] + [(SYNCED, "")]
    assert world.troubles.calls == ["list"] * 6  # two pages, one, and three pages


async def test_a_follower_has_to_be_entered() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await anext(World().follow())


@pytest.mark.parametrize("steps", range(12))
async def test_a_cancellation_anywhere_leaves_nothing_open(steps: int) -> None:
    world = World()
    await world.write("a")
    world.api = MemoryApi(world.store, faults=world.troubles, latency_s=1.0)
    world.troubles.will("watch", BROKEN)
    with anyio.move_on_after(steps * 0.4 + 0.2):
        async with world.follow() as changes:
            while True:
                await anext(changes)
    assert world.open_watches == 0


async def test_after_a_cancelled_wait_for_a_change_the_next_one_is_not_lost() -> None:
    world = World()
    async with world.follow() as changes:
        await take(changes, 1)
        with anyio.move_on_after(5):
            await anext(changes)
        await world.write("a")
        assert await take(changes, 1) == [(SET, "a")]
    assert world.troubles.calls == ["list", "watch"]


async def test_many_pages_are_one_list(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    world = World()
    for number in range(1100):
        await world.write(f"l{number:04}")
    listing: Callable[..., Any] = world.api.list

    async def recorded(*args: Any, **named: Any) -> Any:
        asked.append(named)
        return await listing(*args, **named)

    monkeypatch.setattr(world.api, "list", recorded)
    async with world.follow() as changes:
        assert len(set(await take(changes, 1101))) == 1101
    assert [named["limit"] for named in asked] == [500, 500, 500]
    assert all("resource_version" not in named for named in asked)
