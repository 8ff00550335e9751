"""Forty rules on nineteen columns, and a file that keeps most of them. Needs numpy, pandas and pyarrow alone."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

NUMBERS = [f"n{n}" for n in range(8)]
WORDS = [f"c{n}" for n in range(5)]
TEXTS = {"code": r"[A-Z]{2}[0-9]{4}", "mail": r"[a-z]+[0-9]*@[a-z]+\.example", "zip": r"[0-9]{5}"}
LENGTHS = {"code": (6, 6), "mail": (9, 30), "zip": (5, 5)}
COLOURS = ["amber", "blue", "coral", "denim", "ecru"]
LIMIT = 4.5


def rules() -> list[dict[str, Any]]:
    """In Driftloop's short form; the peers' schemas are made from these."""
    found: list[dict[str, Any]] = [{"column": n, "at_least": -LIMIT, "at_most": LIMIT} for n in NUMBERS]
    found += [{"column": n, "nulls_at_most": 0} for n in (*NUMBERS, "lo", "hi")]
    found += [{"column": n, "values": COLOURS} for n in WORDS]
    found += [{"column": n, "nulls_at_most": 0} for n in (*WORDS, *TEXTS)]
    found += [{"column": n, "pattern": pattern} for n, pattern in TEXTS.items()]
    found += [{"column": n, "min_length": low, "max_length": high} for n, (low, high) in LENGTHS.items()]
    found += [{"unique": ["id"]}, {"column": "lo", "at_most": {"column": "hi"}}, {"rows_at_least": 1000}]
    return [{**rule, "on_breach": "report"} for rule in found]


def write(path: Path, rows: int) -> None:
    """Values outside the range in each number, nulls in n7, an unknown colour in c4, a code that is none, one twin."""
    rng = np.random.default_rng(22)
    frame = pd.DataFrame({"id": np.arange(rows), **{n: rng.normal(size=rows) for n in NUMBERS}})
    frame["lo"] = rng.normal(size=rows)
    frame["hi"] = frame.lo + rng.exponential(size=rows) - 1e-5
    for name in WORDS:
        frame[name] = rng.choice(COLOURS, rows)
    numbers = pd.Series(rng.integers(0, 10_000, rows)).astype(str).str.zfill(4)
    frame["code"] = rng.choice(["AB", "CD", "EF"], rows) + numbers
    frame["mail"] = "someone" + pd.Series(rng.integers(0, rows, rows)).astype(str) + "@host.example"
    frame["zip"] = pd.Series(rng.integers(10_000, 99_999, rows)).astype(str)
    frame.loc[rng.choice(rows, 50, replace=False), "n7"] = np.nan
    frame.loc[rng.choice(rows, 50, replace=False), "c4"] = "mauve"
    frame.loc[rng.choice(rows, 50, replace=False), "code"] = "none!!"
    frame.loc[rows - 1, "id"] = 0
    frame.to_parquet(path, index=False, row_group_size=100_000)


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]))
