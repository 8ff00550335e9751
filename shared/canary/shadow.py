"""A few recent requests of the champion are asked of the canary too, so that answers can be compared in pairs.

Bounded and polite: one small stamped request an observation, so many rows a step; no statistic of traffic counts them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from shared.canary.live_counts import Scale
from shared.domain.release import Release
from shared.errors import DriftloopError
from shared.intake.labels import Rows
from shared.runtime.unit_of_work import Unit
from shared.verdict import predictions, served_rows

if TYPE_CHECKING:
    from shared.canary.arms import ShadowPairs
    from shared.loopfile import Definition

ROWS_AT_ONCE = 25
ROWS_A_STEP = 200
MOST_FLIPS = 20


@dataclass(frozen=True)
class Shadow:
    """Pairs compared so far in this step, and up to where the champion's rows were replayed."""

    agree: int = 0
    disagree: int = 0
    flips: Mapping[str, int] = field(default_factory=dict)
    through: str = ""
    """Time and id of the last row."""

    @classmethod
    def of(cls, carried: Mapping[str, Any]) -> Shadow:  # Any: our own JSON, read back
        return cls(**carried.get("shadow", {}))

    def to_dict(self) -> dict[str, object]:
        return {
            "agree": self.agree,
            "disagree": self.disagree,
            "flips": dict(self.flips),
            "through": self.through,
        }

    def pairs(self) -> ShadowPairs | None:
        from shared.canary.arms import ShadowPairs

        return ShadowPairs(self.agree, self.disagree, self.flips) if self.agree + self.disagree else None


def compare(
    unit: Unit, release: Release, definition: Definition, rows: Rows, scale: Scale, shadow: Shadow
) -> tuple[Shadow, str]:
    """The pairs with those of this observation; and a note of what kept it from comparing. Where the collector has no
    class or number as the champion's answer, there is no pair."""
    most = max(ROWS_A_STEP, definition.canary.step.min_requests // 2 + 1)
    left = most - shadow.agree - shadow.disagree
    newer = [
        row
        for row in rows
        if _place(row) > shadow.through
        and isinstance(row.get("inputs"), Mapping)
        and scale.name(row["output"]) is not None
    ]
    chosen = newer[-min(ROWS_AT_ONCE, left) :] if left > 0 else []
    if not chosen:
        return shadow, ""
    times = [name for name, kind in unit.newest_columns().items() if kind == "datetime"]
    given = [inputs for row in chosen if isinstance(inputs := row["inputs"], Mapping)]
    frame = predictions.untyped([served_rows.timed(inputs, times) for inputs in given])
    if definition.data.id in frame.columns:  # what the collector has under an id is somebody else's request
        frame = frame.drop(columns=definition.data.id)
    stamp = f"shadow-{release.job_name}-s{release.step}"
    try:
        said = predictions.predict(unit.ports, definition.serve, release.deployment, frame, stamp)
    except DriftloopError as error:
        return shadow, f"shadow: {error}"
    if said.problems:
        return shadow, f"shadow: {said.problems[0].code}"
    flips, agree = Counter(shadow.flips), 0
    for row, answer in zip(chosen, said.values, strict=True):
        if scale.same(row["output"], answer):
            agree += 1
        else:
            flips[f"{scale.name(row['output'])} -> {scale.name(answer)}"] += 1
    after = replace(
        shadow,
        agree=shadow.agree + agree,
        disagree=shadow.disagree + len(chosen) - agree,
        flips=dict(flips.most_common(MOST_FLIPS)),
        through=max(_place(row) for row in chosen),
    )
    return after, ""


def _place(row: Mapping[str, object]) -> str:
    return f"{row.get('time')} {row.get('id')}"
