"""The workload of the drift benchmark: 43 columns of kinds that real tables have, same distribution each time."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

_DAY_US = 86_400_000_000


def correlated(rng: np.random.Generator, rows: int, columns: int, rho: float) -> npt.NDArray[np.float64]:
    """Standard normal columns, neighbours correlated by rho (AR(1))."""
    x = rng.normal(size=(rows, columns))
    for j in range(1, columns):
        x[:, j] = rho * x[:, j - 1] + np.sqrt(1 - rho * rho) * x[:, j]
    return x


def numbers(rng: np.random.Generator, rows: int) -> dict[str, npt.NDArray[np.generic]]:
    """Thirty numeric columns."""
    block = correlated(rng, rows, 10, 0.6)
    columns: dict[str, npt.NDArray[np.generic]] = {f"gauss_{j}": block[:, j] for j in range(10)}
    columns |= {f"lognormal_{j}": rng.lognormal(j, 1.0, rows) for j in range(2)}
    columns |= {f"student_{j}": rng.standard_t(2.5, rows) for j in range(2)}
    columns |= {f"uniform_{j}": rng.uniform(0, 100, rows) for j in range(2)}
    columns |= {f"price_{j}": np.round(rng.lognormal(3, 0.7, rows), 2) for j in range(2)}
    columns |= {f"poisson_{j}": rng.poisson(3 + 20 * j, rows) for j in range(2)}
    columns["geometric"] = rng.geometric(0.1, rows)
    columns |= {
        f"zero_inflated_{j}": np.where(rng.random(rows) < 0.8, 0.0, rng.gamma(2, 10, rows)) for j in range(2)
    }
    columns["identifier"] = rng.permutation(rows)
    columns["bimodal"] = np.where(rng.random(rows) < 0.4, rng.normal(-3, 1, rows), rng.normal(3, 1, rows))
    columns["single"] = rng.normal(size=rows).astype(np.float32)
    columns["binary"] = rng.integers(0, 2, rows)
    columns["rating"] = rng.choice(5, rows, p=[0.1, 0.1, 0.2, 0.35, 0.25]) + 1
    columns |= {f"beta_{j}": rng.beta(2, 5 + j, rows) for j in range(2)}
    return columns


def categories(rng: np.random.Generator, rows: int) -> dict[str, pa.DictionaryArray]:
    """Ten columns of words with 2 to 10,000 categories, Zipf distributed."""
    columns = {}
    for j, number in enumerate((2, 3, 5, 10, 25, 50, 100, 500, 2_000, 10_000)):
        chances = 1 / np.arange(1, number + 1)
        codes = rng.choice(number, rows, p=chances / chances.sum()).astype(np.int32)
        words = pa.array([f"value_{j}_{code}" for code in range(number)])
        columns[f"word_{number}"] = pa.DictionaryArray.from_arrays(pa.array(codes), words)
    return columns


def table(seed: int, rows: int) -> pa.Table:
    """The whole workload; nulls in 21 of its 43 columns."""
    rng = np.random.default_rng(seed)
    arrays: dict[str, pa.Array] = {}
    for name, values in numbers(rng, rows).items():
        arrays[name] = pa.array(values)
    arrays |= {name: words.cast(pa.string()) for name, words in categories(rng, rows).items()}
    for j in range(3):
        moments = rng.integers(0, 365 * _DAY_US, rows) + 1_700_000_000_000_000
        arrays[f"moment_{j}"] = pa.array(moments, pa.timestamp("us"))
    for place, name in enumerate(sorted(arrays)[::2][:21]):
        if name != "identifier":
            missing = pa.array(rng.random(rows) < 0.01 * (1 + place % 6))
            arrays[name] = pa.compute.if_else(missing, pa.scalar(None, arrays[name].type), arrays[name])
    return pa.table(arrays)


def write(path: Path, seed: int, rows: int) -> Path:
    """The workload as Parquet (snappy), made once."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with pq.ParquetWriter(path, table(0, 10).schema, compression="snappy") as writer:
            for part, start in enumerate(range(0, rows, 1_000_000)):
                size = min(1_000_000, rows - start)
                writer.write_table(table(1_000 * seed + part, size), row_group_size=1_000_000)
    return path
