"""A storage service that passes every request on to Azurite, but answers some of them itself with a status."""

from __future__ import annotations

import http.client
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from local.azure import LocalAzure
from local.settings import ACCOUNT

Rule = Callable[[str, str], int]
"""Of a method and a target, the status to answer with; 0 passes the request on."""


class Refusing:
    """The rule that holds now, and what was asked."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.rule: Rule = lambda method, target: 0
        self.asked: list[tuple[str, str]] = []


@contextmanager
def refusing(azure: LocalAzure, service: str) -> Iterator[Refusing]:
    """In front of the local Azure's `queue` or `blob` service, under its own certificate."""
    real = urlsplit(azure.settings.storage(service))
    folder = azure.settings.folder / "certificates"
    trusted = ssl.create_default_context(cafile=str(folder / "bundle.pem"))
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    served.load_cert_chain(folder / "server.pem", folder / "server.key")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            state.asked.append((self.command, self.path))
            status = state.rule(self.command, self.path)
            if status:
                self.reply(status, [], b"")
                return
            assert real.hostname is not None
            onward = http.client.HTTPSConnection(real.hostname, real.port, context=trusted, timeout=60)
            onward.request(self.command, self.path, body, dict(self.headers))
            found = onward.getresponse()
            kept = [
                (n, v) for n, v in found.getheaders() if n.lower() not in ("transfer-encoding", "connection")
            ]
            self.reply(found.status, kept, found.read())
            onward.close()

        def reply(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() != "content-length":
                    self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.socket = served.wrap_socket(server.socket, server_side=True)
    state = Refusing(f"https://127.0.0.1:{server.server_port}/{ACCOUNT}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
