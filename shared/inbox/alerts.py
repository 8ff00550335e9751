"""What an alert or a model monitor reports, as plain text and numbers; nothing in it is fetched or obeyed."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

MOST_FEATURES = 200
LONGEST_NAME = 256
LONGEST_WORDS = 1024

BREACH_TAG = "azureml_modelmonitor_threshold_breached"
BREACH_TAG_OF_ROOT = "azureml.modelmonitor.threshold.breached."
"""On the monitor's root run; the signal's name follows."""

_SIGNAL = re.compile(r"[Ss]ignal '(?P<name>.{1,256}?)' has failed")
_OBJECT = re.compile(r"\{[^{}]{2,2000}\}")


def folded(content: object) -> dict[str, object]:
    """The object's fields by small-letter name; the documents and the service disagree about capitals."""
    if not isinstance(content, Mapping):
        return {}
    return {str(key).casefold(): value for key, value in content.items()}


# --- alerts of Azure Monitor ---------------------------------------------------------------------


@dataclass(frozen=True)
class AlertRaised:
    """An Azure Monitor alert that fired or was resolved, whatever its schema."""

    rule: str
    alert_id: str
    """The same when it fires and when it is resolved."""
    fired: bool
    at: str
    fired_at: str
    """Of a resolved one: when it had fired."""
    words: str


def moment(text: str, heard_at: datetime) -> datetime:
    """When an alert says that it fired; when it was heard, where it says nothing that can be read, or the future."""
    try:
        said = datetime.fromisoformat(text)
    except ValueError:
        return heard_at
    return min(said if said.tzinfo else said.replace(tzinfo=UTC), heard_at)


def read_alert(body: Mapping[str, object]) -> AlertRaised | None:
    """An alert in the common schema or in one of the older ones; None when it is neither.

    The older ones: https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-non-common-schema-definitions and,
    for log alerts, .../alerts/alerts-log-webhook (that of a Log Analytics workspace has no `schemaId`). Smart detection
    has the common schema only; classic metric alerts are retired.
    """
    outer = folded(body)
    data, schema = folded(outer.get("data")), str(outer.get("schemaid", "")).casefold()
    match schema:
        case "azuremonitorcommonalertschema":
            return _common(data)
        case "azuremonitormetricalert":
            return _older_metric(data)
        case "microsoft.insights/activitylogs":
            return _older_activity(data)
        case "microsoft.insights/logalert":
            return _older_log(data)
        case "" if "searchquery" in outer:
            return _older_log(outer)
        case _:
            return None


def _common(data: Mapping[str, object]) -> AlertRaised | None:
    essentials = data.get("essentials")
    if not isinstance(essentials, dict):
        return None
    essence = folded(essentials)
    fired_at = str(essence.get("fireddatetime") or "")
    parts = (str(essence.get("description") or ""), condition_words(data.get("alertcontext")))
    return AlertRaised(
        rule=str(essence.get("alertrule", "")),
        alert_id=str(essence.get("originalertid") or essence.get("alertid") or ""),
        fired=str(essence.get("monitorcondition", "")).casefold() == "fired",
        at=str(essence.get("resolveddatetime") or fired_at),
        fired_at=fired_at,
        words="; ".join(filter(None, parts)),
    )


def _older_metric(data: Mapping[str, object]) -> AlertRaised | None:
    context = folded(data.get("context"))
    rule, at = str(context.get("name") or ""), str(context.get("timestamp") or "")
    parts = (str(context.get("description") or ""), condition_words(context))
    identity = f"{context.get('id') or rule} {_dimensions(context)}".strip()
    fired = str(data.get("status", "")).casefold() == "activated"
    return (
        AlertRaised(rule, identity, fired, at, at if fired else "", "; ".join(filter(None, parts)))
        if rule
        else None
    )


def _dimensions(context: Mapping[str, object]) -> str:
    """Which of a rule's time series it is about: each fires and is resolved by itself."""
    criteria = folded(context.get("condition")).get("allof")
    first = folded(criteria[0]) if isinstance(criteria, list) and criteria else {}
    named = first.get("dimensions")
    pairs = [folded(each) for each in named] if isinstance(named, list) else []
    return ",".join(sorted(f"{each.get('name')}={each.get('value')}" for each in pairs))


def _older_activity(data: Mapping[str, object]) -> AlertRaised | None:
    """It does not name its rule: its operation stands for it."""
    log = folded(folded(data.get("context")).get("activitylog"))
    operation, at = str(log.get("operationname") or ""), str(log.get("eventtimestamp") or "")
    identity = str(log.get("eventdataid") or log.get("correlationid") or operation)
    fired = str(data.get("status", "")).casefold() == "activated"
    return AlertRaised(operation, identity, fired, at, at, condition_words(log)) if operation else None


