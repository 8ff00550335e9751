"""Driftloop: all tests, reading included."""

import sys
from pathlib import Path

from timing import Clock

clock = Clock()
import drift  # noqa: E402 - what is timed
from shared.reader import profile_files  # noqa: E402 - as the command reads files

loaded = (drift.profile, drift.compare)  # the names are loaded when they are first used

mode, folder = sys.argv[1], Path(sys.argv[2])
form = "csv" if mode.endswith("csv") else "parquet"
stored = folder / f"reference.{form}.profile"
if mode.startswith("stored") and not stored.exists():
    stored.write_bytes(profile_files.profile(folder / f"reference.{form}").profile.to_bytes())
    clock = Clock()
clock.imported()
if mode.startswith("stored"):
    reference = drift.Profile.from_bytes(stored.read_bytes())
else:
    reference = profile_files.profile(folder / "reference.parquet").profile
current = profile_files.profile(folder / f"current.{form}", grid=reference).profile
report = drift.compare(reference, current)
clock.done(report.headline)
