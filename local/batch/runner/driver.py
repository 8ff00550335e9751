"""Scores the files of a folder with a model, mini-batch by mini-batch, as Azure ML's batch runner does.

Sources in MicrosoftDocs/azure-ai-docs, articles/machine-learning: how-to-batch-scoring-script.md (`init`, `run`, files
and not rows; a frame's names are not in the output), reference-yaml-deployment-batch.md (defaults, error_threshold,
retries), how-to-mlflow-batch.md (one `predict` a file; row, prediction, file_name; flat folders; which files),
how-to-troubleshoot-batch-endpoints.md (`Error processing input file`, `No objects to concatenate`, `No succeeded
mini-batch`, time-outs that fail the job); azureml-examples, mlflow-for-batch-tabular.ipynb (commas, no header) and
how-to-image-processing-batch.md (a script's frame is written with spaces).
"""

import importlib.util
import json
import logging
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pandas as pd

_TABLES = {".csv": pd.read_csv, ".parquet": pd.read_parquet, ".pqt": pd.read_parquet}
_log = logging.getLogger("azureml")


class TimedOut(BaseException):
    """A mini-batch took longer than it may: no `except Exception` of a model keeps it, as none keeps Azure's worker."""


def main(data: str, model: str, output: str) -> None:
    order = {**json.loads(os.environ["LOCAL_BATCH"]), "output": output}
    _place_model(Path(model), order)
    given = Path(data)
    below = sorted(given.iterdir()) if given.is_dir() else [given]
    files = [path for path in below if path.is_file()]  # nested folders are not explored
    if not files:
        sys.exit("The input holds no files.")
    init, run = _of_script(order) if order["script"] else _of_mlflow()
    init()
    size, parts, failed = order["mini_batch_size"], [], 0
    for start in range(0, len(files), size):
        batch = files[start : start + size]
        result = _attempted(run, [str(path) for path in batch], order)
        lost = len(batch) if result is None else max(0, len(batch) - len(result))
        failed += lost
        if result is not None and len(result):
            parts.append(result)
        if 0 <= order["error_threshold"] < failed:
            sys.exit(f"{failed} files failed, more than the error threshold of {order['error_threshold']}.")
    if not parts:
        sys.exit("No succeeded mini batch item returned from run(). Please check 'response: run()'.")
    print(f"{len(files) - failed} of {len(files)} files were scored.")  # noqa: T201  # the job's log
    if order["output_action"] == "AppendRow":
        _write(parts, order)


def _place_model(model: Path, order: dict[str, Any]) -> None:
    """AZUREML_MODEL_DIR contains the model's file or folder under its own name."""
    root = Path.cwd().parent / "azureml-models"
    root.mkdir()
    if model.is_dir():  # real folders, into which a script's search goes, with links to the files
        shutil.copytree(model.resolve(), root / order["model_name"], copy_function=os.symlink)
    else:
        (root / order["model_name"]).symlink_to(model)
    os.environ["AZUREML_MODEL_DIR"] = str(root)
    os.environ["AZUREML_BI_OUTPUT_PATH"] = order["output"]


def _of_script(order: dict[str, Any]) -> tuple[Callable[[], None], Callable[[list[str]], Any]]:
    script = Path(order["script"]).resolve()
    sys.path.insert(0, str(script.parent))
    spec = importlib.util.spec_from_file_location(script.stem, script)
    if spec is None or spec.loader is None:
        sys.exit(f"The scoring script {script.name} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.init, module.run


def _of_mlflow() -> tuple[Callable[[], None], Callable[[list[str]], Any]]:
    """As the script does that Azure generates: a file that cannot be read is logged, and its rows are missing."""
    from mlflow.pyfunc import load_model

    held: dict[str, Any] = {}

    def init() -> None:
        root = Path(os.environ["AZUREML_MODEL_DIR"])
        found = next(
            Path(at) / "MLmodel" for at, _, names in os.walk(root, followlinks=True) if "MLmodel" in names
        )
        held["model"] = load_model(str(found.parent))

    def run(mini_batch: list[str]) -> pd.DataFrame:
        found = []
        for path in mini_batch:
            try:
                found.append(_predicted(held["model"], Path(path)))
            except Exception as error:  # noqa: BLE001  # whatever it is, only its rows are missing
                _log.error("Error processing input file: '%s'. Exception: %s", path, error)
        return pd.concat(found)

    return init, run


def _predicted(model: Any, path: Path) -> pd.DataFrame:
    read = _TABLES.get(path.suffix.lower())
    if read is None:
        raise ValueError(f"File type '{path.suffix.lstrip('.')}' is not supported.")
    rows = read(path)
    schema = model.metadata.get_input_schema()
    if schema is not None and not schema.is_tensor_spec() and schema.has_input_names():
        wanted = dict(zip(schema.input_names(), schema.pandas_types(), strict=True))
        kinds = {
            name: kind
            for name, kind in wanted.items()
            if name in rows and pd.api.types.is_numeric_dtype(kind)
        }
        rows = rows.astype(kinds)
    said = model.predict(rows)
    if isinstance(said, pd.DataFrame):
        said = said.iloc[:, 0] if said.shape[1] == 1 else said.to_dict(orient="records")
    return pd.DataFrame({"row": range(len(rows)), "prediction": list(said), "file_name": path.name})


def _attempted(run: Callable[[list[str]], Any], files: list[str], order: dict[str, Any]) -> Any:
    """What `run` gave; None where it raised at every attempt. A mini-batch that never ends in time fails the job."""
    late = False
    for _ in range(order["max_retries"] + 1):
        signal.signal(signal.SIGALRM, _too_late)
        signal.setitimer(signal.ITIMER_REAL, order["timeout_s"])
        try:
            return _usable(run(files))
        except TimedOut:
            late = True
            _log.error("No progress update in %s seconds.", order["timeout_s"])
        except Exception:  # noqa: BLE001  # whatever it is, its files have failed
            late = False
            _log.exception("run() failed")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    if late:
        sys.exit(f"A mini-batch took longer than {order['timeout_s']} seconds at each of its attempts.")
    return None


def _usable(result: Any) -> Any:
    """`run` gives a frame, or an array or list with an element a success (how-to-batch-scoring-script.md)."""
    if isinstance(result, pd.DataFrame | list | tuple) or type(result).__name__ == "ndarray":
        return result
    raise TypeError(f"run() should return a DataFrame or a list, not {type(result).__name__}")


def _too_late(number: int, frame: FrameType | None) -> None:
    raise TimedOut


def _write(parts: list[Any], order: dict[str, Any]) -> None:
    """The last first: workers end in no order, and nobody may rely on one."""
    with (Path(order["output"]) / order["output_file_name"]).open("w", newline="") as file:
        for part in reversed(parts):
            if isinstance(part, pd.DataFrame):
                part.to_csv(file, header=False, index=False, sep=" " if order["script"] else ",")
            else:
                file.writelines(f"{row}\n" for row in part)


if __name__ == "__main__":
    main(*sys.argv[1:])
