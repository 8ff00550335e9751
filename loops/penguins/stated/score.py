"""Answers as score/score.py does, and states the probability of each species: estimates before labels need it."""

import json
import os
from pathlib import Path

import joblib
import pandas as pd

MEASURES = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
CATEGORIES = ["island", "sex"]

classifier = None


def init() -> None:
    global classifier
    found = sorted(Path(os.environ["AZUREML_MODEL_DIR"]).rglob("classifier.joblib"))
    classifier = joblib.load(found[0])


def run(raw: str) -> dict[str, list[object]]:
    table = json.loads(raw)["input_data"]
    birds = pd.DataFrame(table["data"], columns=table["columns"])
    birds = birds[MEASURES + CATEGORIES].fillna(dict.fromkeys(CATEGORIES, "unknown"))
    birds[MEASURES] = birds[MEASURES].astype(float)
    stated = classifier.predict_proba(birds)
    names = [str(name) for name in classifier.classes_]
    return {
        "predictions": classifier.predict(birds).tolist(),
        "probabilities": [dict(zip(names, row, strict=True)) for row in stated.tolist()],
    }
