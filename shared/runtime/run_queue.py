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
    """Ask for a run of each loop whose work is stored. Each is due as well: a tick runs it whose message is lost."""
    for loop in loops:
        token = ports.store.ask_run(loop, ports.clock.now())
        if not token:
            continue
        try:
            ports.runs.put(json.dumps({"loop": loop, "run": token}))
        except DriftloopError as error:
            log.warning("no message for a run, the tick runs it", extra={"loop": loop, "error": str(error)})


def asked(ports: Ports, message: str) -> str | None:
    """The loop whose run a message asks for. None when that run, or one after it, has begun; and, with a line in the
    log, when there is no such loop."""
    try:
        content = json.loads(messages.decoded(message))
    except (ValueError, RecursionError):
        content = None
    told = content if isinstance(content, dict) else {}
    loop = str(told.get("loop"))
    overview = ports.store.overview(loop) if is_loop(loop) else None
    if overview is None:
        log.warning("a message in the queue of runs names no loop", extra={"characters": len(message)})
        return None
    return loop if told.get("run") and told.get("run") == overview.run_asked else None


def take_poison(ports: Ports) -> int:
    """Remove what failed five times, with a line in the log: who calls this wakes every loop. How many messages."""
    poisoned = ports.runs.poisoned()
    for one in poisoned:
        log.error("a run failed five times", extra={"loop": asked(ports, one.text)})
        ports.runs.remove(one)
    return len(poisoned)
