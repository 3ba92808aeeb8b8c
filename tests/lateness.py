"""How late a timer of this event loop is: what a machine that is busy costs anybody, whatever is tested."""

import asyncio


def alarm(after_s: float) -> list[float]:
    """Set a timer; when it has fired, the list holds when that was, by the loop's clock."""
    loop = asyncio.get_running_loop()
    fired: list[float] = []
    loop.call_later(after_s, lambda: fired.append(loop.time()))
    return fired
