"""What reports say, whole: every number and every word of some comparisons, as `whole_reports.json` has them.

Other tests hold single statements to their sources; this one shows what a change of `drift/` changes. After one that is
meant: python -m tests.drift.test_whole_reports
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import drift
from drift import ColumnPolicy, Policy, Profile
from tests.kept_whole import differences, read, said, write

PAGE = Path(__file__).with_name("whole_reports.json")


def changed(seed: int, rows: int, *, later: bool) -> pd.DataFrame:
    """A column of each kind, each with a change of its own."""
    rng = np.random.default_rng(seed)
    by = 1.0 if later else 0.0
    usual = rng.random(rows)
    words = ["red kite", "blue tit", "grey heron", "tawny owl", "little egret"]
    first = rng.normal(size=rows)
    hours = pd.to_datetime("2024-01-01") + pd.to_timedelta(rng.integers(0, 24 * 60, rows) * (2 - later), "h")
    return pd.DataFrame(
        {
            "moved": rng.normal(0.4 * by, 1, rows),
            "wider": rng.normal(0, 1 + 0.5 * by, rows),
            "beyond": rng.uniform(0, 1 + 0.05 * by, rows),
            "seldom": np.where(usual < 0.97 - 0.04 * by, 0.0, rng.lognormal(size=rows)),
            "fewer": np.where(rng.random(rows) < 0.1 + 0.1 * by, np.nan, rng.normal(size=rows)),
            "still": rng.gamma(2, 1, rows),
            "light": rng.normal(0.3 * by, 1, rows),
            "first": first,
            "second": (0.8 - 0.5 * by) * first + rng.normal(size=rows),
            "count": rng.poisson(3 + by, rows),
            "flag": rng.random(rows) < 0.3 + 0.2 * by,
            "shop": rng.choice(list("abcde"), rows, p=[0.4 - 0.2 * by, 0.3, 0.2, 0.05 + 0.2 * by, 0.05]),
            "grade": rng.choice([*"xyz", "new" if later else "z"], rows, p=[0.5, 0.3, 0.15, 0.05]),
            "note": [" ".join(rng.choice(words[: 3 + 2 * int(by)], 9)) for _ in range(rows)],
            "at": hours,
            "constant": 7.0,
        }
    )


def segmented(seed: int, *, later: bool) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    sizes = {"n": 200, "e": 200, "s": 200, "w": 200, "c": 200, "late" if later else "early": 8, "few": 12}
    names = np.repeat(list(sizes), list(sizes.values()))
    moved = later * (0.5 * np.isin(names, ["n", "e"]) - 0.5 * np.isin(names, ["s", "w"]))  # in all not at all
    return pd.DataFrame({"region": names, "a": rng.normal(moved, 1), "b": rng.normal(size=len(names))})


def ordered(seed: int, rows: int, *, later: bool) -> pd.DataFrame:
    """What stands beside the tests: ids, copies, neighbours that are alike, keys again and again, what is missing."""
    rng = np.random.default_rng(seed)
    walk = np.cumsum(rng.normal(size=rows))
    table = pd.DataFrame(
        {
            "row": np.arange(rows) + 10**6,
            "id": rng.permutation(rows),
            "walk": walk,
            "sorted": np.sort(rng.normal(size=rows)),
            "customer_id": [f"c{n}" for n in rng.integers(0, rows // 4, rows)],
            "typed": rng.normal(size=rows).astype(str) if later else rng.normal(size=rows),
            "empty": None,
            "filled": rng.normal(size=rows) if later else None,
            "lost" if not later else "found": rng.normal(size=rows),
            "label": rng.choice(["yes", "no"], rows),
        }
    )
    table = table.drop(columns="label") if later else table
    return pd.concat([table, table.iloc[: rows // 10]], ignore_index=True)


def small(seed: int, rows: int, *, later: bool) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    vector = rng.normal(0.5 if later else 0, 1, (rows, 3))
    return pd.DataFrame(
        {
            "x": np.round(rng.normal(1.2 if later else 0, 1, rows), 1),
            "usual": np.where(np.arange(rows) < (rows - 4 if later else rows), 5, 6),
            "word": rng.choice(["p", "q", "r"] if later else ["p", "q"], rows),
            "nothing": [None if n % (2 if later else 9) == 0 else "w" for n in range(rows)],
            "at": pd.to_datetime("2024-03-01")
            + pd.to_timedelta(rng.integers(0, 99, rows) * (1 + later), "h"),
            "tested": rng.exponential(1 + later, rows),
            "weighed": rng.normal(0.6 if later else 0, 1, rows),
            **{f"v{n}": vector[:, n] for n in range(3)},
        }
    )


def edges(seed: int, rows: int, *, later: bool) -> pd.DataFrame:
    """Where one word of the code decides: a column's own range, a weight of none, a part without values."""
    rng = np.random.default_rng(seed)
    by = float(later)
    empty = rng.random(rows) < (0.5 if later else 0.02)
    kind = rng.choice(list("abc"), rows, p=[0.5 - 0.16 * by, 0.3, 0.2 + 0.16 * by])
    days = pd.Series(pd.to_datetime("2024-03-01") + pd.to_timedelta(rng.integers(0, 99, rows), "h"))
    return pd.DataFrame(
        {
            "ranged": rng.uniform(0, 1 + 0.07 * by, rows),
            "ranged as ever": rng.uniform(0, 1 + 0.07 * by, rows),
            "weighs nothing": rng.normal(50 * by, 1, rows),
            "constant": 7.0 + by,
            "located": rng.normal(0.6 * by, 1, rows),
            "spread": rng.normal(0, 1 + 0.7 * by, rows),
            "low": np.where(rng.random(rows) < 0.3 - 0.1 * by, 0.0, rng.lognormal(size=rows)),
            "kind": np.where(empty, None, kind),
            "days": days.where(np.arange(rows) % (40 if later else 133) != 0),
            "hours": days.where(rng.random(rows) > 0.3 + 0.2 * by),
            "shape": rng.choice([-1.2, 1.2], rows) + rng.normal(0, 0.1, rows)
            if later
            else rng.normal(size=rows),
            "lost": np.nan if later else rng.normal(size=rows),
        }
    )


