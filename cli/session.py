"""What every command needs: the settings of the environment, the ports over them, and a way to the terminal."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console, ConsoleOptions
from rich.markup import escape
from rich.table import Table

from shared.redaction import printable
from shared.words import plain

if TYPE_CHECKING:
    from shared.domain.loop import Overview
    from shared.domain.reason import Reason
    from shared.ports import Ports, Sharing
    from shared.settings import Settings

IN_A_PIPE = 10_000
"""Columns, where no terminal has a width: a line stays a line, for whatever reads it next."""


class Terminal(Console):
    """Never breaks a sentence or a command into lines, so that each can be copied; tables fit a terminal."""

    @property
    def options(self) -> ConsoleOptions:
        return super().options if self._fits else super().options.update(width=IN_A_PIPE)

    @property
    def _fits(self) -> bool:
        return self.is_terminal or "COLUMNS" in os.environ

    def print(self, *objects: Any, **options: Any) -> None:
        options.setdefault("crop", self._fits)  # else tables are cut where a terminal would end
        options.setdefault("soft_wrap", all(isinstance(one, str) for one in objects))
        super().print(*objects, **options)

    def say(self, text: str) -> None:
        """A line of which nothing is markup or steers the terminal: paths, names and code are other people's text."""
        self.print(printable(text), markup=False)


out = Terminal(highlight=False)
complain = Terminal(highlight=False, stderr=True)

Json = Annotated[bool, typer.Option("--json", help="The same as JSON.")]
Loop = Annotated[str, typer.Argument(help="The loop.")]
ReleaseName = Annotated[str, typer.Argument(help="LOOP/NUMBER, as `driftloop status` shows it.")]
LoopFolder = Annotated[Path, typer.Argument(help="The loop's folder, or its loop.yaml.")]


@cache
def settings() -> Settings:
    from shared.settings import Settings

    return Settings.from_environment(os.environ)


@cache
def ports() -> Ports:
    from shared.wiring import azure_ports

    return azure_ports(settings())


def sharing() -> Sharing:
    from shared.wiring import azure_sharing

    return azure_sharing(settings())


def overview(loop: str) -> Overview:
    """The loop's row; ConfigurationError when there is no such loop."""
    from shared.domain.reason import Code
    from shared.errors import ConfigurationError

    found = ports().store.overview(loop)
    if found is None:
        raise ConfigurationError(
            f"there is no loop {loop!r}; `driftloop status` lists them", code=Code.NOT_FOUND
        )
    return found


def advise(*said: Reason | str | None) -> None:
    """What the guide says to do about the first of these codes that it has; nothing where it has none."""
    from shared import guide

    if found := guide.find(*said):
        do = found.do.replace("`", "")
        out.print(f"  what to do: {escape(do)} ({guide.DOCUMENT}#{found.anchor})", style="dim")


def tell_unread(unread: Sequence[Reason]) -> None:
    """Rows that are missing from what was shown, because they cannot be read; exit code 1 where there are some."""
    from shared import guide
    from shared.words import say

    for why in unread:
        complain.say(f"not shown: {say(why)}")
    if unread:
        if found := guide.find(unread[0]):
            complain.say(f"  what to do: {found.do.replace('`', '')} ({guide.DOCUMENT}#{found.anchor})")
        raise typer.Exit(1)


def release_of(text: str) -> tuple[str, int]:
    """Loop and number of LOOP/NUMBER."""
    from shared.errors import ConfigurationError

    loop, _, number = text.partition("/")
    if not number.isdecimal():
        raise ConfigurationError(f"{text!r} is not a release; expected LOOP/NUMBER, for example penguins/3")
    return loop, int(number)


def folder_of(loop: Path) -> Path:
    """The folder of a loop that was named by it or by its file."""
    return loop if loop.is_dir() else loop.parent


def write(place: Path, content: bytes) -> None:
    """Whole or not at all."""
    part = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(place)
    except OSError as error:
        from shared.errors import ConfigurationError

        part.unlink(missing_ok=True)
        raise ConfigurationError(f"{place} cannot be written: {error.strerror}") from error


def shown(text: str) -> str:
    """Names and messages are other people's text: what could steer a terminal is shown, not obeyed."""
    return escape(printable(text))


def print_json(content: object) -> None:
    """The same text either way; colours take longer than many a comparison, and a pipe has none."""
    text = json.dumps(plain(content), default=str, ensure_ascii=False, indent=2)
    if out.color_system:
        out.print_json(text)
    else:
        print(text, file=out.file)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> None:
    """The first column is a number."""
    drawn = Table(title=title or None, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for index, column in enumerate(columns):
        drawn.add_column(column, overflow="fold", justify="right" if index == 0 else "left")
    for row in rows:
        drawn.add_row(*map(shown, row))
    out.print(drawn)


_NAMES = ("upn", "preferred_username", "unique_name", "appid", "oid")


def who() -> str:
    """Who runs this command, as the ledger names people: from the token when it says so, else the account's name."""
    import getpass

    from shared.azure.client import claimed, credential

    return claimed(credential(), *_NAMES) or getpass.getuser()


def oid() -> str:
    """The object id of who runs this command; empty when their token does not say."""
    from shared.azure.client import claimed, credential

    return claimed(credential(), "oid")
