"""Puts the parts of the training window together and drops birds that nobody measured."""

import sys
from pathlib import Path

import pandas as pd

MEASURES = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]


def main(training_data: Path, table: Path) -> None:
    parts = [pd.read_parquet(part) for part in sorted(training_data.rglob("*.parquet"))]
    birds = pd.concat(parts, ignore_index=True)
    measured = birds.dropna(subset=[*MEASURES, "species"])
    measured.to_parquet(table / "birds.parquet", index=False)
    print(f"{len(measured)} of {len(birds)} birds from {len(parts)} parts have every measure")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
