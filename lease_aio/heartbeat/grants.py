"""What a fleet has to be allowed to do, for those to whom it is refused. Pure."""

from __future__ import annotations

from lease_aio.errors import ApiError, Refused

_RULES = {
    "leases.coordination.k8s.io": (
        'apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["get", "create", "update", "delete"]'
    ),
    "nodes": 'apiGroups: [""], resources: ["nodes"], verbs: ["get", "list", "watch", "create", "patch", "delete"]',
    "nodes/status": 'apiGroups: [""], resources: ["nodes/status"], verbs: ["patch"]',
}


def remedy(error: ApiError) -> str:
    """What to put into a ClusterRole, for what was refused."""
    call = error.call
    rule = _RULES.get(call.resource, f'resources: ["{call.resource}"], verbs: ["{call.verb}"]')
    return f"{call.verb} {call.resource} is not granted: have a ClusterRole with the rule {{{rule}}} bound to this user"


def with_remedy(error: Refused) -> Refused:
    """The same error, saying what to grant."""
    return Refused(
        error.call,
        f"{error.server_message} ({remedy(error)})",
        status=error.status,
        reason=error.reason,
        retry_after_s=error.retry_after_s,
    )
