"""One contender's estimates of every case of a data set, in a process of its own.

    PYTHON contender.py driftloop|cbpe FOLDER SET

Each is given the holdout with its labels, and the served rows without: features, stated probability, answer.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

METRICS = ("accuracy", "roc_auc")
ONE_IN_TWENTY = 1.6449
"""Standard errors on each side of an interval of 90 %."""


def driftloop(held: pd.DataFrame, served: pd.DataFrame) -> Iterator[tuple[str, float, float, float]]:
    from shared.stats import unlabelled

    features = [c for c in held if c not in ("y", "p", "part")]
    rows = [
        unlabelled.Rows(
            {c: part[c].tolist() for c in features},
            (part.p >= 0.5).to_numpy().astype(np.int64),
            np.column_stack([1 - part.p, part.p]),
        )
        for part in (held, served)
    ]
    for name in METRICS:
        found = unlabelled.classes(name, rows[0], held.y.to_numpy(), rows[1], positive=1)
        yield name, found.value, found.low, found.high


def cbpe(held: pd.DataFrame, served: pd.DataFrame) -> Iterator[tuple[str, float, float, float]]:
    """NannyML's sampling error, as an interval of 90 % like ours; its own band has three standard errors."""
    import nannyml

    held, served = (part.assign(answer=(part.p >= 0.5).astype(int)) for part in (held, served))
    estimator = nannyml.CBPE(
        y_pred_proba="p",
        y_pred="answer",
        y_true="y",
        metrics=list(METRICS),
        problem_type="classification_binary",
        chunk_size=len(served),
    )
    estimator.fit(held.reset_index(drop=True))
    found = estimator.estimate(served.drop(columns="y").reset_index(drop=True))
    table = found.filter(period="analysis").to_df()
    for name in METRICS:
        value, error = float(table[name]["value"].iloc[0]), float(table[name]["sampling_error"].iloc[0])
        yield name, value, value - ONE_IN_TWENTY * error, value + ONE_IN_TWENTY * error


def main() -> None:
    name, folder, which = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    ask = {"driftloop": driftloop, "cbpe": cbpe}[name]
    found: list[dict[str, Any]] = []
    began = time.process_time()
    for file in sorted(folder.glob(f"{which}-*.parquet")):
        whole = pd.read_parquet(file)
        held, served = (whole[whole.part == part].drop(columns="part") for part in ("held", "served"))
        for metric, value, low, high in ask(held, served):
            found.append({"file": file.stem, "metric": metric, "value": value, "low": low, "high": high})
    print(json.dumps({"found": found, "cpu_s": time.process_time() - began}))


if __name__ == "__main__":
    main()
