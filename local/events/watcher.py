"""Each blob that appears or is overwritten in a watched container becomes a BlobCreated event.

Azurite tells nobody of new blobs. Its access log would name each request, but only while someone reads it:
what was written while this process was down would be lost. A listing is the state itself. It is compared with
what was noted, and noting and accepting the event are one transaction. Two writes of one blob between two
looks are one event. What azurite/changes.js notes says only which container is worth a listing.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
import uuid
from contextlib import suppress
from datetime import datetime

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.blob import BlobClient, BlobProperties, BlobType

from local.events import namespace
from local.events.models import Events, stamp
from local.events.subscriptions import PARTNER_STORAGE, STORAGE, subscriptions
from local.service import Service
from local.settings import ACCOUNT, PARTNER, RESOURCE_GROUP, SUBSCRIPTION
from local.state import Document

LOOK_EVERY_S = 0.1
LIST_EVERY_S = 10.0
"""Also where no change was noted: a listing is what counts."""
REST = 4  # a listing that took long is followed by a rest of this many times as long
REST_AT_MOST_S = 2.0
_SEEN, _COUNTER = "event-blob", "event-counter"
_PREFIX = "/blobServices/default/containers/"
_ACCOUNTS = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}/providers/Microsoft.Storage/storageAccounts"
_NAMES = {STORAGE: ACCOUNT, PARTNER_STORAGE: PARTNER}

log = logging.getLogger(__name__)


class BlobWatcher:
    """Lists the containers that subscriptions name when they have changed."""

    def __init__(self, service: Service, events: Events) -> None:
        self._service, self._events = service, events
        self._stopping = threading.Event()
        self._clients = {STORAGE: service.blobs, PARTNER_STORAGE: service.partner}
        self._looking = threading.Lock()
        self._changes = service.settings.changes
        self._listed: dict[tuple[str, str], tuple[int, float]] = {}
        """How much had changed in a container, and when, at its last listing."""
        self._listing_s = 0.0
        """What the listings of this look took: to tell of what they found is work, and earns no rest."""
        self._named: tuple[int, set[tuple[str, str]]] = (-1, set())
        """The containers that subscriptions name, and how much had been written when they were read."""
        self._copying: set[tuple[str, str, str]] = set()
        """Blobs whose copy has begun, of which has been told."""
        self._seen: dict[tuple[str, str, str], str] = {
            (body.get("source", STORAGE), body["container"], body["name"]): body["etag"]
            for _, body in service.state.items(_SEEN)
        }
        self._thread = threading.Thread(target=self._run, name="blob-watcher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(10)

    def look(self) -> int:
        """Compare the containers with what was noted; how many events that made."""
        with self._looking:
            return sum(self._look_at(*place) for place in sorted(self._containers()))

    def _look_where_it_changed(self) -> None:
        with self._looking:
            for place in sorted(self._containers()):
                changes, listed_at = self._listed.get(place, (-1, 0.0))
                if changes != self._changes_of(place) or time.monotonic() - listed_at > LIST_EVERY_S:
                    self._look_at(*place)

    def _changes_of(self, place: tuple[str, str]) -> int:
        """It grows with each request that may have changed the container."""
        source, container = place
        size = 0
        for name in (f"{_NAMES[source]}.{container}", "all"):
            with suppress(FileNotFoundError):
                size += (self._changes / name).stat().st_size
        return size

    def rename(self, container: str, source: str, target: str) -> None:
        """A file or a folder of the partner's account gets another name: one event, and none of what is there now."""
        with self._looking:
            client = self._clients[PARTNER_STORAGE]
            moved = namespace.move(client, container, source, target)
            state = self._service.state
            folder, by = [blob.name for blob in moved] != [target], namespace.writer(state)
            with state.transaction():
                for blob in moved:
                    self._notice((PARTNER_STORAGE, container, blob.name), blob.etag.strip('"'))
                before, now = (client.get_blob_client(container, name).url for name in (source, target))
                made = self._event((PARTNER_STORAGE, container, target), moved[0], now, "", "", self._next())
                self._events.accept(PARTNER_STORAGE, [namespace.renamed(made, before, folder=folder, by=by)])
            self._seen |= {(PARTNER_STORAGE, container, blob.name): blob.etag.strip('"') for blob in moved}

    def _run(self) -> None:
        rest_s = 0.0
        while not self._stopping.wait(rest_s):
            self._listing_s = 0.0
            try:
                self._look_where_it_changed()
            except AzureError as error:
                log.warning("the containers cannot be listed, looking again: %s", error)
            rest_s = max(LOOK_EVERY_S, min(REST_AT_MOST_S, REST * self._listing_s))

    def _containers(self) -> set[tuple[str, str]]:
        written = self._service.state.written
        if self._named[0] != written:
            self._named = (written, self._in_subscriptions())
        return self._named[1]

    def _in_subscriptions(self) -> set[tuple[str, str]]:
        begins = [
            (each.source, each.subject_begins_with)
            for each in subscriptions(self._service.state)
            if each.source in self._clients
        ]
        return {
            (source, text.removeprefix(_PREFIX).split("/")[0])
            for source, text in begins
            if text.startswith(_PREFIX)
        }

    def _look_at(self, source: str, container: str) -> int:
        client = self._clients[source].get_container_client(container)
        present: set[tuple[str, str, str]] = set()
        made, changes, pending = 0, self._changes_of((source, container)), False
        began = time.monotonic()
        blobs = list(client.list_blobs(include=["copy"]))
        self._listing_s += time.monotonic() - began
        for blob in blobs:
            key = (source, container, blob.name)
            present.add(key)
            etag = blob.etag.strip('"')
            pending = pending or blob.copy.status == "pending"
            if self._seen.get(key) != etag:
                made += self._note(key, etag, blob)
        for key in [k for k in self._seen if k[:2] == (source, container) and k not in present]:
            self._service.state.delete(_SEEN, _hashed(key))
            del self._seen[key]
        self._listed[source, container] = (-1 if pending else changes, time.monotonic())
        return made

    def _note(self, key: tuple[str, str, str], etag: str, blob: BlobProperties) -> int:
        """Note a blob and accept its event in one transaction."""
        source, container, _ = key
        appended = (
            blob.blob_type == BlobType.APPENDBLOB and key in self._seen
        )  # Azure tells of its creation only, and of a copy when it begins (MicrosoftDocs/azure-docs#74041, #114316)
        silent = appended or (key in self._copying and blob.copy.status != "pending")
        self._copying = self._copying | {key} if blob.copy.status == "pending" else self._copying - {key}
        client = self._clients[source].get_blob_client(container, blob.name)
        api = self._api(client, blob)
        if api is None:
            return 0
        state = self._service.state
        with state.transaction():
            self._notice(key, etag)
            if not silent:
                event = self._event(key, blob, client.url, etag, api, self._next())
                by = namespace.writer(state) if source == PARTNER_STORAGE else namespace.BLOB
                self._events.accept(source, namespace.written(event, by))
        self._seen[key] = etag
        return 0 if silent else 1

    def _notice(self, key: tuple[str, str, str], etag: str) -> None:
        body = dict(zip(("source", "container", "name"), key, strict=True)) | {"etag": etag}
        self._service.state.put(_SEEN, _hashed(key), body)

    def _next(self) -> int:
        counter = (self._service.state.get(_COUNTER, "blob") or {"value": 0x1000})["value"] + 1
        self._service.state.put(_COUNTER, "blob", {"value": counter})
        return int(counter)

    def _api(self, client: BlobClient, blob: BlobProperties) -> str | None:
        """The call that made the blob, None when it is gone already."""
        if blob.copy.id:
            return "CopyBlob"
        if blob.blob_type != BlobType.BLOCKBLOB:
            return "PutBlob"
        try:
            committed, _ = client.get_block_list("committed")
        except ResourceNotFoundError:
            return None
        return "PutBlockList" if committed else "PutBlob"

    def _event(
        self, key: tuple[str, str, str], blob: BlobProperties, url: str, etag: str, api: str, count: int
    ) -> Document:
        source, container, name = key
        request_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{container}/{name}/{etag}"))
        modified: datetime = blob.last_modified
        settings = blob.content_settings
        return {
            "topic": f"{_ACCOUNTS}/{_NAMES[source]}",
            "subject": f"{_PREFIX}{container}/blobs/{name}",
            "eventType": "Microsoft.Storage.BlobCreated",
            "id": f"{request_id[:-12]}06{request_id[-10:]}",
            "data": {
                "api": api,
                "clientRequestId": str(uuid.uuid5(uuid.NAMESPACE_OID, request_id)),
                "requestId": request_id,
                "eTag": etag,
                "contentType": settings.content_type or "application/octet-stream",
                "contentLength": blob.size,
                "blobType": str(getattr(blob.blob_type, "value", blob.blob_type)),
                "url": url,
                "sequencer": f"{count:032X}",
                "storageDiagnostics": {"batchId": str(uuid.uuid5(uuid.NAMESPACE_DNS, request_id))},
            },
            "dataVersion": "",
            "metadataVersion": "1",
            "eventTime": stamp(modified),
        }


def _hashed(key: tuple[str, str, str]) -> str:
    """Names of blobs differ by case, keys of the state do not."""
    return hashlib.sha256("/".join(key).encode()).hexdigest()
