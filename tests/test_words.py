import pytest

from lease_aio.words import length


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (59.6, "60 s"),
        (180, "180 s"),
        (301, "5 min 1 s"),
        (600, "10 min"),
        (3599.7, "1 h"),
        (7530, "2 h 5 min"),
        (90_000, "25 h"),
    ],
)
def test_a_length_is_said_in_whole_units(seconds: float, words: str):
    assert length(seconds) == words
