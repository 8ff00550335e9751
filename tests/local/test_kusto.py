"""The Kusto subset computes what Kusto's documents say, and refuses the rest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from local.logs.exceptions import QueryNotEmulated, QueryRefused, QuerySemanticError, QuerySyntaxError
from local.logs.language import Row
from local.logs.query import Table, run

NOW = datetime(2026, 11, 21, 12, 0, 30, tzinfo=UTC)
COLUMNS = {"t": "datetime", "arm": "string", "code": "int", "model": "int", "ms": "int"}
# Ten requests, one each ten seconds back from NOW: green is every fourth, an error every fifth.
ROWS: list[Row] = [
    {
        "t": NOW - timedelta(seconds=10 * i),
        "arm": "Green" if i % 4 == 0 else "blue",
        "code": 500 if i % 5 == 0 else 200,
        "model": None if i == 9 else 200,
        "ms": 10 * (i + 1),
    }
    for i in range(10)
]


def rows(query: str) -> list[list[object]]:
    made = run(f"T | {query}", Table(COLUMNS, ROWS), NOW)
    return [[row[name] for name in made.columns] for row in made.rows]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("count", [[10]]),
        ("where code >= 500 | count", [[2]]),
        ("where arm == 'green' | count", [[0]]),
        ("where arm =~ 'green' | count", [[3]]),
        ("where arm startswith 'gr' and not(code == 500) | project ms", [[50], [90]]),
        ("where arm startswith_cs 'gr' | count", [[0]]),
        ("where code in (500, 404) or ms == 20 | project ms", [[10], [20], [60]]),
        ("where arm !in ('blue') | count", [[3]]),
        ("where ms between (20 .. 40) | count", [[3]]),
        ("where t > ago(25s) | count", [[3]]),
        ("where t between (datetime(2026-11-21T12:00:00Z) .. 20s) | project ms", [[20], [30], [40]]),
        ("where model == 200 | count", [[9]]),
        ("where model != 200 | count", [[1]]),  # a null differs from every value
        ("where isnull(model) | project ms", [[100]]),
        ("where model < 500 | count", [[9]]),
        ("summarize n = count(), bad = countif(code == 500) by arm", [["Green", 3, 1], ["blue", 7, 1]]),
        ("summarize count() by bin(t, 1m) | order by t asc | project count_", [[6], [4]]),
        ("summarize percentiles(ms, 50, 95), avg(ms), max(ms)", [[50, 100, 55.0, 100]]),
        ("where code == 1 | summarize count()", [[0]]),
        ("where code == 1 | summarize count() by arm", []),
        ("top 2 by ms | project ms, half = ms / 2, exact = ms * 0.5", [[100, 50, 50.0], [90, 45, 45.0]]),
        ("order by model asc, ms desc | take 2 | project ms", [[100], [90]]),  # nulls first
        ("extend e = iff(code == 500, 1, 0) | summarize sum(e)", [[2]]),
        ("distinct code | order by code asc", [[200], [500]]),
        ("project toint(tostring(code)) | take 1", [[500]]),
        ("where arm == 'a | b' // a pipe in a string is no operator", []),
    ],
)
def test_it_computes_what_kusto_computes(query: str, expected: list[list[object]]) -> None:
    assert rows(query) == expected


@pytest.mark.parametrize(
    ("query", "refusal"),
    [
        ("where code == '500'", QuerySemanticError),
        ("where colour == 1", QuerySemanticError),
        ("where arm > 3", QuerySemanticError),
        ("where code", QuerySemanticError),
        ("summarize avg(arm)", QuerySemanticError),
        ("where code == ", QuerySyntaxError),
        ("where (code == 1", QuerySyntaxError),
        ("where code == 1 2", QuerySyntaxError),
        ("where t > datetime(yesterday)", QuerySyntaxError),
        ("where code = 1", QueryRefused),
        ("", QuerySyntaxError),
        ("join T on arm", QueryNotEmulated),
        ("where arm has 'blue'", QueryNotEmulated),
        ("summarize stdev(ms)", QueryNotEmulated),
        ("where strlen(arm) > 2", QueryNotEmulated),
        ("mv-expand arm", QueryNotEmulated),
        ("order by ms nulls last", QueryNotEmulated),
    ],
)
def test_it_refuses_what_it_does_not_know_even_without_rows(query: str, refusal: type[QueryRefused]) -> None:
    with pytest.raises(refusal):
        run(f"T | {query}", Table(COLUMNS, []), NOW)
