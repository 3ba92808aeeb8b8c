"""Who may ask the control plane for what: certificates, tokens and a kubeconfig, written into one directory."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from lease_aio.testing.servers import LOOPBACK, ControlPlaneError


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """Those of one control plane; see the attributes of `ControlPlane` for what each may do."""

    ca_file: Path
    server_cert_file: Path
    server_key_file: Path
    client_cert_file: Path
    client_key_file: Path
    tokens_file: Path
    kubeconfig: Path
    admin_token: str
    user_token: str


def write_credentials(directory: Path, url: str) -> Credentials:
    """Make new ones, for an API server at this URL.

    Raises:
        ControlPlaneError: `trustme` is not installed.
    """
    _write_certificates(directory)
    made = Credentials(
        ca_file=directory / "ca.pem",
        server_cert_file=directory / "server.pem",
        server_key_file=directory / "server.key",
        client_cert_file=directory / "client.pem",
        client_key_file=directory / "client.key",
        tokens_file=directory / "tokens.csv",
        kubeconfig=directory / "kubeconfig",
        admin_token=secrets.token_hex(16),
        user_token=secrets.token_hex(16),
    )
    tokens = f'{made.admin_token},admin,admin,"system:masters"\n{made.user_token},user,user\n'
    made.tokens_file.write_text(tokens)
    made.kubeconfig.write_text(json.dumps(_kubeconfig(made, url), indent=1))
    return made


def _kubeconfig(made: Credentials, url: str) -> dict[str, object]:
    certificate = {
        "client-certificate-data": _base64(made.client_cert_file),
        "client-key-data": _base64(made.client_key_file),
    }
    users = {
        "admin": {"token": made.admin_token},
        "user": {"token": made.user_token},
        "certificate": certificate,
    }
    cluster = {"server": url, "certificate-authority-data": _base64(made.ca_file)}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "envtest", "cluster": cluster}],
        "users": [{"name": name, "user": user} for name, user in users.items()],
        "contexts": [{"name": n, "context": {"cluster": "envtest", "user": n}} for n in users],
        "current-context": "admin",
    }


def _write_certificates(directory: Path) -> None:
    try:
        import trustme  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ControlPlaneError("trustme is not installed: pip install 'lease-aio[testing]' brings it") from error
    authority = trustme.CA()
    authority.cert_pem.write_to_path(directory / "ca.pem")
    server = authority.issue_cert(LOOPBACK, "localhost")
    client = authority.issue_cert("localhost", common_name="admin-by-certificate", organization_name="system:masters")
    for name, leaf in (("server", server), ("client", client)):
        leaf.cert_chain_pems[0].write_to_path(directory / f"{name}.pem")
        leaf.private_key_pem.write_to_path(directory / f"{name}.key")


def _base64(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()
