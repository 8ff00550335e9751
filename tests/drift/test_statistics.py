"""Every statistic agrees with scipy's, or with the definition, on the same data."""

import numpy as np
import pyarrow as pa
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

import drift
from drift import categorical, dependence, distances, numeric, significance
from drift.arrays import Ints


def _table(x: np.ndarray, y: np.ndarray) -> tuple[Ints, Ints]:
    values = np.union1d(x, y)
    a, b = ((side[:, None] == values).sum(axis=0) for side in (x, y))
    return a + b, b[None, :]


numbers = st.lists(st.integers(-5, 5), min_size=4, max_size=40)


@given(numbers, numbers)
@settings(deadline=None)
def test_location_is_the_tie_corrected_wilcoxon_test(first: list[int], second: list[int]) -> None:
    x, y = np.array(first, float), np.array(second, float)
    t, b = _table(x, y)
    if len(t) < 2:
        return
    (statistic, p), _ = numeric.ranks(t, b)
    expected = scipy.stats.mannwhitneyu(y, x, use_continuity=False, method="asymptotic")
    assert p[0] == pytest.approx(expected.pvalue, rel=1e-9, abs=1e-12)
    assert np.sign(np.round(statistic[0], 9)) == np.sign(2 * expected.statistic - len(x) * len(y))


@given(numbers, numbers)
@settings(deadline=None)
def test_ks_is_scipys_statistic_with_the_asymptotic_p_value(first: list[int], second: list[int]) -> None:
    x, y = np.array(first, float), np.array(second, float)
    t, b = _table(x, y)
    if len(t) < 2:
        return
    distance, p = numeric.ks(t, b)
    assert distance[0] == pytest.approx(scipy.stats.ks_2samp(x, y, method="asymp").statistic, abs=1e-12)
    effective = np.sqrt(len(x) * len(y) / (len(x) + len(y)))
    assert p[0] == pytest.approx(scipy.stats.kstwobign.sf(effective * distance[0]), abs=1e-9)


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(1, 50)), min_size=2, max_size=12))
@settings(deadline=None)
def test_chi_square_is_the_contingency_test(rows: list[tuple[int, int]]) -> None:
    table = np.array(rows).T
    statistic, p = numeric.chi_square(table.sum(axis=0), table[1:])
    expected = scipy.stats.chi2_contingency(table, correction=False)
    assert statistic[0] == pytest.approx(expected.statistic, rel=1e-9)
    share = table[1].sum() / table.sum()
    if 6 * share * (1 - share) >= 1:  # sides of much the same size
        assert p[0] == pytest.approx(expected.pvalue, rel=1e-9, abs=1e-14)
    assert 0 <= p[0] <= 1


def test_sides_of_very_different_size_keep_the_chi_square_honest() -> None:
    """50 rows against 20,000 over 3,000 categories: a plain chi-square alarms twice as often in the tail."""
    rng = np.random.default_rng(8)
    chances = 1 / np.arange(1, 3000) ** 1.2
    pooled = rng.multinomial(20_000, chances / chances.sum())
    pooled = pooled[pooled > 0]
    drawn = rng.multivariate_hypergeometric(pooled, 50, size=4_000)
    _, p = categorical.table(pooled, drawn)
    for level in (0.05, 0.01, 0.001):
        assert (p <= level).sum() <= scipy.stats.binom.isf(1e-4, len(p), level)


