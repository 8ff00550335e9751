"""T11: whatever lands gets a named reason or is read, within 30 s, and the process that asks stays small."""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from pathlib import Path

import pytest

from shared.errors import InputRejected
from shared.intake import DropFile, ReadSpec, read_drop
from shared.intake.rejections import REMEDIES
from tests.intake.corpus import CORPUS, FINE, Hostile


def peak_kb(*, reset: bool = False) -> int:
    """The most memory that this process held since the last reset (0 where the system does not tell)."""
    if not (status := Path("/proc/self/status")).exists():
        return 0
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))


def outcome(hostile: Hostile, path: Path, output: Path) -> tuple[str, str]:
    spec = ReadSpec(**{"target": "target", **hostile.spec})
    try:
        reading = read_drop([DropFile(path, hostile.name, path.stat().st_size)], spec, output)
    except InputRejected as rejection:
        return rejection.code, str(rejection)
    assert reading.rows >= reading.train_rows + reading.holdout_rows and reading.rows > 0
    return FINE, ""


def read_sound(folder: Path, output: str) -> None:
    path = folder / "sound"
    path.write_text("x,target\n1,a\n2,b\n")
    assert read_drop([DropFile(path, "sound.csv", 0)], ReadSpec(target="target"), folder / output).rows == 2


@pytest.mark.parametrize("hostile", CORPUS, ids=lambda hostile: hostile.id)
def test_each_hostile_file_gets_its_reason(hostile: Hostile, tmp_path: Path) -> None:
    read_sound(tmp_path, "before")
    hostile.write(tmp_path / "landed")
    started, size = time.monotonic(), peak_kb(reset=True)
    code, text = outcome(hostile, tmp_path / "landed", tmp_path / "out")
    assert code in hostile.outcomes, text
    assert time.monotonic() - started < 30
    assert peak_kb() - size < 300 * 1024
    if code != FINE:
        assert code in REMEDIES and text.endswith(REMEDIES[code])
        assert text.isprintable() and "Traceback" not in text and len(text) < 1000
    parts = {"train", "holdout", "unlabelled", "sample"}
    assert {path.name for path in (tmp_path / "out").iterdir()} <= parts
    read_sound(tmp_path, "after")


def mutated(seed: int, whole: bytes) -> bytes:
    """Some bytes changed, cut out or put in, more often near the end, where Parquet keeps its footer."""
    chance, hurt = random.Random(seed), bytearray(whole)
    for _ in range(chance.choice((1, 2, 5, 30))):
        near_end = chance.random() < 0.4
        place = max(0, len(hurt) - chance.randrange(1, 900)) if near_end else chance.randrange(len(hurt))
        size = chance.choice((0, 1, 1, 7))
        hurt[place : place + size] = chance.randbytes(size if chance.random() < 0.7 else chance.randrange(9))
    return bytes(hurt)


@pytest.mark.parametrize("files", [100, pytest.param(5000, marks=pytest.mark.soak)])
def test_whatever_is_hurt_at_random_gets_a_reason_of_the_list(files: int, tmp_path: Path) -> None:
    sound = [
        CORPUS[place]
        for place in range(len(CORPUS))
        if CORPUS[place].id in ("bom", "utf-16", "gzip", "parquet")
    ]
    outcomes: Counter[str] = Counter()
    for seed in range(files):
        hostile = sound[seed % len(sound)]
        hostile.write(tmp_path / "landed")
        (tmp_path / "landed").write_bytes(mutated(seed, (tmp_path / "landed").read_bytes()))
        code, text = outcome(hostile, tmp_path / "landed", tmp_path / str(seed))
        shutil.rmtree(tmp_path / str(seed))
        assert code == FINE or text.endswith(REMEDIES[code]), f"seed {seed}"
        outcomes[code] += 1
    print(f"{files} hurt files: {dict(outcomes)}")
    assert not {"unreadable", "reader-died", "too-slow"} & set(outcomes)
    assert len(outcomes) >= 5
