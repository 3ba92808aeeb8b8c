"""What a candidate does about its LeaseCandidate."""

import math

import msgspec
import pytest

from lease_aio.election.coordinated import CandidateInfo
from lease_aio.election.coordinated.info import check_candidate_name
from lease_aio.election.coordinated.nomination import POLL_S, RENEW_S, UNSERVED_S, Nomination, Verb
from lease_aio.election.requests import Failure
from lease_aio.errors import ConfigurationError
from lease_aio.model import MicroTime
from tests.coordinated.rig import NOW_US

INFO = CandidateInfo(binary_version="1.31.0", emulation_version="1.30.0", labels={"zone": "a"})


class Rig:
    """A nomination, a clock that is set by hand, and the object, which grows one version with each write."""

    def __init__(self):
        self.it = Nomination(
            INFO, name="me", namespace="default", lease="x", random=lambda: 0.5, wait_s=lambda n, asked: asked or n / 10
        )
        self.now, self.version, self.wall_us = 1000.0, 100, NOW_US

    def sends(self, verb):
        ask = self.it.tick(self.now, self.wall_us)
        assert ask is not None
        assert ask.verb is verb
        return ask

    def store(self, found, **spec):
        self.version += 1
        metadata = msgspec.structs.replace(found.metadata, resource_version=str(self.version), uid="u")
        changed = msgspec.structs.replace(found.spec, **spec)
        return msgspec.structs.replace(found, metadata=metadata, spec=changed)

    def done(self, verb):
        ask = self.sends(verb)
        found = self.store(ask.candidate) if verb is not Verb.DELETE else None
        self.it.answered(ask, found, self.now)
        return found

    def fail(self, verb, failure, **more):
        self.it.failed(self.sends(verb), failure, self.now, **more)


def published():
    rig = Rig()
    rig.it.wanted = True
    return rig, rig.done(Verb.CREATE)


# ---------------------------------------------------------------- publishing


def test_nothing_is_done_until_it_is_wanted():
    assert Rig().it.due == math.inf
    assert Rig().it.over


def test_it_is_created_with_all_that_the_candidate_says():
    _, made = published()
    spec = made.spec
    assert (made.name, made.namespace, made.metadata.labels) == ("me", "default", {"zone": "a"})
    assert (spec.lease_name, spec.binary_version, spec.emulation_version) == ("x", "1.31.0", "1.30.0")
    assert (spec.strategy, spec.renew_time, spec.ping_time) == ("OldestEmulationVersion", MicroTime(NOW_US), None)


def test_it_is_renewed_every_five_minutes_up_to_a_tenth_earlier():
    rig, _ = published()
    assert rig.it.due == pytest.approx(1000 + RENEW_S * 0.95)
    rig.now, rig.wall_us = rig.it.due, NOW_US + 7
    assert rig.done(Verb.REPLACE).spec.renew_time == MicroTime(NOW_US + 7)


def test_what_an_earlier_process_left_under_the_name_is_brought_up_to_date():
    """client-go renews it with its old versions for ever."""
    rig = Rig()
    rig.it.wanted = True
    rig.fail(Verb.CREATE, Failure.CONFLICT)
    old = CandidateInfo(binary_version="1.20.0").candidate("me", "default", lease="x", at=MicroTime(1))
    rig.it.answered(rig.sends(Verb.READ), rig.store(old), rig.now)
    assert rig.done(Verb.REPLACE).spec.binary_version == "1.31.0"


def test_one_for_another_lease_is_deleted_and_made_anew():
    rig = Rig()
    rig.it.wanted = True
    rig.fail(Verb.CREATE, Failure.CONFLICT)
    rig.it.answered(
        rig.sends(Verb.READ), rig.store(INFO.candidate("me", "default", lease="y", at=MicroTime(1))), rig.now
    )
    rig.done(Verb.DELETE)
    rig.done(Verb.CREATE)


