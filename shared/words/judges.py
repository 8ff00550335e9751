"""English for what the judges of gate and canary found, where numbers and cases need more than a text with braces."""

from __future__ import annotations

from functools import partial

from shared.domain.release import JudgementKind, Outcome


def title(
    kind: JudgementKind, step: int | None = None, steps: int | None = None, weight_pct: int | None = None
) -> str:
    """The name of a verdict, for example *canary step 1 of 2 at 10 %*; a batch endpoint's steps are drops."""
    name = "smoke test" if kind is JudgementKind.SMOKE else kind.value
    if step is None:
        return name
    of = f" of {steps}" if steps else ""
    if weight_pct == 0:
        return f"{name} drop {step + 1}{of}"
    return f"{name} step {step + 1}{of} at {weight_pct} %"


# gate


def _number(value: float | None, sign: str = "") -> str:
    return "unknown" if value is None else format(value, f"{sign}.4f")


def _more(rows_needed: int | None) -> str:
    if rows_needed is None:
        return "; no realistic number of rows would settle it"
    return f"; about {rows_needed:,} such rows would settle it"


def difference(
    metric: str,
    rows: int,
    value: float | None,
    low: float | None,
    high: float | None,
    margin: float,
    superiority: bool,
    outcome: str,
    rows_needed: int | None,
) -> str:
    wanted = "better than the champion" if superiority else f"not worse by more than {margin:g}"
    seen = (
        f"{metric} on {rows:,} rows: the challenger is {_number(value and abs(value))} "
        f"{'worse' if (value or 0) < 0 else 'better'} than the champion ({_number(low, '+')} to {_number(high, '+')})"
    )
    match Outcome(outcome):
        case Outcome.PASS:
            return f"{seen}, shown to be {wanted}"
        case Outcome.FAIL if superiority and not margin:
            return f"{seen}, shown to be worse"
        case Outcome.FAIL if superiority:
            return f"{seen}, shown not to be better by the margin"
        case Outcome.FAIL:
            return f"{seen}, shown to be worse by more than the margin"
        case _:
            return f"{seen}, not shown to be {wanted}{_more(rows_needed)}"


def class_too_rare(
    metric: str, name: str, have: int, rows: int, least: int, others: int, rows_needed: int | None
) -> str:
    also = f", and {others} other class{'es' if others > 1 else ''} too few" if others else ""
    enough = (
        "; no row like these has it" if rows_needed is None else f"; about {rows_needed:,} such rows would do"
    )
    return f"class {name!r} has {have} of {rows:,} holdout rows{also}; {metric} takes {least} of each class{enough}"


def metric_without_class(
    metric: str, value: float, rows: int, name: str, have: int, others: int, least: int
) -> str:
    also = f", and {others} other class{'es have' if others > 1 else ' has'} too few" if others else ""
    return (
        f"{metric} cannot be judged: class {name!r} has {have} of {rows:,} rows{also}, and it takes {least} of each "
        f"class (on these rows it is {value:.4f}); it takes larger drops, or a larger `metric.sample`"
    )


def floor(
    metric: str,
    value: float | None,
    low: float | None,
    high: float | None,
    floor: float,
    ceiling: bool,
    outcome: str,
    rows_needed: int | None,
) -> str:
    limit = f"{'ceiling' if ceiling else 'floor'} of {floor:g}"
    seen = f"{metric} of the challenger is {_number(value)} ({_number(low)} to {_number(high)})"
    match Outcome(outcome):
        case Outcome.PASS:
            return f"{seen}, shown to meet the {limit}"
        case Outcome.FAIL:
            return f"{seen}, shown to miss the {limit}"
        case _:
            return f"{seen}, not shown to meet the {limit}{_more(rows_needed)}"


def slice_floor(
    slice: str,
    metric: str,
    value: float | None,
    rows: int,
    floor: float,
    outcome: str,
    rows_needed: int | None,
) -> str:
    seen = f"slice {slice}: {metric} {_number(value)} on {rows:,} rows, floor {floor:g}"
    match Outcome(outcome):
        case Outcome.PASS:
            return seen
        case Outcome.FAIL:
            return f"{seen}: shown to miss it"
        case _:
            return f"{seen}: below it, which may be chance{_more(rows_needed)}"


def slice_difference(
    slice: str,
    metric: str,
    value: float | None,
    low: float | None,
    high: float | None,
    rows: int,
    margin: float,
    outcome: str,
) -> str:
    seen = (
        f"slice {slice}: {metric} on {rows:,} rows: the challenger is {_number(value and abs(value))} "
        f"{'worse' if (value or 0) < 0 else 'better'} than the champion ({_number(low, '+')} to {_number(high, '+')})"
    )
    shown = "shown to be worse" if Outcome(outcome) is Outcome.FAIL else "not shown to be worse"
    return f"{seen}, {shown} by more than {margin:g}"


