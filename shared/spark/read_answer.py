"""What a job answers, and when it is believed: what it read is hostile, and other code runs under its identity, too."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from shared.domain.reason import Code
from shared.errors import InputRejected
from shared.files.drop_files import Reading
from shared.intake.rejections import REMEDIES

ANSWER, PROFILE, PROGRESS = "answer.json", "profile.bin", "progress.json"
ORDER, REFERENCE, ROWS = "order.json", "reference.bin", "rows"
"""What lies in the folder of a job: what it is asked, what it answers, and the files of the version."""
MOST_ANSWER, MOST_PROFILE = 8 * 1024 * 1024, 256 * 1024 * 1024
MOST_TASKS = 10_000
MOST_TEXT, MOST_NAME = 2_000, 300
"""Characters."""
_PART = re.compile(r"(train|holdout|unlabelled|rejected)/part-\d{5}\.parquet")
ALONE = re.compile(r"[a-z,-]{0,60}")
"""Codes, for people."""
_KINDS = frozenset({"number", "integer", "boolean", "string", "datetime", "nothing"})
_HEX = re.compile(r"[0-9a-f]{64}")
_SAMPLES = ("sample/all.parquet", "sample/holdout.parquet")
_TAGS = frozenset({"length", "start", "end", "median", "sd", "schema"})
_TASKS = frozenset({"", "classification", "regression"})
_RESULT = {"rule": str, "on_breach": str, "broken": bool, "of": int, "rows": int, "first": list, "found": str}
"""Of a rule of the contract: a `contract_pass.Result` without values."""


Pack = Callable[[bytes], bytes]


class Unbelievable(Exception):
    """What lies there is no answer to what was asked."""


@dataclass(frozen=True)
class Part:
    """A file of the version."""

    etag: str
    """Under which the job wrote it."""
    rows: int
    """Of a sample nobody counts them."""


@dataclass(frozen=True)
class Read:
    """The drop was read."""

    reading: Reading
    """Its profile is still to be packed anew: another Arrow packs other bytes."""
    parts: Mapping[str, Part]
    """By name below the version's folder."""
    tasks: int = 1
    """How many read at once."""
    alone: str = ""
    """Why one task read it, as codes of `drop_plan.Alone` and `drop_shares`; empty where many did."""


@dataclass(frozen=True)
class Refused:
    """The drop cannot be used, under a code of the rejections."""

    code: str
    text: str


@dataclass(frozen=True)
class Changed:
    """A file was overwritten or deleted while the job read."""

    name: str


Answer = Read | Refused | Changed


def written(answer: Answer, order: str) -> bytes:
    """As the job leaves it; `order` is the digest of what it was asked."""
    if isinstance(answer, Refused):
        said: dict[str, Any] = {"rejected": {"code": answer.code, "text": answer.text}}
    elif isinstance(answer, Changed):
        said = {"changed": answer.name}
    else:
        parts = {name: asdict(part) for name, part in answer.parts.items()}
        said = {"reading": answer.reading.to_document(), "parts": parts}
        said |= {"tasks": answer.tasks, "alone": answer.alone}
    return json.dumps({"order": order, **said}, default=dict).encode()


def believed(content: bytes, order: str, profile: bytes, packed_anew: Pack | None = None) -> Answer:
    """The answer to the order of this digest; Unbelievable where it is none.

    `packed_anew` reads the profile and writes it again, in a process with limits where one is given.
    """
    try:
        document = json.loads(content)
        if document["order"] != order:
            raise Unbelievable("it answers another order")
        if "rejected" in document:
            return _refused(document["rejected"])
        if "changed" in document:
            return Changed(_text(document["changed"]))
        reading = _reading(document["reading"], profile, packed_anew or _packed_anew)
        tasks, alone = document["tasks"], document["alone"]
        if type(tasks) is not int or not 1 <= tasks <= MOST_TASKS or not ALONE.fullmatch(alone):
            raise Unbelievable("it says no number of tasks")
        return Read(reading, _parts(document["parts"], reading), tasks, alone)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Unbelievable(f"{type(error).__name__}: {error}"[:MOST_TEXT]) from error


