"""A Lease in short form loses nothing that a write must carry."""

import gc

from hypothesis import given
from hypothesis import strategies as st

from lease_aio.heartbeat.renewal.kept import Plain, Template, has_owner
from lease_aio.heartbeat.renewal.rules import RenewalRules
from lease_aio.model import MicroTime
from tests.heartbeat.dialogue import CREATED, owner, stored

NOW = MicroTime(1_750_000_000_123_456)

leases = st.builds(
    stored,
    st.sampled_from(["", "7"]),
    uid=st.sampled_from(["", "u"]),
    holder=st.sampled_from(["n1", "other", "", None]),
    duration_s=st.sampled_from([None, 40, 3600]),
    owners=st.lists(st.sampled_from([owner("a"), owner(""), owner("b", controller=True)]), max_size=2),
    labels=st.sampled_from([{}, {"k": "v"}, {"k": "v", "more": "x"}]),
    annotations=st.sampled_from([{}, {"a": "b"}]),
    finalizers=st.sampled_from([(), ("keep",)]),
    managed_fields=st.sampled_from([None, [], [{"manager": "m"}]]),
    extra=st.sampled_from([{}, {"new": 1}]),
)
templates = st.sampled_from([{}, {"k": "v"}]).map(lambda labels: Template(RenewalRules(labels=labels), "n1", "n1"))


@given(templates, leases)
def test_what_is_written_from_the_short_form_is_what_is_written_from_the_whole(template, lease):
    whole = lease.with_metadata(managed_fields=None)
    assert template.written(template.keep(lease), "", NOW) == template.written(whole, "", NOW)


@given(templates, leases)
def test_an_owner_is_seen_in_either_form(template, lease):
    kept = template.keep(lease)
    assert has_owner(kept) == bool(template.restore(kept).metadata.owner_references)


def test_the_lease_of_an_undisturbed_renewer_is_kept_short():
    template = Template(RenewalRules(labels={"k": "v"}), "n1", "n1")
    kept = template.keep(stored("7", owners=[owner("u")], labels={"k": "v"}, managed_fields=[{"manager": "m"}]))
    assert kept == Plain("lease-uid", "7", CREATED.epoch_us, "u")
    assert not gc.is_tracked(kept)


def test_what_another_wrote_is_kept_whole():
    template = Template(RenewalRules(), "n1", "n1")
    lease = stored("7", labels={"theirs": "v"})
    assert template.keep(lease) is lease


def test_the_restored_lease_says_who_holds_it_and_which_one_it_is():
    template = Template(RenewalRules(), "n1", "n1")
    lease = template.restore(template.keep(stored("7")))
    assert (lease.holder, lease.resource_version, lease.metadata.uid) == ("n1", "7", "lease-uid")
    assert lease.metadata.creation_timestamp == CREATED


def test_an_owner_is_added_only_where_there_is_none():
    template = Template(RenewalRules(), "n1", "n1")
    for lease in (stored(), stored(labels={"theirs": "v"})):
        assert template.written(template.keep(lease), "u", NOW).metadata.owner_references == (owner("u"),)
    for lease in (stored(owners=[owner("old")]), stored(owners=[owner("old")], labels={"theirs": "v"})):
        assert template.written(template.keep(lease), "u", NOW).metadata.owner_references == (owner("old"),)
