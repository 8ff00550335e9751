"""P14, T14: a canary that does not differ is rolled back at most at the configured rate, at every look."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.canary.simulation import ever, lower, run
from shared.canary.canary_judge import CanaryPolicy
from shared.stats import sequential

ALPHA = 0.05
"""Larger than a loop's, so that a few hundred canaries would show a broken promise."""
LOG = math.log(1 / ALPHA)
KINDS = ("steady", "bursts", "outage")
CELLS = [
    (0.1, 0.02, 10),
    (0.1, 0.2, 200),
    (0.5, 0.002, 40),
    (0.5, 0.1, 40),
    (0.9, 0.02, 40),
    (0.02, 0.05, 100),
]


def holds(rate: float, n: int, cells: int) -> None:
    assert lower(rate, n, cells) <= ALPHA, (
        f"{rate:.3f} of {n} harmless canaries rolled back, promised {ALPHA}"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_errors_alone(kind: str) -> None:
    for weight, rate, per_look in CELLS:
        found = run(
            canaries=800, looks=30, per_look=per_look, weight=weight, rate=rate, kind=kind, seed=len(kind)
        )
        holds(ever(found.log_e() >= LOG), 800, len(CELLS) * len(KINDS))


def histograms(
    rng: np.random.Generator, canaries: int, looks: int, per_look: float, weight: float, shape: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Cumulative histograms of both arms, drawn from one shape."""
    requests = rng.poisson(per_look, (canaries, looks))
    to_canary = rng.binomial(requests, weight)
    drawn = (rng.multinomial(n, shape).cumsum(1) for n in (to_canary, requests - to_canary))
    canary, champion = drawn
    return canary, champion


LATENCIES = np.exp(-0.5 * ((np.arange(40) - 18) / 4.0) ** 2)
LATENCIES /= LATENCIES.sum()


@pytest.mark.parametrize("weight", [0.1, 0.5])
def test_latency_alone_without_any_margin(weight: float) -> None:
    canary, champion = histograms(np.random.default_rng(5), 400, 20, 30, weight, LATENCIES)
    log_e = sequential.log_e_slower(canary, champion, weight, shift=0, edges=range(2, 40, 2))
    holds(ever(log_e >= LOG), 400, 2)


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_predictions_alone(classes: int) -> None:
    rng = np.random.default_rng(classes)
    looks, canaries = (20, 400) if classes < 100 else (6, 60)
    for weight in (0.1, 0.5):
        shape = rng.dirichlet(np.full(classes, 0.5))
        canary, champion = histograms(rng, canaries, looks, 30, weight, shape)
        holds(ever(sequential.log_e_shifted(canary, champion, weight) >= LOG), canaries, 6)


@pytest.mark.parametrize("weight", [0.02, 0.1, 0.5])
def test_router_that_does_what_was_set(weight: float) -> None:
    found = run(canaries=1000, looks=40, per_look=50, weight=weight, rate=0.0)
    holds(ever(sequential.log_e_split(found.canary, found.champion, weight) >= LOG), 1000, 3)


def test_shadow_at_the_limit() -> None:
    hits = np.random.default_rng(2).binomial(5, 0.1, (1000, 40)).cumsum(1)
    total = 5 * np.arange(1, 41)
    holds(ever(sequential.log_e_above(hits, total - hits, 0.1) >= LOG), 1000, 1)


def together(canaries: int, seed: int = 11) -> float:
    """Slow answers are errors too, and labels go wrong where errors are: the weighted mean stays valid."""
    policy = CanaryPolicy(alpha=ALPHA, steps=1, max_prediction_shift=0.1, max_shadow_disagreement=0.1)
    rng = np.random.default_rng(seed)
    found = run(canaries=canaries, looks=25, per_look=40, weight=0.1, rate=0.05, kind="bursts", seed=seed)
    canary, champion = histograms(rng, canaries, 25, 30, 0.1, LATENCIES)
    classes = tuple(each.reshape(canaries, 25, 8, 5).sum(3) for each in (canary, champion))
    e_values = {
        "errors": np.exp(found.log_e()),
        "labels": np.exp(found.log_e()),
        "latency": np.exp(sequential.log_e_slower(canary, champion, 0.1, shift=0, edges=range(2, 40, 2))),
        "predictions": np.exp(sequential.log_e_shifted(*classes, 0.1)),
    }
    total = sum(policy.share(name) * e_value for name, e_value in e_values.items())
    return ever(total >= policy.threshold)


def test_all_metrics_together_however_they_depend() -> None:
    holds(together(600, 1), 600, 1)


@pytest.mark.parametrize(
    ("weight", "harm", "requests"),
    [(0.1, 0.3, 40), (0.5, 0.3, 80), (0.1, 0.05, 250), (0.5, 0.05, 600)],
)
def test_harm_is_found_within_few_requests_of_the_canary(weight: float, harm: float, requests: int) -> None:
    policy = CanaryPolicy()
    found = run(canaries=300, looks=400, per_look=10, weight=weight, rate=0.0, harm=harm)
    bar = math.log(policy.threshold / policy.share("errors"))
    fires = (found.log_e() >= bar) & (found.increase() >= 0.01) & (found.canary <= requests)
    assert ever(fires) >= 0.95


def test_the_stated_limits_are_where_the_documents_say() -> None:
    """Not promises but their edges: a cold start that was not left out, and arms with bad moments of their own."""
    bar = math.log(600)

    def rolled_back(**how: float) -> float:
        found = run(canaries=400, looks=25, per_look=40, weight=0.1, rate=0.02, **how)  # type: ignore[arg-type]  # cold is whole
        return ever((found.log_e() >= bar) & (found.increase() >= 0.01))

    assert rolled_back(cold=1) <= 0.02
    assert rolled_back(cold=5) >= 0.4
    assert 0.005 <= rolled_back(own_bursts=0.3) <= 0.2


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS)
def test_errors_alone_in_full(kind: str) -> None:
    for weight, rate, per_look in CELLS:
        found = run(canaries=10_000, looks=100, per_look=per_look, weight=weight, rate=rate, kind=kind)
        for alpha in (0.1, 0.01):
            seen = ever(found.log_e() >= math.log(1 / alpha))
            assert lower(seen, 10_000, 36) <= alpha


CHUNK, CHUNKS = 500, 20


def in_full(what: str, share: Callable[[int], float]) -> None:
    """Ten thousand canaries, so many at a time as memory allows."""
    found = sum(share(seed) for seed in range(CHUNKS)) / CHUNKS
    print(f"\n{what}: {found:.2%} of {CHUNK * CHUNKS:,} harmless canaries taken back, {ALPHA:.0%} promised")
    assert lower(found, CHUNK * CHUNKS, 6) <= ALPHA


@pytest.mark.soak
@pytest.mark.parametrize("weight", [0.1, 0.5])
def test_latency_alone_in_full(weight: float) -> None:
    def share(seed: int) -> float:
        arms = histograms(np.random.default_rng(seed), CHUNK, 25, 30, weight, LATENCIES)
        return ever(sequential.log_e_slower(*arms, weight, shift=0, edges=range(2, 40, 2)) >= LOG)

    in_full(f"latency at {weight:.0%}", share)


@pytest.mark.soak
@pytest.mark.parametrize("weight", [0.1, 0.5])
def test_predictions_alone_in_full(weight: float) -> None:
    def share(seed: int) -> float:
        rng = np.random.default_rng(seed)
        arms = histograms(rng, CHUNK, 25, 30, weight, rng.dirichlet(np.full(10, 0.5)))
        return ever(sequential.log_e_shifted(*arms, weight) >= LOG)

    in_full(f"predictions at {weight:.0%}", share)


@pytest.mark.soak
@pytest.mark.parametrize("weight", [0.1, 0.5])
def test_labels_alone_in_full_as_they_mature(weight: float) -> None:
    """A fifth of the predictions wrong; each label is known a while later, the wrong ones' later than the others'."""

    def share(seed: int) -> float:
        rng = np.random.default_rng(seed)
        requests = rng.poisson(30, (CHUNK, 25))
        of_c = rng.binomial(requests, weight)
        arms = []
        for n in (of_c, requests - of_c):
            wrong = rng.binomial(n, 0.2)
            arms.append((_matured(rng, wrong, 0.2), _matured(rng, n - wrong, 0.4)))
        (wrong_c, right_c), (wrong_b, right_b) = arms
        return ever(sequential.log_e_more(wrong_c, wrong_b, right_c, right_b, weight) >= LOG)

    in_full(f"labels at {weight:.0%}", share)


def _matured(rng: np.random.Generator, born: np.ndarray, chance: float) -> np.ndarray:
    """How many are known at each look, when each that is not yet known becomes so with this chance a look."""
    waiting, known, seen = np.zeros(len(born), int), np.zeros(len(born), int), []
    for look in range(born.shape[1]):
        waiting = waiting + born[:, look]
        now = rng.binomial(waiting, chance)
        waiting, known = waiting - now, known + now
        seen.append(known)
    return np.stack(seen, axis=1)


@pytest.mark.soak
def test_all_metrics_together_in_full() -> None:
    in_full("all metrics together, in bursts", lambda seed: together(CHUNK, seed))
