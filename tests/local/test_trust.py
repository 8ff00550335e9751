"""What is trusted is read once, and all that requests refuses without it is refused with it."""

from __future__ import annotations

import ssl
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
import trustme
from azure.core.exceptions import ServiceRequestError
from azure.core.rest import HttpRequest

from local.azure import LocalAzure
from shared.azure.failures import BoundedTransport
from shared.azure.trust import _context


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What OpenSSL is given to trust, each time."""
    made: list[str] = []
    load = ssl.SSLContext.load_verify_locations

    def counted(context: ssl.SSLContext, cafile: str | None = None, capath: str | None = None) -> None:
        made.append(str(cafile or capath))
        load(context, cafile, capath)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", counted)
    _context.cache_clear()
    return made


def status(url: str) -> int:
    with BoundedTransport() as transport:
        return int(transport.send(HttpRequest("GET", url)).status_code)


def test_many_clients_read_the_authorities_once(local_azure: LocalAzure, reads: list[str]) -> None:
    for _ in range(3):
        assert status(local_azure.settings.arm) == 501
    assert len(reads) == 1


def test_a_bundle_that_was_renewed_is_read_again(
    local_azure: LocalAzure, reads: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "bundle.pem"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    bundle.write_bytes(trustme.CA().cert_pem.bytes())
    with pytest.raises(ServiceRequestError, match="certificate verify failed"):
        status(local_azure.settings.arm)
    bundle.write_bytes(Path(local_azure.settings.bundle).read_bytes())
    assert status(local_azure.settings.arm) == 501
    assert reads == [str(bundle)] * 2


def test_a_server_of_another_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority, bundle = trustme.CA(), tmp_path / "bundle.pem"
    bundle.write_bytes(authority.cert_pem.bytes())
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("other.example").configure_cert(context)
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        serving = Thread(target=server.serve_forever)
        serving.start()
        with pytest.raises(ServiceRequestError, match=r"not valid for '127\.0\.0\.1'"):
            status(f"https://127.0.0.1:{server.server_port}")
        server.shutdown()
        serving.join()


def test_a_bundle_that_is_not_there_is_named(
    local_azure: LocalAzure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    with pytest.raises(OSError, match=r"none\.pem"):
        status(local_azure.settings.arm)
