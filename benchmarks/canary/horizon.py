"""A canary of one day, looked at every hour: who finds a harm, how soon, and who takes back a harmless one.

    python -m benchmarks.canary.horizon       prints the tables and writes docs/benchmarks.md, "Canary of a day"

All rules see the same simulated days: Poisson traffic, an independent draw of the arm for each request, errors only.
Every rule runs at a false-rollback rate of 1 %, one-sided; one that does not keep it is held to it, cell by cell, by
a threshold from days without harm. The peers are written from their formulas.
"""

from __future__ import annotations

import argparse
import math
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from scipy.stats import hypergeom

from benchmarks.canary.callers import QUARTERS, day
from benchmarks.document import write
from shared.canary.boundary import EXACT
from shared.stats.group_sequential import Window, crossed
from shared.stats.sequential import log_e_more

HOURS, ALPHA = 24, 0.01
Counts = NDArray[np.int64]
NEVER = HOURS


@dataclass(frozen=True)
class Days:
    """Counts of each hour, days x hours, and the share of the requests that the canary was given in it."""

    canary: Counts
    champion: Counts
    canary_hits: Counts
    champion_hits: Counts
    weight: NDArray[np.float64]
    effect: float
    """The true difference: what mSPRT is tuned to, which is more than anybody knows."""

    def totals(self) -> tuple[Counts, Counts, Counts, Counts]:
        hits = self.canary_hits.cumsum(1), self.champion_hits.cumsum(1)
        return self.canary.cumsum(1), self.champion.cumsum(1), *hits


Rule = Callable[[Days], Counts]
"""The hour after which each day's canary is taken back; NEVER when it is not."""


