"""The judge of the torture must be right about who is to blame."""

import math

import pytest

from tests.torture.analysis import (
    CLIENT_GO,
    CLIENT_GO_FROZEN,
    OURS,
    OURS_FROZEN,
    Evidence,
    LifeRecord,
    Overlap,
    Work,
    blanked,
    hand_overs,
    led_s,
    overlaps,
    percentile,
    stale_writes,
    token_faults,
    works_of,
)
from tests.torture.history import Write
from tests.torture.resource import Offer

D, G = 5.0, 1.0


def term(who: str, start: float, end: float, **more: object) -> Work:
    known = {"token": 0, "asked": None, "told": None, "valid_until": math.inf, "killed": False, "freezes": (), **more}
    return Work(
        candidate=who.partition(".")[0], ours=who.startswith("ours"), identity=who, start=start, end=end, **known
    )


def write(version: int, holder: str, seen: float) -> Write:
    return Write(lease="x", version=version, holder=holder, duration_s=D, seen=seen)


def evidence(*works: Work, writes: tuple[Write, ...] = (), writers: dict[int, str] | None = None) -> Evidence:
    return Evidence(works=works, writes=writes, writers=writers or {}, lease_duration_s=D, stop_grace_s=G)


def only_overlap(known: Evidence) -> Overlap:
    (found,) = overlaps(known)
    return found


def test_work_beyond_the_term_s_own_word_and_its_grace_is_ours() -> None:
    found = only_overlap(evidence(term("ours-0.0", 0, 10, valid_until=8.0), term("clientgo-0.0", 9.5, 20)))
    assert (found.culprit, found.length_s) == (OURS, 0.5)
    assert "1.000 s beyond its right" in found.why


def test_work_that_did_not_stop_when_told_is_ours() -> None:
    assert only_overlap(evidence(term("ours-0.0", 0, 10, told=8.0), term("clientgo-0.0", 8.5, 20))).culprit == OURS


def test_work_longer_than_the_server_s_history_allows_is_ours_whatever_the_process_says() -> None:
    known = evidence(term("ours-0.0", 0, 10), term("clientgo-0.0", 9, 20), writes=(write(1, "ours-0.0", 4.0),))
    assert only_overlap(known).culprit == OURS


def test_work_after_a_freeze_that_outlasted_the_term_is_counted_apart() -> None:
    slept = term("ours-0.0", 0, 10.3, valid_until=5.0, freezes=((3.0, 10.0),))
    found = only_overlap(evidence(slept, term("clientgo-0.0", 8, 20)))
    assert found.culprit == OURS_FROZEN
    assert found.length_s == pytest.approx(0.3), "while it is frozen it does nothing"


def test_a_freeze_excuses_no_longer_than_the_grace() -> None:
    slept = term("ours-0.0", 0, 11.5, valid_until=5.0, freezes=((3.0, 10.0),))
    assert only_overlap(evidence(slept, term("clientgo-0.0", 8, 20))).culprit == OURS


def test_a_freeze_after_the_right_had_ended_excuses_nothing() -> None:
    slept = term("ours-0.0", 0, 10.3, valid_until=5.0, freezes=((7.0, 10.0),))
    assert only_overlap(evidence(slept, term("clientgo-0.0", 6.5, 20))).culprit == OURS


def test_a_frozen_process_that_never_works_again_overlaps_nobody() -> None:
    slept = term("ours-0.0", 0, 10, valid_until=5.0, killed=True, freezes=((3.0, 10.0),))
    assert overlaps(evidence(slept, term("clientgo-0.0", 8, 20))) == []


def test_client_go_that_works_on_is_to_blame() -> None:
    writes = (write(1, "clientgo-0.0", 0.0), write(2, "ours-0.0", 6.0))
    known = evidence(term("clientgo-0.0", 0, 9), term("ours-0.0", 6, 20, token=2), writes=writes)
    assert only_overlap(known).culprit == CLIENT_GO


def test_client_go_just_awake_is_counted_apart() -> None:
    slept = term("clientgo-0.0", 0, 9.5, freezes=((1.0, 9.0),))
    assert only_overlap(evidence(slept, term("clientgo-1.0", 6, 20))).culprit == CLIENT_GO_FROZEN


