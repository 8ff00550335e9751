"""Evidently's default preset; runs in an environment of its own (evidently with pandas < 3)."""

import sys
from pathlib import Path

from timing import Clock

clock = Clock()
import pandas as pd  # noqa: E402 - what is timed
from evidently import Report  # noqa: E402
from evidently.presets import DataDriftPreset  # noqa: E402

folder = Path(sys.argv[2])
clock.imported()
first, second = (pd.read_parquet(folder / f"{name}.parquet") for name in ("reference", "current"))
result = Report([DataDriftPreset()]).run(second, first)
clock.done(str(len(result.dict())))
