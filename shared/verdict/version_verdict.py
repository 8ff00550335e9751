"""A new version is held against the champion: has the world moved, and does the model still do its work?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from shared.domain.event import InboxRecord, InboxState
from shared.domain.loop import LoopState
from shared.domain.release import Champion, Trigger, TriggerKind
from shared.domain.version import DataVersion, VersionState
from shared.loopfile.published import Published
from shared.ports import Delete, Ports, Row
from shared.retraining import effectiveness, policy, start
from shared.runtime.unit_of_work import Unit, update
from shared.state import rows
from shared.state.hash_chain import Draft
from shared.verdict import comparison, predictions
from shared.words import say

PERSISTENCE_MEMORY = 100
"""How many versions back `drift.persistence.of` can look."""


@dataclass(frozen=True)
class Verdict:
    """What was found out about a version, in documents and in words."""

    drift: str = ""
    detected: bool | None = None
    material: bool | None = None
    metric: str = ""
    breached: bool | None = None
    words: str = ""


def judge(unit: Unit, record: InboxRecord, row: Row) -> None:
    """Judge the version of `record`, let the policy answer, and close the record, in one transaction."""
    assert record.version is not None
    version, version_row = unit.version(record.version)
    published = unit.published()
    verdict = look(unit.ports, unit.state.champion, published, version)
    seen = _seen(version, verdict, unit.state.champion)
    late = _late(unit.state, version)
    state, helped, reasons = unit.state, tuple[Draft, ...](), list[Trigger]()
    if not late:
        state, helped = effectiveness.assess(unit, _remember(state, verdict), seen, published.definition)
        reasons = _reasons(state, published, seen, verdict, record, unit)
    outcome = _answer(unit, state, reasons, published, version)
    judged = replace(
        seen,
        state=VersionState.JUDGED,
        decision=outcome.words or f"no retraining: {late or 'nothing asks for it'}",
    )
    unit.commit(
        outcome.state,
        [_told(judged, record), *helped, *outcome.drafts],
        [
            update(version_row, judged),
            update(row, replace(record, state=InboxState.DONE, note=f"version {version.number}")),
            Delete(rows.todo_key(record)),
            *outcome.changes,
        ],
    )


def _seen(version: DataVersion, verdict: Verdict, champion: Champion | None) -> DataVersion:
    return replace(
        version,
        drift=verdict.drift,
        drift_detected=verdict.detected,
        drift_material=verdict.material,
        metric=verdict.metric,
        metric_breached=verdict.breached,
        verdict=verdict.words,
        judged_against=champion.release if champion else None,
    )


def _answer(
    unit: Unit, state: LoopState, reasons: Sequence[Trigger], published: Published, version: DataVersion
) -> start.Outcome:
    now = unit.ports.clock.now()
    newest = version.number if version.labelled else unit.newest_labelled()
    decision = (
        policy.decide(state, reasons, published.definition, now, newest_version=newest) if reasons else None
    )
    return start.apply(unit, state, reasons, decision, published, now, extra=version)


def _told(judged: DataVersion, record: InboxRecord) -> Draft:
    return Draft(
        "version.judged",
        f"version {judged.number}",
        "driftloop",
        record.key,
        before="ready",
        after="judged",
        detail={
            "verdict": judged.verdict,
            "decision": judged.decision,
            "report": judged.drift,
            "metric": judged.metric,
        },
    )


def _late(state: LoopState, version: DataVersion) -> str:
    """Why a version says nothing about the world as it is now; empty when it is the newest that landed."""
    newest, landed = state.newest_landed_at, version.landed_at
    if state.champion is None or newest is None or landed is None or landed >= newest:
        return ""
    return f"it landed at {landed:%Y-%m-%d %H:%M:%S} UTC, and newer data have come since"


def look(ports: Ports, champion: Champion | None, published: Published, version: DataVersion) -> Verdict:
    """Drift against the champion's reference, and the champion's metric where the version is labelled."""
    if champion is None:
        return Verdict(words="no champion yet, so there is nothing to compare with")
    verdict = _drift(ports, champion, published, version)
    return _metric(ports, champion, published, version, verdict)


def _drift(ports: Ports, champion: Champion, published: Published, version: DataVersion) -> Verdict:
    definition = published.definition
    if not definition.drift.enabled:
        return Verdict(words="drift is not judged: `drift.enabled` is false")
    report = comparison.report(ports, champion.profile, version, definition)
    document = ports.documents.put(json.dumps(report.to_dict(), sort_keys=True).encode())
    moved = [column.words for column in report.columns if column.material]
    words = "; ".join(moved) if moved else report.headline
    return Verdict(drift=document, detected=report.detected, material=report.material, words=words)


def _metric(
    ports: Ports, champion: Champion, published: Published, version: DataVersion, verdict: Verdict
) -> Verdict:
    from shared.verdict.metric import judge_metric

    wanted = published.definition.metric
    if wanted is None or not version.labelled or version.number in champion.versions:
        return verdict
    frame = predictions.everything(ports, [version], wanted.sample)
    seen = predictions.predict(
        ports,
        published.definition.serve.endpoint,
        champion.deployment,
        predictions.features(frame, published.definition),
        f"metric-v{version.number}",
    )
    threshold = wanted.at_least if wanted.at_least is not None else wanted.at_most
    assert threshold is not None
    judged = judge_metric(
        frame[published.definition.data.target].tolist(),
        list(seen.values),
        wanted.name,
        threshold,
        confidence=wanted.confidence,
    )
    problems = [say(one) for one in seen.problems]
    document = ports.documents.put(
        json.dumps({"verdict": judged.to_dict(), "problems": problems}, sort_keys=True).encode()
    )
    words = " · ".join([verdict.words, judged.words, *problems])
    return replace(verdict, metric=document, breached=judged.breached, words=words)


def _remember(state: LoopState, verdict: Verdict) -> LoopState:
    if verdict.material is None:
        return state
    return replace(state, recent_breaches=(*state.recent_breaches, verdict.material)[-PERSISTENCE_MEMORY:])


def _reasons(
    state: LoopState,
    published: Published,
    version: DataVersion,
    verdict: Verdict,
    record: InboxRecord,
    unit: Unit,
) -> list[Trigger]:
    def trigger(kind: TriggerKind, reason: str) -> Trigger:
        return Trigger(kind, reason, "driftloop", record.key, unit.ports.clock.now(), version.number)

    wanted = published.definition.drift.persistence
    found = []
    if state.champion is None:
        found.append(trigger(TriggerKind.FIRST, "there is no model yet"))
    if verdict.material and policy.persistent(state.recent_breaches, wanted.breaches, wanted.of):
        found.append(trigger(TriggerKind.DRIFT, verdict.words))
    if verdict.breached:
        found.append(trigger(TriggerKind.METRIC, verdict.words))
    return found
