"""The loop that people write: pandas, Kolmogorov-Smirnov for numbers, chi-square for words."""

import sys
from pathlib import Path

from timing import Clock

clock = Clock()
import pandas as pd  # noqa: E402 - what is timed
from scipy import stats  # noqa: E402

folder = Path(sys.argv[2])
clock.imported()
first, second = (pd.read_parquet(folder / f"{name}.parquet") for name in ("reference", "current"))
found = {}
for name in first.columns:
    a, b = first[name].dropna(), second[name].dropna()
    if pd.api.types.is_numeric_dtype(a):
        found[name] = stats.ks_2samp(a, b, method="asymp").pvalue
    elif not pd.api.types.is_datetime64_any_dtype(a):
        counts = pd.concat([a.value_counts(), b.value_counts()], axis=1).fillna(0)
        found[name] = stats.chi2_contingency(counts.T.to_numpy()).pvalue
clock.done(min(found, key=lambda name: found[name]))
