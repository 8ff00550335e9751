"""A Pandera schema in its YAML form becomes rules; its columns are those of the drop.

The form is what `pandera.io.from_yaml` reads (https://github.com/unionai-oss/pandera, `pandera/io/pandas_io.py`), the
checks are those of `pandera.Check`. One meaning differs: nulls are never duplicates here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from shared.loopfile.yaml_lines import Path, Value
from shared.standards.translation import Translation

_SCHEMA = {
    "schema_type", "version", "columns", "checks", "dtype", "coerce", "name", "title", "description", "unique",
    "report_duplicates", "unique_column_names", "metadata", "dataframe_library",
}  # fmt: skip
_COLUMN = {
    "title", "description", "dtype", "nullable", "checks", "name", "unique", "coerce", "required", "metadata",
}  # fmt: skip
_DTYPES = (
    (r"u?int(8|16|32|64)?", "integer"),
    (r"float(16|32|64)?|decimal(\(.*\))?", "number"),
    (r"str|string(\[.*\])?", "text"),
    (r"bool(ean)?", "boolean"),
    (r"datetime64(\[.*\])?|datetime|timestamp|date", "time"),
    (r"object|category", ""),
)
Make = Callable[[Mapping[str, Value]], dict[str, Value]]


def _one(key: str, wrapped: Callable[[Value], Value] = lambda value: value) -> Make:
    """A check of one argument, which stands under `value` or under its own name."""
    return lambda said: {key: wrapped(next((v for k, v in said.items() if k != "options"), None))}


def _in_range(said: Mapping[str, Value]) -> dict[str, Value]:
    low = "at_least" if said.get("include_min", True) else "above"
    high = "at_most" if said.get("include_max", True) else "below"
    return {low: said.get("min_value"), high: said.get("max_value")}


def _length(said: Mapping[str, Value]) -> dict[str, Value]:
    exact = said.get("exact_value", said.get("value"))
    low, high = said.get("min_value", exact), said.get("max_value", exact)
    return {"min_length": low, "max_length": high}


def _literal(before: str, after: str) -> Callable[[Value], Value]:
    return lambda text: before + re.escape(text) + after if isinstance(text, str) else text


def _regex(before: str, after: str) -> Callable[[Value], Value]:
    return lambda text: f"{before}(?:{text}){after}" if isinstance(text, str) else text


_ANY = "(?s:.*)"
_CHECKS: Mapping[str, tuple[Make, frozenset[str]]] = {
    "greater_than": (_one("above"), frozenset({"value", "min_value"})),
    "gt": (_one("above"), frozenset({"value", "min_value"})),
    "greater_than_or_equal_to": (_one("at_least"), frozenset({"value", "min_value"})),
    "ge": (_one("at_least"), frozenset({"value", "min_value"})),
    "less_than": (_one("below"), frozenset({"value", "max_value"})),
    "lt": (_one("below"), frozenset({"value", "max_value"})),
    "less_than_or_equal_to": (_one("at_most"), frozenset({"value", "max_value"})),
    "le": (_one("at_most"), frozenset({"value", "max_value"})),
    "equal_to": (_one("values", lambda value: (value,)), frozenset({"value"})),
    "eq": (_one("values", lambda value: (value,)), frozenset({"value"})),
    "in_range": (_in_range, frozenset({"min_value", "max_value", "include_min", "include_max"})),
    "between": (_in_range, frozenset({"min_value", "max_value", "include_min", "include_max"})),
    "isin": (_one("values"), frozenset({"value", "allowed_values"})),
    "str_matches": (_one("pattern", _regex("", _ANY)), frozenset({"value", "pattern"})),
    "str_contains": (_one("pattern", _regex(_ANY, _ANY)), frozenset({"value", "pattern"})),
    "str_startswith": (_one("pattern", _literal("", _ANY)), frozenset({"value", "string"})),
    "str_endswith": (_one("pattern", _literal(_ANY, "")), frozenset({"value", "string"})),
    "str_length": (_length, frozenset({"value", "min_value", "max_value", "exact_value"})),
}
"""Check -> the keys of a rule, and the arguments that it takes. `str_matches` matches from the beginning (re.match)."""


def translate(it: Translation) -> None:
    """Fill `it` with rules; what is not known becomes a mistake."""
    schema = it.section(it.document.value, ())
    it.only(schema, (), _SCHEMA)
    if schema.get("schema_type") != "dataframe":
        it.refuse(("schema_type",), schema.get("schema_type"), "dataframe")
    if schema.get("checks"):
        it.refuse(("checks",), schema["checks"], "checks of single columns")
    if schema.get("dtype"):
        it.refuse(("dtype",), schema["dtype"], "a dtype for each column")
    coerced = schema.get("coerce") is True
    for name, value in it.section(schema.get("columns"), ("columns",)).items():
        path: Path = ("columns", name)
        _column(it, name, it.section(value, path), path, coerced)
    if names := schema.get("unique"):
        it.rule(("unique",), "quarantine", unique=(names,) if isinstance(names, str) else names)


def _column(it: Translation, name: str, column: Mapping[str, Value], path: Path, coerced: bool) -> None:
    it.only(column, path, _COLUMN)
    if column.get("required") is False:
        it.refuse((*path, "required"), False, "true: a column that may be missing has no rule; take it out")
    kind = _type(it, column.get("dtype"), (*path, "dtype"))
    if kind == "text" and (coerced or column.get("coerce") is True):
        kind = ""  # any value can be written as text
    it.rule(path, "quarantine", column=name, **({"type": kind} if kind else {"nulls_at_most": 1}))
    if column.get("nullable", False) is not True:
        it.rule(path, "quarantine", column=name, nulls_at_most=0)
    if column.get("unique") is True:
        it.rule(path, "quarantine", unique=(name,))
    checks, here = column.get("checks"), (*path, "checks")
    if isinstance(checks, Mapping):
        for check, said in checks.items():
            _check(it, name, check, said, (*here, check))
        return
    for said, place in it.items(checks, here):
        options = it.section(it.section(said, place).get("options"), place)
        _check(it, name, str(options.get("check_name")), said, place)


def _type(it: Translation, dtype: Value, path: Path) -> str:
    if dtype is None:
        return ""
    for pattern, kind in _DTYPES:
        if re.fullmatch(pattern, str(dtype).lower()):
            return kind
    it.refuse(path, dtype, "a dtype of numbers, texts, true and false, or times")
    return ""


def _check(it: Translation, column: str, name: str, value: Value, path: Path) -> None:
    if name not in _CHECKS:
        it.refuse(path, name, f"one of {', '.join(sorted(_CHECKS))}")
        return
    said = value if isinstance(value, Mapping) else {"value": value}
    make, arguments = _CHECKS[name]
    if name in ("str_matches", "str_contains"):
        it.pattern(said.get("value", said.get("pattern")), path)
    it.only(said, path, {*arguments, "options"})
    options = it.section(said.get("options"), (*path, "options"))
    it.only(options, (*path, "options"), {"check_name", "raise_warning", "ignore_na"})
    if options.get("ignore_na") is False:
        it.refuse((*path, "options", "ignore_na"), False, "true: a null breaks nullable: false alone")
    action = "report" if options.get("raise_warning") is True else "quarantine"
    it.rule(path, action, column=column, **make(said))
