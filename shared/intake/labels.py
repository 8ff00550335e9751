"""Labels that come late find the predictions that they are about, by id: a live metric, and the canary's evidence.

A label file holds the loop's `data.id` and its target. The id is looked for in the collected inputs (a request may
bring it along; models are not shown it) and, where they have none, in the id of the collected row, which is the
request's own with the row's number behind it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from shared.domain.event import InboxRecord, InboxState
from shared.domain.release import Trigger, TriggerKind
from shared.errors import InputRejected
from shared.intake import drops
from shared.loopfile.published import Published
from shared.ports import Blob, Delete, Insert, Ports, Row
from shared.retraining import policy, start
from shared.runtime.unit_of_work import Unit, update
from shared.state import rows
from shared.state.hash_chain import Draft

if TYPE_CHECKING:
    from shared.intake import Reading
    from shared.loopfile import Definition
    from shared.verdict.metric import MetricVerdict

LOOK_BACK = timedelta(days=30)
"""Predictions that are older are not joined: labels have matured by then, or the collector's rows are gone."""

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

    @property
    def words(self) -> str:
        share = len(self.labels) / self.collected if self.collected else 0.0
        return f"{len(self.labels)} of {self.collected} collected predictions ({share:.0%})"


def take(unit: Unit, record: InboxRecord, row: Row) -> None:
    """Read a label file, join it, and put a metric that is past its threshold to the policy, in one transaction."""
    from shared.intake import Limits, ReadSpec

    data = unit.published().definition.data
    spec = ReadSpec(target=data.target, id=data.id or "", format=data.format, limits=Limits.of(data.limits))
    drops.read(unit, record, row, spec, partial(_keep, unit, record, row))


def _keep(
    unit: Unit, record: InboxRecord, row: Row, blob: Blob, path: str, reading: Reading, out: Path
) -> None:
    published = unit.published()
    data = published.definition.data
    if missing := [name for name in (data.id, data.target) if name not in reading.columns]:
        raise InputRejected(
            "missing-column", f"labels need the columns {data.id} and {data.target}; {missing} missing"
        )
    words, verdict = _judged(unit, published, _labels(unit.ports, path, str(data.id), data.target))
    told = f"{reading.rows} labels: {words}"
    now = unit.ports.clock.now()
    reasons = (
        [Trigger(TriggerKind.METRIC, told, "driftloop", record.key, now)]
        if verdict and verdict.breached
        else []
    )
    newest = unit.newest_labelled()
    decision = (
        policy.decide(unit.state, reasons, published.definition, now, newest_version=newest)
        if reasons
        else None
    )
    outcome = start.apply(unit, unit.state, reasons, decision, published, now)
    entry = Draft(
        "labels.joined",
        f"{blob.container}/{blob.name}",
        "driftloop",
        record.key,
        before=record.state.value,
        after=InboxState.DONE.value,
        detail={"verdict": told, "decision": outcome.words or "no retraining: nothing asks for it"},
    )
    unit.commit(
        outcome.state,
        [entry, *outcome.drafts],
        [
            update(row, replace(record, state=InboxState.DONE, note=told)),
            Delete(rows.todo_key(record)),
            Insert(rows.labels_key(record.received_at, record.key), json.dumps({"path": path})),
            *outcome.changes,
        ],
    )


def _judged(unit: Unit, published: Published, labels: Labels) -> tuple[str, MetricVerdict | None]:
    """What these labels say of the champion: of these alone, so that every label file is a sample of its own."""
    from shared.verdict.metric import judge_metric

    champion, definition, now = unit.state.champion, published.definition, unit.ports.clock.now()
    if champion is None:
        return "no model serves yet", None
    since = max(champion.live_at, now - LOOK_BACK)
    collected = unit.ports.evidence.predictions(
        definition.serve.endpoint,
        champion.deployment,
        since,
        now,
        limit=MOST_PREDICTIONS,
        id=str(definition.data.id),
    )
    found = join(collected, labels, str(definition.data.id))
    words = f"they are about {found.words} of release {champion.release}"
    wanted = definition.metric
    if wanted is None or not found.labels:
        return words, None
    threshold = wanted.at_least if wanted.at_least is not None else wanted.at_most
    assert threshold is not None  # a rule of the loop file
    verdict = judge_metric(
        found.labels, found.predictions, wanted.name, threshold, confidence=wanted.confidence
    )
    return f"{words}; {verdict.words}", verdict


def join(collected: Rows, labels: Labels, id: str) -> Found:
    """The predictions whose label is known."""
    pairs = [
        (label, each["output"]) for each in collected if (label := label_of(each, labels, id)) is not None
    ]
    return Found(tuple(p[0] for p in pairs), tuple(p[1] for p in pairs), len(collected))


def label_of(collected: Mapping[str, object], labels: Labels, id: str) -> object | None:
    """The label of one collected row; None when it is not known, or the output is nothing to hold it against."""
    from shared.stats.metrics import class_name

    inputs, output = collected.get("inputs"), collected.get("output")
    if output is None or isinstance(output, dict | list):
        return None
    named = inputs.get(id) if isinstance(inputs, Mapping) else None
    return labels.get(class_name(named if named is not None else collected.get("id")))


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
