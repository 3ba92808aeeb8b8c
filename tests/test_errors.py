import pytest

from lease_aio import errors
from lease_aio.errors import ApiError, Call, Conflict, LeaseAioError, MalformedObject, NotFound, TermLost, Unavailable

CALL = Call(verb="update", resource="leases.coordination.k8s.io", namespace="b", name="a")


def test_the_message_carries_verb_resource_place_and_the_servers_words() -> None:
    error = Conflict(CALL, "the object has been modified", status=409, reason="Conflict")
    assert str(error) == "update leases.coordination.k8s.io b/a: 409 Conflict: the object has been modified"


def test_a_message_without_status_and_name_has_no_gaps() -> None:
    assert str(Unavailable(Call(verb="list", resource="nodes"), "refused")) == "list nodes: refused"


def test_an_unknown_outcome_is_said() -> None:
    assert "whether the write was done is unknown" in str(Unavailable(CALL, "reset", outcome_unknown=True))


@pytest.mark.parametrize(
    ("message", "missing"),
    [('namespaces "b" not found', True), ('leases.coordination.k8s.io "a" not found', False)],
)
def test_a_missing_namespace_is_told_from_a_missing_object(message: str, *, missing: bool) -> None:
    assert NotFound(CALL, message, status=404).namespace_missing is missing


def test_a_lost_term_names_lease_and_reason() -> None:
    error = TermLost("b/a", "expired")
    assert (str(error), error.reason) == ("the term on Lease b/a is over: expired", "expired")


def test_everything_raised_on_purpose_has_one_root() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert all(issubclass(kind, LeaseAioError) for kind in kinds)
    assert issubclass(errors.AlreadyExists, ApiError)
    assert issubclass(MalformedObject, ValueError)
