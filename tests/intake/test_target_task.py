"""What a target's values say: classes or a number."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from shared.intake import DropFile, ReadSpec, read_drop

ROWS = 600
DRAW = random.Random(11)

TARGETS: dict[str, tuple[list[object], str]] = {
    "prices": ([DRAW.randrange(300, 19_000) for _ in range(ROWS)], "regression"),
    "prices that repeat": ([DRAW.randrange(30) * 100 for _ in range(ROWS)], "regression"),
    "years": ([1922 + DRAW.randrange(80) for _ in range(ROWS)], "regression"),
    "negative": ([DRAW.randrange(-400, 400) for _ in range(ROWS)], "regression"),
    "fractions": ([DRAW.randrange(8) / 4 for _ in range(ROWS)], "regression"),
    "whole floats": ([f"{DRAW.randrange(9000)}.0" for _ in range(ROWS)], "regression"),
    "classes": ([DRAW.randrange(3) for _ in range(ROWS)], "classification"),
    "classes as floats": ([f"{DRAW.randrange(3)}.0" for _ in range(ROWS)], "classification"),
    "classes with gaps": ([DRAW.choice([1, 5, 70]) for _ in range(ROWS)], "classification"),
    "classes, some missing": (
        [DRAW.choice(["0.0", "1.0", "2.0", ""]) for _ in range(ROWS)],
        "classification",
    ),
    "twenty classes": ([n % 20 for n in range(ROWS)], "classification"),
    "twenty-one values": ([n % 21 for n in range(ROWS)], "regression"),
    "yes and no": ([DRAW.choice(["true", "false"]) for _ in range(ROWS)], "classification"),
    "text": ([DRAW.choice(["red", "blue"]) for _ in range(ROWS)], "classification"),
    "few rows, each another": (list(range(7, 23)), "regression"),
    "few rows, three classes": ([1, 2, 3, 1, 2, 3], "classification"),
    "no target yet": ([""] * ROWS, ""),
}


@pytest.mark.parametrize("name", TARGETS)
def test_the_task_follows_from_the_targets_values(name: str, tmp_path: Path) -> None:
    values, task = TARGETS[name]
    path = tmp_path / "drop.csv"
    path.write_text("x,y\n" + "".join(f"{n * 0.5},{value}\n" for n, value in enumerate(values)))
    drop = DropFile(path=path, name="drop.csv", size=path.stat().st_size)
    assert read_drop([drop], ReadSpec(target="y"), tmp_path / "out").task == task
