"""Every refusal of a scenario file names the place, the value and the remedy."""

import pytest

from lease_aio.errors import ConfigurationError
from lease_aio.heartbeat.scenario import Scenario

HEAD = "duration: 4m\nsteps:\n"


def refusal(text):
    with pytest.raises(ConfigurationError) as refused:
        Scenario.parse(text, source="plot.yaml")
    source, message = str(refused.value).split(":", 1)
    assert source == "plot.yaml"
    return message.lstrip()


def of_step(*lines):
    """The refusal of a scenario whose one step has these lines; the first is line 3 of the file."""
    return refusal(HEAD + "  - " + "\n    ".join(lines) + "\n")


def of_expectation(*lines):
    """The refusal of a scenario whose one expectation has these lines; the first is line 5 of the file."""
    return refusal(HEAD + "  - {at: 60s, silence: zone=b, name: outage}\nexpect:\n  - " + "\n    ".join(lines) + "\n")


# ---------------------------------------------------------------------- the file


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1:1: an empty file must be a scenario: keys and values, one a line"),
        ("just words", "1:1: 'just words' must be a scenario: keys and values, one a line"),
        ("- a\n- b", "1:1: a list must be a scenario: keys and values, one a line"),
        (
            "duration: 4m",
            "1:1: a scenario needs 'steps': write for example steps: [{at: 60s, silence: zone=b}]",
        ),
        ("steps: []", "1:1: a scenario needs 'duration': write for example duration: 5m"),
        (
            "duration: 4m\nstep: []",
            (
                "2:1: unknown key 'step' in a scenario; did you mean 'steps'? "
                "(known: name, description, duration, seed, fleet, steps, expect)"
            ),
        ),
        (
            "duration: 4m\nduration: 5m",
            "2:1: 'duration' stands twice in a scenario, first on line 1; keep one",
        ),
        ("duration: 4m\nsteps: [a", "2:10: this is no YAML: expected ',' or ']', but got '<stream end>'"),
        ("a: 1\n---\nb: 2", "2:1: this is no YAML: but found another document"),
        ("duration: *four", "1:11: this is no YAML: found undefined alias 'four'"),
        ("? [a]\n: b", "1:3: a key in a scenario must be one word, not a list"),
        ("[" * 5000, "it is nested too deeply; a scenario needs four levels"),
        (
            HEAD + "  at: 3",
            "3:3: steps: keys and values must be a list of steps, each on lines that start with '-'",
        ),
        (
            "duration: 4m\nsteps:",
            "2:7: steps: nothing must be a list of steps, each on lines that start with '-'",
        ),
    ],
)
def test_a_file_that_is_no_scenario_is_refused(text, message):
    assert refusal(text) == message


def test_a_file_that_is_larger_than_any_scenario_is_refused():
    assert refusal("#" * 1_000_001) == "1000001 characters are more than the 1000000 that are read"


# ---------------------------------------------------------------------- times


