"""A model that is not good enough ends the job here: nothing is registered, nothing is deployed."""

import shutil
import sys
from pathlib import Path

import mlflow
import pandas as pd


def main(trained: Path, table: Path, least_accuracy: float, model: Path) -> None:
    flowers = pd.read_parquet(table)
    features = flowers.drop(columns=["species", "flower"]).astype(float)
    right = mlflow.pyfunc.load_model(str(trained)).predict(features) == flowers["species"]
    accuracy = float(right.mean())
    mlflow.log_metric("accuracy", accuracy)
    print(f"accuracy {accuracy:.3f} on {len(flowers)} flowers that the training did not see")
    if accuracy < least_accuracy:
        sys.exit(f"accuracy {accuracy:.3f} is below {least_accuracy}: this model goes no further")
    shutil.copytree(trained, model, dirs_exist_ok=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]))
