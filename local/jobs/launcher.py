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
from typing import IO, Any

import psutil

KEEPER_LOOK_S = 0.25
TAIL_BYTES = 4000

Process = tuple[subprocess.Popen[bytes], threading.Thread]


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
    with (folder / "std_log.txt").open("ab", buffering=0) as log:
        code = _waited_for(_started(order, folder, log), order["keeper"])
    draft = folder / "exit.draft"
    draft.write_text(json.dumps({"code": code}))
    draft.replace(folder / "exit.json")


def _started(order: Any, folder: Path, log: IO[bytes]) -> list[Process]:  # Any: JSON of our own
    """One process for each place of the order, all with one log; and what copies its standard error."""
    started = []
    for place in order.get("places") or [{}]:
        process = subprocess.Popen(
            order["command"],
            cwd=order["cwd"],
            env=order["env"] | place,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.PIPE,
        )
        assert process.stderr is not None
        arguments = (process.stderr, log, folder / "stderr.txt")
        copier = threading.Thread(target=_copy, args=arguments, daemon=True)
        copier.start()
        started.append((process, copier))
    return started


def _waited_for(started: list[Process], keeper: Any) -> int:  # Any: JSON of our own
    """The exit code: the first that is not 0 ends the other processes, as on a cluster."""
    while True:
        codes = [process.poll() for process, _ in started]
        if any(codes) or None not in codes:
            break
        with suppress(subprocess.TimeoutExpired):
            started[codes.index(None)][0].wait(KEEPER_LOOK_S)
        if started_at(keeper["pid"]) != keeper["started_at"]:
            _end_everything()
    for process, copier in started:
        if process.poll() is None:
            for relative in family(process.pid):
                with suppress(psutil.NoSuchProcess):
                    relative.kill()
        copier.join(2)  # a process that outlives the command may hold its standard error open
    return next((code for code in codes if code), 0)


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
