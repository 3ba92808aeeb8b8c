"""Whose Leases are cleared away, and whose never are."""

import pytest

from lease_aio.model import LeaseSpec, MicroTime, new_lease
from lease_aio.naming import member_lease_name
from lease_aio.recipes.leftovers import CONFIRM_S, Leftovers

D = 15
BOUND_S = 10 * D


def lease(member="w-1", *, renewed=1, group="workers", duration_s=D, uid="u1", version="7", **metadata):
    labels, annotations = {"lease-aio/member-of": group}, {"lease-aio/member": member}
    spec = LeaseSpec(holder_identity="h", lease_duration_seconds=duration_s, renew_time=MicroTime(renewed))
    made = new_lease(member_lease_name("workers", member), "default", spec, labels=labels)
    fields = {"annotations": annotations, "uid": uid, "resource_version": version, **metadata}
    return made.with_metadata(**fields)


def leftovers():
    return Leftovers(group="workers", own=member_lease_name("workers", "me"), duration_s=D)


def found(looks):
    """What each look tells; a look is a time and the Leases that it shows."""
    rules, told = leftovers(), []
    for now, *shown in looks:
        told += [(now, one.name) for one in rules.look(shown, now)]
    return told


GONE = member_lease_name("workers", "w-1")
STILL = lease()


@pytest.mark.parametrize(
    ("looks", "told"),
    [
        pytest.param([(0, STILL), (BOUND_S - 1, STILL), (BOUND_S + 29, STILL)], [], id="a look short of the bound"),
        pytest.param([(0, STILL), (BOUND_S, STILL)], [], id="one look after the bound is not enough"),
        pytest.param([(0, STILL), (BOUND_S, STILL), (BOUND_S + 30, STILL)], [(180, GONE)], id="the second is"),
        pytest.param(
            [(0, STILL), (BOUND_S, STILL), (BOUND_S + 30, lease(renewed=2)), (400, lease(renewed=2))],
            [],
            id="renewed before the second look: the server was away, and is back",
        ),
        pytest.param(
            [(0, STILL), (BOUND_S, STILL), (BOUND_S + 60, STILL)],
            [],
            id="between the two looks one has failed: the server was away",
        ),
        pytest.param(
            [(0, STILL), (BOUND_S, STILL), (BOUND_S + 3600, STILL), (BOUND_S + 3630, STILL)],
            [(BOUND_S + 3630, GONE)],
            id="the machine slept between the two looks: once more",
        ),
        pytest.param(
            [(0, STILL), (BOUND_S, STILL), (BOUND_S + 30, lease(uid="u2"))], [], id="deleted and made anew meanwhile"
        ),
        pytest.param(
            [(0, STILL), (BOUND_S, STILL), (BOUND_S + 30, STILL), (BOUND_S + 60, STILL), (BOUND_S + 90, STILL)],
            [(180, GONE), (240, GONE)],
            id="one that could not be deleted comes up again",
        ),
        pytest.param(
            [(0, STILL), (BOUND_S, STILL), (BOUND_S + 30, lease(version="8"))], [(180, GONE)], id="a label was set"
        ),
    ],
)
def test_what_stands_unchanged_for_ten_durations_and_at_two_looks_thereafter_is_left_over(looks, told):
    assert found(looks) == told


def silent(one, seconds=100_000):
    """It is shown over and over, unchanged."""
    return found([(now, one) for now in range(0, seconds, 30)])


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(lease("me"), id="one's own"),
        pytest.param(lease(labels={}), id="without the label"),
        pytest.param(lease(labels={"lease-aio/member-of": "others"}), id="another group's"),
        pytest.param(lease(annotations={}), id="one that says of no member"),
        pytest.param(lease(annotations={"lease-aio/member": "w-2"}), id="one whose name is not its member's"),
        pytest.param(lease(name="made-by-hand"), id="one of another name"),
    ],
)
def test_what_no_member_of_the_group_has_written_is_left_alone(other):
    assert silent(lease()) != []
    assert silent(other) == []


def test_the_bound_is_ten_of_the_durations_that_the_lease_says():
    assert silent(lease(duration_s=300))[0][0] == 3000 + 30
    assert silent(lease(duration_s=None))[0][0] == BOUND_S + 30


def test_all_members_look_so_seldom_that_together_they_look_once_a_duration():
    rules = leftovers()
    rules.look([], 0.0)
    assert (rules.pause_s(0.0), rules.pause_s(0.5)) == (D / 2, D)
    rules.look([lease(f"w-{number}") for number in range(9)], 10.0)
    assert rules.pause_s(0.5) == 10 * D
    rules.look([lease(f"w-{number}") for number in range(9)], 10.0 + BOUND_S)
    assert CONFIRM_S <= rules.pause_s(0.0) < rules.pause_s(0.99) < 2 * CONFIRM_S
