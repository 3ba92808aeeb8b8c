"""Elections told to the cluster: Kubernetes Events on the Lease, and a label on the leader's own pod.

Both are observers that only take note; a task of their own, in the LeaseClient's background, does the writing, so a
slow or refusing API server holds no election up. They are for people and dashboards: who leads is what the Lease says.

```python
async with lease_aio.connect() as leases, KubeEvents(leases) as events:
    async with leases.lead("example", observer=events) as term:
        ...
```
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from lease_aio.api import LEASES, Resource
from lease_aio.client import LeaseClient
from lease_aio.election import Event, Started, Stopping, TermRecord
from lease_aio.errors import AlreadyExists, NotFound
from lease_aio.model import KubeObject, ObjectMeta, Time, Wire
from lease_aio.model.wire import always
from lease_aio.telemetry.courier import Courier

REASON = "LeaderElection"
LEADER_LABEL = "lease-aio/leader"
_NOTES = 64  # taken and not yet written; what comes beyond is lost, and said once
_REQUEST_TIMEOUT_S = 5.0
_LONGEST_NAME = 253 - len(".") - 16  # of a Lease, in the name of an Event


class ObjectReference(Wire, frozen=True, kw_only=True):
    """What an Event is about."""

    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    api_version: str = ""
    resource_version: str = ""


class EventSource(Wire, frozen=True, kw_only=True):
    """Who reports an Event."""

    component: str = ""
    host: str = ""


class KubeEvent(KubeObject, frozen=True, kw_only=True):
    """An Event (core v1), as far as it is written here; the rest is kept in `extra`."""

    api_version: str = always("v1")
    kind: str = always("Event")
    involved_object: ObjectReference = ObjectReference()
    reason: str = ""
    message: str = ""
    source: EventSource = EventSource()
    first_timestamp: Time | None = None
    last_timestamp: Time | None = None
    count: int = 0
    type: str = ""
    reporting_component: str = ""


EVENTS: Resource[KubeEvent] = Resource(group="", version="v1", plural="events", type=KubeEvent)
PODS: Resource[KubeObject] = Resource(group="", version="v1", plural="pods", type=KubeObject)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Said:
    term: TermRecord
    message: str
    at_us: int


class KubeEvents(Courier[_Said]):
    """An observer that posts an Event on the Lease when a term starts and when it is over, in client-go's words.

    Reason `LeaderElection`, type `Normal`, message `<identity> became leader` or `<identity> stopped leading`: shown
    by `kubectl get events` and `kubectl describe lease`. Enter it inside the client's block and around the elections;
    one serves any number of them. Needs the right to `create` `events` in the Lease's namespace; where it is refused,
    that is logged once, and nothing more is tried. Leaving waits at most 3 s for what is not posted yet.

    Args:
        client: Whose server is told.
        component: What is named as the source.
    """

    def __init__(self, client: LeaseClient, *, component: str = "lease-aio") -> None:
        super().__init__(client, "kubernetes events", _NOTES)
        self._component = component
        self._lost = False

    def __call__(self, event: Event) -> None:
        """Take note of an event of an election."""
        match event:
            case Started():
                self._say(event.term, "became leader")
            case Stopping():
                self._say(event.term, "stopped leading")
            case _:
                pass

    def _say(self, term: TermRecord, what: str) -> None:
        said = _Said(term=term, message=f"{term.holder} {what}", at_us=self.client.engine.clock.wall_us())
        if not self.take(said) and not self._lost:
            self._lost = True
            self.log.warning("telemetry.lost", message=said.message, remedy=f"{_NOTES} wait for the API server")

    async def write(self, note: _Said) -> None:
        """Post one Event."""
        api, term = self.client.api, note.term
        try:
            uid = (await api.get(LEASES, term.lease, term.namespace, timeout_s=_REQUEST_TIMEOUT_S)).metadata.uid
        except NotFound:
            uid = ""  # `kubectl describe` will not find it, `kubectl get events` will
        with contextlib.suppress(AlreadyExists):  # the answer to the first attempt was lost
            await api.create(EVENTS, self._event(note, uid), timeout_s=_REQUEST_TIMEOUT_S)

    def _event(self, note: _Said, uid: str) -> KubeEvent:
        term, at = note.term, Time(note.at_us)
        name = (
            f"{term.lease[:_LONGEST_NAME].rstrip('.-')}.{note.at_us * 1000:x}"  # nanoseconds, as client-go names them
        )
        return KubeEvent(
            metadata=ObjectMeta(name=name, namespace=term.namespace),
            involved_object=ObjectReference(
                kind="Lease",
                namespace=term.namespace,
                name=term.lease,
                uid=uid,
                api_version="coordination.k8s.io/v1",
                resource_version=str(term.token),
            ),
            reason=REASON,
            message=note.message,
            source=EventSource(component=self._component),
            first_timestamp=at,
            last_timestamp=at,
            count=1,
            type="Normal",
            reporting_component=self._component,
        )


class PodLabel(Courier[None]):
    """An observer that labels this process's own pod `lease-aio/leader: "true"` while it leads.

    Enter it inside the client's block and around the elections; on entering, a label that a former container of the
    pod left behind is taken off. Needs the right to `patch` `pods`; where it is refused, that is logged once, and
    nothing more is tried. The label lags behind, and stays on a pod that crashed until it starts again: select pods
    by it for people and for reads, not for what only a leader may do.

    Args:
        client: Whose server has the pod.
        pod: The pod's name (`metadata.name`, by the downward API).
        namespace: The pod's namespace; the client's if left out.
        label: The label's key.
    """

    def __init__(
        self, client: LeaseClient, *, pod: str, namespace: str | None = None, label: str = LEADER_LABEL
    ) -> None:
        super().__init__(client, "the pod's label", most=2)  # one on its way, and one for all that changed since
        self._pod, self._namespace, self._label = pod, client.namespace if namespace is None else namespace, label
        self._terms: set[int] = set()

    async def __aenter__(self) -> Self:
        self.take(None)
        return await super().__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._terms.clear()
        self.take(None)
        await super().__aexit__(kind, error, trace)

    def __call__(self, event: Event) -> None:
        """Take note of an event of an election."""
        match event:
            case Started():
                self._terms.add(event.term.token)
                self.take(None)
            case Stopping():
                self._terms.discard(event.term.token)
                self.take(None)
            case _:
                pass

    async def write(self, note: None) -> None:
        """Bring the label up to date."""
        del note
        body = {"metadata": {"labels": {self._label: "true" if self._terms else None}}}
        api = self.client.api
        await api.patch(PODS, self._pod, self._namespace, body=body, timeout_s=_REQUEST_TIMEOUT_S)
