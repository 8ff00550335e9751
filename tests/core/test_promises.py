"""Every promise names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "promises.md").read_text()


def test_every_promise_has_its_line() -> None:
    assert re.findall(r"^\| (P\d+) \|", PAGE, re.MULTILINE) == [f"P{n}" for n in range(1, 15)]


def test_every_test_that_the_promises_name_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)
    assert len(named) > 25
    missing = [
        f"{file}::{test}"
        for file, test in named
        if not (ROOT / file).exists() or (test and f"def {test}(" not in (ROOT / file).read_text())
    ]
    assert missing == []


def test_what_operations_says_one_sees_is_what_the_code_says() -> None:
    """Each message of the chapter is in the sources, word for word up to what is filled in."""
    chapter = (ROOT / "docs" / "operations.md").read_text().split("## What to do when")[1]
    rows = re.findall(r"^\| (`.+?`) \| ", chapter, re.MULTILINE)
    messages = [part.strip("`") for row in rows for part in re.split(r"(?<=`), (?=`)", row)]
    sources = "\n".join(path.read_text() for path in sorted((ROOT / "shared").rglob("*.py")))
    joined = re.sub(r'"\s*\n?\s*f?"', "", sources)
    assert len(messages) > 35
    assert [message for message in messages if message not in joined] == []
