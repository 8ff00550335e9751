"""What a loop's own code is asked, in the process that runs it: a metric, checks, or whether it can be loaded."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any

import numpy as np

# What numpy's own functions load on first use (`average`, `nanmedian`): then no file can be read any more.
from numpy import ma, rec  # noqa: F401

from shared.stats.bounds import Bounds
from shared.stats.function_bounds import Asked, Found, Function, function_bounds
from shared.stats.metrics import Costs, row_costs, uncosted

if TYPE_CHECKING:
    import pandas as pd


class Unfit(Exception):
    """The code ran, and what it answered cannot be used."""


Space = Mapping[str, Any]  # the names that the code defines
Header = Mapping[str, Any]  # the question, which our own parent made

_SAME = 1e-9


def frame_of(stream: IO[bytes]) -> pd.DataFrame:
    """Rows as the parent sent them; on one thread, for no other can begin later."""
    import pyarrow as pa

    table = pa.ipc.open_stream(stream).read_all()
    frame: pd.DataFrame = table.to_pandas(use_threads=False)
    return frame


def load(space: Space, header: Header, frames: list[pd.DataFrame]) -> dict[str, Any]:
    """That it could be loaded, and holds these functions, is all."""
    for name in header["functions"]:
        if not callable(space.get(name)):
            raise Unfit(f"{name} is no function")
    return {"loaded": True}


def measure(space: Space, header: Header, frames: list[pd.DataFrame]) -> dict[str, Any]:
    """A metric: one number a row where the loop file gives a range, else one number with bounds for each group."""
    import pandas as pd  # loaded already, with the frames

    function, kind = space[header["function"]], header["kind"]
    dtype = {"classes": object, "probabilities": float, "numbers": float}[kind]
    truth = np.array(header["truth"], dtype=bool if kind == "probabilities" else dtype)
    models = tuple(np.array(each, dtype=dtype) for each in header["models"])
    rows = frames[0] if len(frames[0].columns) else pd.DataFrame(index=range(len(truth)))
    asked = Asked(truth, models, rows, kind)
    if header["range"] is not None:
        least, most = header["range"]
        if header["costs"]:
            function = _with_costs(function, header["costs"])
        return {"rows": [_of_rows(function, asked, model, least, most) for model in range(len(models))]}
    number = _number(function)
    _weighs(number, asked)
    found = {}
    for name, group in header["groups"].items():
        some = asked.some(group["at"])
        seen = function_bounds(
            number, some, header["sign"], group["confidence"], header["resamples"], header["seed"]
        )
        found[name] = _document(seen)
    return {"found": found}


def _with_costs(function: Callable[..., Any], table: Costs) -> Callable[..., Any]:
    """The function, given what each row's answer costs by the table as well."""

    def costed(truth: Any, predictions: Any, rows: Any, weights: Any) -> Any:
        if pair := uncosted(table, truth, predictions):
            raise Unfit(
                f"metric.costs does not say what it costs to answer {pair[1]!r} where {pair[0]!r} is true"
            )
        return function(truth, predictions, rows, weights, np.array(row_costs(table, truth, predictions)))

    return costed


