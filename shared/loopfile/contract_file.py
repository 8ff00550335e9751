"""A contract that lies in a file of its own becomes the loop's rules; what it says and we do not know is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path as Folder

from shared.loopfile import yaml_lines as form
from shared.loopfile.value_kinds import beside
from shared.loopfile.yaml_lines import Document, Mistake, Path
from shared.standards import odcs, pandera_schema
from shared.standards.translation import Translation

_HERE: Path = ("data", "contract")
_FORMS = (
    "a list of rules, an Open Data Contract (kind: DataContract) or a Pandera schema (schema_type: dataframe)"
)


def include(document: Document, folder: Folder | None) -> None:
    """Put the rules in the place of the file's name, with the file and line of each."""
    data = document.value.get("data") if isinstance(document.value, Mapping) else None
    name = data.get("contract") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(name, str):
        return
    data["contract"] = ()
    line, key = document.line(_HERE), form.dotted(_HERE)
    try:
        beside(name)
    except ValueError:
        document.mistakes.append(Mistake(line, key, form.show(name), "a file beside the loop file"))
        return
    if folder is None:
        allowed = "rules, because this loop file is read without its folder"
        document.mistakes.append(Mistake(line, key, form.show(name), allowed))
        return
    if not (folder / name).is_file():
        allowed = "a file that exists beside the loop file"
        document.mistakes.append(Mistake(line, key, form.show(name), allowed))
        return
    document.files[_HERE] = name
    _translate(document, data, form.load(folder / name, "a contract"), name)


def _translate(document: Document, data: dict[str, form.Value], inner: Document, name: str) -> None:
    if not inner.mistakes and isinstance(inner.value, tuple):
        data["contract"] = inner.value
        document.lines |= {(*_HERE, *path): line for path, line in inner.lines.items()}
        return
    found = Translation(inner)
    if inner.mistakes:
        pass
    elif isinstance(inner.value, Mapping) and inner.value.get("kind") == "DataContract":
        odcs.translate(found)
    elif isinstance(inner.value, Mapping) and "schema_type" in inner.value:
        pandera_schema.translate(found)
    else:
        inner.mistakes.append(Mistake(1, "", form.show(inner.value), _FORMS))
    document.mistakes += [replace(mistake, file=name) for mistake in inner.mistakes]
    if inner.mistakes:
        return
    data["contract"] = tuple(rule for rule, _ in found.rules)
    document.lines |= {(*_HERE, n): inner.line(path) for n, (_, path) in enumerate(found.rules)}
