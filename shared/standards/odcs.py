"""The Open Data Contract Standard, version 3: what its schema, quality and slaProperties promise becomes rules.

Keys and meanings are those of the standard's JSON Schemas for 3.0.0 to 3.1.0 and of its page on data quality
(https://github.com/bitol-io/open-data-contract-standard, `schema/` and `docs/data-quality.md`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from shared.loopfile.yaml_lines import Path, Value
from shared.standards.translation import Translation

_ELEMENT = {
    "id", "name", "physicalName", "physicalType", "description", "businessName", "authoritativeDefinitions", "tags",
    "customProperties",
}  # fmt: skip
_CONTRACT = {
    "version", "kind", "apiVersion", "id", "name", "tenant", "tags", "status", "servers", "dataProduct", "description",
    "domain", "schema", "support", "price", "team", "roles", "slaDefaultElement", "slaProperties",
    "authoritativeDefinitions", "customProperties", "contractCreatedTs",
}  # fmt: skip
_OBJECT = {*_ELEMENT, "logicalType", "dataGranularityDescription", "properties", "quality"}
_PROPERTY = {
    *_ELEMENT, "primaryKey", "primaryKeyPosition", "logicalType", "logicalTypeOptions", "required", "unique",
    "partitioned", "partitionKeyPosition", "classification", "encryptedName", "transformSourceObjects",
    "transformLogic", "transformDescription", "examples", "criticalDataElement", "quality",
}  # fmt: skip
_OPERATORS = {
    "mustBe", "mustBeGreaterThan", "mustBeGreaterOrEqualTo", "mustBeLessThan", "mustBeLessOrEqualTo", "mustBeBetween",
}  # fmt: skip
_QUALITY = {
    "id", "authoritativeDefinitions", "businessImpact", "customProperties", "description", "dimension", "method",
    "name", "schedule", "scheduler", "severity", "tags", "type", "unit", "metric", "rule", "arguments", "validValues",
    *_OPERATORS,
}  # fmt: skip
"""What describes and promises nothing of a drop's rows is among the keys that are known, and makes no rule."""

_TYPES = {
    "string": "text",
    "date": "time",
    "timestamp": "time",
    "number": "number",
    "integer": "integer",
    "boolean": "boolean",
}
_SEVERITIES = {"error": "quarantine", "warning": "report", "info": "report"}
_ACTIONS = ("quarantine", "drop_rows", "report")
_OLDER_NAMES = {
    "duplicateCount": "duplicateValues",
    "validValues": "invalidValues",
    "nullCheck": "nullValues",
}
"""Names of 3.0, under `rule`."""
_UNITS = {
    "d": "d",
    "day": "d",
    "days": "d",
    "h": "h",
    "hour": "h",
    "hours": "h",
    "m": "m",
    "minute": "m",
    "minutes": "m",
}
_FRESH = ("latency", "ly", "freshness")


def translate(it: Translation) -> None:
    """Fill `it` with rules; what is not known becomes a mistake."""
    contract = it.section(it.document.value, ())
    it.only(contract, (), _CONTRACT)
    version = contract.get("apiVersion")
    if not str(version).removeprefix("v").startswith("3."):
        it.refuse(("apiVersion",), version, "v3.0.0 to v3.1.0")
    objects = list(it.items(contract.get("schema"), ("schema",)))
    if len(objects) != 1:
        it.refuse(("schema",), f"{len(objects)} objects", "one object: a drop is one table")
    for value, path in objects[:1]:
        _object(it, value, path)
    for value, path in it.items(contract.get("slaProperties"), ("slaProperties",)):
        _promise(it, it.section(value, path), path, contract.get("slaDefaultElement"))


def _object(it: Translation, value: Value, path: Path) -> None:
    table = it.section(value, path)
    it.only(table, path, _OBJECT)
    keys: list[tuple[float, str]] = []
    for one, here in it.items(table.get("properties"), (*path, "properties")):
        _property(it, it.section(one, here), here, keys)
    if keys:
        it.rule(path, _action(it, table, path), unique=tuple(name for _, name in sorted(keys)))
    for one, here in it.items(table.get("quality"), (*path, "quality")):
        _quality(it, it.section(one, here), here, "")


