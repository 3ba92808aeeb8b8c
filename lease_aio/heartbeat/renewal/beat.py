"""One lease in the shared scheduler: performs what its renewer asks for."""

from __future__ import annotations

from lease_aio.api.protocol import LEASES, NODES
from lease_aio.errors import ApiError, Call
from lease_aio.heartbeat.renewal.renewer import Create, Next, Read, Renewer, Replace, Request
from lease_aio.heartbeat.sender import BeatGroup, Sender
from lease_aio.heartbeat.states import Trouble
from lease_aio.model import Lease, MicroTime, Node
from lease_aio.scheduler import Verdict
from lease_aio.scheduler.renewal import State


class Beat(Sender[Request, Lease | Node]):
    """Keeps one lease alive through a scheduler.

    Errors of the API server are counted, kept and told to the observer, and the renewer's rules go on.

    Args:
        group: Shared by many.
        renewer: The rules, and what is remembered of the lease.
        due: When to start, on the group's clock.
        created_uid: Of the lease, if this process created it.
        creating: The renewTime in a create to which no answer has come.

    Attributes:
        renewer: As given.
        created_uid: Of the lease, if it did not exist before: whoever cleans up may delete that one, and no other.
        creating: The renewTime in a create to which no answer has come: a lease that bears it was made by that.
    """

    __slots__ = ("_starts_pass", "created_uid", "creating", "renewer")

    def __init__(
        self,
        group: BeatGroup,
        renewer: Renewer,
        *,
        due: float,
        created_uid: str = "",
        creating: MicroTime | None = None,
    ) -> None:
        self.renewer = renewer
        self.created_uid = created_uid
        self.creating = creating
        self._starts_pass = True
        super().__init__(group, due)

    @property
    def name(self) -> str:
        """The lease's name, which is the node's."""
        return self.renewer.name

    @property
    def timeout_s(self) -> float:
        """See `Sender.timeout_s`."""
        return self.renewer.rules.request_timeout_s

    @property
    def period_s(self) -> float:
        """See `Sender.period_s`."""
        return self.renewer.rules.renew_interval_s

    @property
    def lasts_s(self) -> float:
        """See `Sender.lasts_s`."""
        return self.renewer.rules.lease_duration_s

    def reborn(self, due: float) -> Beat:
        """A beat for the same lease that remembers nothing of it, as a process that was started again.

        It is this one, unless a request of the old process is under way still.
        """
        if self.renewal.state is State.IDLE:
            self.renewer.forget()
            self.last_error = None
            self._starts_pass = True
            self.goes_on(due)
            return self
        old = self.renewer
        return Beat(
            self._group,
            Renewer(old.rules, old.name, old.holder),
            due=due,
            created_uid=self.created_uid,
            creating=self.creating,
        )

    def reconnects(self, now: float) -> float:
        """See `Sender.reconnects`: it reads the lease at once."""
        self._group.held.pop(self, None)
        self._starts_pass = True
        self.renewer.reread()
        return now

    def resumes(self, now: float) -> float:
        """See `Sender.resumes`: what was due meanwhile is due now."""
        return max(now, self.renewal.due)

    def _begins(self) -> None:
        if self._starts_pass:
            self._group.tally.began(self._group.clock.now(), self.renewal.due)

    def _request(self, wall_us: int) -> Request:
        return self.renewer.request(wall_us)

    def _hold(self, request: Request, delay_s: float) -> Verdict:
        self._starts_pass = False
        return super()._hold(request, delay_s)

    async def _perform(self, request: Request, timeout_s: float) -> Lease | Node:
        api = self._group.api
        match request:
            case Replace(lease=lease):
                return await api.replace(LEASES, lease, timeout_s=timeout_s)
            case Create(lease=lease):
                self.creating = lease.spec.renew_time
                return await api.create(LEASES, lease, timeout_s=timeout_s)
            case Read():
                return await api.get(LEASES, self.name, self.renewer.rules.namespace, timeout_s=timeout_s)
            case _:
                return await api.get(NODES, self.name, timeout_s=timeout_s)

    def _answered(self, request: Request, answer: Lease | Node) -> Verdict:
        now = self._group.clock.now()
        step = self.renewer.succeeded(answer, now)
        if step.renewed:
            self._group.tally.renewed(now, self.renewal.last_success)
        if self.creating is not None and isinstance(answer, Lease):
            self._note_created(request, answer)
        return self._verdict(step, now, None)

    def _note_created(self, request: Request, lease: Lease) -> None:
        """Whether a create made this lease: it was answered, or the lease bears the very time that was written."""
        if isinstance(request, Create) or lease.spec.renew_time == self.creating:
            self.created_uid = lease.metadata.uid
        self.creating = None

    def _failed(self, error: ApiError) -> Verdict:
        now = self._group.clock.now()
        step = self.renewer.failed(error, now)
        if step.failed:
            self.last_error = error
            self._group.failed(self.name, now, error)
        return self._verdict(step, now, error)

    def _verdict(self, step: Next, now: float, error: ApiError | None) -> Verdict:
        self._starts_pass = step.pass_over
        if self._group.observer is not None:
            self._group.observer(self, step, error)
        return Verdict(
            due=self._due_in_trouble(step.due, now) if self._group.troubles else step.due,
            renewed=step.renewed,
            failed=step.failed,
            sent=error is None or error.sent,
            # Until it is renewed a lease keeps its deadline, so those that have waited longest go first.
            deadline=now + self.renewer.rules.lease_duration_s if step.renewed else self.renewal.deadline,
            retry_after_s=None if error is None else error.retry_after_s,
        )

    def _due_after(self, trouble: Trouble, due: float, now: float) -> float:
        if not trouble.rereads:
            return due
        trouble.rereads = False
        self._group.settle(self.name, trouble)
        return self.reconnects(now)

    def _call(self) -> Call:
        return Call(verb="update", resource=LEASES.label, namespace=self.renewer.rules.namespace, name=self.name)
