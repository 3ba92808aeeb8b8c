"""The shapes of the objects that the embedded server knows, field by field.

Names and types are those of the Kubernetes API (`k8s.io/api`: coordination/v1, coordination/v1beta1,
core/v1); what is said about each field is what `kubectl explain` prints.
"""

from __future__ import annotations

from lease_aio.server.schema import Empty, Field, Many, Scalar, Struct

OWNER_REFERENCE = Struct(
    name="OwnerReference",
    about="Names an object on which this one depends.",
    fields=(
        Field(name="apiVersion", type=Scalar.STRING, empty=Empty.WRITTEN, about="API version of the owner."),
        Field(name="kind", type=Scalar.STRING, empty=Empty.WRITTEN, about="Kind of the owner."),
        Field(name="name", type=Scalar.STRING, empty=Empty.WRITTEN, about="Name of the owner."),
        Field(name="uid", type=Scalar.STRING, empty=Empty.WRITTEN, about="UID of the owner."),
        Field(name="controller", type=Scalar.BOOLEAN, empty=Empty.KEPT, about="Whether the owner manages it."),
        Field(
            name="blockOwnerDeletion",
            type=Scalar.BOOLEAN,
            empty=Empty.KEPT,
            about="Whether a foreground deletion of the owner waits for this object.",
        ),
    ),
)

OBJECT_META = Struct(
    name="ObjectMeta",
    about="Standard metadata of every object.",
    fields=(
        Field(name="name", type=Scalar.STRING, about="Unique within the namespace; never changes."),
        Field(name="generateName", type=Scalar.STRING, about="Prefix to which the server adds five characters."),
        Field(name="namespace", type=Scalar.STRING, about="The namespace in which the name is unique."),
        Field(name="selfLink", type=Scalar.STRING, about="No longer used."),
        Field(name="uid", type=Scalar.STRING, about="Unique in time and space; set by the server."),
        Field(name="resourceVersion", type=Scalar.STRING, about="Changes with every write; opaque to clients."),
        Field(name="generation", type=Scalar.INT64, about="Generation of the desired state."),
        Field(name="creationTimestamp", type=Scalar.TIME, about="When the object was created; set by the server."),
        Field(name="deletionTimestamp", type=Scalar.TIME, about="Since when the object is being deleted."),
        Field(
            name="deletionGracePeriodSeconds",
            type=Scalar.INT64,
            empty=Empty.KEPT,
            about="Seconds that the object may take to end.",
        ),
        Field(name="labels", type=Scalar.STRING_MAP, about="Keys and values by which objects are selected."),
        Field(name="annotations", type=Scalar.STRING_MAP, about="Keys and values that tools keep on the object."),
        Field(
            name="ownerReferences",
            type=Many(item=OWNER_REFERENCE, merge_key="uid"),
            about="Objects on which this one depends.",
        ),
        Field(
            name="finalizers",
            type=Many(item=Scalar.STRING, as_set=True),
            about="What must be done before the object may go.",
        ),
        Field(name="managedFields", type=Scalar.ANY, about="Accepted and not kept by this server."),
    ),
)

LEASE_SPEC = Struct(
    name="LeaseSpec",
    about="Who holds the lease, and until when.",
    fields=(
        Field(name="holderIdentity", type=Scalar.STRING, empty=Empty.KEPT, about="Who holds the lease now."),
        Field(
            name="leaseDurationSeconds",
            type=Scalar.INT32,
            empty=Empty.KEPT,
            about="Seconds after renewTime that a candidate must wait before it takes the lease by force.",
        ),
        Field(name="acquireTime", type=Scalar.MICRO_TIME, empty=Empty.KEPT, about="When the lease was acquired."),
        Field(name="renewTime", type=Scalar.MICRO_TIME, empty=Empty.KEPT, about="When the holder last renewed it."),
        Field(
            name="leaseTransitions",
            type=Scalar.INT32,
            empty=Empty.KEPT,
            about="How often the lease has passed from one holder to another.",
        ),
        Field(
            name="strategy",
            type=Scalar.STRING,
            empty=Empty.KEPT,
            about="How a coordinated election picks its leader.",
        ),
        Field(
            name="preferredHolder",
            type=Scalar.STRING,
            empty=Empty.KEPT,
            about="To whom a coordinated election asks the holder to yield.",
        ),
    ),
)

LEASE_CANDIDATE_SPEC = Struct(
    name="LeaseCandidateSpec",
    about="A candidate of a coordinated election.",
    fields=(
        Field(name="leaseName", type=Scalar.STRING, empty=Empty.WRITTEN, about="The lease that is contended for."),
        Field(
            name="pingTime",
            type=Scalar.MICRO_TIME,
            empty=Empty.KEPT,
            about="When the coordinator last asked for a sign of life.",
        ),
        Field(
            name="renewTime",
            type=Scalar.MICRO_TIME,
            empty=Empty.KEPT,
            about="When the candidate last gave a sign of life.",
        ),
        Field(
            name="binaryVersion",
            type=Scalar.STRING,
            empty=Empty.WRITTEN,
            about="Semantic version of the binary, without a leading v.",
        ),
        Field(name="emulationVersion", type=Scalar.STRING, about="Version that the candidate emulates."),
        Field(name="strategy", type=Scalar.STRING, about="The strategy that the candidate asks for."),
    ),
)

