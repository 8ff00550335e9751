"""YAML text becomes plain values with the line of every key, or a list of mistakes; never more than that.

Read by composing nodes only: no tags, no anchors or aliases, one document, bounded size and depth.
`on`, `yes` and dates stay text, as a reader of the file would expect.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath

import yaml

from shared.redaction import redacted

LARGEST_BYTES = 256 * 1024
DEEPEST = 20

Value = None | bool | int | float | str | tuple["Value", ...] | Mapping[str, "Value"]
Path = tuple[str | int, ...]


@dataclass(frozen=True, order=True)
class Mistake:
    """One thing that is wrong in a loop file. `line` counts from 1; `key` is dotted, empty for the file."""

    line: int
    key: str
    found: str
    allowed: str
    file: str = ""
    """Another than the loop file itself, for example its contract."""

    def __str__(self) -> str:
        where = f" {self.key}" if self.key else ""
        return f"{self.line}{where}: found {self.found}; allowed: {self.allowed}"


@dataclass
class Document:
    """What a YAML text says, and where."""

    value: Value = None
    lines: dict[Path, int] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    files: dict[Path, str] = field(default_factory=dict)
    """Keys whose content stands in another file, and its name."""

    def file(self, path: Path) -> str:
        """The other file in which this key stands; empty for the document itself."""
        return next((name for above, name in self.files.items() if path[: len(above)] == above), "")

    def line(self, path: Path) -> int:
        """The line of this key, or of the nearest one around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def dotted(path: Path) -> str:
    """('canary', 'steps', 1) as people write it: canary.steps[1]."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def show(value: object) -> str:
    """A value as it stood in the file: one line, short, without what looks like a secret."""
    value = int(value) if isinstance(value, float) and value.is_integer() else value
    text = redacted(json.dumps(value, ensure_ascii=False, default=str))
    return text if len(text) <= 80 else text[:77] + "…"


class _Refused(yaml.YAMLError):
    def __init__(self, line: int, found: str, allowed: str) -> None:
        super().__init__(found)
        self.line, self.found, self.allowed = line, found, allowed


class _Loader(yaml.SafeLoader):
    """Composes nodes, refuses aliases and depth."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # the published types leave it out
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _Refused(
                line, "an anchor or alias (& or *)", "every value written out; quote a text that begins so"
            )
        if self.depth >= DEEPEST:
            raise _Refused(line, f"more than {DEEPEST} levels", "the levels of a loop file")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)


def load(path: FilePath, what: str) -> Document:
    """As `read`; a file that cannot be read is a mistake as well, as is one that is not UTF-8."""
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_BYTES + 1)
        return read(content.decode("utf-8-sig"))
    except OSError as error:
        found = Mistake(1, "", f"not a readable file ({error.strerror})", what)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = Mistake(line, "", "bytes that are not UTF-8", "text in UTF-8")
    return Document(mistakes=[found])


def read(text: str) -> Document:
    """Everything that `text` says, with every mistake of form."""
    document = Document()
    if len(text) > LARGEST_BYTES or len(text.encode("utf-8", "replace")) > LARGEST_BYTES:
        document.mistakes.append(
            Mistake(1, "", f"{len(text)} characters", f"up to {LARGEST_BYTES // 1024} KB")
        )
        return document
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
    except yaml.YAMLError as error:
        document.mistakes.append(_syntax(error, text))
        return document
    finally:
        if loader is not None:
            loader.dispose()
    if node is not None:
        document.value = _convert(node, (), document)
    return document


def _syntax(error: yaml.YAMLError, text: str) -> Mistake:
    if isinstance(error, _Refused):
        return Mistake(error.line, "", error.found, error.allowed)
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return Mistake(
            line, "", f"the character U+{ord(text[error.position]):04X}", "printable text in UTF-8"
        )
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "context", None) or "not YAML"
    return Mistake(mark.line + 1 if mark else 1, "", problem, "YAML")


def _convert(node: yaml.Node, path: Path, document: Document) -> Value:
    document.lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, document)
    if isinstance(node, yaml.SequenceNode):
        return tuple(_convert(item, (*path, index), document) for index, item in enumerate(node.value))
    return _scalar(node, path, document)


def _mapping(node: yaml.MappingNode, path: Path, document: Document) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            document.mistakes.append(
                Mistake(line, dotted(path), "a list or mapping as a key", "a word as a key")
            )
            continue
        key = str(key_node.value)
        here = (*path, key)
        if key in values:
            first = document.lines[here]
            document.mistakes.append(
                Mistake(line, dotted(here), f"a repeated key (first on line {first})", "each key once")
            )
            continue
        document.lines[here] = line
        values[key] = _convert(value_node, here, document)
    return values


def _scalar(node: yaml.Node, path: Path, document: Document) -> Value:
    text, kind = str(node.value), str(node.tag).removeprefix("tag:yaml.org,2002:")
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind in ("int", "float") and len(text) <= 40:
        number = int(text) if kind == "int" else float(text)
        if math.isfinite(number):
            return number
    elif kind == "str":
        return text
    line = node.start_mark.line + 1
    document.mistakes.append(
        Mistake(line, dotted(path), show(text), "plain text, a number, true, false or null")
    )
    return text
