"""Evidently's rule as a baseline: retrain when its default preset finds drift. Written anew, without Evidently."""

from __future__ import annotations

import pandas as pd
from scipy import stats
from scipy.spatial.distance import jensenshannon

from cli.past.baselines import Rule, without_triggers
from shared.loopfile import Definition


def rule(definition: Definition) -> Rule:
    return Rule("evidently", without_triggers(definition), drifts)


def drifts(reference: pd.DataFrame, current: pd.DataFrame) -> bool:
    """Half of the columns or more, each by the test that Evidently's DataDriftPreset picks by default.

    Up to 1,000 reference rows: Kolmogorov-Smirnov for numbers, chi-square for categories (both p < 0.05).
    Above: Wasserstein distance by standard deviation, Jensen-Shannon distance (both > 0.1).
    """
    shared_columns = [name for name in reference.columns if name in current.columns]
    drifted = sum(_column_drifts(reference[name].dropna(), current[name].dropna()) for name in shared_columns)
    return bool(shared_columns) and drifted / len(shared_columns) >= 0.5


def _column_drifts(before: pd.Series, after: pd.Series) -> bool:
    if not len(before) or not len(after):
        return False
    numeric = pd.api.types.is_numeric_dtype(before) and before.nunique() > 5
    small = len(before) <= 1000
    if numeric and small:
        return bool(stats.ks_2samp(before, after).pvalue < 0.05)
    if numeric:
        spread = max(float(before.std()), 0.001)
        return bool(stats.wasserstein_distance(before, after) / spread > 0.1)
    names = sorted({*before.astype(str), *after.astype(str)})
    was = before.astype(str).value_counts(normalize=True).reindex(names, fill_value=0.0)
    now = after.astype(str).value_counts().reindex(names, fill_value=0)
    if not small:
        return bool(jensenshannon(was, now / now.sum(), base=2) > 0.1)
    known = was > 0
    if now[~known].sum() > 0:
        return True
    expected = was[known] * now.sum()
    return bool(known.sum() > 1 and stats.chisquare(now[known], expected).pvalue < 0.05)
