"""Real data: random splits are quiet; a split by age or country names the right columns first."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import drift
from shared.reader import profile_files

SHARED = Path(os.environ.get("DRIFTLOOP_DATA", Path(__file__).parents[3] / "shared" / "data"))
CENSUS = SHARED / "adult_census_income.csv"

pytestmark = pytest.mark.skipif(
    not CENSUS.exists(), reason=f"census data not found at {CENSUS}; set DRIFTLOOP_DATA to its folder"
)


@pytest.fixture(scope="module")
def census() -> pd.DataFrame:
    return pd.read_csv(CENSUS, skipinitialspace=True)


def test_random_splits_are_quiet(census: pd.DataFrame) -> None:
    """Twelve splits at a rate of 1 %: two alarms or more happen once in 150 times."""
    alarms = 0
    for seed in range(12):
        half = np.random.default_rng(seed).random(len(census)) < 0.5
        alarms += drift.compare(census[half], census[~half]).detected
    assert alarms <= 1


def test_a_split_by_age_names_age_first(census: pd.DataFrame) -> None:
    old = census["age"] > 40
    report = drift.compare(census[~old], census[old])
    named = [c.name for c in report.columns if c.material]
    assert named[0] == "age"
    assert {"marital-status", "relationship", "income"} <= set(named)
    assert "native-country" not in named


def test_a_split_by_country_names_the_country_first(census: pd.DataFrame) -> None:
    home = census["native-country"] == "United-States"
    report = drift.compare(census[home], census[~home])
    named = [c.name for c in report.columns if c.material]
    assert named[0] == "native-country"
    assert "race" in named
    assert "sex" not in named


def test_the_file_itself_is_profiled(census: pd.DataFrame) -> None:
    profile = profile_files.profile(CENSUS).profile
    assert profile.rows == len(census)
    assert profile.columns["age"].grid is not None
    assert profile.columns["age"].grid.mean() == pytest.approx(census["age"].mean())
    assert not drift.compare(profile, profile_files.profile(CENSUS, grid=profile).profile).detected
