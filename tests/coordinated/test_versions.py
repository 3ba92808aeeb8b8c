"""An API server that serves LeaseCandidates in v1alpha2 alone, as Kubernetes 1.32 does; over HTTP."""

import anyio
from kubernetes_asyncio.client import Configuration

from lease_aio import LeaseClient, Timing
from lease_aio.api import LEASE_CANDIDATES_V1ALPHA2, RestApi, open_transport
from lease_aio.election.coordinated import CandidateInfo
from lease_aio.election.coordinated.nomination import POLL_S
from lease_aio.model import MicroTime
from lease_aio.server import LEASE_CANDIDATES_V1ALPHA2 as ALPHA
from lease_aio.server import LEASES, NAMESPACES, Store, serve

TIMING = Timing(lease_duration_s=15, renew_interval_s=0.3, retry_interval_s=0.1)


async def test_a_candidate_is_published_there_and_answers_without_a_watch():
    store = Store(now=1_700_000_000_000_000, resources=(LEASES, ALPHA, NAMESPACES))
    async with serve(store=store) as server, RestApi(open_transport(Configuration(host=server.url))) as api:
        info = CandidateInfo(binary_version="1.32.0", fallback_after_s=0.2)
        async with LeaseClient(api, identity="me") as leases, leases.lead("x", timing=TIMING, coordinated=info):
            published = await api.get(LEASE_CANDIDATES_V1ALPHA2, "me", "default")
            assert published.api_version == "coordination.k8s.io/v1alpha2"
            asked = MicroTime(published.spec.renew_time.epoch_us + 10**12)
            await api.patch(LEASE_CANDIDATES_V1ALPHA2, "me", "default", body={"spec": {"pingTime": str(asked)}})
            with anyio.fail_after(20 * POLL_S):
                while (await api.get(LEASE_CANDIDATES_V1ALPHA2, "me", "default")).spec.renew_time < asked:  # noqa: ASYNC110
                    await anyio.sleep(0.05)
        assert (await api.list(LEASE_CANDIDATES_V1ALPHA2, "default")).items == ()
