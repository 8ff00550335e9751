"""Data versions are written once and never change; Azure ML gets a data asset over each folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobClient, ContainerClient, ContentSettings

from shared import plain_yaml
from shared.azure.blobs import copy
from shared.azure.client import Workspace
from shared.azure.failures import UNBOUNDED, asking, code_of, lost, must_be_absent
from shared.azure.registered_assets import API
from shared.azure.service_codes import THERE
from shared.domain.reason import Code
from shared.domain.window import WindowKind
from shared.errors import ConfigurationError, InvariantBroken
from shared.port_rules import TABLE, asset_versions, table

if TYPE_CHECKING:
    from azure.ai.ml.entities import Data

ROLE = "Storage Blob Data Contributor"
ML_ROLE = "AzureML Data Scientist"

_CHUNK = 4 * 1024 * 1024


class AzureVersions:
    """`Versions` over one container and the workspace's datastore that points to it."""

    def __init__(self, container: ContainerClient, datastore: str, ml: Workspace) -> None:
        self._container = container
        self._datastore = datastore
        self._ml = ml
        self._resource = f"container {container.container_name}"

    def write(self, path: str, content: Path) -> None:
        digest = _md5(content)
        client = self._container.get_blob_client(path)
        settings = ContentSettings(content_md5=bytearray(digest))
        writing = asking("Writing a data version", self._resource, ROLE, most_s=UNBOUNDED)
        with writing, content.open("rb") as file:
            try:
                client.upload_blob(file, overwrite=False, content_settings=settings)
            except HttpResponseError as error:
                if code_of(error) not in THERE:
                    raise
                self._same(client, path, content.stat().st_size, digest)

    def _same(self, client: BlobClient, path: str, size_bytes: int, digest: bytes) -> None:
        """It is there already: ours from before a crash, or an invariant is broken."""
        found = client.get_blob_properties()
        if found.size != size_bytes or bytes(found.content_settings.content_md5 or b"") != digest:
            raise InvariantBroken(
                f"{self._resource} has {path} with other content; versions never change.",
                code=Code.VERSION_FILE_LOST,
            )

    def read(self, path: str) -> bytes:
        with asking("Reading a data version", self._resource, ROLE, most_s=UNBOUNDED):
            try:
                content: bytes = self._container.download_blob(path).readall()
            except HttpResponseError as error:
                self._tell_lost(error, path)
                raise
        return content

    def _tell_lost(self, error: HttpResponseError, path: str) -> None:
        if why := lost(error, self._resource):
            raise InvariantBroken(f"Version file {path} {why}", code=Code.VERSION_FILE_LOST) from None

    def list(self, prefix: str) -> list[str]:
        with asking("Listing data versions", self._resource, ROLE):
            return sorted(self._container.list_blob_names(name_starts_with=prefix))

    def assemble(self, folder: str, parts: Mapping[str, str]) -> None:
        for name, path in parts.items():
            source = self._container.get_blob_client(path)
            target = self._container.get_blob_client(f"{folder}/{name}")
            with asking("Putting a training window together", self._resource, ROLE):
                try:
                    copy(source, target)
                except HttpResponseError as error:
                    self._tell_lost(error, path)
                    raise
                before, after = source.get_blob_properties(), target.get_blob_properties()
            if (before.size, before.content_settings.content_md5) != (
                after.size,
                after.content_settings.content_md5,
            ):
                raise InvariantBroken(
                    f"{folder}/{name} in {self._resource} is not a copy of {path}.",
                    code=Code.VERSION_FILE_LOST,
                )

    def tabulate(self, folder: str, parts: Sequence[str], kind: WindowKind) -> None:
        """By addresses in full: a short one is "not a valid datastore uri path" there (azureml-examples#2048)."""
        with TemporaryDirectory(prefix="driftloop-") as place:
            file = Path(place) / TABLE
            file.write_bytes(table((self._address(part) for part in parts), kind))
            self.write(f"{folder}/{TABLE}", file)

    def _address(self, path: str) -> str:
        ml = self._ml()
        return (
            f"azureml://subscriptions/{ml.subscription_id}/resourcegroups/{ml.resource_group_name}"
            f"/workspaces/{ml.workspace_name}/datastores/{self._datastore}/paths/{path}"
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
        path = f"azureml://datastores/{self._datastore}/paths/{folder.strip('/')}/"
        ours = path.removeprefix("azureml:/").rstrip("/").lower()
        with asking("Registering a data asset", f"Azure ML data {asset}:{version}", ML_ROLE):
            for each in asset_versions(version):
                found = self._find(asset, each) or self._create(asset, each, path, tags, description, kind)
                if found.type == kind.data_type and str(found.path).rstrip("/").lower().endswith(ours):
                    return str(found.id)
        raise ConfigurationError(
            f"Data asset {asset}:{version} exists and does not point to {path}, nor does any up to {each}. "
            "Somebody else registers them: let them use another name.",
            code=Code.ASSET_NOT_OURS,
        )

    def _create(
        self,
        asset: str,
        version: str,
        path: str,
        tags: Mapping[str, str],
        description: str,
        kind: WindowKind,
    ) -> Data:
        if kind is not WindowKind.FOLDER:
            return self._create_table(asset, version, path, tags, description)
        ml = self._ml()
        from azure.ai.ml.entities import Data

        data = Data(
            name=asset,
            version=version,
            type=kind.data_type,
            path=path,
            tags=dict(tags),
            description=description,
        )
        try:
            return ml.data.create_or_update(data)
        except HttpResponseError as error:
            found = self._find(asset, version) if error.status_code in {400, 409, 412} else None
            if found is None:
                raise
            return found  # a rival was first, or our own first answer was lost

    def _create_table(
        self, asset: str, version: str, path: str, tags: Mapping[str, str], description: str
    ) -> Data:
        """Before it registers a table, Azure ML's client asks another host for a schema, which no private network lets
        it reach, and waits (azure-ai-ml 1.35, `DataOperations._validate`)."""
        folder = path.partition("/paths/")[2]
        said: Any = plain_yaml.load(self.read(f"{folder}{TABLE}"))
        properties = {
            "dataType": "mltable",
            "dataUri": self._address(folder),
            "referencedUris": [path["file"] for path in said["paths"]],  # for lineage, as the client does
            "tags": dict(tags),
            "description": description,
        }
        place = f"{self._ml.resource}/data/{asset}/versions/{version}"
        self._ml.arm.put(place, API, {"properties": properties})
        return self._ml().data.get(asset, version)

    def _find(self, asset: str, version: str) -> Data | None:
        try:
            return self._ml().data.get(asset, version)
        except ResourceNotFoundError as error:
            must_be_absent(error)
            return None


def _md5(content: Path) -> bytes:
    """As Azure stores it beside a blob: against accidents and for comparison, not against attackers."""
    digest = hashlib.md5(usedforsecurity=False)
    with content.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.digest()
