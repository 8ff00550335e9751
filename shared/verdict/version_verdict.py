"""A new version is compared with the champion's data: did it drift, and does the model still meet its threshold?"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from shared.domain.event import InboxRecord, InboxState
from shared.domain.loop import LoopState
from shared.domain.reason import Code, Reason, reason
from shared.domain.release import Champion, Trigger, TriggerKind
from shared.domain.version import DataVersion, VersionState
from shared.loopfile.published import Published
from shared.own.measured import of_champion, own_metric
from shared.ports import Delete, Ports, Row
from shared.retraining import effectiveness, growth, policy, start
from shared.runtime.unit_of_work import Unit, update
from shared.state import rows
from shared.state.hash_chain import Draft
from shared.verdict import comparison, own_past, predictions, sampled_rows

if TYPE_CHECKING:
    from shared.loopfile import Definition
    from shared.loopfile.definition import DriftReference
    from shared.verdict.metric import MetricVerdict

PERSISTENCE_MEMORY = 100
"""How many versions back `drift.persistence.of` can look."""


@dataclass(frozen=True)
class Verdict:
    """What was found about a version, and the documents that show it."""

    drift: str = ""
    detected: bool | None = None
    material: bool | None = None
    metric: str = ""
    breached: bool | None = None
    found: tuple[float, float, float] | None = None
    """What the metric came to, and the ends of its interval."""
    seen: tuple[Reason, ...] = ()
    past: str = ""
    """Document hash of what is kept of all drops so far; empty where nothing is."""


def judge(unit: Unit, record: InboxRecord, row: Row) -> None:
    """Judge the version of `record`, let the policy answer, and close the record, in one transaction."""
    assert record.version is not None
    version, version_row = unit.version(record.version)
    published = unit.published()
    verdict = look(unit, published, version)
    seen = _seen(version, verdict, unit.state.champion)
    mute = _late(unit.state, version) or _own(version)
    state, helped, reasons = replace(unit.state, past=verdict.past), tuple[Draft, ...](), list[Trigger]()
    if mute is None:
        state, helped = effectiveness.assess(unit, _remember(state, verdict), seen, published.definition)
        reasons = _reasons(state, published, seen, verdict, record, unit)
    outcome = start.answer(unit, state, reasons, extra=seen)
    judged = replace(
        seen,
        state=VersionState.JUDGED,
        decision=outcome.reason or mute or reason(Code.NO_TRIGGER),
    )
    became = reason(Code.BECAME_VERSION, version=version.number)
    unit.commit(
        outcome.state,
        [_told(judged, record), *helped, *outcome.drafts],
        [
            update(version_row, judged),
            update(row, replace(record, state=InboxState.DONE, reason=became)),
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
        metric_found=verdict.found,
        verdict=verdict.seen,
        judged_against=champion.release if champion else None,
    )


def _told(judged: DataVersion, record: InboxRecord) -> Draft:
    return Draft(
        "version.judged",
        f"version {judged.number}",
        "driftloop",
        record.key,
        before="ready",
        after="judged",
        detail={
            "verdict": _found(judged),
            "decision": judged.decision or reason(Code.NO_TRIGGER),
            "report": judged.drift,
            "metric": judged.metric,
        },
    )


def _found(judged: DataVersion) -> Reason:
    return reason(Code.VERSION_JUDGED, *judged.verdict, version=judged.number)


def _late(state: LoopState, version: DataVersion) -> Reason | None:
    """Why a version says nothing about the data as they are now; None when it is the newest that landed."""
    newest, landed = state.newest_landed_at, version.landed_at
    if state.champion is None or newest is None or landed is None or landed >= newest:
        return None
    return reason(Code.LATE_VERSION, landed=landed.isoformat())


def _own(version: DataVersion) -> Reason | None:
    """Why a version raises nothing that the loop itself has made."""
    return reason(Code.OWN_PREDICTIONS, labels=version.own_labels) if version.own else None


def look(unit: Unit, published: Published, version: DataVersion) -> Verdict:
    """Drift against the reference, and the champion's metric where the version is labelled."""
    champion, drift = unit.state.champion, published.definition.drift
    place = own_past.place(unit, version, published.definition) if drift.enabled else own_past.Place("")
    if champion is None:
        return Verdict(seen=(reason(Code.NO_CHAMPION),), past=place.past)
    verdict = _drift(unit, champion, published, version, place)
    verdict = _checks(unit, champion, published, version, verdict)
    return _metric(unit, champion, published, version, replace(verdict, past=place.past))


def _drift(
    unit: Unit, champion: Champion, published: Published, version: DataVersion, place: own_past.Place
) -> Verdict:
    """By the tests of rows; where those do not hold, unusual for the loop and beyond the tolerances."""
    definition = published.definition
    if not definition.drift.enabled:
        return Verdict(seen=(reason(Code.DRIFT_OFF),))
    reference, none = _reference(unit, champion, definition.drift.reference)
    verdict = _compared(unit.ports, reference, definition, version, place)
    return replace(verdict, seen=(*none, *verdict.seen))


