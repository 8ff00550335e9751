"""A release taken out of its loop: what explains it, proves it and judges it again, without Azure.

Ledger entries are taken whole and without a gap, because a link that is left out proves nothing of those before it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from shared.audit.differences import compare_kept
from shared.audit.record import PUBLISHED, Record
from shared.domain.ledger import LedgerEntry
from shared.domain.reason import Code, Reason, reason
from shared.domain.release import JudgementKind, Release
from shared.errors import ConfigurationError, InvariantBroken
from shared.port_rules import is_loop
from shared.ports import Documents, Ports, Row
from shared.redaction import misfits, redacted_message
from shared.runtime import unit_of_work
from shared.runtime.unit_of_work import Unit
from shared.state import hash_chain, queries, rows

FORMAT = 1
"""Raised when what is there changes its meaning; a field more does not raise it."""

MOST_ENTRIES = 10_000
MOST_DOCUMENT_BYTES = 24 * 1024 * 1024
"""Of all documents together, as they stand in the file."""

Stored = Mapping[str, Any]  # a row's document, decoded where its type is known


@dataclass(frozen=True)
class ExportedRelease:
    """What is in the file."""

    loop: str
    number: int
    exported_at: datetime
    release: Stored
    entries: tuple[Stored, ...]
    documents: Mapping[str, str]
    """By SHA-256 of the original, in hex."""
    altered: tuple[str, ...] = ()
    """Documents from which rows' ids, or what looks like a secret, were taken out: their digest is the original's."""
    left_out: tuple[str, ...] = ()
    """Documents that the file has no room for."""
    cut: bool = False
    """The release has ledger entries beyond the last one here."""

    @cached_property
    def ledger(self) -> tuple[LedgerEntry, ...]:
        keys = (f"ledger entry {n} of the file" for n, _ in enumerate(self.entries, 1))
        return tuple(
            rows.decode(LedgerEntry, _row(key, doc)) for key, doc in zip(keys, self.entries, strict=True)
        )

    @cached_property
    def kept(self) -> Release:
        return rows.decode(Release, _row(f"release {self.number} of the file", self.release))

    def to_text(self) -> str:
        """ASCII JSON."""
        content = rows.adapter(ExportedRelease).dump_python(self, mode="json")
        return json.dumps({"format": FORMAT, **content}, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str, name: str) -> ExportedRelease:
        """`name` is the file's, for messages. ConfigurationError: it is cut off, damaged, or of a newer Driftloop."""
        try:
            content = json.loads(text)
            json.dumps(content, ensure_ascii=False).encode()  # half a surrogate pair has no hash
            found = content.pop("format")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise unreadable(name, "its data are cut off or damaged") from error
        if found != FORMAT:
            raise _newer(name, f"format {found}, this one reads {FORMAT}")
        return _typed(content, name)


def _typed(content: object, name: str) -> ExportedRelease:
    """Whose parts fit together; what they say is not believed yet."""
    try:
        exported = rows.adapter(ExportedRelease).validate_python(content)
        release, ledger = exported.kept, exported.ledger
    except InvariantBroken as error:
        newer = error.code is Code.ROW_NEWER
        raise (_newer if newer else unreadable)(name, str(error)) from error
    except (ValueError, RecursionError) as error:
        why = misfits(error) if isinstance(error, ValueError) else "its data are nested too deeply"
        raise unreadable(name, why) from error
    own = Record(ledger).releases.get(exported.number)
    if not is_loop(exported.loop) or (release.loop, release.number) != (exported.loop, exported.number):
        raise unreadable(name, "its release is not the one that it is named for")
    if own is None:
        raise unreadable(name, f"it has no ledger entry of release {exported.number}")
    return exported


def unreadable(name: str, why: str) -> ConfigurationError:
    text = f"{name} is not a whole file of `driftloop export`: {why}. Fetch it again, or export the release again."
    return ConfigurationError(text, code=Code.EXPORT_UNREADABLE)


def _newer(name: str, why: str) -> ConfigurationError:
    text = f"{name} was exported by another version of Driftloop: {why}. Read it with that version."
    return ConfigurationError(text, code=Code.EXPORT_NEWER)


def _row(key: str, stored: Stored) -> Row:
    return Row(key, json.dumps(stored), "")


def export(ports: Ports, loop: str, number: int, *, with_ids: bool = False) -> ExportedRelease:
    """The release as it is now. Without `with_ids` no id of a row of data goes along."""
    current = unit_of_work.read(ports, loop)
    release, row = current.release(number)
    entries, cut = _stretch(queries.entries(ports, loop), number)
    kept = _Documents(
        ports.documents, _with_ids(release) if not with_ids and _names_rows(current, release) else ()
    )
    for digest in _wanted(release, entries):
        kept.take(digest)
    return ExportedRelease(
        loop=loop,
        number=number,
        exported_at=ports.clock.now(),
        release=json.loads(row.doc),
        entries=tuple(json.loads(rows.encode(entry)) for entry in entries),
        documents=kept.taken,
        altered=tuple(kept.altered),
        left_out=tuple(kept.left_out),
        cut=cut,
    )


