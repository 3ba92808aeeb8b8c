"""What `lease-aio members` says, in virtual time and as a command."""

from functools import partial

import anyio
import pytest

from lease_aio.cli.exits import CommandFailed
from lease_aio.cli.members import JoinOptions, join, list_members, table
from lease_aio.errors import ConfigurationError
from lease_aio.model import LeaseSpec, new_lease
from lease_aio.recipes.group import read_member
from tests.cli.rig import events, invoke
from tests.cli.test_identity import Said, opened, running

JOIN = JoinOptions(group="workers", member="w-0", lease_duration_s=15)
pytestmark = pytest.mark.virtual_time


async def test_a_group_whose_name_cannot_be_one_is_refused():
    async with opened() as leases:
        with pytest.raises(ConfigurationError, match="group 'A'"):
            await join(leases, JoinOptions(group="A", member=None, lease_duration_s=15), Said().output)


async def test_a_member_whose_name_another_process_takes_says_by_whom_and_ends():
    said, failed = Said(), []

    async def joined(leases):
        try:
            await join(leases, JOIN, said.output)
        except CommandFailed as error:
            failed.append(str(error))

    async with opened() as leases, running(joined, leases):
        await anyio.sleep(1)
        async with leases.member_of("workers", "w-0") as newer:
            await anyio.sleep(10)
            assert failed == ["another process has become w-0: give this one another --member"]
    assert said.names == ["joined", "superseded", "leaving"]
    assert said.events[1]["by"] == newer.holder
    assert said.events[0]["lease"] == f"default/{newer.name}"


async def test_a_member_says_what_it_cleared_away_and_that_it_leaves():
    said = Said(json=False)
    async with opened() as leases:
        async with leases.member_of("workers", "w-1") as crashed:
            left = await leases.get(crashed.name)
        async with running(join, leases, JOIN, said.output):
            await anyio.sleep(1)
            await leases.create(left.with_metadata(resource_version="", uid="", creation_timestamp=None))
            await anyio.sleep(600)
            assert [lease.name for lease in (await leases.list()).items] != []
    joined, cleared, leaving = said.stream.getvalue().splitlines()
    assert joined.startswith("joined workers as w-0 (default/workers-")
    assert cleared == "cleared away the Lease of w-1, which crashed"
    assert leaving.startswith("leaving workers after 1")


async def test_a_watched_list_begins_with_the_table_and_goes_on_with_changes():
    said = Said(json=False)
    listed = partial(list_members, output=said.output, group="workers", watch=True)
    async with opened() as leases, leases.member_of("workers", "a"), running(listed, leases):
        await anyio.sleep(1)
        async with leases.member_of("workers", "b") as b:
            await anyio.sleep(1)
        await anyio.sleep(1)
    header, row, *changes = said.stream.getvalue().splitlines()
    assert header.split() == ["MEMBER", "LEASE", "HOLDER", "AGE", "RENEWED"]
    assert row.split()[0] == "a"
    assert changes == [f"joined: b ({b.name}), 2 alive", f"left: b ({b.name}), 1 alive"]


async def test_programs_get_one_event_for_each_member():
    said = Said()
    async with opened() as leases, leases.member_of("workers", "a") as me:
        await list_members(leases, said.output, group="workers", watch=False)
    (one,) = said.events
    assert (one["event"], one["member"], one["name"], one["holder"]) == ("member", "a", me.name, me.holder)


def test_a_row_says_what_is_not_known():
    bare = read_member(new_lease("x", "default", LeaseSpec()), alive=False)
    assert table([bare], 10**9).splitlines()[1].split() == ["<none>", "x", "<none>", "<unknown>", "<never>"]


def test_an_empty_group_is_said_to_be_empty():
    done = invoke("members", "list", "workers", "--embedded")
    assert (done.exit_code, done.stdout) == (0, "No members of workers found.\n")


def test_a_bad_group_ends_with_the_code_for_bad_values():
    done = invoke("members", "join", "Workers", "--embedded", "--json")
    assert done.exit_code == 2
    assert "DNS label" in events(done.stdout)[-1]["message"]
