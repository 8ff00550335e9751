"""The README's commands do what it says, in its own order."""

from __future__ import annotations

import re
import shlex

from tests.acceptance.conftest import ROOT, App


def readme_commands() -> list[list[str]]:
    blocks = re.findall(r"```console\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    lines = [
        line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")
    ]
    return [shlex.split(line) for line in lines]


def test_the_commands_of_the_readme_run_as_they_stand(app: App) -> None:
    commands = readme_commands()
    assert [command[1] for command in commands] == ["validate", "publish", "drop", "status", "audit"]
    for command in commands:
        assert command[0] == "driftloop"
        if command[1] == "audit":
            app.live("penguins")
        done = app.run(*command[1:])
        assert done.stderr == ""
    assert "model" in done.stdout
    assert "the chain is whole" in done.stdout


def test_the_two_commands_of_the_readme_are_targets() -> None:
    blocks = re.findall(r"```\n(make \w+)\n```", (ROOT / "README.md").read_text())
    targets = re.findall(r"^(\w+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert blocks == ["make demo", "make test"]
    assert {block.split()[1] for block in blocks} <= set(targets)
