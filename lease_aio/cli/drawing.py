"""What the live pictures of all commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import anyio
from rich.console import Console, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.rule import Rule
from rich.text import Text

Draw = Callable[[int, int], RenderableType]
"""The picture of now, for a terminal of that width and height."""


def section(name: str, detail: str = "") -> RenderableType:
    """The line above a part of a picture."""
    title = Text(name, style="bold")
    if detail:
        title.append(f" · {detail}", style="not bold dim")
    return Rule(title, align="left", style="grey37")


def gauge(part: float, width: int, colour: str) -> Text:
    """So much of a whole; `part` is 0 to 1."""
    full = round(part * width)
    return Text.assemble(("━" * full, colour), ("━" * (width - full), "grey23"))


def frame(
    parts: RenderableType, command: str, *titles: str, footer: str, width: int, border: str = "grey50"
) -> RenderableType:
    """What is drawn around a picture; what stands in titles and footer is text, whatever brackets it has."""
    title = Text.assemble((f"lease-aio {command}", "bold"), *(f" · {one}" for one in titles if one))
    return Panel(parts, title=title, subtitle=Text(footer), width=width, border_style=border)


async def redraw(console: Console, draw: Draw, *, every_s: float, most_of_the_loop: float = 1.0) -> NoReturn:
    """Draw until cancelled, and then once more.

    Args:
        console: Where.
        draw: What.
        every_s: Between two pictures.
        most_of_the_loop: The part of the time that drawing may take: where it is slow, it is seldom.
    """
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        try:
            while True:
                began_s = anyio.current_time()
                live.update(draw(console.width, console.height), refresh=True)
                took_s = anyio.current_time() - began_s
                await anyio.sleep(max(every_s, took_s / most_of_the_loop))
        finally:
            live.update(draw(console.width, console.height), refresh=True)
