"""Scores an MLflow model that came without code, as the script does that Azure generates for it.

Input is `{"input_data": {"columns": [...], "index": [...], "data": [...]}}`, or a list of rows; the answer
is the list of predictions. Where the deployment collects `model_inputs` or `model_outputs`, Microsoft's
collector gets both under one correlation id, which is a new one and not the request's.

Source: the script itself, mlflow_score_script.py in Azure/azureml-assets: a frame is read by `PandasParameterType` of
inference-schema with `orient="split"` against the signature's types, and that frame is collected and predicted.
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
from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
from mlflow.pyfunc import PyFuncModel, load_model

_log = logging.getLogger("azmlinfsrv")
_model: PyFuncModel
_reader: PandasParameterType
_collectors: dict[str, Any] = {}


def init() -> None:
    global _model, _reader
    root = Path(os.environ["AZUREML_MODEL_DIR"])
    _model = load_model(str(next(root.rglob("MLmodel")).parent))
    _reader = _reader_of(_model)
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
    predictions = _model.predict(rows)
    if "model_outputs" in _collectors:
        _collectors["model_outputs"].collect(pd.DataFrame(predictions), context)
    if isinstance(predictions, pd.DataFrame):
        return predictions.to_dict(orient="records")
    return np.asarray(predictions).tolist()


def _frame(data: Any) -> pd.DataFrame:
    return _reader.deserialize_input(data) if isinstance(data, dict) else pd.DataFrame(data)


def _reader_of(model: PyFuncModel) -> PandasParameterType:
    """JSON has one kind of number and no times, a signature has more: each column gets the type that is promised, and a
    text that is no such value is refused."""
    schema, sample = model.metadata.get_input_schema(), pd.DataFrame()
    named = schema is not None and not schema.is_tensor_spec() and schema.has_input_names()
    if named:
        types = dict(zip(schema.input_names(), schema.pandas_types(), strict=True))
        sample = pd.DataFrame(columns=list(types)).astype(types)
    return PandasParameterType(sample, enforce_column_type=named, enforce_shape=False, orient="split")
