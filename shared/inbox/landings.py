"""Which loops a landed blob is for: one read, however many loops there are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from shared.domain.event import EventKind
from shared.domain.loop import Overview
from shared.ports import Ports

FOLDER_END = "_SUCCESS"

LASTS = timedelta(minutes=10)
"""As often as the sweep finds what no event reported: no loop that was published since waits longer for its events."""


class Landings:
    """Remembers, for a process, where loops land. It is believed only of a row that says so still; what it does not
    know is looked for among all loops, so that one that was published a moment ago is found."""

    def __init__(self) -> None:
        self._known: tuple[Overview, ...] = ()
        self._read_at: datetime | None = None

    def owners(self, ports: Ports, container: str, name: str) -> list[Overview]:
        now = ports.clock.now()
        if self._read_at is not None and now - self._read_at < LASTS:
            remembered = covering(self._known, container, name)
            found = [row for one in remembered if (row := ports.store.overview(one.loop)) is not None]
            if found and len(covering(found, container, name)) == len(remembered):
                return found
        self._known, self._read_at = tuple(ports.store.overviews()), now
        return covering(self._known, container, name)


def covering(overviews: Sequence[Overview], container: str, name: str) -> list[Overview]:
    """The loops whose blob this is; of a folder, whose name ends with a slash, those that also land above it or in
    it."""
    return [
        overview
        for overview in overviews
        if place_of(overview, container, name) is not None
        or (name.endswith("/") and _lies_in(overview, f"{container}/{name}"))
    ]


def _lies_in(overview: Overview, folder: str) -> bool:
    return overview.landing.startswith(folder) or overview.labels.startswith(folder)


def place_of(overview: Overview, container: str, name: str) -> tuple[EventKind, str] | None:
    """What a blob is to the loop, and its name below the prefix where such blobs land; None: it is not the loop's."""
    for kind, place in ((EventKind.BLOB, overview.landing), (EventKind.LABELS, overview.labels)):
        home, _, prefix = place.partition("/")
        if container == home and name.startswith(prefix) and len(name) > len(prefix):
            return kind, name[len(prefix) :]
    return None


def folder_of(below: str) -> str:
    """The folder whose drop a blob of this name belongs to: partitions such as `year=2024` lie within it. Empty for a
    file that lies in no folder."""
    folders = below.split("/")[:-1]
    while len(folders) > 1 and "=" in folders[-1]:
        folders.pop()
    return "/".join(folders)
