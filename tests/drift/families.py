"""Kinds of data in which nothing, or one thing, changes: what calibration and power are measured on."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

import drift

Rng = np.random.Generator
Values = npt.NDArray[np.generic] | pa.Array


def smooth(rng: Rng, rows: int, place: int) -> Values:
    """Continuous, no ties."""
    return rng.normal(size=rows)


def ties(rng: Rng, rows: int, place: int) -> Values:
    """Counts, flags, rounded and zero-inflated numbers."""
    made: list[Callable[[], Values]] = [
        lambda: rng.poisson(2, rows).astype(float),
        lambda: rng.integers(0, 2, rows).astype(float),
        lambda: np.round(rng.normal(size=rows), 1),
        lambda: np.where(rng.random(rows) < 0.8, 0.0, rng.lognormal(size=rows)),
        lambda: rng.geometric(0.3, rows).astype(float),
    ]
    return made[place % len(made)]()


def heavy(rng: Rng, rows: int, place: int) -> Values:
    """Tails without variance, some without mean."""
    if place % 2:
        return rng.standard_t(1 + 0.5 * (place % 4), rows)
    return rng.lognormal(0, 2, rows)


def words(codes: npt.NDArray[np.int64], number: int) -> pa.Array:
    """Codes as words."""
    return pa.DictionaryArray.from_arrays(
        pa.array(codes.astype(np.int32)), pa.array([f"word_{i}" for i in range(number)])
    )


def categories(rng: Rng, rows: int, place: int) -> Values:
    """2 to 10,000 categories, evenly or steeply distributed."""
    number = (2, 5, 20, 100, 1_000, 10_000)[place % 6]
    chances = 1 / np.arange(1, number + 1) ** (1.0, 0.5, 1.3)[place % 3]
    return words(rng.choice(number, rows, p=chances / chances.sum()), number)


def nulls(rng: Rng, rows: int, place: int) -> Values:
    """Numbers of which few, half or nearly all are missing."""
    values = rng.normal(size=rows)
    values[rng.random(rows) < (0.001, 0.01, 0.1, 0.5, 0.95)[place % 5]] = np.nan
    return values


def flags(rng: Rng, rows: int, place: int) -> Values:
    """Rare flags, as numbers and as booleans."""
    rare = rng.random(rows) < (0.0002, 0.001, 0.005, 0.01, 0.03)[place % 5]
    return pa.array(rare) if place % 2 else rare.astype(float)


def inflated(rng: Rng, rows: int, place: int) -> Values:
    """Amounts that are mostly zero, and rare counts."""
    if place % 3 == 2:
        return rng.poisson(0.05, rows).astype(float)
    share = (0.002, 0.01, 0.05)[place // 3 % 3]
    return np.where(rng.random(rows) < share, np.round(rng.lognormal(3, 1, rows), 2), 0.0)


def block(
    rng: Rng, rows: int, columns: int, rho: float = 0.6, first: float | None = None
) -> npt.NDArray[np.float64]:
    """Neighbours correlated by rho, the first two by `first`."""
    x = rng.normal(size=(rows, columns))
    for j in range(1, columns):
        r = first if first is not None and j == 1 else rho
        x[:, j] = r * x[:, j - 1] + np.sqrt(1 - r * r) * x[:, j]
    return x


FAMILIES = {
    "smooth": smooth,
    "ties": ties,
    "heavy": heavy,
    "categories": categories,
    "nulls": nulls,
    "flags": flags,
    "inflated": inflated,
}


def table(rng: Rng, family: str, rows: int, columns: int) -> pa.Table:
    """One draw of a family; `correlated` are columns that hang together."""
    if family == "correlated":
        x = block(rng, rows, columns)
        return pa.table({f"c{j}": x[:, j] for j in range(columns)})
    make = FAMILIES[family]
    return pa.table({f"c{j}": make(rng, rows, j) for j in range(columns)})


def quiet_report(
    seed: list[int], family: str, rows: tuple[int, int], columns: int, rate: float
) -> drift.Report:
    """A report on two draws from one distribution."""
    rng = np.random.default_rng(seed)
    made = [table(rng, family, size, columns) for size in rows]
    kinds = {name: _kind(family, made[0].column(name).type) for name in made[0].column_names}
    reference = drift.profile(made[0], columns=kinds)
    current = drift.profile(made[1], grid=reference, columns=kinds)
    return drift.compare(reference, current, drift.Policy(false_alarm_rate=rate))


def _kind(family: str, type_: pa.DataType) -> str:
    if family == "categories":
        return "category"
    return "boolean" if pa.types.is_boolean(type_) else "numeric"


def mixed(rng: Rng, rows: int, change: str = "") -> pa.Table:
    """Forty columns of all kinds, in one of which something may have changed."""
    block_ = block(rng, rows, 10, first=0.5 if change == "correlation" else None)
    columns: dict[str, Values] = {f"block_{j}": block_[:, j] for j in range(10)}
    columns |= {f"plain_{j}": rng.normal(size=rows) for j in range(10)}
    columns |= {"wide": rng.lognormal(size=rows), "count": rng.poisson(3, rows).astype(float)}
    columns |= {"student": rng.standard_t(2.5, rows), "even": rng.uniform(size=rows)}
    for j in range(6):
        values = rng.normal(size=rows)
        values[rng.random(rows) < (0.10 if change == "nulls" and not j else 0.05)] = np.nan
        columns[f"gaps_{j}"] = values
    for j, number in enumerate((2, 5, 10, 25, 50, 100, 500, 2_000, 10, 20)):
        chances = 1 / np.arange(1, number + 1)
        chances /= chances.sum()
        if j == 3 and change.startswith("mass"):
            chances[[0, 4]] += np.array([-1, 1]) * float(change.removeprefix("mass "))
        codes = rng.choice(number, rows, p=chances)
        if j == 3 and change == "new category":
            codes[rng.random(rows) < 0.01] = number
        columns[f"word_{j}"] = words(codes, number + 1)
    plain = columns["plain_0"]
    if change.startswith("mean"):
        columns["plain_0"] = plain + float(change.removeprefix("mean "))
    if change.startswith("sd"):
        columns["plain_0"] = plain * float(change.removeprefix("sd "))
    if change == "unit":
        columns["even"] = np.where(rng.random(rows) < 0.001, 10.0, 1.0) * columns["even"]
    return pa.table(columns)


CHANGED = {
    "correlation": "dependence between columns",
    "nulls": "gaps_0",
    "mass 0.05": "word_3",
    "mass 0.02": "word_3",
    "new category": "word_3",
    "unit": "even",
}


def found(seed: list[int], rows: int, change: str, rate: float) -> bool:
    """Whether the column that changed is detected."""
    rng = np.random.default_rng(seed)
    reference = drift.profile(mixed(rng, rows))
    current = drift.profile(mixed(rng, rows, change), grid=reference)
    report = drift.compare(reference, current, drift.Policy(false_alarm_rate=rate))
    return CHANGED.get(change, "plain_0") in {c.name for c in report.columns if c.detected}
