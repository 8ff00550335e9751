"""A contract that a first file suggests: each rule with its reason, and none that an ordinary next drop would break.

Every rule reports. What quarantines a drop or rejects rows, a person decides who knows what the columns mean.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from cli.yaml_values import quoted

if TYPE_CHECKING:
    import pandas as pd

FEWEST_ROWS = 30
MOST_VALUES = 20
SEEN_OFTEN = 5
"""A value that all rows hold less often may have sisters that the file does not show."""
MOST_RULES = 40
"""Wider files get the first ones: a list that nobody reads protects nothing."""


def proposal(table: pd.DataFrame, kinds: Mapping[str, str], id: str, other: Collection[str]) -> list[str]:
    """Lines of the loop file's section `data`; none where the file shows too little.

    `kinds` are the columns' types as a version has them; `other` are columns that no rule is proposed for.
    """
    if len(table) < FEWEST_ROWS:
        return []
    rules = list(_rules(table, kinds, id, other))
    lines = [f"    - {_flow({**rule, 'on_breach': 'report'})}   # {why}" for rule, why in rules[:MOST_RULES]]
    if len(rules) > MOST_RULES:
        lines.append(f"    # {len(rules) - MOST_RULES} more columns suggest such a rule")
    head = "  contract:   # a proposal: rules report; `quarantine` and `drop_rows` are for you to choose"
    return [head, *lines] if lines else []


def _rules(
    table: pd.DataFrame, kinds: Mapping[str, str], id: str, other: Collection[str]
) -> Iterator[tuple[Mapping[str, object], str]]:
    rows = len(table)
    if id and table[id].is_unique:
        yield {"unique": [id]}, f"{rows:,} rows, as many values"
    for name, kind in kinds.items():
        if name == id or name in other:
            continue
        column = table[name].dropna()
        if kind == "string" and _is_closed(column.value_counts().tolist()):
            values = sorted(column.unique().tolist())
            yield (
                {"column": name, "values": values},
                f"{len(values)} values in {rows:,} rows, each at least {SEEN_OFTEN} times",
            )
        elif kind in ("number", "integer") and len(column) >= FEWEST_ROWS and column.min() >= 0:
            yield {"column": name, "at_least": 0}, f"the smallest is {column.min():g}"


def _is_closed(counts: list[int]) -> bool:
    """Whether the values are few, and each is seen so often that another would have been too."""
    return 1 < len(counts) <= MOST_VALUES and min(counts) >= SEEN_OFTEN


def _flow(rule: Mapping[str, object]) -> str:
    """A rule on one line: JSON values, which YAML reads, under plain keys."""
    return f"{{{', '.join(f'{key}: {_value(value)}' for key, value in rule.items())}}}"


def _value(value: object) -> str:
    return "report" if value == "report" else quoted(value)