def parity(
    column: str,
    measure: str,
    most: str,
    most_share: float,
    least: str,
    least_share: float,
    value: float,
    low: float,
    high: float,
    limit: float,
    outcome: str,
    champion: float | None,
    small: str,
) -> str:
    shown = {"pass": "within", "fail": "shown to be above", "inconclusive": "above, maybe by chance,"}[
        outcome
    ]
    before = "" if champion is None else f"; the champion's is {_number(champion)}"
    few = f"; too small to compare: {small}" if small else ""
    return (
        f"{measure} by {column}: {most} {most_share:.1%}, {least} {least_share:.1%}, a gap of "
        f"{_number(value)} ({_number(low)} to {_number(high)}), {shown} the limit of {limit:g}{before}{few}"
    )


def check_found(name: str, text: str, severity: str, p_value: float | None) -> str:
    said = {"warning": "warns", "drift": "finds drift"}.get(severity, "says")
    return f"check {name} {said}: {text}" + ("" if p_value is None else f" (p = {p_value:.2g})")


def function_found(name: str, text: str, outcome: str, p_value: float | None) -> str:
    said = {"pass": "says", "inconclusive": "holds the release", "fail": "rejects the challenger"}[outcome]
    return f"function {name} {said}: {text}" + ("" if p_value is None else f" (p = {p_value:.2g})")


def calibration(stated: float, right: int, rows: int, off: float, limit: float | None) -> str:
    tolerated = "for information only" if limit is None else f"tolerated {limit:.0%}"
    return (
        f"calibration: where the challenger states {stated:.0%} on average, {right} of {rows} answers are right "
        f"({right / rows:.0%}), shown to be off by at least {off:.0%}; {tolerated}"
    )


# canary


def _where(metric: str, slice: str | None) -> str:
    return f"{metric} in {slice}" if slice else metric


def _odds(e_value: float) -> str:
    if e_value >= 1e6:
        return "evidence of more than a million to 1"
    return f"evidence {e_value:,.0f} to 1" if e_value >= 2 else "no evidence of harm"


def _points(rate: float | None) -> str:
    return f"{100 * (rate or 0.0):.1f}"


def _tolerated(margin: float | None, words: str) -> str:
    return "for information only" if margin is None else f"tolerated {words}"


def _labelled(canary: float | None, champion: float | None) -> str:
    """Who reads a comparison of labels must see whether both arms' have come in alike."""
    if canary is None or champion is None:
        return ""
    return f"; {canary:.0%} and {champion:.0%} of their predictions have labels"


def unmeasured(
    metric: str,
    slice: str | None,
    canary_n: int,
    champion_n: int,
    canary_labelled: float | None = None,
    champion_labelled: float | None = None,
) -> str:
    return (
        f"{_where(metric, slice)}: {canary_n} observations of the canary, {champion_n} of the champion"
        f"{_labelled(canary_labelled, champion_labelled)}"
    )


def few_requests(arm: str, requests: int, least: int, unit: str = "request") -> str:
    """`unit`: what is counted, in documents since there is more than one."""
    counted = {"request": "requests", "row": "scored rows"}.get(unit, "callers")
    return f"the {arm} has {requests} {counted} of at least {least}"


def rate(
    metric: str,
    slice: str | None,
    canary_hits: int,
    canary_n: int,
    champion_hits: int,
    champion_n: int,
    low: float,
    high: float,
    margin: float | None,
    e_value: float,
    canary_labelled: float | None = None,
    champion_labelled: float | None = None,
) -> str:
    canary, champion = canary_hits / canary_n, champion_hits / champion_n
    return (
        f"{_where(metric, slice)}: canary {canary_hits} of {canary_n} ({canary:.1%}), "
        f"champion {champion_hits} of {champion_n} ({champion:.1%}), {_points(canary - champion)} points more "
        f"({_points(low)} to {_points(high)}), {_tolerated(margin, f'{_points(margin)} points')}; "
        f"{_odds(e_value)}{_labelled(canary_labelled, champion_labelled)}"
    )


