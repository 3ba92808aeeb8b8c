"""Kubernetes' own test cases of what is mirrored here, by their names.

Of `k8s.io/component-helpers` v0.37.2, `apimachinery/lease/controller_test.go`, all; of `pkg/kubelet` of Kubernetes
v1.37.2, `kubelet_node_status_test.go`, those about when a status is written. Upstream's fake API server is here the
dialogue, or the server in memory.
"""

import random
from collections import Counter

import anyio
import pytest

from lease_aio.api.protocol import NODES, PatchType
from lease_aio.errors import AlreadyExists, Invalid, Refused
from lease_aio.heartbeat import Fleet, Heartbeat, NodeProfile, Owner
from lease_aio.heartbeat.node.description import new_node
from lease_aio.heartbeat.node.drift import drift_of
from lease_aio.heartbeat.node.profile import NodeKind
from lease_aio.heartbeat.node.register import register_node
from lease_aio.heartbeat.renewal.kept import Template
from lease_aio.heartbeat.renewal.renewer import Renewer
from lease_aio.heartbeat.renewal.rules import RenewalRules
from lease_aio.heartbeat.status.keeper import Ask, StatusKeeper, StatusRules
from lease_aio.model import LeaseSpec, MicroTime, NodeCondition, Taint
from tests.heartbeat.dialogue import CONFLICT, MISSING, TIMEOUT, WALL_US, Dialogue, node, owner, stored
from tests.heartbeat.stage import staged

pytestmark = pytest.mark.virtual_time

NOW = MicroTime(WALL_US)
START = 1000.0


def lease_of(kept, *, owner_uid="", duration_s=10):
    """What the controller builds from that base; upstream's cases write 10 s."""
    rules = RenewalRules(lease_duration_s=duration_s, renew_interval_s=2)
    return Template(rules, "n1", "n1").written(kept, owner_uid, NOW)


def controller(*, remembers=None):
    """A controller for a Node that exists, as far as the dialogue says so."""
    talk = Dialogue(Renewer(RenewalRules(owner=Owner.REQUIRED, random=lambda: 0.5), "n1", "n1"))
    if remembers is not None:
        talk.hears(stored(remembers, owners=[owner()]), stored(remembers, owners=[owner()]))
        talk.asked.clear()
        talk.written.clear()
        talk.repeated = 0
    return talk


def remembered_version(talk):
    lease = talk.renewer.lease
    return None if lease is None else lease.resource_version


# apimachinery/lease/controller_test.go


class TestNewNodeLease:
    def test_nil_base_without_node(self):
        lease = lease_of(None)
        assert lease.spec == LeaseSpec(holder_identity="n1", lease_duration_seconds=10, renew_time=NOW)
        assert lease.metadata.owner_references == ()

    def test_nil_base_with_node(self):
        assert lease_of(None, owner_uid="node-uid").metadata.owner_references == (owner(),)

    def test_non_nil_base_without_owner_ref_renew_time_is_updated(self):
        base = stored(duration_s=10)
        lease = lease_of(base, owner_uid="node-uid")
        assert lease == base.with_spec(renew_time=NOW).with_metadata(owner_references=(owner(),))

    def test_non_nil_base_with_owner_ref_renew_time_is_updated(self):
        base = stored(duration_s=10, owners=[owner("other")])
        assert lease_of(base, owner_uid="node-uid") == base.with_spec(renew_time=NOW)

    def test_non_nil_base_with_owner_ref_lease_duration_is_updated(self):
        base = stored(duration_s=10, owners=[owner()])
        assert lease_of(base, duration_s=15) == base.with_spec(renew_time=NOW, lease_duration_seconds=15)


