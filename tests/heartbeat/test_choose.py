import random

import pytest

from lease_aio.errors import ConfigurationError
from lease_aio.heartbeat.choose import choose

NODES = [f"n{number}" for number in range(10)]


def chosen(among=NODES, *, names=None, count=None, fraction=None, seed=1):
    return choose(among, NODES, names=names, count=count, fraction=fraction, random=random.Random(seed).random)


@pytest.mark.parametrize("ways", [{}, {"count": 1, "fraction": 0.5}, {"names": [], "count": 0}])
def test_exactly_one_way_of_saying_which_is_wanted(ways):
    with pytest.raises(ConfigurationError, match="exactly one way"):
        chosen(**ways)


@pytest.mark.parametrize(
    ("ways", "named"),
    [
        ({"names": ["n1", "x"]}, "no node 'x'"),
        ({"names": "n1"}, "names='n1' is one string"),
        ({"count": -1}, "count=-1"),
        ({"fraction": 1.5}, r"fraction=1\.5"),
        ({"fraction": float("nan")}, "fraction=nan"),
    ],
)
def test_what_cannot_be_chosen_is_named(ways, named):
    with pytest.raises(ConfigurationError, match=named):
        chosen(**ways)


def test_names_are_taken_once_and_in_the_order_given():
    assert chosen(names=["n3", "n1", "n3"]) == ("n3", "n1")


def test_a_name_that_is_not_among_the_candidates_is_passed_over():
    assert chosen(["n1"], names=["n1", "n2"]) == ("n1",)


def test_a_count_is_bounded_by_what_there_is():
    assert sorted(chosen(["n1", "n2"], count=5)) == ["n1", "n2"]


def test_a_fraction_is_one_of_those_there_are_to_choose_from():
    assert len(chosen(NODES[:4], fraction=0.5)) == 2


def test_a_seed_repeats_the_choice():
    assert chosen(count=4, seed=3) == chosen(count=4, seed=3)
