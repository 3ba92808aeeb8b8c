"""The simulator's command."""

from __future__ import annotations

import pytest
import structlog

from lease_aio.testing.simulator import command
from lease_aio.testing.simulator.command import main
from lease_aio.testing.simulator.mutants import MUTANTS, LeadsWithoutItsWork
from lease_aio.testing.simulator.run import shrink, simulate, trace
from lease_aio.testing.simulator.shell import SHELL_FAULTS


def run(capsys, *arguments):
    code = main(arguments)
    return code, capsys.readouterr().out


def test_too_few_seeds_to_strike_with_everything_do_not_pass(capsys):
    code, out = run(capsys, "--seeds", "3", "--processes", "1")
    assert code == 1
    assert "never struck" in out


@pytest.mark.slow
def test_a_campaign_counts_what_struck_and_bounds_the_rate(capsys):
    code, out = run(capsys, "--seeds", "900", "--from", "50000", "--processes", "2")
    assert code == 0, out
    assert "| seeds | 900 |" in out
    assert "| violations | 0 |" in out
    assert "| violations a seed, at most (95 %) | 0.0033 |" in out


def test_a_replay_tells_the_whole_timeline_and_its_trace(capsys):
    code, out = run(capsys, "--replay", "4")
    assert code == 0
    assert "LEADS" in out
    assert trace(4).digest in out


def test_a_failing_replay_is_shrunk(capsys, monkeypatch):
    def broken_trace(seed, *, plan):
        return trace(seed, election=LeadsWithoutItsWork, plan=plan)

    def broken_shrink(violation):
        return shrink(violation, election=LeadsWithoutItsWork, attempts=50)

    monkeypatch.setattr(command, "trace", broken_trace)
    monkeypatch.setattr(command, "shrink", broken_shrink)
    seed = next(seed for seed in range(50) if fails(seed))
    code, out = run(capsys, "--replay", str(seed))
    assert code == 1
    assert "shrunk to" in out
    assert "VIOLATION of I5" in out


def fails(seed):
    try:
        simulate(seed, election=LeadsWithoutItsWork)
    except AssertionError:
        return True
    return False


def test_the_contrast_is_a_table(capsys):
    code, out = run(capsys, "--contrast", "--seeds", "20", "--processes", "1")
    assert code == 0
    assert "| ours | 0 (0.00%) | 0 (0.00%) |" in out
    assert "client-go, release as of 2026" in out


def test_small_scope_prints_what_it_visited(capsys):
    code, out = run(capsys, "--exhaustive", "4")
    assert code == 0
    assert "0 violations" in out


def test_the_whole_client_is_simulated(capsys, monkeypatch):
    for faults, expected in ((SHELL_FAULTS, 0), ({**SHELL_FAULTS, "a meteor": "it strikes the rack"}, 1)):
        monkeypatch.setattr(command, "SHELL_FAULTS", faults)
        try:
            code, out = run(capsys, "--shell", "--seeds", "6")
        finally:
            structlog.reset_defaults()
        assert "6 seeds of the whole client" in out
        assert "0 violations" in out
        assert ("never struck, so not tested (run more seeds): a meteor" in out) == (code == expected == 1)
        assert code == expected


def test_the_kill_table_is_printed(capsys, monkeypatch):
    monkeypatch.setattr(command, "kill_table", lambda: "the table")
    assert run(capsys, "--mutants") == (0, "the table\n")
    assert MUTANTS


@pytest.mark.parametrize("bad", [("--seeds", "0"), ("--processes", "-1"), ("--mutants", "--contrast")])
def test_bad_arguments_are_refused(capsys, bad):
    with pytest.raises(SystemExit) as end:
        main(bad)
    assert end.value.code == 2
    assert "error" in capsys.readouterr().err
