"""What Event Grid tells of blobs: one has landed, or a file or a folder was given another name.

Of such an event only account, container and name are taken. What is not ours is read only where a loop file names it.
The shapes: learn.microsoft.com/azure/event-grid/event-schema-blob-storage
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from shared import accounts
from shared.errors import InputRejected
from shared.inbox.landings import FOLDER_END


@dataclass(frozen=True)
class Landed:
    """A blob was created."""

    container: str
    """Of another account than ours with the account's name before it: `ACCOUNT:CONTAINER`."""
    name: str
    etag: str
    sequencer: str
    written: str = ""
    """The name as the URL writes it, where that is another one: some clients send names with no escapes."""


@dataclass(frozen=True)
class Renamed:
    """A file, or a folder with all that is in it, has this name now, on an account with folders. No other event tells
    of what is there: neither of the file, nor of those in the folder."""

    container: str
    name: str
    """A folder's ends with a slash."""
    sequencer: str
    written: str = ""
    """As `Landed.written`."""


@dataclass(frozen=True)
class Uninteresting:
    """An event that is well formed and asks for nothing."""

    what: str


_CREATED = "microsoft.storage.blobcreated"
_RENAMED = {"microsoft.storage.blobrenamed": "", "microsoft.storage.directoryrenamed": "/"}
"""Type of an event -> how the name ends that it tells of."""

_UNFINISHED = {"CreateFile": "FlushWithClose", "SftpCreate": "SftpCommit"}
"""Operations that begin a file on accounts with folders -> the one that ends it."""

_QUERY = re.compile(r"\?[A-Za-z0-9_.~-]+=.*$", re.DOTALL)
"""Keys with values behind a question mark are a query, which may hold a signature, and no part of a name."""


def read(kind: str, data: Mapping[str, object], account_url: str) -> Landed | Renamed | Uninteresting:
    """`kind` and the keys of `data` in small letters."""
    if kind in _RENAMED:
        container, written = _path(str(data.get("destinationurl", "")), account_url)
        written = written.rstrip("/") + _RENAMED[kind]
        name = _name(written)
        sequencer = str(data.get("sequencer", ""))
        return Renamed(unquote(container), name, sequencer, "" if written == name else written)
    return _landed(data, account_url) if kind == _CREATED else Uninteresting(kind)


def _landed(data: Mapping[str, object], account_url: str) -> Landed | Uninteresting:
    """A file that is only begun has no content yet; but `_SUCCESS` never has any, and a client that writes nothing into
    a file need not flush it (azure-storage-file-datalake, _upload_helper.py)."""
    api, url = str(data.get("api")), str(data.get("url", ""))
    if (end := _UNFINISHED.get(api)) is not None and not url.endswith(f"/{FOLDER_END}"):
        return Uninteresting(f"{api}: the file has no content yet, {end} follows")
    if (api, str(data.get("blobtype"))) == ("PutBlob", "AppendBlob"):
        return Uninteresting(
            "an append blob was made, which is empty; the sweep finds it once nobody appends to it"
        )
    container, written = _path(url, account_url)
    container, name = unquote(container), _name(written)
    etag = str(data.get("etag", "")).strip('"')
    if not etag:
        raise InputRejected("no-etag", f"the event for {container}/{name} has no eTag")
    return Landed(
        container=container,
        name=name,
        etag=etag,
        sequencer=str(data.get("sequencer", "")),
        written="" if written == name else written,
    )


def _name(written: str) -> str:
    """The name that a URL writes so. Nobody escapes the slash between folders: where one seems to be, nothing is."""
    return written if "%2f" in written.casefold() else unquote(written)


def _path(url: str, account_url: str) -> tuple[str, str]:
    """Container and blob name of a URL of a storage account, as it writes them; InputRejected for any other URL.

    Event Grid does not escape every character of a name: a `#` in it, or a `?` alone, is part of it
    (github.com/Azure/azure-sdk-for-net/issues/23634).
    """
    found = accounts.addressed(account_url, _QUERY.sub("", url))
    if found is None:
        ours = account_url.partition("://")[2]
        raise InputRejected("foreign-account", f"the event is about no storage account such as {ours}")
    account, path = found
    container, _, name = path.partition("/")
    if not container or not name:
        raise InputRejected("no-blob", "the event's URL names no blob")
    return (f"{account}:{container}" if account else container), name
