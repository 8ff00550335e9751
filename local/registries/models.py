"""What is in the registry, and how it comes there. Its files lie in a folder that several local Azures may share."""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path, PurePosixPath

from local.assets.exceptions import CannotChange
from local.assets.models import KINDS, Assets
from local.jobs import storage
from local.jobs.models import Jobs
from local.registries.exceptions import DeletedForever, NoSuchRegistry, NotInRegistry, Refused, Taken
from local.service import Service
from local.settings import LOCATION, REGISTRY, REGISTRY_ID, WORKSPACE_GUID
from local.state import Document, State

MOST_FILES = 1_500
"""Of a model version (MicrosoftDocs/azure-ai-docs, machine-learning/resource-limits-capacity.md)."""

SHARED = ("models", "environments")
_SOURCE = re.compile(
    r"azureml://locations/(?P<location>[^/]+)/workspaces/(?P<workspace>[^/]+)"
    r"/(?P<plural>\w+)/(?P<name>[^/]+)/versions/(?P<version>[^/]+)",
    re.IGNORECASE,
)
_ID = re.compile(
    r"azureml://registries/(?P<registry>[^/]+)/(?P<plural>\w+)/(?P<name>[^/]+)/versions/(?P<version>[^/]+)",
    re.IGNORECASE,
)
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,253}[A-Za-z0-9_-])?")
"""Of the registry's own check (azure-ai-ml, dataplane preview, _model_versions_operations.py)."""


def is_reference(reference: str) -> bool:
    return reference.lower().startswith("azureml://registries/")