def _property(
    it: Translation, column: Mapping[str, Value], path: Path, keys: list[tuple[float, str]]
) -> None:
    it.only(column, path, _PROPERTY)
    name = column.get("physicalName") or column.get("name")
    if not isinstance(name, str):
        it.refuse(path, name, "a property with a name")
        return
    action, kind = _action(it, column, path), column.get("logicalType")
    if kind is not None and kind not in _TYPES:
        it.refuse((*path, "logicalType"), kind, ", ".join(_TYPES))
    there: dict[str, Value] = {"type": _TYPES[str(kind)]} if kind in _TYPES else {"nulls_at_most": 1}
    it.rule(path, "quarantine" if action == "drop_rows" else action, column=name, **there)
    if column.get("required") is True or column.get("primaryKey") is True:
        it.rule(path, action, column=name, nulls_at_most=0)
    if column.get("unique") is True:
        it.rule(path, action, unique=(name,))
    if column.get("primaryKey") is True:
        position = column.get("primaryKeyPosition")
        keys.append((position if isinstance(position, int) else math.inf, name))
    here = (*path, "logicalTypeOptions")
    _options(it, it.section(column.get("logicalTypeOptions"), here), here, name, action)
    for one, place in it.items(column.get("quality"), (*path, "quality")):
        _quality(it, it.section(one, place), place, name)


def _options(it: Translation, options: Mapping[str, Value], path: Path, name: str, action: str) -> None:
    bounds = {
        "minimum": "at_least",
        "maximum": "at_most",
        "exclusiveMinimum": "above",
        "exclusiveMaximum": "below",
    }
    it.only(options, path, {*bounds, "minLength", "maxLength", "pattern"})
    for key, ours in bounds.items():
        if options.get(key) is not None:
            it.rule((*path, key), action, column=name, **{ours: options[key]})
    if lengths := {k: options[k] for k in ("minLength", "maxLength") if options.get(k) is not None}:
        low, high = lengths.get("minLength"), lengths.get("maxLength")
        it.rule(path, action, column=name, min_length=low, max_length=high)
    if (pattern := options.get("pattern")) is not None:
        it.rule((*path, "pattern"), action, column=name, pattern=_anywhere(it, pattern, (*path, "pattern")))


def _anywhere(it: Translation, pattern: Value, path: Path) -> Value:
    """The standard's pattern may match a part, as in JSON Schema; ours matches the whole."""
    it.pattern(pattern, path)
    return f"(?s:.*)(?:{pattern})(?s:.*)" if isinstance(pattern, str) else pattern


def _action(it: Translation, section: Mapping[str, Value], path: Path) -> str:
    """`customProperties` may say `on_breach`; else the severity does."""
    for one, here in it.items(section.get("customProperties"), (*path, "customProperties")):
        said = it.section(one, here)
        if said.get("property") == "on_breach":
            if said.get("value") in _ACTIONS:
                return str(said["value"])
            it.refuse(here, said.get("value"), ", ".join(_ACTIONS))
    severity = section.get("severity", "error")
    if severity not in _SEVERITIES:
        it.refuse((*path, "severity"), severity, ", ".join(_SEVERITIES))
    return _SEVERITIES.get(str(severity), "quarantine")


