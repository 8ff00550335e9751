"""How often each way of judging a canary takes back a harmless one, and how soon it finds a harmful one.

    python -m benchmarks.canary            prints the tables and writes docs/benchmarks.md, section "Canary"

Every rule sees the same simulated canaries: 25 looks, 40 requests between looks, errors only. Rules are the
judge's; other sequential tests at the same error rate; and the peers' with their documented settings.
"""

from __future__ import annotations

import argparse
import math
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from benchmarks.canary.simulation import Floats, Run, ever, run
from benchmarks.document import write
from shared.canary.canary_judge import CanaryPolicy

LOOKS, PER_LOOK, ALPHA = 25, 40, 0.01
Fires = NDArray[np.bool_]
Rule = Callable[[Run], Fires]


def z_values(seen: Run) -> Floats:
    """The pooled z of two proportions at each look; 0 where there is nothing to compare."""
    pooled = (seen.canary_errors + seen.champion_errors) / np.maximum(seen.canary + seen.champion, 1)
    each = 1 / np.maximum(seen.canary, 1) + 1 / np.maximum(seen.champion, 1)
    error = np.sqrt(pooled * (1 - pooled) * each)
    return np.divide(seen.increase(), error, out=np.zeros_like(error), where=error > 0)


def boundary(shape: Floats, alpha: float) -> Floats:
    """The constant times `shape` that a random walk of normal steps crosses upwards with probability
    alpha."""
    steps = np.random.default_rng(99).normal(size=(200_000, LOOKS))
    walk = steps.cumsum(1) / np.sqrt(np.arange(1, LOOKS + 1))
    constant = np.quantile((walk / shape).max(1), 1 - alpha)
    return np.asarray(constant * shape)


POCOCK = boundary(np.ones(LOOKS), ALPHA)
OBRIEN_FLEMING = boundary(np.sqrt(LOOKS / np.arange(1, LOOKS + 1)), ALPHA)


def ours(seen: Run) -> Fires:
    return seen.log_e() >= math.log(1 / ALPHA)


def ours_with_margin(seen: Run) -> Fires:
    return ours(seen) & (seen.increase() >= 0.01)


def msprt(seen: Run) -> Fires:
    """Normal mixture with the variance plugged in (Johari et al., Oper. Res. 70 (2022), 1806-1821)."""
    rate_c = seen.canary_errors / np.maximum(seen.canary, 1)
    rate_b = seen.champion_errors / np.maximum(seen.champion, 1)
    variance = rate_c * (1 - rate_c) / np.maximum(seen.canary, 1)
    variance += rate_b * (1 - rate_b) / np.maximum(seen.champion, 1)
    difference, spread = rate_c - rate_b, 0.05**2
    safe = np.maximum(variance, 1e-12)
    log_e = 0.5 * np.log(safe / (safe + spread)) + difference**2 * spread / (2 * safe * (safe + spread))
    return (log_e >= math.log(1 / ALPHA)) & (difference > 0) & (variance > 0)


def fixed_horizon(seen: Run) -> Fires:
    fires = np.zeros(seen.canary.shape, dtype=bool)
    fires[:, -1] = z_values(seen)[:, -1] >= 2.326
    return fires


