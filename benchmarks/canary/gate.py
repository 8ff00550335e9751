"""How often the gate passes, fails or cannot tell, on simulated holdouts.

python -m benchmarks.canary.gate       prints the table that docs/statistics.md quotes
"""

from __future__ import annotations

import numpy as np

from shared.stats.exact import paired_p_value
from shared.stats.intervals import Sample, bounds, sample_of
from shared.stats.metrics import METRICS

CELLS = np.array([(y, a, b) for y in range(3) for a in range(3) for b in range(3)], dtype=np.int64).T
LEVEL = 0.05
PRIOR = np.array([0.44, 0.2, 0.36])
RARE = np.array([0.6, 0.3, 0.1])


def population(champion_errs: float, extra: float, mends: float, prior: np.ndarray = PRIOR) -> np.ndarray:
    """Three classes as common as the penguins; the challenger errs in `extra` more rows, mends some."""
    y, a, b = CELLS
    champion = np.where(b == y, 1 - champion_errs, champion_errs / 2)
    same = (a == b).astype(float)
    right = (a == y).astype(float)
    challenger = np.where(
        b == y, (1 - extra) * same + extra * (a != y) / 2, (1 - mends) * same + mends * right
    )
    return prior[y] * champion * challenger


def difference(metric: str, shares: np.ndarray) -> float:
    sample = Sample(METRICS[metric], CELLS[0], (CELLS[1], CELLS[2]), shares)
    return float(sample.score(shares[None])[0])


def worse_by(
    metric: str, margin: float, champion_errs: float, mends: float, prior: np.ndarray = PRIOR
) -> np.ndarray:
    """The population whose challenger is worse by exactly the margin."""
    low, high = 0.0, 1.0
    for _ in range(60):
        extra = (low + high) / 2
        worse = difference(metric, population(champion_errs, extra, mends, prior)) <= -margin
        low, high = (low, extra) if worse else (extra, high)
    return population(champion_errs, high, mends, prior)


def settled(metric: str, counts: np.ndarray, margin: float, seed: int) -> tuple[bool, bool]:
    """Whether one holdout passes, and whether it fails; accuracy by its p-values, which cost less than
    bounds."""
    there, n = counts > 0, int(counts.sum())
    truth, challenger, champion = CELLS[:, there]
    if metric == "accuracy":
        right, was_right = truth == challenger, truth == champion
        wins, losses = (int(counts[there][at].sum()) for at in (right & ~was_right, was_right & ~right))
        passes = paired_p_value(wins, losses, n, -margin, LEVEL) <= LEVEL
        return passes, not passes and paired_p_value(losses, wins, n, margin, LEVEL) <= LEVEL
    sample = Sample(METRICS[metric], truth, (challenger, champion), counts[there].astype(float))
    found = bounds(sample, 1 - LEVEL, 1000, seed)
    return found.low > -margin, found.high < -margin


def outcomes(metric: str, shares: np.ndarray, n: int, margin: float, holdouts: int, seed: int = 1) -> str:
    draws = np.random.default_rng(seed).multinomial(n, shares / shares.sum(), holdouts)
    found = np.array([settled(metric, counts, margin, at) for at, counts in enumerate(draws)])
    passes, fails = found.mean(axis=0)
    return f"{passes:.1%} / {fails:.1%}"


def errors(shape: str, size: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    if shape == "t(3)":
        return rng.standard_t(3, size)
    return rng.normal(size=size) if shape == "normal" else np.exp(rng.normal(size=size)) - np.exp(0.5)


def regression(metric: str, shape: str, n: int, holdouts: int) -> str:
    """False passes: models agree on four rows of five, the challenger errs 15 % more; margin: the true
    harm."""
    rng = np.random.default_rng(n)

    def both(size: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        champion, other = errors(shape, size, rng), errors(shape, size, rng)
        return champion, 1.15 * np.where(rng.random(size) < 0.8, champion, other)

    champion, challenger = both((2_000_000,))
    truths = 2 * rng.normal(size=(holdouts, n))
    if metric == "mae":
        margin = np.abs(challenger).mean() - np.abs(champion).mean()
    elif metric == "rmse":
        margin = (challenger**2).mean() ** 0.5 - (champion**2).mean() ** 0.5
    else:
        margin = ((challenger**2).mean() - (champion**2).mean()) / 4
    passed = 0
    for at, truth in enumerate(truths):
        was, now = both((n,))
        passed += (
            bounds(sample_of(METRICS[metric], truth, truth + now, truth + was), 0.95, 500, at).low > -margin
        )
    return f"{passed / holdouts:.1%}"


def more(holdouts: int) -> None:
    """False passes of other metrics and shapes, each challenger worse by exactly the margin."""
    print(f"{holdouts} holdouts a cell: false passes at n = 25 (20), 50, 200, 1000")
    for metric in ("f1_macro", "f1_weighted", "balanced_accuracy", "precision_macro"):
        for margin in (0.1, 0.02):
            shares = worse_by(metric, margin, 0.03, 0.0, RARE)
            cells = [
                outcomes(metric, shares, n, margin, holdouts).split(" / ")[0] for n in (25, 50, 200, 1000)
            ]
            print(f"| {metric}, margin {margin}, a class of 10 % | {' | '.join(cells)} |", flush=True)
    for metric in ("mae", "rmse", "r2"):
        for shape in ("normal", "t(3)", "lognormal"):
            cells = [regression(metric, shape, n, holdouts) for n in (20, 50, 200, 1000)]
            print(f"| {metric}, {shape} errors | {' | '.join(cells)} |", flush=True)


def main(holdouts: int = 2000) -> None:
    print(f"{holdouts} holdouts a cell, confidence 0.95: passes / fails; the rest is inconclusive")
    for metric in ("accuracy", "f1_macro"):
        for margin in (0.1, 0.02):
            for words, shares in (
                ("worse by exactly the margin", worse_by(metric, margin, 0.03, 0.0)),
                ("worse by exactly the margin, many rows differ", worse_by(metric, margin, 0.1, 0.5)),
                ("as good, a few rows differ", population(0.03, 0.015, 0.485)),
                ("the same answers", population(0.03, 0.0, 0.0)),
            ):
                cells = [outcomes(metric, shares, n, margin, holdouts) for n in (50, 500, 5000, 50_000)]
                print(f"| {metric} | {margin} | {words} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
    more(400)
