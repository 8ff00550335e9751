"""What a document tells a person to type: the commands of its console blocks, in its own order, in any new shell."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]


SETUP = ". .local/state/env"


def typed(document: str) -> list[list[str]]:
    """All but the first line, which prepares a shell."""
    blocks = re.findall(r"```console\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)
    lines = [
        line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")
    ]
    assert lines[0] == SETUP and SETUP not in lines[1:]
    return [shlex.split(line) for line in lines[1:]]
