import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lease_aio import naming
from lease_aio.election.coordinated.info import check_candidate_name
from lease_aio.errors import ConfigurationError
from lease_aio.naming import IdentityStyle


@pytest.mark.parametrize("check", [naming.check_lease_name, naming.check_namespace])
@pytest.mark.parametrize("value", [None, 5, b"bytes"])
def test_what_is_no_string_is_refused_as_a_name(check, value):
    with pytest.raises(ConfigurationError, match=re.escape(repr(value))):
        check(value)


@pytest.mark.parametrize("value", [None, 5, b"bytes"])
def test_what_is_no_string_is_refused_also_as_a_label_a_host_a_product_and_a_scope(value):
    for use in (
        lambda: naming.check_label_value("hostname", value),
        lambda: naming.apiserver_identity_name(value),
        lambda: naming.workload_lease_name(value, "shop"),
        lambda: naming.workload_lease_name("web", value),
    ):
        with pytest.raises(ConfigurationError, match=re.escape(repr(value))):
            use()


def test_bytes_of_the_system_that_are_no_text_are_refused_like_any_bad_value():
    for use in (
        lambda: naming.apiserver_identity_name("\udcff"),
        lambda: naming.workload_lease_name("web", "\udcff"),
        lambda: naming.member_lease_name("workers", "\udcff"),
    ):
        with pytest.raises(ConfigurationError, match=r"'\\udcff' must have .* bytes of UTF-8"):
            use()


@pytest.mark.parametrize("name", ["", "Upper", "under_score", "-first", "last-", "a..b", "a.-b", "ü", "a" * 254, "a\n"])
def test_a_name_that_no_server_takes_is_refused_with_the_rule(name):
    with pytest.raises(ConfigurationError, match="DNS-1123 subdomain"):
        naming.check_lease_name(name)


@pytest.mark.parametrize("namespace", ["", "a.b", "Kube", "a" * 64, "-a"])
def test_a_namespace_that_no_server_takes_is_refused_with_the_rule(namespace):
    with pytest.raises(ConfigurationError, match="DNS-1123 label"):
        naming.check_namespace(namespace)


def test_a_refusal_names_a_long_value_shortly_and_says_how_long_it_is():
    with pytest.raises(ConfigurationError, match=r"'a{60}'… \(300 characters\)"):
        naming.check_lease_name("a" * 300)


@pytest.mark.parametrize("name", ["a", "0", "n1.example.com", "a" * 253, "a--b"])
def test_a_good_name_is_handed_back(name):
    assert naming.check_lease_name(name) == name


def test_a_good_namespace_is_handed_back():
    assert naming.check_namespace("kube-node-lease") == "kube-node-lease"


@pytest.mark.parametrize("value", ["a" * 64, "a b", "-a", "a."])
def test_what_cannot_be_a_label_is_refused_by_the_name_of_its_setting(value):
    with pytest.raises(ConfigurationError, match=r"hostname .* at most 63"):
        naming.check_label_value("hostname", value)


@pytest.mark.parametrize("value", ["", "a" * 63, "Host_1.example"])
def test_a_good_label_value_is_handed_back(value):
    assert naming.check_label_value("hostname", value) == value


@pytest.mark.parametrize(
    ("hostname", "name"),
    [
        ("minikube", "apiserver-eqt674mfxb4j56mrjjkoe7b7ii"),
        ("controlplane", "apiserver-ivtlveyukuyrha5ia44unn7io4"),
        ("master-1", "apiserver-wj467rbl25eeviqacfhvg2yvnm"),
        ("kind-control-plane", "apiserver-c7uylvfxlbqccnk6myfkwetzze"),
        ("localhost", "apiserver-l2yubf4cvcl5c7a3wrubrwqdve"),
        ("vm", "apiserver-wlv32tlttr4jl3gtroqexyxapa"),
    ],
)
def test_an_identity_is_named_as_a_real_kube_apiserver_names_it(hostname, name):
    assert naming.apiserver_identity_name(hostname) == name


def test_another_server_on_the_same_host_has_another_name():
    assert naming.apiserver_identity_name("vm", "metrics-server") != naming.apiserver_identity_name("vm")


def test_moving_a_character_from_the_host_to_the_server_changes_the_name():
    assert naming.apiserver_identity_name("ab", "c") != naming.apiserver_identity_name("a", "bc")


