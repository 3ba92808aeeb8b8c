"""Blindness is a state of its own: what is old, or cannot be asked, makes nobody Unknown."""

import pytest

from lease_aio.heartbeat.monitor import Cause, Finding, Mode, Sight, SightVerdict
from tests.heartbeat.monitor.rig import READY, UNKNOWN, Cluster

pytestmark = pytest.mark.parametrize("mode", list(Mode), ids=lambda mode: mode.value)


def renewed(mode, *names, **options):
    cluster = Cluster(mode=mode, **options)
    for name in names or ("n0",):
        cluster.node(name)
        cluster.lease(name)
    cluster.passes()
    return cluster


def lose(cluster, cause=Cause.LEASES):
    cluster.hear(cluster.judge.blind(cause, "the connection broke", now=cluster.now))


def regain(cluster, cause=Cause.LEASES):
    cluster.hear(cluster.judge.seeing(cause, now=cluster.now))


# Broken watches


@pytest.mark.parametrize("cause", [Cause.NODES, Cause.LEASES])
def test_with_a_broken_watch_nobody_is_called_unknown(mode, cause):
    cluster = renewed(mode)
    lose(cluster, cause)
    cluster.passes(3600)
    assert cluster.state() is READY
    assert cluster.sights == [Sight.BLIND]
    assert cluster.judge.outlook.why == "the connection broke"


def test_what_is_told_while_blind_is_told_on(mode):
    cluster = renewed(mode)
    lose(cluster)
    cluster.node(state=UNKNOWN)
    assert cluster.findings == [("n0", Finding.UNKNOWN)]


def test_the_pass_in_which_sight_returns_judges_nobody_for_what_was_missed_is_still_coming(mode):
    cluster = renewed(mode)
    lose(cluster)
    cluster.quiet(600)
    regain(cluster)
    cluster.one_pass()
    cluster.quiet(0.1)
    cluster.lease()
    cluster.passes(50)
    assert cluster.findings == []
    assert cluster.sights == [Sight.BLIND, Sight.FULL]
    assert cluster.of(SightVerdict)[-1].lasted_s == pytest.approx(600)


def test_sight_is_back_when_nothing_is_against_it_any_more(mode):
    cluster = renewed(mode)
    lose(cluster, Cause.NODES)
    lose(cluster, Cause.LEASES)
    regain(cluster, Cause.NODES)
    assert cluster.sights == [Sight.BLIND]
    regain(cluster, Cause.LEASES)
    assert cluster.sights == [Sight.BLIND, Sight.FULL]


def test_nothing_is_judged_before_everything_is_told(mode):
    cluster = Cluster(mode=mode, sight=Sight.OPENING)
    cluster.node()
    cluster.passes(3600)
    assert cluster.findings == []
    cluster.hear(cluster.judge.opened(now=cluster.now))
    cluster.passes(50)
    assert cluster.sights == [Sight.FULL]
    cluster.passes(55)
    assert cluster.findings == [("n0", Finding.UNKNOWN)]


# Watches that are old without saying so


def test_a_newer_lease_at_the_server_makes_blind_until_it_is_told(mode):
    cluster = renewed(mode)
    cluster.passes(50)
    cluster.lease(told=False)
    cluster.passes(3600, ask=True)
    assert cluster.findings == []
    assert cluster.sights == [Sight.BLIND]
    assert cluster.judge.outlook.why == "the server has version 102 of Lease n0, of which the watch has not told"
    cluster.tell("n0")
    cluster.passes(50, ask=True)
    assert cluster.findings == []
    assert cluster.sights == [Sight.BLIND, Sight.FULL]


def test_then_nobody_else_is_called_unknown_either(mode):
    cluster = renewed(mode, "n0", "dead")
    cluster.passes(50)
    cluster.lease("n0", told=False)
    cluster.passes(5, ask=True)
    assert cluster.findings == []
    cluster.tell("n0")
    cluster.passes(60, ask=True, each=lambda: cluster.lease("n0"))
    assert cluster.findings == [("dead", Finding.UNKNOWN)]


def test_a_watch_that_has_caught_up_is_judged_by_in_that_very_pass(mode):
    cluster = renewed(mode, "n0", "dead")
    cluster.passes(50)
    cluster.lease("n0", told=False)
    cluster.passes(5, ask=True)
    cluster.tell("n0")
    cluster.one_pass(ask=True)
    assert cluster.sights == [Sight.BLIND, Sight.FULL]
    judged = mode is Mode.KUBERNETES  # to a careful monitor, the time in which nothing was told does not count
    assert cluster.findings == ([("dead", Finding.UNKNOWN)] if judged else [])


def test_a_node_renewed_while_the_server_was_asked_is_not_called_unknown(mode):
    cluster = renewed(mode)
    cluster.passes(50)
    cluster.quiet(5)
    found = cluster.judge.examine(now=cluster.now, wall_us=cluster.wall_us)
    assert found.expired == ("n0",)
    assert cluster.judge.confirm("n0", cluster.live["n0"], now=cluster.now)
    cluster.lease()
    cluster.hear(cluster.judge.conclude(found, now=cluster.now))
    assert cluster.findings == []


