"""The demo's live picture. Pure: from what is known to what rich draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lease_aio.cli.demo.board import Freshness, NodeBoard
from lease_aio.cli.demo.plan import Plan
from lease_aio.cli.demo.story import Cause, Standing, Story
from lease_aio.cli.drawing import frame, gauge, section
from lease_aio.cli.numbers import span
from lease_aio.heartbeat import FleetReport

COLOURS = ("cyan", "magenta", "blue")
"""Of the candidates."""

_STANDING = {
    Standing.WAITING: ("○", "dim"),
    Standing.LEADING: ("●", "bold green"),
    Standing.CRASHED: ("✗", "bold red"),
    Standing.RESTING: ("◌", "yellow"),
}
_MARKS = {Cause.CRASH: ("✗", "bold red"), Cause.RESIGNATION: ("■", "yellow"), Cause.LOSS: ("!", "bold red")}
_MOST_LINES = 8  # of what happened
_FIXED_ROWS = 15  # all rows but those lines, the matrix and the bar


@dataclass(frozen=True, kw_only=True, slots=True)
class IdentitySeen:
    """An identity as the picture shows it; the age is that of its renewal."""

    hostname: str
    name: str
    age_s: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """All that is drawn.

    Attributes:
        title: Where.
        lease: The election's Lease.
        now_s: Seconds from the start.
        wall_us: For the ages of nodes.
        plan: The times.
        story: The election.
        valid_for_s: Of each candidate's term.
        board: The nodes, as the server tells.
        fleet: The nodes, as their renewers tell.
        identities: The API servers.
        news: Lines, the newest last.
    """

    title: str
    lease: str
    now_s: float
    wall_us: int
    plan: Plan
    story: Story
    valid_for_s: dict[str, float]
    board: NodeBoard
    fleet: FleetReport
    identities: Sequence[IdentitySeen]
    news: Sequence[str]


def draw(picture: Picture, width: int, height: int) -> RenderableType:
    """The picture for a terminal of that size."""
    inner = max(40, min(width, 120) - 4)
    matrix_rows = -(-len(picture.board) // (2 * min(inner, 100)))
    room = height - 1 - _FIXED_ROWS - matrix_rows
    bar = room > 2  # else its row is better used
    lines = max(1, min(_MOST_LINES, room - bar))
    done = min(1.0, picture.now_s / picture.plan.seconds)
    clock = f"{min(picture.now_s, picture.plan.seconds):.0f} of {picture.plan.seconds:.0f} s"
    parts = Group(
        _election(picture, inner),
        section("nodes", f"{len(picture.board)} heartbeats, each every {picture.plan.node_interval_s:g} s"),
        _nodes(picture, inner),
        section("API servers", "identities in kube-system, and when they were renewed"),
        _identities(picture.identities),
        section("what happened"),
        Text("\n".join([*picture.news[-lines:], *[""] * (lines - len(picture.news))]), no_wrap=True),
        *([gauge(done, inner, "green")] if bar else []),
    )
    footer = f"{clock} · Ctrl-C steps down in order"
    return frame(parts, "demo", picture.title, footer=footer, width=inner + 4)


# -------------------------------------------------------------------------- the election


def _election(picture: Picture, width: int) -> RenderableType:
    story = picture.story
    lanes = max(10, width - 12)
    table = Table.grid(padding=(0, 1))
    for index, (name, standing) in enumerate(story.standings.items()):
        mark, style = _STANDING[standing]
        table.add_row(
            Text(mark, style), Text(f"{name:<8}", style=COLOURS[index % 3]), _lane(picture, name, index, lanes)
        )
    transitions = f"{len(story.terms)} terms" if len(story.terms) != 1 else "1 term"
    return Group(section("leader", f"Lease {picture.lease}, {transitions}"), _leader(picture, width), table)


def _leader(picture: Picture, width: int) -> RenderableType:
    leader = picture.story.leader
    if not leader:
        return Text(_nobody(picture.story), style="bold yellow", no_wrap=True)
    term, timing = picture.story.terms[-1], picture.plan.timing
    valid_s = picture.valid_for_s.get(leader, 0.0)
    colour = COLOURS[list(picture.story.standings).index(leader) % 3]
    text = Text.assemble(
        (f"{leader} ", f"bold {colour}"),
        ("token ", "dim"),
        (f"{term.token}", "bold"),
        (" · transitions ", "dim"),
        (f"{term.transitions}", "bold"),
        (" · valid for ", "dim"),
        (f"{valid_s:4.1f} s ", "bold"),
    )
    text.append(gauge(min(1.0, valid_s / timing.term_length_s), max(8, min(30, width - len(text))), colour))
    return text


def _nobody(story: Story) -> str:
    if not story.terms:
        return "nobody leads yet"
    if story.terms[-1].cause is Cause.CRASH:
        return "nobody leads: the others wait until the lease of the crashed has run out"
    return "nobody leads: the lease was released"


def _lane(picture: Picture, name: str, index: int, width: int) -> Text:
    """One candidate's time line: solid while it led, with a mark where and why it ended."""
    cells, styles = [" "] * width, [""] * width
    per_s = width / picture.plan.seconds
    now = min(width - 1, int(picture.now_s * per_s))
    for at in range(now + 1):
        cells[at], styles[at] = "·", "grey37"
    for term in picture.story.terms:
        if term.holder != name:
            continue
        end_s = picture.now_s if term.ended_s is None else term.ended_s
        first, last = (min(width - 1, int(at_s * per_s)) for at_s in (term.started_s, end_s))
        for at in range(first, last + 1):
            cells[at], styles[at] = "━", COLOURS[index % 3]
        if term.cause is not None:
            cells[last], styles[last] = _MARKS[term.cause]
    return Text.assemble(*zip(cells, styles, strict=True))