@pytest.mark.parametrize(
    ("at", "message"),
    [
        ("60", "at: '60' has no unit: write 60s (units: h, m, s, ms, as in 1m30s)"),
        ("1:30", "at: '1:30' is no duration: write for example 60s (units: h, m, s, ms, as in 1m30s)"),
        ("soon", "at: 'soon' is no duration: write for example 60s (units: h, m, s, ms, as in 1m30s)"),
        ("-5s", "at: '-5s' must be 0s or more: write for example 60s"),
        ("", "at: nothing must be a word: write for example 60s"),
        ("[60s]", "at: a list must be a word: write for example 60s"),
        ("5m", "at: this step begins at 5m, after the scenario's end at 4m: lower it, or raise 'duration'"),
    ],
)
def test_a_time_that_cannot_be_is_refused_at_its_place(at, message):
    assert of_step(f"at: {at}", "heal: all") == f"3:{9 if at else 8}: {message}"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["at: 3m", "silence: all", "for: 90s"],
            "5:10: for: this step ends at 4m30s, after the scenario's end at 4m: lower it, or raise 'duration'",
        ),
        (
            ["at: 3m", "heal: all", "over: 90s"],
            "5:11: over: this step ends at 4m30s, after the scenario's end at 4m: lower it, or raise 'duration'",
        ),
        (
            ["at: 1m", "crash: all", "every: 60s", "times: 5"],
            "6:12: times: 5 times end at 5m, after the scenario's end at 4m: lower it, or raise 'duration'",
        ),
        (
            ["at: 1m", "silence: all", "every: 30s", "for: 30s"],
            (
                "6:10: for: '30s' is not shorter than every: '30s', so the same nodes would begin again before "
                "they ended: lower 'for', or write choose: each"
            ),
        ),
        (
            ["at: 1m", "silence: all", "for: 0s"],
            "5:10: for: '0s' must be more than 0s: write for example 90s",
        ),
        (
            ["at: 1m", "crash: all", "times: 5"],
            "5:12: 'times' needs 'every': write for example every: 30s, or leave it out",
        ),
        (
            ["at: 1m", "heal: all", "for: 5s"],
            "5:10: nothing undoes 'heal', so 'for' means nothing: leave it out",
        ),
        (
            ["at: 1m", "crash: all", "every: 30s", "choose: new"],
            "6:13: choose: 'new' is not known (known: once, each)",
        ),
        (
            ["at: 1m", "crash: all", "every: 30s", "times: 0"],
            "6:12: times: '0' must be a whole number from 1 to 10000",
        ),
        (
            ["at: 1m", "crash: all", "every: 9ms"],
            "5:12: every: '9ms' would be 20001 times until the end: say how often, as times: 10 (10000 at most)",
        ),
        (
            ["at: 1m", "crash: all", "for: 9999999h"],
            "5:10: for: '9999999h' is no duration: write for example 90s (units: h, m, s, ms, as in 1m30s)",
        ),
    ],
)
def test_times_that_do_not_fit_together_are_refused(lines, message):
    assert of_step(*lines) == message


def test_more_actions_than_can_be_remembered_are_refused():
    text = "duration: 24h\nsteps:\n  - {at: 0s, crash: all, every: 1s, times: 10000, over: 60s, choose: each}\n"
    assert refusal(text) == (
        "3:21: up to this step there are 2000000 actions, more than the 100000 that can be planned: "
        "lower 'times', or leave out 'over'"
    )


# ---------------------------------------------------------------------- what is done, and to whom


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["at: 60s"],
            (
                "3:5: a step needs one of silence, pause, slow, skew, crash, restart, unready, heal, grow, shrink: "
                "write for example silence: zone=b"
            ),
        ),
        (["silence: all"], "3:5: a step needs 'at': write for example at: 60s"),
        (
            ["at: 60s", "silense: all"],
            (
                "4:5: unknown key 'silense' in a step; did you mean 'silence'? (known: at, silence, pause, slow, "
                "skew, crash, restart, unready, heal, grow, shrink, of, except, count, fraction, delay, offset, drift, "
                "down, reason, group, for, over, every, times, choose, name)"
            ),
        ),
        (
            ["at: 60s", "silence: all", "crash: all"],
            "5:12: a step does one thing, and here stand 'silence' and 'crash': make two steps",
        ),
        (["at: 60s", "silence:"], "4:13: silence: say which nodes: a label selector such as zone=b, or all"),
        (
            ["at: 60s", "silence: all", "count: many"],
            "5:12: count: 'many' must be a whole number from 1 to 999999999",
        ),
        (
            ["at: 60s", "silence: all", "fraction: 0.2"],
            "5:15: fraction: '0.2' must be a share from 0% to 100%: write for example 20%",
        ),
        (
            ["at: 60s", "silence: all", "fraction: 120%"],
            "5:15: fraction: '120%' must be a share from 0% to 100%: write for example 20%",
        ),
        (
            ["at: 60s", "silence: all", "count: 3", "fraction: 20%"],
            "6:15: 'count' and 'fraction' stand in one step: keep one of them",
        ),
        (
            ["at: 60s", "silence: all", "delay: 2s"],
            "5:12: 'delay' belongs to 'slow', not to 'silence': leave it out",
        ),
        (["at: 60s", "slow: all"], "4:11: 'slow' needs 'delay': write for example delay: 2s"),
        (["at: 60s", "skew: all"], "4:11: 'skew' needs 'offset': write for example offset: -30s"),
        (
            ["at: 60s", "skew: all", "offset: 0s"],
            "4:11: a skew of nothing changes nothing: write for example offset: -30s",
        ),
        (["at: 60s", "grow: 0"], "4:11: grow: '0' must be a whole number from 1 to 999999999"),
        (
            ["at: 60s", "grow: 5", "fraction: 5%"],
            "5:15: 'grow' chooses no nodes, so 'fraction' means nothing: write grow: 20",
        ),
        (
            ["at: 60s", "unready: all", "reason: out of order"],
            "5:13: reason='out of order' must be one word in CamelCase, such as 'KubeletNotReady'",
        ),
        (
            ["at: 60s", "heal: all", "of: outage"],
            "5:9: of: no step above is named 'outage'; give that step a 'name' first",
        ),
    ],
)
def test_a_step_that_cannot_be_is_refused(lines, message):
    assert of_step(*lines) == message


