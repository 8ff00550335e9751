"""`python -m demo [LOOP]`: exit code 0 when the story went as told, 1 when it did not."""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from demo.stage import Stage, StoryFailed
from local.azure import LocalAzure

LOOPS = ("penguins", "iris", "prices", "income")


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("loop", nargs="?", default="penguins", choices=LOOPS)
    loop = parser.parse_args().loop
    console = Console(highlight=False)
    console.width = min(console.width, 110) if console.is_terminal else 110
    logging.disable(logging.CRITICAL)
    began = time.monotonic()
    console.rule(f"[bold]Driftloop: the loop {loop}, on a local Azure, with the unmodified Azure SDKs")
    with tempfile.TemporaryDirectory(prefix="driftloop-demo-") as folder:
        azure = LocalAzure(Path(folder), functions_host=True)
        try:
            with console.status("starting Azurite, the Azure ML workspace and the functions host"):
                azure.start()
            with Stage(azure, console, loop) as stage:
                importlib.import_module(f"demo.{loop}").tell(stage)
        except StoryFailed as failure:
            console.print(f"[red]the story broke off:[/] {failure}")
            return 1
        except KeyboardInterrupt:
            console.print("stopped; nothing is left running")
            return 130
        finally:
            azure.stop()
    console.print(f"\nThat took {time.monotonic() - began:.0f} seconds, and nothing is left running.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
