"""Landed blobs are read exactly as their event named them; their names go to Azure's client and nowhere else."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobClient, BlobProperties, BlobServiceClient, StorageStreamDownloader

from shared import accounts, deadline
from shared.azure.failures import CALL_S, UNBOUNDED, asking, code_of, must_be_absent, status_of
from shared.azure.service_codes import IMMUTABLE, THERE, UNREADABLE, Consequence, consequence
from shared.azure.side_by_side import side_by_side
from shared.domain.reason import Code
from shared.errors import Conflict, DependencyUnavailable, InputRejected
from shared.intake.rejections import rejected
from shared.port_rules import check_blob_name
from shared.ports import Blob

ROLE = "Storage Blob Data Contributor"
READER = "Storage Blob Data Reader"
QUARANTINE = "quarantine"

_SMALL_BYTES = 4 * 1024 * 1024

_COPY_POLLS = 60
_COPY_POLL_S = 0.5


class AzureBlobs:
    """`Blobs` over the storage account."""

    def __init__(self, service: BlobServiceClient, other: Callable[[str], BlobServiceClient]) -> None:
        """Ours, and what gives that of another account by its name."""
        self._service, self._other = service, other
        self._others: dict[str, BlobServiceClient] = {}

    def find(self, container: str, name: str) -> Blob | None:
        with asking("Looking for a blob", f"container {container!r}", _role(container)):
            try:
                found = self._client(container, name).get_blob_properties()
                return None if _is_directory(found) else _blob(container, found)
            except ResourceNotFoundError as error:
                must_be_absent(error)
                return None
            except HttpResponseError as error:
                _reject_unreadable(error, name)
                raise

    def list(self, container: str, prefix: str) -> Iterator[Blob]:
        account, own = accounts.split(container)
        with asking("Listing blobs", f"container {container!r}", _role(container), most_s=UNBOUNDED):
            for found in (
                self._of(account)
                .get_container_client(own)
                .list_blobs(name_starts_with=prefix or None, include=["metadata", "copy"])
            ):
                if not _is_directory(found):
                    yield _blob(container, found)

    def download(self, blob: Blob, to: Path) -> None:
        """In chunks, each under the event's ETag: a blob that is overwritten meanwhile never mixes its bytes.

        As it is stored: what `Content-Encoding: gzip` says of it is told from its bytes, like any gzip.
        """
        client = self._client(blob.container, blob.name)
        with asking("Reading a blob", f"container {blob.container!r}", READER, most_s=UNBOUNDED):
            try:
                with to.open("wb") as file:
                    _stream(client, blob).readinto(file)
            except HttpResponseError as error:
                _reject_unreadable(error, blob.name)
                if not is_changed(error):
                    raise
                raise _changed(blob) from None

    def download_all(self, wanted: Mapping[Path, Blob]) -> None:
        """Small ones by a few threads; after the first failure no other is begun. Of a large one the client holds up to
        32 MB in memory, and what takes time is its bytes."""
        _at_once((blob.size_bytes, partial(self.download, blob, to)) for to, blob in wanted.items())

    def upload(self, container: str, name: str, content: bytes | Path) -> Blob:
        client = self._client(container, name)
        with asking("Writing a blob", f"container {container!r}", ROLE, most_s=UNBOUNDED):
            if isinstance(content, Path):
                with content.open("rb") as file:
                    client.upload_blob(file, overwrite=True)
            else:
                client.upload_blob(content, overwrite=True)
            return _blob(container, client.get_blob_properties())

    def upload_all(self, container: str, files: Mapping[str, Path]) -> None:
        """As `download_all`."""
        _at_once(
            (file.stat().st_size, partial(self.upload, container, name, file)) for name, file in files.items()
        )

    def quarantine(self, blob: Blob, note: str) -> None:
        """To quarantine/<container>/<name>/<etag>, with <etag>.reason.json beside it; repeating changes nothing.

        Of a blob that cannot be read (archived, for example) only the reason: its bytes stay where they landed.
        """
        place = _quarantine_place(blob)
        target = self._service.get_blob_client(QUARANTINE, place)
        is_ours = not accounts.split(blob.container)[0]
        most_s = CALL_S if is_ours else UNBOUNDED
        with asking("Copying a blob into quarantine", f"container {QUARANTINE}", ROLE, most_s=most_s):
            try:
                source = self._client(blob.container, blob.name)
                if is_ours:
                    copy(source, target, blob.etag)
                else:  # a copy by the service would need a key of that account, or a signature
                    target.upload_blob(_stream(source, blob).chunks(), overwrite=True, max_concurrency=1)
            except InputRejected:
                pass  # a name that cannot be addressed has no bytes to keep; its reason is kept
            except HttpResponseError as error:
                if code_of(error) not in UNREADABLE:  # else its bytes stay where they landed
                    if not is_changed(error):
                        raise
                    raise _changed(blob) from None
            reason = self._service.get_blob_client(QUARANTINE, f"{place}.reason.json")
            try:
                reason.upload_blob(note.encode(), overwrite=True)
            except HttpResponseError as error:
                if code_of(error) not in IMMUTABLE:  # else the first note stays
                    raise

    def _client(self, container: str, name: str) -> BlobClient:
        check_blob_name(container, name)
        account, own = accounts.split(container)
        return self._of(account).get_blob_client(own, name)

    def _of(self, account: str) -> BlobServiceClient:
        if not account:
            return self._service
        if account not in self._others:  # two at once: one is forgotten
            self._others[account] = self._other(account)
        return self._others[account]


def _at_once(moves: Iterable[tuple[int, Callable[[], object]]]) -> None:
    """Make moves of so many bytes each: small ones by a few threads, the others one by one."""
    sized = list(moves)
    side_by_side(move for size, move in sized if size <= _SMALL_BYTES)
    for size, move in sized:
        if size > _SMALL_BYTES:
            move()


def _role(container: str) -> str:
    """Which one the app has: of another's container it only reads."""
    return READER if accounts.split(container)[0] else ROLE