def _of_rows(
    function: Callable[..., Any], asked: Asked, model: int, least: float, most: float
) -> list[float]:
    """One number for each row, which must lie in the range and must not depend on the other rows."""
    values = _row_values(function, asked, model)
    outside = values[(values < least) | (values > most) | ~np.isfinite(values)]
    if len(outside):
        raise Unfit(f"it answers {outside[0]:g} for a row, and metric.range is {least:g} to {most:g}")
    half = asked.some(range(len(values) // 2 + 1))
    if not np.allclose(_row_values(function, half, model), values[: len(half.truth)], rtol=_SAME, atol=_SAME):
        raise Unfit("what it answers for a row changes with the other rows that it is given")
    return [float(value) for value in values]


def _row_values(
    function: Callable[..., Any], asked: Asked, model: int
) -> np.ndarray[Any, np.dtype[np.float64]]:
    n = len(asked.truth)
    answer = function(asked.truth.copy(), asked.predictions[model].copy(), asked.rows.copy(), np.ones(n))
    try:
        values = np.asarray(answer, dtype=float)
    except (TypeError, ValueError):
        raise Unfit(f"it answers {type(answer).__name__}, not one number a row") from None
    if values.shape != (n,):
        shape = "one number" if values.ndim == 0 else f"{len(values):,} numbers"
        raise Unfit(f"it answers {shape} for {n:,} rows; with metric.range it must be one number a row")
    return values


def _number(function: Callable[..., Any]) -> Function:
    def number(truth: Any, predictions: Any, rows: Any, weights: Any) -> float:
        answer = function(truth, predictions, rows, weights)
        try:
            return float(answer)
        except (TypeError, ValueError):
            what = (
                f"{len(answer):,} values"
                if isinstance(answer, list | tuple | np.ndarray)
                else type(answer).__name__
            )
            raise Unfit(f"it answers {what}, not a number; one number a row needs metric.range") from None

    return number


def _weighs(function: Function, asked: Asked) -> None:
    """A row of weight 2 must count as much as two rows: the intervals rest on it."""
    n = len(asked.truth)
    weights = 1 + np.arange(n) % 3
    twice = asked.some(np.repeat(np.arange(n), weights).tolist())
    once = function(asked.truth, asked.predictions[0], asked.rows, weights.astype(float))
    again = function(twice.truth, twice.predictions[0], twice.rows, np.ones(len(twice.truth)))
    if (
        math.isfinite(once)
        and math.isfinite(again)
        and not math.isclose(once, again, rel_tol=1e-6, abs_tol=1e-9)
    ):
        raise Unfit(
            f"it does not use its weights: rows weighted give {once:g}, the same rows repeated {again:g}"
        )


def check(space: Space, header: Header, frames: list[pd.DataFrame]) -> dict[str, Any]:
    """Each check's finding; where it claims a p-value, also those that it comes to where nothing has changed."""
    reference, current = frames
    found = {}
    for name in header["functions"]:
        finding = _finding(space[name](reference.copy(), current.copy()), name)
        finding["same"] = []
        if finding["p_value"] is not None:
            finding["same"] = _same(space[name], name, frames, header)
        found[name] = finding
    return {"checks": found}


def _same(function: Callable[..., Any], name: str, frames: list[pd.DataFrame], header: Header) -> list[float]:
    """P-values where nothing has changed: of two drops the reference is split at random, in the proportion of both; of
    the same rows twice the two answers of each are exchanged at random."""
    rng, column = np.random.default_rng(header["seed"]), header["exchanged"]
    found = []
    for _ in range(header["splits"]):
        one, other = _exchanged(frames, column, rng) if column else _split(frames, rng)
        p_value = _finding(function(one, other), name)["p_value"]
        if p_value is None:
            raise Unfit(f"{name} claims a p_value, and none where nothing but chance parts the two sides")
        found.append(p_value)
    return found


def _split(frames: list[pd.DataFrame], rng: np.random.Generator) -> Iterator[pd.DataFrame]:
    reference, n, current = frames[0], len(frames[0]), len(frames[1])
    size = max(1, min(n - 1, round(n * current / (n + current))))
    order = rng.permutation(n)
    return (reference.iloc[part].reset_index(drop=True) for part in (order[size:], order[:size]))


def _exchanged(frames: list[pd.DataFrame], column: str, rng: np.random.Generator) -> Iterator[pd.DataFrame]:
    kept = rng.random(len(frames[0])) < 0.5
    sides = (frames, reversed(frames))
    return (one.assign(**{column: one[column].where(kept, other[column])}) for one, other in sides)


def _finding(answer: Any, name: str) -> dict[str, Any]:
    if not isinstance(answer, Mapping) or set(answer) - {"severity", "text", "p_value"}:
        raise Unfit(f"{name} does not answer a dict of severity, text and, where there is one, p_value")
    severity, text, p_value = answer.get("severity"), answer.get("text"), answer.get("p_value")
    if severity not in ("info", "warning", "drift"):
        raise Unfit(f"{name} answers severity {severity!r}, not info, warning or drift")
    if p_value is not None:
        try:
            p_value = float(p_value)
        except (TypeError, ValueError):
            raise Unfit(f"{name} answers a p_value that is no number") from None
        if not 0 <= p_value <= 1:
            raise Unfit(f"{name} answers a p_value of {p_value:g}, not one from 0 to 1")
    return {"severity": severity, "text": str(text or "")[:200], "p_value": p_value}


def _document(found: Found) -> dict[str, Any]:
    return {"models": list(map(_three, found.models)), "difference": _three(found.difference)}


def _three(found: Bounds | None) -> list[float | None] | None:
    if found is None:
        return None
    return [value if math.isfinite(value) else None for value in (found.value, found.low, found.high)]


TASKS: Mapping[str, Callable[[Space, Header, list[pd.DataFrame]], dict[str, Any]]] = {
    "load": load,
    "measure": measure,
    "check": check,
}
