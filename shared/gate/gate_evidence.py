"""The gate's evidence: champion and challenger asked for the same holdout rows, which neither has seen."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared.domain.reason import Reason
from shared.domain.release import Judgement, JudgementKind, Outcome, Release, TriggerKind
from shared.errors import InvariantBroken
from shared.gate import golden_answers, holdout
from shared.gate.own_evidence import functions_seen, own_seen
from shared.gate.slice_names import slice_edges, slice_names
from shared.loopfile.published import Published
from shared.own import source_text
from shared.own.measured import own_metric
from shared.release import explanation
from shared.release.document import Document, store
from shared.release.observations import GateSeen
from shared.runtime.unit_of_work import Unit
from shared.verdict import predictions
from shared.verdict.predictions import Predictions
from shared.verdict.task import (
    Task,
    metric_name,
    positive_class,
    scored_classes,
    task_of,
    trained_classes,
)

if TYPE_CHECKING:
    import pandas as pd

    from shared.gate.gate_judge import GateEvidence, GatePolicy, GateRecord
    from shared.gate.smoke import SmokeEvidence, SmokePolicy
    from shared.loopfile import Definition
    from shared.stats.metrics import OwnMetric

log = logging.getLogger(__name__)


def measure(unit: Unit, release: Release, published: Published) -> GateSeen:
    """Ask both deployments, judge, and store what was judged, so that the verdict can be had again."""
    from shared.gate.gate_judge import GateRecord, judge_gate

    definition = published.definition
    frame, drawn = holdout.rows(unit, release, definition)
    asked = predictions.features(frame, definition)
    serve, stamp = definition.serve, f"gate-{release.job_name}"
    challenger = predictions.predict(unit.ports, serve, release.deployment, asked, stamp)
    answers = [*challenger.answers, *golden_answers.asked(unit, release, definition)]
    task = task_of(unit, definition)
    trained_on = trained_classes(unit.ports, release.profile, definition.data.target)
    classes = _classes(frame, definition, trained_on, task)
    judged = [_smoke(unit, answers, _smoke_policy(classes))]
    if judged[0].outcome is Outcome.PASS and not release.ungated:
        champion = (
            predictions.predict(unit.ports, serve, release.champion.deployment, asked, stamp)
            if release.champion
            else None
        )
        own = own_metric(published, task)
        policy = gate_policy(release, definition, metric_name(unit, definition), classes.all, own)
        evidence = _with_scores(
            _evidence(frame, definition, challenger, champion, classes), policy, challenger, champion
        )
        evidence = replace(evidence, drawn=drawn, probabilities=_for_estimates(definition, challenger))
        models = [challenger, champion] if champion else [challenger]
        evidence = _with_own_code(evidence, policy, published, frame, models)
        verdict = judge_gate(evidence, policy)
        record = GateRecord(evidence, policy, verdict)
        judged.append(_stored(unit, JudgementKind.GATE, verdict.outcome, verdict.reasons, record))
    return GateSeen(tuple(judged), *explanation.of(unit, release))


def recorded(unit: Unit, release: Release) -> GateRecord | None:
    """What was stored of the release's gate; None where it has not passed one."""
    from shared.gate.gate_judge import GateRecord

    judged = release.judgement(JudgementKind.GATE)
    if judged is None:
        return None
    return GateRecord.from_dict(json.loads(unit.ports.documents.get(judged.evidence)))


def known(unit: Unit, release: Release) -> GateRecord | None:
    """As `recorded`; None also where the evidence is lost: a version is judged all the same."""
    try:
        return recorded(unit, release)
    except (InvariantBroken, ValueError) as error:
        log.warning("the gate's evidence cannot be read", extra={"loop": unit.loop, "error": str(error)})
        return None


def row_ids(frame: pd.DataFrame, definition: Definition) -> tuple[str, ...]:
    return tuple((frame[definition.data.id] if definition.data.id else frame.index.to_series()).astype(str))


def _for_estimates(definition: Definition, said: Predictions) -> tuple[dict[str, float | None], ...]:
    stated = [one for one in said.probabilities if isinstance(one, dict)]
    if definition.metric is None or not definition.metric.estimate or len(stated) != len(said.values):
        return ()
    return tuple({str(name): predictions.probability(p) for name, p in one.items()} for one in stated)


def _smoke(unit: Unit, answers: list[SmokeEvidence], policy: SmokePolicy) -> Judgement:
    from shared.gate.smoke import SmokeRecord, judge_smoke

    smoke = judge_smoke(answers, policy)
    outcome = Outcome.PASS if smoke.passed else Outcome.FAIL
    record = SmokeRecord(tuple(answers), policy, smoke)
    return _stored(unit, JudgementKind.SMOKE, outcome, smoke.reasons, record)


