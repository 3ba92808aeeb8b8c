"""`lease-aio candidates`: what it lists, and an election of two commands by a third."""

from __future__ import annotations

import io
import signal
from contextlib import asynccontextmanager

import pytest
from kubernetes_asyncio.client import Configuration

from lease_aio import ConfigurationError, LeaseClient, MicroTime
from lease_aio.api import LEASE_CANDIDATES_V1ALPHA2, RestApi, open_transport
from lease_aio.cli.candidates import coordinate, list_candidates, rows_of, table
from lease_aio.cli.exits import Exit
from lease_aio.cli.output import Output
from lease_aio.election.appointment import PREFERRED
from lease_aio.election.coordinated import CandidateInfo
from lease_aio.server import LEASE_CANDIDATES_V1ALPHA2 as ALPHA
from lease_aio.server import LEASES, NAMESPACES, Store, serve
from tests.cli.rig import Command, answering, events, invoke, kubeconfig, status
from tests.coordinated.rig import LEASE, NOW_US, candidate, lease

QUICK = ("--lease-duration", "6", "--renew-interval", "1", "--grace", "0.4")


def test_the_list_says_who_leads_who_is_preferred_who_is_asked_and_who_waits():
    held = lease("leader", preferred_holder="better")
    found = [candidate("waiter", renewed_s=90), candidate("leader"), candidate("better"), candidate("dead", pinged_s=1)]
    found[3] = candidate("dead", pinged_s=1, renewed_s=600)
    rows = rows_of(found, {("default", LEASE): held}, NOW_US)
    header, *lines = table(rows).splitlines()
    assert header.split() == ["NAME", "LEASE", "BINARY", "EMULATES", "STRATEGY", "RENEWED", "STATE"]
    assert [(line.split()[0], line.split()[-1]) for line in lines] == [
        ("better", "preferred"),
        ("dead", "asked"),
        ("leader", "leads"),
        ("waiter", "waits"),
    ]
    assert "90s ago" in lines[3]
    assert rows[0].fields["renewed_s"] == 0


def test_who_is_preferred_by_the_annotation_that_stands_in_for_the_field_is_preferred_too():
    held = lease("leader").with_metadata(annotations={PREFERRED: "better"})
    rows = rows_of([candidate("leader"), candidate("better")], {("default", LEASE): held}, NOW_US)
    assert [(row.candidate.name, row.state) for row in rows] == [("better", "preferred"), ("leader", "leads")]


def test_a_list_of_all_namespaces_says_where_each_candidate_is():
    rows = rows_of([candidate("a")], {}, NOW_US)
    header, line = table(rows, everywhere=True).splitlines()
    assert (header.split()[0], line.split()[:2]) == ("NAMESPACE", ["default", "a"])


def test_a_candidate_that_was_never_renewed_is_listed_too():
    (row,) = rows_of([candidate("new", emulation="", renewed_s=None)], {}, NOW_US)
    assert row.cells[3:] == ("<none>", "OldestEmulationVersion", "<never>", "waits")


@pytest.mark.parametrize("version", ["v1.31.0", "1.31"])
def test_a_version_that_is_not_strict_semver_is_refused_before_anything_starts(version):
    result = invoke("candidates", "run", "x", "--binary-version", version, "--embedded")
    assert result.exit_code == Exit.USAGE
    assert f"binary_version='{version}' must be strict semver" in result.stderr
    assert "such as '1.31.0'" in result.stderr


@asynccontextmanager
async def serving(*resources):
    """A client of a server that has no other resources."""
    store = Store(now=NOW_US, resources=(LEASES, NAMESPACES, *resources))
    async with (
        serve(store=store) as server,
        RestApi(open_transport(Configuration(host=server.url))) as api,
        LeaseClient(api) as leases,
    ):
        yield leases


def test_an_identity_that_cannot_name_a_candidate_is_refused_before_anything_starts():
    result = invoke("candidates", "run", "x", "--binary-version", "1.31.0", "--identity", "a b", "--embedded")
    assert result.exit_code == Exit.USAGE
    assert "identity 'a b' is also the name of the LeaseCandidate" in result.stderr
    assert "embedded API server" not in result.stderr


async def test_candidates_of_a_server_that_has_them_in_v1alpha2_alone_are_listed():
    """As Kubernetes 1.32 has."""
    said = io.StringIO()
    async with serving(ALPHA) as leases:
        found = CandidateInfo(binary_version="1.32.0").candidate("old", "default", lease="x", at=MicroTime(NOW_US))
        written = LEASE_CANDIDATES_V1ALPHA2.type(metadata=found.metadata, spec=found.spec)
        await leases.api.create(LEASE_CANDIDATES_V1ALPHA2, written)
        await list_candidates(leases, Output(json=True, stream=said), everywhere=False)
    assert [one["name"] for one in events(said.getvalue())] == ["old"]


async def test_who_coordinates_on_a_server_without_candidates_is_told_with_the_flags_that_give_them():
    async with serving() as leases:
        with pytest.raises(ConfigurationError, match=r"no LeaseCandidates.*--runtime-config=coordination"):
            await coordinate(leases, Output(json=True, stream=io.StringIO()), everywhere=False)


def test_a_server_without_candidates_is_told_with_the_flags_that_give_them(tmp_path):
    with answering(404, status(404, "NotFound", "the server could not find the requested resource")) as url:
        result = invoke("candidates", "list", "--kubeconfig", kubeconfig(tmp_path / "config", url))
    assert result.exit_code == Exit.USAGE
    assert "the API server has no LeaseCandidates" in result.stderr
    assert "--runtime-config=coordination.k8s.io/v1beta1=true" in result.stderr


@pytest.mark.slow
def test_a_coordinator_chooses_between_two_commands_and_the_older_one_takes_over(served):
    where = ("--json", "--kubeconfig", served, "-n", "kube-public")
    run = ("candidates", "run", "elected", *where, *QUICK, "--forever")
    with (
        Command("candidates", "coordinate", *where) as coordinator,
        Command(*run, "--identity", "new", "--binary-version", "1.32.0") as new,
    ):
        assert new.event("started")["appointed"] is True
        with Command(*run, "--identity", "old", "--binary-version", "1.31.0") as old:
            assert new.event("stopped")["reason"] == "yielded"
            assert old.event("started")["appointed"] is True
            listed = {one["name"]: one["state"] for one in events(invoke("candidates", "list", *where).stdout)}
            assert listed["old"] == "leads"
            old.signal(signal.SIGTERM)
            assert old.end()[0] == Exit.TERMINATED
        assert new.event("started")["appointed"] is True
        for each in (new, coordinator):
            each.signal(signal.SIGTERM)
            each.end()
    assert "No candidates found in kube-public." in invoke("candidates", "list", *where[1:]).stdout