NODE_CONDITION = Struct(
    name="NodeCondition",
    about="One observed condition of a node.",
    open=True,
    fields=(
        Field(name="type", type=Scalar.STRING, empty=Empty.WRITTEN, about="For example Ready."),
        Field(name="status", type=Scalar.STRING, empty=Empty.WRITTEN, about="True, False or Unknown."),
        Field(
            name="lastHeartbeatTime",
            type=Scalar.TIME,
            empty=Empty.WRITTEN,
            about="When the condition was last reported.",
        ),
        Field(name="lastTransitionTime", type=Scalar.TIME, empty=Empty.WRITTEN, about="When the status last changed."),
        Field(name="reason", type=Scalar.STRING, about="Machine-readable reason."),
        Field(name="message", type=Scalar.STRING, about="Reason in words."),
    ),
)

NODE_ADDRESS = Struct(
    name="NodeAddress",
    about="One address of a node.",
    open=True,
    fields=(
        Field(name="type", type=Scalar.STRING, empty=Empty.WRITTEN, about="For example InternalIP or Hostname."),
        Field(name="address", type=Scalar.STRING, empty=Empty.WRITTEN, about="The address."),
    ),
)

TAINT = Struct(
    name="Taint",
    about="Keeps pods that do not tolerate it off the node.",
    open=True,
    fields=(
        Field(name="key", type=Scalar.STRING, empty=Empty.WRITTEN, about="Key of the taint."),
        Field(name="value", type=Scalar.STRING, about="Value of the taint."),
        Field(name="effect", type=Scalar.STRING, empty=Empty.WRITTEN, about="NoSchedule or NoExecute, for example."),
        Field(name="timeAdded", type=Scalar.TIME, about="When the taint was added."),
    ),
)

NODE_SPEC = Struct(
    name="NodeSpec",
    about="Desired state of a node. Fields not listed here are kept as they are.",
    open=True,
    fields=(
        Field(name="providerID", type=Scalar.STRING, about="Identity of the machine at its provider."),
        Field(name="unschedulable", type=Scalar.BOOLEAN, about="Whether new pods stay away."),
        Field(name="taints", type=Many(item=TAINT), about="The taints of the node."),
    ),
)

_ENDPOINT = Struct(
    name="DaemonEndpoint",
    about="Where a daemon of the node listens.",
    fields=(Field(name="Port", type=Scalar.INT32, empty=Empty.WRITTEN, about="Port number."),),
)

_ENDPOINTS = Struct(
    name="NodeDaemonEndpoints",
    about="Where the daemons of the node listen.",
    fields=(Field(name="kubeletEndpoint", type=_ENDPOINT, empty=Empty.WRITTEN, about="The kubelet."),),
)

_NODE_INFO = Struct(
    name="NodeSystemInfo",
    about="The machine and its software.",
    open=True,
    fields=tuple(
        Field(name=name, type=Scalar.STRING, empty=Empty.WRITTEN, about=about)
        for name, about in (
            ("machineID", "Identity of the machine in its cluster."),
            ("systemUUID", "Identity of the hardware."),
            ("bootID", "Changes with every boot."),
            ("kernelVersion", "Version of the kernel."),
            ("osImage", "Name of the operating system."),
            ("containerRuntimeVersion", "Container runtime and its version."),
            ("kubeletVersion", "Version of the kubelet."),
            ("kubeProxyVersion", "No longer used."),
            ("operatingSystem", "For example linux."),
            ("architecture", "For example amd64."),
        )
    ),
)

NODE_STATUS = Struct(
    name="NodeStatus",
    about="Observed state of a node. Fields not listed here are kept as they are.",
    open=True,
    fields=(
        Field(name="conditions", type=Many(item=NODE_CONDITION, merge_key="type"), about="Observed conditions."),
        Field(name="daemonEndpoints", type=_ENDPOINTS, empty=Empty.WRITTEN, about="Where its daemons listen."),
        Field(name="nodeInfo", type=_NODE_INFO, empty=Empty.WRITTEN, about="The machine and its software."),
        Field(name="addresses", type=Many(item=NODE_ADDRESS, merge_key="type"), about="Addresses of the node."),
    ),
)

NAMESPACE_SPEC = Struct(
    name="NamespaceSpec",
    about="Desired state of a namespace.",
    fields=(Field(name="finalizers", type=Many(item=Scalar.STRING), about="What must be done before it may go."),),
)

NAMESPACE_STATUS = Struct(
    name="NamespaceStatus",
    about="Observed state of a namespace.",
    open=True,
    fields=(Field(name="phase", type=Scalar.STRING, about="Active or Terminating."),),
)

