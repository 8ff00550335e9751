"""Labels that come late find the predictions that they are about, by id: a live metric, and the canary's evidence.

A label file holds the loop's `data.id` and its target. The id is looked for in the collected inputs (a request may
bring it along; models are not shown it) and, where they have none, in the id of the collected row, which is the
request's own with the row's number behind it. A file of rows that `driftloop label-sample` chose brings a weight for
each beside its label.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from io import BytesIO
from typing import TYPE_CHECKING

from shared.domain.event import InboxRecord, InboxState
from shared.domain.loop import LoopState
from shared.domain.reason import Code, Reason, reason
from shared.domain.release import Trigger, TriggerKind
from shared.errors import InputRejected
from shared.intake import drops
from shared.intake.drops import Landing, Read
from shared.intake.rejections import quoted, rejected
from shared.loopfile.published import Published
from shared.own.measured import of_champion, own_metric
from shared.ports import Delete, Insert, Ports, Row
from shared.retraining import start
from shared.runtime.unit_of_work import Unit, update
from shared.state import rows
from shared.state.hash_chain import Draft
from shared.stats import arrival_lags

if TYPE_CHECKING:
    from shared.gate.gate_record import OwnSeen
    from shared.loopfile import Definition
    from shared.stats.metrics import OwnMetric
    from shared.verdict.metric import MetricVerdict

LOOK_BACK = timedelta(days=30)
"""Predictions that are older are not joined: labels have matured by then, or the collector's rows are gone."""

WEIGHT = "label_weight"
"""The column of a label file that says how many rows each stands for: one over its chance to be chosen."""

BATCHES = 100
"""Label files that one look reads, the newest ones."""

MOST_PREDICTIONS = 100_000

Rows = Sequence[Mapping[str, object]]
Labels = Mapping[str, object]
"""Label by id."""


@dataclass(frozen=True)
class Found:
    """Predictions of one deployment whose labels are known, of so many that were collected."""

    labels: tuple[object, ...]
    predictions: tuple[object, ...]
    collected: int
    inputs: tuple[Mapping[str, object], ...] = ()
    ids: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        return len(self.labels) / self.collected if self.collected else 0.0


def take(unit: Unit, record: InboxRecord, row: Row) -> None:
    """Read a label file, join it, and put a metric that is past its threshold to the policy, in one transaction."""
    from shared.intake import Limits, ReadSpec

    data = unit.published().definition.data
    origin = ReadSpec.origin_of(data)
    spec = ReadSpec(
        target=data.target,
        id=data.id or "",
        format=data.format,
        limits=Limits.of(data.limits),
        nulls=data.nulls,
        columns=data.columns,
        hints=drops.hints(unit),
        only=tuple(name for name in (data.target, data.id, WEIGHT, origin.get("origin")) if name),
        **origin,
    )
    drops.read(Landing(unit, record, row), spec, _keep)


def _keep(landing: Landing, read: Read) -> None:
    unit, record, published = landing.unit, landing.record, landing.unit.published()
    data = published.definition.data
    if missing := [name for name in (data.id, data.target) if name not in read.reading.columns]:
        raise InputRejected(
            Code.MISSING_COLUMN, f"labels need the columns {data.id} and {data.target}; {missing} missing"
        )
    found = _labels(unit.ports, read.path, str(data.id), data.target)
    weighed = WEIGHT in read.reading.columns
    worth = _weights(unit.ports, read.path, str(data.id), found) if weighed else {}
    collected = _collected(unit, published.definition)
    seen, verdict = _judged(unit, published, found, collected, worth)
    unit_state = _with_lags(unit, published.definition, found, collected, read.blob.created_at)
    served, was = _estimates_checked(unit, found, worth)
    unit_state = replace(unit_state, served=served)
    if own := read.reading.own_labels:
        seen = replace(seen, because=(*seen.because, reason(Code.LABELS_OWN, labels=own)))
    seen = replace(seen, facts={"rows": read.reading.rows, **seen.facts}, because=(*seen.because, *was))
    trigger = Trigger(TriggerKind.METRIC, seen, "driftloop", record.key, unit.ports.clock.now())
    outcome = start.answer(unit, unit_state, [trigger] if verdict and verdict.breached else [])
    entry = Draft(
        "labels.joined",
        f"{read.blob.container}/{read.blob.name}",
        "driftloop",
        record.key,
        before=record.state.value,
        after=InboxState.DONE.value,
        detail={"verdict": seen, "decision": outcome.reason or reason(Code.NO_TRIGGER)},
    )
    unit.commit(
        outcome.state,
        [entry, *outcome.drafts],
        [
            update(landing.row, replace(record, state=InboxState.DONE, reason=seen)),
            Delete(rows.todo_key(record)),
            Insert(rows.labels_key(record.received_at, record.key), json.dumps({"path": read.path})),
            *outcome.changes,
        ],
    )


