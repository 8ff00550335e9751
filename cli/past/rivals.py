"""When to retrain, by other people's rules: always, by the clock, never, or as Evidently's preset says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pandas as pd

    from shared.loopfile import Definition

Name = Literal["loop", "always", "schedule", "never", "evidently"]

WORDS: dict[Name, str] = {
    "loop": "the loop file, as it is",
    "always": "at every drop",
    "schedule": "by the clock alone",
    "never": "only the first model",
    "evidently": "Evidently's preset: half of the columns drifted",
}


@dataclass(frozen=True)
class Rule:
    """A policy: a loop file's own reasons, or one decided outside, which is put to the loop as a person's."""

    name: Name
    definition: Definition
    asks: Literal["", "always", "evidently"] = ""


def rules(definition: Definition, schedule: str) -> tuple[Rule, ...]:
    """All of them, over one loop. Live traffic is no part of the past, so its canary is a formality.

    They differ in when they retrain and in nothing else: each keeps the loop's gate, and the metric that it uses.
    """
    alike = _with_a_short_canary(definition)
    deaf = alike.model_copy(
        update={
            "drift": alike.drift.model_copy(update={"enabled": False}),
            "retrain": alike.retrain.model_copy(update={"on": (), "schedule": None, "max_age": None}),
        }
    )
    clock = deaf.retrain.model_copy(update={"on": ("schedule",), "schedule": schedule})
    return (
        Rule("loop", alike),
        Rule("evidently", deaf, "evidently"),
        Rule("always", deaf, "always"),
        Rule("schedule", deaf.model_copy(update={"retrain": clock})),
        Rule("never", deaf),
    )


def _with_a_short_canary(definition: Definition) -> Definition:
    step = definition.canary.step.model_copy(update={"minutes": 1.0, "min_requests": 20, "max_hours": 1.0})
    shape = {"steps": (50,), "step": step, "bake_minutes": 0, "approval": "none", "on_timeout": "promote"}
    canary = definition.canary.model_copy(update=shape)
    gate = definition.gate.model_copy(update={"checks": (), "on_inconclusive": "promote"})
    data = definition.data.model_copy(update={"source": None, "labels": None})
    return definition.model_copy(update={"canary": canary, "gate": gate, "data": data})


def evidently_drifts(reference: pd.DataFrame, current: pd.DataFrame) -> bool:
    """Half of the columns or more, each by the test that Evidently's DataDriftPreset picks by default.

    Up to 1,000 reference rows: Kolmogorov-Smirnov for numbers, chi-square for categories (both p < 0.05).
    Above: Wasserstein distance by standard deviation, Jensen-Shannon distance (both > 0.1).
    """
    shared_columns = [name for name in reference.columns if name in current.columns]
    drifted = sum(_column_drifts(reference[name].dropna(), current[name].dropna()) for name in shared_columns)
    return bool(shared_columns) and drifted / len(shared_columns) >= 0.5


def _column_drifts(before: pd.Series, after: pd.Series) -> bool:
    import pandas as pd
    from scipy import stats
    from scipy.spatial.distance import jensenshannon

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
