"""Each rule of a contract finds the rows that plain pandas finds, however the rows are cut into batches."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.errors import InputRejected
from shared.files.drop_files import DropFile
from shared.intake import ReadSpec, contract_verdict
from shared.reader import contract_pass, one_pass, seen_rows
from shared.reader.contract_pass import ContractPass, Result, any_of
from shared.values.column_kinds import ARROW

KINDS = {
    "n": "number",
    "m": "number",
    "i": "integer",
    "j": "integer",
    "s": "string",
    "t": "datetime",
    "b": "boolean",
}
EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
NUMBERS = st.one_of(
    st.integers(-4, 4).map(float), st.sampled_from([0.5, -0.5, 2.0**53, 1e308, -1e308, 5e-324, -0.0])
)
WHOLE = st.one_of(st.integers(-4, 4), st.sampled_from([2**53, 2**53 + 1, 2**63 - 1, -(2**63)]))
TEXTS = st.sampled_from(["a", "ab", "b", "", "é", "e\u0301", "日本", "a\nb", "A", "𝒳", "a'\"|", "ab "])
TIMES = st.integers(-3, 3).map(lambda days: EPOCH + timedelta(days=days))
OF = {"n": NUMBERS, "m": NUMBERS, "i": WHOLE, "j": WHOLE, "s": TEXTS, "t": TIMES, "b": st.booleans()}
ROWS = st.lists(st.fixed_dictionaries({name: st.one_of(st.none(), OF[name]) for name in KINDS}), max_size=12)
BOUNDS = {"at_least": "<", "above": "<=", "at_most": ">", "below": ">="}


def table(rows: list[dict[str, Any]], kinds: dict[str, str] = KINDS) -> pa.RecordBatch:
    arrays = [pa.array([row[name] for row in rows], ARROW[kind]) for name, kind in kinds.items()]
    return pa.RecordBatch.from_arrays(arrays, names=list(kinds))


def checked(
    rows: list[dict[str, Any]], rule: dict[str, Any], cut: int = 0, kinds: dict[str, str] = KINDS
) -> tuple[Result, list[int]]:
    """The result, and the rows that a rule that drops rows would reject."""
    whole, check = table(rows, kinds), ContractPass([rule], kinds, EPOCH.isoformat())
    rejected, before = [], 0
    for batch in (whole.slice(0, cut), whole.slice(cut)):
        if found := check.take(batch):
            rejected += [before + n for n, out in enumerate(any_of(found).to_pylist()) if out]
        before += batch.num_rows
    (result,) = check.results()
    return result, rejected


def outside(value: Any, key: str, bound: Any) -> bool:
    return {"<": value < bound, "<=": value <= bound, ">": value > bound, ">=": value >= bound}[BOUNDS[key]]


def rules(draw: st.DrawFn, kind: str) -> tuple[dict[str, Any], Any]:
    """A rule and, of a row, whether plain Python finds that it breaks it."""
    if kind == "bound":
        column, key = draw(st.sampled_from(["n", "i", "t"])), draw(st.sampled_from(list(BOUNDS)))
        bound = draw(
            TIMES if column == "t" else st.one_of(WHOLE, NUMBERS, st.sampled_from([10**30, -(10**30)]))
        )
        said = bound.isoformat() if column == "t" else bound
        exact = float(bound) if column == "n" else bound
        return {
            "column": column,
            key: said,
        }, lambda row: row[column] is not None and outside(row[column], key, exact)
    if kind == "other":
        one, other = draw(st.sampled_from([("n", "m"), ("i", "j"), ("t", "t2"), ("i", "n")]))
        key = draw(st.sampled_from(list(BOUNDS)))
        alike = float if (one, other) == ("i", "n") else lambda value: value
        return {
            "column": one,
            key: {"column": other},
        }, lambda row: None not in (row[one], row[other]) and outside(alike(row[one]), key, row[other])
    if kind == "values":
        column = draw(st.sampled_from(["n", "i", "s", "b"]))
        allowed = draw(st.lists(OF[column], min_size=1, max_size=3))
        return {
            "column": column,
            "values": allowed,
        }, lambda row: row[column] is not None and row[column] not in allowed
    if kind == "pattern":
        pattern = (
            draw(st.sampled_from(["a", "a.*", "a|b", "[a-z]+", "", "(?i)AB?", r"\w+", "(?s).b|."])) or "b?"
        )
        return {
            "column": "s",
            "pattern": pattern,
        }, lambda row: row["s"] is not None and not re.fullmatch(pattern, row["s"], re.ASCII)
    if kind == "length":
        low, high = draw(st.integers(0, 2)), draw(st.integers(2, 3))
        return {
            "column": "s",
            "min_length": low,
            "max_length": high,
        }, lambda row: row["s"] is not None and not low <= len(row["s"]) <= high
    column = draw(st.sampled_from(list(KINDS)))
    return {"column": column, "nulls_at_most": 0}, lambda row: row[column] is None


@st.composite
def cases(draw: st.DrawFn, kind: str) -> tuple[list[dict[str, Any]], dict[str, Any], list[int], int]:
    rows = draw(ROWS)
    for row in rows:
        row["t2"] = draw(st.one_of(st.none(), TIMES))
    rule, breaks = rules(draw, kind)
    return rows, rule, [n for n, row in enumerate(rows) if breaks(row)], draw(st.integers(0, len(rows)))


@pytest.mark.parametrize("kind", ["bound", "other", "values", "pattern", "length", "nulls"])
@settings(derandomize=True, max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_rule_of_single_rows_finds_what_plain_python_finds(kind: str, data: st.DataObject) -> None:
    rows, rule, broken, cut = data.draw(cases(kind))
    result, rejected = checked(rows, {**rule, "on_breach": "drop_rows"}, cut, {**KINDS, "t2": "datetime"})
    assert rejected == broken
    assert (result.rows, result.broken, result.of) == (len(broken), bool(broken), len(rows))
    assert list(result.first) == [n + 1 for n in broken[:5]]


BIG = 2**63 - 1
WHOLE_NUMBERS = [-(2**63), -1, 0, 1, 2**53, 2**53 + 1, BIG]


@pytest.mark.parametrize("key", BOUNDS)
@pytest.mark.parametrize("bound", [0, 0.5, -0.5, 2**53 + 1, 2.0**53, BIG, 10**30, -(10**30), 1e300, -1e300])
def test_whole_numbers_are_compared_exactly_whatever_the_bound(key: str, bound: float) -> None:
    rows = [{"i": value} for value in WHOLE_NUMBERS]
    rule = {"column": "i", key: bound, "on_breach": "drop_rows"}
    exact = [n for n, value in enumerate(WHOLE_NUMBERS) if outside(value, key, bound)]
    assert checked(rows, rule, 3, {"i": "integer"})[1] == exact


@pytest.mark.parametrize(
    ("column", "rule", "values", "broken"),
    [
        ("integer", {"values": [1.5, 2.0, 1e300]}, [1, 2], [0]),
        ("integer", {"values": [2**53]}, [2**53, 2**53 + 1], [1]),
        ("number", {"values": [1, 2.5]}, [1.0, 2.5, 2.0], [2]),
        ("string", {"pattern": "a"}, ["a", "ab", "ba", "a\n"], [1, 2, 3]),
        ("string", {"pattern": "a|b"}, ["a", "b", "ab"], [2]),
        ("string", {"values": ["é"]}, ["é", "e\u0301"], [1]),
        ("string", {"max_length": 1}, ["𝒳", "e\u0301"], [1]),
        ("boolean", {"values": [True]}, [True, False], [1]),
        ("number", {"nulls_at_most": 0}, [0.0, None], [1]),
    ],
)
def test_what_a_rule_means_at_its_edges(
    column: str, rule: dict[str, Any], values: list[Any], broken: list[int]
) -> None:
    rows = [{"c": value} for value in values]
    assert checked(rows, {"column": "c", **rule, "on_breach": "drop_rows"}, 1, {"c": column})[1] == broken


@settings(derandomize=True, max_examples=80, deadline=None)
@given(ROWS, st.lists(st.sampled_from(list(KINDS)), min_size=1, max_size=3, unique=True), st.integers(0, 12))
def test_uniqueness_finds_what_pandas_finds_and_keeps_the_first(
    rows: list[dict[str, Any]], names: list[str], cut: int
) -> None:
    frame = pd.DataFrame({name: pd.Series([row[name] for row in rows], dtype=object) for name in names})
    whole = frame[frame.notna().all(axis=1)] if rows else frame
    twins = [int(n) for n in whole.index[whole.duplicated()]] if rows else []
    rule = {"unique": names, "on_breach": "drop_rows"}
    assert checked(rows, rule, min(cut, len(rows)))[1] == twins


def test_uniqueness_over_many_batches_is_that_of_pandas() -> None:
    values = np.random.default_rng(7).integers(0, 40_000, 60_000)
    check = ContractPass([{"unique": ["i"]}], {"i": "integer"})
    for start in range(0, len(values), 1_700):
        check.take(pa.RecordBatch.from_arrays([pa.array(values[start : start + 1_700])], names=["i"]))
    (result,) = check.results()
    assert result.rows == int(pd.Series(values).duplicated().sum())


def test_beyond_its_bound_uniqueness_is_refused_and_never_assumed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contract_pass, "MOST_KEPT", 3)
    rows = [{"i": n} for n in range(4)]
    result, _ = checked(rows, {"unique": ["i"]}, 2, {"i": "integer"})
    assert result.broken and "more than 3 rows" in result.found
    assert not checked(rows[:3], {"unique": ["i"]}, 2, {"i": "integer"})[0].broken


@pytest.mark.parametrize(
    ("rule", "nulls", "broken"),
    [
        ({"column": "n", "nulls_at_most": 0.29}, 29, False),
        ({"column": "n", "nulls_at_most": 0.29}, 30, True),
        ({"column": "n", "nulls_at_most": 1}, 100, False),
        ({"column": "n", "at_least": 1, "tolerance": 0.71}, 29, False),
        ({"column": "n", "at_least": 1, "tolerance": 0.71}, 28, True),
    ],
)
def test_a_share_is_of_all_rows_and_its_limit_is_within(
    rule: dict[str, Any], nulls: int, broken: bool
) -> None:
    rows = [{"n": None if n < nulls else 0.0} for n in range(100)]
    assert checked(rows, rule, 50, {"n": "number"})[0].broken is broken


@pytest.mark.parametrize(
    ("rule", "broken"),
    [
        ({"rows_at_least": 2}, False),
        ({"rows_at_least": 3}, True),
        ({"rows_at_most": 2}, False),
        ({"rows_at_most": 1}, True),
        ({"column": "t", "max_age": "2d"}, False),
        ({"column": "t", "max_age": "47h"}, True),
        ({"column": "nothing", "max_age": "9d"}, True),
        ({"column": "t", "max_age": "3650d"}, False),
        ({"column": "nothing", "values": ["a"]}, False),
        ({"column": "nothing", "at_least": 0}, False),
        ({"column": "nothing", "pattern": "a"}, False),
        ({"column": "nothing", "min_length": 1}, False),
        ({"column": "nothing", "at_most": {"column": "t"}}, False),
        ({"column": "nothing", "type": "number"}, False),
        ({"unique": ["nothing"]}, False),
        ({"column": "nothing", "nulls_at_most": 0.5}, True),
        ({"column": "t", "type": "time"}, False),
        ({"column": "t", "type": "text"}, True),
        ({"column": "t", "at_least": 0}, True),
        ({"column": "gone", "nulls_at_most": 1}, True),
        ({"column": "t", "at_most": {"column": "gone"}}, True),
    ],
)
def test_rules_of_a_whole_drop_and_of_columns_without_a_value(rule: dict[str, Any], broken: bool) -> None:
    kinds = {"t": "datetime", "nothing": "nothing"}
    rows = [{"t": EPOCH - timedelta(days=2), "nothing": None}, {"t": None, "nothing": None}]
    result, rejected = checked(rows, rule, 1, kinds)
    assert (result.broken, rejected) == (broken, [])


def test_times_that_python_does_not_have_are_compared_and_told() -> None:
    far = pa.array([506804601600000000, -253402300800000000, None], ARROW["datetime"])
    batch = pa.RecordBatch.from_arrays([far], names=["t"])
    rules = [{"column": "t", "below": "2030-01-01"}, {"column": "t", "at_least": "0001-01-01"}]
    check = ContractPass([*rules, {"column": "t", "max_age": "1d"}], {"t": "datetime"}, EPOCH.isoformat())
    check.take(batch)
    late, early, age = check.results()
    assert (late.first, early.first, age.broken) == ((1,), (2,), False)
    assert late.values[0]["t"] is not None and late.values[0]["t"].startswith("18029-12-31")
    check = ContractPass([{"column": "t", "max_age": "1d"}], {"t": "datetime"}, EPOCH.isoformat())
    check.take(batch.slice(1))
    assert "the newest time is -6060" in check.results()[0].found


def test_without_knowing_when_the_drop_landed_no_age_is_taken_for_kept() -> None:
    check = ContractPass([{"column": "t", "max_age": "9d"}], {"t": "datetime"})
    check.take(table([{"t": EPOCH}], {"t": "datetime"}))
    assert check.results()[0].broken


def test_no_value_of_the_data_is_in_what_leaves_the_reader() -> None:
    result, _ = checked([{"s": "Ann"}], {"column": "s", "values": ["x"]}, 0, {"s": "string"})
    assert result.values == ({"s": "Ann"},)
    assert "Ann" not in repr(result.to_document()) + contract_verdict.told(result)


def test_many_broken_rules_are_named_up_to_a_bound_and_hostile_names_are_printable() -> None:
    def results() -> Iterator[Result]:
        for n in range(12):
            yield Result(f"\x1b[31m{'x' * 300}{n}: at_least: 0", "report", True, 9, 1, (1,))

    findings = contract_verdict.verdict(list(results()), 0)
    assert (
        len(findings) == contract_verdict.MOST_NAMED + 1
        and findings[-1] == "contract: 2 more rules are broken"
    )
    assert all(text.isprintable() and len(text) < 300 for text in findings)
    with pytest.raises(InputRejected, match="and 1 more rules"):
        contract_verdict.verdict([Result(f"{n}", "quarantine", True, 9, 1, (1,)) for n in range(4)], 0)


def test_runs_of_hashes_stay_few() -> None:
    seen, rng = seen_rows.SeenRows(), np.random.default_rng(1)
    for _ in range(60):
        seen.again(rng.integers(0, 2**63, 500).astype(np.uint64), np.ones(500, dtype=np.bool_))
    assert seen.kept == 30_000 and len(seen._runs) <= 8


def test_two_rules_that_reject_rows_reject_what_either_does_however_alike_they_are_written(
    tmp_path: Path,
) -> None:
    """Over several batches, with columns that bear the names of the two that rejected rows get."""
    words = [f"word {n}" for n in range(6)]
    rules = (
        {"column": "word", "values": [*words, "first"], "on_breach": "drop_rows"},
        {"column": "word", "values": [*words, "second"], "on_breach": "drop_rows"},
        {"column": "row", "at_most": 1_000_000.5, "on_breach": "drop_rows"},
        {"column": "row", "at_most": 1_000_001.4, "on_breach": "drop_rows"},
    )
    rows = [("word 0", 1, "x")] * 70_000
    rows[3], rows[5], rows[69_000] = ("first", 1, "x"), ("second", 1_000_001, "x"), ("word 1", 1_000_002, "x")
    file = tmp_path / "drop.parquet"
    columns = dict(zip(("word", "row", "rules"), map(list, zip(*rows, strict=True)), strict=True))
    pq.write_table(pa.table(columns), file, row_group_size=30_000)
    spec = ReadSpec(target="word", contract=rules, columns={"rules": "category"})
    read = one_pass.read([DropFile(file, "drop", file.stat().st_size)], spec, tmp_path / "out")
    assert (read.rows, read.rejected_rows) == (69_997, 3)
    kept = pq.read_table(tmp_path / "out" / "rejected").to_pylist()
    assert [row["row_"] for row in kept] == [4, 6, 69_001]
    first, second = "values: [word 0, word 1, word 2, word 3, word 4, word 5, … 1 more]", "row: at_most: "
    assert [row["rules_"] for row in kept] == [
        f"word: {first}",
        f"word: {first}; {second}1000000.5",
        f"{second}1000000.5; {second}1000001.4",
    ]


@pytest.mark.parametrize("bound", [9_007_199_254_740_993, 12_345_678_901_234_567_890, 10**400, -(10**400)])
def test_numbers_that_no_column_can_hold_break_no_reading(bound: int) -> None:
    for kind, values in ((pa.float64(), [1.5, None]), (pa.int64(), [1, None])):
        batch = pa.record_batch({"n": pa.array(values, kind)})
        columns = {"n": "number" if kind == pa.float64() else "integer"}
        for rule in ({"values": [bound, 1.5, 1]}, {"at_most": bound}, {"above": bound}):
            ContractPass(({"column": "n", **rule},), columns).take(batch)


def test_all_unique_rules_share_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contract_pass, "MOST_KEPT", 5)
    rules = ({"unique": ["a"]}, {"unique": ["b"]})
    check = ContractPass(rules, {"a": "integer", "b": "integer"})
    check.take(pa.record_batch({"a": [1, 2, 3], "b": [1, 2, 3]}))
    assert [bool(result.found) for result in check.results()] == [False, True]
