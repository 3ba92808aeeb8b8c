"""What a monitor can be told to judge by, and what it refuses."""

import math

import pytest

from lease_aio.errors import ConfigurationError
from lease_aio.heartbeat.monitor import Mode, MonitorSettings


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"grace_s": 0}, "grace_s=0 must be a positive number of seconds"),
        ({"grace_s": math.nan}, "grace_s=nan must be a positive number of seconds"),
        ({"grace_s": True}, "grace_s=True must be a positive number of seconds"),
        ({"grace_s": "50"}, "grace_s='50' must be a positive number of seconds"),
        ({"startup_grace_s": -1}, "startup_grace_s=-1 must be a positive number of seconds"),
        ({"period_s": math.inf}, "period_s=inf must be a positive number of seconds"),
        ({"renew_interval_s": 0}, "renew_interval_s=0 must be a positive number of seconds"),
        ({"eviction_rate_per_s": -0.1}, "eviction_rate_per_s=-0.1 must be zero or more"),
        ({"large_zone": -1}, "large_zone=-1 must be zero or more"),
        ({"unhealthy_zone_threshold": 1.1}, "unhealthy_zone_threshold=1.1 must be a part from 0 to 1"),
        ({"namespace": "No_Such"}, "namespace 'No_Such' must be a DNS-1123 label"),
        (
            {"grace_s": 5, "period_s": 5},
            "period_s=5 must be less than grace_s=5: a node that renews in time would run out of grace",
        ),
    ],
)
def test_what_cannot_work_is_refused(options, message):
    with pytest.raises(ConfigurationError) as refusal:
        MonitorSettings(**options)
    assert str(refusal.value).startswith(message)


def test_the_defaults_are_those_of_the_newest_controller_read():
    assert MonitorSettings() == MonitorSettings.of_release(37)
    assert MonitorSettings().mode is Mode.KUBERNETES


@pytest.mark.parametrize(
    ("minor", "grace_s", "live_check", "evict_in_next_pass"),
    [
        (37, 50, True, False),
        (36, 50, False, False),
        (32, 50, False, False),
        (31, 40, False, False),
        (28, 40, False, True),
    ],
)
def test_earlier_releases_judged_otherwise(minor, grace_s, live_check, evict_in_next_pass):
    settings = MonitorSettings.of_release(minor)
    assert (settings.grace_s, settings.live_check) == (grace_s, live_check)
    assert settings.evict_in_next_pass is evict_in_next_pass


def test_a_release_whose_rules_were_others_is_refused():
    with pytest.raises(ConfigurationError, match=r"^minor=18 must be 19 or more"):
        MonitorSettings.of_release(18)


def test_the_defaults_warn_of_nothing():
    assert MonitorSettings().warnings == ()


def test_a_grace_of_less_than_three_renewals_is_warned_of():
    few, dead = MonitorSettings(grace_s=25).warnings
    assert few.startswith("grace_s=25 is less than 3 renew intervals of 10 s")
    assert dead.startswith("grace_s=25 is not more than the 45 s")


def test_the_grace_of_before_1_32_is_warned_of():
    (dead,) = MonitorSettings.of_release(31).warnings
    assert dead.startswith("grace_s=40 is not more than the 45 s that a kubelet takes to drop a dead connection")
