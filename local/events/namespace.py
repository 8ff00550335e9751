"""An account with a hierarchical namespace: which events a file there makes by how it was written, and by a rename.

learn.microsoft.com/azure/event-grid/event-schema-blob-storage, "Data Lake Storage Gen 2 events" and "SFTP events".
Azurite has no such namespace: files are written by its blob service, and told of as if by the writer that is set.
"""

from __future__ import annotations

from typing import Any

from azure.storage.blob import BlobProperties, BlobServiceClient

from local.refusal import ArmError
from local.state import Document, State

BLOB, DFS, SFTP = "blob", "dfs", "sftp"
_APIS = {DFS: ("CreateFile", "FlushWithClose"), SFTP: ("SftpCreate", "SftpCommit")}
_VERSIONS = {DFS: "2", SFTP: "3"}
_KIND = "event-writer"


def writer(state: State) -> str:
    """By what files of the partner's account are written: by clients of blobs until a test says otherwise."""
    return str((state.get(_KIND, "partner") or {"writer": BLOB})["writer"])


def set_writer(state: State, wanted: object) -> None:
    if wanted not in (BLOB, *_APIS):
        raise ArmError(400, "BadRequest", f"'{wanted}' is not a writer; there are {BLOB}, {DFS} and {SFTP}.")
    state.put(_KIND, "partner", {"writer": wanted})


def dfs(url: str) -> str:
    """The address of the same file in the service for folders. Where a path names the account, it is the same one."""
    return url.replace(".blob.", ".dfs.", 1)


def written(event: Document, by: str) -> list[Document]:
    """The two events of a file: it was begun, empty and under another ETag, and its content was committed. A write by
    the blob service is told of as on any account."""
    if by == BLOB:
        return [event]
    data: dict[str, Any] = {**event["data"], "contentOffset": 0}
    begun: dict[str, Any] = {"contentLength": 0, "eTag": f"{data['eTag']}0"}
    if by == SFTP:  # the documented SftpCommit says 0, too, and names no request of a client
        data |= {"contentLength": 0, "contentType": "application/octet-stream", "identity": "localuser"}
        del data["clientRequestId"]
    else:
        data["url"] = dfs(data["url"])
    first, last = _APIS[by]
    told = {**event, "dataVersion": _VERSIONS[by]}
    return [
        {
            **told,
            "id": f"{event['id'][:-1]}{int(event['id'][-1], 16) ^ 1:x}",
            "data": {**data, **begun, "api": first},
        },
        {**told, "data": {**data, "api": last}},
    ]


def move(service: BlobServiceClient, container: str, source: str, target: str) -> list[BlobProperties]:
    """Give a file, or a folder with all that is in it, another name: the blobs under the new one."""
    client = service.get_container_client(container)
    names = [blob.name for blob in client.list_blobs(name_starts_with=source)]
    moved = [name for name in names if name == source or name.startswith(f"{source}/")]
    if not moved:
        raise ArmError(404, "SourcePathNotFound", f"The source path '{source}' does not exist.")
    for name in moved:
        made = client.get_blob_client(target + name.removeprefix(source))
        made.start_copy_from_url(client.get_blob_client(name).url)
        client.delete_blob(name)
    return [
        client.get_blob_client(target + name.removeprefix(source)).get_blob_properties() for name in moved
    ]


def renamed(event: Document, source_url: str, *, folder: bool, by: str) -> Document:
    """One event, whatever is in a folder; no ETag, no length and no `url`."""
    data: dict[str, Any] = event["data"]
    kept = {name: data[name] for name in ("requestId", "sequencer", "storageDiagnostics")}
    urls = [source_url, data["url"]]
    if by == SFTP:
        api, caller = "SftpRename", {"identity": "localuser"}
    else:
        api, caller = (
            "RenameDirectory" if folder else "RenameFile",
            {"clientRequestId": data["clientRequestId"]},
        )
        urls = [dfs(url) for url in urls]
    return {
        **event,
        "eventType": f"Microsoft.Storage.{'Directory' if folder else 'Blob'}Renamed",
        "dataVersion": "1",
        "data": {"api": api, **caller, **kept, "sourceUrl": urls[0], "destinationUrl": urls[1]},
    }