class Registry:
    """One registry. `regions` are those that it serves: a workspace elsewhere cannot use it."""

    def __init__(self, service: Service, clock: Callable[[], datetime]) -> None:
        self._service = service
        self._clock = clock
        folder = service.settings.registry
        self._files = folder / "files"
        self._state = State(folder / "registry.sqlite")
        self._copying = ThreadPoolExecutor(max_workers=1, thread_name_prefix="registry")
        self.regions: list[str] = [LOCATION]
        self._give_up_what_was_cut_off()

    def stop(self) -> None:
        self._copying.shutdown()
        self._state.close()

    def check(self, registry: str) -> None:
        if registry.lower() != REGISTRY:
            raise NoSuchRegistry(registry)

    def get(self, plural: str, name: str, version: str) -> Document:
        found = self._state.get(f"asset.{plural}", _key(name, version))
        if found is None:
            raise NotInRegistry(REGISTRY, f"{plural}/{name}/{version}")
        return found

    def find(self, reference: str, plural: str) -> Document:
        """By `azureml://registries/…`, from a workspace of a region that the registry serves."""
        named = _ID.fullmatch(reference)
        if named is None or named["plural"].lower() != plural:
            raise Refused(
                f"'{reference}' is no id of the registry's {plural}: azureml://registries/NAME/{plural}/…"
            )
        self.check(named["registry"])
        self._check_region()
        return self.get(plural, named["name"], named["version"])

    def versions(self, plural: str, name: str) -> list[Document]:
        """All of a name, oldest first, archived ones as well: a registry knows no list without them."""
        return [body for _, body in self._state.items(f"asset.{plural}", f"{_key(name, '')}")]

    def container(self, plural: str, name: str) -> Document:
        found = self.versions(plural, name)
        if not found:
            raise NotInRegistry(REGISTRY, f"{plural}/{name}")
        properties = {"latestVersion": found[-1]["name"], "isArchived": False, "tags": {}, "properties": {}}
        return _resource(plural, name, properties, found[0]["systemData"])

    def begin_import(self, body: Document, who: str) -> str:
        """The operation of a deep copy out of our workspace; what it makes is there when it has ended."""
        sent = body.get("properties") or {}
        source = _SOURCE.fullmatch(str(sent.get("sourceAssetId")))
        if source is None:
            raise Refused(f"'{sent.get('sourceAssetId')}' names no asset of a workspace.")
        plural = source["plural"].lower()
        if plural not in SHARED:
            raise Refused(
                f"Assets of the kind '{plural}' cannot be shared from a workspace. Create them in the registry."
            )
        if (source["location"].lower(), source["workspace"].lower()) != (LOCATION, WORKSPACE_GUID):
            raise NotInRegistry(REGISTRY, source[0])
        self._check_region()
        found = self._service.get(Assets).get(plural, source["name"], source["version"])
        name = str(sent.get("destinationName") or source["name"])
        version = str(sent.get("destinationVersion") or source["version"])
        with self._state.transaction():
            self._claim(plural, name, version)
            operation = self._service.operations.begin("registry.import", f"{plural}/{name}/{version}")
            self._state.put(f"importing.{plural}", _key(name, version), {"operation": operation})
        self._copying.submit(self._import, operation, (plural, name, version), found, who)
        return operation

    def put(self, plural: str, name: str, version: str, body: Document, who: str) -> tuple[Document, bool]:
        """Create an environment, or change what may change of a version that is there."""
        sent = {key: value for key, value in (body.get("properties") or {}).items() if value is not None}
        with self._state.transaction():
            stored = self._state.get(f"asset.{plural}", _key(name, version))
            if stored is None:
                if plural != "environments":
                    raise Refused(f"'{name}:{version}' is not in the registry: share it from a workspace.")
                self._claim(plural, name, version)
                return self._keep((plural, name, version), KINDS[plural].defaults | sent, who), True
            if plural == "environments" and not sent.get("isArchived"):
                return stored, False  # the old one, whatever was sent: Azure/azure-sdk-for-python#30208
            changed = [
                key
                for key in KINDS[plural].immutable
                if key in sent and sent[key] != stored["properties"].get(key)
            ]
            if changed:
                raise CannotChange(400, KINDS[plural].noun, name, version, changed)
            kept = {key: sent[key] for key in ("tags", "description", "isArchived") if key in sent}
            changed_doc = stored | {"properties": stored["properties"] | kept}
            self._state.put(f"asset.{plural}", _key(name, version), changed_doc)
            return changed_doc, False

    def delete(self, plural: str, name: str, version: str) -> None:
        """Gone for good: nothing can ever be created under this version again."""
        with self._state.transaction():
            self.get(plural, name, version)
            self._state.delete(f"asset.{plural}", _key(name, version))
            self._state.put(f"deleted.{plural}", _key(name, version), {"at": self._clock().isoformat()})

    def download(self, model: Document, target: Path) -> Path:
        """A model's files below `target`, in the file or folder under whose name they were shared."""
        place = self._files / _place(model["properties"]["modelUri"])
        target.mkdir(parents=True, exist_ok=True)
        if place.is_dir():
            shutil.copytree(place, target / place.name)
        else:
            shutil.copy(place, target / place.name)
        return target

    def _check_region(self) -> None:
        if LOCATION not in self.regions:
            raise Refused(
                f"The workspace lies in '{LOCATION}', the registry '{REGISTRY}' serves {', '.join(self.regions)}: "
                "a workspace must lie in one of the registry's regions."
            )

    def _claim(self, plural: str, name: str, version: str) -> None:
        """That nobody else has the version, or ever had it."""
        if not _NAME.fullmatch(name) or not _NAME.fullmatch(version):
            raise Refused(f"'{name}:{version}' cannot name a version in a registry.")
        what, key = f"{plural}/{name}/{version}", _key(name, version)
        if (gone := self._state.get(f"deleted.{plural}", key)) is not None:
            raise DeletedForever(what, gone["at"])
        if self._state.get(f"asset.{plural}", key) or not self._state.add(f"importing.{plural}", key, {}):
            raise Taken(what)

    def _import(self, operation: str, made: tuple[str, str, str], source: Document, who: str) -> None:
        plural, name, version = made
        try:
            properties = dict(source["properties"])
            if plural == "models":
                properties["modelUri"] = self._copied(properties["modelUri"])
            self._keep(made, properties, who)
            self._service.operations.finish(operation)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is how the import ended
            self._give_up(operation, plural, _key(name, version), str(error))

    def _give_up(self, operation: str, plural: str, key: str, why: str) -> None:
        """Its version is free again."""
        problem = {"code": "UserError", "message": f"The import failed: {why}", "details": []}
        with self._state.transaction():
            self._state.delete(f"importing.{plural}", key)
            self._service.operations.finish(operation, problem)

    def _give_up_what_was_cut_off(self) -> None:
        """By our own death. Operations that we do not know are of other local Azures, which may be at it."""
        for plural in SHARED:
            for key, claim in self._state.items(f"importing.{plural}"):
                with suppress(LookupError):
                    self._give_up(claim["operation"], plural, key, "the local Azure was ended meanwhile")

    def _copied(self, uri: str) -> str:
        """The files' address in the registry's own storage, after they were copied there."""
        place = storage.place_of(self._service.get(Jobs).catalog.uri(uri))
        found = storage.blobs_at(self._service.blobs, place)
        if len(found) > MOST_FILES:
            raise Refused(f"A model version has at most {MOST_FILES} files, not {len(found)}.")
        own = PurePosixPath(str(uuid.uuid4()))
        is_file = [name for name, _ in found] == [""]
        target = self._files / own / ("" if is_file else PurePosixPath(place.path.rstrip("/")).name)
        storage.download(self._service.blobs, place, target)
        return f"https://{REGISTRY}.blob.local/{own}/{PurePosixPath(place.path.rstrip('/')).name}"

    def _keep(self, made: tuple[str, str, str], properties: Document, who: str) -> Document:
        plural, name, version = made
        now = self._clock().isoformat()
        system = {"createdAt": now, "createdBy": who, "createdByType": "Application", "lastModifiedAt": now}
        always = {"isArchived": False, "tags": {}, "properties": {}, "provisioningState": "Succeeded"}
        resource = _resource(plural, f"{name}/versions/{version}", always | properties, system)
        with self._state.transaction():
            self._state.put(f"asset.{plural}", _key(name, version), resource)
            self._state.delete(f"importing.{plural}", _key(name, version))
        return resource


def _resource(plural: str, path: str, properties: Document, system: Document) -> Document:
    suffix = "/versions" if "/versions/" in path else ""
    return {
        "id": f"azureml://registries/{REGISTRY}/{plural}/{path}",
        "name": path.rpartition("/")[2],
        "type": f"Microsoft.MachineLearningServices/registries/{plural}{suffix}",
        "properties": properties,
        "systemData": system,
    }


def _place(uri: str) -> str:
    return uri.removeprefix(f"https://{REGISTRY}.blob.local/")


def _key(name: str, version: str) -> str:
    """Names of a registry's assets differ by case, unlike all other keys (the dataplane preview's own words)."""
    return f"{name.encode().hex()}/{version}"


def describe() -> Document:
    return {
        "id": REGISTRY_ID,
        "name": REGISTRY,
        "type": "Microsoft.MachineLearningServices/registries",
        "location": LOCATION,
        "identity": {"type": "SystemAssigned"},
    }
