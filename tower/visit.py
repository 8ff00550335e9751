"""What a page is asked with: the ports, who asks, where pages live, and where Azure ML studio is."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from shared.domain.caller import Caller
from shared.ports import Documents, Ports

if TYPE_CHECKING:
    from shared.loopfile.definition import Serve

Document = Mapping[str, Any]  # a stored JSON document, read where its shape is known


class NotFound(Exception):
    """There is no such page, loop, version or release; the text says which."""


_SHARED = re.compile("azureml://registries/([^/]+)/models/([^/]+)/versions/([^/]+)")


@dataclass(frozen=True)
class Studio:
    """Addresses in Azure ML studio of what a release made."""

    workspace_id: str
    """The workspace's ARM id; empty where none is known."""

    def job(self, name: str) -> str:
        return self._at(f"runs/{quote(name, safe='')}")

    def model(self, asset: str) -> str:
        """`asset` is an asset id, of the workspace or of a registry, or `azureml:name:version`."""
        if found := _SHARED.fullmatch(asset):
            registry, name, version = map(quote, found.groups())
            return f"https://ml.azure.com/registries/{registry}/models/{name}/version/{version}"
        name, _, version = short(asset).partition(":")
        return self._at(f"model/{quote(name, safe='')}:{quote(version, safe='')}/details")

    def data(self, asset: str) -> str:
        """Under the version that it was registered as, which need not be its number."""
        name, _, version = short(asset).partition(":")
        return self._at(f"data/{quote(name, safe='')}/{quote(version, safe='')}/details")

    def endpoint(self, serve: Serve) -> str:
        """Empty for a batch endpoint."""
        if serve.type == "batch":
            return ""
        return self._at(f"endpoints/realtime/{quote(serve.endpoint, safe='')}/detail")

    def _at(self, path: str) -> str:
        return f"https://ml.azure.com/{path}?wsid={quote(self.workspace_id)}" if self.workspace_id else ""


def short(asset: str) -> str:
    """name:version of an asset id in either form."""
    if asset.startswith("azureml:") and "/" not in asset:
        return asset.removeprefix("azureml:")
    parts = asset.split("/")
    return f"{parts[-3]}:{parts[-1]}" if len(parts) >= 3 and parts[-2] == "versions" else asset


def clip(text: str, limit: int = 400) -> str:
    """A long text's beginning, so that no stored text can make a page large."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def shortened(name: str, limit: int) -> str:
    """A long name's two ends: names of one family often differ at their end alone."""
    return name if len(name) <= limit else f"{name[: limit // 2]}…{name[-(limit - limit // 2 - 1) :]}"


@dataclass(frozen=True)
class Asking:
    """One question to the tower."""

    ports: Ports
    base: str
    """Path of the overview, without a slash at its end."""
    studio: Studio
    query: Mapping[str, str] = field(default_factory=dict)
    caller: Caller | None = None
    """None where nobody may act: in an exported page."""

    def number(self, name: str, default: int = 0) -> int:
        text = self.query.get(name, "")
        return int(text) if text.isdecimal() and len(text) < 10 else default


KEPT, KEPT_BYTES = 64, 200_000
"""How many documents are kept in memory, and how large each may be: a digest always means the same bytes."""


class _Large(Exception):
    """Too large to be kept; holds the document."""

    def __init__(self, found: Document) -> None:
        super().__init__()
        self.found = found


@lru_cache(maxsize=KEPT)
def _small(documents: Documents, digest: str) -> Document:
    content = documents.get(digest)
    found: Document = json.loads(content)
    if len(content) > KEPT_BYTES:
        raise _Large(found)
    return found


def document(ports: Ports, digest: str) -> Document | None:
    """A stored JSON document; None for an empty digest."""
    if not digest:
        return None
    try:
        return _small(ports.documents, digest)  # type: ignore[arg-type]  # a protocol; adapters hash by identity
    except _Large as large:
        return large.found