def test_one_deleted_meanwhile_is_none_that_could_be_called_so(mode):
    cluster = renewed(mode)
    cluster.passes(50)
    cluster.quiet(5)
    found = cluster.judge.examine(now=cluster.now, wall_us=cluster.wall_us)
    cluster.node_gone()
    assert not cluster.judge.confirm("n0", None, now=cluster.now)
    cluster.hear(cluster.judge.conclude(found, now=cluster.now))
    assert cluster.findings == [("n0", Finding.DELETED)]


def test_who_must_be_spared_is(mode):
    cluster = renewed(mode, "n0", "n1")
    cluster.passes(50)
    cluster.quiet(5)
    found = cluster.judge.examine(now=cluster.now, wall_us=cluster.wall_us)
    cluster.hear(cluster.judge.conclude(found, now=cluster.now, spared={"n1"}))
    assert cluster.findings == [("n0", Finding.UNKNOWN)]


def test_a_server_that_does_not_answer_makes_blind_and_can_be_asked_again(mode):
    cluster = renewed(mode)
    cluster.passes(50)
    cluster.quiet(5)
    found = cluster.judge.examine(now=cluster.now, wall_us=cluster.wall_us)
    lose(cluster, Cause.UNREACHABLE)
    cluster.hear(cluster.judge.conclude(found, now=cluster.now))
    assert cluster.findings == []
    again = cluster.judge.examine(now=cluster.now, wall_us=cluster.wall_us)
    assert again == found
    regain(cluster, Cause.UNREACHABLE)


def test_a_renewal_that_is_told_shows_that_the_server_is_there(mode):
    cluster = renewed(mode)
    lose(cluster, Cause.UNREACHABLE)
    assert cluster.judge.doubtful(cluster.now) == ("n0",)
    cluster.lease()
    assert cluster.sights == [Sight.BLIND, Sight.FULL]
    assert cluster.judge.doubtful(cluster.now) == ()


# Quiet


def test_renewals_that_come_raise_no_doubt(mode):
    cluster = renewed(mode, "n0", "n1")
    cluster.quiet(15)
    assert cluster.judge.doubtful(cluster.now) == ()


def test_when_nobody_is_heard_the_server_is_asked_about_those_heard_last(mode):
    cluster = renewed(mode, *(f"n{number}" for number in range(9)))
    for number in (3, 7, 5):
        cluster.passes(5, each=lambda name=f"n{number}": cluster.lease(name))
    cluster.quiet(15.1)
    assert cluster.judge.doubtful(cluster.now) == ("n5", "n7", "n3")


def test_an_answer_that_is_known_ends_the_doubt(mode):
    cluster = renewed(mode)
    cluster.quiet(20)
    cluster.hear(cluster.judge.compare("n0", cluster.live["n0"], now=cluster.now))
    assert cluster.judge.doubtful(cluster.now) == ()
    assert cluster.sights == []


def test_a_newer_one_makes_blind_since_the_last_that_was_told(mode):
    cluster = renewed(mode)
    cluster.quiet(20)
    cluster.lease(told=False)
    cluster.hear(cluster.judge.compare("n0", cluster.live["n0"], now=cluster.now))
    assert cluster.sights == [Sight.BLIND]
    cluster.quiet(10)
    cluster.tell("n0")
    cluster.passes(5)
    assert cluster.of(SightVerdict)[-1].lasted_s == pytest.approx(35)


def test_nobody_is_asked_about_the_unknown(mode):
    cluster = renewed(mode)
    cluster.passes(60)
    cluster.quiet(60)
    assert cluster.judge.doubtful(cluster.now) == ()


# Leases alone


def test_without_nodes_each_lease_stands_for_one(mode):
    cluster = Cluster(mode=mode, sight=Sight.OPENING)
    cluster.lease("n0")
    cluster.hear(cluster.judge.leases_only("403", now=cluster.now, wall_us=cluster.wall_us))
    cluster.lease("n1")
    cluster.hear(cluster.judge.opened(now=cluster.now))
    assert [(one.sight, one.why) for one in cluster.of(SightVerdict)] == [(Sight.LEASES_ONLY, "403")]
    cluster.passes()
    cluster.passes(55, each=lambda: cluster.lease("n1"))
    assert cluster.findings == [("n0", Finding.UNKNOWN)]
    cluster.lease("n0")
    cluster.passes(5, each=lambda: cluster.lease("n1"))
    assert cluster.findings[1:] == [("n0", Finding.RECOVERED)]


def test_a_lease_deleted_then_is_a_node_deleted_once_it_is_silent_for_too_long(mode):
    cluster = Cluster(mode=mode, sight=Sight.LEASES_ONLY)
    for name in ("n0", "n1"):
        cluster.lease(name)
    cluster.passes()
    cluster.lease_gone("n0")
    cluster.lease_gone("n1")
    cluster.lease("n1")
    cluster.passes(55, each=lambda: cluster.lease("n1"))
    assert cluster.findings == [("n0", Finding.DELETED)]
    assert list(cluster.judge.nodes) == ["n1"]
