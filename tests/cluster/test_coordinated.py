"""Coordinated elections on a real kube-apiserver that runs its own coordinator, with client-go among the candidates.

Its bounds: it looks every 5 s, waits up to 5 s for signs of life, and once more 5 s where the answers have grown old by
then. To stop it, its Lease is taken away from it, as another kube-apiserver would.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import anyio
import anyio.abc
import pytest

import lease_aio
from lease_aio import EndReason, LeaseClient, MicroTime, Timing
from lease_aio.api import LEASE_CANDIDATES, LEASES
from lease_aio.election.coordinated import CandidateInfo
from lease_aio.model import LeaseCandidate
from lease_aio.testing.envtest import ControlPlane
from tests.cluster.assets import assets
from tests.torture.build import BuildError, clientgo
from tests.torture.processes import Program

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]  # minutes where client-go is built first

FLAGS = (
    "--feature-gates=CoordinatedLeaderElection=true",
    "--runtime-config=coordination.k8s.io/v1beta1=true,coordination.k8s.io/v1alpha2=true",
    "--coordinated-leadership-lease-duration=4s",
    "--coordinated-leadership-renew-deadline=3s",
    "--coordinated-leadership-retry-period=1s",
)
TIMING = Timing(lease_duration_s=4, renew_interval_s=0.5, request_timeout_s=1, stop_grace_s=1, retry_interval_s=0.5)
FALLBACK_S = 6.0
ELECTS_WITHIN_S = 16.0
"""The real coordinator's own bound, and a second in hand."""
STOP_S = 0.3
COORDINATORS_LEASE = "leader-election-controller"


def boot() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    with ControlPlane(assets(), apiserver_flags=FLAGS) as plane:
        yield plane


@pytest.fixture
def with_client_go() -> None:
    try:
        clientgo()
    except BuildError as error:
        pytest.skip(str(error))


@dataclass
class Work:
    """One term's work: from its beginning to the end of its last effect, on the clock that all processes share."""

    who: str
    began: float
    ended: float = float("inf")
    reason: EndReason | None = None
    appointed: bool = False


