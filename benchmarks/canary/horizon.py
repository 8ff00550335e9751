"""A canary of one day, looked at every hour: who finds a harm, how soon, and who takes back a harmless one.

    python -m benchmarks.canary.horizon       prints the tables and writes docs/benchmarks.md, "Canary of a day"

All rules see the same simulated days: Poisson traffic, an independent draw of the arm for each request, errors only.
Every rule runs at a false-rollback rate of 1 %, one-sided. The peers are written from their formulas.
"""

from __future__ import annotations

import argparse
import math
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from scipy.stats import hypergeom

from benchmarks.document import write
from shared.release.canary.boundary import EXACT
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


def first(fires: NDArray[np.bool_]) -> Counts:
    return np.where(fires.any(axis=1), fires.argmax(axis=1), NEVER)


def exact(days: Days, alpha: float = ALPHA) -> Counts:
    """The judge's test of errors over a step's longest time."""
    found = np.full(len(days.canary), NEVER)
    for day in range(len(found)):
        windows = [
            Window(
                (int(days.canary[day, h]), int(days.champion[day, h])),
                (int(days.canary_hits[day, h]), int(days.champion_hits[day, h])),
                (h + 1) / HOURS,
            )
            for h in range(HOURS)
        ]
        at = crossed(windows, alpha)
        found[day] = NEVER if at is None else at
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


def msprt(days: Days, pooled: bool = False) -> Counts:
    """Johari et al., Oper. Res. 70 (2022): a normal mixture, variance plugged in, as wide as the true effect. With the
    variance of both arms' common rate it finds more, and errs more where the arms are of unlike size."""
    canary, champion, hits_c, hits_b = days.totals()
    rate_c, rate_b = hits_c / np.maximum(canary, 1), hits_b / np.maximum(champion, 1)
    variance = rate_c * (1 - rate_c) / np.maximum(canary, 1) + rate_b * (1 - rate_b) / np.maximum(champion, 1)
    if pooled:
        rate = (hits_c + hits_b) / np.maximum(canary + champion, 1)
        variance = rate * (1 - rate) * (1 / np.maximum(canary, 1) + 1 / np.maximum(champion, 1))
    safe, spread, apart = np.maximum(variance, 1e-12), max(days.effect, 0.01) ** 2, rate_c - rate_b
    log_e = 0.5 * np.log(safe / (safe + spread)) + apart**2 * spread / (2 * safe * (safe + spread))
    return first((log_e >= math.log(1 / ALPHA)) & (apart > 0) & (variance > 0))


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


RULES: dict[str, Rule] = {
    "**ours: exact and mixture**": both,
    "exact alone": exact,
    "mixture alone, no horizon": mixture,
    "rate-ratio e-process": rate_ratio,
    "mSPRT, told the true effect": msprt,
    "mSPRT, pooled variance": partial(msprt, pooled=True),
    "confidence sequence": sequence,
    "one exact look at the end": at_the_end,
}

HARMS = [("2 -> 4 %", (0.02, 0.04)), ("1 -> 1.5 %", (0.01, 0.015)), ("0.1 -> 1 %", (0.001, 0.01))]
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
    hour = f" / {np.median(np.sort(found)[: len(found)]) + 1:.0f} h" if caught.mean() > 0.5 else ""
    return f"{caught.mean():.0%}{hour}"


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


AHEAD = 0.05
"""By so much more found, in the same cell, a peer counts as ahead."""
WHY = """- *One exact look at the end* spends its whole error at once. Its price: a harmful canary serves for the whole
  day; and it pools the day, so that a ramp under a rising error rate reads as harm.
- *Exact alone* is our own test with the whole budget. The mixture's part is what it costs to go on after the longest
  time, and to see great harm in the first seconds, before a window is complete.
- *mSPRT with the pooled variance* is ahead where errors are rare and the canary's share is small. There it does not
  keep its promise (first two rows of the next table): a handful of errors is not normal.
- At 20 requests an hour nobody finds these harms in a day; `driftloop validate` says what a loop's steps can see."""


def power(days: int) -> tuple[str, str]:
    """The table, and where peers are ahead of us in it."""
    rows, ahead = [], list[str]()
    for name, rates in HARMS:
        for per_hour in TRAFFIC:
            for weight in WEIGHTS:
                seen = simulate(days, per_hour, weight, rates, seed=round(1e4 * weight) + per_hour)
                place = f"{name}, {per_hour}/h, {weight:.0%}"
                found = {rule: judge(seen) for rule, judge in RULES.items()}
                rows.append([place, *map(cell, found.values())])
                caught = {rule: float((hours < NEVER).mean()) for rule, hours in found.items()}
                ours = caught[next(iter(RULES))]
                peers = [f"{rule} {share:.0%}" for rule, share in caught.items() if share > ours + AHEAD]
                if peers:
                    ahead.append(f"{place} ({ours:.0%}): {', '.join(peers)}")
    return table(["errors, requests, the canary's share", *RULES], rows), "\n".join(
        f"- {one}" for one in ahead
    )


def quiet(days: int) -> str:
    rows = []
    for name, weight, rate, kind in QUIET:
        for per_hour in (200, 2000):
            seen = simulate(days, per_hour, weight, (rate, rate), kind, seed=per_hour)
            rows.append(
                [f"{name}, {per_hour}/h", *(f"{(rule(seen) < NEVER).mean():.1%}" for rule in RULES.values())]
            )
    return table(["both arms' errors", *RULES], rows)


def section(days: int) -> str:
    began = time.perf_counter()
    (powers, ahead), alarms = power(days), quiet(3 * days)
    seconds, error = time.perf_counter() - began, 100 * (ALPHA * (1 - ALPHA) / 3 / days) ** 0.5
    return f"""## Canary of a day

`python -m benchmarks.canary.horizon`, {datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()},
{seconds:.0f} s. {days:,} simulated days a cell (a quiet cell {3 * days:,}), {HOURS} hourly looks, errors only;
{ALPHA:.0%} is promised.

Harmful canaries found within the day, and the median hour where half of them are:

{powers}

Where another finds more than {100 * AHEAD:.0f} points more than ours:

{ahead}

{WHY}

Harmless canaries taken back ({ALPHA:.0%} is promised; a cell's standard error is {error:.1f} points):

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
