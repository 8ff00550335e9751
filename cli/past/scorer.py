"""Loads a model and answers requests: a line of JSON in, a line of JSON out. Runs in the loop's own Python, alone.

python scorer.py MODEL_FOLDER SCORING_FOLDER: the folder of the loop's score.py, or nothing for an MLflow model.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path


def scored(model: str, scoring: str) -> Callable[[str], object]:
    """The loop's own scoring code, as an Azure ML deployment runs it: init() once, run(body) for each request."""
    os.environ["AZUREML_MODEL_DIR"] = model
    sys.path.insert(0, scoring)
    score = importlib.import_module("score")
    score.init()
    run: Callable[[str], object] = score.run
    return run


def predicted(model: str) -> Callable[[str], object]:
    import mlflow
    import pandas as pd

    loaded = mlflow.pyfunc.load_model(model)

    def run(body: str) -> object:
        table = json.loads(body)["input_data"]
        answers = loaded.predict(pd.DataFrame(table["data"], columns=table["columns"]))
        return answers.tolist() if hasattr(answers, "tolist") else list(answers)

    return run


def main() -> None:
    """Standard output is for answers alone: what the model prints goes to standard error."""
    model, scoring = sys.argv[1], sys.argv[2]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.path = [place for place in sys.path if Path(place or ".").resolve() != Path(__file__).parent]
    run = scored(model, scoring) if scoring else predicted(model)
    for line in sys.stdin:
        answer = run(line)
        print(answer if isinstance(answer, str) else json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