def signal(
    metric: str,
    higher_is_better: bool,
    canary_hits: int,
    canary_n: int,
    champion_hits: int,
    champion_n: int,
    low: float,
    high: float,
    margin: float | None,
    e_value: float,
) -> str:
    """`low` and `high` bound the harm: what is more where less is better, what is less where more is."""
    canary, champion = canary_hits / canary_n, champion_hits / champion_n
    harm, less = (champion - canary, "fewer") if higher_is_better else (canary - champion, "more")
    return (
        f"{metric}: canary {canary_hits} of {canary_n} ({canary:.1%}), "
        f"champion {champion_hits} of {champion_n} ({champion:.1%}), {_points(harm)} points {less} "
        f"({_points(low)} to {_points(high)}), {_tolerated(margin, f'{_points(margin)} points')}; {_odds(e_value)}"
    )


def signal_value(
    signal: str,
    higher_is_better: bool,
    canary: float | None,
    champion: float | None,
    margin: float | None,
    limit: float | None,
    past: bool,
) -> str:
    seen = f"{signal} (an opinion): {'unknown' if canary is None else f'{canary:g}'}"
    if champion is not None:
        seen += f", the champion's {champion:g}"
    if limit is None and margin is None:
        return seen
    worse = "less" if higher_is_better else "more"
    than = f"limit {limit:g}" if limit is not None else f"tolerated {margin:g} {worse}"
    return f"{seen}; {than}: {'past it' if past else 'within it'}"


def _times(estimate: float, low: float | None, margin: float | None, e_value: float) -> str:
    proven = f" (at least {low:.2f})" if low is not None and low > 1 else ""
    return f"{estimate:.2f} times{proven}, {_tolerated(margin, f'{margin or 0:.2f}')}; {_odds(e_value)}"


def latency(
    canary_p50_ms: float,
    champion_p50_ms: float,
    canary_p95_ms: float | None,
    champion_p95_ms: float | None,
    estimate: float,
    low: float | None,
    margin: float | None,
    e_value: float,
) -> str:
    both = canary_p95_ms is not None and champion_p95_ms is not None
    canary = f"{canary_p50_ms:.0f} and {canary_p95_ms:.0f}" if both else f"{canary_p50_ms:.0f}"
    champion = f"{champion_p50_ms:.0f} and {champion_p95_ms:.0f}" if both else f"{champion_p50_ms:.0f}"
    return (
        f"latency: canary {canary} ms at the {'50% and 95%' if both else '50%'} quantile, champion {champion} ms, "
        f"{_times(estimate, low, margin, e_value)}"
    )


def loss(
    metric: str,
    slice: str | None,
    estimate: float,
    low: float | None,
    margin: float | None,
    e_value: float,
    canary_labelled: float | None = None,
    champion_labelled: float | None = None,
) -> str:
    return (
        f"{_where(metric, slice)}: the canary's median loss is {_times(estimate, low, margin, e_value)}"
        f"{_labelled(canary_labelled, champion_labelled)}"
    )


def shift(
    metric: str,
    slice: str | None,
    output: str,
    canary_share: float,
    canary_n: int,
    champion_share: float,
    champion_n: int,
    margin: float | None,
    e_value: float,
) -> str:
    return (
        f"{_where(metric, slice)}: {output!r} is {canary_share:.1%} of the canary's {canary_n}, {champion_share:.1%} "
        f"of the champion's {champion_n}, {_points(abs(canary_share - champion_share))} points apart, "
        f"{_tolerated(margin, f'{_points(margin)} points')}; {_odds(e_value)}"
    )


def shadow(disagree: int, pairs: int, flips: str, margin: float | None, e_value: float) -> str:
    most = f", {flips}" if flips else ""
    return (
        f"shadow: {disagree} of {pairs} answers differ ({disagree / pairs:.1%}{most}), "
        f"{_tolerated(margin, f'{margin or 0:.1%}')}; {_odds(e_value)}"
    )


# a drop among the loop's past, a window among its model's


def among(
    p_value: float,
    past: int,
    column: str,
    provisional: bool,
    one_in: int,
    *,
    unusual: bool,
    what: str,
    beside: str,
    whose: str,
) -> str:
    where = f", most in {column}" if column else ""
    larger = f"farther from {beside} than {1 - p_value:.0%} of {past} past {what}s{where}"
    if provisional:
        larger += f", a provisional figure of few {what}s"
    rate = f"about 1 quiet {what} in {one_in} alarms"
    return f"{'unusual' if unusual else 'usual'} for this {whose}: {larger}; {rate}"


among_past = partial(among, what="drop", beside="the drops before it", whose="loop")
among_windows = partial(among, what="window", beside="the training data", whose="model")


def slices_judged(columns: str, judged: int, moved: int, small: int, least: int, strange: str) -> str:
    few = f", {small} with fewer than {least} rows on a side not judged" if small else ""
    found = f"{moved} of {judged} slices by {columns} moved" if moved else f"no slice by {columns} moved"
    return f"{found}{few}{f'; {strange}' if strange else ''}"
