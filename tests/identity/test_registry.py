import pytest

from lease_aio.api.memory import MemoryApi
from lease_aio.api.protocol import LEASES
from lease_aio.errors import Call, ConfigurationError, Expired, Refused
from lease_aio.identity import Freshness, Identity, identities, read_identity
from lease_aio.model import LeaseSpec, MicroTime, Time, new_lease
from lease_aio.naming import IdentityStyle
from tests.heartbeat.stage import refusing, staged

pytestmark = pytest.mark.virtual_time

LABELS = {"apiserver.kubernetes.io/identity": "kube-apiserver", "kubernetes.io/hostname": "vm"}
NAME = "apiserver-wlv32tlttr4jl3gtroqexyxapa"
NOW_US = 1_750_000_000_000_000


def lease(name="apiserver-a", *, namespace="kube-system", renewed_us=NOW_US, duration_s=3600, labels=LABELS):
    renew_time = None if renewed_us is None else MicroTime(renewed_us)
    spec = LeaseSpec(holder_identity=f"{name}_x", lease_duration_seconds=duration_s, renew_time=renew_time)
    return new_lease(name, namespace, spec, labels=labels)


@pytest.mark.parametrize(
    ("renewed_us", "duration_s", "expired"),
    [
        (None, 3600, True),
        (NOW_US, None, True),
        (NOW_US - 3600_000_001, 3600, True),
        (NOW_US - 3600_000_000, 3600, False),
        (NOW_US + 5_000_000, 3600, False),
    ],
)
def test_an_identity_expires_by_the_collectors_rule(renewed_us, duration_s, expired):
    assert read_identity(lease(renewed_us=renewed_us, duration_s=duration_s), NOW_US).expired is expired


def test_an_identity_says_what_its_lease_says():
    found = lease(NAME).with_metadata(
        annotations={"kubernetes.io/peer-advertise-address": "10.0.0.7:6443"}, creation_timestamp=Time(NOW_US)
    )
    assert read_identity(found, NOW_US) == Identity(
        name=NAME,
        server="kube-apiserver",
        hostname="vm",
        holder=f"{NAME}_x",
        style=IdentityStyle.HOST_AND_SERVER,
        created=Time(NOW_US),
        renew_time=MicroTime(NOW_US),
        freshness=Freshness.FRESH,
        peer_address="10.0.0.7:6443",
    )


def test_a_lease_that_says_little_is_read_all_the_same():
    bare = new_lease("apiserver-a", "kube-system", LeaseSpec())
    found = read_identity(bare, NOW_US)
    assert (found.hostname, found.server, found.holder, found.peer_address, found.style) == ("", "", "", "", None)
    assert found.expired


@pytest.mark.parametrize(
    ("age_s", "freshness"),
    [(-5, "fresh"), (0, "fresh"), (30, "fresh"), (30.1, "late"), (3600, "late"), (3601, "expired")],
)
def test_an_identity_that_missed_two_renewals_is_late_and_after_its_duration_expired(age_s, freshness):
    found = read_identity(lease(renewed_us=NOW_US - round(age_s * 1e6)), NOW_US)
    assert found.freshness.value == freshness


@pytest.mark.parametrize(
    ("name", "style"),
    [
        ("apiserver-eqt674mfxb4j56mrjjkoe7b7ii", IdentityStyle.HOST_AND_SERVER),
        ("kube-apiserver-c4vwjftbvpc5os2vvzle4qg27a", IdentityStyle.HOST),
        ("kube-apiserver-8b6a7a90-7d43-4b8e-a7b5-0b6e5c1b2a3f", IdentityStyle.RANDOM),
    ],
)
async def test_identities_of_all_releases_are_found_and_told_apart(name, style):
    async with staged() as stage:
        await MemoryApi(stage.store).create(LEASES, lease(name, labels={"k8s.io/component": "kube-apiserver"}))
        assert await identities(stage.api, wall_us=NOW_US) == []
        (found,) = await identities(stage.api, wall_us=NOW_US, old_releases=True)
        assert (found.style, found.server) == (style, "kube-apiserver")


async def test_one_that_has_both_labels_is_one():
    async with staged() as stage:
        both = {**LABELS, "k8s.io/component": "kube-apiserver"}
        for one in (
            lease("apiserver-b", labels=both),
            lease("apiserver-a", labels={"k8s.io/component": "kube-apiserver"}),
        ):
            await MemoryApi(stage.store).create(LEASES, one)
        found = await identities(stage.api, wall_us=NOW_US, old_releases=True)
        assert [one.name for one in found] == ["apiserver-a", "apiserver-b"]


async def test_a_server_name_that_is_no_label_is_refused():
    async with staged() as stage:
        with pytest.raises(ConfigurationError, match="server 'a b'"):
            await identities(stage.api, wall_us=NOW_US, server="a b")


async def test_a_lack_of_rights_is_raised():
    async with staged() as stage:
        stage.faults = refusing
        with pytest.raises(Refused):
            await identities(stage.api, wall_us=NOW_US)


async def test_a_cluster_without_identities_gives_an_empty_list():
    async with staged() as stage:
        assert await identities(stage.api, wall_us=NOW_US) == []


async def test_only_labelled_leases_of_kube_system_are_identities():
    async with staged() as stage:
        api = MemoryApi(stage.store)
        for one in (
            lease("apiserver-b"),
            lease("apiserver-a", renewed_us=0),
            lease("other", labels={}),
            lease("apiserver-c", namespace="default"),
        ):
            await api.create(LEASES, one)
        found = await identities(stage.api, wall_us=NOW_US)
        assert [(one.name, one.expired) for one in found] == [("apiserver-a", True), ("apiserver-b", False)]


async def test_a_list_of_many_pages_is_read_to_its_end():
    async with staged() as stage:
        await many(stage, 1100)
        assert len(await identities(stage.api, wall_us=NOW_US)) == 1100
        assert stage.calls == ["list leases"] * 3


async def test_a_list_that_expires_between_its_pages_is_read_in_one_piece():
    async with staged() as stage:
        await many(stage, 600)

        async def expire_the_second(moment, call: Call):
            if len(stage.calls) == 2:
                raise Expired(call, "too old", status=410)

        stage.faults = expire_the_second
        assert len(await identities(stage.api, wall_us=NOW_US)) == 600


async def many(stage, count):
    api = MemoryApi(stage.store)
    for number in range(count):
        await api.create(LEASES, lease(f"apiserver-{number}"))