# -------------------------------------------------------------------------- the nodes


def _nodes(picture: Picture, width: int) -> RenderableType:
    counts = picture.board.counts(picture.wall_us)
    fleet = picture.fleet
    summary = Text.assemble(
        (f"{counts[Freshness.FRESH]:4} fresh", "green"),
        ("  ", ""),
        (f"{counts[Freshness.LATE]:4} late", "yellow"),
        ("  ", ""),
        (f"{counts[Freshness.SILENT]:4} silent", "bold red"),
        (f"  {counts[Freshness.UNSEEN]:4} to come   ", "dim"),
        (f"{fleet.renewals_per_s:5.0f}", "bold"),
        (" renewals/s", "dim"),
    )
    lateness = Text.assemble(
        ("begin late by p50 ", "dim"),
        (span(fleet.lateness.percentile(50)), "bold"),
        (" p99 ", "dim"),
        (span(fleet.lateness.percentile(99)), "bold"),
        (" · gap p50 ", "dim"),
        (span(fleet.gap.percentile(50)) if fleet.gap.count else "–", "bold"),
        (" p99 ", "dim"),
        (span(fleet.gap.percentile(99)) if fleet.gap.count else "–", "bold"),
        (" · errors ", "dim"),
        (str(sum(fleet.errors.values())), "bold red" if fleet.errors else "bold"),
        no_wrap=True,
    )
    return Group(_matrix(picture, width), summary, lateness)


def _matrix(picture: Picture, width: int) -> Text:
    """Each node is half a character: bright when it has just renewed, fading until the next time."""
    ages = picture.board.ages_s(picture.wall_us)
    per_row = min(width, 100)
    text = Text(no_wrap=True, end="")
    for top in range(0, len(ages), 2 * per_row):
        upper, lower = ages[top : top + per_row], ages[top + per_row : top + 2 * per_row]
        for column, age_s in enumerate(upper):
            under = _shade(picture, lower[column]) if column < len(lower) else "default"
            text.append("▀", f"{_shade(picture, age_s)} on {under}")
        text.append("\n")
    return text


def _shade(picture: Picture, age_s: float | None) -> str:
    match picture.board.freshness(age_s):
        case Freshness.UNSEEN:
            return "#262626"
        case Freshness.LATE:
            return "#d7af00"
        case Freshness.SILENT:
            return "#d70000"
        case _:
            assert age_s is not None
            step = min(5, int(6 * max(0.0, age_s) / picture.plan.node_interval_s))
            return ("#87ff87", "#5fd75f", "#3fb83f", "#2f9a2f", "#237c23", "#1b611b")[step]


# -------------------------------------------------------------------------- the rest


def _identities(identities: Sequence[IdentitySeen]) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for one in identities:
        age = "not yet" if one.age_s is None else f"{span(max(0.0, one.age_s))} ago"
        fresh = one.age_s is not None and one.age_s <= 2 * _IDENTITY_INTERVAL_S
        table.add_row(
            Text("●" if fresh else "○", "green" if fresh else "yellow"), one.hostname, one.name, Text(age, "dim")
        )
    return table


_IDENTITY_INTERVAL_S = 10.0
