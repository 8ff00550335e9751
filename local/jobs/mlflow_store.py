"""MLflow in a step logs to the step's own run, without a server: the tracking store is a folder of the state.

The folder store and not SQLite: that needs SQLAlchemy, which `mlflow-skinny` leaves out, and whose first
migration takes longer than most local steps. The run exists before the step starts, as it does on Azure.
"""

from __future__ import annotations

import json
import os
import threading
import time
import zlib
from pathlib import Path


class Tracking:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self, experiment: str, run: str) -> dict[str, str]:
        """Create the MLflow run of a step; returns the variables with which MLflow finds it."""
        number = str(zlib.crc32(experiment.encode()))
        place = self._folder / number
        for part in ("metrics", "params", "tags", "artifacts"):
            (place / run / part).mkdir(parents=True, exist_ok=True)
        common = {"experiment_id": number, "lifecycle_stage": "active"}
        _write(place / "meta.yaml", {**common, "name": experiment, "artifact_location": place.as_uri()})
        details: dict[str, object] = {
            **common,
            "artifact_uri": (place / run / "artifacts").as_uri(),
            "run_id": run,
            "run_uuid": run,
            "run_name": run,
            "start_time": int(time.time() * 1000),
            "end_time": None,
            "status": 1,
            "user_id": "local",
            "entry_point_name": "",
            "source_name": "",
            "source_type": 4,
            "source_version": "",
            "tags": [],
        }
        _write(place / run / "meta.yaml", details)
        return {
            "MLFLOW_TRACKING_URI": self._folder.as_uri(),
            "MLFLOW_ALLOW_FILE_STORE": "true",
            "MLFLOW_EXPERIMENT_ID": number,
            "MLFLOW_RUN_ID": run,
        }

    def metric(self, experiment: str, run: str, name: str) -> float | None:
        """The last value that the run logged for a metric."""
        file = self._folder / str(zlib.crc32(experiment.encode())) / run / "metrics" / name
        if not file.is_file():
            return None
        lines = file.read_text().split("\n")
        values = [float(line.split()[1]) for line in lines if line.strip()]
        return values[-1] if values else None


def _write(file: Path, content: object) -> None:
    """JSON is YAML too. Whole or not at all: another step of the experiment may be reading."""
    if not file.exists():
        draft = file.with_name(f".{file.name}.{os.getpid()}.{threading.get_ident()}")
        draft.write_text(json.dumps(content))
        draft.replace(file)
