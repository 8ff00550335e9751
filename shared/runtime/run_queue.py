"""A loop with new work is named in the queue of runs, once until its run begins; who records waits for no run."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable

from shared.errors import DriftloopError
from shared.inbox import messages
from shared.port_rules import is_loop
from shared.ports import Ports

log = logging.getLogger("driftloop")


def ask(ports: Ports, loops: Iterable[str]) -> None:
    """Ask for a run of each loop whose work is stored. Each is due as well: where its message is lost, a tick runs it."""
    for loop in loops:
        if not ports.store.ask_run(loop, ports.clock.now()):
            continue
        try:
            ports.runs.put(json.dumps({"loop": loop}))
        except DriftloopError as error:
            log.warning("no message for a run, the tick runs it", extra={"loop": loop, "error": str(error)})


def loop_of(ports: Ports, message: str) -> str | None:
    """The loop that a message names; None, and a line in the log, when there is none of that name."""
    try:
        content = json.loads(messages.decoded(message))
    except (ValueError, RecursionError):
        content = None
    loop = content.get("loop") if isinstance(content, dict) else None
    if isinstance(loop, str) and is_loop(loop) and ports.store.overview(loop) is not None:
        return loop
    log.warning("a message in the queue of runs names no loop", extra={"characters": len(message)})
    return None


def take_poison(ports: Ports) -> int:
    """Remove what failed five times, with a line in the log: who calls this wakes every loop. How many messages."""
    poisoned = ports.runs.poisoned()
    for one in poisoned:
        log.error("a run failed five times", extra={"loop": loop_of(ports, one.text)})
        ports.runs.remove(one)
    return len(poisoned)
