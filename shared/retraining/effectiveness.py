"""Did a release help? What it was for is tested again when the first version since it went live is judged.

It did not help when the metric is breached on that version. Else old and new champion are compared in pairs, on the
rows of the gate that were new to both (`shared/gate/new_rows.py`): shown to be better, it helped, shown to be
worse, it did not. A metric that was never breached says nothing. Where the pairs show nothing, whether a release for
the metric helped is unknown; of one for drift, the version that it was made for is compared with the new model's
training data, in the columns that had moved: data that keep moving are not the release's fault, new data that drown
among old ones in the training window are. What is unknown neither counts towards the loop's rest nor ends the count.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared.domain.loop import LoopState
from shared.domain.reason import Code, Reason, reason
from shared.domain.release import Outcome, Release, TriggerKind
from shared.domain.version import DataVersion
from shared.gate import gate_evidence
from shared.runtime.unit_of_work import Unit
from shared.state.hash_chain import Draft
from shared.verdict import comparison

if TYPE_CHECKING:
    from shared.loopfile import Definition

log = logging.getLogger("driftloop")

FIXES = frozenset({TriggerKind.DRIFT, TriggerKind.METRIC})
"""Triggers that a release is there to remove."""

STILL = 2 / 3
"""A column that still differs by more than this part of what it differed by was not taken in."""


_CODES = {True: Code.HELPED, False: Code.NOT_HELPED, None: Code.HELP_UNKNOWN}


@dataclass(frozen=True)
class Effect:
    """Whether a release helped, None when nothing shows it; and what shows it."""

    helped: bool | None
    seen: tuple[Reason, ...]


def assess(
    unit: Unit, state: LoopState, seen: DataVersion, definition: Definition
) -> tuple[LoopState, tuple[Draft, ...]]:
    """What `seen`, the version that is being judged, shows about the release that serves: once a release."""
    champion = state.champion
    if champion is None or state.assessed_release >= champion.release or not (seen.drift or seen.metric):
        return state, ()
    release, _ = unit.release(champion.release)
    assessed = replace(state, assessed_release=champion.release)
    if not FIXES & {trigger.kind for trigger in release.triggers}:
        return assessed, ()
    effect = _effect(unit, release, seen, definition)
    unhelped = {None: state.unhelped_in_row, True: 0, False: state.unhelped_in_row + 1}[effect.helped]
    told = Draft(
        "release.assessed",
        f"release {release.number}",
        "driftloop",
        seen.inbox_key,
        before=release.phase.value,
        after=release.phase.value,
        detail={"reason": reason(_CODES[effect.helped], *effect.seen)},
    )
    return replace(assessed, unhelped_in_row=unhelped), (told,)


def _effect(unit: Unit, release: Release, after: DataVersion, definition: Definition) -> Effect:
    number = next((t.version for t in release.triggers if t.version is not None), max(release.versions))
    before, _ = unit.version(number)
    seen = tuple(reason(Code.VERSION_JUDGED, *v.verdict, version=v.number) for v in (before, after))
    if after.metric_breached:
        return Effect(False, seen)
    better, paired = _paired(unit, release)
    seen = (*seen, paired)
    if better is not None or any(trigger.kind is TriggerKind.METRIC for trigger in release.triggers):
        return Effect(better, seen)
    return _drift_effect(unit, release, before, definition, seen)


def _paired(unit: Unit, release: Release) -> tuple[bool | None, Reason]:
    """Whether the new model is shown to be better than the old one on new rows, or worse; None: neither is shown."""
    from shared.gate import new_rows

    old, verdict = release.champion, None
    if old is not None and old.versions and (record := gate_evidence.known(unit, release)) is not None:
        verdict = new_rows.compare(record, max(old.versions))
    if verdict is None:
        return None, reason(Code.NO_NEW_ROWS)
    shown = {Outcome.PASS: True, Outcome.FAIL: False}.get(verdict.outcome)
    return shown, reason(Code.ON_NEW_ROWS, *verdict.reasons)


def _drift_effect(
    unit: Unit, release: Release, before: DataVersion, definition: Definition, seen: tuple[Reason, ...]
) -> Effect:
    """Whether the new model's training data took in what had moved."""
    had_moved = comparison.moved(unit.ports, before)
    if not had_moved or not release.profile:
        return Effect(None, seen)
    again = comparison.report(unit.ports, release.profile, before, definition)
    left = [
        comparison.column_moved(name, column)
        for name, column in comparison.material(again).items()
        if name in had_moved and abs(column.effect.value) > STILL * abs(had_moved[name].effect.value)
    ]
    code = Code.STILL_DIFFERS if left else Code.TAKEN_IN
    beside = reason(code, *left, version=before.number, release=release.number)
    return Effect(not left, (*seen, beside))
