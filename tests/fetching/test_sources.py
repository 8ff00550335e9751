"""A source is asked at the loop file's own address, within limits, and nowhere else."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

from shared.errors import ConfigurationError, DependencyUnavailable, InputRejected
from shared.intake.source_http import WebSources, public
from shared.ports import Fetched
from shared.settings import Settings
from shared.wiring import azure_ports

Answering = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """A small HTTP server on 127.0.0.1 whose behaviour a test sets; `asked` holds paths and If-None-Match."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.answering: Answering = lambda handler: reply(handler, 200, b"a,b\n1,2\n")
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append((self.path, self.headers.get("If-None-Match") or ""))
                outer.answering(self)

            def log_message(self, format: str, *args: object) -> None:
                """Silence."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return self._http.server_address[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/prices"

    def secure(self, certificate: trustme.LeafCert) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        self._http.socket = context.wrap_socket(self._http.socket, server_side=True)

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


def reply(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    if "Content_Length" not in headers:
        handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


def fetch(
    url: str,
    etag: str = "",
    limit_bytes: int = 1000,
    timeout_s: float = 5,
    keys: Mapping[str, str] | None = None,
) -> Fetched:
    return WebSources(lambda: keys or {}).fetch(
        url, etag=etag, modified="", limit_bytes=limit_bytes, timeout_s=timeout_s
    )


def test_the_body_its_etag_and_its_kind_are_given(server: Server) -> None:
    server.answering = lambda it: reply(
        it, 200, b"a\n1\n", ETag='"1"', Content_Type="Text/CSV; charset=utf-8"
    )
    assert fetch(server.url) == Fetched(b"a\n1\n", False, '"1"', "", "text/csv")


def test_a_key_goes_to_its_host_alone_and_into_no_text(server: Server) -> None:
    given: list[str | None] = []

    def refuse(it: BaseHTTPRequestHandler) -> None:
        given.append(it.headers.get("Authorization"))
        reply(it, 403)

    server.answering = refuse
    for host in (f"127.0.0.1:{server.port}", "127.0.0.1", "elsewhere.example"):
        with pytest.raises(InputRejected) as refused:
            fetch(server.url, keys={host: "s3cret"})
        assert "s3cret" not in str(refused.value)
    assert given == ["Bearer s3cret", None, None], "another port is another machine's"


def test_what_is_known_is_not_sent_again(server: Server) -> None:
    server.answering = lambda it: reply(it, 304)
    assert fetch(server.url, etag='"1"').unchanged
    assert server.asked == [("/prices", '"1"')]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_passes_is_waited_for_as_long_as_the_source_says(server: Server, status: int) -> None:
    server.answering = lambda it: reply(it, status, Retry_After="60")
    with pytest.raises(DependencyUnavailable) as unavailable:
        fetch(server.url)
    assert unavailable.value.retry_after_s == 60


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_is_told_with_what_to_look_at(server: Server, status: int) -> None:
    server.answering = lambda it: reply(it, status)
    with pytest.raises(InputRejected, match=f"answered {status}; look at its address"):
        fetch(server.url)


def test_a_body_without_end_is_cut_at_the_limit(server: Server) -> None:
    sent = []

    def endless(it: BaseHTTPRequestHandler) -> None:
        it.send_response(200)
        it.end_headers()
        try:
            while len(sent) < 10_000:
                it.wfile.write(b"x" * 65536)
                sent.append(1)
        except OSError:
            return

    server.answering = endless
    with pytest.raises(InputRejected, match="more than 100,000 bytes"):
        fetch(server.url, limit_bytes=100_000)
    assert len(sent) < 10_000


def test_a_body_that_drips_is_given_up_in_time(server: Server) -> None:
    stop = threading.Event()

    def drip(it: BaseHTTPRequestHandler) -> None:
        it.send_response(200)
        it.end_headers()
        try:
            while not stop.wait(0.05):
                it.wfile.write(b"x")
        except OSError:
            return

    server.answering = drip
    with pytest.raises(DependencyUnavailable):
        fetch(server.url, timeout_s=0.6)
    stop.set()


def test_a_body_that_breaks_off_is_no_body(server: Server) -> None:
    server.answering = lambda it: reply(it, 200, b"a,b\n1,2\n", Content_Length="9999")
    with pytest.raises(DependencyUnavailable):
        fetch(server.url)


def test_a_redirect_on_the_same_host_is_followed_a_few_times(server: Server) -> None:
    def once(it: BaseHTTPRequestHandler) -> None:
        if it.path == "/prices":
            reply(it, 302, Location="/v2/prices?x=1")
        else:
            reply(it, 200, b"a\n1\n")

    server.answering = once
    assert fetch(server.url).content == b"a\n1\n"
    server.answering = lambda it: reply(it, 302, Location="/again")
    with pytest.raises(InputRejected, match="more than 3 times"):
        fetch(server.url)


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/metadata/identity",
        "http://127.0.0.1:1/",
        "https://127.0.0.1/",
        "//example.com/",
        "file:///etc/passwd",
        "http://user@127.0.0.1/",
    ],
)
def test_a_redirect_to_another_place_is_refused(server: Server, location: str) -> None:
    server.answering = lambda it: reply(it, 302, Location=location)
    with pytest.raises(InputRejected) as refused:
        fetch(server.url)
    assert refused.value.code == "foreign-redirect"
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://localhost/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://10.0.0.1/",
        "https://169.254.169.254/metadata",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:169.254.169.254]/",
        "https://[fd00::1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://0.0.0.0/",
    ],
)
def test_an_address_that_is_not_public_is_never_asked(url: str) -> None:
    with pytest.raises((InputRejected, DependencyUnavailable)) as refused:
        fetch(url, timeout_s=1)
    if isinstance(refused.value, InputRejected):
        assert refused.value.code == "private-address"
    else:  # a resolver may refuse the odd spellings before an address is seen
        assert "has no address" in str(refused.value)


def test_over_tls_the_certificate_and_the_name_are_checked(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    server.secure(authority.issue_cert("localhost"))
    monkeypatch.setattr("shared.intake.source_http.public", lambda address: True)
    url = f"https://localhost:{server.port}/prices"
    with pytest.raises(DependencyUnavailable, match="SSLCertVerificationError"):
        fetch(url)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert fetch(url).content == b"a,b\n1,2\n"
    with pytest.raises(DependencyUnavailable, match="SSLCertVerificationError"):
        fetch(f"https://127.0.0.1:{server.port}/prices")


@pytest.mark.parametrize(
    ("address", "open_internet"),
    [("8.8.8.8", True), ("2606:4700::1", True), ("224.0.0.1", False), ("100.64.0.1", False), ("::", False)],
)
def test_which_addresses_are_public(address: str, open_internet: bool) -> None:
    assert public(address) is open_internet


def of_keys(text: str) -> Settings:
    needed = dict.fromkeys(set(Settings.__dataclass_fields__) - {"http_keys"}, "https://a.example")
    return Settings(**needed, http_keys=text)


def test_keys_are_told_by_host() -> None:
    assert of_keys("").keys_by_host() == {}
    told = of_keys(" shop.example.com=a=b  127.0.0.1:8080=1|c\n").keys_by_host()
    assert told == {"shop.example.com": "a=b", "127.0.0.1:8080": "1|c"}


@pytest.mark.parametrize(
    "text",
    [
        "@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/s3cret)",
        "Shop.example.com=s3cret",
        "https://shop.example.com=s3cret",
        "shop.example.com=",
        "s3cret",
        "shop.example.com=s3crét",
        '{"shop.example.com": "s3cret"}',
    ],
)
def test_keys_that_cannot_be_sent_are_told_when_one_is_asked_for_and_not_before(text: str) -> None:
    """A shell that has `azd env get-values` has the reference to a key vault as it is; no command needs a key."""
    ports = azure_ports(of_keys(text))
    with pytest.raises(ConfigurationError, match="with blanks between") as refused:
        ports.sources.fetch("http://127.0.0.1:9/", etag="", modified="", limit_bytes=1, timeout_s=1)
    assert "s3cr" not in str(refused.value)
