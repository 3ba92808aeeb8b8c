"""Whom a coordinator chooses. The cases, and their names, are those of kube-apiserver's own `election_test.go`."""

import itertools

import pytest

from lease_aio.election.coordinated.info import OLDEST_EMULATION_VERSION
from lease_aio.election.coordinated.rules import Disagreement, compare, is_valid, pick_leader, pick_strategy
from lease_aio.election.coordinated.versions import Version, read_version, version_or_zero
from tests.coordinated.rig import candidate

# ---------------------------------------------------------------- TestPickBestLeaderOldestEmulationVersion

ONE, TWO = "candidate1", "candidate2"


@pytest.mark.parametrize(
    ("candidates", "wanted"),
    [
        pytest.param([], None, id="empty"),
        pytest.param([candidate(ONE, "0.1.0", "0.1.0")], ONE, id="single candidate"),
        pytest.param(
            [candidate(ONE, "0.1.0", "0.1.0", created_s=3600), candidate(TWO, "0.2.0", "0.2.0")],
            ONE,
            id="multiple candidates, different emulation versions",
        ),
        pytest.param(
            [candidate(ONE, "0.1.0", "0.1.0", created_s=3600), candidate(TWO, "0.1.0", "0.2.0")],
            ONE,
            id="multiple candidates, same emulation versions, different binary versions",
        ),
        pytest.param(
            [candidate(ONE, "0.1.0", "0.1.0", created_s=3600), candidate(TWO, "0.1.0", "0.1.0")],
            ONE,
            id="multiple candidates, same emulation versions, same binary versions, different creation timestamps",
        ),
        pytest.param(
            [candidate(ONE, "xyz", "0.1.0"), candidate(TWO, "9.0.0", "9.0.0")],
            TWO,
            id="one whose version cannot be read is passed over, though it would count as 0.0.0",
        ),
    ],
)
def test_the_oldest_emulation_version_is_picked(candidates, wanted):
    for order in itertools.permutations(candidates):
        picked = pick_leader(order)
        assert (picked and picked.name) == wanted


# ---------------------------------------------------------------- TestValidLeaseCandidateForOldestEmulationVersion


@pytest.mark.parametrize(
    ("emulation", "binary", "valid"),
    [
        pytest.param("0.1.0", "0.1.0", True, id="valid emulation and binary versions"),
        pytest.param("invalid", "0.1.0", False, id="invalid emulation version"),
        pytest.param("0.1.0", "invalid", False, id="invalid binary version"),
    ],
)
def test_a_candidate_is_valid_if_both_versions_can_be_read(emulation, binary, valid):
    assert is_valid(candidate("a", emulation, binary)) == valid


# ---------------------------------------------------------------- TestGetEmulationVersion, TestGetBinaryVersion


@pytest.mark.parametrize(
    ("text", "version"),
    [
        pytest.param("0.1.0", Version(0, 1, 0), id="valid emulation version"),
        pytest.param("0.3.0", Version(0, 3, 0), id="valid binary version"),
        ("v1", Version(1)),
        (" 1.31 ", Version(1, 31)),
        ("01.002.3", Version(1, 2, 3)),
        ("1.2.3-rc.1+build", Version(1, 2, 3, ("rc", "1"))),
        ("00.0.0", Version()),
    ],
)
def test_a_version_is_read_tolerantly(text, version):
    assert read_version(text) == version_or_zero(text) == version


@pytest.mark.parametrize(
    "text",
    ["", "xyz", "1.2-rc", "1.2.3.4", "1.-2.3", "1..3", "1.2.3-", "1.2.3-01", "1.2.3+", "\u0661", "9" * 20, "9" * 5000],
)
def test_what_is_no_version_counts_as_zero(text):
    assert read_version(text) is None
    assert version_or_zero(text) == Version()


def test_versions_are_in_the_order_of_semver():
    texts = (
        "1.0.0-1",
        "1.0.0-2",
        "1.0.0-10",
        "1.0.0-a",
        "1.0.0-a.1",
        "1.0.0-a.b",
        "1.0.0-b",
        "1.0.0",
        "1.2.0",
        "1.19.0",
    )
    versions = [version_or_zero(text) for text in texts]
    assert versions == sorted(versions)
    assert len(set(versions)) == len(versions)
    assert version_or_zero("1.0.0+a") == version_or_zero("1.0.0+b")


