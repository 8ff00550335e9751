"""Every rejection, denial, conflict and stuck state of a loop has its row in docs/operations.md, or a listed code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from shared.intake.rejections import REMEDIES

ROOT = Path(__file__).parents[2]
REFUSALS = frozenset(
    {"ConfigurationError", "Conflict", "InvariantBroken", "DependencyUnavailable", "OutcomeUnknown"}
    | {"Unreadable", "InputRejected", "DriftloopError", "Deny", "Coalesce", "_refuse"}
    | {"close", "_unrouted", "_ignored"}
)
"""What is called with words that a person may come to see on a loop."""

TOLD_AT_ONCE = {
    "release/adoption.py": "to who types `driftloop adopt`, with what to do",
    "runtime/publication.py": "to who types `driftloop publish`, with what to do",
    "azure/registry.py": "to who types `driftloop publish`, with what to do",
    "state/queries.py": "to who types `driftloop status`, with what to do",
    "intake/rejections.py": "each has its own row, by its code",
    "azure/client.py": "to who starts the app or a command: a setting",
}
"""Modules whose refusals reach nobody but the person at the terminal."""


@cache
def messages() -> tuple[tuple[str, str, str], ...]:
    """File, code where there is one, and the words with {} for what is filled in, of each refusal in the sources."""
    rooms = ("inbox", "verdict", "retraining", "release", "runtime", "state", "azure")
    files = [path for room in rooms for path in (ROOT / "shared" / room).rglob("*.py")]
    files += [*(ROOT / "shared" / "intake").glob("*.py"), ROOT / "shared" / "loopfile" / "published.py"]
    found = []
    for path in sorted(files):
        name = path.relative_to(ROOT / "shared").as_posix()
        if name not in TOLD_AT_ONCE:
            functions = (n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.FunctionDef))
            found += [(name, *refusal) for function in functions for refusal in _refusals(function)]
    return tuple(found)


def _refusals(function: ast.FunctionDef) -> Iterator[tuple[str, str]]:
    named: dict[str, str] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            named[node.targets[0].id] = _text(node.value, named)
    for node in ast.walk(function):
        if (
            isinstance(node, ast.Call)
            and getattr(node.func, "id", getattr(node.func, "attr", "")) in REFUSALS
        ):
            texts = [_text(argument, named) for argument in node.args]
            words = max((text for text in texts if " " in text), key=len, default="")
            if words:
                yield next((text for text in texts if re.fullmatch(r"[a-z]+(-[a-z]+)*", text)), ""), words


def _text(node: ast.AST, named: dict[str, str]) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_text(part, named) for part in parts)
        case ast.FormattedValue(value=ast.Name(id=name)) | ast.Name(id=name):
            return named.get(name, "{}")
        case _:
            return "{}"


def rows() -> list[str]:
    chapter = (ROOT / "docs" / "operations.md").read_text().split("\n## What to do when\n")[1]
    seen = re.findall(r"^\| (?:<a [^>]*></a>)?(`.+?`) \| ", chapter, re.MULTILINE)
    return [part.strip("`") for row in seen for part in re.split(r"(?<=`), (?=`)", row)]


@pytest.mark.parametrize("file", sorted({file for file, _, _ in messages()}))
def test_what_a_loop_may_say_no_with_is_in_operations(file: str) -> None:
    known = rows()
    missing = [
        words
        for where, code, words in messages()
        if where == file and code not in REMEDIES and not any(row in words for row in known)
    ]
    assert missing == [], f"write a row of docs/operations.md for each of these messages of shared/{file}"


def test_there_is_something_to_look_at() -> None:
    found = messages()
    assert len({words for _, _, words in found}) > 80
    assert {"inbox/requests.py", "retraining/policy.py", "azure/serving.py"} <= {file for file, _, _ in found}
