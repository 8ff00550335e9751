"""A worker over Azure's own clients that dies by SIGKILL at named points, or whose transport breaks, once each.

`python -m tests.soak.hurt_worker kill|break FILE` sweeps and ticks until its standard input ends. FILE lists what was
done already, one a line, so that the next worker goes on from there.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

from shared.errors import DriftloopError
from shared.ports import Insert
from shared.runtime import tick, worker
from shared.settings import Settings
from shared.wiring import azure_ports
from tests.contract.breaking import FAULTS, Breakable
from tests.faults import Call, watched

CALM = 3
"""Requests that go well between two that are broken, so that the life goes on."""


class Done:
    """What was done already; written down before it is done, since the process may not live to do it after."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known = set(file.read_text().splitlines()) if file.exists() else set()

    def first(self, point: str) -> bool:
        if point in self._known:
            return False
        self._known.add(point)
        with self._file.open("a") as file:
            file.write(point + "\n")
            file.flush()
            os.fsync(file.fileno())
        return True


def names(call: Call) -> Iterator[str]:
    """The call, and for a transaction each ledger entry that it writes: a point of the life of its own."""
    yield call.name
    if call.name == "store.commit":
        for change in call.arguments[1]:  # type: ignore[attr-defined]  # the port's own signature
            if isinstance(change, Insert) and change.key.startswith("ledger-"):
                yield f"store.commit of {json.loads(change.doc)['content']['what']}"


def killed(done: Done) -> Callable[[Call, Callable[[], object]], object]:
    def around(call: Call, make: Callable[[], object]) -> object:
        if not call.effect:
            return make()
        for name in names(call):
            if done.first(f"before {name}"):
                os.kill(os.getpid(), signal.SIGKILL)
        answer = make()
        for name in names(call):
            if done.first(f"after {name}"):
                os.kill(os.getpid(), signal.SIGKILL)
        return answer

    return around


def shape(method: str, url: str) -> str:
    """A request without what names one thing: method and the words of its path."""
    path = re.sub(r"https?://[^/]+", "", url.partition("?")[0])
    kinds = "comp=block" if "comp=block" in url else ""
    words = re.sub(r"(?<=/)[^/]*[\d'()][^/]*", "*", path)
    words = re.sub(r"/(penguins|landing|versions|documents)/.*", r"/\1/*", words)
    return f"{method} {words} {kinds}".strip()


class Breaking(Breakable):
    """Each shape of request meets each fault once."""

    done: Done
    calm = 0
    lock = threading.Lock()

    def fault_of(self, method: str, url: str) -> str:
        named = shape(method, url)
        with self.lock:
            Breaking.calm += 1
            if Breaking.calm > CALM:
                for fault in FAULTS:
                    if self.done.first(f"{fault}: {named}"):
                        Breaking.calm = 0
                        return fault
        return ""


def main(how: str, file: str) -> None:
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    worker.CLAIM = timedelta(
        seconds=4
    )  # who dies keeps others from the loop as long; twenty seconds each are many
    tick.STILL = timedelta(0)  # nobody writes bit by bit
    settings, done = Settings.from_environment(os.environ), Done(Path(file))
    if how == "kill":
        ports = watched(azure_ports(settings), killed(done))
    else:
        Breaking.done = done
        ports = azure_ports(settings, Breaking)
    for round_ in range(sys.maxsize):
        if ended.is_set():
            return
        try:
            if round_ % 10 == 0:
                tick.sweep(ports)
            tick.tick(ports)
        except DriftloopError:
            pass  # as the functions host does: the next tick goes on
        time.sleep(0.3)


if __name__ == "__main__":
    main(*sys.argv[1:])
