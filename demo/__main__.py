"""`python -m demo [LOOP]`: exit code 0 when the story went as told, 1 when it did not."""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from demo import environments, served, verified
from demo.stage import LocalStage, Stage, StoryFailed
from local.azure import LocalAzure

LOOPS = ("penguins", "iris", "prices", "income")


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("loop", nargs="?", default="penguins", choices=LOOPS)
    parser.add_argument(
        "--environments", action="store_true", help="the way of one model from test to production; with iris"
    )
    parser.add_argument(
        "--served", action="store_true", help="served inputs drift though nothing is dropped; with penguins"
    )
    parser.add_argument(
        "--spark", action="store_true", help="a Spark step looks at the rows first; with income"
    )
    chosen = parser.parse_args()
    loop = chosen.loop
    if chosen.spark and (loop != "income" or verified.asked_for()):
        parser.error("Spark looks at the rows of income on a local Azure: make demo LOOP=income SPARK=1")
    if chosen.environments and (loop != "iris" or verified.asked_for()):
        parser.error(
            "from test to production is a story of iris on a local Azure: make demo LOOP=iris ENVIRONMENTS=1"
        )
    if chosen.served and (loop != "penguins" or chosen.environments or verified.asked_for()):
        parser.error("served inputs that drift are a story of penguins, in memory: make demo SERVED=1")
    if chosen.served and sys.platform != "linux":
        parser.error("the loop of served inputs has a metric of its own, whose process needs Linux")
    console = Console(highlight=False)
    console.width = min(console.width, 110) if console.is_terminal else 110
    logging.disable(logging.CRITICAL)
    began = time.monotonic()
    if verified.asked_for() and loop in verified.HOST_ONLY:
        parser.error(f"{loop} cannot be told on Azure: {verified.HOST_ONLY[loop]}")
    try:
        if chosen.served:
            console.rule("[bold]Driftloop: what is asked drifts, in three weeks that pass in memory")
            served.tell(console)
        elif chosen.environments:
            console.rule("[bold]Driftloop: the loop iris from test to production, on two local Azures")
            environments.tell(console)
        else:
            with stage_for(loop, console) as stage:
                importlib.import_module(f"demo.{loop}").tell(
                    stage, **({"spark": True} if chosen.spark else {})
                )
    except StoryFailed as failure:
        console.print(f"[red]the story broke off:[/] {failure}")
        return 1
    except KeyboardInterrupt:
        console.print("stopped; nothing is left running")
        return 130
    console.print(f"\nThat took {time.monotonic() - began:.0f} seconds, and nothing is left running.")
    return 0


@contextmanager
def stage_for(loop: str, console: Console) -> Iterator[Stage]:
    """On a local Azure that is started and ended here; with AZURE_VERIFIED=1 on the one that the environment names."""
    if verified.asked_for():
        console.rule(f"[bold]Driftloop: the loop {loop}, on the deployment that the environment names")
        with verified.VerifiedStage(console, loop) as stage:
            yield stage
        return
    console.rule(f"[bold]Driftloop: the loop {loop}, on a local Azure, with the unmodified Azure SDKs")
    with tempfile.TemporaryDirectory(prefix="driftloop-demo-") as folder:
        azure = LocalAzure(Path(folder), functions_host=True)
        try:
            with console.status("starting Azurite, the Azure ML workspace and the functions host"):
                azure.start()
            with LocalStage(azure, console, loop) as local:
                yield local
        finally:
            azure.stop()


if __name__ == "__main__":
    sys.exit(main())