def _estimates_checked(
    unit: Unit, labels: Labels, worth: Mapping[str, float]
) -> tuple[str, tuple[Reason, ...]]:
    """What these labels say of the windows whose metric was estimated: the windows as they are kept then, and the
    newest that was checked."""
    from shared.verdict import served_inputs

    champion, kept = unit.state.champion, served_inputs.windows(unit.ports.documents, unit.state)
    if champion is None or not served_inputs.estimates(kept, champion.release):
        return unit.state.served, ()
    after = [served_inputs.with_labels(unit.ports.documents, w, labels, worth) for w in kept]
    told = [served_inputs.estimate_was(new) for new, old in zip(after, kept, strict=True) if new != old]
    if not told:
        return unit.state.served, ()
    return unit.ports.documents.put(served_inputs.written(after)), (told[-1],)


def _collected(unit: Unit, definition: Definition) -> Rows:
    """What the champion answered of late; nothing where no model serves."""
    champion, now = unit.state.champion, unit.ports.clock.now()
    if champion is None:
        return ()
    return unit.ports.evidence.predictions(
        definition.serve.endpoint,
        champion.deployment,
        max(champion.live_at, now - LOOK_BACK),
        now,
        limit=MOST_PREDICTIONS,
        id=str(definition.data.id),
    )


def _with_lags(
    unit: Unit, definition: Definition, found: Labels, collected: Rows, arrived_at: datetime
) -> LoopState:
    """How long these labels took, each counted when it first comes: a file may bring those of files before again."""
    before = known(unit, definition, unit.ports.clock.now() - LOOK_BACK) if found and collected else {}
    fresh = {name: label for name, label in found.items() if name not in before}
    lags = [
        arrived_at - datetime.fromisoformat(str(each["time"]))
        for each in collected
        if label_of(each, fresh, str(definition.data.id)) is not None
    ]
    return (
        replace(unit.state, label_lags=arrival_lags.added(unit.state.label_lags, lags))
        if lags
        else unit.state
    )


def maturity(state: LoopState, definition: Definition) -> timedelta | None:
    """How long after a prediction its label has come: as the loop file says, else as seen; None: nobody knows."""
    return definition.data.label_delay or arrival_lags.mature_after(state.label_lags)


def _judged(
    unit: Unit, published: Published, labels: Labels, collected: Rows, worth: Mapping[str, float]
) -> tuple[Reason, MetricVerdict | None]:
    """What these labels say about the champion: these alone, so that every label file is a sample of its own."""
    from shared.stats.metrics import metric_of
    from shared.verdict import threshold
    from shared.verdict.label_slices import by_slice
    from shared.verdict.metric import judge_metric
    from shared.verdict.task import task_of, trained_classes

    champion, definition = unit.state.champion, published.definition
    if champion is None:
        return reason(Code.LABELS_NO_MODEL), None
    found = join(collected, labels, str(definition.data.id))
    seen = reason(
        Code.LABELS_JOINED,
        rows=len(labels),
        joined=len(found.labels),
        collected=found.collected,
        share=found.share,
        release=champion.release,
    )
    wanted = definition.metric
    if wanted is None or not found.labels:
        return seen, None
    own = own_metric(published, task_of(unit, definition))
    metric = metric_of(wanted.name, wanted.costs, own)
    if metric.of_probabilities or (own and own.positive):
        # the collector keeps predictions, not what was stated with them
        return replace(seen, because=(reason(Code.LABELS_NEED_PROBABILITIES, metric=wanted.name),)), None
    given = _own_seen(published, own, found) if own else None
    weights = [worth.get(id, 1.0) for id in found.ids] if worth else None
    verdict = judge_metric(
        found.labels,
        found.predictions,
        metric,
        threshold.of_champion(unit, published),
        classes=trained_classes(unit.ports, champion.profile, definition.data.target) or (),
        seen=given,
        confidence=wanted.confidence,
        worth=weights,
    )
    answers = found.labels, found.predictions
    parts = by_slice(definition, metric, found.inputs, *answers, seen=given, worth=weights)
    return replace(seen, because=(verdict.reason, *parts)), verdict


