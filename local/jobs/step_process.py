"""A step's process is found again by who it is, not by its number alone, and ends with all that it started."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import psutil

from local.jobs.launcher import family, started_at
from local.state import Document

GRACE_S = 2.0
_CHECKOUT = Path(__file__).parents[2]


def start(folder: Path) -> Document:
    """Carry out the folder's `order.json`; returns who the process is."""
    with (folder / "launch.txt").open("wb") as errors:
        launcher = subprocess.Popen(
            [sys.executable, "-m", "local.jobs.launcher", str(folder)],
            cwd=_CHECKOUT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
    threading.Thread(target=launcher.wait, daemon=True).start()  # or it would stay a zombie
    return {"pid": launcher.pid, "started_at": started_at(launcher.pid)}


def lives(process: Document | None) -> bool:
    return process is not None and started_at(process["pid"]) == process["started_at"]


def recorded(folder: Path) -> Document | None:
    """Who carries out, or carried out, the folder's order, by the process's own word."""
    text = _text(folder / "process.json")
    found: Document | None = json.loads(text) if text else None
    return found


def exit_code(folder: Path) -> int | None:
    """None while the command runs, and when it was killed together with its launcher."""
    file = folder / "exit.json"
    return int(json.loads(file.read_text())["code"]) if file.exists() else None


def last_words(folder: Path, lines: int = 20) -> str:
    """The end of what the command wrote to its standard error, or else to its log."""
    for name in ("stderr.txt", "std_log.txt"):
        text = _text(folder / name)
        if text:
            return "\n".join(text.splitlines()[-lines:])
    return "It wrote nothing to its log."


def lost_because(folder: Path) -> str:
    trouble = _text(folder / "launch.txt")
    if trouble:
        return f"The local workspace could not start the step's command: {trouble.splitlines()[-1]}"
    return "The local workspace ended while this step ran, and the step with it."


def end(process: Document | None) -> None:
    """End the process group, and what has left the group, politely first."""
    if process is None:
        return
    relatives = family(process["pid"]) if lives(process) else []
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process["pid"], signal.SIGTERM)
    _, stubborn = psutil.wait_procs(relatives, timeout=GRACE_S)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process["pid"], signal.SIGKILL)
    for relative in stubborn:
        with suppress(psutil.NoSuchProcess):
            relative.kill()


def _text(file: Path) -> str:
    return file.read_text(errors="replace").strip() if file.exists() else ""
