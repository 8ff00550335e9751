"""Metric, gate and canary of a version of 20 GB: memory is bounded by its samples, as nothing reads it as a whole.

The version's files are sparse: 20 GB each by their length, next to nothing on the disk. A process of its own judges it
with a limit on its memory, so that reading one of them ends in MemoryError and not in a machine without memory.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from shared.domain.release import JudgementKind
from shared.memory import FakeClock, memory_ports
from shared.memory.data import MemoryVersions
from tests.engine.world import LOOP, World

HUGE = 20 * 2**30
SPARE = 600 * 2**20
"""What the process may take beyond what it has when the huge version lands."""
ROOT = Path(__file__).parents[2]


class VersionsOnDisk(MemoryVersions):
    """Files below a folder; from `grow` on, all but samples are as long as a version of 20 GB is."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.grow = False
        self.huge: list[str] = []

    def write(self, path: str, content: Path) -> None:
        place = self.folder / path
        if place.exists():
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(content, place)
        if self.grow and "/sample/" not in path:
            os.truncate(place, HUGE)
            self.huge.append(path)

    def read(self, path: str) -> bytes:
        return (self.folder / path).read_bytes()

    def list(self, prefix: str) -> list[str]:
        found = (str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())
        return sorted(path for path in found if path.startswith(prefix))

    def assemble(self, folder: str, parts: Mapping[str, str]) -> None:
        for name, path in parts.items():
            place = self.folder / folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            if not place.exists():
                os.link(self.folder / path, place)


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def data_bytes() -> int:
    """Of this process, as RLIMIT_DATA counts them."""
    (line,) = (
        each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith("VmData")
    )
    return int(line.split()[1]) * 1024


def judged(folder: Path) -> dict[str, object]:
    from tests.engine.test_evidence_of_sorted_files import birds, csv, wrong_about_light_ones

    versions = VersionsOnDisk(folder)
    world = World(replace(memory_ports(FakeClock()), versions=versions))
    world.publish(LOOP)
    world.drop("first.csv", csv(birds(1), "shuffled"))
    world.live()  # what is imported, and the caches, are there from now on
    versions.grow = True
    before = peak_bytes()
    most = data_bytes() + SPARE
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    world.models["r1-a1"] = wrong_about_light_ones
    world.ticks(10)
    world.drop("second.csv", csv(birds(2), "species"))
    serves = world.live()
    release = world.release(2)
    return {
        "serves": serves,
        "phase": release.phase.value,
        "judged": sorted({judgement.kind.value for judgement in release.judgements}),
        "huge": len(versions.huge),
        "grown": peak_bytes() - before,
    }


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts all memory on Linux alone")
def test_a_version_of_20_gb_is_judged_and_released_within_the_memory_of_its_samples(tmp_path: Path) -> None:
    named = f"import json; from tests.engine.test_huge_versions import Path, judged; folder = Path({str(tmp_path)!r})"
    code = f"{named}; print(json.dumps(judged(folder)))"
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert ended.returncode == 0, ended.stderr[-4000:]
    seen = json.loads(ended.stdout.splitlines()[-1])
    assert (seen["serves"], seen["phase"]) == (2, "live"), seen
    assert {JudgementKind.GATE.value, JudgementKind.CANARY.value} <= set(seen["judged"])
    assert seen["huge"] >= 2
    assert seen["grown"] < 150 * 2**20, f"{seen['grown'] / 2**20:.0f} MB"
