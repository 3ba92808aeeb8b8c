"""Memberships counted."""

import anyio
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from lease_aio.errors import Refused
from lease_aio.recipes import MembersObservation, Shared
from lease_aio.telemetry import memberships
from lease_aio.telemetry.memberships import MembershipMetrics
from tests.heartbeat.stage import refusing, staged
from tests.recipes.test_membership import crash, member_of

pytestmark = pytest.mark.virtual_time


class Scrape:
    def __init__(self):
        self.registry = CollectorRegistry()
        self.metrics = MembershipMetrics(registry=self.registry)

    def value(self, name, **labels):
        return self.registry.get_sample_value(f"lease_aio_{name}", {"group": "workers", **labels})


async def test_one_that_never_joined_is_not_counted():
    scrape = Scrape()
    async with staged() as stage:
        stage.faults = refusing
        with pytest.raises(Refused):
            async with member_of(stage, observer=scrape.metrics):
                pytest.fail("entered")
    assert scrape.value("memberships") in {None, 0}


async def test_memberships_are_counted_while_they_last():
    scrape = Scrape()
    async with staged() as stage, member_of(stage, observer=scrape.metrics):
        async with member_of(stage, observer=scrape.metrics):
            assert scrape.value("memberships") == 2
        assert scrape.value("memberships") == 1
    assert scrape.value("memberships") == 0


async def test_a_take_over_is_counted():
    scrape = Scrape()
    async with staged() as stage, member_of(stage, "w-0", observer=scrape.metrics), member_of(stage, "w-0"):
        await anyio.sleep(60)
        assert scrape.value("memberships_superseded_total") == 1
        assert scrape.value("memberships_shared_total") is None
    scrape.metrics(Shared(group="workers", member="w-0"))
    assert scrape.value("memberships_shared_total") == 1


async def test_what_was_cleared_away_is_counted():
    scrape = Scrape()
    async with staged() as stage, member_of(stage, "w-0", observer=scrape.metrics):
        await crash(stage, "w-1")
        await anyio.sleep(600)
    assert scrape.value("member_leftovers_deleted_total") == 1


async def test_those_alive_are_counted_as_they_were_seen_last():
    scrape = Scrape()
    async with staged() as stage:
        await crash(stage, "w-1")
        changes = MembersObservation(stage.api, stage.clock, group="workers", namespace="default")
        async with changes, member_of(stage, "w-0"):
            for alive in (1, 2, 1):
                scrape.metrics.saw(changes, await anext(changes))
                assert scrape.value("members") == alive
    found = {what: scrape.value("member_changes_total", change=what) for what in ("joined", "lost", "left")}
    assert found == {"joined": 2, "lost": 1, "left": None}


async def test_the_exposition_is_what_the_docs_list():
    text = generate_latest(Scrape().registry).decode()
    told = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    listed = {line.split("`")[1] for line in memberships.__doc__.splitlines() if line.startswith("| `")}
    assert told == listed
