import pytest

from lease_aio.identity.succession import Succession
from lease_aio.model import LeaseSpec, MicroTime, new_lease


def lease(holder, renewed):
    return new_lease("a", "kube-system", LeaseSpec(holder_identity=holder, renew_time=MicroTime(renewed)))


def after(*what, **options):
    """A succession of `me` to whom this happened: a number is a write of that renewTime, a pair what was shown."""
    mine = Succession("me", **options)
    for one in what:
        if isinstance(one, int):
            mine.sending(MicroTime(one))
        else:
            mine.shown(lease(*one))
    return mine


@pytest.mark.parametrize(
    ("what", "adopted", "superseded_by", "shared"),
    [
        pytest.param([], "", "", False, id="nothing is known"),
        pytest.param([1, ("me", 1), 2, ("me", 2)], "", "", False, id="all went well"),
        pytest.param([("old", 0), 1, ("old", 1)], "old", "", False, id="a former one's is renewed"),
        pytest.param([("old", 0), 1, ("old", 1), ("old", 2)], "old", "", True, id="the former one lives on"),
        pytest.param([1, ("me", 1), ("new", 2)], "", "new", False, id="another holder"),
        pytest.param([1, ("me", 1), ("new", 2), 3, ("new", 3), ("new", 4)], "", "new", False, id="both renew"),
        pytest.param([1, ("me", 1), ("new", 2), 3, ("me", 3)], "", "", False, id="the other has gone again"),
        pytest.param([1, ("me", 1), ("me", 2)], "", "", True, id="another renews under our holder"),
        pytest.param([1, ("me", 1), ("me", 1)], "", "", False, id="somebody set a label"),
        pytest.param([1, ("me", 1), 2, ("me", 1), ("me", 2)], "", "", False, id="an unanswered write landed late"),
        pytest.param([1, ("me", 1), *range(2, 99), ("me", 1)], "", "", False, id="reads go through and writes do not"),
        pytest.param([1, ("me", 1), ("", 1)], "", "", False, id="somebody emptied the holder"),
        pytest.param([("old", 0), ("new", 1)], "old", "new", False, id="a former one's, then a newer one's"),
        pytest.param([("old", 0), 1, ("me", 1)], "", "", False, id="a former one's that is gone, then its own"),
        pytest.param([("old", 0), 1, ("me", 1), ("old", 2)], "", "old", False, id="and the former one is back"),
        pytest.param([1, 2, ("me", 2), ("me", 1)], "", "", True, id="what can no longer be stored is another's"),
    ],
)
def test_whose_the_lease_is(what, adopted, superseded_by, shared):
    mine = after(*what)
    assert (mine.adopted, mine.superseded_by, mine.shared) == (adopted, superseded_by, shared)


def test_what_names_it_is_its_own_whoever_has_renewed_it():
    mine = after(1, ("me", 1), 2)
    assert mine.owns(lease("me", 2))
    assert mine.owns(lease("me", 3))
    assert not mine.owns(lease("new", 2))


@pytest.mark.parametrize(
    ("what", "superseded_by", "shared"),
    [
        pytest.param([("old", 0)], "", False, id="a former one's was found"),
        pytest.param([("old", 0), 1, ("me", 1)], "", False, id="and claimed"),
        pytest.param([("old", 0), 1, ("me", 1), ("old", 2)], "old", False, id="and its process took it back"),
        pytest.param([("old", 0), 1, ("new", 2)], "", False, id="a claim that never arrived, or was claimed at once"),
        pytest.param([1, ("me", 1), ("new", 2)], "new", False, id="another has claimed it"),
        pytest.param([("old", 0), 1, ("me", 1), ("me", 2)], "", True, id="another renews under our holder"),
    ],
)
def test_one_that_claims_what_it_finds_adopts_nobodys(what, superseded_by, shared):
    mine = after(*what, claims=True)
    assert (mine.adopted, mine.superseded_by, mine.shared) == ("", superseded_by, shared)
