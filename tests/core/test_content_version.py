"""A component's version is its folder's content: what two environments publish from one folder is the same."""

from __future__ import annotations

import shutil
from pathlib import Path

from shared.azure.registry import content_version

IRIS = Path(__file__).parents[2] / "loops" / "iris"


def test_one_folder_is_one_version_wherever_it_is_published_and_each_byte_and_name_counts(
    tmp_path: Path,
) -> None:
    test, production = (Path(shutil.copytree(IRIS, tmp_path / name)) for name in ("test", "production"))
    (production / "train" / "__pycache__").mkdir(exist_ok=True)
    (production / "train" / "__pycache__" / "train.pyc").write_bytes(b"of this machine")
    same = content_version(test)
    assert content_version(production) == same
    conda = production / "environment.yml"
    conda.write_bytes(conda.read_bytes() + b"\n")
    other = content_version(production)
    assert other != same, "an environment's definition is part of it"
    conda.rename(production / "environment.yaml")
    assert content_version(production) not in (same, other)
