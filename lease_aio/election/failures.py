"""What an error of the API means for an election. Pure."""

from __future__ import annotations

from lease_aio.election.requests import Failure
from lease_aio.errors import ApiError, Conflict, Invalid, NotFound, Refused


def failure_of(error: ApiError, *, leading: bool) -> Failure:
    """What an error of the API means for the election.

    A 401 ends a candidacy, but not a term: servers answer it in passing while their token checker is
    away, and the term ends by itself in time.
    """
    match error:
        case Conflict():
            return Failure.CONFLICT
        case NotFound():
            return Failure.PERMANENT if error.namespace_missing else Failure.GONE
        case Refused() if leading and error.status == 401:
            return Failure.NOT_DONE
        case Refused() | Invalid():
            return Failure.PERMANENT
        case _:
            return Failure.UNKNOWN if error.outcome_unknown else Failure.NOT_DONE
