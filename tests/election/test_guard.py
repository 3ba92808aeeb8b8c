"""The guard's thread: what it says while the event loop is blocked, and when it ends the process."""

import math
import queue
import subprocess
import sys
import textwrap
import threading

import anyio
import pytest

from lease_aio.api import LEASES
from lease_aio.client import LeaseClient
from lease_aio.election.guard import EXIT_CODE, Alarm, Guard, Ward, alarms, next_look
from lease_aio.errors import ConfigurationError
from lease_aio.testing.virtual import run
from tests.election.core_rig import VALID_S
from tests.election.rig import TIMING, Rig


class HandClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time

    def wall_us(self) -> int:
        return 0

    async def sleep_until(self, when: float) -> None:
        raise NotImplementedError


def ward(valid_until: float = 1010.0, **more: bool) -> Ward:
    return Ward("default/x", valid_until, grace_s=4.0, **more)


def test_a_term_that_is_not_renewed_is_in_jeopardy_before_its_end():
    assert alarms([ward()], 1008.9, 1.0) == []
    assert [alarm for alarm, _ in alarms([ward()], 1009.0, 1.0)] == [Alarm.JEOPARDY]


def test_each_end_is_warned_of_once():
    subject = ward()
    subject.warned_at = subject.valid_until
    assert alarms([subject], 1009.5, 1.0) == []
    subject.valid_until += 3
    assert [alarm for alarm, _ in alarms([subject], 1012.5, 1.0)] == [Alarm.JEOPARDY]


def test_a_work_that_was_told_to_stop_is_not_warned_but_is_overdue_when_another_may_lead():
    subject = ward(told=True)
    assert alarms([subject], 1009.5, 1.0) == []
    assert alarms([subject], 1013.9, 1.0) == []
    assert [alarm for alarm, _ in alarms([subject], 1014.0, 1.0)] == [Alarm.OVERDUE]


def test_it_looks_again_in_time_and_at_least_once_a_second():
    assert next_look([], 1000.0, 1.0) == 1.0
    assert next_look([ward(1000.5)], 1000.0, 0.2) == pytest.approx(0.3)
    assert next_look([ward(900.0)], 1000.0, 1.0) == 0.0


@pytest.mark.parametrize("value", [-1, math.inf, math.nan])
def test_a_warning_time_that_is_none_is_refused(value):
    with pytest.raises(ConfigurationError, match="warn_before_s"):
        Guard(warn_before_s=value)


def test_the_thread_warns_and_then_ends_the_process_without_any_loop(capfd):
    said: queue.Queue[object] = queue.Queue()
    clock = HandClock()

    with Guard(clock=clock, on_jeopardy=lambda *what: said.put(what), end=said.put) as guard:
        subject = ward(1001.0)
        guard.add(subject)
        assert said.get(timeout=60) == ("default/x", 1.0)
        clock.time = 1005.0
        guard.add(ward(2000.0))  # wakes it
        assert said.get(timeout=60) == EXIT_CODE
    assert "did not end in time" in capfd.readouterr().err


def test_a_warning_that_raises_does_not_keep_it_from_ending_the_process(caplog):
    said: queue.Queue[object] = queue.Queue()
    clock = HandClock()

    def fails(lease: str, left_s: float) -> None:
        said.put((lease, left_s))
        raise RuntimeError("a bug of the caller's")

    with Guard(clock=clock, on_jeopardy=fails, end=said.put) as guard:
        guard.add(ward(1001.0))
        assert said.get(timeout=60) == ("default/x", 1.0)
        clock.time = 1005.0
        guard.add(ward(2000.0))  # wakes it
        assert said.get(timeout=60) == EXIT_CODE
    assert "a bug of the caller's" in caplog.text


@pytest.mark.parametrize("stream", [None, "closed"])
def test_without_standard_error_it_ends_the_process_all_the_same(stream, monkeypatch, tmp_path):
    said: queue.Queue[object] = queue.Queue()
    if stream == "closed":
        stream = (tmp_path / "gone").open("w")
        stream.close()
    monkeypatch.setattr(sys, "stderr", stream)

    with Guard(clock=HandClock(), end=said.put) as guard:
        guard.add(ward(900.0))
        assert said.get(timeout=60) == EXIT_CODE


