"""docs/features.md from tests/features.yaml: what is kept, by which test, and how one sees it.

`python -m tests.features` writes it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
DATA = Path(__file__).with_name("features.yaml")
DOCUMENT = ROOT / "docs" / "features.md"
KEPT = ("yes", "in part", "no")
COMPARED = 38
"""Rows up to this one are those by which systems were compared; the ones behind are what others have beside."""

_HEAD = """# Features, row by row

Made by `python -m tests.features`; a test keeps it as the code is, and looks for each test that is named here.

Each row is something that systems for machine learning in production promise. *Kept* says whether Driftloop keeps it;
what is not a plain yes says what is missing. *Guard* names the guard whose removal must make a test fail, as
[`tests/simulator/test_sabotage.py`](../tests/simulator/test_sabotage.py) sees to.
"""
_SECOND = """
## What others have beside

"""
_COLUMNS = "| row | promise | kept | what you see | tests | guard |\n|---|---|---|---|---|---|\n"


@dataclass(frozen=True)
class Feature:
    """One row; `tests` as path::name."""

    row: int
    promise: str
    kept: str
    seen: str
    tests: tuple[str, ...] = ()
    guard: str = ""
    missing: str = ""

    def __post_init__(self) -> None:
        if self.kept not in KEPT or bool(self.missing) == (self.kept == "yes"):
            raise ValueError(
                f"row {self.row}: kept is one of {KEPT}, and `missing` says what a plain yes does not lack"
            )
        if not self.promise or not self.seen or bool(self.tests) == (self.kept == "no"):
            raise ValueError(f"row {self.row}: promise, what one sees, and a test of whatever is kept")

    @property
    def line(self) -> str:
        kept = f"**{self.kept}**: {self.missing}" if self.missing else self.kept
        tests = ", ".join(f"`{test}`" for test in self.tests)
        return f"| {self.row} | {self.promise} | {kept} | {self.seen} | {tests} | {self.guard} |\n"


def features() -> list[Feature]:
    found = yaml.safe_load(DATA.read_text(encoding="utf-8"))
    return [Feature(**{**row, "kept": _kept(row["kept"]), "tests": tuple(row["tests"])}) for row in found]


def _kept(value: object) -> str:
    """YAML reads a plain yes as a truth."""
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def document() -> str:
    rows = features()
    first = [one for one in rows if one.row <= COMPARED]
    counts = Counter(one.kept for one in first)
    told = f"\nOf these {COMPARED} rows {counts['yes']} are kept, {counts['in part']} in part, {counts['no']} not.\n\n"
    parts = [_HEAD, told, _COLUMNS, *(one.line for one in first), _SECOND, _COLUMNS]
    return "".join([*parts, *(one.line for one in rows if one.row > COMPARED)])


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
