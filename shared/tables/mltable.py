"""An MLTable file names the files of a table and how they are read: honoured to the letter, or refused by name.

https://learn.microsoft.com/azure/machine-learning/reference-yaml-mltable
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from shared import plain_yaml
from shared.files.passed_over import is_data
from shared.intake.rejections import listed, quoted, rejected

NAME = "MLTable"
MOST_BYTES = 1024 * 1024

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_READABLE = ("utf8", "utf8bom", "ascii", "utf16", "utf32")
"""Encodings that the reader tells from the bytes, as UTF-8 and the marks at a file's start show them."""
_NO_MATTER = frozenset(("partition_size", "path_column", "support_multi_line"))
"""How a file is cut, or what a column is called that is not asked for; a line break in quotes never ends a row here."""
_KINDS = {"int": "number", "float": "number", "string": "text", "boolean": "", "datetime": "time"}


@dataclass(frozen=True)
class Steps:
    """What is done to each file, as far as the reader does it."""

    form: str
    """parquet or delimited."""
    delimiter: str = ""
    keep: tuple[str, ...] = ()
    """Columns; empty: all."""
    drop: tuple[str, ...] = ()
    kinds: Mapping[str, str] = field(default_factory=dict)
    """Column -> `loopfile.value_kinds.ColumnKind`; what a person says in the loop file wins."""

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Steps:
        return cls(**{**document, "keep": tuple(document["keep"]), "drop": tuple(document["drop"])})

    def left(self, columns: Sequence[str]) -> list[str]:
        """The columns that are read of a file's own."""
        if missing := [name for name in self.keep if name not in columns]:
            raise _bad(f"keeps {listed(missing)}, and there is no such column")
        return [name for name in columns if (not self.keep or name in self.keep) and name not in self.drop]


@dataclass(frozen=True)
class MLTable:
    """One file of that name, read."""

    paths: tuple[tuple[str, str], ...]
    """file, folder or pattern, each with a path below the MLTable's own folder."""
    steps: Steps

    def chosen(self, names: Iterable[str]) -> list[str]:
        """Those of some names below its folder that it names, in their order; refused where a path names none."""
        there = sorted(name for name in names if name != NAME and is_data(name))
        found: set[str] = set()
        for kind, path in self.paths:
            match = _MATCHES[kind]
            if not (named := {name for name in there if match(name, path)}):
                raise _bad(f"names the {kind} {quoted(path)}, and nothing lies there")
            found |= named
        return sorted(found)


def _globs(name: Sequence[str], pattern: Sequence[str]) -> bool:
    """Part for part; ** stands for any number of folders."""
    matched = {0}
    for part in pattern:
        if part == "**":
            matched = set(range(min(matched, default=len(name) + 1), len(name) + 1))
        else:
            matched = {at + 1 for at in matched if at < len(name) and fnmatchcase(name[at], part)}
    return len(name) in matched


_MATCHES: dict[str, Callable[[str, str], bool]] = {
    "file": lambda name, path: name == path,
    "folder": lambda name, path: not path or name.startswith(f"{path}/"),
    "pattern": lambda name, path: _globs(name.split("/"), path.split("/")),
}


def _bad(what: str) -> Exception:
    return rejected("bad-mltable", f"MLTable {what}")


def _unread(what: str) -> Exception:
    return rejected("mltable-step", f"MLTable asks for {what}")


def read(content: bytes) -> MLTable:
    """The file's text as paths and steps."""
    if len(content) > MOST_BYTES:
        raise _bad(f"has {len(content):,} bytes")
    try:
        document = plain_yaml.load(content, aliases=False)
    except ValueError as error:
        raise _bad(f"cannot be read: {quoted(str(error))}") from None
    if not isinstance(document, dict) or not isinstance(document.get("paths"), list) or not document["paths"]:
        raise _bad("has no list of paths")
    return MLTable(tuple(map(_path, document["paths"])), _steps(document.get("transformations") or []))