class TestRetryUpdateNodeLease:
    def test_no_errors(self):
        talk = controller(remembers="1")
        assert talk.hears(stored("2", owners=[owner()])).renewed
        assert talk.asked == ["PUT"]

    def test_connection_errors(self):
        talk = controller(remembers="1")
        step = talk.hears(*[TIMEOUT] * 5)
        assert not step.renewed
        assert talk.asked == ["PUT"] * 5

    def test_optimistic_lock_errors(self):
        talk = controller(remembers="1")
        step = talk.hears(TIMEOUT, CONFLICT, stored("2", owners=[owner()]), stored("3", owners=[owner()]))
        assert step.renewed
        assert talk.asked == ["PUT", "PUT", "GET", "PUT"]
        assert talk.repeated == 0, "onRepeatedHeartbeatFailure called"

    def test_node_not_found_errors(self):
        talk = controller()
        step = talk.hears(stored("1"), *[MISSING] * 5)
        assert not step.renewed
        assert talk.asked == ["GET"] + ["GET Node"] * 5, "lease was updated when node does not exist!"


class TestUpdateUsingLatestLease:
    def test_latest_lease_is_nil_and_need_to_create(self):
        talk = controller()
        talk.hears(MISSING, node(), stored("1", owners=[owner()]))
        assert talk.asked == ["GET", "GET Node", "POST"]
        assert remembered_version(talk) == "1"

    def test_latest_lease_is_nil_and_need_to_create_node_does_not_exist(self):
        talk = controller()
        assert talk.hears(MISSING, MISSING).pass_over
        assert talk.asked == ["GET", "GET Node"]
        assert remembered_version(talk) is None

    def test_latest_lease_is_nil_and_need_to_update(self):
        talk = controller()
        talk.hears(stored("1"), node(), stored("2", owners=[owner()]))
        assert talk.asked == ["GET", "GET Node", "PUT"]
        assert remembered_version(talk) == "2"

    def test_latest_lease_exist_and_need_to_update(self):
        talk = controller(remembers="1")
        talk.hears(stored("2", owners=[owner()]))
        assert talk.asked == ["PUT"]
        assert remembered_version(talk) == "2"

    def test_update_with_latest_lease_failed(self):
        """Upstream's fake says 404 once, to the first of five immediate attempts; a third PUT would fail the test."""
        talk = controller(remembers="1")
        assert talk.hears(MISSING, stored("3", owners=[owner()])).pass_over
        assert talk.asked == ["PUT", "PUT"]
        assert remembered_version(talk) == "3"


async def test_stop_does_not_block_when_lease_cannot_be_created():
    async with staged() as stage:

        async def refuse_creates(moment, call):
            if call.verb == "create":
                raise Invalid(call, "never", status=422)

        stage.faults = refuse_creates
        heartbeat = Heartbeat(*stage.fleet_parts, node="foo", owner=Owner.NONE, ready_timeout_s=None)
        async with heartbeat:
            await anyio.sleep(30)
            assert Counter(stage.calls)["create leases"] > 5
            before = stage.clock.now()
        assert stage.clock.now() - before < 0.1
        await heartbeat.__aexit__(None, None, None)  # twice
        assert stage.scheduler.report().beats.queued == 0


# pkg/kubelet/kubelet_node_status_test.go


def kept_status(**rules):
    return StatusKeeper(StatusRules(random=random.Random(1).random, **rules), START, reported=False)


def test_update_node_status_with_lease():
    kept = kept_status(report_frequency_s=30)
    assert kept.ask(START, changed=False) is Ask.PATCH, "when node status is created"
    kept.patched(START, None, changed=True)
    now = START + 60
    assert kept.ask(now, changed=False) is Ask.PATCH, "it has exceeded the duration of nodeStatusReportFrequency"
    kept.patched(now, None, changed=False)
    assert kept.ask(now + 10, changed=False) is Ask.NOTHING, "it is within the duration"
    assert kept.ask(now + 20, changed=True) is Ask.PATCH, "when something is changed"
    kept.patched(now + 20, None, changed=True)
    assert kept.ask(now + 30, changed=False) is Ask.NOTHING


def test_update_node_status_error():
    kept, tries, now = kept_status(), 0, START
    while kept.due <= now:
        kept.ask(now, changed=False)
        kept.failed(TIMEOUT, now)
        tries += 1
    assert tries == 5, "nodeStatusUpdateRetry"