_OBJECT_REFERENCE = Struct(
    name="ObjectReference",
    about="The object that the event is about.",
    fields=tuple(
        Field(name=name, type=Scalar.STRING, about=about)
        for name, about in (
            ("kind", "Kind of the object."),
            ("namespace", "Its namespace, which is the event's, too."),
            ("name", "Its name."),
            ("uid", "Its identity."),
            ("apiVersion", "Its group and version."),
            ("resourceVersion", "The version that the event speaks of."),
            ("fieldPath", "A part of the object."),
        )
    ),
)

_EVENT_SOURCE = Struct(
    name="EventSource",
    about="Who reports the event.",
    fields=(
        Field(name="component", type=Scalar.STRING, about="The component."),
        Field(name="host", type=Scalar.STRING, about="The node that it runs on."),
    ),
)

_EVENT_SERIES = Struct(
    name="EventSeries",
    about="How often it happened.",
    fields=(
        Field(name="count", type=Scalar.INT32, about="Times so far."),
        Field(name="lastObservedTime", type=Scalar.MICRO_TIME, empty=Empty.WRITTEN, about="When it last happened."),
    ),
)


def top_level(kind: str, about: str, *parts: Field) -> Struct:
    """The struct of a whole object: kind, apiVersion, metadata and its own parts."""
    return Struct(
        name=kind,
        about=about,
        fields=(
            Field(name="kind", type=Scalar.STRING, about="Kind of the object."),
            Field(name="apiVersion", type=Scalar.STRING, about="Group and version of the object."),
            Field(name="metadata", type=OBJECT_META, empty=Empty.WRITTEN, about="Standard metadata."),
            *parts,
        ),
    )


def part(name: str, struct: Struct) -> Field:
    """A part of an object that is always written, even if empty."""
    return Field(name=name, type=struct, empty=Empty.WRITTEN, about=struct.about)


LEASE = top_level("Lease", "A record by which processes coordinate.", part("spec", LEASE_SPEC))
LEASE_CANDIDATE = top_level(
    "LeaseCandidate", "A candidate of a coordinated leader election.", part("spec", LEASE_CANDIDATE_SPEC)
)
NODE = top_level("Node", "A machine of the cluster.", part("spec", NODE_SPEC), part("status", NODE_STATUS))
NAMESPACE = top_level("Namespace", "A scope for names.", part("spec", NAMESPACE_SPEC), part("status", NAMESPACE_STATUS))
EVENT = top_level(
    "Event",
    "Something that happened to an object.",
    Field(name="involvedObject", type=_OBJECT_REFERENCE, empty=Empty.WRITTEN, about=_OBJECT_REFERENCE.about),
    Field(name="reason", type=Scalar.STRING, about="Why, as one word for machines."),
    Field(name="message", type=Scalar.STRING, about="What happened, for people."),
    Field(name="source", type=_EVENT_SOURCE, empty=Empty.WRITTEN, about=_EVENT_SOURCE.about),
    Field(name="firstTimestamp", type=Scalar.TIME, empty=Empty.WRITTEN, about="When it first happened."),
    Field(name="lastTimestamp", type=Scalar.TIME, empty=Empty.WRITTEN, about="When it last happened."),
    Field(name="count", type=Scalar.INT32, about="How often it happened."),
    Field(name="type", type=Scalar.STRING, about="Normal or Warning."),
    Field(name="eventTime", type=Scalar.MICRO_TIME, empty=Empty.WRITTEN, about="When it was first observed."),
    Field(name="series", type=_EVENT_SERIES, about=_EVENT_SERIES.about),
    Field(name="action", type=Scalar.STRING, about="What was done about the object."),
    Field(name="related", type=_OBJECT_REFERENCE, about="A second object that has to do with it."),
    Field(name="reportingComponent", type=Scalar.STRING, empty=Empty.WRITTEN, about="The controller that reports it."),
    Field(name="reportingInstance", type=Scalar.STRING, empty=Empty.WRITTEN, about="The instance of that controller."),
)

DELETE_OPTIONS = Struct(
    name="DeleteOptions",
    about="How an object is to be deleted.",
    fields=(
        Field(name="kind", type=Scalar.STRING),
        Field(name="apiVersion", type=Scalar.STRING),
        Field(name="gracePeriodSeconds", type=Scalar.INT64, empty=Empty.KEPT),
        Field(
            name="preconditions",
            type=Struct(
                name="Preconditions",
                about="What must be true of the object.",
                fields=(Field(name="uid", type=Scalar.STRING), Field(name="resourceVersion", type=Scalar.STRING)),
            ),
        ),
        Field(name="orphanDependents", type=Scalar.BOOLEAN, empty=Empty.KEPT),
        Field(name="propagationPolicy", type=Scalar.STRING, empty=Empty.KEPT),
        Field(name="dryRun", type=Many(item=Scalar.STRING)),
    ),
)
