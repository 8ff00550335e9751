"""The vocabulary of a text column is compared by one word a row, which no profile keeps as it was written."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import binom

import drift
from drift.column import one_word

VOCABULARY = np.array([f"word{n:03}" for n in range(400)])
SHARES = 1 / np.arange(1, 401)
SHARES /= SHARES.sum()


def text(rng: np.random.Generator, rows: int, shift: int = 0, words: int = 6) -> list[str]:
    drawn = VOCABULARY[rng.choice(400, (rows, words), p=np.roll(SHARES, shift))]
    return [
        f"{' '.join(row)}, {number}." for row, number in zip(drawn, rng.integers(100, 999, rows), strict=True)
    ]


def compared(first: list[str], second: list[str], rate: float = 0.01) -> drift.Report:
    policy, kinds = drift.Policy(false_alarm_rate=rate), {"note": "text"}
    tables = [pa.table({"note": pa.array(part, pa.string())}) for part in (first, second)]
    reference = drift.profile(tables[0], columns=kinds)
    return drift.compare(reference, drift.profile(tables[1], grid=reference), policy)


def test_texts_of_one_vocabulary_alarm_at_their_rate() -> None:
    """Rows repeat their words, as people do."""
    rng, found = np.random.default_rng(1), 0
    for _ in range(40):
        sides = [[f"{one} {one} {one}" for one in text(rng, rows, words=1)] for rows in (300, 200)]
        found += compared(*sides, rate=0.1).detected  # type: ignore[misc]  # two sides
    assert found <= binom.isf(1e-4, 40, 0.1)


@pytest.mark.parametrize("shift", [3, 200])
def test_another_vocabulary_is_found_and_told(shift: int) -> None:
    rng = np.random.default_rng(2)
    verdict = compared(text(rng, 600), text(rng, 300, shift))["note"]
    assert verdict.material
    assert "of rows use other words" in verdict.words


def test_no_word_is_kept() -> None:
    rows = [f"Dear Mrs Featherstonehaugh, number {n}" for n in range(200)]
    profile = drift.profile(pa.table({"note": rows}), columns={"note": "text"})
    content = profile.to_bytes()
    size = int.from_bytes(content[12:20], "little")
    body = pa.Codec("zstd").decompress(memoryview(content)[20:], size, asbytes=True)
    assert b"note" in body and b"eatherstone" not in body
    assert drift.Profile.from_bytes(content).columns["note"].parts["word"].rows == 200


def test_parts_that_are_merged_have_the_words_of_the_whole() -> None:
    rows = text(np.random.default_rng(3), 500)
    whole, *parts = (
        drift.profile(pa.table({"note": part}), columns={"note": "text"})
        for part in (rows, rows[:100], rows[100:])
    )
    merged = drift.merge(parts).columns["note"].parts["word"]
    known = whole.columns["note"].parts["word"]
    assert (merged.buckets == known.buckets).all()  # type: ignore[union-attr]  # both are counts


def test_which_word_follows_from_the_row_and_is_written_small_without_marks() -> None:
    rows = pa.chunked_array([["Hello, World of Drift", "x", "", "   "], ["Eins zwei (DREI)!"]])
    assert one_word(rows).to_pylist() == ["world", "x", "", "", "drei"]
    assert one_word(pa.chunked_array([], pa.string())).to_pylist() == []


def of_before(rng: np.random.Generator) -> drift.Profile:
    """A profile that was stored when text had no words yet."""
    old = drift.profile(pa.table({"note": text(rng, 300)}), columns={"note": "text"})
    parts = dict(old.columns["note"].parts)
    del parts["word"]
    object.__setattr__(old.columns["note"], "parts", parts)
    return old


def test_a_profile_of_before_is_compared_by_what_it_has() -> None:
    rng = np.random.default_rng(4)
    old = of_before(rng)
    report = drift.compare(old, drift.profile(pa.table({"note": text(rng, 300, 200)}), grid=old))
    assert not any(effect.name == "words" for effect in report["note"].effects)


@pytest.mark.parametrize("oldest_first", [True, False])
def test_merged_with_one_of_before_the_words_of_some_rows_are_not_those_of_all(oldest_first: bool) -> None:
    """Rows whose words nobody counted would be as many nulls: an alarm where nothing changed."""
    rng = np.random.default_rng(5)
    new = drift.profile(pa.table({"note": text(rng, 300)}), columns={"note": "text"})
    merged = drift.merge([of_before(rng), new] if oldest_first else [new, of_before(rng)])
    assert not drift.compare(merged, drift.profile(pa.table({"note": text(rng, 300)}), grid=merged)).detected