def gate_policy(
    release: Release, definition: Definition, metric: str, classes: Sequence[str], own: OwnMetric | None
) -> GatePolicy:
    """The loop's gate. A challenger that is to fix a breached metric must be better, not merely as good."""
    from shared.gate.gate_judge import GatePolicy, ParityPolicy, SlicePolicy

    gate = definition.gate
    breached = any(trigger.kind is TriggerKind.METRIC for trigger in release.triggers)
    slices, parity = gate.slices, gate.parity
    return GatePolicy(
        metric=metric,
        margin=gate.margin,
        superiority=breached if gate.superiority == "auto" else gate.superiority is True,
        floor=gate.floor,
        confidence=gate.confidence,
        calibration=gate.calibration,
        slices=SlicePolicy(tuple(slices.by), slices.floor, slices.min_rows, slices.margin)
        if slices
        else None,
        parity=ParityPolicy(tuple(parity.by), parity.positive, parity.limits, parity.min_rows)
        if parity
        else None,
        positive=own.positive if own else positive_class(metric, definition, classes),
        costs=definition.metric.costs if definition.metric else {},
        own=own,
        functions=gate.functions,
    )


def _evidence(
    frame: pd.DataFrame,
    definition: Definition,
    challenger: Predictions,
    champion: Predictions | None,
    classes: Classes,
) -> GateEvidence:
    from shared.gate.gate_judge import GateEvidence

    data, gate = definition.data, definition.gate
    columns = dict.fromkeys(
        (*(gate.slices.by if gate.slices else ()), *(gate.parity.by if gate.parity else ()))
    )
    edges = {by: found for by in columns if (found := slice_edges(frame[by]))}
    return GateEvidence(
        ids=row_ids(frame, definition),
        y_true=tuple(frame[data.target].tolist()),
        challenger=challenger.values,
        champion=champion.values if champion else None,
        slices={by: slice_names(frame[by], edges.get(by, ())) for by in columns},
        slice_edges=edges,
        malformed=challenger.problems,
        stated=challenger.stated,
        known_classes=classes.all,
    )


def _with_scores(
    evidence: GateEvidence, policy: GatePolicy, challenger: Predictions, champion: Predictions | None
) -> GateEvidence:
    """For a metric of probabilities, what each model stated for the class that matters in each row."""
    classes = scored_classes(policy.metric, evidence.y_true, policy.positive)
    if classes is None:
        return evidence
    two = len(evidence.known_classes) == 2
    return replace(
        evidence,
        scores=challenger.of(classes, two=two),
        champion_scores=champion.of(classes, two=two) if champion else None,
    )


def _with_own_code(
    evidence: GateEvidence,
    policy: GatePolicy,
    published: Published,
    frame: pd.DataFrame,
    models: Sequence[Predictions],
) -> GateEvidence:
    """With what the loop's own code says of these rows, where it has any that is to be asked."""
    if policy.own:
        rows = frame.drop(columns=[published.definition.data.target])
        code = published.code[source_text.METRICS_FILE]
        evidence = replace(evidence, own=own_seen(code, evidence, policy, models, rows))
    if policy.functions:
        code = published.code[source_text.CHECKS_FILE]
        evidence = replace(evidence, functions=functions_seen(code, evidence, policy, frame))
    return evidence


@dataclass(frozen=True)
class Classes:
    """Of the target: every class of training or holdout, by name; and whether training's are known to be all there."""

    task: Task
    all: tuple[str, ...]
    closed: bool


def _classes(frame: pd.DataFrame, definition: Definition, trained_on: set[str] | None, task: Task) -> Classes:
    from shared.stats.metrics import class_name

    if task != "classification":
        return Classes(task, (), closed=False)
    seen = {class_name(value) for value in frame[definition.data.target]}
    return Classes(task, tuple(sorted(seen | (trained_on or set()))), closed=trained_on is not None)


def _smoke_policy(classes: Classes) -> SmokePolicy:
    from shared.gate.smoke import SmokePolicy

    return SmokePolicy(task=classes.task, classes=classes.all if classes.closed else ())


def _stored(
    unit: Unit, kind: JudgementKind, outcome: Outcome, reasons: tuple[Reason, ...], record: Document
) -> Judgement:
    digest = store(unit.ports.documents, record)
    return Judgement(kind, outcome, reasons, digest, unit.ports.clock.now())
