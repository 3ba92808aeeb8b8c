"""The short form of `nox -s torture`: a minute of real faults, with client-go in the fleet."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lease_aio.testing.envtest import ControlPlane
from tests.cluster.assets import assets
from tests.torture.analysis import overlaps, stale_writes
from tests.torture.build import BuildError, clientgo
from tests.torture.driver import STOP_TIMEOUT_S, TIMING, Run, evidence, torture
from tests.torture.history import Audit, recorded
from tests.torture.nemesis import Fault
from tests.torture.processes import fleet, until
from tests.torture.report import report, text
from tests.torture.resource import FencedFile

AUDITED = tuple[ControlPlane, Audit]

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

SECONDS = 60
PATIENCE_S = 120
OURS, CLIENT_GO = 3, 2


@pytest.fixture
def audited(tmp_path: Path) -> Iterator[AUDITED]:
    audit = Audit(tmp_path)
    with ControlPlane(assets(), apiserver_flags=audit.flags, stop_timeout_s=STOP_TIMEOUT_S) as plane:
        yield plane, audit


async def test_a_minute_of_real_faults_makes_no_overlap_of_ours_and_lets_no_stale_write_in(
    audited: AUDITED, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plane, audit = audited
    try:
        clientgo()
    except BuildError as error:
        pytest.skip(str(error))
    run: Run = await torture(plane, audit, tmp_path, seed=1, seconds=SECONDS, ours=OURS, client_go=CLIENT_GO)
    numbers = report(run)
    with capsys.disabled():
        sys.stdout.write("\n" + text(numbers) + "\n")
    assert numbers["failures"] == []
    assert numbers["terms"].keys() == {"ours", "client-go"}
    assert set(run.faults) == {fault.value for fault in Fault}, "every fault was done"
    assert numbers["writes"]["offered"] > 0


async def test_work_that_does_not_stop_is_found_out_and_fenced_off(audited: AUDITED, tmp_path: Path) -> None:
    """The detector works: a fault of ours is seen as one, and the token keeps its writes out."""
    plane, audit = audited
    overrun_s = TIMING.stop_grace_s + 3
    async with (
        recorded(plane, "deaf") as recorder,
        fleet(plane, tmp_path, "deaf", ours=2, client_go=0, timing=TIMING, words=("--overrun", str(overrun_s))) as them,
    ):
        assert await until(lambda: them.leader() is not None, PATIENCE_S)
        deaf = them.leader()
        assert deaf is not None
        deaf.proxy.hold()
        assert await until(lambda: them.leader() not in {None, deaf}, PATIENCE_S)
        assert await until(lambda: deaf.life.events[-1]["event"] in {"stopped", "ended"}, PATIENCE_S)
        deaf.proxy.heal()
        await them.end()
    (found,) = overlaps(evidence(them, recorder, audit))
    assert (found.first, found.culprit) == (deaf.life.identity, "ours")
    assert 1 < found.length_s < overrun_s
    store = FencedFile(them.resource)
    offered, accepted = stale_writes(store.offers())
    store.close()
    assert offered > 10
    assert accepted == 0
