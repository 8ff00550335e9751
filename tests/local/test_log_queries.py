"""The log's reader answers the product's queries as Kusto does, and refuses the rest.

Sources: learn.microsoft.com/kusto/query (where, project, top, take, count, extend, split, summarize, countif, arg_min,
and null comparison
in scalar-data-types/null-values); the columns and their types are those of AmlOnlineEndpointTrafficLog.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from local.logs.exceptions import QueryNotEmulated, QueryRefused, QuerySemanticError
from local.logs.query import Row, Table, run

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


BY_HOUR = [("Green", 12, 1), ("blue", 12, 3), ("Green", 11, 2), ("blue", 11, 4)]


def rows(query: str) -> list[list[object]]:
    made = run(f"T | {query}", Table(COLUMNS, ROWS))
    return [[row[name] for name in made.columns] for row in made.rows]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("count", [[10]]),
        ("where code >= 500 | count", [[2]]),
        ("where arm == 'green' | count", [[0]]),
        ("where arm =~ 'green' | count", [[3]]),
        ('where arm startswith "gr" and not(code == 500) | project ms', [[50], [90]]),
        ("where code in (500, 404) or ms == 20 | project ms", [[10], [20], [60]]),
        ("where not(arm in ('blue')) | count", [[3]]),
        (
            "where t >= datetime(2026-11-21T12:00:00+00:00) and t < datetime(2026-11-21T12:00:20) | count",
            [[2]],
        ),
        ("where model == 200 | count", [[9]]),
        ("where model != 200 | count", [[1]]),  # a null differs from every value
        ("where model < 500 | count", [[9]]),
        ("summarize n = count(), bad = countif(code == 500) by arm", [["Green", 3, 1], ["blue", 7, 1]]),
        (
            "summarize n = count() by minute = bin(t, 1m)",
            [[NOW.replace(second=0), 4], [NOW - timedelta(seconds=90), 6]],
        ),
        (
            "summarize n = count() by arm, hour = bin(t, 1h)",
            [[arm, NOW.replace(hour=hour, second=0), n] for arm, hour, n in BY_HOUR],
        ),
        ("summarize bad = countif(code == 500) by deployment = arm | take 1", [["Green", 1]]),
        ("summarize Share = 100.0 * countif(code in (408, 424) or toint(code) >= 500) / count()", [[20.0]]),
        ("summarize max(ms), min(ms), newest = max(t)", [[100, 10, NOW]]),
        # nearest rank: learn.microsoft.com/kusto/query/percentiles-aggregation-function
        ("summarize percentile(ms, 50), p95 = percentile(ms, 95)", [[50, 100]]),
        ("summarize p = percentile(ms, 50) by arm", [["Green", 50], ["blue", 60]]),
        ("where code == 1 | summarize percentile(ms, 95)", [[None]]),
        ("where code == 1 | summarize count()", [[0]]),
        ("where code == 1 | summarize count() by arm", []),
        ("where code == 1 | summarize max(ms)", [[None]]),
        ("extend part = tostring(split(arm, 'l')[1]) | summarize n = count() by part", [["", 3], ["ue", 7]]),
        ("extend part = tostring(split(arm, 'l')[7]) | summarize n = count() by part", [["", 10]]),
        ("extend who = arm | where who != 'blue' | count", [[3]]),
        (
            "summarize arg_min(t, ms, code) by arm",
            [
                ["Green", NOW - timedelta(seconds=80), 90, 200],
                ["blue", NOW - timedelta(seconds=90), 100, 200],
            ],
        ),
        ("where code == 1 | summarize arg_min(ms, code)", [[None, None]]),
        ("top 2 by ms | project ms, code", [[100, 200], [90, 200]]),
        ("top 1 by t asc | project ms", [[100]]),
        ("where arm == 'a | b'", []),
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
        ("summarize max(colour)", QuerySemanticError),
        ("where t > datetime(yesterday)", QuerySemanticError),
        ("where code", QueryRefused),
        ("where code == ", QueryRefused),
        ("where (code == 1", QueryRefused),
        ("where code == 1 2", QueryRefused),
        ("where code = 1", QueryRefused),
        ("", QueryRefused),
        ("join T on arm", QueryNotEmulated),
        ("where arm has 'blue'", QueryNotEmulated),
        ("where t > ago(1h)", QueryNotEmulated),
        ("summarize avg(ms)", QueryNotEmulated),
        ("where strlen(arm) > 2", QueryRefused),
        ("mv-expand arm", QueryNotEmulated),
        ("extend part = code", QueryNotEmulated),
        ("extend part = toupper(arm)", QueryRefused),
        ("summarize n = arg_min(t, ms)", QueryNotEmulated),
        ("summarize n = count() by deployment = colour", QuerySemanticError),
        ("summarize n = count() by deployment = tolower(arm)", QueryRefused),
    ],
)
def test_it_refuses_what_it_does_not_know_even_without_rows(query: str, refusal: type[QueryRefused]) -> None:
    with pytest.raises(refusal):
        run(f"T | {query}", Table(COLUMNS, []))
