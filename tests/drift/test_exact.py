"""Exact tests: what they promise is enumerated, not sampled."""

from itertools import combinations, product

import numpy as np
import pytest
from scipy.stats import fisher_exact, hypergeom

from drift import findings, hypergeometric, numeric, significance


@pytest.mark.parametrize(("total", "size", "rows"), [(3, 50, 5050), (20, 5, 60), (7, 7, 14), (400, 50, 900)])
def test_a_split_is_fisher_s_exact_test(total: int, size: int, rows: int) -> None:
    split = hypergeometric.Split.of(total, size, rows)
    for seen in range(max(0, total + size - rows), min(total, size, 12) + 1):
        table = [[seen, size - seen], [total - seen, rows - size - total + seen]]
        assert split.p_value(seen) == pytest.approx(fisher_exact(table).pvalue, rel=1e-6)


def test_a_split_s_levels_are_those_it_attains() -> None:
    split = hypergeometric.Split.of(6, 20, 80)
    chances = hypergeom(80, 6, 20).pmf(np.arange(7))
    for level in (1e-6, 1e-3, 0.01, 0.05, 0.3, 1.0):
        p = np.array([chances[chances <= c * (1 + 1e-7)].sum() for c in chances])
        assert split.attained(level) == pytest.approx(chances[p <= level * (1 + 1e-7)].sum(), abs=1e-12)


def test_the_family_of_three_rare_columns_keeps_its_rate_by_enumeration() -> None:
    """All tables of three columns: what any of them rejects, in all, is at most the rate."""
    sizes = (8, 40)
    splits = [hypergeometric.Split.of(total, sizes[0], sum(sizes)) for total in (1, 3, 5)]
    floors = np.array([s.smallest for s in splits])
    for rate in (0.001, 0.01, 0.05, 0.2):
        rejected = 0.0
        for seen in product(*(range(len(s.chances)) for s in splits)):
            p = [s.p_value(x + s.low) for s, x in zip(splits, seen, strict=True)]
            chance = float(np.prod([s.chances[x] for s, x in zip(splits, seen, strict=True)]))
            rejected += chance * bool((significance.adjusted(p, floors, rate) <= rate).any())
        assert rejected <= rate


@pytest.mark.parametrize("pooled", [(4, 1, 1), (3, 2, 2), (1, 1, 1, 1, 1, 1), (5, 3), (2, 2, 1, 1)])
def test_never_seen_holds_over_every_split(pooled: tuple[int, ...]) -> None:
    """Every choice of the current rows is equally likely: P(p <= a) <= a for every a."""
    t = np.array(pooled)
    kind = np.repeat(np.arange(len(t)), t)
    for size in range(1, len(kind)):
        picks = [kind[list(c)] for c in combinations(range(len(kind)), size)]
        current = np.array([np.bincount(p, minlength=len(t)) for p in picks])
        _, p = hypergeometric.never_seen(t, current)
        for level in np.unique(p):
            assert (p <= level).mean() <= level + 1e-9


def test_the_smallest_alarm_is_the_smallest() -> None:
    least = hypergeometric.smallest_alarm(50, (5_000, 50), 0.01 / 20)
    assert least is not None
    p = [fisher_exact([[x, 50 - x], [50, 4_950]]).pvalue for x in (least - 1, least)]
    assert p[1] <= 0.01 / 20 < p[0]
    assert hypergeometric.smallest_alarm(0, (1, 1), 0.01) is None


def test_two_rows_are_no_certainty() -> None:
    """Given the counts, no p-value is smaller than the chance of the table itself."""
    reference, current = np.array([5_000, 1, 0, 0]), np.array([48, 0, 2, 0])
    found = significance.weigh(numeric.BATTERY, reference, current)
    assert found.p_value >= hypergeom(5_051, 3, 50).pmf(2) / 10


def test_what_cannot_reject_is_not_paid_for_by_the_others() -> None:
    """Tarone: with a rate of .05 and three parts only floors up to .05/3 can reject; the two that are left share it."""
    adjusted = significance.adjusted([0.01, 0.03, 0.5], [0.0, 0.02, 0.0], 0.05)
    assert adjusted.tolist() == pytest.approx([0.02, 1.0, 0.5])
    assert significance.adjusted([0.05], [0.05], 0.05).tolist() == [0.05], "a floor at the rate can reject"
    assert significance.testable(np.array([0.025, 0.025, 0.03]), 0.05).tolist() == [True, True, False]
    assert significance.testable(np.array([0.06]), 0.05).tolist() == [False]
    assert significance.testable(np.array([0.05, 0.05]), 0.05).tolist() == [False, False]


@pytest.mark.parametrize(
    ("others", "rows", "size", "rare"),
    [
        (499, 1000, 500, True),
        (500, 1000, 500, False),
        (1000, 10_000, 4999, True),
        (1000, 10_000, 5000, False),
        (1000, 10_000, 5001, True),
    ],
)
def test_values_are_rare_where_one_holds_most_rows_and_the_smaller_side_expects_under_500_others(
    others: int, rows: int, size: int, rare: bool
) -> None:
    assert significance.rare(np.array([others, rows - others]), size) is rare


def test_rows_of_the_reference_off_the_usual_value_count_only_where_they_are_rare() -> None:
    first, second = np.array([10, 80, 10]), np.array([1, 95, 4])
    assert significance.off_usual(first, second) == 20
    assert significance.off_usual(np.array([50, 50]), np.array([50, 50])) == 0


@pytest.mark.parametrize(("first", "second"), [([0, 0], [3, 4]), ([3, 4], [0, 0]), ([0, 5], [0, 6])])
def test_an_empty_side_and_a_single_value_say_nothing_and_can_reject_nothing(
    first: list[int], second: list[int]
) -> None:
    said = significance.weigh(numeric.BATTERY, np.array(first), np.array(second))
    assert (said.p_value, dict(said.tests), said.floor) == (1.0, {}, 1.0)


@pytest.mark.parametrize(
    ("number", "words"),
    [(1, "a"), (3, "a, b, c"), (4, "a, b, c and 1 more columns"), (6, "a, b, c and 3 more columns")],
)
def test_up_to_three_columns_are_named_and_the_others_counted(number: int, words: str) -> None:
    assert findings.listed(list("abcdef")[:number]) == words