def _stream(client: BlobClient, blob: Blob) -> StorageStreamDownloader[bytes]:
    return client.download_blob(
        etag=quoted(blob.etag),
        match_condition=MatchConditions.IfNotModified,
        max_concurrency=1,  # threads of the client's own would know no end
        decompress=False,
    )


def _quarantine_place(blob: Blob) -> str:
    """The blob's own path and ETag, so that nothing is overwritten; a hash of them when that is no path."""
    place = f"{blob.container}/{blob.name}/{blob.etag}"
    try:
        check_blob_name(QUARANTINE, f"{place}.reason.json")
    except InputRejected:
        return "unnameable/" + hashlib.sha256(place.encode(errors="replace")).hexdigest()
    return place


def copy(source: BlobClient, target: BlobClient, etag: str = "") -> None:
    """Server-side, within the account, never over an existing blob; of exactly `etag` when one is given."""
    exactly: dict[str, Any] = {}
    if etag:
        exactly = {"source_etag": quoted(etag), "source_match_condition": MatchConditions.IfNotModified}
    try:
        started = target.start_copy_from_url(source.url, match_condition=MatchConditions.IfMissing, **exactly)
        status = str(started["copy_status"])
    except HttpResponseError as error:
        if code_of(error) not in THERE:
            raise
        # No status at all: it was not made by a copy, so the caller compares the content.
        status = str(target.get_blob_properties().copy.status or "success")
    _await_copy(target, status)


def _await_copy(target: BlobClient, status: str) -> None:
    """Within one account a copy is a matter of moments, so it is waited for, with a limit."""
    for _ in range(_COPY_POLLS):
        if status == "success":
            return
        if status != "pending":
            target.delete_blob()  # it has no content, and stands where the next attempt must write
            raise DependencyUnavailable(
                f"The copy to container {target.container_name} ended as {status}.", code=Code.COPY_FAILED
            )
        time.sleep(deadline.left_s(_COPY_POLL_S))
        status = str(target.get_blob_properties().copy.status)
    raise DependencyUnavailable(
        f"A copy to container {target.container_name} takes long.", retry_after_s=_COPY_POLLS * _COPY_POLL_S
    )


def quoted(etag: str) -> str:
    """As HTTP writes it; events and our records leave the quotes out."""
    return f'"{etag}"'


def _is_directory(found: BlobProperties) -> bool:
    """Accounts with folders list them as empty blobs with this mark (Azure/azure-sdk-for-python#30470), with a capital
    where Go wrote it (fsspec/adlfs#418): names of metadata have no case."""
    marks = {name.casefold(): str(value) for name, value in (found.metadata or {}).items()}
    return marks.get("hdi_isfolder", "").casefold() == "true"


def _blob(container: str, found: BlobProperties) -> Blob:
    created_at = found.last_modified  # when this content came to be: an overwrite keeps creation_time
    copy = "" if found.copy.status == "success" else found.copy.status or ""
    return Blob(container, found.name, found.etag.strip('"'), found.size, created_at, copy)


def _reject_unreadable(error: HttpResponseError, name: str) -> None:
    """A blob that nobody can read as it is is not waited for; a key of its own is asked for even by a HEAD."""
    if (code := UNREADABLE.get(code_of(error))) is not None:
        raise rejected(code, f"{name} cannot be read ({code_of(error)})") from None


def is_changed(error: HttpResponseError) -> bool:
    """Whether the blob is another one by now, or gone; a lease that is missing answers 412 too."""
    status, code = status_of(error), code_of(error)
    meant = consequence(status, code)
    return meant is None if status == 404 else status == 412 and meant is Consequence.RACE


def _changed(blob: Blob) -> Conflict:
    return Conflict(f"Blob {blob.container}/{blob.name!r} was overwritten or deleted since its event.")
