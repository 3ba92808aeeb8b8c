import random

from hypothesis import given
from hypothesis import strategies as st

from lease_aio.api import Backoff


@given(st.integers(1, 10_000), st.integers())
def test_a_delay_is_spread_over_the_upper_half_and_never_passes_the_cap(failures: int, seed: int) -> None:
    delay_s = Backoff().delay_s(failures, random.Random(seed).random)
    longest = min(30.0, 0.5 * 2.0 ** min(failures - 1, 100))
    assert longest / 2 <= delay_s <= longest


@given(st.floats(0.1, 600), st.integers(1, 100), st.integers())
def test_the_servers_wish_is_never_undercut(asked_s: float, failures: int, seed: int) -> None:
    delay_s = Backoff().delay_s(failures, random.Random(seed).random, retry_after_s=asked_s)
    assert asked_s <= delay_s <= max(asked_s * 1.25, 30.0)
