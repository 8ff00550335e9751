"""What a code means, why one sees it and what to do: a chapter of docs/operations.md, which goes where the app goes.

The chapter is written once, in Markdown: the pages show it, and the pages and the terminal link into it by code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from shared.domain.reason import Reason

DOCUMENT = "docs/operations.md"
CHAPTER = "## What to do when\n"
HEAD = "| code | why | what to do |"
_ROW = re.compile(r"^\| ((?:<a id=\"[^\"]+\"></a>`[^`]+` ?)+)(.*?)\| (.+?) \| (.+?) \|$", re.MULTILINE)


@dataclass(frozen=True)
class Answer:
    """One row: codes of reasons, or kinds of ledger entries."""

    codes: tuple[str, ...]
    sees: str
    """What one sees, in words, where the code does not say it."""
    why: str
    do: str

    @property
    def anchor(self) -> str:
        return self.codes[0]


@dataclass(frozen=True)
class Part:
    """What belongs together."""

    title: str
    anchor: str
    words: str
    answers: tuple[Answer, ...]


@cache
def parts() -> tuple[Part, ...]:
    """The chapter."""
    file = Path(__file__).parents[1] / DOCUMENT
    return parse(file.read_text(encoding="utf-8")) if file.exists() else ()  # a wheel has no documents


@cache
def _rows() -> dict[str, Answer]:
    return {code: answer for part in parts() for answer in part.answers for code in answer.codes}


def find(*said: Reason | str | None) -> Answer | None:
    """The row of the first of these that has one; of a reason what it rests on comes first, for that is more exact."""
    for one in said:
        exact = find(*one.because) if isinstance(one, Reason) else None
        code = one.code.value if isinstance(one, Reason) else one
        if found := exact or _rows().get(code or ""):
            return found
    return None


def anchor(*said: Reason | str | None) -> str:
    """Where the chapter has this; empty where it does not."""
    found = find(*said)
    return found.anchor if found else ""


def parse(document: str) -> tuple[Part, ...]:
    """The chapter as it stands in the document."""
    found = []
    for text in document.split(CHAPTER)[1].split("\n### ")[1:]:
        title, _, body = text.partition("\n")
        words = " ".join(body.partition(HEAD)[0].split())
        slug = re.sub(r"[^a-z0-9]+", "-", title.casefold()).strip("-")
        found.append(Part(title, slug, words, tuple(map(_answer, _ROW.findall(body)))))
    return tuple(found)


def _answer(cells: tuple[str, str, str, str]) -> Answer:
    return Answer(tuple(re.findall(r"`([^`]+)`", cells[0])), cells[1].strip(), *cells[2:])
