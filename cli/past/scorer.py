"""Loads a model and answers requests: a line of JSON in, a line of JSON out. Runs in the loop's own Python, alone.

python scorer.py MODEL_FOLDER SCORING_FOLDER SERVE_TYPE: the folder of the loop's score.py, or nothing for an MLflow
model; `batch` where its run() is given files, as a batch endpoint's is.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def scored(model: str, scoring: str) -> Callable[[str], object]:
    """The loop's own scoring code, as an Azure ML deployment runs it: init() once, run(body) for each request;
    AZUREML_MODEL_DIR holds the model's folder under its own name."""
    os.environ["AZUREML_MODEL_DIR"] = str(Path(model).parent)
    sys.path.insert(0, scoring)
    score = importlib.import_module("score")
    score.init()
    run: Callable[[str], object] = score.run
    return run


def scored_by_file(run: Callable[[Any], Any]) -> Callable[[str], object]:
    """A batch endpoint's script: it is given a file of rows, and answers row, prediction and file of each."""
    import tempfile

    import pandas as pd

    def ask(body: str) -> object:
        table = json.loads(body)["input_data"]
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "00000.parquet"
            pd.DataFrame(table["data"], columns=table["columns"], dtype=object).to_parquet(file, index=False)
            said = pd.DataFrame(run([str(file)]))
        ordered = said.sort_values(said.columns[0], key=lambda rows: rows.astype(int))
        return ordered.iloc[:, 1].tolist()

    return ask


def predicted(model: str) -> Callable[[str], object]:
    """As the script does that Azure ML generates for an MLflow model."""
    import mlflow
    import numpy as np
    import pandas as pd

    loaded = mlflow.pyfunc.load_model(model)

    def run(body: str) -> object:
        table = json.loads(body)["input_data"]
        rows = pd.DataFrame(table["data"], columns=table["columns"])
        answers = loaded.predict(_typed(rows, loaded.metadata.get_input_schema()))
        return (
            answers.to_dict("records") if isinstance(answers, pd.DataFrame) else np.asarray(answers).tolist()
        )

    return run


def _typed(rows: Any, schema: Any) -> Any:
    """JSON has one kind of number, a signature has several: each column gets the type that is promised."""
    import numpy as np

    if schema is None or schema.is_tensor_spec() or not schema.has_input_names():
        return rows
    wanted = dict(zip(schema.input_names(), schema.pandas_types()))  # noqa: B905 - the loop's Python may be an old one
    return rows.astype(
        {name: kind for name, kind in wanted.items() if name in rows and np.dtype(kind).kind in "fiu"}
    )


def main() -> None:
    """Standard output is for answers alone: what the model prints goes to standard error."""
    model, scoring, serve = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.path = [place for place in sys.path if Path(place or ".").resolve() != Path(__file__).parent]
    run = scored(model, scoring) if scoring else predicted(model)
    if scoring and serve == "batch":
        run = scored_by_file(run)
    for line in sys.stdin:
        print(json.dumps(run(line)), file=answers, flush=True)


if __name__ == "__main__":
    main()
