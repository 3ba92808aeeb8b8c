"""Which identities are collected."""

import pytest

from lease_aio.identity.collecting import Fate, fate, suspects
from lease_aio.model import LeaseSpec, MicroTime, new_lease

NOW_US = 1_750_000_000_000_000
LABELS = {"apiserver.kubernetes.io/identity": "kube-apiserver"}


def lease(age_s=3601.0, *, duration_s=3600, labels=LABELS, namespace="kube-system", version="1"):
    renewed = None if age_s is None else MicroTime(NOW_US - round(age_s * 1e6))
    spec = LeaseSpec(holder_identity="a_1", lease_duration_seconds=duration_s, renew_time=renewed)
    return new_lease("a", namespace, spec, labels=labels).with_metadata(resource_version=version)


@pytest.mark.parametrize(
    ("found", "expired"),
    [
        pytest.param(lease(), True, id="expired"),
        pytest.param(lease(0), False, id="not expired"),
        pytest.param(lease(3600), False, id="expires this very microsecond"),
        pytest.param(lease(None), True, id="no renew time"),
        pytest.param(lease(0, duration_s=None), True, id="no duration"),
        pytest.param(lease(-100), False, id="renewed by a clock that is ahead"),
    ],
)
def test_what_has_expired_is_looked_at_again(found, expired):
    assert bool(suspects([found], NOW_US)) is expired


@pytest.mark.parametrize(
    ("listed", "live", "expected"),
    [
        pytest.param(lease(), lease(), Fate.COLLECT, id="expired lease should be deleted"),
        pytest.param(lease(), lease(version="9"), Fate.COLLECT, id="somebody annotated it meanwhile"),
        pytest.param(lease(), lease(0), Fate.RENEWED, id="renewed meanwhile"),
        pytest.param(lease(8000), lease(7990), Fate.RENEWED, id="renewed meanwhile, by a clock that is far behind"),
        pytest.param(lease(), lease(duration_s=4000), Fate.RENEWED, id="its duration was raised meanwhile"),
        pytest.param(lease(), lease(labels={}), Fate.RELABELLED, id="the label was taken off meanwhile"),
        pytest.param(
            lease(), lease(labels={"apiserver.kubernetes.io/identity": "other"}), Fate.RELABELLED, id="another server's"
        ),
        pytest.param(lease(), lease(namespace="default"), Fate.RELABELLED, id="not in kube-system"),
        pytest.param(lease(None), lease(None), Fate.COLLECT, id="identity lease without renew time"),
    ],
)
def test_what_becomes_of_it(listed, live, expected):
    assert fate(listed, live, server="kube-apiserver", wall_us=NOW_US) is expected
