"""The files of a Delta table at one commit, in a folder of this machine or below a landing prefix."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from shared.errors import InputRejected
from shared.files.drop_files import DropFile, Limits
from shared.intake.rejections import listed, quoted, rejected
from shared.reader import child_pool
from shared.tables import delta_log
from shared.tables.delta_log import Needed, Wanting
from shared.tables.snapshot import LOG, Snapshot, TablePart, here

if TYPE_CHECKING:
    from shared.ports import Blob, Blobs

Replay = Callable[[Needed, Mapping[str, Path]], Snapshot | Wanting]


def of_folder(path: Path, version: int | None = None, told: list[str] | None = None) -> list[DropFile]:
    """The files of a table on this machine, as a commit names them; the newest, where none is given."""
    log, words = path / LOG, quoted(str(path))
    there = {each.relative_to(log).as_posix(): each for each in log.rglob("*") if each.is_file()}
    newest = delta_log.newest(there)
    if newest is None:
        raise rejected("delta-log-gap", f"the log of {words} holds no commit")
    version = newest if version is None else version
    if version > newest:
        raise InputRejected(
            "no-data",
            f"{words} has no commit {version}; name {path.name}@{newest}, its newest, or one before it",
        )

    def replay(wanted: Needed, files: Mapping[str, Path]) -> Snapshot | Wanting:
        return delta_log.replay(wanted, files, words)

    wanted = delta_log.needed(there, version, words)
    snapshot = _snapshot(wanted, replay, there, lambda names: {name: there[name] for name in names}, words)
    sizes = {name: (path / name).stat().st_size for name in _names(snapshot) if (path / name).is_file()}
    check_there(snapshot, sizes, words)
    if not snapshot.files:
        raise rejected("no-data", f"the Delta table {words} has no row at commit {version}")
    if told is not None:
        told += snapshot.told
    vectors = {name: str((path / name).resolve()) for name in _vectors(snapshot)}
    return [
        DropFile(path / one.name, one.name, one.size, one.name, here(one.part, vectors))
        for one in snapshot.files
    ]


def of_blobs(
    blobs: Blobs,
    there: Mapping[str, Blob],
    table: str,
    version: int,
    scratch: Path,
    limits: Limits,
    *,
    appended: bool = False,
) -> tuple[Snapshot, Sequence[Blob], Mapping[str, TablePart]]:
    """A table at a commit, its files in their order, and what it says of each by its name below the table's folder.

    `there` is what lies below that folder, by its name there; `appended`: only what the commit added.
    """
    log = {name.removeprefix(f"{LOG}/"): blob for name, blob in there.items() if name.startswith(f"{LOG}/")}
    wanted, left = delta_log.needed(log, version, table), limits.max_bytes

    def fetch(names: Sequence[str]) -> Mapping[str, Path]:
        nonlocal left
        left -= sum(log[name].size_bytes for name in names)
        if left < 0:
            raise rejected(
                "delta-log-too-large", f"the log of {table} has more than {limits.max_bytes:,} bytes"
            )
        places = {name: scratch / f"log-{name.replace('/', '-')}" for name in names}
        blobs.download_all({place: log[name] for name, place in places.items()})
        return places

    def replay(wanted: Needed, files: Mapping[str, Path]) -> Snapshot | Wanting:
        return child_pool.read_log(wanted, files, table, limits)

    snapshot = _snapshot(wanted, replay, log, fetch, table)
    snapshot = snapshot.appended() if appended else snapshot
    check_there(snapshot, {name: blob.size_bytes for name, blob in there.items()}, table)
    places = {scratch / f"vector-{number}": name for number, name in enumerate(_vectors(snapshot))}
    blobs.download_all({place: there[name] for place, name in places.items()})
    vectors = {name: str(place) for place, name in places.items()}
    parts = {one.name: here(one.part, vectors) for one in snapshot.files}
    return snapshot, [there[one.name] for one in snapshot.files], parts


def _snapshot(
    wanted: Needed,
    replay: Replay,
    there: Mapping[str, object],
    fetch: Callable[[Sequence[str]], Mapping[str, Path]],
    table: str,
) -> Snapshot:
    """Read the log; once more, where a checkpoint names sidecars."""
    files = fetch(wanted.names)
    found = replay(wanted, files)
    if isinstance(found, Wanting):
        if absent := [name for name in found.names if name not in there]:
            raise rejected("delta-log-gap", f"the log of {table} lacks {listed(absent)}")
        found = replay(wanted, {**files, **fetch(found.names)})
    if isinstance(found, Wanting):
        raise rejected("bad-delta-log", f"a sidecar of {table} names {listed(list(found.names))}")
    return found


def _vectors(snapshot: Snapshot) -> list[str]:
    """Names of the files that hold deletion vectors."""
    return sorted(
        {one.part.deleted.file for one in snapshot.files if one.part.deleted and one.part.deleted.file}
    )


def _names(snapshot: Snapshot) -> list[str]:
    return [*(one.name for one in snapshot.files), *_vectors(snapshot)]


def check_there(snapshot: Snapshot, sizes: Mapping[str, int], table: str) -> None:
    """Refuse a snapshot of whose files one is gone, or is not as large as the log says; `sizes` are those there are."""
    if absent := [name for name in _names(snapshot) if name not in sizes]:
        raise rejected("delta-files-missing", f"of commit {snapshot.version} of {table} {listed(absent)}")
    for one in snapshot.files:
        if sizes[one.name] != one.size:
            size = f"has {sizes[one.name]:,} bytes, not {one.size:,}"
            raise rejected("bad-delta-log", f"{quoted(one.name)} {size} as the log of {table} says")
