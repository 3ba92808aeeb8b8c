"""How fast leadership changes hands on a real kube-apiserver. Safety must hold; the times are generous bounds."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lease_aio.testing.envtest import ControlPlane
from tests.cluster.assets import assets
from tests.torture.analysis import percentile
from tests.torture.crowd import many
from tests.torture.driver import TIMING
from tests.torture.handover import Kind, kills, releases, standby_traffic
from tests.torture.history import Audit

pytestmark = pytest.mark.cluster

OURS = Kind(ours=True, candidates=3, options={})
OURS_IN_5_S = Kind(ours=True, candidates=3, options={"timing": TIMING})
AUDITED = tuple[ControlPlane, Audit]


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AUDITED]:
    audit = Audit(tmp_path_factory.mktemp("audit"))
    with ControlPlane(assets(), apiserver_flags=audit.flags) as plane:
        yield plane, audit


def say(capsys: pytest.CaptureFixture[str], text: str) -> None:
    with capsys.disabled():
        sys.stdout.write(f"\n{text}\n")


async def test_after_a_release_the_next_one_leads_at_once(
    audited: AUDITED, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = await releases(*audited, tmp_path, OURS, lease="released", count=10)
    p50, worst = percentile(found.seconds, 50), max(found.seconds)
    say(capsys, f"after a release: p50 {p50 * 1000:.0f} ms, max {worst * 1000:.0f} ms of {len(found.seconds)}")
    assert found.overlaps == []
    assert len(found.seconds) == 10
    assert p50 < 1.0


async def test_after_sigkill_the_next_one_leads_when_the_duration_is_over_and_no_earlier(
    audited: AUDITED, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = await kills(*audited, tmp_path, OURS_IN_5_S, lease="killed", count=2)
    say(capsys, f"after SIGKILL: {found.seconds} s; since the last write: {found.since_write_s} s")
    assert found.overlaps == []
    assert len(found.seconds) == 2
    assert min(found.since_write_s) >= TIMING.lease_duration_s
    assert max(found.seconds) < TIMING.lease_duration_s + 5


async def test_who_waits_asks_for_nothing(audited: AUDITED, tmp_path: Path) -> None:
    found = await standby_traffic(*audited, tmp_path, OURS, lease="quiet", seconds=15)
    assert found.standby == {}
    assert found.leader.keys() == {"update"}


async def test_many_elections_between_two_processes_are_all_led_and_never_by_both(
    audited: AUDITED, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = await many(*audited, tmp_path, count=200, hold_s=8)
    say(capsys, f"{found.elections} elections: all led after {found.all_led_s:.2f} s; {found.costs}")
    assert found.overlaps == []
    assert found.usurped == []
    assert sum(cost.led for cost in found.costs) == found.elections
    assert found.after_release_s < 30
    assert found.after_kill_s < 60
