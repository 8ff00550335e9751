"""Texts by language: a share of them that changes is found and named, and quiet ones alarm at the stated rate."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy.stats import binom

import drift
from drift import languages
from drift.categories import Counts

ENGLISH = (
    "the parcel came late and the box was broken please send another one to our office today thank you for "
    "your help with the order we are very happy with this product but the colour is not what we expected"
)
GERMAN = (
    "das paket kam zu spät und die schachtel war kaputt bitte senden sie uns heute noch eine andere ins büro "
    "vielen dank für ihre hilfe mit der bestellung wir sind sehr zufrieden aber die farbe ist nicht wie erwartet"
)


def notes(seed: int, rows: int, german: float = 0.01, words: int = 12) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    english, other = ENGLISH.split(), GERMAN.split()
    texts = [" ".join(rng.choice(other if rng.random() < german else english, words)) for _ in range(rows)]
    return pd.DataFrame({"note": texts})


def told(profile: drift.Profile) -> dict[str, int]:
    part = profile.columns["note"].parts["language"]
    assert isinstance(part, Counts)
    return dict(zip(part.keys, part.counts.tolist(), strict=True))


def test_german_that_rises_from_one_text_in_a_hundred_to_one_in_five_is_material() -> None:
    reference = drift.profile(notes(0, 3_000))
    report = drift.compare(reference, notes(1, 1_500, german=0.2))
    effects = {effect.name: effect for effect in report["note"].effects}
    assert report.material and effects["language moved"].material
    assert "'de' is " in effects["language odds"].words
    assert any(t.name.startswith("language") and t.p_value < 1e-6 for t in report["note"].tests)


def test_a_language_is_found_that_no_other_part_of_the_text_shows() -> None:
    """The column's other parts are left out on both sides."""
    sides = [drift.profile(notes(seed, 1_500, german)) for seed, german in ((0, 0.01), (1, 0.2))]
    alone = [
        replace(side, columns={"note": replace(c, parts={"language": c.parts["language"]})})
        for side in sides
        for c in side.columns.values()
    ]
    assert drift.compare(*alone).material
    assert "by language" in drift.compare(*alone).headline


def alarms(rate: float, seeds: range) -> int:
    """Of quiet reports, by language alone: all other parts of the text have calibrations of their own."""
    found = 0
    for seed in seeds:
        sides = [drift.profile(notes(2 * seed + side, (1_200, 500)[side], german=0.1)) for side in (0, 1)]
        alone = [
            replace(side, columns={"note": replace(c, parts={"language": c.parts["language"]})})
            for side in sides
            for c in side.columns.values()
        ]
        found += drift.compare(*alone, drift.Policy(false_alarm_rate=rate)).detected
    return found


def test_quiet_texts_alarm_at_their_rate() -> None:
    """20 reports at 10 %: more than chance explains at one in a thousand is a failure."""
    assert alarms(0.1, range(20)) <= binom.isf(0.001, 20, 0.1)


@pytest.mark.soak
def test_many_quiet_texts_alarm_at_their_rate() -> None:
    found = alarms(0.1, range(1_000, 1_300))
    print(f"languages: {found} of 300 quiet reports alarm at 10 %")
    assert 5 < found <= binom.isf(0.001, 300, 0.1)


def test_a_sample_of_the_texts_is_read_whatever_the_parts_that_they_come_in(tmp_path: Path) -> None:
    whole = notes(2, 4_000, german=0.3)
    kept = drift.profile(whole)
    counted = told(kept)
    assert 900 < sum(counted.values()) < 1_100 and 0.2 < counted["de"] / sum(counted.values()) < 0.4
    table = pa.Table.from_pandas(whole)
    assert told(drift.profile(iter(table.to_batches(max_chunksize=300)))) == counted
    whole.to_parquet(tmp_path / "notes.parquet", row_group_size=700)
    assert told(drift.profile(tmp_path / "notes.parquet")) == counted
    assert told(drift.Profile.from_bytes(kept.to_bytes())) == counted


def test_rows_that_are_not_read_are_no_rows_without_a_language() -> None:
    """Of 6,000 texts a sample is read and of 500 all: a sixth beside all of them is no change."""
    reference = drift.profile(notes(3, 6_000, german=0.3))
    tests = drift.compare(reference, notes(4, 500, german=0.3))["note"].tests
    assert min(test.p_value for test in tests if test.name.startswith("language")) > 0.001


def test_short_texts_and_what_is_no_language_are_unknown() -> None:
    rows = [f"bad {n}" for n in range(300)] + [f"{n} 12-44/{n:05d} 0017 -- 3.14 2.71 {n}" for n in range(300)]
    assert told(drift.profile(pd.DataFrame({"note": rows}))) == {languages.UNKNOWN: 600}


def test_a_profile_of_before_languages_were_told_is_compared_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And where the package is not installed nothing is said of languages."""
    with monkeypatch.context() as without:
        without.setattr(languages, "_identifier", lambda: None)
        before = drift.profile(notes(0, 1_500))
    assert "language" not in before.columns["note"].parts
    report = drift.compare(before, notes(1, 1_500))
    assert not any("language" in effect.name for effect in report["note"].effects)
    merged = drift.merge([before, drift.profile(notes(2, 500))])
    assert "language" not in merged.columns["note"].parts and merged.rows == 2_000


def test_numbers_and_categories_load_no_languages() -> None:
    program = (
        "import sys, drift, pandas as pd\n"
        "drift.profile(pd.DataFrame({'x': range(99), 'c': list('abc') * 33}))\n"
        "print('py3langid' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