@pytest.mark.parametrize("callback", [lambda *_: 1 / 0, lambda *_: threading.Event().wait()], ids=["raises", "hangs"])
def test_a_warning_that_raises_or_hangs_leaves_the_terms_under_guard(callback, capfd):
    said: queue.Queue[object] = queue.Queue()
    clock = HandClock()

    def warned(*what):
        said.put(what)
        callback()

    with Guard(clock=clock, on_jeopardy=warned, end=said.put) as guard:
        guard.add(ward(1001.0))
        assert said.get(timeout=5) == ("default/x", 1.0)
        clock.time = 1005.0
        guard.discard(ward())  # the lock is free: the loop is not held up
        assert said.get(timeout=5) == EXIT_CODE


def test_without_an_end_to_the_process_it_is_told_that_the_work_is_overdue():
    said: queue.Queue[object] = queue.Queue()
    with Guard(clock=HandClock(), on_jeopardy=lambda *what: said.put(what), end_process=False, end=said.put) as guard:
        guard.add(ward(900.0))
        assert said.get(timeout=5) == ("default/x", 0.0)
        guard.add(ward(2000.0))  # it looks again
        guard.add(ward(901.0))
        assert said.get(timeout=5) == ("default/x", 0.0), "of the second, not of the first again"
    assert said.empty()
    assert not [each for each in threading.enumerate() if each.name == "lease_aio guard"]


STUCK = """
    import sys, time
    from lease_aio.clock import SystemClock
    from lease_aio.election import Guard
    from lease_aio.election.guard import Ward

    with Guard() as guard:
        guard.add(Ward("default/x", SystemClock().now() + 0.3, 0.1))
        while True:
            {blocks}
"""


@pytest.mark.parametrize(
    "blocks",
    ["sys.stderr.write('x' * 4096)", "sys.stderr = None", "sys.stderr.close() if sys.stderr else None"],
    ids=["full, and its lock held", "none", "closed"],
)
def test_no_state_of_standard_error_keeps_the_process_alive(blocks):
    script = textwrap.dedent(STUCK).replace("{blocks}", blocks)
    with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE) as process:  # nobody reads it
        try:
            assert process.wait(timeout=20) == EXIT_CODE
        finally:
            process.kill()


@pytest.mark.parametrize(("reason", "left_s"), [("taken", 4.0), ("deleted", 4.0), ("resigned", 4.0 + VALID_S)])
def test_where_the_lease_is_anothers_already_the_work_is_overdue_when_its_grace_has_passed(reason, left_s):
    async def lose(rig, term):
        if reason == "taken":
            await rig.edit(holder_identity="thief")
        elif reason == "deleted":
            await rig.admin.delete(LEASES, "x", "default")
        else:  # it is still ours: nobody else can have it before it has run out
            term.resign()
        assert (await term.lost()).value == reason

    async def main():
        rig, guard = Rig(), Guard(clock=HandClock())
        async with (
            LeaseClient(rig.admin, clock=rig.clock, guard=guard) as leases,
            await anext(leases.terms("x", timing=TIMING)) as term,
        ):
            (subject,) = guard._wards
            with anyio.CancelScope(shield=True):
                await lose(rig, term)
                overdue.append(subject.overdue_at - rig.clock.now())

    overdue: list[float] = []
    run(main)
    assert overdue == [pytest.approx(left_s, abs=0.01)]


def test_a_guard_serves_one_client():
    with Guard() as guard, pytest.raises(ConfigurationError, match="each client its own"), guard:
        pass


BLOCKED = """
    import time
    import anyio
    import lease_aio
    from lease_aio.election import Guard

    async def main():
        warned = []
        guard = Guard(on_jeopardy=lambda *what: warned.append(what) or print("jeopardy", flush=True))
        timing = lease_aio.Timing(
            lease_duration_s=2, renew_interval_s=0.3, request_timeout_s=0.3, stop_grace_s=0.5, retry_interval_s=0.2
        )
        async with lease_aio.connect("embedded", guard=guard) as leases:
            async with leases.lead("x", timing=timing) as term:
                print("leading", flush=True)
                time.sleep({seconds})  # the loop is blocked
                print("woke", term.valid_for() > 0, flush=True)

    anyio.run(main)
"""


def _run(seconds: float) -> subprocess.CompletedProcess[str]:
    script = textwrap.dedent(BLOCKED).replace("{seconds}", str(seconds))
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=250, check=False)


def test_a_process_whose_loop_is_blocked_is_ended_before_another_may_lead():
    done = _run(10)
    assert done.stdout.split() == ["leading", "jeopardy"]
    assert done.returncode == EXIT_CODE
    assert "default/x" in done.stderr


def test_a_loop_that_is_blocked_for_a_moment_is_left_alone():
    done = _run(0.1)
    assert done.stdout.split() == ["leading", "woke", "True"]
    assert done.returncode == 0, done.stderr
