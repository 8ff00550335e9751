"""The exact test of a canary's errors: what is counted window by window, and whether the step's boundary is crossed.

The mixture of `harm` holds for ever, and pays for it. A step has a longest time: within it a test whose error is spent
over exactly that time finds small harm more often. Each has its own part of the errors' budget (`CanaryPolicy.exact`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime, timedelta

from shared.domain.reason import Code, Reason, reason
from shared.ports import TrafficMinute
from shared.release.canary.arms import CanaryEvidence, CountedWindow
from shared.release.canary.tolerance import CanaryPolicy, MetricEvidence

EXACT = 0.6
"""The exact test's part of the errors' budget. Fixed for all loops: what depends on the data would cost validity."""
MOST_WINDOWS = 300
"""Of a step. Minutes are merged until there are no more: a day is counted by five minutes."""


def count_windows(
    minutes: Iterable[TrafficMinute],
    arms: tuple[str, str],
    since: datetime,
    watermark_at: datetime | None,
    longest: timedelta,
) -> tuple[CountedWindow, ...]:
    """Both arms' requests and errors (`arms`: the canary's name first) by the windows of a grid that the clock alone
    lays down; only those that end within `longest` and before the watermark, as later requests of the others are yet
    to come."""
    if watermark_at is None:
        return ()
    width = timedelta(minutes=max(1, math.ceil(longest / timedelta(minutes=1) / MOST_WINDOWS)))
    first = since.replace(second=0, microsecond=0)
    counts: dict[int, list[int]] = {}
    for minute in minutes:
        window = counts.setdefault((minute.starts_at - first) // width, [0, 0, 0, 0])
        for arm, name in enumerate(arms):
            requests, errors = minute.counts.get(name, (0, 0))
            window[arm] += requests
            window[2 + arm] += errors
    ends = {at: first + (at + 1) * width for at in sorted(counts)}
    return tuple(
        CountedWindow((a, b), (c, d), (ends[at] - since) / longest)
        for at, (a, b, c, d) in sorted(counts.items())
        if ends[at] <= min(watermark_at, since + longest)
    )


def crossing(evidence: CanaryEvidence, policy: CanaryPolicy, errors: MetricEvidence) -> Reason | None:
    """That more of the errors fell on the canary than chance explains; None: not so, or not tested.

    H0: within each window, who served a request says nothing about whether it failed, or the canary fails less often.
    """
    from shared.stats.group_sequential import Window, boundaries

    alpha = policy.exact_alpha
    if not alpha or not evidence.windows:
        return None
    found = boundaries([Window(one.requests, one.errors, one.elapsed) for one in evidence.windows], alpha)
    if not found[-1].crossed:
        return None
    in_all = sum(sum(one.errors) for one in evidence.windows[: len(found)])
    facts = {"hits": found[-1].hits, "in_all": in_all, "needed": found[-1].needed}
    return reason(Code.CANARY_BOUNDARY, errors.reason, **facts)
