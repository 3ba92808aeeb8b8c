"""Every example in the docs runs, every test they name exists, and the table of states is what the core does."""

import ast
import re
import warnings
from functools import cache
from pathlib import Path

import pytest

from lease_aio.election.events import State
from lease_aio.testing.simulator import simulate
from tests.walk import INPUTS, Transition, Watched, walk

ROOT = Path(__file__).parents[1]
DOCS = {path.name: path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))}
LANGUAGES = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
EXAMPLES = [
    pytest.param(name, language, source, id=f"{name}-{at}")
    for name, text in DOCS.items()
    for at, (language, source) in enumerate(LANGUAGES.findall(text))
    if not (name == "testing.md" and "import pytest" in source)  # a suite: see tests/testing/test_the_guide.py
]
NAMED_TESTS = sorted({found for text in DOCS.values() for found in re.findall(r"\btests/[\w/.]+(?:::\w+)?", text)})
WORLDS = 12_000


def table(document: str, heading: str) -> list[list[str]]:
    """The rows of the table below a heading."""
    below = DOCS[document].split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.strip("| ").split(" | ") for line in below.splitlines() if line.startswith("|")]
    return rows[2:]


@cache
def found() -> frozenset[Transition]:
    seen, explored, tried = walk(WORLDS)
    assert f"{explored:,} situations, {tried:,} inputs, {len(seen)} transitions" in DOCS["guarantees.md"]
    return frozenset(seen)


def written() -> set[Transition]:
    rows = table("states.md", "Transitions")
    listed = [(before, on, after) for before, after, ons, _ in rows for on in ons.split(", ")]
    assert len(listed) == len(set(listed))
    return set(listed)


@pytest.mark.parametrize(("name", "language", "source"), EXAMPLES)
def test_every_example_runs(name: str, language: str, source: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert language == "python", "nothing runs it"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(compile(source, name, "exec"), {"__name__": "__main__"})
    assert ("refused" in capsys.readouterr().out) == ("refused" in source)


@pytest.mark.parametrize("named", NAMED_TESTS)
def test_every_test_that_is_named_exists(named: str) -> None:
    path, _, function = named.partition("::")
    assert (ROOT / path).exists()
    if function:
        tree = ast.parse((ROOT / path).read_text())
        assert function in {
            node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }


@pytest.mark.parametrize("name", DOCS)
def test_every_link_leads_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", DOCS[name]):
        if not target.startswith("https://"):
            page, _, heading = target.partition("#")
            assert (ROOT / "docs" / page).exists()
            assert not heading or heading in _anchors(page or name), target


def test_every_link_of_the_readme_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", (ROOT / "README.md").read_text()):
        if not target.startswith("https://"):
            page, _, heading = target.partition("#")
            assert (ROOT / page).exists()
            assert not heading or heading in _anchors(Path(page).name), target


def _anchors(name: str) -> set[str]:
    headings = [line for line in DOCS[name].splitlines() if line.startswith("#")]
    return {re.sub(r"[^\w -]", "", line.lstrip("# ")).lower().replace(" ", "-") for line in headings}


def test_the_readme_leads_to_all_of_them() -> None:
    readme = (ROOT / "README.md").read_text()
    for name in DOCS:
        assert f"(docs/{name})" in readme


def test_the_table_of_states_has_all_of_them() -> None:
    assert [row[0] for row in table("states.md", "States")] == [state.value for state in _in_order()]


def test_the_table_of_inputs_has_all_of_the_cores_methods() -> None:
    assert [(row[0], row[1].strip("`")) for row in table("states.md", "Inputs")] == [(w, m) for m, w in _inputs()]


def test_no_transition_is_missing_in_the_table() -> None:
    assert found() - written() == set()


def test_no_transition_is_in_the_table_that_cannot_happen() -> None:
    assert written() - found() == set()


def test_no_simulated_fault_leads_to_a_transition_that_is_not_in_the_table() -> None:
    class Simulated(Watched):
        pass

    for seed in range(50):
        simulate(seed, election=Simulated)
    assert len(Simulated.seen) > 30
    assert Simulated.seen - written() == set()


def _in_order() -> list[State]:
    order = ["idle", "observing", "waiting", "acquiring", "uncertain", "leading", "stopping", "releasing"]
    return sorted(State, key=lambda state: order.index(state.value))


def _inputs() -> list[tuple[str, str]]:
    return list(INPUTS.items())
