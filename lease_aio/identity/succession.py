"""Whose an identity's Lease is, judged by what the server shows of it. Pure."""

from __future__ import annotations

from collections import deque

from lease_aio.heartbeat.renewal.renewer import Create, Next, Renewer, Replace, Request
from lease_aio.heartbeat.renewal.rules import RenewalRules
from lease_aio.model import Lease, MicroTime, Node

_UNANSWERED = 32  # a pass has ten writes and a read after five; one that shows up after so many is another's


class Succession:
    """Tells one process's Lease from another's of the same name.

    Args:
        holder: This process.
        claims: It writes itself into whatever Lease it finds at its start, so that none is adopted.

    Attributes:
        seen: The holder that the Lease named last; None before anything is known.
        adopted: The holder of a former process whose Lease this one found at its start, and renews; empty if none, and
            again when that Lease is gone and this process has published its own.
        shared: Another process has been seen to renew the Lease under the same holder.
    """

    def __init__(self, holder: str, *, claims: bool = False) -> None:
        self.seen: str | None = None
        self.adopted = ""
        self.shared = False
        self._holder, self._claims = holder, claims
        self._stored: MicroTime | None = None  # our renewTime that was shown last
        self._sent: deque[MicroTime] = deque(maxlen=_UNANSWERED)  # those sent since, any of which may be stored

    @property
    def superseded_by(self) -> str:
        """The holder of a newer process; empty while there is none."""
        return self.seen if self.seen and self.seen not in {self._holder, self.adopted} else ""

    def sending(self, renew_time: MicroTime) -> None:
        """A write with this renewTime is about to be sent."""
        self._sent.append(renew_time)

    def shown(self, lease: Lease) -> None:
        """The server has answered with this state."""
        if self._claims and self.seen is None and lease.holder != self._holder:
            return  # a former process's, which is about to be claimed
        if self.seen is None and lease.holder != self._holder:
            self.adopted = lease.holder
        elif lease.holder == self.seen and not self.superseded_by and not self._wrote(lease):
            self.shared = True
        self.seen = lease.holder
        if self.seen == self._holder:
            self.adopted = ""
        if lease.spec.renew_time in self._sent:
            self._stored = lease.spec.renew_time
            while self._sent.popleft() != self._stored:  # what was sent before it can no longer be stored
                pass

    def owns(self, lease: Lease) -> bool:
        """It names this process."""
        return lease.holder == self._holder

    def _wrote(self, lease: Lease) -> bool:
        """Whether this process wrote the renewTime that stands in it."""
        renewed = lease.spec.renew_time
        return renewed is not None and (renewed == self._stored or renewed in self._sent)


class IdentityRenewer(Renewer):
    """A renewer that keeps track of the succession.

    Args:
        rules: As for a `Renewer`.
        name: The Lease's name.
        holder: This process.
        claims: Write the holder each time, also over a former one's. Whoever does that has to cease once superseded.
    """

    __slots__ = ("_claims", "succession")

    def __init__(self, rules: RenewalRules, name: str, holder: str, *, claims: bool = False) -> None:
        super().__init__(rules, name, holder)
        self.succession = Succession(holder, claims=claims)
        self._claims = claims

    def request(self, wall_us: int) -> Request:
        """See `Renewer.request`."""
        request = super().request(wall_us)
        if self._claims and isinstance(request, Replace) and request.lease.holder != self.holder:
            request = Replace(request.lease.with_spec(holder_identity=self.holder))
        if isinstance(request, Create | Replace) and request.lease.spec.renew_time is not None:
            self.succession.sending(request.lease.spec.renew_time)
        return request

    def succeeded(self, answer: Lease | Node, now: float) -> Next:
        """See `Renewer.succeeded`."""
        if isinstance(answer, Lease):
            self.succession.shown(answer)
        return super().succeeded(answer, now)
