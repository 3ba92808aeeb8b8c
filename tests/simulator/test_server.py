"""The cheap server is as the real store: same answers, same versions, same objects."""

from __future__ import annotations

from random import Random

import pytest

from lease_aio.errors import ApiError
from lease_aio.model import Lease, LeaseSpec, MicroTime, new_lease
from lease_aio.testing.simulator.server import UNCONDITIONAL, Real, Swap


def some_lease(dice: Random, known: list[Lease]) -> Lease:
    """A new one, or one that was once stored, changed or not."""
    if not known or dice.random() < 0.15:
        at = MicroTime(10**15 + dice.randrange(5))
        return new_lease("x", "default", LeaseSpec(holder_identity="a", lease_duration_seconds=4, renew_time=at))
    lease = dice.choice(known[-4:])
    if dice.random() < 0.1:
        lease = lease.with_metadata(resource_version=UNCONDITIONAL)
    match dice.randrange(4):
        case 0:
            return lease
        case 1:
            return lease.with_spec(holder_identity=dice.choice(["", None, "b"]))
        case 2:
            return lease.with_metadata(labels={"edited": str(dice.randrange(3))})
        case _:
            return lease.with_spec(renew_time=MicroTime(10**15 + dice.randrange(1000)))


@pytest.mark.parametrize("seed", range(40))
def test_a_swap_answers_as_the_store_does(seed):
    dice = Random(seed)
    swap, real = Swap(), Real()
    known: list[Lease] = []
    for step in range(60):
        wall_us = 10**15 + step * 700_000
        if dice.random() < 0.1:
            swap.delete(wall_us)
            real.delete(wall_us)
        else:
            lease = some_lease(dice, known)
            one, other = swap.write(lease, wall_us), real.write(lease, wall_us)
            assert type(one) is type(other)
            assert one == other
            if not isinstance(one, ApiError):
                known.append(one)
        assert swap.lease == real.lease
        assert swap.version == real.version