# ---------------------------------------------------------------- TestCompare


@pytest.mark.parametrize(
    ("first", "second", "result"),
    [
        pytest.param(("1.20.0", "1.21.0", 0), ("1.20.0", "1.21.0", 1), 1, id="identical versions earlier timestamp"),
        pytest.param(("", "", 0), ("1.20.0", "1.21.0", 0), -1, id="no lhs version"),
        pytest.param(("1.20.0", "1.21.0", 0), ("", "", 0), 1, id="no rhs version"),
        pytest.param(("xyz", "xyz", 0), ("1.20.0", "1.21.0", 0), -1, id="invalid lhs version"),
        pytest.param(("1.20.0", "1.21.0", 0), ("xyz", "xyz", 0), 1, id="invalid rhs version"),
        pytest.param(("1.19.0", "1.20.0", 0), ("1.20.0", "1.20.0", 0), -1, id="lhs less than rhs"),
        pytest.param(("1.20.0", "1.20.0", 0), ("1.19.0", "1.20.0", 0), 1, id="rhs less than lhs"),
        pytest.param(
            ("1.2.0", "1.20.0", 0), ("1.19.0", "1.20.0", 0), -1, id="lhs less than rhs, lexographical order check"
        ),
    ],
)
def test_two_candidates_are_compared_by_emulation_version_then_binary_then_age(first, second, result):
    left, right = (candidate("a", e, b, created_s=s) for e, b, s in (first, second))
    assert compare(left, right) == result


# ---------------------------------------------------------------- TestShouldReelect


@pytest.mark.parametrize(
    "candidates",
    [
        pytest.param(
            [candidate("component-identity-1"), candidate("component-identity-2", binary="1.20.0")],
            id="candidate with newer binary version",
        ),
        pytest.param([candidate("component-identity-1"), candidate("component-identity-2")], id="no newer candidates"),
        pytest.param([], id="no candidates"),
    ],
)
def test_a_leader_that_is_the_best_stays(candidates):
    best = pick_leader(candidates)
    assert best is None or best.name == "component-identity-1"


# ---------------------------------------------------------------- TestPickBestStrategy

OTHER = "foo.com/bar"


@pytest.mark.parametrize(
    ("candidates", "wanted"),
    [
        pytest.param(
            [candidate(ONE, "", "")], OLDEST_EMULATION_VERSION, id="single candidate, single preferred strategy"
        ),
        pytest.param(
            [candidate(ONE, "", ""), candidate(TWO, "", "", strategy=OTHER)],
            None,
            id="multiple candidates, different preferred strategies should fail",
        ),
        pytest.param(
            [candidate(ONE, "", "1.32.0"), candidate(TWO, "", "1.31.0", strategy=OTHER)],
            OLDEST_EMULATION_VERSION,
            id="multiple candidates, different preferred strategy different binary version should resolve",
        ),
        pytest.param(
            [candidate(TWO, "", "1.31.0", strategy=OTHER), candidate(ONE, "", "1.32.0")],
            OLDEST_EMULATION_VERSION,
            id="multiple candidates, different preferred strategy different binary version should resolve, "
            "order agnostic",
        ),
        pytest.param(
            [candidate(ONE, "", "1.1.10"), candidate(TWO, "", "1.1.2", strategy=OTHER)],
            OLDEST_EMULATION_VERSION,
            id="multiple candidates, different preferred strategy different binary version string comparison check",
        ),
        pytest.param(
            [candidate(ONE, "", "1.31.0"), candidate(TWO, "", "1.31.0")],
            OLDEST_EMULATION_VERSION,
            id="multiple candidates, same preferred strategy",
        ),
        pytest.param(
            [candidate(ONE, "", "1.31.0"), candidate(TWO, "", "1.31.0", strategy=OTHER)],
            None,
            id="multiple candidates, conflicting preferred strategy",
        ),
    ],
)
def test_the_newest_binary_decides_on_the_strategy(candidates, wanted):
    if wanted is None:
        with pytest.raises(
            Disagreement, match="ask for different strategies, 'OldestEmulationVersion' and 'foo.com/bar'"
        ):
            pick_strategy(candidates)
    else:
        assert pick_strategy(candidates) == wanted


def test_without_candidates_there_is_no_strategy():
    with pytest.raises(Disagreement, match="no candidates"):
        pick_strategy([])