def _quality(it: Translation, check: Mapping[str, Value], path: Path, column: str) -> None:
    it.only(check, path, _QUALITY)
    if check.get("type") == "text":
        return
    if check.get("type", "library") != "library":
        it.refuse(
            (*path, "type"),
            check.get("type"),
            "library or text: Driftloop runs no SQL and no other tool's checks",
        )
        return
    operators = sorted(_OPERATORS & check.keys())
    for more in operators[1:]:
        it.refuse(
            (*path, more), check[more], f"one limit beside {operators[0]}; write a second check for the other"
        )
    named = str(check.get("metric") or check.get("rule"))
    metric = _OLDER_NAMES.get(named, named)
    arguments = it.section(check.get("arguments"), (*path, "arguments"))
    action = _action(it, check, path)
    if metric == "rowCount" and not column:
        it.rule(path, action, **_count(it, check, path))
    elif metric == "nullValues" and column:
        it.rule(path, action, column=column, nulls_at_most=_share(it, check, path))
    elif metric == "duplicateValues":
        names = (column,) if column else arguments.get("properties")
        it.rule(path, action, unique=names, tolerance=_share(it, check, path) or None)
    elif metric == "invalidValues" and column:
        it.only(arguments, (*path, "arguments"), {"validValues", "pattern"})
        valid, pattern = arguments.get("validValues", check.get("validValues")), arguments.get("pattern")
        share = _share(it, check, path) or None
        for keys in ({"values": valid}, {"pattern": _anywhere(it, pattern, (*path, "arguments"))}):
            if any(value is not None for value in keys.values()):
                it.rule(path, action, column=column, tolerance=share, **keys)
        if valid is None and pattern is None:
            it.refuse(path, named, "invalidValues with arguments: validValues or pattern")
    else:
        known = "nullValues, invalidValues or duplicateValues" if column else "rowCount or duplicateValues"
        it.refuse(path, named, known)


def _count(it: Translation, check: Mapping[str, Value], path: Path) -> dict[str, Value]:
    """Rows of a drop, as bounds."""
    low, high = "rows_at_least", "rows_at_most"
    if isinstance(between := check.get("mustBeBetween"), tuple) and len(between) == 2:
        return {low: between[0], high: between[1]}
    forms = {
        "mustBe": ((low, 0), (high, 0)),
        "mustBeGreaterThan": ((low, 1),),
        "mustBeGreaterOrEqualTo": ((low, 0),),
        "mustBeLessThan": ((high, -1),),
        "mustBeLessOrEqualTo": ((high, 0),),
    }
    for operator, bounds in forms.items():
        if isinstance(number := check.get(operator), int):
            return {key: number + step for key, step in bounds}
    it.refuse(path, "rowCount", f"with one of {', '.join(sorted(_OPERATORS))}")
    return {high: 1}


def _share(it: Translation, check: Mapping[str, Value], path: Path) -> float:
    """The share of rows that may break a check; a number of rows has none, but for zero."""
    limits = [(k, check[k]) for k in ("mustBe", "mustBeLessOrEqualTo", "mustBeLessThan") if k in check]
    operator, number = limits[0] if limits else ("", None)
    percent = check.get("unit") in ("percent", "%")
    if isinstance(number, int | float) and not isinstance(number, bool):
        strict = operator == "mustBeLessThan"
        if (number == 0 and not strict) or (number == 1 and strict and not percent):
            return 0.0
        if percent and operator != "mustBe" and 0 < number <= 100:
            return math.nextafter(number / 100, 0) if strict else number / 100
    allowed = "mustBe: 0, or unit: percent with mustBeLessThan or mustBeLessOrEqualTo"
    it.refuse((*path, operator) if operator else path, number, allowed)
    return 0.0


def _promise(it: Translation, promise: Mapping[str, Value], path: Path, default: Value) -> None:
    """Latency of an element is the age of its newest time; the others promise nothing of a drop."""
    element, value = promise.get("element", default), promise.get("value")
    if promise.get("property") not in _FRESH:
        return
    if not isinstance(element, str) or "," in element:
        it.refuse((*path, "element"), element, "one element, a time column")
        return
    unit = _UNITS.get(str(promise.get("unit")))
    if unit is None or not isinstance(value, int | float):
        it.refuse((*path, "unit"), promise.get("unit"), "days, hours or minutes, with a number as value")
        return
    it.rule(path, "quarantine", column=element.rpartition(".")[2], max_age=f"{value}{unit}")
