"""T11, T12 and T13 told as figures: hostile files, hostile text, and guards that are taken away."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from tests.hostile.corpus import ADDRESSES, FORMULAS, NAMES, SECRETS, UNADDRESSABLE
from tests.intake.corpus import CORPUS, FINE
from tests.intake.test_hostile import outcome, peak_kb, read_sound
from tests.simulator.test_sabotage import GUARDS
from tests.soak.figures import keep
from tests.tower.test_hostile import PATHS, PAYLOADS

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.soak


def passed(*suites: str) -> int:
    """How many tests of these suites passed; all of them must."""
    command = [sys.executable, "-m", "pytest", "-n0", "-p", "no:cacheprovider", *suites]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
    return int(re.findall(r"(\d+) passed", done.stdout)[-1])


def grown_mb(act: Callable[[], object]) -> float:
    """By how much this process's memory was larger at its peak than before."""
    before = peak_kb(reset=True)
    act()
    return (peak_kb() - before) / 1024


def write_all(folder: Path) -> None:
    for hostile in CORPUS:
        (folder / hostile.id).mkdir()
        hostile.write(folder / hostile.id / "landed")


def test_t11_hostile_files(tmp_path: Path) -> None:
    assert grown_mb(lambda: bytearray(50 << 20)) > 40, "the system does not tell how much memory was held"
    reasons: Counter[str] = Counter()
    took_s: list[float] = []

    with ProcessPoolExecutor(1, get_context("spawn")) as another:  # whose memory is not ours
        another.submit(write_all, tmp_path).result()

    def read_all() -> None:
        for hostile in CORPUS:
            folder = tmp_path / hostile.id
            read_sound(folder, "before")
            began = time.monotonic()
            code, text = outcome(hostile, folder / "landed", folder / "out")
            took_s.append(time.monotonic() - began)
            assert code in hostile.outcomes, text
            reasons[code] += 1

    rise_mb = grown_mb(read_all)
    keep(
        "T11",
        f"{len(CORPUS)} hostile files: {len(reasons) - (FINE in reasons)} named reasons, {reasons[FINE]} read; the "
        f"slowest {max(took_s):.1f} s, the asking process grew by {rise_mb:.1f} MB",
    )
    assert max(took_s) < 30
    assert rise_mb < 300


def test_t12_hostile_text_and_planted_secrets() -> None:
    text = passed("tests/tower/test_hostile.py")
    strangers = passed("tests/hostile", "tests/contract/test_data.py", "tests/fetching/test_sources.py")
    names = len(NAMES) + len(UNADDRESSABLE)
    keep(
        "T12",
        f"{len(PAYLOADS)} scripts in every field of {len(PATHS)} pages ({text} tests); {names} names in two spellings, "
        f"{len(ADDRESSES)} addresses, {len(FORMULAS)} formulas, secrets of {len(SECRETS)} shapes ({strangers} tests): "
        "0 escapes, 0 hits",
    )


def test_t13_guards_that_are_removed() -> None:
    caught = passed("tests/simulator/test_sabotage.py::test_the_suite_fails_without_this_guard")
    keep("T13", f"{len(GUARDS)} guards removed, one at a time: {caught} caught")
    assert caught == len(GUARDS)
