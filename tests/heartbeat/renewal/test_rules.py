import pytest

from lease_aio.errors import ConfigurationError
from lease_aio.heartbeat.renewal.rules import Owner, RenewalRules, node_rules


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"namespace": "Kube"}, "namespace 'Kube'"),
        ({"lease_duration_s": 0}, "lease_duration_s=0"),
        ({"lease_duration_s": 2**31}, "32-bit"),
        ({"lease_duration_s": 40.5}, "whole seconds"),
        ({"lease_duration_s": 40.0}, "as an int"),
        ({"lease_duration_s": "40"}, "lease_duration_s='40'"),
        ({"renew_interval_s": 0}, "renew_interval_s=0"),
        ({"renew_interval_s": float("nan")}, "renew_interval_s=nan"),
        ({"request_timeout_s": float("inf")}, "request_timeout_s=inf"),
        ({"jitter": -0.1}, "jitter=-0.1"),
        ({"backoff_jitter": float("inf")}, "backoff_jitter=inf"),
        ({"renew_interval_s": 40}, "would look dead between two renewals"),
        ({"renew_interval_s": 39, "jitter": 0.04}, r"waits up to 40\.6 s"),
    ],
)
def test_rules_that_cannot_work_are_refused_by_value_and_reason(wrong, named):
    with pytest.raises(ConfigurationError, match=named):
        RenewalRules(**wrong)


def test_a_duration_that_is_no_number_is_refused_before_it_is_divided():
    with pytest.raises(ConfigurationError, match="lease_duration_s='40' must be whole seconds"):
        node_rules(lease_duration_s="40")


def test_a_node_renews_every_quarter_of_its_duration_as_a_kubelet_does():
    rules = node_rules()
    assert (rules.lease_duration_s, rules.renew_interval_s, rules.request_timeout_s) == (40, 10.0, 10.0)
    assert (rules.namespace, rules.owner, rules.jitter) == ("kube-node-lease", Owner.REQUIRED, 0.04)


def test_requests_of_a_short_lease_end_within_its_duration():
    assert node_rules(lease_duration_s=8).request_timeout_s == 8.0
