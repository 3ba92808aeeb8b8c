"""When a client certificate ends, read from its DER. Pure."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime

_VERSION, _UTC_TIME = 0xA0, 0x17
_BEGIN = "-----BEGIN CERTIFICATE-----"
_END = "-----END CERTIFICATE-----"


def not_after(pem: str) -> datetime | None:
    """When the first certificate in `pem` ends; None where that cannot be read (RFC 5280 §4.1)."""
    start, end = pem.find(_BEGIN), pem.find(_END)
    if start < 0 or end < start:
        return None
    try:
        der = ssl.PEM_cert_to_DER_cert(pem[start : end + len(_END)])
        _, signed, _ = _element(der, _element(der, 0)[1])
        at = signed if der[signed] != _VERSION else _element(der, signed)[2]
        for _ in ("serialNumber", "signature", "issuer"):
            at = _element(der, at)[2]
        not_before = _element(der, at)[1]
        tag, begin, stop = _element(der, _element(der, not_before)[2])
        form = "%y%m%d%H%M%SZ" if tag == _UTC_TIME else "%Y%m%d%H%M%SZ"
        return datetime.strptime(der[begin:stop].decode("ascii"), form).replace(tzinfo=UTC)
    except (ValueError, IndexError):
        return None


def _element(der: bytes, at: int) -> tuple[int, int, int]:
    """Tag, and where the content of the element at `at` begins and ends."""
    tag, length, begin = der[at], der[at + 1], at + 2
    if length & 0x80:
        octets = length & 0x7F
        length, begin = int.from_bytes(der[begin : begin + octets], "big"), begin + octets
    return tag, begin, begin + length
