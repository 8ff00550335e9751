"""Documents, landed blobs and data versions in memory, as hostile as the real ones about change."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from shared.domain.reason import Code
from shared.domain.window import WindowKind
from shared.errors import ConfigurationError, Conflict, InputRejected, InvariantBroken
from shared.intake.rejections import rejected
from shared.port_rules import TABLE, asset_versions, check_blob_name, table
from shared.ports import Blob, Clock


class MemoryDocuments:
    """`contents[digest]` may be read, and spoiled, by tests."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}

    def put(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        self.contents[digest] = content
        return digest

    def get(self, digest: str) -> bytes:
        content = self.contents.get(digest)
        if content is None:
            raise InvariantBroken(
                f"Document {digest} is gone. Restore it from the storage account's backup.",
                code=Code.DOCUMENT_LOST,
            )
        if hashlib.sha256(content).hexdigest() != digest:
            raise InvariantBroken(
                f"Document {digest} does not have the content that its name promises.",
                code=Code.DOCUMENT_LOST,
            )
        return content


class MemoryBlobs:
    """Blobs by (container, name); what was quarantined, with its reason, in `quarantined`."""

    def __init__(self, clock: Clock) -> None:
        self.quarantined: dict[tuple[str, str, str], str] = {}
        self._clock = clock
        self.archived: set[tuple[str, str]] = set()
        """(container, name) of blobs whose bytes a person has archived."""
        self._blobs: dict[tuple[str, str], tuple[Blob, bytes]] = {}
        self._numbers = itertools.count(1)

    def find(self, container: str, name: str) -> Blob | None:
        check_blob_name(container, name)
        found = self._blobs.get((container, name))
        return found[0] if found else None

    def list(self, container: str, prefix: str) -> Iterable[Blob]:
        for key in sorted(self._blobs):
            if key[0] == container and key[1].startswith(prefix):
                yield self._blobs[key][0]

    def download(self, blob: Blob, to: Path) -> None:
        content = self._exactly(blob)
        if (blob.container, blob.name) in self.archived:
            raise rejected("archived-blob", f"{blob.name} cannot be read (BlobArchived)")
        to.write_bytes(content)

    def download_all(self, wanted: Mapping[Path, Blob]) -> None:
        for to, blob in wanted.items():
            self.download(blob, to)

    def upload(self, container: str, name: str, content: bytes | Path) -> Blob:
        check_blob_name(container, name)
        data = content.read_bytes() if isinstance(content, Path) else content
        blob = Blob(container, name, f"0x8D{next(self._numbers):012X}", len(data), self._clock.now())
        self._blobs[container, name] = (blob, data)
        return blob

    def copy(self, container: str, name: str, status: str) -> Blob:
        """Somebody copies a blob here, whose copy stands so; an upload ends it."""
        blob = replace(self.upload(container, name, b""), copy=status)
        self._blobs[container, name] = (blob, b"")
        return blob

    def upload_all(self, container: str, files: Mapping[str, Path]) -> None:
        for name, file in files.items():
            self.upload(container, name, file)

    def delete(self, container: str, name: str) -> None:
        """What a person may do at any time."""
        self._blobs.pop((container, name), None)

    def quarantine(self, blob: Blob, note: str) -> None:
        with suppress(InputRejected):  # a name that cannot be addressed has no bytes to keep
            self._exactly(blob)
        self.quarantined[blob.container, blob.name, blob.etag] = note

    def _exactly(self, blob: Blob) -> bytes:
        found_now = self.find(blob.container, blob.name)
        if found_now is None or found_now.etag != blob.etag:
            raise Conflict(f"Blob {blob.container}/{blob.name!r} was overwritten or deleted since its event.")
        return self._blobs[blob.container, blob.name][1]


@dataclass
class MemoryAsset:
    """A registered data asset."""

    folder: str
    kind: WindowKind = WindowKind.FOLDER
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str = ""


class MemoryVersions:
    """`files[path]` and `assets[name, version]` may be read by tests."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.assets: dict[tuple[str, str], MemoryAsset] = {}

    def write(self, path: str, content: Path) -> None:
        self._create(path, content.read_bytes())

    def read(self, path: str) -> bytes:
        content = self.files.get(path)
        if content is None:
            raise InvariantBroken(
                f"versions/{path} is gone, though a data version names it.", code=Code.VERSION_FILE_LOST
            )
        return content

    def list(self, prefix: str) -> list[str]:
        return sorted(path for path in self.files if path.startswith(prefix))

    def assemble(self, folder: str, parts: Mapping[str, str]) -> None:
        for name, path in parts.items():
            self._create(f"{folder}/{name}", self.read(path))

    def tabulate(self, folder: str, parts: Sequence[str], kind: WindowKind) -> None:
        self._create(f"{folder}/{TABLE}", table((f"azureml://versions/{part}" for part in parts), kind))

    def _create(self, path: str, content: bytes) -> None:
        if self.files.setdefault(path, content) != content:
            raise InvariantBroken(
                f"versions/{path} exists with other content; versions never change.",
                code=Code.VERSION_FILE_LOST,
            )

    def register(
        self,
        asset: str,
        version: str,
        folder: str,
        tags: Mapping[str, str],
        description: str,
        kind: WindowKind = WindowKind.FOLDER,
    ) -> str:
        for each in asset_versions(version):
            found = self.assets.setdefault((asset, each), MemoryAsset(folder, kind, dict(tags), description))
            if (found.folder, found.kind.data_type) == (folder, kind.data_type):
                return f"azureml:{asset}:{each}"
        raise ConfigurationError(
            f"Data asset {asset}:{version} exists and does not point to {folder}, nor does any up to {each}. "
            "Somebody else registers them: let them use another name.",
            code=Code.ASSET_NOT_OURS,
        )
