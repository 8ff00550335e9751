"""Blobs as the reader takes files: read by range under their ETag, written block by block, never whole in memory."""

from __future__ import annotations

import io
import uuid
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import pyarrow as pa
from azure.core import MatchConditions
from azure.core.exceptions import AzureError, HttpResponseError
from azure.core.pipeline import PipelineResponse
from azure.storage.blob import BlobBlock, BlobClient

from shared.files.place import FileChanged, FileUnavailable
from shared.spark import footers

READ_BYTES = 8 * 1024 * 1024
WRITTEN_BYTES = 32 * 1024 * 1024
"""A blob has 50,000 blocks at most, so a file 1.6 TB."""


@dataclass(frozen=True)
class _Size:
    st_size: int


@dataclass(eq=False)
class BlobFile:
    """A blob of exactly this ETag; `fetched` is told how many bytes came.

    It travels without a way to read it: `reach` gives it one.
    """

    client: BlobClient | None
    name: str
    etag: str
    size: int
    fetched: Callable[[int], None]

    def reach(self, signed: str, fetched: Callable[[int], None]) -> None:
        self.client, self.fetched = BlobClient.from_blob_url(signed), fetched

    def __reduce__(self) -> tuple[Any, ...]:
        return BlobFile, (None, self.name, self.etag, self.size, _unread)

    @cached_property
    def _patches(self) -> Mapping[int, int]:
        """Where this machine's Arrow cannot read what stands in the footer of a Parquet file."""
        return footers.patches(self._fetch, self.size) if pa.__version__ == "19.0.0" else {}

    def open(self, mode: Literal["rb"]) -> io.BufferedReader:
        return io.BufferedReader(_Ranges(self), READ_BYTES)

    def stat(self) -> _Size:
        return _Size(self.size)

    def range(self, begin: int, size: int) -> bytes:
        content = self._fetch(begin, size)
        if begin + len(content) <= next(iter(self._patches), self.size):
            return content
        patched = bytearray(content)
        for place, byte in self._patches.items():
            if begin <= place < begin + len(content):
                patched[place - begin] = byte
        return bytes(patched)

    def _fetch(self, begin: int, size: int) -> bytes:
        if self.client is None:
            raise RuntimeError(f"nobody has signed {self.name} for this task")
        with _asking(self.name):
            stream = self.client.download_blob(
                begin,
                size,
                etag=f'"{self.etag}"',
                match_condition=MatchConditions.IfNotModified,
                max_concurrency=1,
                raw_response_hook=_as_stored,
            )
            content: bytes = stream.readall()
        self.fetched(len(content))
        return content


def _as_stored(reply: PipelineResponse[Any, Any]) -> None:
    """Nothing is unpacked on its way, whatever `Content-Encoding` says of the blob: a range of packed bytes cannot be.
    The app says `decompress=False`, which the runtime's client (12.19) passes on to what does not know it."""
    reply.http_response.internal_response.raw.headers.pop("Content-Encoding", None)


def _unread(size: int) -> None:
    """Nothing comes from a file that cannot be reached."""


@contextmanager
def _asking(name: str) -> Iterator[None]:
    """Azure's errors as the reader lets them through."""
    try:
        yield
    except AzureError as error:
        if isinstance(error, HttpResponseError) and error.status_code in (404, 412):
            raise FileChanged(name) from error
        raise FileUnavailable(f"{name}: {error}") from error


class _Ranges(io.RawIOBase):
    """Such a blob as a file that can be read from any place; each read is one request."""

    def __init__(self, file: BlobFile) -> None:
        self._file, self._place = file, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._file.size}[whence]
        self._place = begin + offset
        return self._place

    def readinto(self, into: Any) -> int:
        size = min(len(into), max(0, self._file.size - self._place))
        if size:
            into[:size] = self._file.range(self._place, size)
            self._place += size
        return size


class BlobFolder:
    """A folder whose files are blobs: `blob` has that of a name below the folder that was given first, `written` the
    ETag of each that is whole."""

    def __init__(self, blob: Callable[[str], BlobClient]) -> None:
        self._blob, self._below = blob, ""
        self.written: dict[str, str] = {}

    def __truediv__(self, name: str) -> BlobFolder:
        return self._at(f"{self._below}/{name}".strip("/"))

    @property
    def parent(self) -> BlobFolder:
        return self._at(self._below.rpartition("/")[0])

    def _at(self, below: str) -> BlobFolder:
        other = BlobFolder(self._blob)
        other._below, other.written = below, self.written
        return other

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Folders of blobs are names alone."""

    def open(self, mode: Literal["wb"]) -> io.BufferedWriter:
        return io.BufferedWriter(_Blocks(self._blob(self._below), self._below, self.written), WRITTEN_BYTES)


class _Blocks(io.RawIOBase):
    """A blob that is there once it is closed, and not before: its blocks are committed together.

    Another try at the same task may still write the same blob: each has names for its blocks that no other has.
    """

    def __init__(self, client: BlobClient, name: str, written: dict[str, str]) -> None:
        self._client, self._name, self._written = client, name, written
        self._own = uuid.uuid4().hex
        self._blocks: list[str] = []
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        self._held += content
        if len(self._held) >= WRITTEN_BYTES:
            self._stage()
        return len(content)

    def _stage(self) -> None:
        block = b64encode(f"{self._own}{len(self._blocks):08d}".encode()).decode()
        with _asking(self._name):
            self._client.stage_block(block, bytes(self._held))
        self._blocks.append(block)
        self._held.clear()

    def close(self) -> None:
        if self.closed:
            return
        if self._held:
            self._stage()
        with _asking(self._name):
            done = self._client.commit_block_list([BlobBlock(block) for block in self._blocks])
        self._written[self._name] = str(done["etag"]).strip('"')
        super().close()
