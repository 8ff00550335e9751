"""Trains a baseline on the columns that columns.json names, and writes it as an MLflow model that serves by itself.

A linear model and boosted trees are compared in cross-validation; the better one is the model. Replace it as you like:
what Driftloop needs is a model in the folder that is given last.
"""

import json
import os
import sys
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import mlflow
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, StratifiedKFold, TimeSeriesSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

ASKED = json.loads((Path(__file__).parent / "columns.json").read_text())
TARGET, NUMBERS, TEXTS, WORDS, MOMENTS = (
    ASKED[key] for key in ("target", "numbers", "texts", "words", "moments")
)
TIME = ASKED["time"]  # the column that orders the rows, if any
CLASSIFIES = ASKED["task"] == "classification"
PACKAGES = ["scikit-learn", "pandas", "numpy"]
SERVING = [
    f"mlflow=={version('mlflow-skinny')}",
    "azureml-inference-server-http==1.5.1",
    "azureml-ai-monitoring==1.0.0",  # imported by the scoring script that Azure ML generates
]


def plain(rows, numbers, texts, moments):
    """Every feature as a number or a text, whether the rows come from a file or from a request."""
    import pandas as pd

    columns = {name: pd.to_numeric(rows[name], errors="coerce").astype(float) for name in numbers}
    for name in moments:
        moment = pd.to_datetime(rows[name], errors="coerce", utc=True)
        columns[f"{name}: day"] = (moment - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1)
        columns[f"{name}: weekday"] = moment.dt.weekday.astype(float)
        columns[f"{name}: month"] = moment.dt.month.astype(float)
    for name in texts:
        columns[name] = rows[name].map(lambda value: "none" if pd.isna(value) else str(value))
    return pd.DataFrame(columns, index=rows.index)


def model_of(estimator):
    numbers = [*NUMBERS, *(f"{name}: {part}" for name in MOMENTS for part in ("day", "weekday", "month"))]
    return make_pipeline(
        FunctionTransformer(
            plain, kw_args={"numbers": NUMBERS, "texts": [*TEXTS, *WORDS], "moments": MOMENTS}
        ),
        make_column_transformer(
            (make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler()), numbers),
            (
                OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=100, sparse_output=False),
                TEXTS,
            ),
            *((TfidfVectorizer(max_features=200, sublinear_tf=True), name) for name in WORDS),
            sparse_threshold=0,
        ),
        estimator,
    )


def candidates():
    if CLASSIFIES:  # every class weighs alike, as in the metric: a rare one is not passed over
        return {
            "linear": LogisticRegression(max_iter=1000, class_weight="balanced"),
            # to stop early it would need two rows of each class
            "trees": HistGradientBoostingClassifier(
                max_iter=80, class_weight="balanced", early_stopping=False
            ),
        }
    return {"linear": Ridge(), "trees": HistGradientBoostingRegressor(max_iter=80)}


def chosen(features, target):
    """The better candidate; the linear one where the rows are too few to tell."""
    # A class of a row or two is missing in some folds; the two that are most frequent are in each.
    fewest = int(target.value_counts().iloc[1]) if CLASSIFIES else len(target) - 1
    folds = min(4, fewest)
    if folds < 2:
        return "linear", {}
    shuffled = {"shuffle": True, "random_state": 1}  # files are often sorted
    split = StratifiedKFold(folds, **shuffled) if CLASSIFIES else KFold(folds, **shuffled)
    if TIME and not CLASSIFIES:  # a series goes on where its training ends
        split = TimeSeriesSplit(folds)
    scoring = "balanced_accuracy" if CLASSIFIES else "neg_root_mean_squared_error"
    scores = {
        name: cross_val_score(
            model_of(estimator), features, target, cv=split, scoring=scoring, error_score="raise"
        )
        for name, estimator in candidates().items()
    }
    metrics = {f"{name}_{scoring}": float(score.mean()) for name, score in scores.items()}
    return max(scores, key=lambda name: scores[name].mean()), metrics


def class_name(value):
    """A class as text; whole numbers stay whole, also where pandas made floats of them beside a missing value."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def main(training_data: Path, model: Path) -> None:
    parts = [pd.read_parquet(part) for part in sorted(training_data.rglob("*.parquet"))]
    rows = pd.concat(parts, ignore_index=True).dropna(subset=[TARGET])
    rows = rows.sort_values(TIME, kind="stable") if TIME else rows
    target = rows[TARGET].map(class_name) if CLASSIFIES else rows[TARGET].astype(float)
    if CLASSIFIES and target.nunique() < 2:
        sys.exit(f"all {len(rows)} rows have {TARGET} {target.iloc[0]!r}: there is nothing to tell apart")
    features = rows[[*NUMBERS, *TEXTS, *WORDS, *MOMENTS]]
    name, metrics = chosen(features, target)
    fitted = model_of(candidates()[name]).fit(features, target)
    mlflow.log_params({"estimator": name, "rows": len(rows)})
    mlflow.log_metrics(metrics)
    inputs = [ColSpec("double", column, required=False) for column in NUMBERS]
    inputs += [ColSpec("string", column, required=False) for column in [*TEXTS, *WORDS, *MOMENTS]]
    output = ColSpec("string" if CLASSIFIES else "double")
    mlflow.sklearn.save_model(
        fitted,
        str(model / "saved"),
        signature=ModelSignature(Schema(inputs), Schema([output])),
        pip_requirements=[f"{package}=={version(package)}" for package in PACKAGES] + SERVING,
        serialization_format="cloudpickle",
    )
    for file in (model / "saved").iterdir():  # save_model wants a folder that is not there yet
        file.rename(model / file.name)
    (model / "saved").rmdir()
    print(f"{name} on {len(rows)} rows: {metrics}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
