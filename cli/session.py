"""What every command needs: the settings of the environment, the ports over them, and the two consoles."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from shared.domain.loop import Overview
    from shared.domain.reason import Reason
    from shared.ports import Ports
    from shared.settings import Settings

out = Console(highlight=False)
Json = Annotated[bool, typer.Option("--json", help="The same as JSON.")]


def printable(text: str) -> str:
    """Names and messages are other people's text: what could steer a terminal is shown, not obeyed."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@cache
def settings() -> Settings:
    from shared.settings import Settings

    return Settings.from_environment(os.environ)


@cache
def ports() -> Ports:
    from shared.wiring import azure_ports

    return azure_ports(settings())


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


def who() -> str:
    """Who runs this command, as the ledger names people: from the token when it says so, else the account's name."""
    import getpass

    from shared.azure.client import claimed_name, credential

    return claimed_name(credential()) or getpass.getuser()
