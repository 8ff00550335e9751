"""What the labels of the served rows say, case by case; run by the peers' interpreter, by scikit-learn's metrics."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd


def main() -> None:
    from sklearn.metrics import accuracy_score, roc_auc_score

    said = {}
    for file in sorted(Path(sys.argv[1]).glob(f"{sys.argv[2]}-*.parquet")):
        rows = pd.read_parquet(file)
        rows = rows[rows.part == "served"]
        said[f"{file.stem} accuracy"] = float(accuracy_score(rows.y, rows.p >= 0.5))
        said[f"{file.stem} roc_auc"] = float(roc_auc_score(rows.y, rows.p))
    print(json.dumps(said))


if __name__ == "__main__":
    main()
