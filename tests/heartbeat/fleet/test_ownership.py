"""Whose Nodes a fleet writes, and which part of them is this process's, against a server in memory."""

import zlib

import anyio
import pytest

from lease_aio.api.memory import MemoryApi, Moment
from lease_aio.api.protocol import LEASES, NODES
from lease_aio.errors import ConfigurationError, Invalid, NotFound, Refused, Unavailable
from lease_aio.heartbeat import Fleet, NodeGroup
from tests.heartbeat.stage import NODE_NAMESPACE, staged, unreachable

pytestmark = pytest.mark.virtual_time


async def stored_names(stage, resource, namespace=""):
    page = await MemoryApi(stage.store).list(resource, namespace)
    return [item.name for item in page.items]


async def refuse_lists(moment, call):
    if call.verb == "list":
        raise Refused(call, "User 'x' cannot list", status=403)


# What is not a fleet's own


@pytest.mark.parametrize("register", [False, True])
@pytest.mark.parametrize(
    ("labels", "named"),
    [({}, "carries no label lease-aio/fleet=mine"), ({"lease_aio__fleet": "theirs"}, "belongs to the fleet 'theirs'")],
)
async def test_a_node_of_others_is_refused_before_anything_is_written(register, labels, named):
    async with staged() as stage:
        found = await stage.make_node("node-7", **labels)
        with pytest.raises(ConfigurationError, match=rf"Node 'node-7' exists and {named}.*prefix.*adopt='any'"):
            async with Fleet(*stage.fleet_parts, nodes=10, register=register, name="mine"):
                pytest.fail("entered")
        assert await stage.node("node-7") == found
        assert await stored_names(stage, NODES) == ["node-7"]
        assert await stored_names(stage, LEASES, NODE_NAMESPACE) == []
        assert stage.scheduler.report().beats.queued == 0


async def test_a_fleet_does_not_grow_over_nodes_of_others():
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=5, register=True) as fleet:
        await stage.make_node("node-7")
        with pytest.raises(ConfigurationError, match="Node 'node-7' exists"):
            await fleet.grow(5)
        assert len(fleet) == 5
        assert await stored_names(stage, NODES) == ["node-0", "node-1", "node-2", "node-3", "node-4", "node-7"]


async def test_a_node_of_others_that_comes_while_all_are_registered_is_refused_too():
    async with staged() as stage:

        async def come_between(moment, call):
            if call.verb == "create":
                stage.faults = None
                await stage.make_node(call.name)

        stage.faults = come_between
        with pytest.raises(ConfigurationError, match="Node 'node-0' exists"):
            async with Fleet(*stage.fleet_parts, nodes=1, register=True, delete_on_exit=True):
                pytest.fail("entered")
        assert (await stage.node("node-0")).metadata.labels == {}


async def test_among_thousands_of_nodes_the_one_in_the_way_is_found_page_by_page():
    async with staged() as stage:
        for number in range(1200):
            await stage.make_node(f"other-{number}")
        await stage.make_node("z-1")
        stage.calls.clear()
        with pytest.raises(ConfigurationError, match="Node 'z-1'"):
            async with Fleet(*stage.fleet_parts, nodes=2, prefix="z-"):
                pytest.fail("entered")
        assert stage.calls == ["list nodes"] * 3


async def test_without_the_right_to_list_nodes_leases_alone_go_on_with_one_word_of_it(caplog):
    async with staged() as stage:
        stage.faults = refuse_lists
        async with Fleet(*stage.fleet_parts, nodes=5) as fleet:
            await anyio.sleep(11)
            await fleet.grow(0)
            assert fleet.report().fresh == 5
    assert "fleet.nodes_unchecked" in caplog.text
    assert "list nodes is not granted" in caplog.text


async def test_without_that_right_no_node_is_registered():
    async with staged() as stage:
        stage.faults = refuse_lists
        with pytest.raises(Refused, match=r"list nodes: 403: User 'x' cannot list \(list nodes is not granted: have a"):
            async with Fleet(*stage.fleet_parts, nodes=5, register=True):
                pytest.fail("entered")
        assert await stored_names(stage, NODES) == []


