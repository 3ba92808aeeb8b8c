"""`lease-aio lead`, as a shell sees it: real processes, real signals."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from lease_aio.cli.exits import Exit
from tests.cli.rig import HTTP, PATIENCE_S, Command, kubeconfig, served_port

pytestmark = pytest.mark.slow
DURATION_S = 6
"""Long enough for a busy machine: a term is lost where its process does not run for four seconds."""
QUICK = ("--lease-duration", str(DURATION_S), "--renew-interval", "1", "--grace", "0.4")


@dataclass(frozen=True)
class Place:
    kubeconfig: str
    lease: str

    @property
    def url(self) -> str:
        server = f"http://127.0.0.1:{served_port(self.kubeconfig)}"
        return f"{server}/apis/coordination.k8s.io/v1/namespaces/default/leases/{self.lease}"

    def delete(self) -> None:
        with HTTP.open(urllib.request.Request(self.url, method="DELETE")) as answer:
            assert answer.status == 200

    def renewed(self) -> float:
        """When its holder says that it was renewed, in seconds since the epoch."""
        with HTTP.open(self.url) as answer:
            text = json.load(answer)["spec"]["renewTime"]
        return datetime.fromisoformat(text).timestamp()


@pytest.fixture
def place(served: str) -> Place:
    """A Lease that no other test uses."""
    return Place(served, f"work-{uuid.uuid4().hex[:8]}")


def lead(place: Place, *command: str, options: tuple[str, ...] = QUICK) -> Command:
    rest = ("--", *command) if command else ()
    return Command("lead", place.lease, "--json", "--kubeconfig", place.kubeconfig, *options, *rest)


def names(seen: list[dict[str, object]]) -> list[object]:
    return [one["event"] for one in seen]


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def gone_within(pid: int, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.02)
    return not alive(pid)


def pid_in(path: Path) -> int:
    until = time.monotonic() + PATIENCE_S
    while not (path.exists() and path.read_text().strip()):
        assert time.monotonic() < until, f"the command never wrote {path}"
        time.sleep(0.02)
    return int(path.read_text())


def test_the_commands_own_code_is_passed_on(place: Place) -> None:
    with lead(place, "sh", "-c", "exit 7") as leading:
        code, seen, _ = leading.end()

    assert code == 7
    assert names(seen) == ["started", "stopped", "released"]
    assert seen[1]["reason"] == "command-ended"
    assert seen[1]["exit_code"] == 7


def test_a_command_that_a_signal_killed_gives_the_shells_code(place: Place) -> None:
    with lead(place, "sh", "-c", "kill -USR1 $$") as leading:
        assert leading.end()[0] == 128 + signal.SIGUSR1


def test_the_command_sees_who_leads_and_its_output_leaves_the_events_alone(place: Place) -> None:
    words = "echo $LEASE_AIO_TOKEN $LEASE_AIO_HOLDER $LEASE_AIO_LEASE"
    with lead(place, "sh", "-c", words, options=(*QUICK, "--identity", "me")) as leading:
        _, seen, stderr = leading.end()

    assert f"{seen[0]['token']} me default/{place.lease}" in stderr.splitlines()


def test_without_json_standard_output_is_the_commands_alone(place: Place) -> None:
    command = [sys.executable, "-m", "lease_aio.cli", "lead", place.lease, "--kubeconfig", place.kubeconfig]
    done = subprocess.run(
        [*command, "--", "echo", "hello"], capture_output=True, text=True, timeout=PATIENCE_S, check=True
    )

    assert done.stdout == "hello\n"
    assert f"leading default/{place.lease}" in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, Exit.INTERRUPTED), (signal.SIGTERM, Exit.TERMINATED)])
def test_a_signal_stops_the_command_first_and_then_releases(
    place: Place, number: signal.Signals, code: int, tmp_path: Path
) -> None:
    script = f"trap 'echo $(date +%s.%N) > {tmp_path}/stopped; exit' TERM; echo $$ > {tmp_path}/pid; sleep 60 & wait"
    with lead(place, "sh", "-c", script) as leading:
        leading.event("started")
        child = pid_in(tmp_path / "pid")
        leading.signal(number)
        ended, seen, _ = leading.end()

    assert ended == code
    assert names(seen) == ["started", "stopped", "released"]
    assert seen[1]["reason"] == "signal"
    assert float((tmp_path / "stopped").read_text()) < float(str(seen[2]["time"]))
    assert not alive(child)


def test_a_command_that_ignores_sigterm_is_killed_with_its_whole_group_before_the_release(
    place: Place, tmp_path: Path
) -> None:
    deaf = f"trap '' TERM; echo $$ > {tmp_path}/inner; while :; do sleep 1; done"
    script = f"trap '' TERM; sh -c \"{deaf.replace('$', chr(92) + '$')}\" & echo $$ > {tmp_path}/pid; wait; sleep 60"
    with lead(place, "sh", "-c", script) as leading:
        leading.event("started")
        pids = pid_in(tmp_path / "pid"), pid_in(tmp_path / "inner")
        leading.signal(signal.SIGTERM)
        code, seen, _ = leading.end()

    assert code == Exit.TERMINATED
    assert names(seen)[-2:] == ["stopped", "released"]
    assert not any(alive(pid) for pid in pids)


def test_what_a_command_leaves_running_in_its_group_is_stopped_before_the_release(place: Place, tmp_path: Path) -> None:
    with lead(place, "sh", "-c", f"sleep 60 & echo $! > {tmp_path}/pid") as leading:
        code, seen, _ = leading.end()

    assert code == 0
    assert names(seen) == ["started", "stopped", "released"]
    assert not alive(pid_in(tmp_path / "pid"))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_killed_leader_takes_its_command_and_all_of_its_group_with_it(place: Place, tmp_path: Path) -> None:
    script = f"sleep 60 & echo $! > {tmp_path}/inner; echo $$ > {tmp_path}/pid; wait"
    with lead(place, "sh", "-c", script) as leading:
        leading.event("started")
        pids = pid_in(tmp_path / "pid"), pid_in(tmp_path / "inner")
        leading.signal(signal.SIGKILL)

        assert all(gone_within(pid, PATIENCE_S) for pid in pids)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_frozen_leader_loses_its_command_before_another_may_lead(place: Place, tmp_path: Path) -> None:
    with lead(place, "sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 60") as leading:
        leading.event("started")
        child = pid_in(tmp_path / "pid")
        time.sleep(0.5)  # the guard has been told by now
        leading.signal(signal.SIGSTOP)
        with lead(place, "true") as other:
            other.event("waiting")
            renewed = place.renewed()
            began = other.event("started")["time"]
            assert not alive(child)
            assert began - renewed >= DURATION_S, "no sooner than the Lease allows, by its own word"
            assert other.end()[0] == 0
        leading.signal(signal.SIGCONT)
        code, seen, _ = leading.end()

    assert code in {Exit.STUCK, Exit.TERM_LOST}  # by which of its threads is the first to run again
    assert names(seen)[0] == "started"
    assert "released" not in names(seen)


def test_a_waiting_candidate_says_for_whom_and_takes_over_when_the_lease_is_given_back(place: Place) -> None:
    with lead(place, options=(*QUICK, "--identity", "first")) as first:
        token = first.event("started")["token"]
        with lead(place, options=(*QUICK, "--identity", "second")) as second:
            assert second.event("waiting")["holder"] == "first"
            first.signal(signal.SIGTERM)
            assert second.event("started")["token"] > token
            second.signal(signal.SIGINT)
            assert second.end()[0] == Exit.INTERRUPTED


def test_a_candidate_whose_identity_another_process_has_is_told_so(place: Place) -> None:
    options = (*QUICK, "--identity", "same")
    with lead(place, options=options) as leading:
        leading.event("started")
        with lead(place, options=options) as waiting:
            assert waiting.event("duplicate")["identity"] == "same"


def test_a_signal_while_the_command_is_being_started_is_told_as_any_other(place: Place) -> None:
    with lead(place, "sleep", "60") as leading:
        leading.event("started")
        leading.signal(signal.SIGTERM)
        code, seen, _ = leading.end()

    assert code == Exit.TERMINATED
    assert names(seen) == ["started", "stopped", "released"]


def test_a_lost_term_stops_the_command_and_has_a_code_of_its_own(place: Place, tmp_path: Path) -> None:
    with lead(place, "sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 60") as leading:
        leading.event("started")
        child = pid_in(tmp_path / "pid")
        place.delete()
        code, seen, stderr = leading.end()

    assert code == Exit.TERM_LOST
    assert names(seen) == ["started", "stopped", "error"]
    assert seen[1]["reason"] == "deleted"
    assert f"the term on Lease default/{place.lease} is over: deleted" in stderr
    assert not alive(child)


def test_with_forever_a_server_that_is_away_is_waited_for_and_that_is_said(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with Command("lead", "x", "--forever", "--json", "--kubeconfig", kubeconfig(tmp_path / "k", url)) as leading:
            assert leading.process.stderr is not None
            said = leading.process.stderr.readline()
            leading.signal(signal.SIGTERM)
            code, seen, stderr = leading.end()

    assert said.startswith(f"lease-aio: warning: get leases.coordination.k8s.io default/x: {url}: the connection was")
    assert said.endswith("; waiting for it\n")
    assert (code, seen, stderr) == (Exit.TERMINATED, [], "")


def test_with_forever_a_lost_term_is_contended_for_again(place: Place) -> None:
    with lead(place, options=(*QUICK, "--forever")) as leading:
        first = leading.event("started")["token"]
        place.delete()
        assert leading.event("stopped")["reason"] == "deleted"
        assert leading.event("started")["token"] > first
        leading.signal(signal.SIGTERM)
        assert leading.end()[0] == Exit.TERMINATED


def test_a_second_signal_ends_it_on_the_spot(place: Place, tmp_path: Path) -> None:
    deaf = f"trap '' TERM; echo $$ > {tmp_path}/pid; while :; do sleep 1; done"
    slow = ("--lease-duration", "60", "--grace", "30")
    with lead(place, "sh", "-c", deaf, options=slow) as leading:
        leading.event("started")
        child = pid_in(tmp_path / "pid")
        leading.signal(signal.SIGTERM)
        first = time.monotonic()
        while leading.process.poll() is None:  # two that come before the first is heard are one
            time.sleep(0.2)
            leading.signal(signal.SIGTERM)
        took_s = time.monotonic() - first
        code, seen, _ = leading.end()

    assert code == Exit.TERMINATED
    assert took_s < 30, "the command's grace"
    assert "released" not in names(seen)
    assert gone_within(child, PATIENCE_S)
