"""What the cluster is told of an election, and that no election minds when it is not listening."""

import dataclasses
import logging

import anyio
import pytest

import lease_aio
from lease_aio import LeaseClient
from lease_aio.api import LEASES
from lease_aio.api.memory import MemoryApi, Moment
from lease_aio.api.transport import Fault, TransportError
from lease_aio.election import Started, Stopping, TermRecord
from lease_aio.election.events import EndReason
from lease_aio.errors import Call, ConfigurationError
from lease_aio.model import KubeObject, ObjectMeta
from lease_aio.server.resources import EVENTS as SERVED_EVENTS
from lease_aio.server.resources import RESOURCES, ResourceType
from lease_aio.server.schema import Field, Scalar
from lease_aio.server.shapes import top_level
from lease_aio.server.status import StatusError, forbidden, unauthorized
from lease_aio.server.store import Store
from lease_aio.telemetry.kube_events import EVENTS, PODS, KubeEvent, KubeEvents, PodLabel
from lease_aio.testing import VirtualClock
from lease_aio.testing.virtual import WALL_START_US

pytestmark = pytest.mark.virtual_time

# The embedded server knows no pods; a store may be taught.
SERVED_PODS = ResourceType(
    group="", version="v1", kind="Pod", plural="pods", singular="pod", namespaced=True,
    schema=top_level("Pod", "A pod.", Field(name="spec", type=Scalar.ANY)),
)  # fmt: skip
LABEL = "lease-aio/leader"


