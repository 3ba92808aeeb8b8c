"""A renewer in dialogue with a scripted server, without a clock or a loop."""

from dataclasses import dataclass, field

from lease_aio.errors import AlreadyExists, ApiError, Call, Conflict, NotFound, Refused, Throttled, Unavailable
from lease_aio.heartbeat.renewal.renewer import Create, Next, Read, ReadOwner, Renewer, Replace
from lease_aio.model import Lease, LeaseSpec, MicroTime, Node, ObjectMeta, OwnerReference, Time

CALL = Call(verb="update", resource="leases.coordination.k8s.io", namespace="kube-node-lease", name="n1")
CONFLICT = Conflict(CALL, "the object has been modified", status=409)
EXISTS = AlreadyExists(CALL, "already exists", status=409)
MISSING = NotFound(CALL, "not found", status=404)
REFUSED = Refused(CALL, "forbidden", status=403)
TIMEOUT = Unavailable(CALL, "timed out", outcome_unknown=True)

START = 1000.0
WALL_US = 1_750_000_000_000_000
CREATED = Time(1_740_000_000_000_000)
WORDS = {Read: "GET", ReadOwner: "GET Node", Create: "POST", Replace: "PUT"}


def owner(uid="node-uid", **more):
    return OwnerReference(api_version="v1", kind="Node", name="n1", uid=uid, **more)


def stored(version="7", *, uid="lease-uid", holder="n1", duration_s=40, owners=(), **metadata):
    """A Lease as a server hands it out."""
    meta = ObjectMeta(
        name="n1",
        namespace="kube-node-lease",
        uid=uid,
        resource_version=version,
        creation_timestamp=CREATED,
        owner_references=tuple(owners),
        **metadata,
    )
    spec = LeaseSpec(holder_identity=holder, lease_duration_seconds=duration_s, renew_time=MicroTime(WALL_US - 1))
    return Lease(metadata=meta, spec=spec)


def node(uid="node-uid"):
    return Node(metadata=ObjectMeta(name="n1", uid=uid))


def throttled(retry_after_s):
    return Throttled(CALL, "slow down", status=429, retry_after_s=retry_after_s)


@dataclass
class Dialogue:
    """Says what the server answers, and notes what was asked, when, and what followed."""

    renewer: Renewer
    now: float = START
    wall_us: int = WALL_US
    asked: list[str] = field(default_factory=list)
    written: list[Lease] = field(default_factory=list)
    repeated: int = 0

    def hears(self, *answers: Lease | Node | ApiError) -> Next:
        """Let the renewer ask once for each answer, each time when it is due; returns what followed the last."""
        for answer in answers:
            step = self._one(answer)
        return step

    def _one(self, answer: Lease | Node | ApiError) -> Next:
        self.wall_us += 1000
        request = self.renewer.request(self.wall_us)
        self.asked.append(WORDS[type(request)])
        if isinstance(request, (Create, Replace)):
            self.written.append(request.lease)
        take = self.renewer.failed if isinstance(answer, ApiError) else self.renewer.succeeded
        step = take(answer, self.now)
        self.repeated += step.repeated
        self.waited_s = step.due - self.now
        self.now = step.due
        return step