def without_values(seed: int, *, later: bool) -> pd.DataFrame:
    """Segments of which one has lost all values of its columns, and one has moved."""
    rng = np.random.default_rng(seed)
    names = np.repeat(["full", "lost", "moved"], 300)
    gone = later & (names == "lost")
    return pd.DataFrame(
        {
            "part": names,
            "x": np.where(gone, np.nan, rng.normal(0.5 * (names == "moved") * later, 1)),
            "usual": np.where(gone, np.nan, np.where(rng.random(900) < 0.02, 6.0, 5.0)),
            "word": np.where(gone, None, rng.choice(["p", "q"], 900)),
            "seldom": np.where(gone, None, np.where(rng.random(900) < 0.02, "r", "s")),
        }
    )


def together(seed: int, *, later: bool) -> pd.DataFrame:
    """Two columns that are seldom other than 0: in rows of their own, and later in the same ones."""
    rng = np.random.default_rng(seed)
    table = np.zeros((600, 2))
    table[:4, 0] = 3 + rng.normal(size=4)
    table[0 if later else 10 :, 1][:4] = 3 + rng.normal(size=4)
    return pd.DataFrame(rng.permutation(table), columns=["a", "b"])


def profiles(reference: pd.DataFrame, current: pd.DataFrame, **chosen: Any) -> tuple[Profile, Profile]:
    first = drift.profile(reference, **chosen)
    return first, drift.profile(current, grid=first)