async def test_update_existing_node_status_timeout():
    """A server that takes a connection and says nothing costs each of five tries its whole timeout, and no more."""
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=1, register=True, random=lambda: 0.5):
        await anyio.sleep(20)
        body = {"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}
        await stage.api.patch(NODES, "node-0", body=body, type=PatchType.STRATEGIC, subresource="status")
        stage.latency_s = 100
        stage.calls.clear()
        await anyio.sleep(10.5 + 5 * 10)  # the row starts after 5.6 s, and the computation after it 65.8 s from here
        calls = Counter(stage.calls)
        assert (calls["patch nodes/status"], calls["get nodes"]) == (1, 4)


@pytest.mark.parametrize(
    ("last_s", "offset", "expired"),
    [(None, 0.5, True), (299, 0.5, False), (301, 0.5, True), (301, 0.75, False), (376, 0.75, True), (226, 0.25, True)],
)
def test_is_update_status_period_expired(last_s, offset, expired):
    kept = StatusKeeper(StatusRules(random=lambda: offset), START - (last_s or 0), reported=last_s is not None)
    assert (kept.ask(START, changed=False) is Ask.PATCH) is expired


def test_calculate_delay():
    """150 s before to 150 s after five minutes: half of nodeStatusReportFrequency."""
    dues = [StatusKeeper(StatusRules(random=random.Random(s).random), 0.0, reported=True).due for s in range(300)]
    assert 150 <= min(dues) <= max(dues) < 150 + 300 + 10.4


def test_node_status_has_changed():
    kind = NodeKind(NodeProfile())
    fresh = new_node("n1", kind, WALL_US)
    assert drift_of(fresh, kind, "") is None, "same heartbeat"
    assert drift_of(new_node("n1", kind, WALL_US + 60_000_000), kind, "") is None, "another heartbeat time"
    turned = NodeCondition(type="Ready", status="False")
    kept = tuple(one for one in fresh.status.conditions if one.type != "Ready")
    changed = fresh.__class__(metadata=fresh.metadata, status=status_of(fresh, conditions=(*kept, turned)))
    assert drift_of(changed, kind, "") is not None, "another condition"
    fewer = fresh.__class__(metadata=fresh.metadata, status=status_of(fresh, conditions=kept))
    assert drift_of(fewer, kind, "") is not None, "fewer conditions"
    other = fresh.__class__(metadata=fresh.metadata, status=status_of(fresh, node_info={}))
    assert drift_of(other, kind, "") is not None, "another field"


def status_of(found, **changes):
    fields = {name: getattr(found.status, name) for name in found.status.__struct_fields__}
    return type(found.status)(**{**fields, **changes})


@pytest.mark.parametrize(
    ("error", "registers"), [(AlreadyExists, True), (Refused, False)], ids=["already exists", "other error"]
)
async def test_try_register_with_api_server(error, registers):
    async with staged() as stage:
        await stage.make_node("n1")

        async def answer_create(moment, call):
            if call.verb == "create":
                raise error(call, "no", status=409)

        stage.faults = answer_create
        try:
            found = await register_node(stage.api, "n1", NodeKind(NodeProfile()), stage.clock.wall_us)
        except Refused:
            assert not registers
        else:
            assert registers
            assert not found.created
            labels = (await stage.node("n1")).metadata.labels
            assert labels["kubernetes.io/arch"] == "amd64", "TestUpdateDefaultLabels: make sure default labels exist"


async def test_register_with_api_server_with_taint():
    taint = Taint(key="gpu", value="yes", effect="NoSchedule")
    async with staged() as stage:
        await register_node(stage.api, "n1", NodeKind(NodeProfile(taints=(taint,))), stage.clock.wall_us)
        assert (await stage.node("n1")).spec.taints == (taint,)


async def test_required_labels_that_are_lost_are_set_again():
    """`updateNode`: operating system and architecture, with the next computation."""
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=1, register=True):
        await anyio.sleep(20)
        body = {"metadata": {"labels": {"kubernetes.io/os": None, "kubernetes.io/arch": "arm64", "theirs": "kept"}}}
        await stage.api.patch(NODES, "node-0", body=body, type=PatchType.MERGE)
        await anyio.sleep(10.5)
        labels = (await stage.node("node-0")).metadata.labels
        assert (labels["kubernetes.io/os"], labels["kubernetes.io/arch"], labels["theirs"]) == (
            "linux",
            "amd64",
            "kept",
        )