@pytest.mark.parametrize("rows", [400, 2_500])
def test_scale_is_moods_test_or_klotz_s(rows: int) -> None:
    """Without ties: the standardised sum of scores over the current side; sides alike in location."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=rows), 1.05 * rng.normal(size=rows)
    t, b = _table(x, y)
    _, (statistic, p) = numeric.ranks(t, b)
    middle = (np.arange(2 * rows) + 0.5) / (2 * rows)
    scores = (scipy.stats.norm.ppf(middle) if rows >= 2_000 else middle - 0.5) ** 2
    variance = rows**2 / (2 * rows * (2 * rows - 1)) * ((scores - scores.mean()) ** 2).sum()
    z = (b[0] @ scores - rows * scores.mean()) / np.sqrt(variance)
    assert statistic[0] == pytest.approx(z, abs=1e-9)
    assert p[0] == pytest.approx(2 * scipy.stats.norm.sf(abs(z)), rel=1e-9)
    if rows < 2_000:
        assert z == pytest.approx(scipy.stats.mood(y, x).statistic, rel=0.01)


@given(st.integers(1, 200), st.integers(1, 200), st.data())
@settings(deadline=None)
def test_nulls_never_beat_the_exact_test_by_more_than_its_tail(n: int, m: int, data: st.DataObject) -> None:
    a, b = data.draw(st.integers(0, n)), data.draw(st.integers(0, m))
    pooled = np.array([n + m - a - b, a + b])
    _, p = numeric.nulls(pooled, np.array([[m - b, b]]))
    law = scipy.stats.hypergeom(n + m, a + b, m)
    exact = min(1.0, 2 * min(law.cdf(b), law.sf(b - 1)))
    assert 0 <= p[0] <= 1
    if min(a + b, n + m - a - b) * min(n, m) / (n + m) < 200 and (a + b) <= 0.1 * (n + m):
        assert p[0] >= exact * 0.5


def test_tails_count_exceedances_exactly() -> None:
    """With 5 current rows above a reference of as many rows: (1/2)^5, four looks times three levels."""
    x, y = np.arange(1000.0), np.r_[np.arange(995) + 0.5, 2000.0 + np.arange(5)]
    t, b = _table(x, y)
    _, p = numeric.tails(t, b)
    assert p[0] == pytest.approx(12 * 0.5**5, rel=1e-6)


def test_a_permutation_p_value_agrees_with_the_exact_one() -> None:
    """Six against six, fully apart: 2 of 924 labellings are as extreme; Monte Carlo within 4 errors."""
    x, y = np.arange(6), np.arange(6) + 100
    t, b = _table(x.astype(float), y.astype(float))

    def location(pooled: Ints, current: Ints) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        return {"location": numeric.ranks(pooled, current)[0]}

    found = significance.weigh(
        significance.Battery(location, {"location": 1.0}, lambda _, __: 1.0), t - b[0], b[0]
    )
    exact = 2 / 924
    assert found.p_value == pytest.approx(exact, abs=4 * np.sqrt(exact / 20_000))


def test_the_adjustment_is_scipys() -> None:
    p = np.random.default_rng(2).uniform(size=50) ** 3
    assert significance.adjusted(p) == pytest.approx(scipy.stats.false_discovery_control(p), rel=1e-12)
    assert len(significance.adjusted([])) == 0


@pytest.mark.parametrize("number", [2, 4, 7])
def test_the_harmonic_mean_is_not_liberal(number: int) -> None:
    """Independent tests: the rate of values at or below a level is at most the level (4 errors)."""
    rng = np.random.default_rng(number)
    p = {str(i): rng.uniform(size=400_000) for i in range(number)}
    joint = significance.harmonic(p, dict.fromkeys(p, 1 / number))
    for level in (0.05, 0.01, 0.001):
        assert (joint <= level).mean() <= level + 4 * np.sqrt(level / 400_000)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=2, max_size=12))
@settings(deadline=None)
def test_distances_are_their_definitions_less_chance(rows: list[tuple[int, int]]) -> None:
    a, b = np.array(rows).T
    found = distances.between(a, b)
    assert all(np.isfinite(v) and v >= 0 for v in found.values())
    filled = a + b > 0
    if not a.sum() or not b.sum() or filled.sum() < 2:
        return
    p, q = a[filled] / a.sum(), b[filled] / b.sum()
    chance = (filled.sum() - 1) * (1 / a.sum() + 1 / b.sum())
    js = scipy.spatial.distance.jensenshannon(p, q, base=2)
    assert found["js"] ** 2 == pytest.approx(max(js**2 - chance / 8 / np.log(2), 0), abs=1e-9)
    assert found["total_variation"] == pytest.approx(np.abs(p - q).sum() / 2)
    assert found["l_infinity"] == pytest.approx(np.abs(p - q).max())
    hellinger = 1 - np.sqrt(p * q).sum()
    assert found["hellinger"] ** 2 == pytest.approx(max(hellinger - chance / 8, 0), abs=1e-9)


def test_distances_have_no_bias_without_change() -> None:
    """500 pairs of 1,000 rows over 10 cells: plug-in minus chance is centred on 0 (4 errors)."""
    rng = np.random.default_rng(3)
    shares = np.arange(1, 11) / 55
    raw = []
    for _ in range(500):
        a, b = rng.multinomial(1000, shares), rng.multinomial(1000, shares)
        raw.append(scipy.spatial.distance.jensenshannon(a / 1000, b / 1000) ** 2 - 9 * 0.002 / 8)
    assert abs(np.mean(raw)) < 4 * np.std(raw) / np.sqrt(500)


def test_wasserstein_and_ks_of_a_report_are_scipys() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=900), rng.normal(0.5, 2, size=800)
    (verdict,) = drift.compare(pa.table({"x": x}), pa.table({"x": y})).columns
    expected = scipy.stats.wasserstein_distance(x, y) / x.std(ddof=1)
    assert verdict.distances["wasserstein"] == pytest.approx(expected, rel=1e-9)
    assert verdict.distances["ks"] == pytest.approx(
        scipy.stats.ks_2samp(x, y, method="asymp").statistic, abs=1e-12
    )


def test_rank_correlations_are_spearmans() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(500, 3)).astype(np.float32)
    x[:, 1] += x[:, 0]
    sample = {str(j): x[:, j] for j in range(3)}
    a, b = dependence.scores(sample, sample, ["0", "1", "2"])
    r, *_ = dependence._changes(a, b)
    expected = scipy.stats.spearmanr(x).statistic[np.triu_indices(3, 1)]
    assert r == pytest.approx(expected, abs=1e-9)


def test_the_influence_gives_the_known_variance_of_a_correlation() -> None:
    """Independent columns: the variance of a correlation is 1/n."""
    x = np.random.default_rng(6).normal(size=(200_000, 2))
    _, variance = dependence._correlation(x)
    assert variance[0, 1] == pytest.approx(1.0, abs=0.02)


def test_rare_categories_are_taken_together_and_counted_whole() -> None:
    t = np.array([100, 60, 4, 3, 2, 1])
    b = np.array([[50, 30, 2, 1, 1, 1]])
    statistic, p = categorical.table(t, b)
    expected = scipy.stats.chi2_contingency([[50, 30, 5], [50, 30, 5]], correction=False)
    assert statistic[0] == pytest.approx(expected.statistic, abs=1e-12)
    assert p[0] == pytest.approx(1.0)


def _populations(cells: int, tilt: float) -> tuple[np.ndarray, np.ndarray]:
    p = np.arange(1, cells + 1) / np.arange(1, cells + 1).sum()
    q = p * np.exp(tilt * np.random.default_rng(cells).normal(size=cells))
    return p, q / q.sum()


@pytest.mark.parametrize("tilt", [0.0, 0.1, 0.3, 1.0])
@pytest.mark.parametrize(("cells", "n", "m"), [(2, 200, 300), (10, 1_000, 100_000), (100, 20_000, 20_000)])
def test_bounds_of_distances_hold_as_often_as_they_say(cells: int, n: int, m: int, tilt: float) -> None:
    """95 % bounds: in 300 draws each side is missed by no more than 5 % explains at one in a thousand a cell."""
    p, q = _populations(cells, tilt)
    js = scipy.spatial.distance.jensenshannon(p, q, base=2)
    true = {
        "psi": ((p - q) * np.log(p / q)).sum(),
        "js": js,
        "hellinger": np.sqrt(max(1 - np.sqrt(p * q).sum(), 0)),
    }
    true |= {"total_variation": np.abs(p - q).sum() / 2, "l_infinity": np.abs(p - q).max()}
    rng = np.random.default_rng(n)
    missed: dict[tuple[str, str], int] = {}
    for a, b in zip(rng.multinomial(n, p, 300), rng.multinomial(m, q, 300), strict=True):
        for name, (low, high) in distances.bounds(a, b, 1.96).items():
            missed[name, "low"] = missed.get((name, "low"), 0) + (low > true[name] + 1e-9)
            missed[name, "high"] = missed.get((name, "high"), 0) + (high < true[name] - 1e-9)
    assert len(missed) == 10
    assert max(missed.values()) <= scipy.stats.binom.isf(0.001, 300, 0.05)


def test_a_distance_far_from_nothing_has_bounds_that_tell() -> None:
    """Not so wide as to be useless: a Jensen-Shannon distance of .25 at 10,000 rows is known to 10 %."""
    p, q = _populations(10, 1.0)
    found = distances.bounds(np.rint(10_000 * p).astype(int), np.rint(10_000 * q).astype(int), 1.96)
    low, high = found["js"]
    assert 0 < high - low < 0.1 * high
    assert distances.bounds(np.array([5, 0]), np.array([3, 0]), 1.96) == {}


def test_ks_bounds_are_the_band_s() -> None:
    low, high = distances.ks_bounds(0.2, (1_000, 1_000), 1.96)
    half = scipy.stats.kstwobign.isf(0.05) * np.sqrt(2 / 1_000)
    assert (low, high) == pytest.approx((0.2 - half, 0.2 + half), rel=1e-3)
