"""A loop file is read whole, or refused with all its mistakes at once: line, key, found, allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticUndefined

from shared.errors import ConfigurationError
from shared.loopfile import yaml_lines as form
from shared.loopfile.definition import (
    Budget,
    Canary,
    Data,
    Definition,
    Drift,
    Gate,
    Holdout,
    Limits,
    Margins,
    Material,
    Metric,
    Persistence,
    Retrain,
    Returns,
    Serve,
    Slices,
    Source,
    Step,
    Train,
    Window,
)
from shared.loopfile.kinds import Key
from shared.loopfile.rules import LOWER_IS_BETTER, RULES, Finding, files
from shared.loopfile.yaml_lines import Mistake

__all__ = [
    "LOWER_IS_BETTER",
    "Budget",
    "Canary",
    "Data",
    "Definition",
    "Drift",
    "Gate",
    "Holdout",
    "Limits",
    "LoopFileError",
    "Margins",
    "Material",
    "Metric",
    "Mistake",
    "Persistence",
    "Retrain",
    "Returns",
    "Serve",
    "Slices",
    "Source",
    "Step",
    "Train",
    "Window",
    "load",
    "parse",
    "reference",
    "split_place",
]


class LoopFileError(ConfigurationError):
    """A loop file has mistakes; the text has a line for each."""

    def __init__(self, file: str, mistakes: Iterable[Mistake]) -> None:
        self.file = file
        self.mistakes = tuple(sorted(set(mistakes)))
        super().__init__("\n".join(f"{file}:{mistake}" for mistake in self.mistakes))


def load(path: Path, *, overrides: Sequence[str] = ()) -> Definition:
    """Read a loop file (or the loop.yaml of a folder); the files that it names must exist beside it.

    `overrides` are `key=value` with a dotted key and a YAML value: they win over the file and are checked like it.
    """
    path = path / "loop.yaml" if path.is_dir() else path
    try:
        with path.open("rb") as stream:
            content = stream.read(form.LARGEST_BYTES + 1)
    except OSError as error:
        raise LoopFileError(
            path.name, [Mistake(1, "", f"no readable file ({error.strerror})", "a loop file")]
        ) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise LoopFileError(
            path.name, [Mistake(line, "", "bytes that are no UTF-8", "text in UTF-8")]
        ) from error
    return _read(text, path.name, path.parent, overrides)


def parse(text: str, *, file: str) -> Definition:
    """Read the text of a loop file; whether the files that it names exist is not looked at."""
    return _read(text, file, None)


def split_place(place: str) -> tuple[str, str]:
    """container/prefix/ as (container, prefix/)."""
    container, _, prefix = place.partition("/")
    return container, prefix


def _read(text: str, file: str, folder: Path | None, overrides: Sequence[str] = ()) -> Definition:
    document = form.read(text)
    for override in overrides:
        _override(document, override)
    if document.value is None and not document.mistakes:
        document.mistakes.append(Mistake(1, "", "an empty file", "a loop file"))
    elif not isinstance(document.value, Mapping) and not document.mistakes:
        document.mistakes.append(Mistake(1, "", form.show(document.value), "the keys of a loop file"))
    if not isinstance(document.value, Mapping):
        raise LoopFileError(file, document.mistakes)
    definition, wrong = _validate(document)
    if definition is not None:
        for it in _findings(definition, folder):
            if not any(_touch(key, bad) for key in (it.path, *it.needs) for bad in wrong):
                line = document.line(it.path)
                document.mistakes.append(Mistake(line, form.dotted(it.path), _found(it.found), it.allowed))
    if document.mistakes or definition is None:
        raise LoopFileError(file, document.mistakes)
    return definition


def _override(document: form.Document, override: str) -> None:
    key, equals, text = override.partition("=")
    path = tuple(key.split("."))
    given = form.read(text)
    if not equals or not all(path) or given.mistakes or not isinstance(document.value, dict):
        document.mistakes.append(Mistake(0, key, override, "key=value, for example canary.step.minutes=1"))
        return
    section = document.value
    for part in path[:-1]:
        inner = section.setdefault(part, {})
        if not isinstance(inner, dict):
            inner = section[part] = {}
        section = inner
    section[path[-1]] = given.value
    document.lines[path] = 0


def _findings(definition: Definition, folder: Path | None) -> Iterator[Finding]:
    for rule in RULES:
        yield from rule(definition)
    if folder is not None:
        yield from files(definition, folder)


def _touch(one: form.Path, other: form.Path) -> bool:
    """Whether one key lies within the other."""
    return all(left == right for left, right in zip(one, other, strict=False))


def _found(value: object) -> str:
    return "nothing" if value is None else form.show(value)


# --- from a document to a definition ---------------------------------------------------------------


def _validate(document: form.Document) -> tuple[Definition | None, set[form.Path]]:
    """The definition, and the keys that were wrong.

    What is wrong is taken out and the rest is read again, so that the rules can be asked about the rest.
    """
    value, wrong = document.value, set[form.Path]()
    for _ in range(2):
        try:
            return Definition.model_validate(value), wrong
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                path = _path(detail)
                wrong.add(path)
                document.mistakes.append(_mistake(document, path, detail))
                value = _without(value, path)
    return None, wrong


def _path(detail: ErrorDetails) -> form.Path:
    """The keys of a place in the file: pydantic adds "[key]" where a key itself is wrong."""
    return tuple(part for part in detail["loc"] if part != "[key]")


def _mistake(document: form.Document, path: form.Path, detail: ErrorDetails) -> Mistake:
    key, line = form.dotted(path), document.line(path)
    if detail["type"] == "extra_forbidden":
        known = list(_model_at(path[:-1]).model_fields)
        close = difflib.get_close_matches(str(path[-1]), known, n=1)
        meant = f"did you mean {close[0]}? " if close else ""
        return Mistake(line, key, "an unknown key", f"{meant}known here: {', '.join(known)}")
    if detail["type"] == "missing":
        return Mistake(line, key, "nothing", _allowed(path))
    return Mistake(line, key, _found(_value_at(document.value, path)), _allowed(path))


def _value_at(value: object, path: form.Path) -> object:
    for part in path:
        if isinstance(value, Mapping):
            value = value.get(str(part))
        elif isinstance(value, tuple) and isinstance(part, int) and part < len(value):
            value = value[part]
    return value


_STAND_INS: Mapping[form.Path, form.Value] = {
    ("loop",): "stand-in",
    ("data",): {"landing": "stand-in/landing/", "target": "target"},
    ("data", "landing"): "stand-in/landing/",
    ("data", "target"): "target",
    ("data", "source", "url"): "https://stand-in",
    ("data", "source", "every"): "0 0 0 * * *",
    ("train",): {"pipeline": "stand-in.yml"},
    ("train", "pipeline"): "stand-in.yml",
    ("serve",): {"endpoint": "stand-in"},
    ("serve", "endpoint"): "stand-in",
    ("metric", "name"): "accuracy",
    ("drift", "returns", "columns"): ("stand-in",),
    ("gate", "slices", "by"): ("stand-in",),
    ("gate", "slices", "floor"): 0.0,
}
"""What is read in place of a required key that is missing or wrong, so that the rest can be judged."""


def _without(value: form.Value, path: form.Path, done: form.Path = ()) -> form.Value:
    """The value without this key, or with its stand-in; an element of a list takes the list along."""
    if not path or not isinstance(value, Mapping):
        return value
    head, rest = str(path[0]), path[1:]
    copy, here = dict(value), (*done, head)
    inner = copy.pop(head, None)
    if rest and isinstance(inner, Mapping):
        copy[head] = _without(inner, rest, here)
    elif here in _STAND_INS:
        copy[head] = _STAND_INS[here]
    return copy


# --- the model, asked about itself -----------------------------------------------------------------


def _model_of(field: FieldInfo) -> type[BaseModel] | None:
    for kind in (field.annotation, *get_args(field.annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel) and kind is not Window:
            return kind
    return None


def _model_at(path: form.Path) -> type[BaseModel]:
    model: type[BaseModel] = Definition
    for part in path:
        inner = _model_of(model.model_fields[str(part)]) if str(part) in model.model_fields else None
        model = inner or model
    return model


def _allowed(path: form.Path) -> str:
    model: type[BaseModel] = Definition
    allowed = "a loop file"
    for part in path:
        field = model.model_fields.get(str(part))
        if field is None:
            break
        allowed = _key(field).allowed
        model = _model_of(field) or model
    return allowed


def _key(field: FieldInfo) -> Key:
    return next(part for part in field.metadata if isinstance(part, Key))


def reference() -> str:
    """Every key of a loop file as a Markdown table, from the model itself."""
    rows = ["| key | allowed | default | meaning |", "|---|---|---|---|", *_rows(Definition, "")]
    return "\n".join(rows) + "\n"


def _rows(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        key, inner = _key(field), _model_of(field)
        if inner is None or field.default is None:
            yield f"| `{prefix}{name}` | {key.allowed} | {_default(model, name, field)} | {key.meaning} |"
        if inner is not None:
            yield from _rows(inner, f"{prefix}{name}.")


def _default(model: type[BaseModel], name: str, field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    default = field.get_default(call_default_factory=True)
    if default is None or default is PydanticUndefined:
        return "nothing"
    written = model.model_construct(**{name: default}).model_dump(
        mode="json", include={name}, warnings=False
    )[name]
    return f"`{form.show(written)}`" if not isinstance(written, str) or written else "nothing"
