"""Whether a classifier is right as often as it says it is.

Rows are put in order of the probability that the model gave its own answer and cut into bands of equal size. H0 for
each band: the share of right answers is the mean of the probabilities that were stated, or within `limit` of it. The
bounds of the share are Clopper and Pearson's at a corrected level; for trials of unequal probabilities with the same
mean they are wide enough (W. Hoeffding, Ann. Math. Stat. 27 (1956), 713-721).
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.domain.reason import Code, reason
from shared.domain.release import Outcome
from shared.gate.gate_record import Finding
from shared.stats.metrics import class_name

BANDS = 5
LEAST_ROWS = 30
"""In a band; fewer rows make fewer bands."""


def judge_calibration(
    y_true: Sequence[object],
    answers: Sequence[object],
    stated: Sequence[float | None],
    limit: float | None,
    confidence: float,
) -> list[Finding]:
    """Nothing where no probabilities were stated and none are asked for; for information only where `limit` is None."""
    from shared.stats.exact import clopper_pearson

    usable = all(p is not None and 0 <= p <= 1 for p in stated) and len(stated) == len(answers) > 0
    if not usable:
        unstated = (Outcome.INCONCLUSIVE, reason(Code.GATE_CALIBRATION_UNSTATED), None)
        return [] if limit is None else [unstated]
    pairs = zip(stated, answers, y_true, strict=True)
    rows = [(float(p or 0), class_name(said) == class_name(true)) for p, said, true in pairs]
    rows.sort(key=lambda row: row[0])  # by what was stated alone: rows that state the same stay as they came
    count = max(1, min(BANDS, len(rows) // LEAST_ROWS))
    level = 1 - (1 - confidence) / (2 * count)
    gaps = []
    for band in range(count):
        part = rows[band * len(rows) // count : (band + 1) * len(rows) // count]
        right, mean = sum(hit for _, hit in part), sum(p for p, _ in part) / len(part)
        low, high = clopper_pearson(right, len(part), level)
        shown = max(0.0, mean - high, low - mean)
        gaps.append((shown, abs(mean - right / len(part)), mean, right, len(part)))
    shown, _, mean, right, n = max(gaps)
    why = reason(Code.GATE_CALIBRATION, stated=mean, right=right, rows=n, off=float(shown), limit=limit)
    failed = limit is not None and shown > limit
    return [(Outcome.FAIL if failed else Outcome.PASS, why, None)]