def test_a_selector_that_cannot_be_parsed_is_refused():
    message = of_step("at: 60s", "silence: zone in (a")
    assert message.startswith("4:14: silence: ")
    assert "'zone in (a'" in message


@pytest.mark.parametrize("nodes", ["", "'  '", "[zone=b]"])
def test_a_step_says_for_whom(nodes):
    expected = "silence: say which nodes: a label selector such as zone=b, or all"
    assert of_step("at: 60s", f"silence: {nodes}").partition(": ")[2] == expected


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ("at: 60s, heal: all, of: outge", "of: no step above is named 'outge'; did you mean 'outage'? (named: outage)"),
        (
            "at: 10s, heal: all, of: outage",
            "of: step 'outage' chooses its nodes at 1m, and this is at 10s: make this later",
        ),
        ("at: 90s, heal: all, name: outage", "name: a step above is named 'outage' too: choose another one"),
    ],
)
def test_names_of_steps_must_be_known_and_differ(second, message):
    text = HEAD + "  - {at: 60s, silence: zone=b, name: outage}\n  - {" + second + "}\n"
    assert refusal(text) == f"4:{second.rindex(' ') + 7}: {message}"


# ---------------------------------------------------------------------- what must hold


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["at: 2m"],
            (
                "5:5: an expectation needs one of ready, not_ready, unknown, was_unknown, gap_max, errors_max: "
                "write for example unknown: zone=b"
            ),
        ),
        (
            ["at: 2m", "unkown: all"],
            (
                "6:5: unknown key 'unkown' in an expectation; did you mean 'unknown'? (known: at, ready, not_ready, "
                "unknown, was_unknown, gap_max, errors_max, of, except, count, fraction, at_least, at_most)"
            ),
        ),
        (
            ["at: 2m", "ready: all", "unknown: all"],
            "7:14: an expectation is of one thing, and here stand 'ready' and 'unknown': make two",
        ),
        (
            ["at: 5m", "ready: all"],
            "5:9: at: '5m' is after the scenario's end at 4m: lower it, write at: end, or raise 'duration'",
        ),
        (
            ["at: end", "ready: all", "count: 3", "at_most: 5"],
            "8:14: 'count' and 'at_most' stand in one expectation: keep one, or make two",
        ),
        (
            ["at: end", "ready: all", "at_least: most"],
            "7:15: at_least: 'most' must be a whole number from 0 to 999999999",
        ),
        (
            ["at: end", "gap_max: 15"],
            "6:14: gap_max: '15' has no unit: write 15s (units: h, m, s, ms, as in 1m30s)",
        ),
        (
            ["at: end", "gap_max: 15s", "count: 3"],
            "7:12: 'gap_max' is of the whole fleet, so 'count' means nothing: leave it out",
        ),
        (
            ["at: 30s", "unknown: all", "of: outage"],
            "7:9: of: step 'outage' chooses its nodes at 1m, and this is at 30s: make this later",
        ),
    ],
)
def test_an_expectation_that_cannot_be_is_refused(lines, message):
    assert of_expectation(*lines) == message