def test_a_take_over_before_the_duration_is_over_is_ours() -> None:
    writes = (write(1, "clientgo-0.0", 0.0), write(2, "ours-0.0", 3.0))
    known = evidence(term("clientgo-0.0", 0, 9), term("ours-0.0", 3, 9.5, token=2), writes=writes)
    assert only_overlap(known).culprit == OURS


@pytest.mark.parametrize(("writer", "culprit"), [("ours-1", OURS), ("clientgo-1", CLIENT_GO)])
def test_whoever_emptied_the_lease_of_another_is_to_blame_for_what_follows(writer: str, culprit: str) -> None:
    writes = (write(1, "clientgo-0.0", 0.0), write(2, "", 3.0), write(3, "ours-0.0", 3.1))
    works = (term("clientgo-0.0", 0, 4), term("ours-0.0", 3.1, 7, token=3))
    known = evidence(*works, writes=writes, writers={2: writer})
    assert only_overlap(known).culprit == culprit
    assert [(one.victim, one.by) for one in blanked(known)] == [("clientgo-0.0", writer)]


def test_a_release_of_one_s_own_is_no_fault() -> None:
    known = evidence(writes=(write(1, "ours-0.3", 0.0), write(2, "", 3.0)), writers={2: "ours-0"})
    assert blanked(known) == []


def test_terms_one_after_another_do_not_overlap() -> None:
    assert overlaps(evidence(term("ours-0.0", 0, 1), term("ours-1.0", 1, 2))) == []


def test_tokens_must_rise_and_be_the_history_s() -> None:
    writes = (write(5, "ours-0.0", 0.0), write(4, "ours-1.0", 2.0))
    known = evidence(term("ours-0.0", 0, 1, token=5), term("ours-1.0", 2, 3, token=4), writes=writes)
    assert token_faults(known) == ["ours-1.0 began with token 4 after 5"]
    assert len(token_faults(evidence(term("ours-0.0", 0, 1, token=5)))) == 1


def test_a_stale_write_that_got_in_is_found_without_trust_in_the_file() -> None:
    rows = [(1, True), (3, True), (2, True), (2, False), (3, True)]
    offers = [Offer(holder="h", token=token, boot=0.0, accepted=accepted) for token, accepted in rows]
    assert stale_writes(offers) == (2, 1)


def test_a_life_is_read_as_its_terms() -> None:
    told = [
        {"event": "started", "boot": 1.0, "token": 7},
        {"event": "stepping-down", "boot": 2.0},
        {"event": "stopping", "boot": 2.1},
        {"event": "stopped", "boot": 2.2, "valid_until": 4.0},
        {"event": "started", "boot": 5.0, "token": 9},
    ]
    life = LifeRecord(candidate="ours-0", ours=True, identity="ours-0.0", events=told, ended=6.0, killed=True)
    first, second = works_of(life)
    assert (first.start, first.end, first.asked, first.told, first.killed) == (1.0, 2.2, 2.0, 2.1, False)
    assert (second.token, second.end, second.asked, second.killed) == (9, 6.0, None, True)


def test_hand_overs_are_told_apart_by_how_the_leader_ended() -> None:
    works = [
        term("ours-0.0", 0, 2, asked=1.9),
        term("ours-1.0", 2.1, 3, killed=True),
        term("clientgo-0.0", 8, 9),
        term("ours-2.0", 10, 11),
    ]
    found = [(one.kind, one.previous, one.following, round(one.seconds, 3)) for one in hand_overs(works)]
    assert found == [
        ("release", OURS, OURS, 0.2),
        ("SIGKILL", OURS, CLIENT_GO, 5.0),
        ("loss", CLIENT_GO, OURS, 1.0),
    ]
    assert [one.during([(2.5, 3.1)]) for one in hand_overs(works)] == [False, True, False]
    assert led_s(works) == pytest.approx(2 + 0.9 + 1 + 1)


def test_percentiles_are_values_that_occurred() -> None:
    assert [percentile([3.0, 1.0, 2.0], percent) for percent in (50, 90, 99)] == [2.0, 3.0, 3.0]
    assert math.isnan(percentile([], 50))