def _stretch(entries: Sequence[LedgerEntry], number: int) -> tuple[Sequence[LedgerEntry], bool]:
    """From the release's first entry to its last, or as many as there is room for. An adopted release names no
    definition: its stretch begins with the publication."""
    own = [n for n, entry in enumerate(entries) if entry.subject == f"release {number}"]
    if not own:
        raise InvariantBroken(
            f"The ledger has no entry of release {number}; `driftloop audit` says what is wrong with it."
        )
    first = own[0]
    if not any("definition" in entries[n].detail for n in own):
        first = next((n for n in range(first, -1, -1) if entries[n].what == PUBLISHED), first)
    last = max(n for n in own if n < first + MOST_ENTRIES)
    return entries[first : last + 1], last < own[-1]


def _wanted(release: Release, entries: Sequence[LedgerEntry]) -> list[str]:
    """Digests, the most telling first: definition, verdicts, then observations that decided nothing, newest first."""
    proven = Record(tuple(entries)).releases[release.number].every("evidence")
    judged = [judgement.evidence for judgement in release.judgements]
    points = [point.evidence for point in sorted(release.points, key=lambda point: point.at, reverse=True)]
    named = (release.definition, release.served_with, release.promoted, release.explanation)
    found = [*named, *judged, *sorted(proven), *points]
    return [digest for digest in dict.fromkeys(found) if digest]


def _names_rows(current: Unit, release: Release) -> bool:
    """Whether ids are a column's values; else they count the rows. Ids that cannot be told apart are left out."""
    try:
        return current.published(release.definition).definition.data.id is not None
    except (InvariantBroken, ConfigurationError):
        return True


def _with_ids(release: Release) -> set[str]:
    return {one.evidence for one in release.judgements if one.kind is JudgementKind.GATE and one.evidence}


def size_bytes(text: str) -> int:
    """Of a document within a page, where `<` is escaped too."""
    return len(json.dumps(text)) + 5 * text.count("<")


class _Documents:
    """Documents as the file takes them. One that is lost is left out, and a finding of the proof."""

    def __init__(self, documents: Documents, with_ids: Collection[str]) -> None:
        self._documents, self._with_ids = documents, with_ids
        self._room = MOST_DOCUMENT_BYTES
        self.taken: dict[str, str] = {}
        self.altered: list[str] = []
        self.left_out: list[str] = []

    def take(self, digest: str) -> None:
        try:
            text = self._documents.get(digest).decode()
        except (InvariantBroken, UnicodeDecodeError):
            return
        kept = redacted_message(self._without_ids(text) if digest in self._with_ids else text)
        if (size := size_bytes(kept)) > self._room:
            self.left_out.append(digest)
            return
        self._room -= size
        self.taken[digest] = kept
        if kept != text:
            self.altered.append(digest)

    def _without_ids(self, text: str) -> str:
        content = json.loads(text)
        content["evidence"]["ids"] = []
        return json.dumps(content, sort_keys=True)


@dataclass(frozen=True)
class Proof:
    """What was found wrong in a file, and what it cannot show."""

    first: int
    last: int
    head: str
    """Hash of the last entry."""
    problems: tuple[Reason, ...]
    unproven: tuple[Reason, ...]


def prove(exported: ExportedRelease, current: Unit) -> Proof:
    """`current` is the loop as the file has it."""
    ledger, record = exported.ledger, Record(exported.ledger)
    first, last = ledger[0].seq, ledger[-1].seq
    problems = hash_chain.problems(ledger, None, after=first - 1)
    if not exported.cut:
        but = {*exported.altered, *exported.left_out}
        problems += compare_kept(current, record, exported.number, but)
    return Proof(
        first, last, ledger[-1].hash, tuple(problems), tuple(_unproven(exported, record, (first, last)))
    )


def _unproven(exported: ExportedRelease, record: Record, ends: tuple[int, int]) -> Iterator[Reason]:
    first, last = ends
    yield reason(Code.EXPORT_ANCHOR, first=first, last=last)
    yield reason(Code.EXPORT_ALONE, first=first, loop=exported.loop)
    release, own = exported.kept, record.releases[exported.number]
    evidence = _digests((*release.judgements, *release.points))
    if unnamed := evidence - own.every("evidence"):
        yield reason(Code.EXPORT_UNNAMED, count=len(unnamed))
    for digest in exported.altered:
        gate = digest in _with_ids(release)
        yield reason(Code.EXPORT_WITHOUT_IDS if gate else Code.EXPORT_REDACTED, digest=digest[:12])
    if exported.left_out:
        limit_mb = MOST_DOCUMENT_BYTES // 1024**2
        yield reason(Code.EXPORT_LEFT_OUT, count=len(exported.left_out), limit_mb=limit_mb)
    if exported.cut:
        yield reason(Code.EXPORT_CUT, limit=MOST_ENTRIES, last=last)


def _digests(judged: Iterable[Any]) -> set[str]:  # Any: judgements and points; both have evidence
    return {one.evidence for one in judged if one.evidence}
