"""What user code holds: a `Term`, and the two ways to come by one."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self, cast

import anyio

from lease_aio.election.candidate import Candidate
from lease_aio.election.events import EndReason, TermRecord
from lease_aio.errors import ConfigurationError, TermLost
from lease_aio.log import get_logger


class Term:
    """A time in which this process, and no other, holds the Lease.

    Guarantees: no two terms overlap while clock rates differ by at most `Timing.clock_error`, the work
    stops within `Timing.stop_grace_s` once it is told to, and the process is not frozen. Beyond that
    (a process stopped for a minute believes in its term until its next look at the clock) only the
    fencing `token`, compared where the work takes effect, keeps a stale write out.

    As a context manager it guards the work: the body is cancelled when the term ends, the Lease is
    renewed until the body has stopped, and released only then. The cancellation by the term's end is
    absorbed here, and so is the `TermLost` of its own `check`; all other exceptions pass.

    Enter and leave it in the task that does the work, for it is that task that is cancelled. (On Python 3.11
    `asyncio.wait_for` runs what it is given in another one: put `asyncio.timeout` around the entering instead.)

    Work in a thread has stopped only when the thread has: start it by `anyio.to_thread.run_sync`, which waits for it
    when the body is cancelled. `asyncio.to_thread` does not, and the Lease would be released under it.
    """

    def __init__(self, candidate: Candidate, record: TermRecord) -> None:
        self._candidate, self._record = candidate, record
        self._scope = anyio.CancelScope()
        self._lost = anyio.Event()
        self._reason: EndReason | None = None
        self._finished = False
        self._body: asyncio.Task[Any] | None = None  # while inside: the task that entered
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
    def appointed(self) -> bool:
        """A coordinator chose the holder; False in a plain election, and where a coordinated candidate fell back."""
        return self._record.appointed

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
            raise TermLost(self._lease, reason.value, self.token)

    async def lost(self) -> EndReason:
        """Wait until the work is told to stop, and why; for work that is not inside the term's body."""
        await self._lost.wait()
        assert self._reason is not None
        return self._reason

    def resign(self) -> None:
        """Step down: the body is cancelled, and the Lease released when it has stopped."""
        if not self._finished:
            self._candidate.resign()

    def transfer_to(self, identity: str) -> None:
        """Step down in favour of another candidate: as `resign`, and the released Lease names it.

        Candidates of this package leave the Lease to it for two of their retry intervals; if it has not come by then,
        any of them takes it. Other clients do not know of this and may win. Never unsafe: the hint only delays.

        Raises:
            ConfigurationError: the identity is empty, or the holder's own.
        """
        if not identity or identity == self.holder:
            raise ConfigurationError(f"identity {identity!r} must be another candidate's; use resign() to let any win")
        if not self._finished:
            self._candidate.resign(identity)

    def _stopping(self) -> None:
        self._reason = self._candidate.stop_reason
        self._lost.set()
        self._scope.cancel("the term is over")

    async def __aenter__(self) -> Self:
        """Begin the work.

        Raises:
            TermLost: the term is over, so its work may not begin. Not if it was resigned: while it is not finished, the
                Lease is still held, and the body is cancelled at once.
            ConfigurationError: it is entered already.
        """
        if self._finished:
            raise TermLost(self._lease, self._reason.value if self._reason else "", self.token)
        if self._body is None and self._reason is not EndReason.RESIGNED:
            self.check()
        if self._body is not None:
            raise ConfigurationError(f"the term on Lease {self._lease} is entered already: it guards one body")
        self._scope.__enter__()
        self._body = asyncio.current_task()
        if self._body is not None:
            self._body.add_done_callback(self._unguarded)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        try:
            return bool(self._scope.__exit__(kind, error, trace)) or self.is_own_loss(error)
        finally:  # whatever the scope raises, such as what is left of a group, the body has ended
            self._left()
            await self.finish()

    def is_own_loss(self, error: BaseException | None) -> bool:
        """Whether that is what `check` raised, and nothing else, be it in the groups of task groups."""
        if isinstance(error, BaseExceptionGroup):
            return all(self.is_own_loss(one) for one in cast("BaseExceptionGroup[BaseException]", error).exceptions)
        return isinstance(error, TermLost) and error.token == self.token

    def _left(self) -> None:
        if self._body is not None:
            self._body.remove_done_callback(self._unguarded)
            self._body = None

    def _unguarded(self, entered_by: asyncio.Task[Any]) -> None:
        """The task that entered has ended inside: whoever works now cannot be cancelled."""
        get_logger("election").error(
            "election.term_unguarded",
            lease=self._lease,
            token=self.token,
            task=entered_by.get_name(),
            remedy="enter and leave the term in the task that does the work",
        )

    async def finish(self) -> None:
        """The work has stopped: release the Lease. Done by leaving the body; repeated calls do nothing.

        Raises:
            ConfigurationError: the body still runs. Leave it, or `resign`.
        """
        if self._body is not None and not self._body.done():
            raise ConfigurationError(
                f"the term on Lease {self._lease} cannot be finished, nor followed by the next, while its body runs: "
                "leave the body first; `resign` makes it stop"
            )
        if not self._finished:
            self._finished = True
            ended = await self._candidate.finish()
            self._reason = self._reason or ended.reason
            self._lost.set()

    @property
    def _lease(self) -> str:
        return f"{self.namespace}/{self.name}"


