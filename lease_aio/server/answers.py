"""Answers: what they carry, and how they are written."""

from __future__ import annotations

import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from lease_aio.server import bodies, negotiation, options
from lease_aio.server.status import StatusError


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer that is not yet written."""

    body: Any
    code: int = 200
    warnings: Sequence[str] = ()
    content_type: str = bodies.JSON


def written(request: web.BaseRequest, answer: Answer) -> web.Response:
    """The answer as the bytes and headers of a response, indented for whom that suits."""
    headers = common_headers()
    if answer.warnings:
        headers["Warning"] = _warning(answer.warnings)
    indented = negotiation.wants_indented(
        options.read_query(request.rel_url.raw_query_string).get("pretty"), request.headers.get("User-Agent", "")
    )
    headers["Content-Type"] = answer.content_type
    return web.Response(
        status=answer.code,
        headers=headers,
        body=bodies.write(answer.body, media_type=answer.content_type, indented=indented),
    )


def refusal(request: web.BaseRequest, error: StatusError) -> web.Response:
    """The response that tells of a failure, and when to try again."""
    response = written(request, Answer(code=error.code, body=error.body()))
    if error.retry_after_s:
        response.headers["Retry-After"] = str(error.retry_after_s)
    return response


def page_not_found() -> web.Response:
    """The response for a path where nothing is."""
    return web.Response(status=404, text="404 page not found\n")


def common_headers() -> dict[str, str]:
    """The headers that every response has."""
    # Random bits of our own: the system's cost a call into the kernel.
    audit = uuid.UUID(int=random.getrandbits(128), version=4)
    return {"Audit-Id": str(audit), "Cache-Control": "no-cache, private"}


def _warning(problems: Sequence[str]) -> str:
    # One header line may carry several warnings.
    return ", ".join('299 - "' + problem.replace("\\", "\\\\").replace('"', '\\"') + '"' for problem in problems)
