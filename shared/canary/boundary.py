"""The exact test of a canary's errors: what is counted window by window, and whether the step's boundary is crossed.

The mixture of `harm` holds for ever, and pays for it. A step has a longest time: within it a test whose error is spent
over exactly that time finds small harm more often. Each has its own part of the errors' budget (`CanaryPolicy.exact`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime, timedelta

from shared.canary.arms import CanaryEvidence, CountedWindow
from shared.canary.tolerance import CanaryPolicy, MetricEvidence
from shared.domain.reason import Code, Reason, reason
from shared.ports import TrafficMinute

EXACT = 0.9
"""The exact test's part of the errors' budget. Fixed for all loops: what depends on the data would cost validity."""
CLUMPED = 0.01
"""A p-value of `dispersion` below it is told: it decides nothing, as a canary may truly have bad moments of its own."""
SPANS = 24
"""Of a step's time so far, in which clumps are looked for."""
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


def clumps(evidence: CanaryEvidence, policy: CanaryPolicy) -> tuple[Reason, ...]:
    """That errors fall in clumps which keep to one arm; nothing where callers are counted, or none are seen.

    H0: within each span of the step, errors fall on the arms one by one, at one odds ratio. Both errors of callers who
    keep to an arm and bad moments of one instance are against it.
    """
    from shared.stats.dispersion import dispersion
    from shared.stats.group_sequential import Window

    if policy.unit != "request":
        return ()
    spans: dict[int, list[int]] = {}
    for one in evidence.windows:
        counts = (*one.requests, *one.errors)
        at = math.ceil(one.elapsed / evidence.windows[-1].elapsed * SPANS)
        spans[at] = [sum(both) for both in zip(spans.get(at, (0, 0, 0, 0)), counts, strict=True)]
    found = dispersion([Window((a, b), (c, d), at / SPANS) for at, (a, b, c, d) in sorted(spans.items())])
    if found is None or found.p_value >= CLUMPED:
        return ()
    return (reason(Code.CANARY_CLUMPED, ratio=found.ratio),)