def _own_seen(published: Published, own: OwnMetric, found: Found) -> OwnSeen | None:
    import pandas as pd

    from shared.verdict.predictions import Predictions
    from shared.verdict.served_rows import plain

    answers = Predictions(found.predictions, (), ())
    rows = pd.DataFrame([{plain(name): plain(value) for name, value in row.items()} for row in found.inputs])
    return of_champion(published, own, found.labels, answers, rows, two=False)


def join(collected: Rows, labels: Labels, id: str) -> Found:
    """The predictions whose label is known."""
    known = [
        (label, each["output"], each.get("inputs"), _name(each, id))
        for each in collected
        if (label := label_of(each, labels, id)) is not None
    ]
    labelled, said, given, ids = zip(*known, strict=True) if known else ((), (), (), ())
    inputs = tuple(one if isinstance(one, Mapping) else {} for one in given)
    return Found(labelled, said, len(collected), inputs, ids)


def label_of(collected: Mapping[str, object], labels: Labels, id: str) -> object | None:
    """The label of one collected row; None when it is not known, or the output is nothing to hold it against."""
    output = collected.get("output")
    return None if output is None or isinstance(output, dict | list) else labels.get(_name(collected, id))


def _name(collected: Mapping[str, object], id: str) -> str:
    from shared.stats.metrics import class_name

    inputs = collected.get("inputs")
    named = inputs.get(id) if isinstance(inputs, Mapping) else None
    return class_name(named if named is not None else collected.get("id"))


def known(unit: Unit, definition: Definition, since: datetime) -> Labels:
    """Labels that have come in after `since`, which no prediction's label can have come before; the newest counts."""
    data, found = definition.data, dict[str, object]()
    if data.labels is None or data.id is None:
        return found
    batches = unit.ports.store.range(unit.loop, "labels-", limit=BATCHES)
    recent = [row for row in batches if row.key < rows.labels_key(since, "")]
    for row in reversed(recent):
        found.update(_labels(unit.ports, json.loads(row.doc)["path"], data.id, data.target))
    return found


def _labels(ports: Ports, path: str, id: str, target: str) -> Labels:
    import pandas as pd

    from shared.stats.metrics import class_name

    found: dict[str, object] = {}
    for part in ports.versions.list(f"{path}/"):
        frame = pd.read_parquet(BytesIO(ports.versions.read(part)), columns=[id, target]).dropna()
        found.update(zip(map(class_name, frame[id]), frame[target].tolist(), strict=True))
    return found


def _weights(ports: Ports, path: str, id: str, labels: Labels) -> dict[str, float]:
    """The weight of each labelled row; the file is rejected where one has none."""
    import pandas as pd

    from shared.stats.metrics import class_name

    found: dict[str, float] = {}
    for part in ports.versions.list(f"{path}/"):
        frame = pd.read_parquet(BytesIO(ports.versions.read(part)), columns=[id, WEIGHT])
        weights = pd.to_numeric(frame[WEIGHT], errors="coerce")
        found.update(zip(map(class_name, frame[id]), map(float, weights), strict=True))
    kept = {name: found[name] for name in labels}
    if bad := [name for name, weight in kept.items() if not 0 < weight < float("inf")]:
        raise rejected(
            Code.LABEL_WEIGHT,
            f"{len(bad)} labelled rows have no {WEIGHT} above 0, for example {quoted(bad[0])}",
        )
    return kept
