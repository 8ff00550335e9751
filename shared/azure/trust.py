"""The certificates that Azure's servers are checked against are read once, and not for each connection.

To read the usual bundle takes OpenSSL 20 ms of CPU, and requests has it read whenever it connects: that was a tenth of
a second of each command. What is trusted, and every check, stays as requests and urllib3 have it.
"""

from __future__ import annotations

import ssl
from functools import lru_cache
from pathlib import Path
from typing import Any

from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.util.ssl_ import create_urllib3_context


class SharedTrust(HTTPAdapter):
    """Connections under one bundle share a TLS context; with a certificate of the client's own, all is as usual."""

    def build_connection_pool_key_attributes(
        self, request: Any, verify: Any, cert: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        if (bundle := _bundle(request.url, verify, cert)) is None:
            return host, pool
        try:
            context = _context(bundle, bundle.stat().st_mtime_ns)
        except OSError:  # requests has the words for what is wrong with it
            return host, pool
        pool = {name: value for name, value in pool.items() if name not in ("ca_certs", "ca_cert_dir")}
        return host, pool | {"ssl_context": context}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        super().cert_verify(conn, url, verify, cert)
        by_tls = (
            conn.proxy is not None and conn.proxy.scheme == "https"
        )  # the proxy is checked against them too
        if "ssl_context" in conn.conn_kw and not by_tls:
            conn.ca_certs = conn.ca_cert_dir = None  # they are in the context


def _bundle(url: str, verify: Any, cert: Any) -> Path | None:
    """The file or folder of what is trusted; None where all is as usual."""
    if not verify or cert or not url.lower().startswith("https"):
        return None
    return Path(DEFAULT_CA_BUNDLE_PATH if verify is True else verify)


@lru_cache(maxsize=4)
def _context(bundle: Path, changed_at: int) -> ssl.SSLContext:
    """Read again when the bundle was `changed_at` another time."""
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    context.load_verify_locations(**{"capath" if bundle.is_dir() else "cafile": str(bundle)})
    return context
