"""Broken is told from drifted: each difference of schema has its finding."""

import numpy as np
import pandas as pd

import drift


def frame(rows: int = 200) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "mass": rng.normal(4, 1, rows),
            "island": rng.choice(["Dream", "Biscoe"], rows),
            "eggs": rng.integers(0, 4, rows).astype(float),
        }
    )


def codes(current: pd.DataFrame) -> dict[str, tuple[str, bool]]:
    reference = drift.profile(frame())
    found = drift.check_schema(reference, drift.profile(current, grid=reference))
    return {f.column: (f.code, f.breaking) for f in found}


def test_the_same_schema_has_no_finding() -> None:
    assert codes(frame()) == {}


def test_each_difference_is_told() -> None:
    good = frame()
    assert codes(good.drop(columns="eggs")) == {"eggs": ("dropped", True)}
    assert codes(good.assign(nest=[[1]] * len(good))) == {"nest": ("added", False)}
    assert codes(good.rename(columns={"mass": "body_mass"})) == {"mass": ("renamed", True)}
    assert codes(good.assign(mass=good["mass"].round().astype(int).map("about {}".format))) == {
        "mass": ("retyped", True)
    }
    assert codes(good[["island", "mass", "eggs"]]) == {"mass": ("reordered", False)}
    assert codes(good.assign(mass=np.nan)) == {"mass": ("emptied", True)}
    assert codes(good.assign(mass=4.0)) == {"mass": ("constant", False)}
    assert codes(good.assign(mass=good["mass"].where(good.index > 3, np.inf))) == {
        "mass": ("infinite", False)
    }


def test_what_a_small_sample_shows_by_chance_is_no_finding() -> None:
    """A flag of 1 % is one value in 50 rows more often than not; a column that is mostly null may be so wholly."""
    rng = np.random.default_rng(1)
    rare = pd.DataFrame(
        {"flag": rng.random(5_000) < 0.01, "gaps": np.where(rng.random(5_000) < 0.99, np.nan, 1.0)}
    )
    reference = drift.profile(rare)
    current = pd.DataFrame({"flag": np.zeros(50, bool), "gaps": np.full(50, np.nan)})
    assert drift.check_schema(reference, drift.profile(current, grid=reference)) == ()
    many = pd.DataFrame({"flag": np.zeros(5_000, bool), "gaps": np.full(5_000, np.nan)})
    found = drift.check_schema(reference, drift.profile(many, grid=reference))
    assert {f.code for f in found} == {drift.Code.CONSTANT, drift.Code.EMPTIED}


def test_no_reference_is_breaking() -> None:
    found = drift.check_schema(drift.profile(frame().iloc[:0]), drift.profile(frame()))
    assert [(f.code, f.breaking) for f in found] == [(drift.Code.NO_ROWS, True)]


def test_no_rows_is_breaking() -> None:
    assert codes(frame().iloc[:0])[""] == ("no_rows", True)
