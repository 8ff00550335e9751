"""An asset version, once written, keeps its content; only its tags, description and archiving change."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from local.assets.exceptions import BadAsset, CannotChange, NoSuchAsset
from local.settings import RESOURCE_GROUP, SUBSCRIPTION, WORKSPACE, WORKSPACE_ID
from local.state import Document, State

ANONYMOUS = "azureml_anonymous"
_DEFAULT_COMPONENT_VERSION = "azureml_default"  # what the SDK asks for when it is given no version
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9\-_.]{0,254}")
_SHORT_URI = re.compile(r"azureml://datastores/(?P<store>[^/]+)/paths/(?P<path>.*)", re.IGNORECASE)
_LONG_URI = f"azureml://subscriptions/{SUBSCRIPTION}/resourcegroups/{RESOURCE_GROUP}/workspaces/{WORKSPACE}"
_VERSION_ID = re.compile(r"/(?P<plural>\w+)/(?P<name>[^/]+)/versions/(?P<version>[^/]+)$")


@dataclass(frozen=True)
class Kind:
    """What differs between the kinds of assets; here bodies are checked, for all of them."""

    plural: str
    noun: str
    required: tuple[str, ...] = ()
    immutable: tuple[str, ...] = ()
    conflict_status: int = 400
    uri: str | None = None
    integer_versions: bool = False
    defaults: Document = field(default_factory=dict)

    def check(self, name: str, version: str, properties: Document) -> None:
        if not _NAME.fullmatch(name) or not _NAME.fullmatch(version):
            raise BadAsset(
                f"'{name}:{version}' cannot name a {self.noun}: use letters, digits, '-', '_' and '.'."
            )
        if self.integer_versions and not (version.isdecimal() and int(version) > 0):
            raise BadAsset(f"The version of a {self.noun} must be a positive integer, not '{version}'.")
        missing = [key for key in self.required if not properties.get(key)]
        if missing:
            raise BadAsset(
                f"The {self.noun} '{name}:{version}' lacks {', '.join(missing)} in its properties."
            )


KINDS = {
    kind.plural: kind
    for kind in (
        Kind("data", "data", ("dataUri", "dataType"), ("dataUri", "dataType"), uri="dataUri"),
        Kind("codes", "code", ("codeUri",), ("codeUri",)),
        Kind(
            "environments",
            "environment",
            immutable=("image", "condaFile", "build"),
            conflict_status=409,
            defaults={"environmentType": "UserCreated", "osType": "Linux"},
        ),
        Kind("components", "component", ("componentSpec",), ("componentSpec",), conflict_status=409),
        Kind(
            "models",
            "model",
            ("modelUri",),
            ("modelUri", "modelType"),
            uri="modelUri",
            integer_versions=True,
            defaults={"flavors": {}, "modelType": "custom_model"},
        ),
    )
}


class Assets:
    """All assets of the workspace. `listeners` hear of each version once, when it is first written."""

    def __init__(self, state: State, clock: Callable[[], datetime]) -> None:
        self._state = state
        self._clock = clock
        self.listeners: list[Callable[[str, Document], None]] = []

    def put(self, plural: str, name: str, version: str, body: Document) -> tuple[Document, bool]:
        """The version as stored, and whether it is new. The same content again changes nothing."""
        kind = KINDS[plural]
        properties = self._completed(kind, name, version, body.get("properties") or {})
        key = f"{name}/{version}"
        with self._state.transaction():
            stored = self._state.get(f"asset.{plural}", key)
            if stored is None:
                self._check_type(kind, name, version, properties)
                resource = self._resource(kind, f"{name}/versions/{version}", properties)
                self._state.put(f"asset.{plural}", key, resource)
            elif name == ANONYMOUS:
                return stored, False  # named by its content: what is there is what was sent
            else:
                resource = self._updated(kind, name, version, stored, properties)
                self._state.put(f"asset.{plural}", key, resource)
        if stored is None:
            for listener in self.listeners:
                listener(plural, resource)
        return resource, stored is None

    def get(self, plural: str, name: str, version: str) -> Document:
        if version == _DEFAULT_COMPONENT_VERSION:
            return self.latest(plural, name)
        found = self._state.get(f"asset.{plural}", f"{name}/{version}")
        if found is None:
            raise NoSuchAsset(KINDS[plural].noun.capitalize(), name, version)
        return found

    def latest(self, plural: str, name: str) -> Document:
        """The version that was created last, which is what `@latest` means."""
        found = self.versions(plural, name)
        if not found:
            raise NoSuchAsset(KINDS[plural].noun.capitalize(), name)
        return found[-1]

    def find(self, reference: str, plural: str) -> Document:
        """By ARM id, `azureml:name:version`, `azureml:name@latest`, or these without `azureml:`."""
        match = _VERSION_ID.search(reference)
        if match:
            return self.get(match["plural"].lower(), match["name"], match["version"])
        plain = reference.removeprefix("azureml:")
        if plain.endswith("@latest"):
            return self.latest(plural, plain.removesuffix("@latest"))
        name, _, version = plain.rpartition(":")
        return self.get(plural, name, version)

    def versions(self, plural: str, name: str) -> list[Document]:
        """All versions of a name, oldest first."""
        return [body for _, body in self._state.items(f"asset.{plural}", f"{name}/")]

    def codes_with_hash(self, content_hash: str, hash_version: str) -> list[Document]:
        """Code is found by its content under any name: the SDK names it anew each time."""
        wanted = {"hash_sha256": content_hash, "hash_version": hash_version}
        return [
            body
            for _, body in self._state.items("asset.codes")
            if wanted.items() <= body["properties"]["properties"].items()
        ]

    def names(self, plural: str) -> list[str]:
        keys = self._state.keys(f"asset.{plural}")
        return list(dict.fromkeys(key.partition("/")[0] for key in keys))

    def container(self, plural: str, name: str) -> Document:
        """What all versions of a name share: which is the latest, and which number comes next."""
        versions = self.versions(plural, name)
        if not versions:
            raise NoSuchAsset(KINDS[plural].noun.capitalize(), name)
        latest = versions[-1]
        numbers = [int(each["name"]) for each in versions if each["name"].isdecimal()]
        own = self._state.get(f"asset.{plural}.container", name) or {}
        properties = {
            "latestVersion": latest["name"],
            "nextVersion": str(max(numbers, default=0) + 1),
            "isArchived": False,
            "tags": {},
            "properties": {},
        }
        if plural == "data":
            properties["dataType"] = latest["properties"]["dataType"]
        resource = self._resource(KINDS[plural], name, properties | own)
        return resource | {"systemData": versions[0]["systemData"]}

    def put_container(self, plural: str, name: str, body: Document) -> Document:
        """Archive or restore a name, or change its tags and description."""
        self.container(plural, name)
        sent = body.get("properties") or {}
        changeable = {
            key: sent[key] for key in ("isArchived", "tags", "description") if sent.get(key) is not None
        }
        self._state.put(f"asset.{plural}.container", name, changeable)
        return self.container(plural, name)

    def _completed(self, kind: Kind, name: str, version: str, sent: Document) -> Document:
        """The properties as Azure ML answers them: nothing null, datastore URIs in their long form."""
        given = {key: value for key, value in sent.items() if value is not None}
        base: Document = {"isAnonymous": False, "isArchived": False, "tags": {}, "properties": {}}
        state = {} if kind is KINDS["data"] else {"provisioningState": "Succeeded"}  # data have none
        properties: Document = base | kind.defaults | given | state
        kind.check(name, version, properties)
        for texts in ("tags", "properties"):  # Azure ML keeps texts; the SDK sends numbers among them
            properties[texts] = {key: str(value) for key, value in properties[texts].items()}
        if kind.uri is not None:
            properties[kind.uri] = _SHORT_URI.sub(
                rf"{_LONG_URI}/datastores/\g<store>/paths/\g<path>", properties[kind.uri]
            )
        return properties

    def _check_type(self, kind: Kind, name: str, version: str, properties: Document) -> None:
        """A data container has one `dataType` (azure-rest-api-specs, machinelearningservices: DataContainer)."""
        if kind is not KINDS["data"] or not (others := self.versions(kind.plural, name)):
            return
        wanted, known = properties["dataType"], others[-1]["properties"]["dataType"]
        if wanted != known:
            raise BadAsset(
                f"The data asset '{name}' is of type {known}, so its version {version} cannot be of type {wanted}. "
                "Use another name."
            )

    def _updated(
        self, kind: Kind, name: str, version: str, stored: Document, properties: Document
    ) -> Document:
        old = stored["properties"]
        changed = [key for key in kind.immutable if _content(old.get(key)) != _content(properties.get(key))]
        if changed:
            raise CannotChange(kind.conflict_status, kind.noun, name, version, changed)
        kept = {key: old[key] for key in kind.immutable if key in old}
        system = stored["systemData"] | {"lastModifiedAt": self._clock().isoformat()}
        return stored | {"properties": properties | kept, "systemData": system}

    def _resource(self, kind: Kind, path: str, properties: Document) -> Document:
        now = self._clock().isoformat()
        suffix = "/versions" if "/versions/" in path else ""
        return {
            "id": f"{WORKSPACE_ID}/{kind.plural}/{path}",
            "name": path.rpartition("/")[2],
            "type": f"Microsoft.MachineLearningServices/workspaces/{kind.plural}{suffix}",
            "properties": properties,
            "systemData": {
                "createdAt": now,
                "createdBy": "local",
                "createdByType": "Application",
                "lastModifiedAt": now,
            },
        }


def upload_container() -> str:
    """A new container for each upload, as Azure ML makes one: nobody else writes there."""
    return str(uuid.uuid4())


def _content(value: Any) -> Any:
    """Without the mark that tells only through which door of the SDK a component came."""
    if isinstance(value, dict):
        return {key: _content(item) for key, item in value.items() if key != "_source"}
    return value
