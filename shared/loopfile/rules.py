"""What keys of a loop file must be to each other; every rule names the key that a person would change."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from shared import accounts, source_url
from shared.domain.rule import as_spelled, misfit
from shared.loopfile import batch_keys, contract, signal
from shared.loopfile.definition import MOST_READING_S, Definition, Metric
from shared.loopfile.prices import price
from shared.loopfile.yaml_lines import Path
from shared.stats.metrics import COST, METRICS, is_own


@dataclass(frozen=True)
class Finding:
    """`needs` are the other keys that the rule looked at: when one is wrong, the finding may be as well."""

    path: Path
    found: object
    allowed: str
    needs: tuple[Path, ...] = ()


Rule = Callable[[Definition], Iterator[Finding]]

# By name, since a rule also sees a metric that there is none of; what it then says is dropped.
REGRESSION = frozenset(metric.name for metric in METRICS.values() if metric.task == "regression")
LOWER_IS_BETTER = frozenset(metric.name for metric in METRICS.values() if metric.direction == "lower") | {
    COST
}
RANKING = frozenset(metric.name for metric in METRICS.values() if metric.ranks)

_ID, _TARGET, _NAME, _ON = ("data", "id"), ("data", "target"), ("metric", "name"), ("retrain", "on")


def _holdout(it: Definition) -> Iterator[Finding]:
    holdout, path, by = it.data.holdout, ("data", "holdout", "column"), ("data", "holdout", "by")
    if holdout.by != "hash" and holdout.column is None:
        yield Finding(path, None, f"a column, because data.holdout.by is {holdout.by}", (by,))
    if holdout.by == "hash" and holdout.column is not None:
        yield Finding(path, holdout.column, "no column, because data.holdout.by is hash", (by,))
    if holdout.by == "group" and holdout.column == it.data.target:
        yield Finding(path, holdout.column, "a column other than data.target", (by, _TARGET))


def _columns(it: Definition) -> Iterator[Finding]:
    data = it.data
    if data.id == data.target:
        yield Finding(_ID, data.id, "a column other than data.target", (_TARGET,))
    if data.origin is not None and data.origin.column in (data.target, data.id):
        allowed = f"a column other than data.target ({data.target}) and data.id"
        yield Finding(("data", "origin", "column"), data.origin.column, allowed, (_TARGET, _ID))
    elif data.target in data.left_out:
        yield Finding(
            ("data", "ignore"), data.ignore, f"columns other than data.target ({data.target})", (_TARGET,)
        )
    if it.drift.cluster == data.target:
        yield Finding(("drift", "cluster"), data.target, "a column other than data.target", (_TARGET,))
    judged = [name for name in it.drift.columns if name in data.left_out or name == data.id]
    if judged:
        allowed = "columns that are neither data.id nor in data.ignore"
        yield Finding(("drift", "columns"), judged, allowed, (_ID, ("data", "ignore")))
    for name in it.drift.material.columns:
        only = it.drift.columns and (*it.drift.columns, *it.drift.vectors)
        if name in (*data.left_out, data.id) or (only and name not in only):
            path, needs = ("drift", "material", "columns", name), (_ID, ("drift", "columns"))
            yield Finding(path, name, "a column that is compared, or a vector", needs)


def _returns(it: Definition) -> Iterator[Finding]:
    wanted, path = it.drift.returns, ("drift", "returns")
    if wanted is None:
        return
    if it.data.time is None:
        yield Finding(("data", "time"), None, "a column, because drift.returns needs an order", (path,))
    hidden = [
        name for name in wanted.columns if name in it.data.left_out or name in (it.data.id, it.data.time)
    ]
    if hidden:
        allowed = "columns that are neither data.id, data.time nor in data.ignore"
        yield Finding((*path, "columns"), hidden, allowed, (_ID, ("data", "ignore"), ("data", "time")))


def _labels(it: Definition) -> Iterator[Finding]:
    data, canary, path = it.data, it.canary, ("canary", "bake_labels")
    if data.label_delay is not None and data.labels is None:
        yield Finding(("data", "label_delay"), "a delay", "nothing, because there are no data.labels")
    if canary.bake_labels != "none" and data.labels is None:
        allowed = "none, because there are no data.labels"
        yield Finding(path, canary.bake_labels, allowed, (("data", "labels"),))
    elif canary.bake_labels != "none" and canary.margins.label_error is None:
        allowed = "none, because canary.margins.label_error is null, so labels decide nothing"
        yield Finding(path, canary.bake_labels, allowed, (("canary", "margins"),))
    elif canary.bake_labels != "none" and not canary.bake_minutes:
        allowed = "none, because canary.bake_minutes is 0"
        yield Finding(path, canary.bake_labels, allowed, (("canary", "bake_minutes"),))


def _checks(it: Definition) -> Iterator[Finding]:
    if it.drift.checks and not it.drift.enabled:
        allowed = "nothing, because drift.enabled is false"
        yield Finding(("drift", "checks"), list(it.drift.checks), allowed, (("drift", "enabled"),))


def _places(it: Definition) -> Iterator[Finding]:
    data = it.data
    if data.source is not None and accounts.split(data.landing)[0]:
        allowed = "a place in Driftloop's own storage account, because data.source writes there"
        yield Finding(("data", "landing"), data.landing, allowed, (("data", "source"),))
    if data.labels is None:
        return
    labels, landing = (f"{place.rstrip('/')}/" for place in (data.labels, data.landing))
    if labels.startswith(landing) or landing.startswith(labels):
        allowed = f"a place outside data.landing ({data.landing})"
        yield Finding(("data", "labels"), data.labels, allowed, (("data", "landing"),))
    if data.id is None:
        yield Finding(_ID, None, "a column, because data.labels are joined by it")


def _complete(it: Definition) -> Iterator[Finding]:
    complete, path = it.data.complete, ("data", "complete")
    if complete is not None and (complete.quiet is None) == (complete.manifest is None):
        found = "neither quiet nor manifest" if complete.quiet is None else "both of quiet and manifest"
        yield Finding(path, found, "one of quiet and manifest")


def _persistence(it: Definition) -> Iterator[Finding]:
    wanted = it.drift.persistence
    if wanted.breaches > wanted.of:
        path = ("drift", "persistence")
        allowed = f"at most drift.persistence.of ({wanted.of})"
        yield Finding((*path, "breaches"), wanted.breaches, allowed, ((*path, "of"),))


def _metric(it: Definition) -> Iterator[Finding]:
    metric = it.metric
    if metric is None:
        if "on" in it.retrain.model_fields_set and "metric" in it.retrain.on:
            allowed = "metric only with a section metric, which says what is measured"
            yield Finding(_ON, "metric", allowed, (("metric",),))
        return
    if not metric.is_judged:
        if "on" in it.retrain.model_fields_set and "metric" in it.retrain.on:
            allowed = "metric only with metric.worse_by, at_least or at_most; else it is measured and never breached"
            yield Finding(_ON, "metric", allowed, (("metric",),))
    elif metric.at_least is not None and metric.at_most is not None:
        yield Finding(("metric",), "both of at_least and at_most", "one of them, or neither")
    elif _lower(metric) and metric.at_least is not None:
        yield Finding(
            ("metric", "at_least"),
            metric.at_least,
            f"at_most, because lower is better for {metric.name}",
            (_NAME,),
        )
    elif not _lower(metric) and metric.at_most is not None:
        yield Finding(
            ("metric", "at_most"),
            metric.at_most,
            f"at_least, because higher is better for {metric.name}",
            (_NAME,),
        )
    for rule in (_positive, _costs, _own, _estimate, _task):
        yield from rule(it, metric)


def _lower(metric: Metric) -> bool:
    return metric.better == "lower" if is_own(metric.name) else metric.name in LOWER_IS_BETTER


def _own(it: Definition, metric: Metric) -> Iterator[Finding]:
    better, span = ("metric", "better"), ("metric", "range")
    if not is_own(metric.name):
        for path, value in ((better, metric.better), (span, metric.range)):
            if value is not None:
                yield Finding(
                    path, value, f"nothing, because {metric.name} is no function of metrics.py", (_NAME,)
                )
        return
    if metric.better is None:
        yield Finding(better, None, f"higher or lower, because only you know it of {metric.name}", (_NAME,))
    if metric.range is not None and metric.range[0] >= metric.range[1]:
        yield Finding(span, metric.range, "the least first, then the most")
    if metric.positive is not None and it.data.task == "regression":
        allowed = "nothing, because data.task is regression"
        yield Finding(("metric", "positive"), metric.positive, allowed, (("data", "task"),))
    if "margin" not in it.gate.model_fields_set:
        yield Finding(("gate", "margin"), None, f"a number in the units of {metric.name}", (_NAME,))


def _positive(it: Definition, metric: Metric) -> Iterator[Finding]:
    path = ("metric", "positive")
    if metric.positive is not None and metric.name not in RANKING and not is_own(metric.name):
        yield Finding(path, metric.positive, f"nothing, because {metric.name} looks for no class", (_NAME,))
    if metric.positive is None and metric.name == "average_precision":
        allowed = "the class that is looked for, because average_precision depends on which"
        yield Finding(path, None, allowed, (_NAME,))


def _costs(it: Definition, metric: Metric) -> Iterator[Finding]:
    path = ("metric", "costs")
    costed = is_own(metric.name) and bool(metric.costs)
    if costed and (metric.range is None or metric.positive is not None or it.data.task == "regression"):
        allowed = (
            "costs only of a function with metric.range and without metric.positive, of a classifier: it gets one of "
            "each row"
        )
        yield Finding(path, dict(metric.costs), allowed, (_NAME,))
        return
    if metric.name != COST and not costed:
        if metric.costs:
            yield Finding(path, dict(metric.costs), f"nothing, because {metric.name} has no costs", (_NAME,))
        return
    if metric.name == COST and "margin" not in it.gate.model_fields_set:
        yield Finding(("gate", "margin"), None, "a number in the units of metric.costs", (_NAME,))
    classes = dict.fromkeys([*metric.costs, *(name for row in metric.costs.values() for name in row)])
    if len(classes) < 2:
        yield Finding(path, dict(metric.costs), "a row for each class, of two classes or more", (_NAME,))
    for truth in classes:
        row = metric.costs.get(truth, {})
        if left_out := [name for name in classes if name != truth and name not in row]:
            found = dict(row) if truth in metric.costs else None
            yield Finding(
                (*path, truth), found, f"also what it costs to answer {', '.join(left_out)}", (path,)
            )
        right = row.get(truth, 0.0)
        for name in (name for name, cost in row.items() if cost < right):
            allowed = f"at least {right:g}, which the right answer costs"
            yield Finding((*path, truth, name), row[name], allowed, (path,))


def _estimate(it: Definition, metric: Metric) -> Iterator[Finding]:
    path = ("metric", "estimate")
    if not metric.estimate:
        return
    if it.drift.served is None:
        yield Finding(
            path, True, "true only with drift.served, whose inputs it is about", (("drift", "served"),)
        )
    if is_own(metric.name) and (metric.range is None or it.data.task == "regression"):
        allowed = (
            f"false, because {metric.name} cannot be estimated without labels; a function with metric.range can, "
            "of a classifier"
        )
        yield Finding(path, True, allowed, (_NAME, ("metric", "range")))
    elif metric.name == "r2":
        allowed = "false, because r2 cannot be estimated without labels; every other metric of the box can"
        yield Finding(path, True, allowed, (_NAME,))


def _task(it: Definition, metric: Metric) -> Iterator[Finding]:
    task = it.data.task
    if is_own(metric.name) or task == "auto" or (metric.name in REGRESSION) == (task == "regression"):
        return
    yield Finding(
        _NAME, metric.name, f"a metric of a {task}, because data.task is {task}", (("data", "task"),)
    )


def _retrain(it: Definition) -> Iterator[Finding]:
    retrain = it.retrain
    if "on" not in retrain.model_fields_set:
        return
    for reason, key, value in (
        ("schedule", "schedule", retrain.schedule),
        ("alert", "alerts", retrain.alerts),
    ):
        if reason in retrain.on and not value:
            yield Finding(_ON, reason, f"{reason} only with retrain.{key}", (("retrain", key),))
        if reason not in retrain.on and value:
            yield Finding(("retrain", key), value, f"nothing, because retrain.on leaves {reason} out", (_ON,))
    if "served" in retrain.on and it.drift.served is None:
        yield Finding(_ON, "served", "served only with drift.served", (("drift", "served"),))
    judged = it.metric is not None and it.metric.is_judged
    if "estimate" in retrain.on and not (judged and it.metric is not None and it.metric.estimate):
        allowed = "estimate only with metric.estimate: true and metric.worse_by, at_least or at_most"
        yield Finding(_ON, "estimate", allowed, (("metric", "estimate"),))
    if "drift" in retrain.on and not it.drift.enabled:
        yield Finding(_ON, "drift", "drift only when drift.enabled is true", (("drift", "enabled"),))


def _parity(it: Definition) -> Iterator[Finding]:
    wanted, path = it.gate.parity, ("gate", "parity")
    if wanted is None:
        return
    if not wanted.limits:
        allowed = "one of selection_rate, true_positive_rate and false_positive_rate"
        yield Finding(path, "no limit", allowed, ((*path, "by"), (*path, "positive")))
    if it.data.task == "regression" or (it.metric is not None and it.metric.name in REGRESSION):
        yield Finding(
            path, "parity", "nothing, because a number is predicted, and parity counts classes", (_NAME,)
        )
    if hidden := [name for name in wanted.by if name == it.data.target]:
        yield Finding((*path, "by"), hidden, "columns other than data.target", (_TARGET,))


def _canary(it: Definition) -> Iterator[Finding]:
    step = it.canary.step
    if step.max_hours * 60 < step.minutes:
        path = ("canary", "step")
        allowed = f"at least canary.step.minutes ({step.minutes:g} minutes)"
        yield Finding((*path, "max_hours"), step.max_hours, allowed, ((*path, "minutes"),))


def _instances(it: Definition) -> Iterator[Finding]:
    fewest, path, most = it.canary.instances, ("canary", "instances"), ("serve", "instance_count")
    if fewest is None:
        return
    if it.serve.autoscale is not None:
        allowed = "nothing, beside serve.autoscale: a challenger begins as large as what serves"
        yield Finding(path, fewest, allowed, (("serve", "autoscale"),))
    elif fewest > it.serve.instance_count:
        allowed = f"at most serve.instance_count ({it.serve.instance_count})"
        yield Finding(path, fewest, allowed, (most,))


def _autoscale(it: Definition) -> Iterator[Finding]:
    wanted, path, count = it.serve.autoscale, ("serve", "autoscale"), ("serve", "instance_count")
    if wanted is None:
        return
    if "instance_count" in it.serve.model_fields_set:
        yield Finding(count, it.serve.instance_count, "nothing, beside serve.autoscale", (path,))
    if wanted.min >= wanted.max:
        allowed = f"more than serve.autoscale.min ({wanted.min})"
        yield Finding((*path, "max"), wanted.max, allowed, ((*path, "min"),))
    if 2 * wanted.cpu_below > wanted.cpu_above:
        allowed = f"at most half of serve.autoscale.cpu_above ({wanted.cpu_above:g}), or it would come back"
        yield Finding((*path, "cpu_below"), wanted.cpu_below, allowed, ((*path, "cpu_above"),))


def _batch(it: Definition) -> Iterator[Finding]:
    for path, found, allowed in batch_keys.faults(it):
        yield Finding(path, found, allowed, (("serve", "type"),))


def _signals(it: Definition) -> Iterator[Finding]:
    for number, key, found, allowed in signal.faults(it.canary.signals):
        path = ("canary", "signals", number)
        yield Finding((*path, key) if key else path, found, allowed)


def _prices(it: Definition) -> Iterator[Finding]:
    """A budget in money would be blind to a machine without a price."""
    budget = it.retrain.budget
    if budget.money_per_day is None and budget.money_per_month is None:
        return
    for path, size in (
        (("cost", "node"), it.cost.node),
        (("serve", "instance_type"), it.serve.instance_type),
    ):
        if price(it.cost, size) is None:
            allowed = f"a size with a price an hour in {it.cost.currency}: cost.prices: {{{size}: …}}"
            yield Finding(
                path, size, allowed, (("cost", "prices"), ("cost", "currency"), ("retrain", "budget"))
            )


def _contract_rules(it: Definition) -> Iterator[tuple[Path, contract.Rule]]:
    """Each rule with its place. Where another key is wrong, the rules are not made yet, though sound."""
    given: tuple[object, ...] = it.data.contract
    for number, rule in enumerate(given):
        if rule is not None:
            yield ("data", "contract", number), contract.Rule.model_validate(rule)


def _contract(it: Definition) -> Iterator[Finding]:
    for path, rule in _contract_rules(it):
        for key, found, allowed in contract.faults(rule):
            yield Finding((*path, key) if key else path, found, allowed)


def rules_on_columns(it: Definition, columns: Mapping[str, str]) -> Iterator[Finding]:
    """Rules of the contract that the columns of the loop's newest version do not fit."""
    for path, rule in _contract_rules(it) if columns else ():
        if (found := misfit(as_spelled(rule.plain, columns), columns)) is None:
            continue
        name, kind = found
        if kind:
            yield Finding(path, rule.notation, f"a rule that fits column {name}, which is {kind}")
        else:
            close = difflib.get_close_matches(name, columns, n=1)
            meant = f"did you mean {close[0]}? " if close else ""
            yield Finding(path, name, f"{meant}columns of the newest version: {', '.join(columns)}")


