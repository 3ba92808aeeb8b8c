"""Names that cannot collide, and names that an API server will take.

Pure, but for the defaults of `candidate_identity`, which read the environment and the host name.
"""

from __future__ import annotations

import base64
import contextlib
import enum
import hashlib
import os
import re
import socket
import uuid

from lease_aio.errors import ConfigurationError

KUBE_APISERVER = "kube-apiserver"
"""The server name that kube-apiserver hashes into its identity, and the value of its identity label."""

_LABEL_MAX = 63
_SUBDOMAIN_MAX = 253
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", re.ASCII)
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII)
_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?", re.ASCII)
_HASH = re.compile(r"[a-z2-7]{26}", re.ASCII)
_NOT_IN_NAMES = re.compile(r"[^-._a-zA-Z0-9]", re.ASCII)  # of a LeaseCandidate
_UUID_LENGTH = 36


class IdentityStyle(enum.Enum):
    """How a release of Kubernetes names the Lease of an API server."""

    RANDOM = "1.20"
    """1.20 to 1.25: `kube-apiserver-` and a UUID, new at every start."""

    HOST = "1.26"
    """1.26: `kube-apiserver-` and a hash of the host name."""

    HOST_AND_SERVER = "1.27"
    """1.27 and later: `apiserver-` and a hash of host name and server name."""


def apiserver_identity_name(hostname: str, server: str = KUBE_APISERVER) -> str:
    """The name of the identity Lease that kube-apiserver 1.27 and later publishes on that host.

    Args:
        hostname: The operating system's host name, as it is (no lower-casing, no domain cut off).
        server: Another server name on the same host gives another Lease.

    Raises:
        ConfigurationError: one of them is empty, or longer than the two bytes that count it.
    """
    return "apiserver-" + _hash(_counted("hostname", hostname) + _counted("server", server))


def old_identity_name(hostname: str) -> str:
    """The name that kube-apiserver 1.26 published on that host; newer ones use `apiserver_identity_name`."""
    return "kube-apiserver-" + _hash(hostname.encode())


def identity_style(name: str) -> IdentityStyle | None:
    """Which releases name the Lease of an API server like this; None if none does."""
    if name.startswith("apiserver-") and _HASH.fullmatch(name.removeprefix("apiserver-")):
        return IdentityStyle.HOST_AND_SERVER
    rest = name.removeprefix("kube-apiserver-")
    if rest == name:
        return None
    if _HASH.fullmatch(rest):
        return IdentityStyle.HOST
    return IdentityStyle.RANDOM if _is_uuid(rest) else None


