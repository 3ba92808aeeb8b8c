"""One set of questions, asked of the embedded API server and of a real kube-apiserver."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator

import aiohttp
import pytest

from lease_aio.server import serve
from lease_aio.testing.envtest import ControlPlane
from tests.conformance.rig import NAMESPACES, Api, Namespace, unique


@contextlib.asynccontextmanager
async def _embedded() -> AsyncIterator[Api]:
    async with serve(host="127.0.0.1", port=0) as server, aiohttp.ClientSession() as session:
        yield Api(url=server.url, session=session)


@contextlib.asynccontextmanager
async def _real(plane: ControlPlane) -> AsyncIterator[Api]:
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=plane.ca_file))
    headers = {"Authorization": f"Bearer {plane.admin_token}"}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        yield Api(url=plane.url, session=session)


@pytest.fixture(params=["embedded", pytest.param("real", marks=pytest.mark.cluster)])
async def api(request: pytest.FixtureRequest) -> AsyncIterator[Api]:
    """The API server under question."""
    server = _embedded() if request.param == "embedded" else _real(request.getfixturevalue("control_plane"))
    async with server as opened:
        yield opened


@pytest.fixture
async def ns(api: Api) -> Namespace:
    """A namespace that no other test uses."""
    name = unique("conformance")
    answer = await api.post(NAMESPACES, {"metadata": {"name": name}})
    assert answer.status == 201, answer.text
    return Namespace(api=api, name=name)