class Leadership:
    """`async with` it: waits for the term, gives it to the body, releases it at the end.

    Raises at the end of the body:
        TermLost: the term ended before the work did (the body was cancelled). Not if `Term.resign` ended it.
        ApiError: the API server refused the renewal for good.

    An exception of the body's own passes as it is, also where the term was lost too. It may be entered again after
    it was left, but not before: that raises `ConfigurationError`.
    """

    def __init__(self, candidate: Candidate) -> None:
        self._candidate = candidate
        self._term: Term | None = None

    async def __aenter__(self) -> Term:
        self._term = term = await win(self._candidate)
        try:
            return await term.__aenter__()
        except TermLost:  # it ended in this very moment
            await term.finish()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        term = self._term
        assert term is not None
        absorbed = await term.__aexit__(kind, error, trace)
        if error is not None and (not absorbed or term.is_own_loss(error)):
            return False
        if term.reason is EndReason.REFUSED and self._candidate.error is not None:
            raise self._candidate.error
        if term.reason is not EndReason.RESIGNED:
            raise TermLost(f"{term.namespace}/{term.name}", term.reason.value if term.reason else "", term.token)
        return absorbed


class Terms:
    """`async for` it: one term after another, contending again after every loss.

    Enter each (`async with term:`); the loop goes on when its body has ended, for whatever reason but
    an exception of its own, which the `TermLost` of `term.check` is not. While no body runs and no next
    term is asked for, nothing contends, so leaving the loop from inside a body, or after it, leaves nothing
    behind. A term that is never entered is held until the next is asked for, or the client is left.

    Raises from the loop:
        ApiError: the API server refuses for good. Asked again, it contends again.
        ConfigurationError: the last term's body still runs, or another task asks already.
    """

    def __init__(self, candidate: Candidate) -> None:
        self._candidate = candidate
        self._term: Term | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Term:
        if self._term is not None:
            await self._term.finish()
            refused, self._term = self._term.reason is EndReason.REFUSED, None
            if refused and self._candidate.error is not None:
                raise self._candidate.error
        self._term = await win(self._candidate)
        return self._term


async def win(candidate: Candidate) -> Term:
    """Contend until a term is won whose work may begin; a cancelled wait leaves no trace.

    Between the winning answer and this task's turn the loop may have been blocked, or the machine asleep, for longer
    than the term lasts; or the Lease was lost again. Then it contends anew.
    """
    while True:
        candidate.start()
        try:
            record = await candidate.won()
        except BaseException:
            await candidate.finish()
            raise
        if candidate.valid_for(record) > 0 or candidate.stop_reason is EndReason.RESIGNED:
            return Term(candidate, record)
        await candidate.finish()