def _reference(unit: Unit, champion: Champion, wanted: DriftReference) -> tuple[str, tuple[Reason, ...]]:
    """The profile to compare with: the champion's training data, or of the version that the loop file names."""
    if wanted.kind != "version":
        return champion.profile, ()
    if wanted.n >= unit.state.next_version:
        return champion.profile, (reason(Code.REFERENCE_NOT_THERE, version=wanted.n),)
    return unit.version(wanted.n)[0].profile, ()


def _compared(
    ports: Ports, reference: str, definition: Definition, version: DataVersion, place: own_past.Place
) -> Verdict:
    report = comparison.report(ports, reference, version, definition)
    document = ports.documents.put(comparison.kept(report))
    moved, by_slice = comparison.columns_moved(report), comparison.by_slice(report, definition)
    if place.told is None:
        seen = moved or (reason(Code.NO_MATERIAL_DRIFT, headline=report.headline),)
        return Verdict(document, report.detected, report.material, seen=(*seen, *by_slice))
    material = place.alarm and report.material
    seen = (place.told, *(moved if material else ()), *by_slice)
    return Verdict(document, place.alarm, material, seen=seen)


def _checks(
    unit: Unit, champion: Champion, published: Published, version: DataVersion, verdict: Verdict
) -> Verdict:
    """The loop's own checks, on the rows that were kept of the drop and of what the champion was trained on."""
    from shared.own import checked, source_text
    from shared.verdict.check_verdict import judge_checks

    drift = published.definition.drift
    if not drift.checks or version.number in champion.versions:
        return verdict
    trained_on = [unit.version(number)[0] for number in champion.versions]
    labelled = [one for one in trained_on if one.labelled]
    if not version.labelled or not labelled:
        return replace(verdict, seen=(*verdict.seen, reason(Code.CHECK_NO_ROWS)))
    reference, current = (sampled_rows.everything(unit.ports, of) for of in (labelled, [version]))
    found = checked.ask(published.code[source_text.CHECKS_FILE], drift.checks, reference, current)
    if isinstance(found, Reason):
        return replace(verdict, seen=(*verdict.seen, found))
    alarm, told = judge_checks(found, drift.false_alarm_rate)
    verdict = replace(verdict, seen=(*verdict.seen, *told))
    return replace(verdict, detected=True, material=True) if alarm else verdict


def _metric(
    unit: Unit, champion: Champion, published: Published, version: DataVersion, verdict: Verdict
) -> Verdict:
    from shared.stats.metrics import metric_of
    from shared.verdict import threshold
    from shared.verdict.metric import judge_metric
    from shared.verdict.task import positive_class, scored_classes, task_of, trained_classes

    ports, wanted = unit.ports, published.definition.metric
    if wanted is None or not version.labelled or version.number in champion.versions:
        return verdict
    frame = sampled_rows.everything(ports, [version], wanted.sample)
    seen = predictions.predict(
        ports,
        published.definition.serve,
        champion.deployment,
        predictions.features(frame, published.definition),
        f"metric-v{version.number}",
    )
    truth = frame[published.definition.data.target].tolist()
    classes = trained_classes(ports, champion.profile, published.definition.data.target) or set()
    positive = positive_class(wanted.name, published.definition, sorted(classes))
    scored = scored_classes(wanted.name, truth, positive)
    own = own_metric(published, task_of(unit, published.definition))
    rows = frame.drop(columns=[published.definition.data.target])
    judged = judge_metric(
        truth,
        seen.values if scored is None else seen.of(scored, two=len(classes) == 2),
        metric_of(wanted.name, wanted.costs, own),
        threshold.of_champion(unit, published, version),
        classes=classes,
        positive=own.positive if own else positive,
        seen=of_champion(published, own, truth, seen, rows, two=len(classes) == 2) if own else None,
        confidence=wanted.confidence,
    )
    problems = [asdict(one) for one in seen.problems]
    document = ports.documents.put(
        json.dumps({"verdict": judged.to_dict(), "problems": problems}, sort_keys=True).encode()
    )
    found = (*verdict.seen, judged.reason, *seen.problems)
    return replace(verdict, metric=document, breached=judged.breached, seen=found, found=_ends(judged))


def _ends(judged: MetricVerdict) -> tuple[float, float, float] | None:
    if judged.value is None or judged.low is None or judged.high is None:
        return None
    return judged.value, judged.low, judged.high


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
    def trigger(kind: TriggerKind, why: Reason) -> Trigger:
        return Trigger(kind, why, "driftloop", record.key, unit.ports.clock.now(), version.number)

    wanted = published.definition.drift.persistence
    found = []
    if state.champion is None:
        found.append(trigger(TriggerKind.FIRST, reason(Code.FIRST_MODEL)))
    if verdict.material and policy.persistent(state.recent_breaches, wanted.breaches, wanted.of):
        found.append(trigger(TriggerKind.DRIFT, _found(version)))
    if verdict.breached:
        found.append(trigger(TriggerKind.METRIC, _found(version)))
    if more := growth.due(unit, state, published.definition, version.number):
        found.append(trigger(TriggerKind.NEW_DATA, more))
    return found
