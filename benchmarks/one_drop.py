"""`python one_drop.py ROOT`: one drop's life in memory, from the inbox's trigger to a live model, and what it visits.

Prints JSON: the product's files, functions and classes that were entered between the message of a drop that has drifted
and the promotion of the model that was trained for it. The reading process counts, too. Runs on older trees as well.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

RECORDER = """
import os, sys, threading
OUTPUT = os.open({output!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
PARTS = tuple(os.path.join({root!r}, part) + os.sep for part in ("functions", "cli", "tower", "shared", "drift"))
seen = set()

def record(frame, event, argument):
    code = frame.f_code
    if event != "call" or code in seen:
        return
    seen.add(code)
    owner = type(frame.f_locals["self"]) if "self" in frame.f_locals else None
    home = getattr(sys.modules.get(owner.__module__), "__file__", None) if owner else None
    ours = code.co_filename.startswith(PARTS) and not code.co_name.startswith("<")
    if ours or (home or "").startswith(PARTS):
        owner_name = owner.__qualname__ if (home or "").startswith(PARTS) else ""
        parts = (code.co_filename if ours else "", code.co_qualname if ours else "", owner_name)
        os.write(OUTPUT, (chr(9).join(parts) + chr(10)).encode())

def start():
    seen.clear()
    sys.setprofile(record)
    threading.setprofile(record)
"""
"""Runs in this process, and as `sitecustomize` in the process that reads drops.

Each function is written down when it is first entered, with the class that it belongs to; a class without methods of
its own, such as a frozen dataclass, is met when it is made.
"""

STAND_INS = "shared/memory/"
"""Not on the way in Azure, so not counted."""


def main(root: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "visited"
        code = RECORDER.format(root=str(root), output=str(output))
        Path(folder, "sitecustomize.py").write_text(f"{code}\nstart()\n")
        sys.path[:0] = [str(root), folder]  # the reading process inherits the path
        recorder: dict[str, Callable[[], None]] = {}
        exec(code, recorder)  # noqa: S102  # the text above
        run(recorder["start"])
        visited = [line.split("\t") for line in output.read_text().splitlines()]
    entered = [(os.path.relpath(file, root), name) for file, name, _ in visited if file]
    entered = [(file, name) for file, name in entered if not file.startswith(STAND_INS)]
    found = {
        "files": sorted({file for file, _ in entered}),
        "functions": sorted({f"{file} {name}" for file, name in entered}),
        "classes": sorted({owner for *_, owner in visited if owner and not owner.startswith("Memory")}),
    }
    print(json.dumps(found))


def run(start: Callable[[], None]) -> None:
    """A first season goes live unseen; what follows on a second one, which has drifted, is recorded."""
    from azure.functions import QueueMessage

    from functions import app, inbox
    from tests.engine.world import ACCOUNT, World, csv, season

    world = World()
    world.publish()
    world.drop("2007.csv", csv(season(2007)))
    assert world.live() == 1
    world.ticks(10)
    message = QueueMessage(body=world.land("2009.csv", csv(season(2009, body_mass_g=1.3))))
    trigger = inbox.inbox._function.get_user_function()
    settings = SimpleNamespace(blob_service_uri=ACCOUNT)
    with patch.object(app, "ports", lambda: world.ports), patch.object(app, "settings", lambda: settings):
        start()
        trigger(message)
        live = world.live()
        sys.setprofile(None)
    assert live == 2, live


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
