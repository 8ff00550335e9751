"""Several rows of each customer: one row of each keeps the report's rate, where rows for themselves do not.

H0: customers are exchangeable between reference and drop; any sizes of customers, also where who has many rows has
other values. Whole reports, through the reader that `drift.cluster` uses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import drift
from benchmarks.canary.simulation import lower
from shared.reader.one_of_each import OneOfEach

RATE = 0.05


def rows(rng: np.random.Generator, customers: int, shift: float = 0.0) -> pa.RecordBatch:
    """1 to 60 rows a customer; two numbers and a category that mostly stay the customer's own."""
    sizes = (1 + 59 * rng.random(customers) ** 4).astype(int)
    who = np.repeat(np.arange(customers), sizes)
    level = rng.normal(shift, 1, customers) + 0.02 * sizes
    kind = rng.choice(["a", "b", "c"], customers, p=[0.6, 0.3, 0.1])
    frame = pd.DataFrame(
        {
            "customer": [f"c{n}" for n in who],
            "x": level[who] + rng.normal(0, 0.5, len(who)),
            "y": rng.exponential(1, customers)[who],
            "kind": np.where(rng.random(len(who)) < 0.9, kind[who], "other"),
        }
    )
    return pa.RecordBatch.from_pandas(frame.sample(frac=1, random_state=len(who)), preserve_index=False)


def detected(
    rng: np.random.Generator, column: str, sizes: tuple[int, int] = (300, 80), shift: float = 0.0
) -> bool:
    batches = [rows(rng, n, by) for n, by in zip(sizes, (0.0, shift), strict=True)]
    sides = [OneOfEach(column).of(batch, np.arange(batch.num_rows))[0].to_pandas() for batch in batches]
    reference, current = (side.drop(columns="customer") for side in sides)
    report = drift.compare(reference, current, policy=drift.Policy(false_alarm_rate=RATE))
    return report.detected


def share(reports: int, column: str, seed: int = 1, **more: float) -> float:
    rng = np.random.default_rng(seed)
    return float(np.mean([detected(rng, column, **more) for _ in range(reports)]))  # type: ignore[arg-type]


def test_one_row_of_each_customer_keeps_the_rate_and_rows_do_not() -> None:
    assert lower(share(40, "customer"), 40) <= RATE
    assert share(8, "") > 0.5


def test_a_shift_of_customers_is_found() -> None:
    assert share(20, "customer", shift=0.8) >= 0.9


@pytest.mark.soak
@pytest.mark.parametrize("sizes", [(300, 80), (80, 300), (5000, 50)])
def test_one_row_of_each_customer_keeps_the_rate_in_full(sizes: tuple[int, int]) -> None:
    found = share(1000, "customer", sizes=sizes)  # type: ignore[arg-type]
    print(f"{sizes}: {found:.1%}")
    assert lower(found, 1000, 3) <= RATE
