"""Scores an MLflow model that came without code, as the script does that Azure generates for it.

Input is `{"input_data": {"columns": [...], "index": [...], "data": [...]}}`, or a list of rows; the answer
is the list of predictions. Where the deployment collects `model_inputs` or `model_outputs`, Microsoft's
collector gets both under one correlation id, which is a new one and not the request's.
"""

import json
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from azureml.ai.monitoring import Collector
from azureml_inference_server_http.api.aml_response import AMLResponse
from mlflow.pyfunc import PyFuncModel, load_model

_log = logging.getLogger("azmlinfsrv")
_model: PyFuncModel
_collectors: dict[str, Any] = {}


def init() -> None:
    global _model
    root = Path(os.environ["AZUREML_MODEL_DIR"])
    _model = load_model(str(next(root.rglob("MLmodel")).parent))
    for name in os.environ.get("LOCAL_COLLECTIONS", "").split():
        _collectors[name] = Collector(
            name=name, on_error=lambda error: _log.error("not collected: %s", error)
        )


def run(raw_data: str) -> Any:
    body = json.loads(raw_data)
    if not isinstance(body, dict) or "input_data" not in body:
        return AMLResponse({"message": "The request must hold the key 'input_data'."}, 400, json_str=True)
    rows = _frame(body["input_data"])
    context = _collectors["model_inputs"].collect(rows) if "model_inputs" in _collectors else None
    predictions = _model.predict(_typed(rows))
    if "model_outputs" in _collectors:
        _collectors["model_outputs"].collect(pd.DataFrame(predictions), context)
    if isinstance(predictions, pd.DataFrame):
        return predictions.to_dict(orient="records")
    return np.asarray(predictions).tolist()


def _frame(data: Any) -> pd.DataFrame:
    if isinstance(data, dict):
        return pd.DataFrame(data["data"], columns=data.get("columns"), index=data.get("index"))
    return pd.DataFrame(data)


def _typed(rows: pd.DataFrame) -> pd.DataFrame:
    """JSON has one kind of number, a signature has several: give each column the type that it promises."""
    schema = _model.metadata.get_input_schema()
    if schema is None or schema.is_tensor_spec() or not schema.has_input_names():
        return rows
    wanted = dict(zip(schema.input_names(), schema.pandas_types(), strict=True))
    numbers = {name: kind for name, kind in wanted.items() if name in rows and np.dtype(kind).kind in "fiu"}
    return rows.astype(numbers)
