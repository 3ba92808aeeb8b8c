"""Elections on a real kube-apiserver."""

import anyio
import anyio.to_thread
import pytest

import lease_aio
from lease_aio import EndReason, Refused, Timing
from lease_aio.election import Event, Waiting
from lease_aio.testing.envtest import ControlPlane
from tests.cluster.assets import assets
from tests.lateness import alarm

pytestmark = pytest.mark.cluster

QUICK = Timing(lease_duration_s=4, renew_interval_s=0.5, request_timeout_s=1, stop_grace_s=1, retry_interval_s=0.5)


async def test_a_user_without_rights_is_told_what_was_refused(control_plane: ControlPlane) -> None:
    async with lease_aio.connect(kubeconfig=str(control_plane.kubeconfig), context="user") as leases:
        with pytest.raises(Refused, match=r'default/x: 403 Forbidden: .* cannot get resource "leases"'):
            async with leases.lead("x"):
                pytest.fail("led without the right to")


async def test_a_release_is_one_event_and_one_write_away_from_the_next_term(control_plane: ControlPlane) -> None:
    kubeconfig = str(control_plane.kubeconfig)
    tokens: list[int] = []
    waits = anyio.Event()

    def hear(event: Event) -> None:
        if isinstance(event, Waiting):
            waits.set()

    async with (
        lease_aio.connect(kubeconfig=kubeconfig) as first,
        lease_aio.connect(kubeconfig=kubeconfig) as second,
        anyio.create_task_group() as tasks,
    ):

        async def follow() -> None:
            async with second.lead("hand-over", observer=hear) as term:
                tokens.append(term.token)

        async with first.lead("hand-over") as term:
            tokens.append(term.token)
            tasks.start_soon(follow)
            await waits.wait()
            await anyio.sleep(1)
            before = second.report().elections.attempts
            await anyio.sleep(3)
            assert second.report().elections.attempts == before, "a standby asks for nothing"
    assert tokens == sorted(set(tokens))
    assert len(tokens) == 2
    # one read at the start, one winning write, one release
    assert second.report().elections.attempts == before + 2


async def test_a_client_leaves_no_connection_behind(control_plane: ControlPlane) -> None:
    """Unclosed transports are warnings, and warnings are errors here."""
    for _ in range(20):
        async with lease_aio.connect(kubeconfig=str(control_plane.kubeconfig)) as leases, leases.lead("leaves-nothing"):
            pass


async def test_a_term_ends_in_time_when_the_apiserver_dies_and_is_won_again_after_its_return() -> None:
    reasons: list[EndReason | None] = []
    ended_at: list[float] = []
    with ControlPlane(assets()) as plane:
        async with lease_aio.connect(kubeconfig=str(plane.kubeconfig)) as leases:
            async for term in leases.terms("survivor", timing=QUICK):
                async with term:
                    if reasons:
                        break
                    await anyio.to_thread.run_sync(lambda: plane.stop_apiserver(kill=True))
                    rang_at = alarm(term.valid_for())
                    try:
                        await anyio.sleep_forever()
                    finally:
                        ended_at.append(anyio.current_time())
                reasons.append(term.reason)
                await anyio.to_thread.run_sync(plane.start_apiserver)
            assert (await leases.get("survivor")).spec.lease_transitions == 1
    assert reasons == [EndReason.EXPIRED]
    assert ended_at[0] - rang_at[0] < 0.5