def _older_log(data: Mapping[str, object]) -> AlertRaised | None:
    """It has no state: each is a firing, and none is ever resolved."""
    rule, at = str(data.get("alertrulename") or ""), str(data.get("searchintervalendtimeutc") or "")
    words = condition_words(
        {
            "searchquery": data.get("searchquery"),
            "resultcount": data.get("resultcount"),
            "operator": data.get("alertthresholdoperator"),
            "threshold": data.get("alertthresholdvalue"),
        }
    )
    parts = (str(data.get("description") or ""), words)
    return AlertRaised(rule, rule, True, at, at, "; ".join(filter(None, parts))) if rule else None


def condition_words(context: object) -> str:
    """What an alert of the common schema was about: metric, log query (new and old), activity log."""
    fields = folded(context)
    condition = folded(fields.get("condition"))
    criteria = condition.get("allof")
    if isinstance(criteria, list) and criteria:
        return "; ".join(filter(None, map(_criterion, criteria[:5])))[:LONGEST_WORDS]
    if "searchquery" in fields:
        return (
            f"a log query gave {_short(fields.get('resultcount'))} rows "
            f"({_short(fields.get('operator'))} {_short(fields.get('threshold'))})"
        )
    if summary := fields.get("detectionsummary"):
        return str(summary)[:LONGEST_WORDS]
    if "operationname" in fields:
        return f"{_short(fields['operationname'])} {_short(fields.get('status'))}".strip()
    return ""


def _criterion(one: object) -> str:
    fields = folded(one)
    what = fields.get("metricname") or fields.get("metricmeasurecolumn") or fields.get("searchquery")
    if what is None:
        return ""
    dimensions = fields.get("dimensions")
    named = [folded(each) for each in dimensions[:5]] if isinstance(dimensions, list) else []
    where = ", ".join(f"{_short(each.get('name'))} {_short(each.get('value'))}" for each in named)
    limit = fields.get("threshold")
    compared = f" ({_short(fields.get('operator'))} {_short(limit)})" if limit is not None else ""
    return f"{_short(what)} was {_short(fields.get('metricvalue'))}{compared}" + (
        f" for {where}" if where else ""
    )


def _short(value: object) -> str:
    return "" if value is None else str(value)[:120]


# --- breaches of Azure ML's model monitor --------------------------------------------------------


@dataclass(frozen=True)
class FeatureBreach:
    """One number of a monitor that crossed its threshold. `feature` is empty for a signal about the whole model."""

    feature: str
    metric: str
    value: float | None
    threshold: float | None

    def __str__(self) -> str:
        what = f"{self.feature}: {self.metric}" if self.feature else self.metric
        return f"{what} {_number(self.value)} (threshold {_number(self.threshold)})"


@dataclass(frozen=True)
class SignalBreach:
    """One signal of a monitor, with what its text holds."""

    signal: str
    features: tuple[FeatureBreach, ...]


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"


def breaches(tags: object) -> tuple[SignalBreach, ...]:
    """The breaches in a run's tags, each signal once; nothing for a run that is not a breaching monitor's."""
    found: dict[str, SignalBreach] = {}
    for key, text in folded(tags).items():
        signal = ""
        if key.startswith(BREACH_TAG_OF_ROOT):
            signal = key.removeprefix(BREACH_TAG_OF_ROOT)
        elif key != BREACH_TAG:
            continue
        breach = read_breach(str(text), signal)
        found.setdefault(breach.signal.casefold(), breach)
    return tuple(found[name] for name in sorted(found))


def read_breach(text: str, signal: str = "") -> SignalBreach:
    """A monitor's text in numbers. A text that was cut off gives the numbers that are whole."""
    named = _SIGNAL.search(text)
    name = (named["name"] if named else signal or "unnamed")[:LONGEST_NAME]
    features = []
    for document in _documents(text):
        fields = folded(document)
        if "metric_name" not in fields:
            continue
        group = fields.get("group")
        features.append(
            FeatureBreach(
                feature="" if group is None else str(group)[:LONGEST_NAME],
                metric=str(fields["metric_name"])[:LONGEST_NAME],
                value=_float(fields.get("metric_value")),
                threshold=_float(fields.get("threshold_value")),
            )
        )
        if len(features) == MOST_FEATURES:
            break
    return SignalBreach(name, tuple(features))


def _documents(text: str) -> Iterator[object]:
    """The monitor prints a Python list of JSON texts; where that is damaged, whole objects are looked for."""
    begin, end = text.find("["), text.rfind("]")
    try:
        listed = ast.literal_eval(text[begin : end + 1]) if 0 <= begin < end else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        listed = None
    parts = listed if isinstance(listed, list) else _OBJECT.findall(text)
    for part in parts:
        try:
            yield json.loads(part) if isinstance(part, str) else part
        except (ValueError, RecursionError):
            continue


def _float(value: object) -> float | None:
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None
