"""What the tests of the way to a server share."""

import pytest

from lease_aio.api import AiohttpTransport
from lease_aio.api.direct import DirectTransport
from tests.api import servers


@pytest.fixture(params=[AiohttpTransport, DirectTransport], ids=["aiohttp", "direct"])
def each_transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type[AiohttpTransport]:
    """Whatever is said of one is true of the other; the direct one needs the extra `fast`."""
    if request.param is DirectTransport:
        pytest.importorskip("httptools")
    monkeypatch.setattr(servers, "TRANSPORT", request.param)
    return request.param
