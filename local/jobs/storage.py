"""A step's files come from blobs and go to blobs, and a blob's name never leads outside the step's folder."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import NamedTuple

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobProperties, BlobServiceClient

from local.jobs.exceptions import StepFailed
from local.settings import (
    ACCOUNT,
    DATASTORES,
    LOCATION,
    RESOURCE_GROUP,
    SUBSCRIPTION,
    WORKSPACE,
    WORKSPACE_GUID,
)

ARTIFACTS_CONTAINER = DATASTORES["workspaceartifactstore"]
_DATASTORE_URI = re.compile(
    r"azureml://(?:(?P<where>.*)/)?datastores/(?P<name>[^/]+)/(?:paths/)?(?P<path>.*)", re.IGNORECASE
)
_HERE = (
    f"subscriptions/{SUBSCRIPTION}/resourcegroups/{RESOURCE_GROUP}/workspaces/{WORKSPACE}",
    f"subscriptions/{SUBSCRIPTION}/resourcegroups/{RESOURCE_GROUP}"
    f"/providers/microsoft.machinelearningservices/workspaces/{WORKSPACE}",
    f"locations/{LOCATION}/workspaces/{WORKSPACE_GUID}",
)
_BLOB_URL = re.compile(r"(?:https|azureblob)://(?P<host>[^/]*)/(?P<path>.*)")
_WASBS = re.compile(r"(?:wasb|abfs)s?://(?P<container>[^@/]+)@(?P<host>[^/]+)/(?P<path>.*)")
_NAMES = tuple(f"{ACCOUNT}.{service}.local" for service in ("blob", "dfs"))


class Place(NamedTuple):
    """A blob, or the blobs below a prefix."""

    container: str
    path: str


def place_of(uri: str) -> Place:
    """Where an `azureml://…datastores/…`, `https://` or `wasbs://` address points to."""
    found = _DATASTORE_URI.fullmatch(uri)
    if found:
        name, path, where = found["name"], found["path"], (found["where"] or "").strip("/").lower()
        if where and where not in _HERE:
            raise StepFailed(f"The address {uri!r} lies in another workspace; the local Azure has one.")
        if name not in DATASTORES:
            raise StepFailed(f"There is no datastore '{name}' in the local workspace ({uri}).")
        return Place(DATASTORES[name], path)
    if found := _WASBS.fullmatch(uri):
        _check_account(found["host"], "", uri)
        return Place(found["container"], found["path"])
    if found := _BLOB_URL.fullmatch(uri):
        first, _, rest = found["path"].partition("/")
        _check_account(found["host"], first, uri)
        container, _, path = (rest if first == ACCOUNT else found["path"]).partition("/")
        return Place(container, path)
    raise StepFailed(f"The address {uri!r} is none that a local step can read or write.")


def _check_account(host: str, first: str, uri: str) -> None:
    """StepFailed for an address elsewhere. Ours is this machine with the account in the path, and before an `@` the
    name that the SDK makes of account and suffix, `<account>.blob.local`; or that name alone."""
    named, _, machine = host.rpartition("@")
    here = machine.partition(":")[0] == "127.0.0.1" and first == ACCOUNT and named in (*_NAMES, "")
    if here or (machine in _NAMES and not named):
        return
    raise StepFailed(
        f"The address {uri!r} does not lie in the workspace's storage account. The local Azure has the account "
        f"'{ACCOUNT}' and no other: copy the data there, or name a datastore."
    )


def blobs_at(blobs: BlobServiceClient, place: Place) -> list[tuple[str, BlobProperties]]:
    """The blobs of a place with their names below it; the name is empty when the place is one blob itself."""
    client = blobs.get_container_client(place.container)
    prefix = place.path.rstrip("/")
    found: list[tuple[str, BlobProperties]] = []
    for blob in client.list_blobs(name_starts_with=prefix or None):
        if not prefix or blob.name.startswith(prefix + "/"):
            below = blob.name[len(prefix) + 1 :] if prefix else blob.name
            if below and not below.endswith("/"):
                found.append((below, blob))
        elif blob.name == prefix and not place.path.endswith("/"):
            return [("", blob)]
    return found


def download(blobs: BlobServiceClient, place: Place, target: Path) -> Path:
    """The place's blobs as local files; returns the file, or the folder that holds them."""
    found = blobs_at(blobs, place)
    if not found:
        raise StepFailed(f"Nothing is stored at {place.path!r} in the container '{place.container}'.")
    client = blobs.get_container_client(place.container)
    target.mkdir(parents=True, exist_ok=True)
    for name, blob in found:
        file = target / (name or Path(blob.name).name)
        if not file.resolve().is_relative_to(target.resolve()) or "\0" in name:
            raise StepFailed(f"The blob name {blob.name!r} leads outside the step's folder.")
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("wb") as stream:
            client.download_blob(blob.name).readinto(stream)
    return target / Path(found[0][1].name).name if found[0][0] == "" else target


def upload(blobs: BlobServiceClient, source: Path, place: Place) -> None:
    """One file to the place, or all files of a folder below it."""
    client = blobs.get_container_client(place.container)
    prefix = place.path.rstrip("/")
    files = [source] if source.is_file() else sorted(file for file in source.rglob("*") if file.is_file())
    for file in files:
        name = prefix if file == source else f"{prefix}/{file.relative_to(source).as_posix()}"
        with file.open("rb") as stream:
            client.upload_blob(name, stream, overwrite=True)


def remove_others(blobs: BlobServiceClient, source: Path, place: Place) -> None:
    """Delete what lies at the place and not in the folder: whoever had it there has removed it."""
    client = blobs.get_container_client(place.container)
    for name, blob in blobs_at(blobs, place):
        if not (source / name).exists():
            client.delete_blob(blob.name)


def copy(blobs: BlobServiceClient, source: Place, target: Place) -> None:
    """Copy through us: local data are small, and a server-side copy would need another token."""
    origin, destination = (blobs.get_container_client(place.container) for place in (source, target))
    for name, blob in blobs_at(blobs, source):
        wanted = f"{target.path.rstrip('/')}/{name}".rstrip("/")
        destination.upload_blob(wanted, origin.download_blob(blob.name).readall(), overwrite=True)


def fingerprint(blobs: BlobServiceClient, place: Place) -> str:
    """Changes whenever a blob at the place does, so that a mutable path never looks like the same data."""
    try:
        lines = [f"{blob.name}\n{blob.etag}\n" for _, blob in blobs_at(blobs, place)]
    except ResourceNotFoundError:
        lines = []
    return hashlib.sha256("".join([*place, "\n", *lines]).encode()).hexdigest() if lines else ""
