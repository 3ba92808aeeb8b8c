"""What `lease-aio identity` says, in virtual time."""

import io
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import anyio
import pytest

import lease_aio
from lease_aio.cli.identity import CollectOptions, PublishOptions, collect, list_identities, publish, row_of, table
from lease_aio.cli.output import Output
from lease_aio.errors import ClockSkewed
from lease_aio.identity import read_identity
from lease_aio.model import LeaseSpec, MicroTime, Time, new_lease
from lease_aio.testing import VirtualClock
from tests.cli.rig import events

pytestmark = pytest.mark.virtual_time

PUBLISH = PublishOptions(hostname="vm", server="kube-apiserver", peer_address=None, delete_first=True, keep=False)
COLLECT = CollectOptions(server="kube-apiserver", once=True, dry_run=False, period_s=3600, max_skew_s=60)


def opened():
    return lease_aio.connect("embedded", clock=VirtualClock())


class Said:
    def __init__(self, *, json=True):
        self.stream = io.StringIO()
        self.output = Output(json=json, stream=self.stream, errors=io.StringIO(), wall=lambda: 0.0)

    @property
    def events(self):
        return events(self.stream.getvalue())

    @property
    def names(self):
        return [one["event"] for one in self.events]


@asynccontextmanager
async def running(work, *args):
    """Run a command until the block ends."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work, *args)
        yield
        tasks.cancel_scope.cancel()


async def test_a_publisher_says_by_whom_it_was_superseded():
    said = Said()
    async with opened() as leases, running(publish, leases, PUBLISH, said.output):
        await anyio.sleep(1)
        async with leases.apiserver_identity(hostname="vm") as newer:
            await anyio.sleep(11)
    assert said.names == ["published", "superseded", "withdrawing"]
    assert said.events[1]["by"] == newer.holder
    assert said.events[1]["hostname"] == "vm"


async def test_a_publisher_says_that_another_renews_its_lease():
    said = Said()
    async with opened() as leases, running(publish, leases, PUBLISH, said.output):
        await anyio.sleep(1)
        async with leases.apiserver_identity(hostname="vm", delete_first=False):
            await anyio.sleep(21)
    assert said.names == ["published", "shared", "withdrawing"]


async def test_a_collector_that_runs_on_says_when_a_pass_came_to_nothing():
    said = Said()
    async with opened() as leases, running(collect, leases, replace(COLLECT, once=False, period_s=100), said.output):
        await anyio.sleep(50)
        wrong_by(leases, 3600)
        await anyio.sleep(60)
    assert said.names[:2] == ["collection", "failed"]
    assert said.events[1]["skewed"]
    assert "3600 s behind" in said.events[1]["error"]


async def test_a_single_pass_whose_clock_is_wrong_fails():
    async with opened() as leases:
        wrong_by(leases, -3600)
        with pytest.raises(ClockSkewed, match="ahead"):
            await collect(leases, COLLECT, Said().output)


def wrong_by(leases, seconds):
    """From now on the server's clock is so far ahead."""
    asked = leases.api.list

    async def answered(*args, **options):
        page = await asked(*args, **options)
        return replace(page, date=Time(page.date.epoch_us + seconds * 10**6))

    leases.api.list = answered


async def test_a_deletion_that_failed_is_told_and_the_exit_code_says_so():
    said = Said(json=False)
    async with opened() as leases:
        labels = {"apiserver.kubernetes.io/identity": "kube-apiserver"}
        await leases.create(new_lease("old", "kube-system", LeaseSpec(), labels=labels))

        async def no(*args, **kwargs):
            raise lease_aio.Refused(lease_aio.errors.Call(verb="delete", resource="leases"), "no", status=403)

        leases.api.delete = no
        assert await collect(leases, COLLECT, said.output) == 1
    assert said.stream.getvalue().splitlines() == [
        "not collected old: delete leases: 403: no",
        "1 identities found, 0 collected, 0 spared, 1 not deleted",
    ]


async def test_a_watched_list_begins_with_the_table():
    said = Said(json=False)
    listed = partial(list_identities, output=said.output, server="kube-apiserver", watch=True)
    async with opened() as leases, leases.apiserver_identity(hostname="a"), running(listed, leases):
        await anyio.sleep(1)
        async with leases.apiserver_identity(hostname="b") as b:
            await anyio.sleep(1)
        await anyio.sleep(1)
    header, row, *changes = said.stream.getvalue().splitlines()
    assert header.split()[0] == "NAME"
    assert row.split()[1] == "a"
    assert changes == [f"{what}: {b.name} (host b), held by {b.holder}" for what in ("appeared", "gone")]


def test_a_row_says_what_is_not_known():
    bare = read_identity(new_lease("x", "kube-system", LeaseSpec()), 10**9)
    lines = table([row_of(bare, 10**9)]).splitlines()
    assert lines[1].split() == ["x", "<unknown>", "<none>", "<unknown>", "<never>", "expired"]


def test_ages_are_kubectls():
    spec = LeaseSpec(holder_identity="h", lease_duration_seconds=3600, renew_time=MicroTime(10**15 - 5_000_000))
    lease = new_lease("x", "kube-system", spec).with_metadata(creation_timestamp=Time(10**15 - 125_000_000))
    row = row_of(read_identity(lease, 10**15), 10**15)
    assert row.cells[3:] == ("2m5s", "5s ago", "fresh")