def check_identity(identity: str) -> str:
    """The identity itself, if it can stand as a holder.

    Raises:
        ConfigurationError: it is no text, or empty.
    """
    if not identity or not isinstance(identity, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(
            f"identity {identity!r} must be text, and not empty, which means a released Lease: "
            "give each candidate its own"
        )
    return identity


def candidate_identity(base: str | None = None) -> str:
    """An identity that no other process has and a human can read: `<base>_<uuid>`, another one at each call.

    Two candidates of one identity would both believe that they lead. So take one per process and keep it.

    Args:
        base: Where it runs, written as it is. Left out: `POD_NAME` (set it from the downward API), else the host name,
            both so that the identity can name a LeaseCandidate: cut to 253 characters with all, and other characters
            than letters, digits, `-`, `_` and `.` replaced.
    """
    return f"{base or _here()}_{uuid.uuid4()}"


def _here() -> str:
    place = os.environ.get("POD_NAME") or socket.gethostname()
    return _NOT_IN_NAMES.sub("-", place).lstrip(".")[: _SUBDOMAIN_MAX - 1 - _UUID_LENGTH]


def workload_lease_name(product: str, *scope: str) -> str:
    """A Lease name for an application's own use, which two installations never share by accident.

    `<product>-<hash of product and scope>`, at most 63 characters, the same on every run and machine.

    Args:
        product: What uses the Lease; a DNS label of at most 36 characters.
        scope: What sets this installation apart, from large to small: cluster, namespace, release, shard.

    Raises:
        ConfigurationError: the product is no DNS label, is too long, or the scope is empty.
    """
    _check_prefix("product", product)
    if not scope:
        raise ConfigurationError("scope is empty; give what sets this installation apart, e.g. namespace and release")
    parts = b"".join(_counted("scope", part) for part in (product, *scope))
    return f"{product}-{_hash(parts)}"


def member_lease_name(group: str, member: str) -> str:
    """The name of the Lease by which that member of a group says that it is alive.

    `<group>-<hash of group and member>`, at most 63 characters; no `workload_lease_name` is like it.

    Args:
        group: A DNS label of at most 36 characters.
        member: What tells it from the others; any text.

    Raises:
        ConfigurationError: the group is no such label, or the member is empty.
    """
    check_group(group)
    return f"{group}-{_hash(b''.join(_counted('member', part) for part in ('lease-aio/member', group, member)))}"


def check_group(group: str) -> str:
    """The group itself, if it can begin the names of its members' Leases.

    Raises:
        ConfigurationError: it is not a DNS-1123 label of at most 36 characters.
    """
    _check_prefix("group", group)
    return group


def check_lease_name(name: str) -> str:
    """The name itself, if an API server takes it as the name of a Lease or a Node.

    Raises:
        ConfigurationError: it is not a DNS-1123 subdomain of at most 253 characters.
    """
    if not _matches(_SUBDOMAIN, name, _SUBDOMAIN_MAX):
        raise ConfigurationError(
            f"name {_shown(name)} must be a DNS-1123 subdomain: lower case letters, digits, '-' and '.', a letter or "
            f"digit first and last, at most {_SUBDOMAIN_MAX} characters"
        )
    return name


def check_namespace(namespace: str) -> str:
    """The namespace itself, if an API server takes it.

    Raises:
        ConfigurationError: it is not a DNS-1123 label of at most 63 characters.
    """
    if not _matches(_LABEL, namespace, _LABEL_MAX):
        raise ConfigurationError(
            f"namespace {_shown(namespace)} must be a DNS-1123 label: lower case letters, digits and '-', a letter or "
            f"digit first and last, at most {_LABEL_MAX} characters"
        )
    return namespace


def check_label_value(what: str, value: str) -> str:
    """The value itself, if an API server takes it as the value of a label.

    Args:
        what: The name of the setting, for the message.
        value: The value.

    Raises:
        ConfigurationError: it is longer than 63 bytes or holds what a label must not.
    """
    if not _matches(_LABEL_VALUE, value, _LABEL_MAX):
        raise ConfigurationError(
            f"{what} {_shown(value)} is written as a label, so it must have at most {_LABEL_MAX} characters out of "
            f"letters, digits, '-', '_' and '.', a letter or digit first and last"
        )
    return value


def _check_prefix(what: str, text: str) -> None:
    room = _LABEL_MAX - 27
    if not _matches(_LABEL, text, room):
        raise ConfigurationError(
            f"{what} {_shown(text)} must be a DNS label (a-z, 0-9 and -) of at most {room} characters: shorten it"
        )


def _matches(pattern: re.Pattern[str], value: object, longest: int) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None and len(value) <= longest


def _shown(value: object) -> str:
    if not isinstance(value, str) or len(value) <= _LABEL_MAX:
        return repr(value)
    return f"{value[:60]!r}… ({len(value)} characters)"


def _counted(what: str, text: object) -> bytes:
    data = b""
    with contextlib.suppress(UnicodeEncodeError):  # bytes of the system's that are no text, see PEP 383
        data = text.encode() if isinstance(text, str) else b""
    if not 0 < len(data) < 2**16:
        raise ConfigurationError(f"{what} {_shown(text)} must have between 1 and 65535 bytes of UTF-8")
    return len(data).to_bytes(2, "big") + data


def _hash(data: bytes) -> str:
    """26 characters of a-z and 2-7: the first 16 bytes of the SHA-256 in base32, as kube-apiserver writes it."""
    return base64.b32encode(hashlib.sha256(data).digest()[:16]).decode().rstrip("=").lower()


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