@dataclass
class Stage:
    """Candidates for one Lease, ours in this process and client-go's beside it."""

    plane: ControlPlane
    admin: LeaseClient
    lease: str
    tasks: anyio.abc.TaskGroup
    folder: Path
    ours: list[Work] = field(default_factory=list)
    strangers: dict[str, Program] = field(default_factory=dict)

    @asynccontextmanager
    async def member(self, name: str, version: str) -> AsyncIterator[anyio.CancelScope]:
        """A candidate of ours, as long as the block runs."""
        about = CandidateInfo(binary_version="1.33.0", emulation_version=version, fallback_after_s=FALLBACK_S)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._lead_on, name, about)
            yield tasks.cancel_scope
            tasks.cancel_scope.cancel()

    async def _lead_on(self, name: str, about: CandidateInfo) -> None:
        async with lease_aio.connect(kubeconfig=str(self.plane.kubeconfig), identity=name) as leases:
            async for term in leases.terms(self.lease, timing=TIMING, coordinated=about):
                async with term:
                    work = Work(name, boot(), appointed=term.appointed)
                    self.ours.append(work)
                    try:
                        await anyio.sleep_forever()
                    finally:
                        with anyio.CancelScope(shield=True):
                            await anyio.sleep(STOP_S)
                        work.ended = boot()
                work.reason = term.reason

    async def stranger(self, name: str, version: str) -> Program:
        """A candidate of client-go."""
        command = [
            *(str(clientgo()), "--kubeconfig", str(self.plane.kubeconfig), "--name", self.lease),
            *("--lease-duration", "4s", "--renew-deadline", "3s", "--retry-period", "500ms"),
            *("--work-log", str(self.folder / f"{name}.log")),
            *("--binary-version", "1.33.0", "--emulation-version", version),
        ]
        program = Program(
            name=name,
            command=lambda identity: [*command, "--identity", identity],
            tasks=self.tasks,
            errors=self.folder / "errors",
        )
        await program.start()
        self.strangers[program.life.identity] = program
        return program

    @property
    def works(self) -> list[Work]:
        """All of them, in order of their beginnings."""
        found = list(self.ours)
        for identity, program in self.strangers.items():
            for event in program.life.events:
                if event["event"] == "started":
                    found.append(Work(identity, event["boot"], ended=program.life.ended))
                elif event["event"] == "stopped":
                    found[-1].ended = event["last_write"]
        return sorted(found, key=lambda work: work.began)

    def check_that_no_two_works_overlap(self) -> None:
        for before, after in pairwise(self.works):
            assert before.ended <= after.began, f"{before} overlaps {after}"

    async def leader(self, name: str, within_s: float) -> float:
        """Wait until that one works; how long it took."""
        began = boot()
        with anyio.fail_after(within_s):
            while not self.works or self.works[-1].who != name or self.works[-1].ended < float("inf"):  # noqa: ASYNC110
                await anyio.sleep(0.02)
        return boot() - began

    async def candidates(self) -> set[str]:
        """The names of all that are published."""
        return {each.name for each in (await self.admin.api.list(LEASE_CANDIDATES, self.admin.namespace)).items}

    async def stop_coordinator(self) -> None:
        """Take its Lease, and let it notice: it gives up after its renew deadline."""
        now = str(MicroTime(time.time_ns() // 1000))
        await self._patch_coordinators_lease(holderIdentity="the-test", leaseDurationSeconds=3600, renewTime=now)
        await anyio.sleep(5)

    async def start_coordinator(self) -> None:
        await self._patch_coordinators_lease(holderIdentity="", leaseDurationSeconds=1)

    async def _patch_coordinators_lease(self, **spec: object) -> None:
        """Whatever its holder writes meanwhile: that is what then meets the conflict."""
        await self.admin.api.patch(LEASES, COORDINATORS_LEASE, "kube-system", body={"spec": spec})


@pytest.fixture
async def stage(plane: ControlPlane, tmp_path: Path) -> AsyncIterator[Stage]:
    lease = f"coordinated-{uuid.uuid4().hex[:8]}"
    async with lease_aio.connect(kubeconfig=str(plane.kubeconfig)) as admin, anyio.create_task_group() as tasks:
        stage = Stage(plane, admin, lease, tasks, tmp_path)
        await _until_it_coordinates(admin)
        yield stage
        for program in stage.strangers.values():
            await program.end()
        tasks.cancel_scope.cancel()


async def _until_it_coordinates(admin: LeaseClient) -> None:
    with anyio.fail_after(60):
        while True:
            with contextlib.suppress(lease_aio.NotFound):
                if "_" in (await admin.get(COORDINATORS_LEASE, namespace="kube-system")).holder:
                    return
            await anyio.sleep(0.1)


def say(text: str) -> None:
    print(text)  # noqa: T201 - measured, and shown with -s


@pytest.mark.usefixtures("with_client_go")
async def test_the_real_coordinator_elects_between_ours_and_client_gos_by_emulation_version(stage: Stage) -> None:
    go = await stage.stranger("go", "1.32.0")
    first_s = await stage.leader(go.life.identity, within_s=ELECTS_WITHIN_S)
    async with stage.member("ours-1.31", "1.31.0"):
        better_s = await stage.leader("ours-1.31", within_s=2 * ELECTS_WITHIN_S)
        async with stage.member("ours-1.30", "1.30.0"):
            best_s = await stage.leader("ours-1.30", within_s=ELECTS_WITHIN_S)
            await anyio.sleep(6)
            assert stage.works[-1].who == "ours-1.30"
        back_s = await stage.leader("ours-1.31", within_s=ELECTS_WITHIN_S)
    gos_s = await stage.leader(go.life.identity, within_s=ELECTS_WITHIN_S)
    stage.check_that_no_two_works_overlap()
    assert [work.who for work in stage.ours] == ["ours-1.31", "ours-1.30", "ours-1.31"]
    assert all(work.appointed for work in stage.ours)
    assert [work.reason for work in stage.ours] == [EndReason.YIELDED, None, None]
    yielded, taken = stage.ours[0].ended, stage.ours[1].began
    say(
        f"client-go elected after {first_s:.2f} s; ours over it after {better_s:.2f} s; a better one of ours after "
        f"{best_s:.2f} s (from the end of the work that yielded: {taken - yielded:.2f} s); after its end the next "
        f"{back_s:.2f} s, client-go again {gos_s:.2f} s"
    )


async def test_a_candidate_is_published_pinged_answers_and_is_gone_at_its_end(stage: Stage) -> None:
    async with stage.member("a", "1.31.0"):
        await stage.leader("a", within_s=ELECTS_WITHIN_S)
        await anyio.sleep(6)  # its last sign of life is too old to vote by
        async with stage.member("b", "1.30.0"):
            await stage.leader("b", within_s=ELECTS_WITHIN_S)
            with anyio.fail_after(30):  # who has yielded is a candidate again as soon as it has read the Lease
                while not await stage.candidates() >= {"a", "b"}:  # noqa: ASYNC110
                    await anyio.sleep(0.05)
            lease = await stage.admin.get(stage.lease)
            assert (lease.holder, lease.spec.strategy) == ("b", "OldestEmulationVersion")
            assert lease.spec.lease_duration_seconds == 4
    assert not {"a", "b"} & await stage.candidates()
    stage.check_that_no_two_works_overlap()


@pytest.mark.usefixtures("with_client_go")
async def test_without_the_coordinator_they_fall_back_and_when_it_returns_they_obey(stage: Stage) -> None:
    go = await stage.stranger("go-oldest", "1.29.0")  # a leftover of a name is never brought up to date
    await stage.leader(go.life.identity, within_s=ELECTS_WITHIN_S)
    async with stage.member("worse", "1.32.0"):
        await stage.stop_coordinator()
        try:
            go.life.kill()
            silent_s = await stage.leader("worse", within_s=60)
            bound_s = TIMING.takeover_after_s(4) + FALLBACK_S + 2
            assert silent_s <= bound_s
            assert not stage.works[-1].appointed
            async with stage.member("better", "1.31.0"):
                await anyio.sleep(8)
                assert stage.works[-1].who == "worse", "nobody coordinates: the leader stays"
                await stage.start_coordinator()
                returned_s = await stage.leader("better", within_s=4 + 2 * ELECTS_WITHIN_S)
                stage.check_that_no_two_works_overlap()
                assert stage.works[-1].appointed
        finally:
            await stage.start_coordinator()
    assert [work.reason for work in stage.ours][:1] == [EndReason.YIELDED]
    say(f"fallback after a crash: {silent_s:.2f} s of {bound_s:.2f} s; obeyed {returned_s:.2f} s after its return")


# ---------------------------------------------------------------- our own coordinator on a real API server


def by_priority(candidates: Sequence[LeaseCandidate]) -> LeaseCandidate:
    return max(candidates, key=lambda each: int(each.metadata.labels["priority"]))


async def test_our_coordinator_chooses_by_a_strategy_of_its_own_beside_the_real_one(stage: Stage) -> None:
    strategies = {"example.com/priority": by_priority}
    kubeconfig = str(stage.plane.kubeconfig)

    async def lead(name: str, priority: int, led: list[str]) -> None:
        info = CandidateInfo(
            binary_version="1.0.0",
            strategy="example.com/priority",
            labels={"priority": str(priority)},
            fallback_after_s=60.0,
        )
        async with lease_aio.connect(kubeconfig=kubeconfig, identity=name) as leases:
            async for term in leases.terms(stage.lease, timing=TIMING, coordinated=info):
                async with term:
                    led.append(name)
                    await anyio.sleep_forever()

    led: list[str] = []
    async with lease_aio.connect(kubeconfig=kubeconfig) as coordinating, anyio.create_task_group() as tasks:
        async with coordinating.coordinator(strategies=strategies):
            tasks.start_soon(lead, "low", 1, led)
            await _until(lambda: led == ["low"], within_s=ELECTS_WITHIN_S)
            tasks.start_soon(lead, "high", 9, led)
            await _until(lambda: led == ["low", "high"], within_s=ELECTS_WITHIN_S)
            assert (await stage.admin.get(stage.lease)).spec.strategy == "example.com/priority"
        tasks.cancel_scope.cancel()


async def test_our_coordinator_serves_a_real_api_server_whose_gate_is_off(tmp_path: Path) -> None:
    with ControlPlane(assets(), apiserver_flags=("--runtime-config=coordination.k8s.io/v1beta1=true",)) as plane:
        kubeconfig = str(plane.kubeconfig)
        async with (
            lease_aio.connect(kubeconfig=kubeconfig) as admin,
            lease_aio.connect(kubeconfig=kubeconfig) as coordinating,
            coordinating.coordinator(),
            anyio.create_task_group() as tasks,
        ):
            stage = Stage(plane, admin, "gate-off", tasks, tmp_path)
            async with stage.member("new", "1.32.0"):
                await stage.leader("new", within_s=ELECTS_WITHIN_S)
                async with stage.member("old", "1.31.0"):
                    await stage.leader("old", within_s=ELECTS_WITHIN_S)
                    assert (await admin.get("gate-off")).spec.strategy is None
            stage.check_that_no_two_works_overlap()
            assert [work.who for work in stage.ours][:2] == ["new", "old"]
            assert stage.ours[0].reason is EndReason.YIELDED
            assert all(work.appointed for work in stage.ours)


async def test_where_a_real_api_server_has_no_candidates_it_is_a_plain_election(control_plane: ControlPlane) -> None:
    info = CandidateInfo(binary_version="1.31.0", fallback_after_s=60.0)
    async with lease_aio.connect(kubeconfig=str(control_plane.kubeconfig)) as leases:
        with anyio.fail_after(10):
            async with leases.lead("no-candidates", timing=TIMING, coordinated=info) as term:
                assert not term.appointed


async def _until(true: Callable[[], bool], within_s: float) -> None:
    with anyio.fail_after(within_s):
        while not true():  # noqa: ASYNC110
            await anyio.sleep(0.02)
