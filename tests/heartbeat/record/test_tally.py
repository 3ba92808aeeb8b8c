import pytest

from lease_aio.errors import Call, Conflict, NotFound, Refused, Throttled, Unavailable
from lease_aio.heartbeat import NodeState
from lease_aio.heartbeat.record.tally import Rate, Tally, error_kind

CALL = Call(verb="create", resource="leases.coordination.k8s.io")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NotFound(CALL, 'namespaces "kube-node-lease" not found'), "namespace_missing"),
        (NotFound(CALL, 'leases.coordination.k8s.io "n" not found'), "not_found"),
        (Conflict(CALL, "modified"), "conflict"),
        (Refused(CALL, "forbidden"), "refused"),
        (Throttled(CALL, "slow down"), "throttled"),
        (Unavailable(CALL, "broken"), "unavailable"),
    ],
)
def test_errors_are_counted_by_one_word(error, kind):
    tally = Tally()
    tally.failed(0.0, error)
    assert error_kind(error) == kind
    assert tally.report(0.0, {}).errors == {kind: 1}


def test_a_rate_is_nothing_before_its_first_second_is_over():
    rate = Rate()
    assert rate.per_s(5.0) == 0
    rate.count(5.2)
    assert rate.per_s(5.9) == 0


def test_a_rate_is_the_mean_over_the_seconds_there_were_up_to_ten():
    rate = Rate()
    for tenth in range(50, 80):
        rate.count(tenth / 10)
    assert rate.per_s(8.0) == 10
    assert rate.per_s(15.0) == 3
    assert rate.per_s(17.0) == 1


def test_a_rate_forgets_what_is_long_past():
    rate = Rate()
    for _ in range(100):
        rate.count(5.0)
    assert rate.per_s(1000.0) == 0
    rate.count(1000.5)
    assert rate.per_s(1001.0) == pytest.approx(0.1)


def test_a_report_adds_up_and_is_plain_on_demand():
    tally = Tally()
    tally.renewed(10.0, None)
    tally.renewed(20.5, 10.0)
    states = {NodeState.FRESH: 4, NodeState.LATE: 3, NodeState.SILENCED: 2, NodeState.PENDING: 1}
    report = tally.report(21.0, states)
    assert (report.nodes, report.fresh, report.pending, report.states["late"]) == (10, 4, 1, 3)
    assert report.renewals == 2
    assert report.gap.count == 1
    assert report.to_dict()["gap"] == {"p50_s": 10.5, "p99_s": 10.5, "max_s": 10.5}


def test_buckets_are_given_when_they_are_asked_for():
    tally = Tally()
    for gap_s in (10.4, 10.3, 1e9):
        tally.renewed(2e9, 2e9 - gap_s)
    gap = tally.report(2e9, {}).to_dict(buckets=True)["gap"]
    assert gap["buckets"] == [(10.5, 2), (None, 1)]
    assert (gap["count"], gap["sum_s"]) == (3, pytest.approx(1e9 + 20.7))