async def test_a_server_that_serves_no_nodes_is_no_obstacle_for_leases():
    async def serve_none(moment, call):
        if call.verb == "list":
            raise Invalid(call, "the server does not allow this method on the requested resource", status=405)

    async with staged() as stage:
        stage.faults = serve_none
        async with Fleet(*stage.fleet_parts, nodes=5) as fleet:
            await anyio.sleep(11)
            assert fleet.report().fresh == 5


async def test_a_server_that_cannot_be_reached_is_waited_for_before_leases_of_unknown_nodes_are_written():
    async with staged() as stage:
        stage.faults = unreachable
        with pytest.raises(Unavailable):
            async with Fleet(*stage.fleet_parts, nodes=5):
                pytest.fail("entered")
        assert set(stage.calls) == {"list nodes"}


@pytest.mark.parametrize("adopt", ["all", None, True])
async def test_only_two_ways_of_adoption_are_known(adopt):
    async with staged() as stage:
        with pytest.raises(ConfigurationError, match="must be 'own' or 'any'"):
            Fleet(*stage.fleet_parts, nodes=1, adopt=adopt)


# What it takes over


async def test_a_second_run_of_a_fleet_adopts_what_the_first_has_left():
    async with staged() as stage:
        async with Fleet(*stage.fleet_parts, nodes=3, register=True):
            await anyio.sleep(11)
        first = await stage.node("node-1")
        async with Fleet(*stage.fleet_parts, nodes=3, register=True, delete_on_exit=True) as fleet:
            await anyio.sleep(11)
            assert fleet.report().fresh == 3
            assert (await stage.node("node-1")).metadata.uid == first.metadata.uid
        assert len(await stored_names(stage, NODES)) == 3, "it has created none of them"
        assert len(await stored_names(stage, LEASES, NODE_NAMESPACE)) == 3


async def test_any_node_is_taken_over_when_told_and_is_the_fleets_from_then_on():
    async with staged() as stage:
        await stage.make_node("node-0", team="theirs")
        async with Fleet(*stage.fleet_parts, nodes=1, register=True, name="mine", adopt="any"):
            labels = (await stage.node("node-0")).metadata.labels
            assert (labels["team"], labels["lease-aio/fleet"]) == ("theirs", "mine")
            assert labels["kubernetes.io/hostname"] == "node-0"
        async with Fleet(*stage.fleet_parts, nodes=1, register=True, name="mine"):
            pass


async def test_who_names_nodes_and_writes_leases_alone_means_them():
    async with staged() as stage:
        await stage.make_node("n1")
        stage.calls.clear()
        async with Fleet(*stage.fleet_parts, nodes=["n1"]):
            await anyio.sleep(11)
            assert (await stage.lease("n1")).holder == "n1"
        assert "list nodes" not in stage.calls


async def test_created_nodes_say_whose_they_are():
    async with staged() as stage:
        group = NodeGroup(count=1, prefix="gpu-")
        async with Fleet(*stage.fleet_parts, nodes=group, name="f1", register=True):
            labels = (await stage.node("gpu-0")).metadata.labels
            assert (labels["lease-aio/fleet"], labels["lease-aio/group"]) == ("f1", "gpu")


# What is waited for


async def test_a_missing_namespace_is_waited_for_with_one_word_of_it(caplog):
    async with staged() as stage:

        async def no_namespace(moment, call):
            if call.verb == "create":
                raise NotFound(call, 'namespaces "kube-node-lease" not found', status=404)

        stage.faults = no_namespace
        async with Fleet(*stage.fleet_parts, nodes=20) as fleet:
            await anyio.sleep(60)
            assert caplog.text.count("fleet.namespace_missing") == 1
            assert fleet.report().errors["namespace_missing"] > 20
            stage.faults = None
            await anyio.sleep(8)
            assert fleet.report().fresh == 20


async def test_leases_that_are_refused_are_said_once_with_the_rule_to_grant(caplog):
    async def refuse_creates(moment, call):
        if call.verb == "create":
            raise Refused(call, "no", status=403)

    async with staged() as stage:
        stage.faults = refuse_creates
        async with Fleet(*stage.fleet_parts, nodes=20):
            await anyio.sleep(60)
    assert caplog.text.count("fleet.refused") == 1
    assert 'resources: ["leases"], verbs: ["get", "create", "update", "delete"]' in caplog.text


