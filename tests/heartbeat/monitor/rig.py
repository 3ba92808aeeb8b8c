"""A judge with a clock that the test moves, and a cluster written down in a few words."""

from lease_aio.heartbeat.monitor import (
    Availability,
    DisruptionVerdict,
    Finding,
    Judge,
    MonitorSettings,
    NodeVerdict,
    Sight,
    SightVerdict,
    TaintVerdict,
    ZoneVerdict,
)
from lease_aio.model import (
    Lease,
    LeaseSpec,
    MicroTime,
    Node,
    NodeCondition,
    NodeSpec,
    NodeStatus,
    ObjectMeta,
    Taint,
    Time,
)

START = 5_000.0
WALL_START_US = 1_420_113_600_000_000  # 2015-01-01T12:00:00Z, where upstream's tests begin
HOUR_S = 3600.0
UNKNOWN, READY, NOT_READY, PENDING = (
    Availability.UNKNOWN,
    Availability.READY,
    Availability.NOT_READY,
    Availability.PENDING,
)
_STATUS = {READY: "True", NOT_READY: "False", UNKNOWN: "Unknown"}


class Cluster:
    """Says to a judge what a test says, and keeps what it answers. `wall_step_s` is by how much node clocks are off."""

    def __init__(self, settings=None, *, sight=Sight.FULL, **options):
        self.now = START
        self.judge = Judge(settings or MonitorSettings(**options), now=self.now, sight=sight)
        self.version = 100
        self.told = []
        self.live = {}  # what the server has of each Lease
        self.wall_step_s = 0.0

    @property
    def wall_us(self):
        return WALL_START_US + round((self.now - START) * 1e6)

    def hear(self, verdicts):
        self.told += verdicts
        return verdicts

    # what happens

    def node(
        self, name="n0", state=READY, *, heartbeat_s=None, created_s=None, zone="", taints=(), reason="", **labels
    ):
        """A Node: its times are seconds from the start, now unless given; `state=PENDING` has no condition."""
        now_s = self.now - START
        stamp = Time(WALL_START_US + round((now_s if heartbeat_s is None else heartbeat_s) * 1e6))
        created = Time(WALL_START_US + round((now_s if created_s is None else created_s) * 1e6))
        if zone:
            labels["topology.kubernetes.io/zone"] = zone
        labels = {key.replace("__", "/").replace("_", "-"): value for key, value in labels.items()}
        conditions = ()
        if state is not PENDING:
            ready = NodeCondition(
                type="Ready",
                status=_STATUS[state],
                reason=reason,
                last_heartbeat_time=stamp,
                last_transition_time=stamp,
            )
            conditions = (ready,)
        node = Node(
            metadata=ObjectMeta(name=name, uid=f"uid-{name}", creation_timestamp=created, labels=labels),
            spec=NodeSpec(taints=tuple(Taint(key=key, effect=effect) for key, effect in taints)),
            status=NodeStatus(conditions=conditions),
        )
        return self.hear(self.judge.node_set(node, now=self.now, wall_us=self.wall_us))

    def lease(self, name="n0", renewed_s=None, *, holder=None, no_time=False, told=True):
        """A renewal: renewTime in seconds from the start, now unless given. Untold: the watch does not bring it."""
        self.version += 1
        renewed = WALL_START_US + round((self.now - START + self.wall_step_s if renewed_s is None else renewed_s) * 1e6)
        lease = Lease(
            metadata=ObjectMeta(name=name, namespace="kube-node-lease", resource_version=str(self.version)),
            spec=LeaseSpec(
                holder_identity=name if holder is None else holder,
                lease_duration_seconds=40,
                renew_time=None if no_time else MicroTime(renewed),
            ),
        )
        self.live[name] = lease
        if told:
            self.tell(name)

    def tell(self, name):
        """The watch brings what the server has."""
        self.hear(self.judge.lease_set(self.live[name], now=self.now, wall_us=self.wall_us))

    def lease_gone(self, name="n0"):
        self.live.pop(name, None)
        self.hear(self.judge.lease_gone(name, now=self.now, wall_us=self.wall_us))

    def node_gone(self, name="n0"):
        self.hear(self.judge.node_gone(name, now=self.now))

    # time

    def passes(self, seconds=0.0, *, ask=False, each=None):
        """Let time pass with a pass every period; without seconds, one pass now. `each` is called before each."""
        end = self.now + seconds
        while True:
            self.now = min(end, self.now + self.judge.settings.period_s)
            if each is not None:
                each()
            self.one_pass(ask=ask)
            if self.now >= end:
                return

    def one_pass(self, *, ask=False):
        """One pass; asked, the server tells what it has of the expired."""
        found = self.judge.examine(now=self.now, wall_us=self.wall_us)
        spared = ()
        if ask:
            confirm = self.judge.confirm
            spared = [name for name in found.expired if not confirm(name, self.live.get(name), now=self.now)]
        return self.hear(self.judge.conclude(found, now=self.now, spared=spared))

    def quiet(self, seconds):
        """Let time pass without a pass."""
        self.now += seconds

    # what was told

    def state(self, name="n0"):
        return self.judge.nodes[name].state

    def of(self, kind):
        return [one for one in self.told if isinstance(one, kind)]

    @property
    def findings(self):
        """Of nodes, in order, but not that they are new."""
        return [(one.node, one.finding) for one in self.of(NodeVerdict) if one.finding is not Finding.NEW]

    @property
    def taints(self):
        """As they stand by what was told: of each node, effects and the last part of keys."""
        standing = {}
        for one in self.of(TaintVerdict):
            of_node = standing.setdefault(one.node, set())
            (of_node.add if one.added else of_node.discard)((one.effect.value, one.key.rpartition("/")[2]))
        return {name: sorted(some) for name, some in standing.items() if some}

    @property
    def zone_changes(self):
        return [(str(one.zone), one.state.value, one.rate_per_s) for one in self.of(ZoneVerdict)]

    @property
    def sights(self):
        return [one.sight for one in self.of(SightVerdict)]

    @property
    def stops(self):
        return [one.stopped for one in self.of(DisruptionVerdict)]


def rates(cluster):
    """Of each zone."""
    return {str(one.zone): one.rate_per_s for one in cluster.judge.zones}