def _text(said: Any) -> str:
    if type(said) is not str:
        raise Unbelievable("a text of it is none")
    return said[:MOST_TEXT]


def _refused(said: Mapping[str, Any]) -> Refused:
    code = str(said["code"])
    if code not in REMEDIES:
        raise Unbelievable("it refuses the drop for no known reason")
    return Refused(Code(code).value, _text(said["text"]))


def _packed_anew(profile: bytes) -> bytes:
    import drift

    return drift.Profile.from_bytes(profile).to_bytes()


def _reading(document: Mapping[str, Any], profile: bytes, packed_anew: Pack) -> Reading:
    import drift

    wanted = {one.name for one in fields(Reading)} - {"profile"}
    if set(document) != wanted:
        raise Unbelievable("it is of another form")
    counts = ("rows", "train_rows", "holdout_rows", "rejected_rows", "own_labels")
    if any(type(document[name]) is not int or document[name] < 0 for name in counts):
        raise Unbelievable("its counts are none")
    if document["train_rows"] + document["holdout_rows"] > document["rows"]:
        raise Unbelievable("it holds out or trains on more rows than there are")
    if document["own_labels"] > document["rows"]:
        raise Unbelievable("it has more labels than rows")
    columns, tags = document["columns"], document["tags"]
    if not columns or not all(len(name) <= MOST_NAME for name in columns):
        raise Unbelievable("it has no columns")
    if not set(columns.values()) <= _KINDS:
        raise Unbelievable("a column is of no known type")
    if set(tags) != _TAGS or not all(type(one) is str and len(one) <= MOST_NAME for one in tags.values()):
        raise Unbelievable("its tags are none")
    if document["task"] not in _TASKS or type(document["labelled"]) is not bool:
        raise Unbelievable("it says no task")
    if not all(type(one) is str for one in document["findings"]):
        raise Unbelievable("its findings are none")
    for result in document["contract"]:
        _check_result(result)
    if not _HEX.fullmatch(document["content_hash"]) or not _HEX.fullmatch(document["schema_hash"]):
        raise Unbelievable("its hashes are none")
    try:
        packed = packed_anew(profile)
    except (drift.DataError, drift.UnknownSchemaError, InputRejected) as error:
        raise Unbelievable(f"its profile cannot be used ({error})") from error
    return Reading.from_document(document, packed)


def _check_result(said: Any) -> None:
    if {name: type(value) for name, value in said.items()} != _RESULT:
        raise Unbelievable("what a rule came to is of another form")
    if not all(type(row) is int for row in said["first"]):
        raise Unbelievable("rows that break a rule are none")


def _parts(said: Mapping[str, Any], reading: Reading) -> dict[str, Part]:
    """The files that hold the rows of a version, and no other: one more would be rows of nobody."""
    found = {name: Part(str(one["etag"]), one["rows"]) for name, one in said.items()}
    if not all(type(part.rows) is int and part.rows >= 0 and part.etag for part in found.values()):
        raise Unbelievable("its files are none")
    parts = {name: part for name, part in found.items() if name not in _SAMPLES}
    if not all(map(_PART.fullmatch, parts)):
        raise Unbelievable("it names files that no version has")
    held = dict.fromkeys(("train", "holdout", "unlabelled", "rejected"), 0)
    for name, part in parts.items():
        held[name.partition("/")[0]] += part.rows
    train, holdout = reading.train_rows, reading.holdout_rows
    wanted = (train, holdout, reading.rows - train - holdout, reading.rejected_rows)
    always = {*_SAMPLES, "train/part-00000.parquet", "holdout/part-00000.parquet"}
    if tuple(held.values()) != wanted or not always <= set(found):
        raise Unbelievable("it lacks files of the version, or has others")
    return {name: part for name, part in sorted(found.items()) if part.rows or name in always}
