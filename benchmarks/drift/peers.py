"""The peers, each at its defaults, in an environment of its own: python peers.py NAME FOLDER.

All read both files with pandas, as their users do. What they cannot take is prepared as gently as they allow
it: alibi-detect wants arrays without nulls, so words become codes and nulls the median.
"""

import sys
import warnings
from pathlib import Path
from typing import Any

from timing import Clock

warnings.filterwarnings("ignore")
NAME, FOLDER = sys.argv[1], Path(sys.argv[2])
clock = Clock()
import pandas as pd  # noqa: E402 - what is timed

if NAME == "evidently":
    from evidently import Report
    from evidently.presets import DataDriftPreset
elif NAME == "nannyml":
    import nannyml
elif NAME == "deepchecks":
    from deepchecks.tabular import Dataset
    from deepchecks.tabular.checks import FeatureDrift
elif NAME == "alibi":
    from alibi_detect.cd import TabularDrift
elif NAME == "whylogs":
    import whylogs
    from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores
clock.imported()


def run(first: pd.DataFrame, second: pd.DataFrame) -> Any:
    """The peer's own report on both sides."""
    words = [c for c in first.columns if first[c].dtype == object or "str" in str(first[c].dtype)]
    moments = [c for c in first.columns if "datetime" in str(first[c].dtype)]
    if NAME == "evidently":
        return Report([DataDriftPreset()]).run(second, first).dict()
    if NAME == "nannyml":
        columns = [c for c in first.columns if c not in moments]
        calculator = nannyml.UnivariateDriftCalculator(
            column_names=columns, treat_as_categorical=words, chunk_number=10
        )
        return calculator.fit(first).calculate(second).to_df()
    if NAME == "deepchecks":
        sides = [Dataset(side, cat_features=words, label=None) for side in (first, second)]
        return FeatureDrift().run(*sides).value
    if NAME == "whylogs":
        views = [whylogs.log(pandas=side).view() for side in (first, second)]
        return calculate_drift_scores(target_view=views[1], reference_view=views[0], with_thresholds=True)
    kept = [c for c in first.columns if c not in moments]
    both = pd.concat([first[kept], second[kept]])
    for name in words:
        both[name] = pd.factorize(both[name])[0]
    arrays = both.fillna(both.median()).to_numpy(dtype="float64")
    categories = {kept.index(name): None for name in words}
    detector = TabularDrift(arrays[: len(first)], p_val=0.05, categories_per_feature=categories)
    return detector.predict(arrays[len(first) :])["data"]["p_val"]


result = run(*(pd.read_parquet(FOLDER / f"{name}.parquet") for name in ("reference", "current")))
clock.done(str(len(result)))
