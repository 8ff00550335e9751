"""A state folder has one certificate authority, and every local server speaks TLS under it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import certifi
import trustme

INTERNET = Path(certifi.where())
"""The authorities that a job's script needs, which may fetch data from anywhere."""


@dataclass(frozen=True)
class Certificates:
    bundle: (
        Path  # certifi's authorities and ours: REQUESTS_CA_BUNDLE replaces certifi's, it does not add to them
    )
    certificate: Path
    key: Path


def certificates(folder: Path) -> Certificates:
    """The certificates of `folder`, made when it has none, so that a restart keeps its authority."""
    made = Certificates(folder / "bundle.pem", folder / "server.pem", folder / "server.key")
    if not made.bundle.exists():
        folder.mkdir(parents=True, exist_ok=True)
        authority = trustme.CA(organization_name="Driftloop local Azure")
        server = authority.issue_cert("127.0.0.1", "localhost")
        made.key.touch(mode=0o600)
        server.private_key_pem.write_to_path(str(made.key))
        made.certificate.write_bytes(b"".join(blob.bytes() for blob in server.cert_chain_pems))
        # Last: a bundle says that the rest is complete.
        made.bundle.write_bytes(INTERNET.read_bytes() + b"\n" + authority.cert_pem.bytes())
    return made
