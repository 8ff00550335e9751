"""What is trusted is read once, and all that requests refuses without it is refused with it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
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
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "bundle.pem"))
    with (
        tls_server(tmp_path / "bundle.pem", "other.example", BaseHTTPRequestHandler) as port,
        pytest.raises(ServiceRequestError, match=r"not valid for '127\.0\.0\.1'"),
    ):
        status(f"https://127.0.0.1:{port}")


def test_a_proxy_is_checked_against_the_same_authorities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "bundle.pem"))
    with tls_server(tmp_path / "bundle.pem", "127.0.0.1", Proxy) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"https://127.0.0.1:{port}")
        with pytest.raises(ServiceRequestError, match="Tunnel connection failed: 407"):
            status("https://azure.example")


class Proxy(BaseHTTPRequestHandler):
    def do_CONNECT(self) -> None:
        self.send_error(407)


@contextmanager
def tls_server(bundle: Path, name: str, handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """The port of a server whose certificate is for `name`, from an authority of its own in `bundle`."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    bundle.write_bytes(authority.cert_pem.bytes())
    authority.issue_cert(name).configure_cert(context)
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        serving = Thread(target=server.serve_forever, args=(0.05,))
        serving.start()
        yield server.server_port
        server.shutdown()
        serving.join()


def test_a_bundle_that_cannot_be_read_is_azures_error_as_without_it(
    local_azure: LocalAzure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("no certificate")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    with pytest.raises(ServiceRequestError, match="no certificate"):
        status(local_azure.settings.arm)


def test_a_bundle_that_is_not_there_is_named(
    local_azure: LocalAzure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    with pytest.raises(OSError, match=r"none\.pem"):
        status(local_azure.settings.arm)
