"""A step's command leaves its exit code on disk whoever waits for it, and ends with the local Azure.

Run as its own process: `python -m local.jobs.launcher <folder>`. It leads a process group, so that the
workspace can restart while the command goes on, find it again by process id and start time, and end it all.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO

import psutil

KEEPER_LOOK_S = 0.25
TAIL_BYTES = 4000


def started_at(pid: int) -> float | None:
    """When the process with this id began; None when there is none. Ids are used again, pairs are not.

    Where the kernel tells it in ticks since boot it is read so: seconds since 1970 are made from the boot
    time, which moves whenever the clock is set, and two processes would then not agree on who the third is.
    """
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        stat = Path(f"/proc/{pid}/stat")
        if stat.exists():
            return float(stat.read_text().rpartition(")")[2].split()[19])
        return process.create_time()
    except (psutil.NoSuchProcess, OSError):
        return None


def main(folder: Path) -> None:
    me = {"pid": os.getpid(), "started_at": started_at(os.getpid())}
    with (folder / "process.json").open("x") as file:  # an order is carried out once
        json.dump(me, file)
    order = json.loads((folder / "order.json").read_text())
    keeper = order["keeper"]
    with (folder / "std_log.txt").open("ab", buffering=0) as log:
        process = subprocess.Popen(
            order["command"],
            cwd=order["cwd"],
            env=order["env"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.PIPE,
        )
        assert process.stderr is not None
        arguments = (process.stderr, log, folder / "stderr.txt")
        copier = threading.Thread(target=_copy, args=arguments, daemon=True)
        copier.start()
        while True:
            try:
                code = process.wait(KEEPER_LOOK_S)
                break
            except subprocess.TimeoutExpired:
                if started_at(keeper["pid"]) != keeper["started_at"]:
                    _end_everything()
        copier.join(2)  # a process that outlives the command may hold its standard error open
    draft = folder / "exit.draft"
    draft.write_text(json.dumps({"code": code}))
    draft.replace(folder / "exit.json")


def family(pid: int) -> list[psutil.Process]:
    """The process and all that descend from it, wherever their groups are."""
    try:
        leader = psutil.Process(pid)
        return [leader, *leader.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _end_everything() -> None:
    for process in family(os.getpid())[1:]:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    os.killpg(0, signal.SIGKILL)


def _copy(source: IO[bytes], log: IO[bytes], errors: Path) -> None:
    """Standard error goes to the log, as on Azure, and its end to a file of its own, for the run's error."""
    tail = b""
    for line in source:
        log.write(line)
        tail = (tail + line)[-TAIL_BYTES:]
        errors.write_bytes(tail)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