def test_one_that_somebody_deletes_is_published_again():
    rig, made = published()
    rig.it.vanished(str(rig.version + 1))
    rig.done(Verb.CREATE)
    rig.it.vanished(made.resource_version)  # old news
    assert rig.it.published


# ---------------------------------------------------------------- answering


def test_a_question_is_answered_at_once():
    rig, made = published()
    rig.now += 60
    assert rig.it.observed(rig.store(made, ping_time=MicroTime(NOW_US + 60)))
    assert rig.it.due <= rig.now
    rig.wall_us = NOW_US + 70
    answer = rig.done(Verb.REPLACE)
    assert (answer.spec.ping_time, answer.spec.renew_time) == (MicroTime(NOW_US + 60), MicroTime(NOW_US + 70))
    assert rig.it.due > rig.now + 200


def test_an_answer_is_never_older_than_the_question_however_slow_the_wall_clock_is():
    rig, made = published()
    rig.it.observed(rig.store(made, ping_time=MicroTime(NOW_US + 3_600_000_000)))
    assert rig.done(Verb.REPLACE).spec.renew_time == MicroTime(NOW_US + 3_600_000_000)
    assert not rig.it.asked


def test_a_question_that_the_watch_shows_before_the_creation_was_answered_is_not_lost():
    rig = Rig()
    rig.it.wanted = True
    ask = rig.sends(Verb.CREATE)
    made = rig.store(ask.candidate)
    rig.it.observed(rig.store(made, ping_time=MicroTime(NOW_US + 5)))
    rig.it.answered(ask, made, rig.now)
    assert rig.it.asked


def test_a_question_that_was_answered_is_no_question_any_more():
    rig, made = published()
    asked = rig.store(made, ping_time=MicroTime(NOW_US + 5))
    assert rig.it.observed(asked)
    assert not rig.it.observed(rig.store(asked))
    rig.done(Verb.REPLACE)
    assert not rig.it.observed(made)


def test_without_a_watch_it_looks_for_questions_every_two_seconds():
    rig, made = published()
    rig.it.polling = True
    assert rig.it.due == 1000 + POLL_S
    rig.now += POLL_S
    rig.it.answered(rig.sends(Verb.READ), rig.store(made, ping_time=MicroTime(NOW_US + 5)), rig.now)
    rig.done(Verb.REPLACE)
    assert rig.it.due == rig.now + POLL_S


# ---------------------------------------------------------------- failures


@pytest.mark.parametrize("failure", [Failure.CONFLICT, Failure.UNKNOWN])
def test_after_a_conflict_or_a_doubt_it_reads_before_it_writes(failure):
    rig, made = published()
    rig.now = rig.it.due
    rig.fail(Verb.REPLACE, failure)
    rig.it.answered(rig.sends(Verb.READ), rig.store(made), rig.now)
    rig.done(Verb.REPLACE)


def test_what_was_not_done_is_tried_again_after_a_while_or_when_the_server_asks_to():
    rig = Rig()
    rig.it.wanted = True
    rig.fail(Verb.CREATE, Failure.NOT_DONE)
    assert rig.it.due == pytest.approx(1000.1)
    rig.now = rig.it.due
    rig.fail(Verb.CREATE, Failure.NOT_DONE, retry_after_s=7.0)
    assert rig.it.due == pytest.approx(1007.1)


def test_a_server_without_lease_candidates_is_asked_again_in_a_minute():
    rig = Rig()
    rig.it.wanted = True
    rig.fail(Verb.CREATE, Failure.GONE)
    assert not rig.it.served
    assert rig.it.due == 1000 + UNSERVED_S
    rig.now = rig.it.due
    rig.done(Verb.CREATE)
    assert rig.it.served


def test_what_is_refused_for_good_is_not_asked_again():
    rig = Rig()
    rig.it.wanted = True
    rig.fail(Verb.CREATE, Failure.PERMANENT)
    assert rig.it.over
    assert rig.it.due == math.inf