def per_look(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.diff(counts, axis=1, prepend=0)


def flagger(seen: Run) -> Fires:
    """Success rate of the canary below 99 % in a look's own window; back after 5 failed looks."""
    requests, errors = per_look(seen.canary), per_look(seen.canary_errors)
    failed = errors > 0.01 * requests
    return np.asarray(failed.cumsum(1) >= 5)


def kayenta(seen: Run) -> Fires:
    """Mann-Whitney over the looks' error rates so far, 98 % interval above 25 % of Hodges-Lehmann's
    estimate."""
    from scipy.special import ndtri

    series_c = per_look(seen.canary_errors) / np.maximum(per_look(seen.canary), 1)
    series_b = per_look(seen.champion_errors) / np.maximum(per_look(seen.champion), 1)
    fires = np.zeros(seen.canary.shape, dtype=bool)
    for look in range(5, LOOKS + 1):
        pairs = (series_c[:, :look, None] - series_b[:, None, :look]).reshape(len(series_c), -1)
        pairs.sort(axis=1)
        rank = look * look / 2 - ndtri(0.99) * math.sqrt(look * look * (2 * look + 1) / 12)
        low = pairs[:, max(0, math.floor(rank))]
        estimate = np.median(pairs, axis=1)
        fires[:, look - 1] = low > 0.25 * np.abs(estimate)
    return fires


RULES: dict[str, Rule] = {
    "the mixture alone, evidence": ours,
    "the mixture alone, with margin 0.01": ours_with_margin,
    "Pocock, 25 looks planned": lambda seen: z_values(seen) >= POCOCK,
    "O'Brien-Fleming, 25 looks planned": lambda seen: z_values(seen) >= OBRIEN_FLEMING,
    "mSPRT, normal with plugged-in variance": msprt,
    "fixed horizon: one look at the end, p < .01": fixed_horizon,
    "p < .01 at every look": lambda seen: z_values(seen) >= 2.326,
    "p < .05 at every look": lambda seen: z_values(seen) >= 1.645,
    "Flagger: success below 99 %, 5 times": flagger,
    "Kayenta: Mann-Whitney, 98 %, tolerance 25 %": kayenta,
}

HARMLESS = [
    ("10 %", "1 %", {"weight": 0.1, "rate": 0.01}),
    ("10 %", "5 %", {"weight": 0.1, "rate": 0.05}),
    ("50 %", "1 %", {"weight": 0.5, "rate": 0.01}),
    ("50 %", "5 %", {"weight": 0.5, "rate": 0.05}),
    ("50 %", "2 %, bursts", {"weight": 0.5, "rate": 0.02, "kind": "bursts"}),
]
HARMFUL = [
    ("10 %", "1 -> 31 %", {"weight": 0.1, "rate": 0.01, "harm": 0.3}),
    ("10 %", "1 -> 11 %", {"weight": 0.1, "rate": 0.01, "harm": 0.1}),
    ("50 %", "1 -> 31 %", {"weight": 0.5, "rate": 0.01, "harm": 0.3}),
    ("50 %", "1 -> 6 %", {"weight": 0.5, "rate": 0.01, "harm": 0.05}),
    ("50 %", "10 -> 15 %", {"weight": 0.5, "rate": 0.1, "harm": 0.05}),
]


def simulate(canaries: int, seed: int, how: dict[str, object]) -> Run:
    return run(canaries=canaries, looks=LOOKS, per_look=PER_LOOK, seed=seed, **how)  # type: ignore[arg-type]  # by keyword


def table(head: list[str], lines: list[list[str]]) -> str:
    return "\n".join(
        "| " + " | ".join(line) + " |" for line in [head, ["---", *["---:"] * (len(head) - 1)], *lines]
    )


def false_alarms(canaries: int) -> str:
    runs = [simulate(canaries, 100 + at, how) for at, (_, _, how) in enumerate(HARMLESS)]
    lines = [[name, *(f"{ever(rule(seen)):.2%}" for seen in runs)] for name, rule in RULES.items()]
    return table(["rule", *(f"canary gets {weight}, errors {rate}" for weight, rate, _ in HARMLESS)], lines)


def found(seen: Run, fires: Fires) -> str:
    """The share found, and the median number of the canary's own requests until then."""
    if not fires.any():
        return "0 %"
    caught = fires.any(axis=1)
    first = fires.argmax(axis=1)
    cost = np.median(seen.canary[caught, first[caught]])
    return f"{caught.mean():.0%} ({cost:.0f})"


def power(canaries: int) -> str:
    runs = [simulate(canaries, 200 + at, how) for at, (_, _, how) in enumerate(HARMFUL)]
    lines = [[name, *(found(seen, rule(seen)) for seen in runs)] for name, rule in RULES.items()]
    return table(["rule", *(f"canary gets {weight}, errors {rate}" for weight, rate, _ in HARMFUL)], lines)


LIMITS = [
    ("first request of a cold canary fails", {"cold": 1}),
    ("first 2 fail", {"cold": 2}),
    ("first 3 fail", {"cold": 3}),
    ("first 5 fail", {"cold": 5}),
    ("first 10 fail", {"cold": 10}),
    ("2 % of the ticks bad (30 % errors), each arm on its own", {"own_bursts": 0.02}),
    ("10 % of the ticks bad", {"own_bursts": 0.1}),
    ("30 % of the ticks bad", {"own_bursts": 0.3}),
]


def limits(canaries: int) -> str:
    """Where the assumptions end: harmless canaries taken back by the mixture alone, with a loop's margin."""
    policy, lines = CanaryPolicy(), []
    bar = math.log(policy.threshold / policy.share("errors"))
    for at, (words, how) in enumerate(LIMITS):
        cells = []
        for weight in (0.1, 0.5):
            seen = simulate(canaries, 300 + at, {"weight": weight, "rate": 0.02, **how})
            cells.append(f"{ever((seen.log_e() >= bar) & (seen.increase() >= 0.01)):.1%}")
        lines.append([words, *cells])
    return table(["both arms have 2 % errors, and", "canary gets 10 %", "50 %"], lines)


def section(canaries: int) -> str:
    began = time.perf_counter()
    alarms, powers, edges = false_alarms(canaries), power(canaries), limits(canaries)
    seconds = time.perf_counter() - began
    return f"""## Canary

`python -m benchmarks.canary`, {datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {seconds:.0f} s.
{canaries:,} simulated canaries a cell, {LOOKS} looks, {PER_LOOK} requests between two looks in both arms together,
errors only. Every test that has an error rate runs at {ALPHA:.0%}, one-sided.

Harmless canaries taken back (both arms have the same error rate; {ALPHA:.0%} is promised):

{alarms}

Harmful canaries found, and in brackets the median number of the canary's own requests until then:

{powers}

How to read it. The judge keeps its promise in every cell, for any number of looks, planned or not, and in
bursts; it stays well below its rate, which is part of its price. Pocock and O'Brien-Fleming must know the number
of looks beforehand, and their normal approximation breaks where errors are few: with 10 % of the traffic both
exceed their rate. Small harms (10 -> 15 %) are found far less often by the judge than by them, or by a test that
looks once: that is the price of looking whenever one likes, and more requests are the remedy. Great harms are
found within a few dozen of the canary's requests, where a single look at the end costs the whole step's. Flagger
compares the canary with a number, not with the champion, so the champion's own error rate decides. Kayenta
judges the series of per-look rates, so few looks, or few errors in each, blind it.

Where the assumptions end (see statistics.md): taken back in a step by the mixture
alone, with a loop's margin and all of the errors' budget. The judge gives the exact test a part of it (*Canary of a
day*).

{edges}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--canaries", type=int, default=2000)
    parser.add_argument("--print-only", action="store_true")
    chosen = parser.parse_args()
    text = section(chosen.canaries)
    print(text)
    if not chosen.print_only:
        write(text)


if __name__ == "__main__":
    main()