@pytest.mark.parametrize(("hostname", "server"), [("", "s"), ("h", ""), ("h" * 65536, "s")])
def test_an_empty_or_endless_part_of_an_identity_is_refused(hostname, server):
    with pytest.raises(ConfigurationError, match="between 1 and 65535 bytes"):
        naming.apiserver_identity_name(hostname, server)


def test_the_name_of_kubernetes_1_26_is_known():
    assert naming.old_identity_name("kind-control-plane") == "kube-apiserver-c4vwjftbvpc5os2vvzle4qg27a"


@pytest.mark.parametrize(
    ("name", "style"),
    [
        ("apiserver-eqt674mfxb4j56mrjjkoe7b7ii", IdentityStyle.HOST_AND_SERVER),
        ("kube-apiserver-c4vwjftbvpc5os2vvzle4qg27a", IdentityStyle.HOST),
        ("kube-apiserver-8b6a7a90-7d43-4b8e-a7b5-0b6e5c1b2a3f", IdentityStyle.RANDOM),
        ("kube-apiserver-8b6a7a907d434b8ea7b50b6e5c1b2a3f", None),
        ("kube-apiserver-", None),
        ("apiserver-short", None),
        ("kube-controller-manager", None),
    ],
)
def test_the_names_of_every_release_are_told_apart(name, style):
    assert naming.identity_style(name) is style


def test_a_candidate_identity_is_another_one_each_time():
    assert naming.candidate_identity("a") != naming.candidate_identity("a")


def test_a_candidate_in_a_pod_is_called_after_the_pod(monkeypatch):
    monkeypatch.setenv("POD_NAME", "web-0")
    assert naming.candidate_identity().startswith("web-0_")


def test_a_candidate_outside_a_pod_is_called_after_the_host(monkeypatch):
    monkeypatch.delenv("POD_NAME", raising=False)
    monkeypatch.setattr("socket.gethostname", lambda: "laptop")
    assert naming.candidate_identity().startswith("laptop_")


@pytest.mark.parametrize("place", ["p" * 253, "J\u00fcrgens Mac", "..hidden", "\udcff", "Web-0.example.org."])
def test_wherever_it_runs_a_candidates_own_identity_can_name_its_lease_candidate(monkeypatch, place):
    monkeypatch.setenv("POD_NAME", place)
    identity = naming.candidate_identity()
    assert check_candidate_name(identity) == identity
    assert len(identity) <= 253
    monkeypatch.delenv("POD_NAME")
    monkeypatch.setattr("socket.gethostname", lambda: place)
    assert naming.candidate_identity()[:-36] == identity[:-36]


@pytest.mark.parametrize("product", ["", "Web", "a.b", "a" * 37])
def test_a_product_that_cannot_stand_in_a_lease_name_is_refused(product):
    with pytest.raises(ConfigurationError, match=r"DNS label .* at most 36"):
        naming.workload_lease_name(product, "shop")


def test_a_workload_name_without_a_scope_is_refused():
    with pytest.raises(ConfigurationError, match="scope is empty"):
        naming.workload_lease_name("web")


@given(st.text("abc-", min_size=1, max_size=36).filter(lambda p: p[0] != "-" != p[-1]), st.text(min_size=1))
def test_every_workload_name_is_a_label_and_is_the_same_each_time(product, scope):
    name = naming.workload_lease_name(product, scope)
    assert naming.check_namespace(name) == name == naming.workload_lease_name(product, scope)


def test_two_installations_of_one_product_have_two_leases():
    assert naming.workload_lease_name("web", "shop", "blue") != naming.workload_lease_name("web", "shop", "green")


def test_scopes_are_not_just_glued_together():
    assert naming.workload_lease_name("web", "ab", "c") != naming.workload_lease_name("web", "a", "bc")


@given(st.text(min_size=1), st.text(min_size=1))
def test_every_members_lease_has_a_name_of_its_own_that_any_server_takes(one, other):
    first, second = naming.member_lease_name("workers", one), naming.member_lease_name("workers", other)
    assert (first == second) is (one == other)
    assert naming.check_namespace(first) == naming.member_lease_name("workers", one)
    assert naming.member_lease_name("others", one) != first


def test_a_member_of_the_longest_group_still_has_a_name():
    assert len(naming.member_lease_name("g" * 36, "w-0")) == 63
    with pytest.raises(ConfigurationError, match="group 'g+' must be a DNS label .* at most 36"):
        naming.check_group("g" * 37)


def test_no_workloads_lease_is_named_like_a_members():
    assert naming.workload_lease_name("workers", "w-0") != naming.member_lease_name("workers", "w-0")
