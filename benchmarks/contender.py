"""One contender of a comparison, in a process and an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LONGEST_S = 1800


def measured(python: str, script: Path, *arguments: object, quiet: Mapping[str, str]) -> dict[str, Any]:
    """The object in the script's last line. `quiet` are variables that keep a contender from telling its makers."""
    root = str(Path(__file__).resolve().parents[1])
    environment = {**os.environ, "PYTHONPATH": root, "PYTHONWARNINGS": "ignore", **quiet}
    command = [python, str(script), *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, timeout=LONGEST_S
    )
    if done.returncode:
        raise RuntimeError(
            f"{script.name} {arguments[0]} failed with {done.returncode}:\n{done.stderr[-2000:]}"
        )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
