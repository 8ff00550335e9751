"""A loop file is valid, or all its errors are reported at once: line, key, value found, values allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from shared.errors import ConfigurationError
from shared.loopfile import yaml_lines as form
from shared.loopfile.definition import Budget, Data, Definition, Limits, Source
from shared.loopfile.keys import allowed, known, section_of
from shared.loopfile.rules import RULES, Finding, files
from shared.loopfile.yaml_lines import Mistake
from shared.redaction import redacted

__all__ = [
    "Budget",
    "Data",
    "Definition",
    "Limits",
    "LoopFileError",
    "Mistake",
    "Source",
    "load",
    "parse",
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
            path.name, [Mistake(1, "", f"not a readable file ({error.strerror})", "a loop file")]
        ) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise LoopFileError(
            path.name, [Mistake(line, "", "bytes that are not UTF-8", "text in UTF-8")]
        ) from error
    return _read(text, path.name, path.parent, overrides)


def parse(text: str, *, file: str) -> Definition:
    """Read the text of a loop file; whether the files that it names exist is not checked."""
    return _read(text, file, None)


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
    for it in _findings(definition, folder):
        if not any(_touch(key, bad) for key in (it.path, *it.needs) for bad in wrong):
            line = document.line(it.path)
            document.mistakes.append(Mistake(line, form.dotted(it.path), _found(it.found), it.allowed))
    if document.mistakes:
        raise LoopFileError(file, document.mistakes)
    return definition


def _override(document: form.Document, override: str) -> None:
    key, equals, text = override.partition("=")
    path = tuple(key.split("."))
    given = form.read(text)
    if not equals or not all(path) or given.mistakes or not isinstance(document.value, dict):
        document.mistakes.append(
            Mistake(0, key, redacted(override), "key=value, for example canary.step.minutes=1")
        )
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


def _validate(document: form.Document) -> tuple[Definition, set[form.Path]]:
    """The definition as far as it is sound, and the keys that are not; each of these has its mistake."""
    given = document.value
    try:
        return Definition.model_validate(given), set()
    except ValidationError as error:
        details = {tuple(detail["loc"]): detail for detail in error.errors(include_url=False)}
    document.mistakes += [_mistake(document, path, detail) for path, detail in details.items()]
    return cast(Definition, _sound(Definition, given, set(details), ())), set(details)


def _mistake(document: form.Document, path: form.Path, detail: ErrorDetails) -> Mistake:
    key, line = form.dotted(path), document.line(path)
    if detail["type"] == "extra_forbidden":
        names = known(path[:-1])
        close = difflib.get_close_matches(str(path[-1]), names, n=1)
        meant = f"did you mean {close[0]}? " if close else ""
        return Mistake(line, key, "an unknown key", f"{meant}known here: {', '.join(names)}")
    found = None if detail["type"] == "missing" else detail["input"]
    return Mistake(line, key, _found(found), allowed(path))


def _sound(model: type[BaseModel], given: object, wrong: set[form.Path], path: form.Path) -> BaseModel:
    """The section with its sound keys, so that the rules can be checked on them.

    A required key that is not sound is "", which equals no value that a rule compares it with.
    """
    values: dict[str, object] = {}
    section = given if isinstance(given, Mapping) else {}
    for name, field in model.model_fields.items():
        here, inner = (*path, name), section_of(field)
        if inner and (field.is_required() or isinstance(section.get(name), Mapping)):
            values[name] = _sound(inner, section.get(name), wrong, here)
        elif name in section and not any(_touch(here, bad) for bad in wrong):
            values[name] = section[name]
        elif field.is_required():
            values[name] = ""
    return model.model_construct(**values)  # type: ignore[arg-type]  # the names are its fields
