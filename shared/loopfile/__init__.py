"""A loop file is valid, or all its errors are reported at once: line, key, value found, values allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from shared.errors import ConfigurationError
from shared.loopfile import batch_keys, contract_file, environments, own_code
from shared.loopfile import yaml_lines as form
from shared.loopfile.contract import Rule
from shared.loopfile.definition import Breaker, Budget, Data, Definition, Limits, Source
from shared.loopfile.keys import allowed, known, section_of
from shared.loopfile.rules import RULES, Finding, rules_on_columns
from shared.loopfile.yaml_lines import Mistake
from shared.redaction import redacted

__all__ = [
    "Breaker",
    "Budget",
    "Data",
    "Definition",
    "Limits",
    "LoopFileError",
    "Mistake",
    "Rule",
    "Source",
    "contract",
    "load",
    "parse",
]


LOOP_FILE = "loop.yaml"
_NEAR = 8
"""Loops that are named to whoever named none."""


class LoopFileError(ConfigurationError):
    """A loop file has mistakes; the text has a line for each."""

    def __init__(self, file: str, mistakes: Iterable[Mistake]) -> None:
        self.file = file
        self.mistakes = tuple(sorted(set(mistakes), key=lambda one: (one.file, one)))
        super().__init__("\n".join(f"{one.file or file}:{one}" for one in self.mistakes))


def load(
    path: Path,
    *,
    overrides: Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
    environment: str = "",
) -> Definition:
    """Read a loop file (or the loop.yaml of a folder); the files that it names must exist beside it.

    `overrides` are `key=value` with a dotted key and a YAML value: they win over the file and are checked like it.
    `columns` are those of the loop's newest version, which the contract must fit. With `environment` the definition is
    that environment's alone.
    """
    path = _file(path)
    document = form.load(path, "a loop file")
    if environment and not document.mistakes:
        environments.lay_over(document, environment)
    for override in overrides:
        _override(document, override)
    contract_file.include(document, path.parent)
    definition = _checked(document, path.name, path.parent, columns or {})
    return environments.of(definition, environment) if environment else definition


def _file(given: Path) -> Path:
    """The loop file that a folder or its own path names; ConfigurationError, with the loops nearby, where none is."""
    file = given / LOOP_FILE if given.is_dir() else given
    if file.exists():
        return file
    what = (
        f"the folder {given} has no {LOOP_FILE}" if given.is_dir() else f"there is no folder or file {given}"
    )
    places = (given, given.parent, given.parent / "loops")
    near = sorted({found.parent for place in places for found in place.glob(f"*/{LOOP_FILE}")})
    close = difflib.get_close_matches(given.name, [one.name for one in near], n=1)
    meant = next((f" Did you mean {one}?" for one in near if one.name in close), "")
    there = f" Loops nearby: {', '.join(map(str, near[:_NEAR]))}." if near and not meant else ""
    raise ConfigurationError(f"{what}; give a loop's folder, or its {LOOP_FILE}.{meant}{there}")


def parse(text: str, *, file: str) -> Definition:
    """Read the text of a loop file; whether the files that it names exist is not checked."""
    document = form.read(text)
    contract_file.include(document, None)
    return _checked(document, file, None, {})


def contract(path: Path) -> tuple[Rule, ...]:
    """The rules of a contract's file, checked as those of a loop are."""
    document = form.read(
        "{loop: any, data: {landing: any/x/, target: ''}, train: {pipeline: x}, serve: {endpoint: any}}"
    )
    assert isinstance(document.value, dict) and isinstance(document.value["data"], dict)
    document.value["data"] |= {"target": "\0", "contract": path.name}
    contract_file.include(document, path.parent)
    return _checked(document, path.name, None, {}).data.contract


def _checked(
    document: form.Document, file: str, folder: Path | None, columns: Mapping[str, str]
) -> Definition:
    if document.value is None and not document.mistakes:
        document.mistakes.append(Mistake(1, "", "an empty file", "a loop file"))
    elif not isinstance(document.value, Mapping) and not document.mistakes:
        document.mistakes.append(Mistake(1, "", form.show(document.value), "the keys of a loop file"))
    if not isinstance(document.value, Mapping):
        raise LoopFileError(file, document.mistakes)
    definition, wrong = _validate(document)
    for it in _findings(definition, folder, columns):
        if not any(_touch(key, bad) for key in (it.path, *it.needs) for bad in wrong):
            where = document.line(it.path), form.dotted(it.path)
            document.mistakes.append(Mistake(*where, _found(it.found), it.allowed, document.file(it.path)))
    if folder is not None and not any(_touch(("metric", "name"), bad) for bad in wrong):
        document.mistakes += own_code.mistakes(definition, document, folder)
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


def _findings(definition: Definition, folder: Path | None, columns: Mapping[str, str]) -> Iterator[Finding]:
    for rule in RULES:
        yield from rule(definition)
    yield from rules_on_columns(definition, columns)
    if folder is not None:
        yield from _files(definition, folder)


def _files(it: Definition, folder: Path) -> Iterator[Finding]:
    """The files and folders that the definition names and that are not there."""
    named: list[tuple[form.Path, str | None, bool]] = [
        (("train", "pipeline"), it.train.pipeline, False),
        (("serve", "scoring"), it.serve.scoring, True),
        *((("gate", "checks"), check, False) for check in it.gate.checks),
    ]
    if it.serve.environment and not it.serve.environment.startswith("azureml:"):
        named.append((("serve", "environment"), it.serve.environment, False))
    for path, name, is_folder in named:
        if name is None:
            continue
        place = folder / name
        if not (place.is_dir() if is_folder else place.is_file()):
            yield Finding(
                path, name, f"a {'folder' if is_folder else 'file'} that exists beside the loop file"
            )
        elif path[-1] == "environment" and it.serve.type == "batch" and batch_keys.without_runner(place):
            allowed = "a conda file that asks for azureml-core and azureml-dataset-runtime[fuse], as batch jobs need"
            yield Finding(path, name, allowed)


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
    key, line, file = form.dotted(path), document.line(path), document.file(path)
    if detail["type"] == "extra_forbidden":
        names = known(path[:-1])
        close = difflib.get_close_matches(str(path[-1]), names, n=1)
        meant = f"did you mean {close[0]}? " if close else ""
        return Mistake(line, key, "an unknown key", f"{meant}known here: {', '.join(names)}", file)
    found = None if detail["type"] == "missing" else detail["input"]
    return Mistake(line, key, _found(found), allowed(path), file)


def _sound(model: type[BaseModel], given: object, wrong: set[form.Path], path: form.Path) -> BaseModel:
    """The section with its sound keys, so that the rules can be checked on them.

    A required key that is not sound is "", which equals no value that a rule compares it with; an element of a list
    of sections is None.
    """
    values: dict[str, object] = {}
    section = given if isinstance(given, Mapping) else {}
    for name, field in model.model_fields.items():
        here, inner = (*path, name), section_of(field)
        if inner and (field.is_required() or isinstance(section.get(name), Mapping)):
            values[name] = _sound(inner, section.get(name), wrong, here)
        elif inner and isinstance(section.get(name), tuple):
            items = enumerate(section[name])
            values[name] = tuple(
                None if any(_touch((*here, n), b) for b in wrong) else one for n, one in items
            )
        elif name in section and not any(_touch(here, bad) for bad in wrong):
            values[name] = section[name]
        elif field.is_required():
            values[name] = ""
    return model.model_construct(**values)  # type: ignore[arg-type]  # the names are its fields