class Cluster:
    """A store with a pod, on the way to which anything may happen."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.store = Store(now=WALL_START_US, resources=(*RESOURCES, SERVED_PODS))
        self.admin = MemoryApi(self.store, wall_us=self.clock.wall_us)
        self.refuse = self.break_off = ""  # the resource that suffers it
        self.hang = self.lose_answers = False
        self.slow_s = 0.0
        self.answer: StatusError | None = None
        self.asked: list[str] = []

    def client(self) -> LeaseClient:
        api = MemoryApi(self.store, wall_us=self.clock.wall_us, faults=self)
        return LeaseClient(api, identity="me", clock=self.clock)

    async def __call__(self, moment: Moment, call: Call) -> None:
        if call.resource == "leases.coordination.k8s.io":
            return
        if moment is Moment.BEFORE:
            self.asked.append(call.resource)
        if self.hang or (self.lose_answers and moment is Moment.AFTER):
            await anyio.sleep_forever()
        await anyio.sleep(self.slow_s)
        if self.answer is not None:
            raise self.answer
        if call.resource == self.refuse:
            resource = SERVED_PODS if self.refuse == "pods" else SERVED_EVENTS
            raise forbidden(resource, call.name, 'User "me" cannot')
        if call.resource == self.break_off:
            raise TransportError(Fault.REFUSED, "cut", sent=False)

    async def events(self) -> list[KubeEvent]:
        page = await self.admin.list(EVENTS, "default")
        return sorted(page.items, key=lambda event: event.name)

    async def messages(self) -> list[str]:
        return [event.message for event in await self.events()]

    async def create_pod(self, **labels: str) -> None:
        await self.admin.create(
            PODS,
            KubeObject(
                api_version="v1",
                kind="Pod",
                metadata=ObjectMeta(name="pod", namespace="default", labels={"app": "a", **labels}),
            ),
        )

    async def label(self) -> str | None:
        labels = (await self.admin.get(PODS, "pod", "default")).metadata.labels
        assert labels["app"] == "a"
        return labels.get(LABEL)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def term(number: int) -> TermRecord:
    return TermRecord(lease="x", namespace="default", holder="me", token=number, transitions=0, started=0.0)


async def test_refused_events_are_said_once_and_harm_no_election(cluster, caplog):
    cluster.refuse = "events"
    async with cluster.client() as leases, KubeEvents(leases) as events:
        for _ in range(3):
            async with leases.lead("x", observer=events) as held:
                await anyio.sleep(20)
                held.check()
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert "create events default/x." in warnings[0]
    assert cluster.asked == ["events"]


async def test_events_that_nobody_answers_hold_up_neither_the_election_nor_the_end_for_long(cluster):
    cluster.hang = True
    async with cluster.client() as leases:
        async with KubeEvents(leases) as events:
            async with leases.lead("x", observer=events) as held:
                await anyio.sleep(100)
                held.check()
            before = cluster.clock.now()
        assert cluster.clock.now() - before == pytest.approx(3, abs=0.1)
    assert await cluster.messages() == []


async def test_events_wait_for_a_server_that_is_away(cluster):
    cluster.break_off = "events"
    async with cluster.client() as leases, KubeEvents(leases) as events, leases.lead("x", observer=events):
        await anyio.sleep(50)
        cluster.break_off = ""
        await anyio.sleep(40)
        assert await cluster.messages() == ["me became leader"]
    assert await cluster.messages() == ["me became leader", "me stopped leading"]


async def test_an_event_whose_answer_was_lost_is_there_once(cluster):
    cluster.lose_answers = True
    async with cluster.client() as leases, KubeEvents(leases) as events:
        events(Started(term=term(1)))
        await anyio.sleep(6)
        cluster.lose_answers = False
        await anyio.sleep(10)
        events(Stopping(term=term(1), reason=EndReason.TAKEN))
    assert await cluster.messages() == ["me became leader", "me stopped leading"]


async def test_more_events_than_are_kept_are_lost_and_that_is_said(cluster, caplog):
    cluster.hang = True
    async with cluster.client() as leases, KubeEvents(leases) as events:
        for number in range(100):
            events(Started(term=term(number)))
            await anyio.sleep(0.001)
        cluster.hang = False
        await anyio.sleep(60)
    assert len(await cluster.events()) == 64
    assert sum("telemetry.lost" in record.getMessage() for record in caplog.records) == 1


async def test_a_cancelled_election_still_tells_its_end(cluster):
    with anyio.move_on_after(10):
        async with cluster.client() as leases, KubeEvents(leases) as events, leases.lead("x", observer=events):
            await anyio.sleep_forever()
    assert await cluster.messages() == ["me became leader", "me stopped leading"]


async def test_a_cancellation_waits_for_what_is_being_written(cluster):
    cluster.slow_s = 1.0
    with anyio.move_on_after(10):
        async with cluster.client() as leases, KubeEvents(leases) as events:
            await anyio.sleep(9.5)
            events(Started(term=term(1)))
            await anyio.sleep_forever()
    assert await cluster.messages() == ["me became leader"]


async def test_an_exception_of_the_bodys_own_passes_as_it_is(cluster):
    with pytest.raises(KeyError):
        async with cluster.client() as leases, KubeEvents(leases):
            raise KeyError


async def test_an_event_is_about_the_lease_in_client_gos_words(cluster):
    async with cluster.client() as leases, KubeEvents(leases, component="my-operator") as events:
        async with leases.lead("x", observer=events) as held:
            await anyio.sleep(1)
        lease = await cluster.admin.get(LEASES, "x", "default")
    became, stopped = await cluster.events()
    about = became.involved_object
    assert (about.kind, about.api_version) == ("Lease", "coordination.k8s.io/v1")
    assert (about.namespace, about.name, about.uid) == ("default", "x", lease.metadata.uid)
    assert about.resource_version == str(held.token)
    assert (became.type, became.reason, became.count) == ("Normal", "LeaderElection", 1)
    assert (became.message, stopped.message) == ("me became leader", "me stopped leading")
    assert became.source.component == became.reporting_component == "my-operator"
    assert became.first_timestamp is not None
    assert stopped.first_timestamp is not None
    assert stopped.first_timestamp.epoch_us - became.first_timestamp.epoch_us == 1_000_000
    assert became.name.startswith("x.")


async def test_events_of_a_deleted_lease_and_of_a_very_long_name_are_posted(cluster):
    async with cluster.client() as leases, KubeEvents(leases) as events:
        events(Started(term=term(1)))
        events(Started(term=dataclasses.replace(term(2), lease="a" * 235 + "." + "b" * 17)))
    nothing, long = sorted(await cluster.events(), key=lambda event: -len(event.involved_object.name))[::-1]
    assert nothing.involved_object.uid == ""
    assert len(long.name) <= 253


async def test_it_serves_one_block_inside_the_clients(cluster):
    with pytest.raises(ConfigurationError, match="the LeaseClient is not open"):
        async with KubeEvents(cluster.client()):
            pytest.fail("entered")
    async with cluster.client() as leases:
        events = KubeEvents(leases)
        async with events:
            pass
        with pytest.raises(ConfigurationError, match="was entered before"):
            async with events:
                pytest.fail("entered twice")


async def test_nothing_is_left_running_where_the_client_breaks(cluster):
    async with cluster.client() as leases:
        leases.engine.tasks.cancel_scope.cancel()
        async with KubeEvents(leases) as events:
            events(Started(term=term(1)))
            await anyio.sleep(1)
    assert await cluster.messages() == []


# ---------------------------------------------------------------- the pod's label


async def test_a_refused_label_is_said_once_and_harms_no_election(cluster, caplog):
    cluster.refuse = "pods"
    async with cluster.client() as leases, PodLabel(leases, pod="pod") as label:
        for _ in range(2):
            async with leases.lead("x", observer=label) as held:
                await anyio.sleep(20)
                held.check()
    assert sum("telemetry.refused" in record.getMessage() for record in caplog.records) == 1
    assert cluster.asked == ["pods"]


async def test_a_pod_that_does_not_exist_is_said_once(cluster, caplog):
    async with (
        cluster.client() as leases,
        PodLabel(leases, pod="nobody") as label,
        leases.lead("x", observer=label),
    ):
        await anyio.sleep(1)
    assert "patch pods default/nobody: 404" in caplog.text
    assert cluster.asked == ["pods"]


async def test_the_pod_is_labelled_while_it_leads(cluster):
    await cluster.create_pod()
    async with cluster.client() as leases, PodLabel(leases, pod="pod") as label:
        async with leases.lead("x", observer=label):
            await anyio.sleep(1)
            assert await cluster.label() == "true"
        await anyio.sleep(1)
        assert await cluster.label() is None


@pytest.mark.parametrize(
    "answer", [unauthorized(), StatusError(409, "Conflict", "changed"), StatusError(429, "TooManyRequests", "later")]
)
async def test_what_may_pass_is_tried_again(cluster, answer):
    await cluster.create_pod()
    cluster.answer = answer
    async with cluster.client() as leases, PodLabel(leases, pod="pod") as label, leases.lead("x", observer=label):
        await anyio.sleep(20)
        cluster.answer = None
        await anyio.sleep(40)
        assert await cluster.label() == "true"


async def test_a_label_of_a_former_container_is_taken_off(cluster):
    await cluster.create_pod(**{LABEL: "true"})
    async with cluster.client() as leases, PodLabel(leases, pod="pod"):
        await anyio.sleep(1)
        assert await cluster.label() is None


async def test_two_terms_keep_the_label_until_the_last_is_over(cluster):
    await cluster.create_pod()
    async with (
        cluster.client() as leases,
        PodLabel(leases, pod="pod", namespace="default") as label,
        leases.lead("x", observer=label),
    ):
        async with leases.lead("y", observer=label):
            await anyio.sleep(1)
        await anyio.sleep(1)
        assert await cluster.label() == "true"
    assert await cluster.label() is None


async def test_the_label_comes_right_however_often_it_changed_while_the_server_was_away(cluster):
    await cluster.create_pod()
    cluster.break_off = "pods"
    async with cluster.client() as leases, PodLabel(leases, pod="pod") as label:
        for number in range(5):
            label(Started(term=term(number)))
            label(Stopping(term=term(number), reason=EndReason.TAKEN))
            await anyio.sleep(5)
        label(Started(term=term(9)))
        cluster.break_off = ""
        await anyio.sleep(40)
        assert await cluster.label() == "true"
    assert await cluster.label() is None


async def test_leaving_with_a_term_still_running_takes_the_label_off(cluster):
    await cluster.create_pod()
    async with cluster.client() as leases:
        async with PodLabel(leases, pod="pod") as label:
            label(Started(term=term(1)))
            await anyio.sleep(1)
            assert await cluster.label() == "true"
        assert await cluster.label() is None


async def test_the_embedded_server_has_no_pods_and_says_so(virtual_clock, caplog):
    async with (
        lease_aio.connect("embedded", clock=virtual_clock) as leases,
        PodLabel(leases, pod="pod") as label,
        leases.lead("x", observer=label),
    ):
        await anyio.sleep(1)
    assert "pods is not served by this store" in caplog.text
