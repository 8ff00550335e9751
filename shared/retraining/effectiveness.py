"""Did a release help? What it was for is tested again when the first version since it went live is judged.

With a metric, it helped when the new model meets the threshold on that version. Without one, the version that the
release was made for is compared with the new model's training data, in the columns that had moved: data that keep
moving are not the release's fault, new data that drown among old ones in the training window are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared.domain.loop import LoopState
from shared.domain.reason import Code, Reason, reason
from shared.domain.release import Release, TriggerKind
from shared.domain.version import DataVersion
from shared.runtime.unit_of_work import Unit
from shared.state.hash_chain import Draft
from shared.verdict import comparison

if TYPE_CHECKING:
    from shared.loopfile import Definition

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
    if after.metric_breached is not None:
        return Effect(not after.metric_breached, seen)
    had_moved = comparison.moved(unit.ports, before)
    if not had_moved or not release.profile:
        return Effect(None, seen)
    again = comparison.report(unit.ports, release.profile, before, definition)
    left = [
        comparison.column_moved(column)
        for column in again.columns
        if column.name in had_moved
        and column.material
        and abs(column.effect.value) > STILL * abs(had_moved[column.name].effect.value)
    ]
    code = Code.STILL_DIFFERS if left else Code.TAKEN_IN
    beside = reason(code, *left, version=before.number, release=release.number)
    return Effect(not left, (*seen, beside))
