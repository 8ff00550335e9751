"""From test to production on one laptop: two deployments, one registry, and every command as a person types it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from demo.iris import SHORT, flowers
from demo.stage import LOOPS, PATIENCE_S, StoryFailed
from local.azure import LocalAzure

CHECKOUT = Path(__file__).parent.parent
ENVIRONMENTS = """
environments:                    # what differs between them; all else is the same
  test:
    serve: {endpoint: iris-test}
  production:
    gate: {margin: 0.1}
"""
TRAIN = "train:\n  pipeline"
ONLY = TRAIN.replace(
    "  pipeline", "  only_in: test                # production releases what is promoted\n  pipeline"
)


class Deployment:
    """One environment: a Driftloop deployment with a workspace, a storage account and a ledger of its own."""

    def __init__(self, name: str, azure: LocalAzure, console: Console, folder: Path) -> None:
        self.name = name
        self._azure = azure
        self._console = console
        self._folder = folder

    def run(self, *words: str, shown: bool = True) -> str:
        """A command with this environment's settings, as `azd env get-values` gives them on Azure."""
        command = [sys.executable, "-c", "import cli; cli.main()", *words]
        environment = os.environ | self._azure.environment() | {"PYTHONPATH": str(CHECKOUT), "COLUMNS": "100"}
        done = subprocess.run(
            command,
            cwd=self._folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if shown:
            plain = [word for word in words if not word.startswith("--set=")]
            self._console.print(f"   [dim]{self.name}$[/] driftloop {' '.join(plain)}", highlight=False)
            told = done.stdout.strip() or done.stderr.strip()
            self._console.print(Padding(Text(told), (0, 0, 0, 6)))
        if done.returncode:
            raise StoryFailed(f"driftloop {' '.join(words)} in {self.name}: {done.stderr or done.stdout}")
        return done.stdout

    def status(self) -> dict[str, Any]:
        """As `driftloop status iris --json` has it."""
        found: dict[str, Any] = json.loads(self.run("status", "iris", "--json", shown=False))
        return found

    def wait(self, what: str, true: Callable[[Mapping[str, Any]], bool]) -> Mapping[str, Any]:
        deadline = time.monotonic() + PATIENCE_S
        while not true(seen := self.status()):
            if time.monotonic() > deadline:
                raise StoryFailed(f"waited {PATIENCE_S} s in {self.name} for {what}: {seen}")
            time.sleep(1)
        return seen


def tell(console: Console) -> None:
    """The way of one model from test to production."""
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="driftloop-demo-")))
        folder = shutil.copytree(LOOPS / "iris", place / "loops" / "iris").parents[1]
        loop_file = folder / "loops" / "iris" / "loop.yaml"
        loop_file.write_text(loop_file.read_text().replace(TRAIN, ONLY, 1) + ENVIRONMENTS)
        flowers()[:100].to_csv(folder / "first.csv", index=False)
        flowers()[100:].to_csv(folder / "own.csv", index=False)
        made = {}
        for name in ("test", "production"):
            azure = LocalAzure(
                place / name, functions_host=True, registry=place / "registry", environment_name=name
            )
            stack.callback(azure.stop)
            with console.status(f"starting the local Azure of {name}"):
                azure.start()
            made[name] = Deployment(name, azure, console, folder)
        story(console, made["test"], made["production"])


def story(console: Console, test: Deployment, production: Deployment) -> None:
    settings = [f"--set={one}" for one in SHORT]
    _chapter(console, "1. One loop file, two environments")
    console.print(Padding(Text(ENVIRONMENTS.strip()), (0, 0, 0, 6)))
    test.run("publish", "loops/iris", "--to", "test", *settings)
    production.run("publish", "loops/iris", "--to", "production", *settings)

    _chapter(console, "2. A model is trained in test, and goes live there")
    test.run("drop", "iris", "first.csv")
    test.wait("release 1", lambda seen: _live(seen, 1))

    _chapter(console, "3. Production has flowers of its own; it trains nothing")
    production.run("drop", "iris", "own.csv")
    production.wait("version 1", lambda seen: bool(seen["state"].get("denial")))
    production.run("status", "iris")

    _chapter(console, "4. The model is shared, and promoted with its evidence")
    test.run("share", "iris/1")
    production.run("promote", "iris-1.html", "-m", "it did well in test")
    production.wait("release 1", lambda seen: _live(seen, 1))

    _chapter(console, "5. One audit answers both")
    told = production.run("audit", "iris")
    if "promoted from test" not in told or "hash chain verified" not in told:
        raise StoryFailed(f"the audit does not cross to test: {told}")


def _live(seen: Mapping[str, Any], number: int) -> bool:
    champion, outcome = seen["state"]["champion"], seen["state"]["last_outcome"]
    if outcome not in (None, "", "live"):
        raise StoryFailed(f"a release did not go live, but is {outcome}: {seen['releases'][0]['reason']}")
    return bool(champion) and champion["release"] == number and seen["state"]["open_release"] is None


def _chapter(console: Console, title: str) -> None:
    console.print(f"\n[bold cyan]{title}[/]")
