"""The command itself: the short forms that people try first."""

from __future__ import annotations

import io
from importlib.metadata import version

import pytest
from rich.table import Table
from typer.testing import CliRunner

from cli import app
from cli.session import Terminal, release_of
from shared.errors import ConfigurationError


@pytest.mark.parametrize("arguments", [["-h"], ["status", "-h"], ["--help"]])
def test_help_has_a_short_form_everywhere(arguments: list[str]) -> None:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0 and "Usage:" in done.output


def test_the_version_is_the_packages() -> None:
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.output.strip()) == (0, f"driftloop {version('driftloop')}")


@pytest.mark.parametrize("text", ["birds", "birds/", "a/b/1", "birds/²"])
def test_what_names_no_release_is_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigurationError, match=f"'{text}' is not a release"):
        release_of(text)


@pytest.mark.parametrize(("columns", "lines"), [("", 3), ("60", 9)])
def test_a_row_of_a_table_is_one_line_in_a_pipe(
    monkeypatch: pytest.MonkeyPatch, columns: str, lines: int
) -> None:
    """For whatever reads it next; a width that somebody asks for is kept."""
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    table = Table("no.", "why", box=None)
    for number in range(2):
        table.add_row(str(number), "a reason that is told at length " * 6)
    written = io.StringIO()
    Terminal(file=written, highlight=False).print(table)
    assert len(written.getvalue().splitlines()) == lines
    assert written.getvalue().count("length") == 12, "and nothing of it is cut off"
