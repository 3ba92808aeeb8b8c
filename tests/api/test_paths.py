import pytest

from lease_aio.api import LEASES, NAMESPACES, NODES
from lease_aio.api.paths import collection_path, object_path, path_segment, query_string
from lease_aio.errors import ConfigurationError


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a%2fb"])
def test_a_name_that_would_lead_elsewhere_is_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigurationError, match="name="):
        object_path(LEASES, "b", name)


def test_a_missing_namespace_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"namespace=''.*leases\.coordination\.k8s\.io live in a namespace"):
        object_path(LEASES, "", "a")


def test_a_wrong_namespace_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="namespace='a/b'"):
        collection_path(LEASES, "a/b")


def test_groups_and_the_core_group_have_their_roots() -> None:
    assert object_path(LEASES, "b", "a.c") == "/apis/coordination.k8s.io/v1/namespaces/b/leases/a.c"
    assert object_path(NODES, "", "n", "status") == "/api/v1/nodes/n/status"
    assert collection_path(NAMESPACES, "") == "/api/v1/namespaces"
    assert collection_path(LEASES, "") == "/apis/coordination.k8s.io/v1/leases"


def test_what_a_path_cannot_hold_is_quoted() -> None:
    assert path_segment("name", "ä b?") == "%C3%A4%20b%3F"
    assert query_string({"a": "x=y,z", "b": "", "c": "1"}) == "?a=x%3Dy%2Cz&c=1"