def reports() -> dict[str, Callable[[], drift.Report]]:
    policy = Policy(
        columns={
            "still": ColumnPolicy(tolerance=0.5),
            "shop": ColumnPolicy(tolerance=0.5),
            "fewer": ColumnPolicy(nulls=0.3),
            "grade": ColumnPolicy(ratio=5.0, tests=("category",)),
        },
        importance={"moved": 2.0, "light": 0.5, "grade": 0.5, "wider": 0.0},
    )
    own = Policy(
        false_alarm_rate=0.05,
        columns={
            "tested": ColumnPolicy(tests=("location", "nulls")),
            "word": ColumnPolicy(tests=("chi_square",)),
            "weighed": ColumnPolicy(tolerance=2.0),
        },
        vectors={"embedding": ("v0", "v1", "v2")},
    )
    few, many = small(7, 40, later=False), small(8, 30, later=True)
    return {
        "changes": lambda: drift.compare(
            *profiles(changed(1, 3_000, later=False), changed(2, 2_000, later=True)), policy=policy
        ),
        "nothing": lambda: drift.compare(
            *profiles(changed(1, 1_500, later=False), changed(3, 1_500, later=False)), policy=policy
        ),
        "segments": lambda: drift.compare(
            *profiles(segmented(4, later=False), segmented(5, later=True), by="region"),
        ),
        "findings": lambda: drift.compare(
            *profiles(ordered(5, 600, later=False), ordered(6, 500, later=True), target="label")
        ),
        "edges": lambda: drift.compare(
            *profiles(edges(9, 800, later=False), edges(10, 700, later=True)),
            policy=Policy(
                columns={
                    "ranged": ColumnPolicy(range=0.2),
                    "located": ColumnPolicy(tests=("location",)),
                },
                importance={"weighs nothing": 0.0, "ranged": 1.0},
            ),
        ),
        "segments without values": lambda: drift.compare(
            *profiles(without_values(11, later=False), without_values(12, later=True), by="part")
        ),
        "segments within tolerance": lambda: drift.compare(
            *profiles(segmented(4, later=False), segmented(5, later=True), by="region"),
            policy=Policy(material_numeric=2.0),
        ),
        "rare values that come together": lambda: drift.compare(
            *profiles(together(1, later=False), together(2, later=True))
        ),
        "few rows": lambda: drift.compare(*profiles(few, many), policy=own),
        "frames": lambda: drift.compare(few[["x", "word"]], many[["x", "word"]], ignore=("word",)),
        "no column of both": lambda: drift.compare(few[["x"]], many[["word"]]),
        "no row before": lambda: drift.compare(few.iloc[:0], many),
        "no row now": lambda: drift.compare(few, many.iloc[:0]),
        "one thing broken": lambda: drift.compare(few[["x", "word"]], many[["x"]]),
        "segments of 30 rows": lambda: drift.compare(
            *profiles(few.assign(s=["p"] * 30 + ["q"] * 10), many.assign(s="p"), by="s")
        ),
        "too few": lambda: drift.compare(
            *profiles(few.iloc[:5], many.iloc[:4]), policy=Policy(ignore=("x",))
        ),
    }


REPORTS = reports()
KEPT = read(PAGE)


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_says_what_it_said(name: str) -> None:
    assert differences(said(REPORTS[name]().to_dict()), KEPT[name]) == []


def test_a_stored_profile_is_compared_as_the_table_it_was_made_of(tmp_path: Path) -> None:
    few, many = small(7, 40, later=False), small(8, 30, later=True)
    kept = tmp_path / "reference.profile"
    kept.write_bytes(drift.profile(few).to_bytes())
    (tmp_path / "current.profile").write_bytes(drift.profile(many, grid=drift.profile(few)).to_bytes())
    whole = drift.compare(few, many)
    assert drift.compare(kept, many) == whole
    assert drift.compare(str(kept), tmp_path / "current.profile") == whole
    assert drift.compare(few, many, Policy(ignore=("x",)), ignore=["word"]) == drift.compare(
        few.drop(columns=["x", "word"]), many.drop(columns=["x", "word"])
    )


def test_tables_are_compared_on_the_grid_of_the_first() -> None:
    tables = changed(1, 3_000, later=False), changed(2, 2_000, later=True)
    assert drift.compare(*tables) == drift.compare(*profiles(*tables))


@pytest.mark.parametrize("split", [0, 1])
def test_segments_of_one_side_alone_are_not_compared(split: int) -> None:
    sides = [
        drift.profile(segmented(4, later=False), by="region" if side == split else None) for side in (0, 1)
    ]
    report = drift.compare(*sides)
    assert report.segments == {} and report.notes == () and not report.detected


def test_each_column_with_a_change_is_found_and_no_other() -> None:
    """So that what is kept is worth keeping."""
    found = {one["name"]: one for one in KEPT["changes"]["columns"]}
    assert {name for name, one in found.items() if not one["detected"]} == {"still", "constant", "first"}
    assert not found["wider"]["material"], "it weighs nothing"
    assert not KEPT["nothing"]["detected"]
    assert KEPT["segments"]["material"] and KEPT["segments"]["small"] == ["region=few"]
    assert "and 1 more segments" in KEPT["segments"]["headline"]
    edge = {one["name"]: one for one in KEPT["edges"]["columns"]}
    assert all(edge[name]["detected"] for name in edge.keys() - {"days", "dependence between columns"})
    assert not edge["ranged"]["material"] and edge["ranged as ever"]["material"]
    assert not edge["weighs nothing"]["material"] and edge["weighs nothing"]["effect"]["value"] > 40
    (joint,) = (one for one in KEPT["rare values that come together"]["columns"] if one["detected"])
    assert joint["effect"]["name"] == "joint" and not joint["material"]
    within = KEPT["segments within tolerance"]
    assert within["detected"] and not within["material"] and "segments" in within["headline"]


if __name__ == "__main__":
    write(PAGE, {name: report().to_dict() for name, report in REPORTS.items()})
