"""A release's page as one file that opens from disk: it loads nothing, runs nothing, and holds its own data."""

from __future__ import annotations

import base64
import hashlib

from markupsafe import Markup

from shared.audit.exported_release import ExportedRelease, Proof, unreadable
from shared.ports import Ports
from shared.words import say
from tower import html
from tower.pages.release_page import release
from tower.visit import Asking, Studio

BEGINS = '<script type="application/json" id="driftloop-release">'
ENDS = "</script>"


def write(exported: ExportedRelease, ports: Ports, proof: Proof) -> bytes:
    """The page, and the data that it was made from; `ports` are over those."""
    page = release(Asking(ports, "", Studio("")), exported.loop, exported.number)
    style = html.static("tower.css").decode()
    return html.render(
        "exported.html",
        page=page,
        base=None,
        token="",
        new_id=str,
        now=exported.exported_at,
        proof=proof,
        problems=[say(one) for one in proof.problems],
        unproven=[say(one) for one in proof.unproven],
        style=Markup(style),  # noqa: S704  # our own file
        policy=_policy(style),
        data=Markup(exported.to_text().replace("<", r"\u003c")),  # noqa: S704  # JSON that ends no element
    )


def read(content: bytes, name: str) -> ExportedRelease:
    """The data of a page; ConfigurationError where it has none, or not all."""
    try:
        _, begins, rest = content.decode().rpartition(BEGINS)
    except UnicodeDecodeError as error:
        raise unreadable(name, "it is not UTF-8 text") from error
    text, ends, _ = rest.partition(ENDS)
    if not begins:
        raise unreadable(name, "it holds no data of a release")
    if not ends:
        raise unreadable(name, "its end is missing")
    return ExportedRelease.from_text(text, name)


def _policy(style: str) -> str:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
