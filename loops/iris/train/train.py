"""Trains a logistic regression and writes it as an MLflow model, with everything that serving it needs."""

import sys
from importlib.metadata import version
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.models import infer_signature
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

LENGTHS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
PACKAGES = ["scikit-learn", "pandas", "numpy"]
SERVING = [
    f"mlflow=={version('mlflow-skinny')}",
    "azureml-inference-server-http==1.5.1",
    "azureml-ai-monitoring==1.0.0",  # imported by the scoring script that Azure ML generates
]


def main(table: Path, strength: float, trained: Path) -> None:
    flowers = pd.read_parquet(table)
    lengths, species = flowers[LENGTHS].astype(float), flowers["species"].astype(str)
    classifier = make_pipeline(
        SimpleImputer(), StandardScaler(), LogisticRegression(C=strength, max_iter=1000)
    ).fit(lengths, species)
    mlflow.log_params({"strength": strength, "flowers": len(flowers)})
    mlflow.sklearn.save_model(
        classifier,
        str(trained / "model"),
        signature=infer_signature(lengths, classifier.predict(lengths)),
        pip_requirements=[f"{name}=={version(name)}" for name in PACKAGES] + SERVING,
        serialization_format="cloudpickle",
    )
    for file in (trained / "model").iterdir():  # save_model wants a folder that is not there yet
        file.rename(trained / file.name)
    (trained / "model").rmdir()
    print(f"trained on {len(flowers)} flowers")


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]))
