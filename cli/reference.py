"""Every command with its arguments and options, as Markdown: `python -m cli.reference` writes the document."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from typer.core import TyperGroup

from cli import app

if TYPE_CHECKING:
    from typer._click.core import Command

DOCUMENT = Path(__file__).parents[1] / "docs" / "reference-commands.md"
WIDTH = 100
_HEAD = """# Commands

Made by `python -m cli.reference`; a test keeps it as the code is. `driftloop COMMAND --help` says the same.

Settings come from the environment: `. .local/state/env` sets those of the local Azure that `make up` runs,
`azd env get-values` prints those of a deployment ([deploy.md](deploy.md#settings)). `new`, `validate`, `backtest` and
`contract check` of files need none, nor do `explain` and `replay` of an exported file.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | refused or not found, and the text says why |
| 1 of `audit`, `doctor`, `replay` | something is not as the ledger says; something is broken; a verdict differs |
| 1 of `status LOOP`, `releases`, `versions`, `explain` | a row cannot be read; all others are shown |
| 1 of `compare`, `contract check` | the difference matters; a rule is broken |
| 1 of `export`, and of `explain` and `replay` of its file | its ledger entries, row or documents are not intact |
| 2 | wrong usage; of `compare` also: bad input, or nothing that can be compared |
| 3 of `doctor` | warnings only |

An act (`retrain`, `release`, `restore`, `approve`, `skip`, `abort`, `rollback`, `pause`, `resume`, `read-again`)
is put on record, and the command waits up to a minute for what the loop makes of it: 0 done, or on record and not yet
taken up; 1 refused. With `--no-wait` it does not wait. What became of it is also in the ledger.
A loop with `people` takes none of them: `act-unproven`, and the text says what to use instead.
"""


def reference() -> str:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    parts = []
    for name, command in _commands(group, ""):
        context = command.context_class(command, info_name=f"driftloop {name}", terminal_width=WIDTH)
        parts.append(f"## {name}\n\n```text\n{command.get_help(context).strip()}\n```\n")
    return "\n".join([_HEAD, *parts])


def _commands(group: TyperGroup, above: str) -> Iterator[tuple[str, Command]]:
    """Each command under all of its words."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from _commands(command, f"{above}{name} ")
        else:
            yield f"{above}{name}", command


if __name__ == "__main__":
    DOCUMENT.write_text(reference(), encoding="utf-8")
