"""The demo's pure parts: the plan fits, the boards tell, and no false claim passes the report."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from lease_aio.cli.demo.board import ElectionBoard, Freshness, NodeBoard, StoredTerm
from lease_aio.cli.demo.plan import SHORTEST_S, SILENT_AFTER, plan_for
from lease_aio.cli.demo.report import Claims, Stored, checks
from lease_aio.cli.demo.story import Cause, Handover, Standing, Story, TermSeen
from lease_aio.cli.demo.view import IdentitySeen, Picture, draw
from lease_aio.errors import ConfigurationError
from lease_aio.heartbeat import FleetReport
from lease_aio.model import Lease, LeaseSpec, MicroTime, ObjectMeta
from lease_aio.scheduler import Histogram

NOW_US = 1_750_000_000_000_000
PLAN = plan_for(30)


def lease(name: str, holder: str = "", *, age_s: float = 0.0, transitions: int | None = None) -> Lease:
    return Lease(
        metadata=ObjectMeta(name=name),
        spec=LeaseSpec(
            holder_identity=holder,
            lease_duration_seconds=40,
            renew_time=MicroTime(NOW_US - int(age_s * 1e6)),
            lease_transitions=transitions,
        ),
    )


# ---------------------------------------------------------------------- the plan


@pytest.mark.parametrize("seconds", [SHORTEST_S, 9, 10.5, 15, 30, 60, 3600])
def test_everything_fits_into_the_seconds_that_there_are(seconds: float) -> None:
    plan = plan_for(seconds)
    taken_over_s = plan.crash_at_s + plan.timing.takeover_after_s(None)

    assert plan.node_interval_s * 1.04 < plan.silence_at_s
    assert plan.silence_at_s + SILENT_AFTER * plan.node_interval_s < seconds
    assert taken_over_s + plan.rest_s < seconds
    assert max(taken_over_s, plan.resign_at_s) + 0.5 < seconds


@pytest.mark.parametrize("seconds", [0, -1, 7.9, float("nan")])
def test_too_few_seconds_are_refused(seconds: float) -> None:
    with pytest.raises(ConfigurationError, match="--seconds"):
        plan_for(seconds)


def test_with_time_enough_nodes_beat_as_kubelets_do() -> None:
    assert (PLAN.node_lease_s, PLAN.node_interval_s) == (40, 10)


# ---------------------------------------------------------------------- the story


def test_a_handover_counts_from_the_crash_to_the_next_leader() -> None:
    story = Story(("a", "b"))
    story.started("a", token=5, transitions=0, now_s=1.0)
    story.leaves("a", Cause.CRASH, 6.0)
    story.ended("a", 6.0, Standing.CRASHED)

    assert story.leader == ""
    handover = story.started("b", token=9, transitions=1, now_s=11.0)

    assert handover == Handover(cause=Cause.CRASH, old="a", new="b", after_s=5.0)
    assert story.leader == "b"
    assert [(term.holder, term.ended_s, term.cause) for term in story.terms] == [
        ("a", 6.0, Cause.CRASH),
        ("b", None, None),
    ]


def test_a_first_leader_takes_over_from_nobody() -> None:
    assert Story(("a",)).started("a", token=1, transitions=0, now_s=0.0) is None


# ---------------------------------------------------------------------- the boards


def test_nodes_are_fresh_late_and_silent_by_the_renewtime_that_is_stored() -> None:
    board = NodeBoard(["n0", "n1", "n2", "n3"], late_after_s=11.5, silent_after_s=15)
    for name, age_s in (("n0", 11.5), ("n1", 11.6), ("n2", 15.1), ("stranger", 0)):
        board.saw(lease(name, name, age_s=age_s))

    assert list(board.counts(NOW_US).values()) == [1, 1, 1, 1]
    assert [board.freshness(age_s) for age_s in board.ages_s(NOW_US)] == [
        Freshness.FRESH,
        Freshness.LATE,
        Freshness.SILENT,
        Freshness.UNSEEN,
    ]
    assert board.changes == 3


def test_renewals_and_releases_are_no_terms_of_their_own() -> None:
    board = ElectionBoard("x")
    for name, holder, transitions in (("x", "a", 0), ("x", "a", 0), ("y", "z", 7), ("x", "", 0), ("x", "b", 1)):
        board.saw(lease(name, holder, transitions=transitions))

    assert board.terms == [StoredTerm(holder="a", transitions=0), StoredTerm(holder="b", transitions=1)]


# ---------------------------------------------------------------------- the report

TERMS = (
    TermSeen(holder="a", token=5, transitions=0, started_s=0, ended_s=6, cause=Cause.CRASH),
    TermSeen(holder="b", token=9, transitions=1, started_s=11, ended_s=18, cause=Cause.RESIGNATION),
    TermSeen(holder="c", token=12, transitions=2, started_s=18.1),
)
CLAIMS = Claims(
    leader="c",
    terms=TERMS,
    handovers=(
        Handover(cause=Cause.CRASH, old="a", new="b", after_s=5),
        Handover(cause=Cause.RESIGNATION, old="b", new="c", after_s=0.1),
    ),
    nodes=3,
    fresh=2,
    silenced={"n2": NOW_US - 18_000_000},
    renewals=7,
    failures=0,
    identities={"id": "holder"},
)
STORED = Stored(
    election=lease("x", "c", transitions=2),
    terms=tuple(StoredTerm(holder=term.holder, transitions=term.transitions) for term in TERMS),
    nodes=(lease("n0", age_s=3), lease("n1", age_s=9), lease("n2", age_s=20)),
    identities=(lease("id", "holder"), lease("real", "somebody")),
    changes=7,
    asked_us=NOW_US,
    left="",
)


def false_claims(claims: Claims = CLAIMS, stored: Stored = STORED) -> list[str]:
    return [check.claim for check in checks(claims, stored, PLAN) if not check.true]


def test_a_report_that_is_true_passes() -> None:
    assert false_claims() == []


@pytest.mark.parametrize(
    ("stored", "claim"),
    [
        (replace(STORED, terms=STORED.terms[:2]), "terms, in order"),
        (replace(STORED, election=lease("x", "a", transitions=2)), "leader at the end"),
        (replace(STORED, election=lease("x", "c", transitions=3)), "leaseTransitions"),
        (replace(STORED, left="c"), "released at the end"),
        (replace(STORED, nodes=STORED.nodes[1:]), "nodes"),
        (replace(STORED, nodes=(lease("n0", age_s=41), *STORED.nodes[1:])), "valid node leases"),
        (replace(STORED, nodes=(*STORED.nodes[:2], lease("n2", age_s=10))), "silenced nodes silent"),
        (replace(STORED, changes=8), "renewals"),
        (replace(STORED, changes=6), "renewals"),
        (replace(STORED, identities=()), "identities, valid"),
        (replace(STORED, identities=(lease("id", "other"),)), "identities, valid"),
        (replace(STORED, identities=(lease("id", "holder", age_s=41),)), "identities, valid"),
    ],
)
def test_what_the_server_does_not_confirm_is_found(stored: Stored, claim: str) -> None:
    assert claim in false_claims(stored=stored)


@pytest.mark.parametrize(
    ("terms", "claim"),
    [
        ((replace(TERMS[0], ended_s=11.5), *TERMS[1:]), "never two leaders"),
        ((replace(TERMS[0], ended_s=None), *TERMS[1:]), "never two leaders"),
        ((replace(TERMS[0], token=9), *TERMS[1:]), "never two leaders"),
    ],
)
def test_terms_that_overlap_or_share_a_token_are_found(terms: tuple[TermSeen, ...], claim: str) -> None:
    assert false_claims(replace(CLAIMS, terms=terms)) == [claim]


def test_a_demo_in_which_nobody_took_over_has_failed() -> None:
    assert false_claims(replace(CLAIMS, handovers=CLAIMS.handovers[:1])) == ["hand-overs"]


def test_after_a_failed_request_a_write_may_be_stored_that_nobody_claims() -> None:
    assert false_claims(replace(CLAIMS, failures=1), replace(STORED, changes=8)) == []
    assert false_claims(replace(CLAIMS, failures=1), replace(STORED, changes=6)) == ["renewals"]


# ---------------------------------------------------------------------- the picture


def picture(story: Story) -> Picture:
    names = [f"n{number}" for number in range(1000)]
    board = NodeBoard(names, late_after_s=11.5, silent_after_s=15)
    for name in names:
        board.saw(lease(name, name, age_s=2))
    nothing = Histogram().snapshot()
    fleet = FleetReport(
        nodes=1000,
        fresh=1000,
        late=0,
        pending=0,
        silenced=0,
        renewals=1000,
        renewals_per_s=100.0,
        lateness=nothing,
        gap=nothing,
        errors={},
    )
    identities = [IdentitySeen(hostname="lease-aio-demo-12345-cp1", name="apiserver-" + 26 * "a", age_s=4.0)] * 3
    return Picture(
        title="http://127.0.0.1:12345",
        lease="default/lease-aio-demo-12345",
        now_s=12.0,
        wall_us=NOW_US,
        plan=PLAN,
        story=story,
        valid_for_s={"a": 3.0, "b": 0.0, "c": 0.0},
        board=board,
        fleet=fleet,
        identities=identities,
        news=[f"news {number}" for number in range(20)],
    )


def lines(drawn: Picture, width: int, height: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None)
    with console.capture() as captured:
        console.print(draw(drawn, width, height))
    return captured.get().splitlines()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 40), (200, 60)])
def test_the_picture_fits_the_terminal(width: int, height: int) -> None:
    story = Story(("a", "b", "c"))
    story.started("a", token=123456, transitions=0, now_s=0.0)

    drawn = lines(picture(story), width, height)

    assert len(drawn) < height
    assert all(len(line) <= width for line in drawn)
    assert "token 123456" in drawn[2]
    assert any("1000 fresh" in line for line in drawn)
    assert "news 19" in "".join(drawn)


def test_the_picture_says_why_nobody_leads() -> None:
    story = Story(("a", "b", "c"))
    assert "nobody leads yet" in lines(picture(story), 80, 24)[2]
    story.started("a", token=1, transitions=0, now_s=0.0)
    story.leaves("a", Cause.CRASH, 6.0)
    story.ended("a", 6.0, Standing.CRASHED)

    drawn = lines(picture(story), 80, 24)

    assert "until the lease of the crashed has run out" in drawn[2]
    assert any("✗ a" in line for line in drawn)
