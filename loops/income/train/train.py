"""Trains one of six variants and logs its accuracy with its uncertainty: the sweep goes by the lower bound.

Means of few folds differ by chance; the variant with the highest mean is often the luckiest. The bound asks for more.
"""

import json
import os
import sys
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # trials run side by side: threads of one would only fight the other's

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

VARIANTS = {
    ("logistic", "low"): lambda: LogisticRegression(C=0.1, max_iter=500),
    ("logistic", "high"): lambda: LogisticRegression(C=2.0, max_iter=500),
    ("forest", "low"): lambda: RandomForestClassifier(60, min_samples_leaf=8, random_state=0),
    ("forest", "high"): lambda: RandomForestClassifier(60, min_samples_leaf=2, random_state=0),
    ("boosting", "low"): lambda: HistGradientBoostingClassifier(max_iter=40, max_depth=3, random_state=0),
    ("boosting", "high"): lambda: HistGradientBoostingClassifier(max_iter=100, max_depth=5, random_state=0),
}
FOLDS = 4
NOT_FEATURES = ["income", "fnlwgt"]
PACKAGES = ["scikit-learn", "pandas", "numpy"]
SERVING = [
    f"mlflow=={version('mlflow-skinny')}",
    "azureml-inference-server-http==1.5.1",
    "azureml-ai-monitoring==1.0.0",  # imported by the scoring script that Azure ML generates
]


def model_of(algorithm: str, strength: str):
    columns = make_column_transformer(
        (
            OneHotEncoder(handle_unknown="ignore", min_frequency=5, sparse_output=False),
            make_column_selector(dtype_include=object),
        ),
        remainder=StandardScaler(),
    )
    return make_pipeline(columns, VARIANTS[algorithm, strength]())


def main(training_data: Path, algorithm: str, strength: str, model: Path) -> None:
    parts = [pd.read_parquet(part) for part in sorted(training_data.rglob("*.parquet"))]
    people = pd.concat(parts, ignore_index=True).dropna(subset=["income"])
    features, income = people.drop(columns=NOT_FEATURES, errors="ignore"), people["income"].astype(str)
    texts = features.select_dtypes(object).columns
    features = features.astype({**dict.fromkeys(features.columns, float), **dict.fromkeys(texts, str)})
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)  # the same for every variant
    scores = cross_val_score(model_of(algorithm, strength), features, income, cv=folds)
    error = scores.std(ddof=1) / np.sqrt(FOLDS)
    low = scores.mean() - 2.35 * error  # one-sided 95 % bound of Student's t with 3 degrees of freedom
    mlflow.log_params({"algorithm": algorithm, "strength": strength, "people": len(people)})
    mlflow.log_metrics({"accuracy": scores.mean(), "accuracy_se": error, "accuracy_low": low})
    chosen = model_of(algorithm, strength).fit(features, income)
    mlflow.sklearn.save_model(
        chosen,
        str(model / "saved"),
        signature=infer_signature(features, chosen.predict(features.head())),
        pip_requirements=[f"{name}=={version(name)}" for name in PACKAGES] + SERVING,
        serialization_format="cloudpickle",
    )
    for file in (model / "saved").iterdir():  # save_model wants a folder that is not there yet
        file.rename(model / file.name)
    (model / "saved").rmdir()
    persons = pd.DataFrame(json.loads((Path(__file__).parent / "persons.json").read_text()))
    persons = persons[features.columns].astype(features.dtypes)
    asked = {"input_data": json.loads(persons.to_json(orient="split", double_precision=15))}
    (model / "golden.json").write_text(  # the smoke test asks the deployment the same
        json.dumps(asked | {"answers": chosen.predict(persons).tolist()})
    )
    print(
        f"{algorithm} {strength}: accuracy {scores.mean():.4f}, standard error {error:.4f}, at least {low:.4f}"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4]))
