"""Cases: a model, its labelled holdout, and inputs that are served later, with what their labels say; run by the peers'
interpreter.

    PYTHON prepare.py FOLDER SET RUNS

Four public data sets that come with packages: two of statsmodels (Fair 1978, affairs; RAND health insurance
experiment), two of NannyML (California housing; American community survey, Massachusetts 2015). Half of the models are
gradient boosted trees, half logistic regressions. Served rows are drawn from rows that neither training nor holdout
has, with odds that rise along a random direction through the ranks of the features: by `0`, `1` or `2` for each
standard deviation. Only the inputs change, so the labels tell who is right.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

HELD, SERVED, TRAIN = 2000, 1000, 5000
SHIFTS = (0, 1, 2)


def rows_of(name: str) -> pd.DataFrame:
    """Features as numbers, and `y`."""
    if name in ("fair", "randhie"):
        import statsmodels.api as sm

        found = getattr(sm.datasets, name).load_pandas().data
        target, least = {"fair": ("affairs", 0), "randhie": ("mdvis", 2)}[name]
        return found.drop(columns=target).astype(float).assign(y=(found[target] > least).astype(int))
    import nannyml

    folder = Path(nannyml.__file__).parent / "datasets" / "data"
    if name == "california":
        later = pd.read_csv(folder / "california_housing_analysis.csv")
        later = later.merge(pd.read_csv(folder / "california_housing_analysis_gt.csv"), on="id")
        found = pd.concat([pd.read_csv(folder / "california_housing_reference.csv"), later])
        hidden = ["id", "timestamp", "y_pred_proba", "y_pred", "clf_target"]
        return found.drop(columns=[c for c in hidden if c in found]).assign(y=found.clf_target.astype(int))
    found = pd.read_parquet(folder / "employment_MA_reference.pq")
    hidden = ["id", "year", "prediction", "predicted_probability", "employed"]
    return found.drop(columns=hidden).astype(float).assign(y=found.employed.astype(int))


def case(rows: pd.DataFrame, shift: float, run: int) -> pd.DataFrame:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rng, features = np.random.default_rng(run), [c for c in rows if c != "y"]
    mixed = rows.iloc[rng.permutation(len(rows))].reset_index(drop=True)
    train, rest = mixed.iloc[: min(len(rows) // 3, TRAIN)], mixed.iloc[min(len(rows) // 3, TRAIN) :]
    trees = HistGradientBoostingClassifier(max_iter=60, random_state=run)
    model = trees if run % 2 else make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    model.fit(train[features], train.y)
    held, pool = rest.iloc[: min(HELD, len(rest) // 2)], rest.iloc[min(HELD, len(rest) // 2) :]
    ranks = pool[features].rank(pct=True).to_numpy() - 0.5
    direction = ranks @ rng.normal(size=len(features))
    odds = shift * direction / direction.std()
    order = np.argsort(-(odds + rng.gumbel(size=len(pool))))  # drawn without replacement, with these odds
    served = pool.iloc[order[: min(SERVED, len(pool) // 3)]]
    whole = pd.concat([held.assign(part="held"), served.assign(part="served")])
    return whole.assign(p=model.predict_proba(whole[features])[:, 1])


def labels_of(served: pd.DataFrame) -> dict[str, float]:
    """The metrics by the labels, as scikit-learn has them."""
    from sklearn.metrics import accuracy_score, roc_auc_score

    accuracy, area = accuracy_score(served.y, served.p >= 0.5), roc_auc_score(served.y, served.p)
    return {"accuracy": float(accuracy), "roc_auc": float(area)}


def main() -> None:
    folder, name, runs = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    rows, truth = rows_of(name), {}
    for shift in SHIFTS:
        for run in range(runs):
            whole = case(rows, shift, run)
            whole.to_parquet(folder / f"{name}-{shift}-{run}.parquet")
            truth[f"{name}-{shift}-{run}"] = labels_of(whole[whole.part == "served"])
    print(json.dumps({"rows": len(rows), "truth": truth}))


if __name__ == "__main__":
    main()
