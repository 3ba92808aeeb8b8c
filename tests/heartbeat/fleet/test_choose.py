import random

import pytest

from lease_aio.errors import ConfigurationError
from lease_aio.heartbeat.fleet.choose import choose

NODES = [f"n{number}" for number in range(10)]


def chosen(among=NODES, *, count=None, fraction=None, seed=1):
    return choose(among, count=count, fraction=fraction, random=random.Random(seed).random)


@pytest.mark.parametrize("ways", [{}, {"count": 1, "fraction": 0.5}])
def test_exactly_one_way_of_saying_how_many_is_wanted(ways):
    with pytest.raises(ConfigurationError, match="exactly one way"):
        chosen(**ways)


@pytest.mark.parametrize(
    ("ways", "named"),
    [
        ({"count": -1}, "count=-1"),
        ({"fraction": 1.5}, r"fraction=1\.5"),
        ({"fraction": float("nan")}, "fraction=nan"),
    ],
)
def test_what_cannot_be_chosen_is_named(ways, named):
    with pytest.raises(ConfigurationError, match=named):
        chosen(**ways)


def test_a_count_is_bounded_by_what_there_is():
    assert sorted(chosen(["n1", "n2"], count=5)) == ["n1", "n2"]


def test_a_fraction_is_one_of_those_there_are_to_choose_from():
    assert len(chosen(NODES[:4], fraction=0.5)) == 2


def test_a_seed_repeats_the_choice():
    assert chosen(count=4, seed=3) == chosen(count=4, seed=3)