# Parts


async def test_parts_of_a_fleet_are_disjoint_and_together_the_whole():
    groups = [NodeGroup(count=500, prefix="a-", zones=("x", "y", "z")), NodeGroup(count=300, prefix="b-")]
    async with staged() as stage:
        whole = Fleet(*stage.fleet_parts, nodes=groups)
        parts = [Fleet(*stage.fleet_parts, nodes=groups, partition=(index, 3)) for index in range(3)]
        async with whole, parts[0], parts[1], parts[2]:
            names = [set(part.names) for part in parts]
            assert sum(map(len, names)) == 800
            assert set.union(*names) == set(whole.names)
            assert all(200 < len(part) < 330 for part in names)
            for part in parts:
                for name in part.names[:20]:
                    assert part.nodes[name].labels == whole.nodes[name].labels
            assert sum([len(await part.grow(30)) for part in parts]) == 30


async def test_a_part_starts_where_it_would_in_the_whole():
    async with staged() as stage:
        whole = Fleet(*stage.fleet_parts, nodes=60)
        part = Fleet(*stage.fleet_parts, nodes=60, partition=(1, 3))
        async with whole, part:
            for name in part.names:
                assert part._hollows[name].beat.renewal.due == whole._hollows[name].beat.renewal.due


async def test_parts_know_the_names_of_the_whole_and_shrink_as_it_does():
    groups = [NodeGroup(count=20, prefix="a-", zones=("x", "y")), NodeGroup(count=20, prefix="b-")]
    async with staged() as stage:
        whole = Fleet(*stage.fleet_parts, nodes=groups)
        parts = [Fleet(*stage.fleet_parts, nodes=groups, partition=(index, 2)) for index in range(2)]
        async with whole, parts[0], parts[1]:
            for fleet in (whole, *parts):
                await fleet.grow(8)
                assert fleet.everyone() == (*whole.names[:40], *(f"node-{number}" for number in range(8)))
                assert fleet.everyone("zone=y,name!=a-1") == tuple(f"a-{number}" for number in range(3, 20, 2))
            gone = [await fleet.shrink(10) for fleet in (whole, *parts)]
            assert gone[0] == ("b-18", "b-19", *(f"node-{number}" for number in range(8)))
            assert sorted(gone[1] + gone[2]) == sorted(gone[0])
            assert parts[0].everyone() == parts[1].everyone() == whole.names
            with pytest.raises(ConfigurationError, match="count=39 must lie between 0 and the fleet's 38 nodes"):
                await parts[0].shrink(39)


async def test_a_node_that_could_not_be_added_is_none_of_the_whole():
    whose = zlib.crc32(b"node-3") % 2
    async with staged() as stage:
        await stage.make_node("node-3")
        async with Fleet(*stage.fleet_parts, nodes=3, partition=(whose, 2)) as part:
            with pytest.raises(ConfigurationError, match="Node 'node-3' exists"):
                await part.grow(1)
            assert part.everyone() == ("node-0", "node-1", "node-2")


@pytest.mark.parametrize("partition", [(3, 3), (-1, 3), (0, 0)])
async def test_a_part_that_does_not_exist_is_refused(partition):
    async with staged() as stage:
        with pytest.raises(ConfigurationError, match="must be .index, of. with 0 <= index < of"):
            Fleet(*stage.fleet_parts, nodes=1, partition=partition)


async def test_the_look_at_nodes_outlasts_a_short_outage_with_a_kubelets_pauses():
    async with staged() as stage:
        tries = 0

        async def twice(moment, call):
            nonlocal tries
            if moment is Moment.BEFORE and tries < 2:
                tries += 1
                await unreachable(moment, call)

        stage.faults = twice
        before = stage.clock.now()
        async with Fleet(*stage.fleet_parts, nodes=1):
            assert stage.clock.now() - before == pytest.approx(0.1 + 0.2)