def _path(entry: Any) -> tuple[str, str]:
    if (
        not isinstance(entry, dict)
        or len(entry) != 1
        or not isinstance(text := next(iter(entry.values())), str)
    ):
        raise _bad("has a path that is not one file, folder or pattern")
    kind = str(next(iter(entry)))
    if kind not in _MATCHES:
        raise _bad(f"has a path {quoted(kind)}, which is not a file, folder or pattern")
    parts = [part for part in text.split("/") if part != "."]
    if _SCHEME.match(text) or text.startswith("/") or ".." in parts or "\\" in text:
        raise rejected("mltable-elsewhere", f"MLTable names {quoted(text)}")
    return kind, "/".join(parts).rstrip("/")


def _steps(entries: Any) -> Steps:
    if not isinstance(entries, list):
        raise _bad("has transformations that are no list")
    found = Steps("")
    for entry in entries:
        name, about = (
            next(iter(entry.items())) if isinstance(entry, dict) and len(entry) == 1 else (entry, {})
        )
        step = _STEPS.get(name) if isinstance(name, str) else None
        if step is None:
            raise _unread(f"the step {quoted(name if isinstance(name, str) else 'that is none')}")
        found = step(found, about if about is not None else {})
    if not found.form:
        raise _bad("does not say how its files are read: read_delimited or read_parquet")
    return found


def _read_delimited(steps: Steps, about: Any) -> Steps:
    given = _options("read_delimited", about)
    delimiter = given.pop("delimiter", "")
    for name, allowed in _DELIMITED.items():
        if name in given and given.pop(name) not in allowed:
            raise _unread(f"another {name} in read_delimited")
    if given or not isinstance(delimiter, str):
        raise _unread(f"{listed(sorted(map(str, given)) or ['delimiter'])} in read_delimited")
    return replace(steps, form="delimited", delimiter={"\\t": "\t"}.get(delimiter, delimiter))


_DELIMITED: dict[str, tuple[Any, ...]] = {
    "encoding": _READABLE,
    "header": ("all_files_same_headers", "all_files_different_headers"),
    "empty_as_string": (False,),
    "include_path_column": (False,),
    "infer_column_types": (True,),
}


def _read_parquet(steps: Steps, about: Any) -> Steps:
    given = _options("read_parquet", about)
    if given.pop("include_path_column", False) is not False or given:
        raise _unread(f"{listed(sorted(map(str, given)) or ['include_path_column'])} in read_parquet")
    return replace(steps, form="parquet")


def _options(step: str, about: Any) -> dict[Any, Any]:
    if not isinstance(about, dict):
        raise _bad(f"has a {step} without options")
    return {name: value for name, value in about.items() if name not in _NO_MATTER}


def _names(about: Any) -> tuple[str, ...]:
    names = [about] if isinstance(about, str) else about
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise _bad("has a step without names of columns")
    return tuple(names)


def _convert(steps: Steps, about: Any) -> Steps:
    kinds = dict(steps.kinds)
    for entry in about if isinstance(about, list) else [about]:
        if not isinstance(entry, dict) or set(entry) != {"columns", "column_type"}:
            raise _bad("has a convert_column_types without columns and column_type")
        kind = _kind(entry["column_type"])
        kinds.update({name: kind for name in _names(entry["columns"]) if kind})
    return replace(steps, kinds=kinds)


def _kind(said: Any) -> str:
    """Of booleans nothing is said: the reader finds true and false itself."""
    if isinstance(said, str) and said in _KINDS:
        return _KINDS[said]
    formats = said.get("datetime", {}).get("formats", []) if _is_datetime(said) else None
    if isinstance(formats, list) and formats and all(isinstance(each, str) for each in formats):
        orders = {"".join(re.findall("%([dmyY])", each)).lower() for each in formats}
        known = {"ymd": "time", "dmy": "day-first", "mdy": "month-first"}
        if len(orders) == 1 and (order := orders.pop()) in known:
            return known[order]
    raise _unread(
        "a type in convert_column_types that is not int, float, string, boolean or a common datetime"
    )


def _is_datetime(said: Any) -> bool:
    return isinstance(said, dict) and set(said) == {"datetime"} and isinstance(said["datetime"], dict)


_STEPS: dict[str, Callable[[Steps, Any], Steps]] = {
    "read_delimited": _read_delimited,
    "read_parquet": _read_parquet,
    "keep_columns": lambda steps, about: replace(steps, keep=_names(about)),
    "drop_columns": lambda steps, about: replace(steps, drop=(*steps.drop, *_names(about))),
    "convert_column_types": _convert,
}
