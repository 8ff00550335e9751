"""What a person sees, why it happens, what to do: docs/operations.md, carried along for the pages and the terminal.

The chapter is written once, in Markdown. `python -m shared.guide` gives each of its rows an anchor and writes
guide.json; a test fails when that was forgotten.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

DOCUMENT = "docs/operations.md"
CHAPTER = "## What to do when\n"
_FILE = Path(__file__).parent / "guide.json"
_ROW = re.compile(r"^\| (?:<a id=\"[^\"]*\"></a>)*(`.+?`) \| (.+?) \| (.+?) \|$", re.MULTILINE)
_HEAD = "| one sees | why | what to do |"


@dataclass(frozen=True)
class Answer:
    """One thing that a person may see."""

    anchor: str
    sees: tuple[str, ...]
    """Parts of messages, or kinds of events, word for word."""
    why: str
    do: str


@dataclass(frozen=True)
class Part:
    """What belongs together."""

    title: str
    anchor: str
    words: str
    answers: tuple[Answer, ...]


def slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-")


@cache
def parts() -> tuple[Part, ...]:
    """The chapter."""
    return tuple(
        Part(p["title"], p["anchor"], p["words"], tuple(_answer(a) for a in p["answers"]))
        for p in json.loads(_FILE.read_text(encoding="utf-8"))
    )


def _answer(found: dict[str, str | list[str]]) -> Answer:
    return Answer(str(found["anchor"]), tuple(found["sees"]), str(found["why"]), str(found["do"]))


def find(*texts: str) -> Answer | None:
    """The row that tells most exactly of the first of these texts that any row tells of."""
    for text in texts:
        told = [
            (len(seen), answer)
            for part in parts()
            for answer in part.answers
            for seen in answer.sees
            if seen in text
        ]
        if told:
            return max(told, key=lambda one: one[0])[1]
    return None


def anchor(*texts: str) -> str:
    """Where the chapter tells of this; empty where it does not."""
    found = find(*texts)
    return found.anchor if found else ""


def parse(document: str) -> tuple[Part, ...]:
    """The chapter as it stands in the document."""
    found = []
    for text in document.split(CHAPTER)[1].split("\n### ")[1:]:
        title, _, body = text.partition("\n")
        words = body.partition(_HEAD)[0].strip()
        found.append(Part(title, slug(title), " ".join(words.split()), tuple(map(_row, _ROW.findall(body)))))
    return tuple(found)


def _row(cells: tuple[str, str, str]) -> Answer:
    sees = tuple(part.strip("`") for part in re.split(r"(?<=`), (?=`)", cells[0]))
    return Answer(slug(sees[0]), sees, cells[1], cells[2])


def anchored(document: str) -> str:
    """The document with an anchor at each row of the chapter."""
    before, chapter = document.split(CHAPTER)

    def row(match: re.Match[str]) -> str:
        return f'| <a id="{_row((match[1], "", "")).anchor}"></a>{match[1]} | {match[2]} | {match[3]} |'

    return before + CHAPTER + _ROW.sub(row, chapter)


def stored(document: str) -> str:
    """The document's chapter as guide.json has it."""
    return json.dumps([asdict(part) for part in parse(document)], ensure_ascii=False, indent=1) + "\n"


def main() -> None:
    document = Path(__file__).parents[1] / DOCUMENT
    text = anchored(document.read_text(encoding="utf-8"))
    document.write_text(text, encoding="utf-8")
    _FILE.write_text(stored(text), encoding="utf-8")


if __name__ == "__main__":
    main()
