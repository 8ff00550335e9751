"""The loop's own code is loaded once before it is published, where it cannot do harm."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cli.session import out
from shared.errors import ConfigurationError

if TYPE_CHECKING:
    from shared.loopfile import Definition


def own_code(folder: Path, definition: Definition) -> dict[str, str]:
    """The text of each file of own code; ConfigurationError where one cannot be loaded."""
    from shared.loopfile import own_code
    from shared.own import sandbox, walls
    from shared.words import say

    sources = own_code.sources(definition, folder)
    for file, text in sources.items():
        if not walls.available():
            out.say(f"{file} is read, not run: that takes Linux, where the app will run it")
            continue
        asked = {"task": "load", "functions": list(own_code.functions(definition)[file])}
        try:
            sandbox.run(file, text, asked)
        except sandbox.Stopped as stopped:
            raise ConfigurationError(say(stopped.reason), code=stopped.reason.code) from stopped
    return sources
