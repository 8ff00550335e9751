"""Splits the training rows once more, by the flower's number, so that a rerun splits them alike."""

import sys
from pathlib import Path

import pandas as pd


def main(training_data: Path, train: Path, test: Path) -> None:
    parts = [pd.read_parquet(part) for part in sorted(training_data.rglob("*.parquet"))]
    flowers = pd.concat(parts, ignore_index=True).dropna(subset=["species"])
    flowers = flowers.sort_values("flower", ignore_index=True)
    kept = flowers.index % 4 == 0
    flowers[~kept].to_parquet(train / "flowers.parquet", index=False)
    flowers[kept].to_parquet(test / "flowers.parquet", index=False)
    print(f"{(~kept).sum()} flowers to train on, {kept.sum()} to test on")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
