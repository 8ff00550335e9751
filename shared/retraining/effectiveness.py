"""Did it help? What a release was for is looked at again when the first version since is judged, and told.

A loop with a metric is helped when its new model keeps the threshold on that version. Without a metric the version
that the release was made for is held against what the new model was trained on, in the columns that had moved: a
world that goes on moving is no fault of the release, but data are that drown in the training window's old ones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared.domain.loop import LoopState
from shared.domain.release import Release, TriggerKind
from shared.domain.version import DataVersion
from shared.runtime.unit_of_work import Unit
from shared.state.hash_chain import Draft
from shared.verdict import comparison

if TYPE_CHECKING:
    from shared.loopfile import Definition

MENDS = frozenset({TriggerKind.DRIFT, TriggerKind.METRIC})
"""Reasons that a release is there to do away with."""


STILL = 2 / 3
"""A column that still differs by more than this part of what it differed by was not taken in."""


@dataclass(frozen=True)
class Effect:
    """Whether a release helped (None: nothing tells), and what was so before and after."""

    helped: bool | None
    words: str


def assess(
    unit: Unit, state: LoopState, seen: DataVersion, definition: Definition
) -> tuple[LoopState, tuple[Draft, ...]]:
    """What `seen`, the version that is being judged, tells of the release that serves: once a release."""
    champion = state.champion
    if champion is None or state.assessed_release >= champion.release or not (seen.drift or seen.metric):
        return state, ()
    release, _ = unit.release(champion.release)
    assessed = replace(state, assessed_release=champion.release)
    if not MENDS & {trigger.kind for trigger in release.triggers}:
        return assessed, ()
    effect = _effect(unit, release, seen, definition)
    unhelped = {None: state.unhelped_in_row, True: 0, False: state.unhelped_in_row + 1}[effect.helped]
    verdict = {None: "not known", True: "it helped", False: "it did not help"}[effect.helped]
    told = Draft(
        "release.assessed",
        f"release {release.number}",
        "driftloop",
        seen.inbox_key,
        before=release.phase.value,
        after=release.phase.value,
        detail={"reason": f"{verdict}: {effect.words}"},
    )
    return replace(assessed, unhelped_in_row=unhelped), (told,)


def _effect(unit: Unit, release: Release, after: DataVersion, definition: Definition) -> Effect:
    number = next((t.version for t in release.triggers if t.version is not None), max(release.versions))
    before, _ = unit.version(number)
    words = (
        f"before, version {before.number}: {before.verdict}; after, version {after.number}: {after.verdict}"
    )
    if after.metric_breached is not None:
        return Effect(not after.metric_breached, words)
    had_moved = comparison.moved(unit.ports, before)
    if not had_moved or not release.profile:
        return Effect(None, words)
    again = comparison.report(unit.ports, release.profile, before, definition)
    left = [
        column.words
        for column in again.columns
        if column.name in had_moved
        and column.material
        and abs(column.effect.value) > STILL * abs(had_moved[column.name].effect.value)
    ]
    if left:
        return Effect(
            False,
            f"{words}; version {before.number} beside what release {release.number} was trained "
            f"on still: {'; '.join(left)}",
        )
    return Effect(
        True,
        f"{words}; version {before.number} no longer differs so from what release {release.number} was trained on",
    )
