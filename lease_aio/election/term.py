"""What user code holds: a `Term`, and the two ways to come by one."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import anyio

from lease_aio.election.candidate import Candidate
from lease_aio.election.events import EndReason, TermRecord
from lease_aio.errors import TermLost


class Term:
    """A time in which this process, and no other, holds the Lease.

    Guarantees: no two terms overlap while clock rates differ by at most `Timing.clock_error`, the work
    stops within `Timing.stop_grace_s` once it is told to, and the process is not frozen. Beyond that
    (a process stopped for a minute believes in its term until its next look at the clock) only the
    fencing `token`, compared where the work takes effect, keeps a stale write out.

    As a context manager it guards the work: the body is cancelled when the term ends, the Lease is
    renewed until the body has stopped, and released only then. The cancellation by the term's end is
    absorbed here; all other exceptions pass.
    """

    def __init__(self, candidate: Candidate, record: TermRecord) -> None:
        self._candidate, self._record = candidate, record
        self._scope = anyio.CancelScope()
        self._lost = anyio.Event()
        self._reason: EndReason | None = None
        self._finished = False
        candidate.when_stopping(self._stopping)

    @property
    def name(self) -> str:
        """The Lease."""
        return self._record.lease

    @property
    def namespace(self) -> str:
        """The Lease's namespace."""
        return self._record.namespace

    @property
    def holder(self) -> str:
        """The identity under which this process holds it."""
        return self._record.holder

    @property
    def token(self) -> int:
        """The fencing token: larger in each later term, over release, crash and deletion of the Lease."""
        return self._record.token

    @property
    def transitions(self) -> int:
        """`leaseTransitions` of this term: rises by one from term to term while the Lease is not deleted."""
        return self._record.transitions

    @property
    def reason(self) -> EndReason | None:
        """Why the work was told to stop; None while the term runs."""
        return self._reason

    def valid_for(self) -> float:
        """Seconds that the term is good for, read off the clock now: true even if the event loop was blocked."""
        return self._candidate.valid_for(self._record)

    def check(self) -> None:
        """Return if the term is valid at this moment.

        Raises:
            TermLost: it is not. Stop; another may lead.
        """
        if self.valid_for() <= 0:
            reason = self._reason or EndReason.EXPIRED
            raise TermLost(f"{self.namespace}/{self.name}", reason.value)

    async def lost(self) -> EndReason:
        """Wait until the work is told to stop, and why; for work that is not inside the term's body."""
        await self._lost.wait()
        assert self._reason is not None
        return self._reason

    def resign(self) -> None:
        """Step down: the body is cancelled, and the Lease released when it has stopped."""
        if not self._finished:
            self._candidate.resign()

    def _stopping(self) -> None:
        self._reason = self._candidate.stop_reason
        self._lost.set()
        self._scope.cancel("the term is over")

    async def __aenter__(self) -> Self:
        self._scope.__enter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        absorbed = self._scope.__exit__(kind, error, trace)
        await self.finish()
        return bool(absorbed)

    async def finish(self) -> None:
        """The work has stopped: release the Lease. Done by leaving the body; repeated calls do nothing."""
        if not self._finished:
            self._finished = True
            ended = await self._candidate.finish()
            self._reason = self._reason or ended.reason
            self._lost.set()


class Leadership:
    """`async with` it: waits for the term, gives it to the body, releases it at the end.

    Raises at the end of the body:
        TermLost: the term ended before the work did (the body was cancelled). Not if `Term.resign` ended it.
        ApiError: the API server refused the renewal for good.
    """

    def __init__(self, candidate: Candidate) -> None:
        self._candidate = candidate
        self._term: Term | None = None

    async def __aenter__(self) -> Term:
        self._term = await win(self._candidate)
        return await self._term.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        term = self._term
        assert term is not None
        absorbed = await term.__aexit__(kind, error, trace)
        if error is not None and not absorbed:
            return False
        if term.reason is EndReason.REFUSED and self._candidate.error is not None:
            raise self._candidate.error
        if term.reason is not EndReason.RESIGNED:
            raise TermLost(f"{term.namespace}/{term.name}", term.reason.value if term.reason else "")
        return absorbed


class Terms:
    """`async for` it: one term after another, contending again after every loss.

    Enter each (`async with term:`); the loop goes on when its body has ended, for whatever reason but
    an exception of its own. While no body runs and no next term is asked for, nothing contends, so
    leaving the loop from inside a body, or after it, leaves nothing behind.

    Raises from the loop:
        ApiError: the API server refuses for good.
    """

    def __init__(self, candidate: Candidate) -> None:
        self._candidate = candidate
        self._term: Term | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Term:
        if self._term is not None:
            await self._term.finish()
            if self._term.reason is EndReason.REFUSED and self._candidate.error is not None:
                raise self._candidate.error
        self._term = await win(self._candidate)
        return self._term


async def win(candidate: Candidate) -> Term:
    """Contend until the term is won; a cancelled wait leaves no trace."""
    candidate.start()
    try:
        record = await candidate.won()
    except BaseException:
        await candidate.finish()
        raise
    return Term(candidate, record)
