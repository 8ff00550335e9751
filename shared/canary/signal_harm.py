"""What signals from outside say of a canary.

Counts are one more metric: the same e-process as errors', with its own part of the rollback budget, which is the same
budget: what a signal gets the others have less. A value has no known distribution, so that nothing bounds how often it
is past a margin by chance: it is told, it never rolls back, and where the loop file needs it a step waits while it is
past. Who waits too long is then answered by `canary.on_timeout`, as for any evidence that does not come.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from shared.canary.arms import CanaryEvidence, SignalSeen
from shared.canary.harm import Part
from shared.canary.tolerance import CanaryPolicy, MetricEvidence, SignalPolicy
from shared.domain.reason import Code, Fact, Reason, reason


def measured(evidence: CanaryEvidence, policy: CanaryPolicy) -> Iterator[MetricEvidence]:
    """The standing of each signal that gives counts.

    H0: who served something says nothing about whether it is a hit, or the canary's are hits less often. Valid n: any
    counts from 1 each; what is counted must be drawn by the router, one by one, and counted once.
    """
    seen = {one.name: one for one in evidence.signals}
    for signal in policy.signals:
        if signal.counted:
            yield _counted(seen.get(signal.name), signal, evidence, policy)


def _counted(
    seen: SignalSeen | None, signal: SignalPolicy, evidence: CanaryEvidence, policy: CanaryPolicy
) -> MetricEvidence:
    from shared.stats.sequential import difference_sequence, log_e_more

    part = Part.of(evidence, policy, signal.name, signal.margin, policy.signal_share(signal))
    (hits_c, n_c), (hits_b, n_b) = (seen and seen.canary) or (0, 0), (seen and seen.champion) or (0, 0)
    if not n_c or not n_b:
        return part.nothing((n_c, n_b))
    # Where more is better, harm is what is missing.
    bad = (n_c - hits_c, n_b - hits_b) if signal.higher_is_better else (hits_c, hits_b)
    low, high = difference_sequence(bad, (n_c, n_b), part.level)
    return part.found(
        Code.METRIC_SIGNAL,
        float(log_e_more(*bad, n_c - bad[0], n_b - bad[1], part.weight)),
        (bad[0] / n_c - bad[1] / n_b, low, high),
        (n_c, n_b),
        metric=signal.name,
        higher_is_better=signal.higher_is_better,
        canary_hits=hits_c,
        canary_n=n_c,
        champion_hits=hits_b,
        champion_n=n_b,
        low=float(low),
        high=float(high),
    )


def waited_for(
    evidence: CanaryEvidence, policy: CanaryPolicy, metrics: Mapping[str, MetricEvidence], minimum_s: float
) -> Iterator[Reason]:
    """Why a step does not advance for the sake of the signals that the loop file needs."""
    seen = {one.name: one for one in evidence.signals}
    for signal in (one for one in policy.signals if one.needed):
        answer = seen.get(signal.name)
        if answer is None or answer.problem is not None:
            because = (answer.problem,) if answer is not None and answer.problem is not None else ()
            yield reason(Code.SIGNAL_MISSING, *because, signal=signal.name)
            continue
        if answer.until_at is not None:
            covered_s = max(0.0, (answer.until_at - evidence.started_at).total_seconds())
            if covered_s < minimum_s:
                facts: dict[str, Fact] = {"covered_s": covered_s, "minimum_s": minimum_s}
                yield reason(Code.SIGNAL_LATE, signal=signal.name, **facts)
        if signal.counted:
            have = metrics[signal.name].canary_n
            if metrics[signal.name].estimate is None or have < policy.min_requests / 2:
                yield reason(Code.CANARY_METRIC_MISSING, metric=signal.name, observations=have)
        elif _is_past(answer, signal):
            yield reason(Code.SIGNAL_PAST, _value(answer, signal), signal=signal.name)
        elif _harm(answer, signal) is None:
            yield reason(Code.SIGNAL_MISSING, _value(answer, signal), signal=signal.name)


def told(evidence: CanaryEvidence, policy: CanaryPolicy) -> Iterator[Reason]:
    """What is said beside the metrics: values, and of what did not answer why."""
    seen = {one.name: one for one in evidence.signals}
    for signal in policy.signals:
        answer = seen.get(signal.name)
        if answer is None:
            yield reason(Code.SIGNAL_MISSING, signal=signal.name)
        elif answer.problem is not None:
            yield reason(Code.SIGNAL_MISSING, answer.problem, signal=signal.name)
        elif not signal.counted:
            yield _value(answer, signal)


def _harm(answer: SignalSeen, signal: SignalPolicy) -> float | None:
    """How far a value is in the worse direction from what it is compared with; None: one of the two is not there."""
    other = answer.champion_value if signal.limit is None else signal.limit
    if answer.canary_value is None or other is None:
        return (
            0.0
            if signal.margin is None and signal.limit is None and answer.canary_value is not None
            else None
        )
    return (answer.canary_value - other) * (-1 if signal.higher_is_better else 1)


def _is_past(answer: SignalSeen, signal: SignalPolicy) -> bool:
    harm = _harm(answer, signal)
    if harm is None or (signal.margin is None and signal.limit is None):
        return False
    return harm > (signal.margin or 0.0)


def _value(answer: SignalSeen, signal: SignalPolicy) -> Reason:
    facts: dict[str, Fact] = {
        "canary": answer.canary_value,
        "champion": answer.champion_value,
        "margin": signal.margin,
        "limit": signal.limit,
    }
    return reason(
        Code.SIGNAL_VALUE,
        signal=signal.name,
        higher_is_better=signal.higher_is_better,
        past=_is_past(answer, signal),
        **facts,
    )
