"""The short form of `nox -s torture`: a minute of real faults, with client-go in the fleet."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lease_aio.testing.envtest import ControlPlane
from tests.cluster.assets import assets
from tests.torture.build import BuildError, clientgo
from tests.torture.driver import Run, torture
from tests.torture.history import Audit
from tests.torture.nemesis import Fault
from tests.torture.report import report, text

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

SECONDS = 60
OURS, CLIENT_GO = 3, 2


@pytest.fixture
def audited(tmp_path: Path) -> Iterator[tuple[ControlPlane, Audit]]:
    audit = Audit(tmp_path)
    with ControlPlane(assets(), apiserver_flags=audit.flags) as plane:
        yield plane, audit


async def test_a_minute_of_real_faults_makes_no_overlap_of_ours_and_lets_no_stale_write_in(
    audited: tuple[ControlPlane, Audit], tmp_path: Path, capsys: pytest.CaptureFixture[str]
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
    assert run.gaps == 0
