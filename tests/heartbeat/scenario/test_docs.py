"""The examples of docs/scenarios.md that are no Python, and the tables in it."""

import re
from pathlib import Path

import pytest

from lease_aio.heartbeat.scenario import Scenario, parse_fleet
from lease_aio.heartbeat.scenario.choices import AMONG_KEYS, AMOUNT_KEYS
from lease_aio.heartbeat.scenario.expectations import MEASURES
from lease_aio.heartbeat.scenario.steps import KEYS, VERBS

TEXT = Path(__file__).parents[3].joinpath("docs", "scenarios.md").read_text()
BLOCKS = [re.sub("^    ", "", block, flags=re.MULTILINE) for block in re.findall(r"(?:^ {4}.*\n)+", TEXT, re.MULTILINE)]


def code(heading):
    """The words in code font in the first columns of the tables below a heading."""
    below = TEXT.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.split("|")[1] for line in below.splitlines() if line.startswith("| ")]
    return {word for row in rows for word in re.findall(r"`(\w+)", row)}


def test_the_examples_are_scenarios_and_fleets():
    scenarios = [block for block in BLOCKS if "\nsteps:" in block]
    fleets = [block for block in BLOCKS if block.startswith("name: mine")]
    assert (len(scenarios), len(fleets)) == (1, 1)
    assert len(Scenario.parse(scenarios[0]).plan()) == 2
    assert parse_fleet(fleets[0]).nodes == 64


@pytest.mark.parametrize(
    ("heading", "keys"),
    [
        ("Steps", set(KEYS) - {"delay", "offset", "drift", "down", "reason", "group"}),
        ("Expectations", {"at", *MEASURES, *AMOUNT_KEYS, "at_least", "at_most"}),
    ],
)
def test_the_tables_have_all_keys_and_no_others(heading, keys):
    words = code(heading) - {"delay", "offset", "drift", "down", "reason", "group"}
    assert words == keys
    assert heading != "Steps" or {*VERBS, *AMONG_KEYS} <= words
