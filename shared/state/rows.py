"""Stored rows are versioned JSON; a row that cannot be read is reported with its key, never guessed at."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from shared.domain.event import EventKind, InboxRecord
from shared.domain.reason import Code, Reason
from shared.errors import InvariantBroken
from shared.ports import Row, Store
from shared.redaction import misfits, reason_of

if TYPE_CHECKING:
    from pydantic import TypeAdapter

SCHEMA = 2
"""Raised when a stored document changes its meaning. 2: what is said is a code with facts."""

LOOP = "loop"

PAGE = 1000

_END_OF_TIME_MS = 10**15 - 1

_KEY = re.compile(r"[0-9a-f]{32}")

TODO = "todo-"
_ACT = f"{TODO}0-"

T = TypeVar("T")
Value = TypeVar("Value", covariant=True)


class Unreadable(InvariantBroken):
    """A stored row that this version cannot read: nothing is guessed, its loop waits for a person."""

    usual = Code.ROW_UNREADABLE


def every(store: Store, loop: str, prefix: str) -> Iterator[Row]:
    """Every row of a loop whose key starts so, in their order, a thousand a call."""
    after = ""
    while page := store.range(loop, prefix, after=after, limit=PAGE):
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1].key


def key_of(*parts: str) -> str:
    """Identity of what happened: the same for every delivery of it."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()[:32]


def is_key(text: str) -> bool:
    """Whether it is such an identity: what a person names may be anything."""
    return _KEY.fullmatch(text) is not None


def inbox_key(key: str) -> str:
    return f"inbox-{key}"


def todo_key(record: InboxRecord) -> str:
    """Sorts by arrival, people first; exists exactly while its inbox record is work to do."""
    start = _ACT if record.kind is EventKind.PERSON else TODO
    return f"{start}{record.received_at.isoformat()}-{record.key}"


def is_act(todo: str) -> bool:
    """Whether the event behind this key is what a person asked for."""
    return todo.startswith(_ACT)


def aside_key(received_at: datetime, key: str) -> str:
    """Newest first; exists exactly while its inbox record is quarantined, so that few reads find them."""
    return f"aside-{_newest_first(received_at)}-{key}"


def _newest_first(at: datetime) -> str:
    return f"{_END_OF_TIME_MS - int(at.timestamp() * 1000):015d}"


def labels_key(received_at: datetime, key: str) -> str:
    """Newest first, so that few reads find the latest labels."""
    return f"labels-{_newest_first(received_at)}-{key}"


def version_key(number: int) -> str:
    return f"version-{number:08d}"


def content_key(digest: str) -> str:
    return f"content-{digest}"


def folder_key(place: str) -> str:
    """Of container/folder: the number of the version that it was read as."""
    return f"folder-{key_of(place)}"


FOLDER_WAITS = "folder-waits-"


def folder_waits_key(place: str) -> str:
    """Of container/folder: that it is to become quiet, where the loop's own row has no room for more of them."""
    return f"{FOLDER_WAITS}{key_of(place)}"


def release_key(number: int) -> str:
    return f"release-{number:08d}"


def ledger_key(seq: int) -> str:
    return f"ledger-{seq:010d}"


_adapters: dict[type, TypeAdapter[Any]] = {}  # Any: one table for all types; `adapter` gives the type back


def adapter(kind: type[T]) -> TypeAdapter[T]:
    """From JSON and to it, for any dataclass."""
    from pydantic import TypeAdapter

    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def encode(value: object) -> str:
    """A frozen dataclass of `shared.domain` as JSON with its schema number."""
    content = adapter(type(value)).dump_python(value, mode="json")
    return json.dumps({"schema": SCHEMA, "content": content}, ensure_ascii=False, sort_keys=True)


def decode(kind: type[T], row: Row) -> T:
    """The value of a row; Unreadable, with the row's key, when it cannot be read or is of another version."""
    try:
        document = json.loads(row.doc)
        schema = document["schema"]
        content = document["content"]
    except (ValueError, KeyError, TypeError) as error:
        raise Unreadable(f"row {row.key} is not a Driftloop document: {error}") from error
    if schema != SCHEMA:
        raise _of_another_version(row.key, schema)
    try:
        value: T = adapter(kind).validate_python(content)
    except ValueError as error:
        raise Unreadable(f"row {row.key} cannot be read as {kind.__name__}: {misfits(error)}") from error
    return value


def misplaced(row: Row, found: str) -> Unreadable:
    """A row that is somebody else's: what is done by it would be done under names that are not this loop's."""
    return Unreadable(f"row {row.key} is that of {found}")


@dataclass(frozen=True)
class Unread:
    """A row that cannot be read, and why."""

    key: str
    error: Unreadable

    @property
    def number(self) -> int:
        """Of the ledger entry, the release or the version."""
        number = self.key.rpartition("-")[2]
        return int(number) if number.isdecimal() else 0

    @property
    def told(self) -> Reason:
        return reason_of(self.error)


@dataclass(frozen=True)
class Read(Generic[Value]):
    """What rows hold for people to see: one that is damaged hides none of the others."""

    values: tuple[Value, ...] = ()
    unread: tuple[Unread, ...] = ()


def read(kind: type[T], found: Iterable[Row]) -> Read[T]:
    """The values of rows, and which of them cannot be read."""
    values: list[T] = []
    unread: list[Unread] = []
    for row in found:
        try:
            values.append(decode(kind, row))
        except Unreadable as error:
            unread.append(Unread(row.key, error))
    return Read(tuple(values), tuple(unread))


def _of_another_version(key: str, schema: object) -> Unreadable:
    if isinstance(schema, int) and schema > SCHEMA:
        return Unreadable(
            f"row {key} was written by a newer Driftloop (schema {schema}, this one reads {SCHEMA}); "
            "deploy the newer version again",
            code=Code.ROW_NEWER,
        )
    return Unreadable(
        f"row {key} was written by an older Driftloop (schema {schema}, not {SCHEMA}); remove the loop's rows and its "
        "row in the overview from the table, then publish the loop again",
        code=Code.ROW_OLDER,
    )
