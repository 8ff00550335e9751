"""Versions of billions of rows, as tables of hundreds of gigabytes have them, made by merging small profiles."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import drift


@pytest.mark.parametrize(
    ("first", "second"), [(700_000_000, 650_000_000), (5_000_000_000, 300), (400, 3_000_000_000)]
)
def test_versions_of_a_billion_rows_are_compared(first: int, second: int) -> None:
    """Counts as a table of some 250 GB has them: the same shares are no drift, others are."""
    words = ["a", "b", "c"]

    def of(rows: int, shares: tuple[float, ...]) -> drift.Profile:
        small = drift.profile(
            {"word": np.repeat(words, (np.array(shares) * 100).astype(int))}, columns={"word": "category"}
        )
        return grown(small, rows)

    before, same, other = (0.5, 0.3, 0.2), (0.5, 0.3, 0.2), (0.2, 0.3, 0.5)
    assert not drift.compare(of(first, before), of(second, same)).detected
    report = drift.compare(of(first, before), of(second, other))
    assert report.detected and report["word"].p_value < 1e-6


def grown(profile: drift.Profile, rows: int) -> drift.Profile:
    """So many rows, as merging makes them."""
    parts, power = [], profile
    times = rows // profile.rows
    while times:
        if times % 2:
            parts.append(power)
        power, times = drift.merge([power, power]), times // 2
    return drift.merge(parts)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("times", [2**10, 2**20])
def test_statistics_grow_with_the_rows_and_no_product_is_too_large(times: int) -> None:
    """Up to 20 billion rows a side: distances stay, z grows with the root of the rows, chi-square with them."""
    random = np.random.default_rng(4)
    frames = [
        pd.DataFrame(
            {"x": random.normal(mean, 1, 20_000), "word": random.choice(["a", "b", "c"], 20_000, p=p)}
        )
        for mean, p in ((0.0, (0.5, 0.3, 0.2)), (0.2, (0.46, 0.32, 0.22)))
    ]
    first = drift.profile(frames[0])
    sides = first, drift.profile(frames[1], grid=first)
    few, many = drift.compare(*sides), drift.compare(*(grown(one, one.rows * times) for one in sides))
    assert many.rows_reference == 20_000 * times and not many.skipped
    for name in ("x", "word"):
        before, after = ({one.name: one.statistic for one in report[name].tests} for report in (few, many))
        grows = {"location": times**0.5, "scale": times**0.5, "category": times**0.5, "ks": 1.0}
        grows |= {"bins": times, "chi_square": times}
        told = [one for one in before if one in grows]
        assert len(told) >= 2
        for one in told:
            assert after[one] == pytest.approx(before[one] * grows[one], rel=0.02), (name, one)
        assert many[name].detected and many[name].effect.value == pytest.approx(
            few[name].effect.value, rel=0.1
        )
