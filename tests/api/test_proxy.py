import pytest

from lease_aio.api.proxy import choose_proxy
from lease_aio.errors import ConfigurationError

PROXY = "http://proxy:3128"


@pytest.mark.parametrize("proxy", ["socks5://proxy:1080", "proxy:3128", "http://", "http://[::1", "http://proxy:99999"])
def test_a_proxy_that_is_not_spoken_is_refused_by_name(proxy: str) -> None:
    with pytest.raises(ConfigurationError, match="proxy-url"):
        choose_proxy("https://api:6443", explicit=proxy, environ={})


def test_a_variable_with_another_protocol_is_refused_by_its_name() -> None:
    with pytest.raises(ConfigurationError, match="HTTPS_PROXY"):
        choose_proxy("https://api:6443", explicit=None, environ={"HTTPS_PROXY": "socks5://proxy:1"})


def test_without_variables_there_is_no_proxy() -> None:
    assert choose_proxy("https://api:6443", explicit=None, environ={}) is None


def test_an_explicit_proxy_wins_over_no_proxy() -> None:
    assert choose_proxy("https://api:6443", explicit=PROXY, environ={"NO_PROXY": "*"}) == PROXY


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
def test_the_variable_of_the_scheme_counts(name: str) -> None:
    assert choose_proxy("https://api:6443", explicit=None, environ={name: "proxy:3128"}) == PROXY
    assert choose_proxy("http://api:8080", explicit=None, environ={name: PROXY}) is None


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "[::1]"])
def test_loopback_is_never_proxied(host: str) -> None:
    assert choose_proxy(f"https://{host}:6443", explicit=None, environ={"HTTPS_PROXY": PROXY}) is None


@pytest.mark.parametrize(
    ("url", "no_proxy", "bypassed"),
    [
        ("https://10.96.0.1:443", "10.0.0.0/8", True),
        ("https://10.96.0.1:443", "192.168.0.0/16, 10.96.0.1", True),
        ("https://11.96.0.1:443", "10.0.0.0/8", False),
        ("https://[fd00::1]:443", "fd00::/8", True),
        ("https://[fd00::1]:443", "fd00::1", True),
        ("https://api.example.com:6443", "example.com", True),
        ("https://api.example.com:6443", ".example.com", True),
        ("https://example.com:6443", ".example.com", False),
        ("https://api.example.com:6443", "*.example.com", True),
        ("https://badexample.com:6443", "example.com", False),
        ("https://api.example.com:6443", "EXAMPLE.com", True),
        ("https://api.example.com:6443", "example.com:6443", True),
        ("https://api.example.com:6443", "example.com:443", False),
        ("https://api.example.com", "example.com:443", True),
        ("https://api.example.com:6443", "*", True),
        ("https://api.example.com:6443", " , ", False),
        ("https://api.example.com:6443", "10.0.0.0/8,nonsense/99", False),
        ("https://10.0.0.1:6443", "nonsense/99", False),
    ],
)
def test_no_proxy_names_hosts_suffixes_networks_and_ports(url: str, no_proxy: str, *, bypassed: bool) -> None:
    environ = {"HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy}
    assert (choose_proxy(url, explicit=None, environ=environ) is None) is bypassed
