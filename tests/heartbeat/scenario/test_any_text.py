"""Whatever stands in a file: it is a scenario, or it is refused with its place."""

import re

import yaml
from hypothesis import given
from hypothesis import strategies as st

from lease_aio.errors import ConfigurationError
from lease_aio.heartbeat.scenario import Scenario, parse_fleet
from lease_aio.heartbeat.scenario.expectations import MEASURES
from lease_aio.heartbeat.scenario.fleets import PROFILE
from lease_aio.heartbeat.scenario.steps import KEYS, VERBS

TIMES = st.sampled_from(["0s", "1s", "60s", "1m30s", "5m", "6m", "-3s", "soon"])
WORDS = TIMES | st.sampled_from(["20%", "130%", "all", "zone=b", "zone in (a", "end", "3", "0", "a", "once", "", "ü"])
SCALARS = WORDS | st.integers(-5, 200) | st.none() | st.booleans() | st.floats() | st.text(max_size=8)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3))


def mappings(keys, always=()):
    """Mappings of which most keys are known ones."""
    known = st.dictionaries(st.sampled_from([*keys, "other"]), VALUES, max_size=4)
    return st.builds(lambda more, said: {**said, **more}, known, st.fixed_dictionaries(dict.fromkeys(always, WORDS)))


def entries(verbs, keys):
    """Steps or expectations of one verb each, mostly."""
    line = st.tuples(TIMES, st.sampled_from(verbs), st.just("all") | WORDS)
    lines = line.map(lambda one: {"at": one[0], one[1]: one[2]})
    more = st.dictionaries(st.sampled_from([*keys, "other"]), WORDS | VALUES, max_size=1)
    return st.lists(st.builds(lambda one, two: {**one, **two}, lines, more), max_size=2)


STEPS = entries(VERBS, KEYS)
EXPECTED = entries(MEASURES, ["of", "except", "count", "at_least"])
GROUPS = (
    st.lists(
        mappings(["count", "prefix", "zones", "name"])
        | st.fixed_dictionaries({"count": st.integers(0, 5), "profile": mappings(PROFILE)}),
        max_size=3,
    )
    | VALUES
)
FLEETS = mappings(["name", "register", "lease_duration"]) | st.fixed_dictionaries({"groups": GROUPS})
SCENARIOS = st.fixed_dictionaries({"duration": st.just("5m"), "steps": STEPS}, optional={"expect": EXPECTED})


def read(parse, text):
    """Parse it; a refusal must say where."""
    try:
        return parse(text, source="any.yaml")
    except ConfigurationError as error:
        said = str(error)
    assert re.match(r"any\.yaml:(\d+:\d+:)? .", said), said
    return None


@given(SCENARIOS)
def test_a_scenario_of_any_values_is_read_or_refused(document):
    scenario = read(Scenario.parse, yaml.safe_dump(document, allow_unicode=True))
    if scenario is not None:
        assert all(0 <= action.at_s <= scenario.duration_s + 1e-6 for action in scenario.plan())


@given(FLEETS)
def test_a_fleet_of_any_values_is_read_or_refused(document):
    read(parse_fleet, yaml.safe_dump(document, allow_unicode=True))


@given(st.text(max_size=60) | st.text("{}[]:,-&*!|>'\"%@`# \nab", max_size=60))
def test_any_text_is_read_or_refused(text):
    read(Scenario.parse, text)