def simulate(
    days: int, per_hour: float, weight: float, rates: tuple[float, float], kind: str = "", seed: int = 1
) -> Days:
    """`rates`: the champion's and the canary's. `kind`: what both arms go through besides."""
    rng, hours = np.random.default_rng(seed), np.arange(HOURS)
    share = np.repeat([0.01, 0.05, 0.1, 0.5], HOURS // 4) if kind == "ramp" else np.full(HOURS, weight)
    times = {"drift": 1 + 2 * hours / HOURS, "ramp": 1 + 2 * hours / HOURS}.get(kind, np.ones(HOURS))
    times = np.where((hours > 8) & (hours < 12), 15.0, times) if kind == "outage" else times
    requests = rng.poisson(per_hour, (days, HOURS))
    canary = rng.binomial(requests, share)
    hit = [
        rng.binomial(n, np.minimum(p * times, 0.95))
        for n, p in ((canary, rates[1]), (requests - canary, rates[0]))
    ]
    return Days(canary, requests - canary, hit[0], hit[1], share, rates[1] - rates[0])


def bursty(
    days: int, weight: float, rate: float, *, sticky: bool = False, by_caller: bool = False, seed: int = 1
) -> Days:
    """400 callers of very unequal activity who fail in bursts, some 4,400 requests a day."""
    rng, counts = np.random.default_rng(seed), []
    for _ in range(days):
        log = day(rng, callers=400, weight=weight, rates=(rate, rate), sticky=sticky)
        cells = [(*one.requests, *one.hits) for one in log.windows(by_caller=by_caller)]
        counts.append(np.array(cells).reshape(HOURS, QUARTERS // HOURS, 4).sum(axis=1))
    canary, champion, hits_c, hits_b = np.moveaxis(np.array(counts), 2, 0)
    return Days(canary, champion, hits_c, hits_b, np.full(HOURS, weight), 0.0)


def first(fires: NDArray[np.bool_]) -> Counts:
    return np.where(fires.any(axis=1), fires.argmax(axis=1), NEVER)


def exact(days: Days, alpha: float = ALPHA) -> Counts:
    """The judge's test of errors over a step's longest time."""
    found = np.full(len(days.canary), NEVER)
    for at_day in range(len(found)):
        windows = [
            Window(
                (int(days.canary[at_day, h]), int(days.champion[at_day, h])),
                (int(days.canary_hits[at_day, h]), int(days.champion_hits[at_day, h])),
                (h + 1) / HOURS,
            )
            for h in range(HOURS)
        ]
        hour = crossed(windows, alpha)
        found[at_day] = NEVER if hour is None else hour
    return found


def mixture(days: Days, alpha: float = ALPHA) -> Counts:
    """The judge's test without a horizon: valid for ever, pooled over the hours."""
    canary, champion, hits_c, hits_b = days.totals()
    log_e = log_e_more(hits_c, hits_b, canary - hits_c, champion - hits_b, float(np.median(days.weight)))
    return first(log_e >= math.log(1 / alpha))


def both(days: Days) -> Counts:
    """This product's: the exact test with its part of the budget, the mixture with the rest; whichever is first."""
    return np.minimum(exact(days, EXACT * ALPHA), mixture(days, (1 - EXACT) * ALPHA))


def rate_ratio(days: Days) -> Counts:
    """Mixture over rate ratios on the hits alone, the router's weight known: the best e-process that we found."""
    ratios = np.array([1.25, 1.5, 2, 3, 5, 10, 20])[:, None]
    q = ratios * days.weight / (ratios * days.weight + 1 - days.weight)
    gain, loss = np.log(q / days.weight), np.log((1 - q) / (1 - days.weight))
    walk = (days.canary_hits[:, None] * gain + days.champion_hits[:, None] * loss).cumsum(-1)
    return first(logsumexp(walk, axis=1) - math.log(len(ratios)) >= math.log(1 / ALPHA))


def msprt(days: Days, pooled: bool = False, least: float = math.log(1 / ALPHA)) -> Counts:
    """Johari et al., Oper. Res. 70 (2022): a normal mixture, variance plugged in, as wide as the true effect. With the
    variance of both arms' common rate it finds more, and errs more where the arms are of unlike size."""
    return first(msprt_evidence(days, pooled) >= least)


def held(days: Days, quiet: Days, pooled: bool) -> Counts:
    """The same with a threshold that 1 % of the quiet days reach, if that is higher."""
    quiet = replace(quiet, effect=days.effect)
    seen = np.sort(msprt_evidence(quiet, pooled).max(axis=1))
    return msprt(
        days, pooled, max(math.log(1 / ALPHA), float(seen[-math.floor(ALPHA * len(seen)) - 1]) + 1e-9)
    )


def msprt_evidence(days: Days, pooled: bool) -> NDArray[np.float64]:
    """The logarithm after each hour; below all thresholds where the canary is no worse."""
    canary, champion, hits_c, hits_b = days.totals()
    rate_c, rate_b = hits_c / np.maximum(canary, 1), hits_b / np.maximum(champion, 1)
    variance = rate_c * (1 - rate_c) / np.maximum(canary, 1) + rate_b * (1 - rate_b) / np.maximum(champion, 1)
    if pooled:
        rate = (hits_c + hits_b) / np.maximum(canary + champion, 1)
        variance = rate * (1 - rate) * (1 / np.maximum(canary, 1) + 1 / np.maximum(champion, 1))
    safe, spread, apart = np.maximum(variance, 1e-12), max(days.effect, 0.01) ** 2, rate_c - rate_b
    log_e = 0.5 * np.log(safe / (safe + spread)) + apart**2 * spread / (2 * safe * (safe + spread))
    return np.where((apart > 0) & (variance > 0), log_e, -math.inf)


def sequence(days: Days) -> Counts:
    """A confidence sequence for bounded means (empirical Bernstein, stitched) on inverse-weighted outcomes."""
    canary, champion, _, _ = days.totals()
    n = np.maximum(canary + champion, 1)
    w = days.weight
    each = days.canary_hits / w - days.champion_hits / (1 - w)
    square = days.canary_hits / w**2 + days.champion_hits / (1 - w) ** 2
    mean, variance = each.cumsum(1) / n, np.maximum(square.cumsum(1) / n - (each.cumsum(1) / n) ** 2, 0)
    bound = 1 / np.minimum(w, 1 - w).min()
    total = np.maximum(variance * n, bound**2)
    log = np.log(np.log(2 * total / bound**2 + 1) + 1) * 1.4 + np.log(5.2 / ALPHA)
    return first(mean > (1.7 * np.sqrt(total * log) + bound * log) / n)


def at_the_end(days: Days) -> Counts:
    """One look after a day: exact, conditional on the day's hits. Nobody is told before."""
    canary, champion, hits_c, hits_b = (total[:, -1] for total in days.totals())
    p = hypergeom.sf(hits_c - 1, canary + champion, hits_c + hits_b, canary)
    return np.where(p <= ALPHA, HOURS - 1, NEVER)


OURS, TOLD, POOLED = "**ours: exact and mixture**", "mSPRT, told the true effect", "mSPRT, pooled variance"
HELD = {TOLD: False, POOLED: True}
"""Rules that do not keep their rate everywhere; whether with the pooled variance."""
RULES: dict[str, Rule] = {
    OURS: both,
    "exact alone": exact,
    "mixture alone, no horizon": mixture,
    "rate-ratio e-process": rate_ratio,
    TOLD: msprt,
    POOLED: partial(msprt, pooled=True),
    "confidence sequence": sequence,
    "one exact look at the end": at_the_end,
}

HARMS = [
    ("0.1 -> 1 %", (0.001, 0.01)),
    ("1 -> 1.5 %", (0.01, 0.015)),
    ("2 -> 4 %", (0.02, 0.04)),
    ("5 -> 10 %", (0.05, 0.1)),
    ("10 -> 15 %", (0.1, 0.15)),
    ("50 -> 60 %", (0.5, 0.6)),
]
WEIGHTS, TRAFFIC = (0.01, 0.05, 0.1, 0.5), (20, 200, 2000)
QUIET = [
    ("0.1 %, steady, 5 %", 0.05, 0.001, ""),
    ("2 %, steady, 10 %", 0.1, 0.02, ""),
    ("1 -> 3 %, drifting, 5 %", 0.05, 0.01, "drift"),
    ("2 %, an outage in both arms, 10 %", 0.1, 0.02, "outage"),
    ("1 -> 3 % while it ramps 1, 5, 10, 50 %", 0.05, 0.01, "ramp"),
]


def cell(found: Counts) -> str:
    """The share found, and the median hour where half or more are."""
    caught = found < NEVER
    told = f" / {hour(found):.0f} h" if caught.mean() > 0.5 else ""
    return f"{caught.mean():.0%}{told}"


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


AHEAD, SOONER_H = 0.02, 1
"""By so much more found in the same cell, or sooner at a share no smaller than by that, a peer is ahead."""
WHY = """- *One exact look at the end* spends its whole error at once. Its price: a harmful canary serves for the whole
  day; and it pools the day, so that a ramp under a rising error rate reads as harm.
- *Exact alone* is our own test with the whole budget. The mixture's part is what it costs to go on after the longest
  time, and to see great harm in the first seconds, before a window is complete.
- *mSPRT* is told the true effect, as wide as its mixture is: nobody is. It spends its error as soon as it can, and is
  sooner where there is much evidence each hour. It does not keep its promise where one arm has a handful of requests or
  errors (first rows of the next table; at 50 % errors, 20 an hour and 1 % it takes back nearly half of the harmless
  ones): here it is held to 1 % by 2,000 days without harm at each cell's own error rate, which nobody knows either.
- *The rate-ratio e-process* is told the router's weight.
- At 20 requests an hour nobody finds small harms in a day; `driftloop validate` says what a loop's steps can see."""


def hour(found: Counts) -> float:
    """The median."""
    return float(np.median(found)) + 1


def ahead(found: dict[str, Counts]) -> list[str]:
    """The peers that find more than the first one, or as much and sooner."""
    (_, ours), *others = found.items()
    caught, peers = (ours < NEVER).mean(), []
    for rule, hours in others:
        share = (hours < NEVER).mean()
        if share > caught + AHEAD:
            peers.append(f"{rule} {share:.0%}")
        elif share >= max(caught - AHEAD, 0.5) and hour(hours) <= hour(ours) - SOONER_H:
            peers.append(f"{rule} {hour(ours) - hour(hours):.0f} h sooner")
    return peers


def power(days: int) -> tuple[str, str]:
    """The table, and where peers are ahead of us in it."""
    rows, lines = [], list[str]()
    for name, rates in HARMS:
        for per_hour in TRAFFIC:
            for weight in WEIGHTS:
                seed = round(1e4 * weight) + per_hour
                seen = simulate(days, per_hour, weight, rates, seed=seed)
                quiet = simulate(2000, per_hour, weight, (rates[0], rates[0]), seed=seed + 1)
                found = {rule: judge(seen) for rule, judge in RULES.items() if rule not in HELD}
                found |= {f"{rule}, held to 1 %": held(seen, quiet, pooled) for rule, pooled in HELD.items()}
                place = f"{name}, {per_hour}/h, {weight:.0%}"
                rows.append([place, *map(cell, found.values())])
                if peers := ahead(found):
                    lines.append(f"- {place} ({cell(found[OURS])}): {', '.join(peers)}")
    return table(["errors, requests, the canary's share", *found], rows), "\n".join(lines)


def quiet(days: int) -> str:
    rows = []

    def add(name: str, seen: Days) -> None:
        rows.append([name, *(f"{(rule(seen) < NEVER).mean():.1%}" for rule in RULES.values())])

    for name, weight, rate, kind in QUIET:
        for per_hour in (200, 2000):
            add(f"{name}, {per_hour}/h", simulate(days, per_hour, weight, (rate, rate), kind, seed=per_hour))
    for weight, rate in ((0.1, 0.02), (0.5, 0.1)):
        name = f"{rate:.0%}, bursty callers, {weight:.0%}"
        add(f"{name}, an arm drawn for each request", bursty(days, weight, rate))
        add(f"{name}, who keep to an arm", bursty(days, weight, rate, sticky=True))
        add(
            f"{name}, who keep to an arm, each counted once",
            bursty(days, weight, rate, sticky=True, by_caller=True),
        )
    return table(["both arms' errors", *RULES], rows)


def section(days: int) -> str:
    began = time.perf_counter()
    (powers, others), alarms = power(days), quiet(3 * days)
    seconds, error = time.perf_counter() - began, 100 * (ALPHA * (1 - ALPHA) / 3 / days) ** 0.5
    return f"""## Canary of a day

`python -m benchmarks.canary.horizon`, {datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()},
{seconds:.0f} s. {days:,} simulated days a cell (a quiet cell {3 * days:,}), {HOURS} hourly looks, errors only;
{ALPHA:.0%} is promised.

Harmful canaries found within the day, and the median hour where half of them are:

{powers}

Where another finds more than {100 * AHEAD:.0f} points more than ours, or as much an hour sooner or more:

{others}

{WHY}

Harmless canaries taken back ({ALPHA:.0%} is promised; a cell's standard error is {error:.1f} points). Callers
who keep to an arm are what no rule withstands while requests are counted; with `canary.unit` callers are:

{alarms}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=300)
    parser.add_argument("--print-only", action="store_true")
    chosen = parser.parse_args()
    text = section(chosen.days)
    print(text)
    if not chosen.print_only:
        write(text)


if __name__ == "__main__":
    main()
