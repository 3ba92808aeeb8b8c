"""From a deed to the verb of a node."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from lease_aio.heartbeat.fleet.selection import SimNode
from lease_aio.heartbeat.scenario.model import Deed, Verb


def do(deed: Deed, node: SimNode) -> Sequence[str]:
    """Do it to one node; its name, if that changed anything."""
    match deed.verb:
        case Verb.SLOW:
            return node.slow(deed.delay_s)
        case Verb.SKEW:
            return node.skew(deed.offset_s, drift=deed.drift)
        case Verb.RESTART:
            return node.restart(down_s=deed.down_s)
        case Verb.UNREADY:
            return node.unready(deed.reason) if deed.reason else node.unready()
        case _:
            return _PLAIN[deed.verb](node)


_PLAIN: Mapping[Verb, Callable[[SimNode], Sequence[str]]] = {
    Verb.SILENCE: SimNode.silence,
    Verb.REVIVE: SimNode.revive,
    Verb.PAUSE: SimNode.pause,
    Verb.RESUME: SimNode.resume,
    Verb.CRASH: SimNode.crash,
    Verb.READY: SimNode.ready,
    Verb.HEAL: SimNode.heal,
}