# ---------------------------------------------------------------- withdrawing


def test_it_is_deleted_when_it_is_no_longer_wanted():
    rig, _ = published()
    rig.it.wanted = False
    assert not rig.it.over
    rig.done(Verb.DELETE)
    assert rig.it.over


def test_a_creation_on_its_way_is_waited_for_and_then_deleted():
    rig = Rig()
    rig.it.wanted = True
    ask = rig.sends(Verb.CREATE)
    rig.it.wanted = False
    assert not rig.it.over
    rig.it.answered(ask, rig.store(ask.candidate), rig.now)
    rig.done(Verb.DELETE)
    assert rig.it.over


def test_a_creation_in_doubt_is_read_and_then_deleted():
    rig = Rig()
    rig.it.wanted = True
    ask = rig.sends(Verb.CREATE)
    rig.it.wanted = False
    rig.it.failed(ask, Failure.UNKNOWN, rig.now)
    rig.it.answered(rig.sends(Verb.READ), rig.store(ask.candidate), rig.now)
    rig.done(Verb.DELETE)


def test_what_is_gone_already_is_over():
    rig, _ = published()
    rig.it.wanted = False
    rig.fail(Verb.DELETE, Failure.GONE)
    assert rig.it.over


# ---------------------------------------------------------------- what a candidate may say


@pytest.mark.parametrize(
    ("binary", "remedy"),
    [("v1.31.0", "'1.31.0'"), ("1.31", "'1.31.0'"), ("1.031.0", "'1.31.0'"), ("", "'1.31.0'"), (31, "'1.31.0'")],
)
def test_a_version_that_is_not_strict_semver_is_refused_with_the_remedy(binary, remedy):
    with pytest.raises(ConfigurationError, match=rf"binary_version={binary!r} must be strict semver.*such as {remedy}"):
        CandidateInfo(binary_version=binary)
    with pytest.raises(ConfigurationError, match="emulation_version='1.x.0' must be strict semver"):
        CandidateInfo(binary_version="1.31.0", emulation_version="1.x.0")


def test_a_newer_emulation_version_is_refused():
    with pytest.raises(ConfigurationError, match=r"'1\.32\.0' is newer than binary_version='1\.31\.0'"):
        CandidateInfo(binary_version="1.31.0", emulation_version="1.32.0")


def test_a_version_that_counts_as_none_is_refused_where_it_decides():
    with pytest.raises(ConfigurationError, match=r"emulation_version='0\.0\.0' counts as none.*from 0\.0\.1 up"):
        CandidateInfo(binary_version="0.0.0")
    assert CandidateInfo(binary_version="0.0.0", strategy="example.com/x").emulation_version == "0.0.0"


def test_the_emulation_version_is_the_binarys_unless_it_is_given():
    assert CandidateInfo(binary_version="1.31.0-rc.1+abc").emulation_version == "1.31.0-rc.1+abc"


@pytest.mark.parametrize("strategy", ["", "Newest", "a/b/c", "example.com/", "/x", "Example.com/x"])
def test_a_strategy_that_the_server_would_refuse_is_refused(strategy):
    with pytest.raises(ConfigurationError, match="must be 'OldestEmulationVersion', or a name of your own"):
        CandidateInfo(binary_version="1.31.0", strategy=strategy)


@pytest.mark.parametrize("patience", [-1, math.inf, math.nan])
def test_a_patience_that_is_no_time_is_refused(patience):
    with pytest.raises(ConfigurationError, match="fallback_after_s"):
        CandidateInfo(binary_version="1.31.0", fallback_after_s=patience)


@pytest.mark.parametrize("name", ["", "a/b", "..a", ".", "a b", "a" * 254])
def test_an_identity_that_cannot_name_an_object_is_refused(name):
    with pytest.raises(ConfigurationError, match="is also the name of the LeaseCandidate"):
        check_candidate_name(name)