def _people(it: Definition) -> Iterator[Finding]:
    approval = ("canary", "approval")
    if it.people is not None and it.people.two_persons and it.canary.approval == "none":
        allowed = "before_canary or before_promotion, because people.two_persons counts approvals"
        yield Finding(approval, it.canary.approval, allowed, (("people", "two_persons"),))


def _time(it: Definition) -> Iterator[Finding]:
    most, why = MOST_READING_S, "because a function of the app works for no longer than 480 s"
    if it.data.limits.seconds > most:
        yield Finding(("data", "limits", "seconds"), it.data.limits.seconds, f"at most {most:g}, {why}")
    if it.data.source is not None and it.data.source.timeout.total_seconds() > most:
        yield Finding(("data", "source", "timeout"), it.data.source.timeout, f"at most {most:g}s, {why}")


def _reader(it: Definition) -> Iterator[Finding]:
    if it.data.reader == "spark" and it.drift.returns is not None:
        allowed = "auto or function, because returns need all rows in their order at once"
        yield Finding(("data", "reader"), "spark", allowed, (("drift", "returns"),))


def _environments(it: Definition) -> Iterator[Finding]:
    path, names = ("train", "only_in"), tuple(it.environments)
    if it.train.only_in is not None and it.train.only_in not in names:
        allowed = f"one of environments: {', '.join(names) or 'there are none'}"
        yield Finding(path, it.train.only_in, allowed, (("environments",),))


def _source(it: Definition) -> Iterator[Finding]:
    if (source := it.data.source) is not None:
        for key, found, allowed in source_url.faults(source.url, source.values):
            yield Finding(("data", "source", key), found, allowed, (("data", "source"),))


RULES: tuple[Rule, ...] = (
    _source,
    _time,
    _reader,
    _contract,
    _holdout,
    _columns,
    _returns,
    _checks,
    _places,
    _labels,
    _complete,
    _persistence,
    _metric,
    _retrain,
    _parity,
    _canary,
    _signals,
    _people,
    _autoscale,
    _instances,
    _batch,
    _prices,
    _environments,
)
