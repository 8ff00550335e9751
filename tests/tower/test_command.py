"""The command itself: the short forms that people try first."""

from __future__ import annotations

import io
import logging
from importlib.metadata import version

import pytest
from rich.table import Table
from typer.testing import CliRunner

from cli import app, main
from cli.session import Terminal, release_of
from shared.errors import ConfigurationError


@pytest.mark.parametrize("arguments", [["-h"], ["status", "-h"], ["--help"]])
def test_help_has_a_short_form_everywhere(arguments: list[str]) -> None:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0 and "Usage:" in done.output


def test_the_version_is_the_packages() -> None:
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.output.strip()) == (0, f"driftloop {version('driftloop')}")


@pytest.mark.parametrize(
    ("typed", "offered"), [("driftloop sta", ["status"]), ("driftloop drop --la", ["--labels"])]
)
def test_a_shell_that_asks_for_completion_is_offered_commands_and_options(
    typed: str, offered: list[str]
) -> None:
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    asking = {"_DRIFTLOOP_COMPLETE": "complete_bash", **words}
    done = CliRunner().invoke(app, [], env=asking, prog_name="driftloop")
    assert done.output.split() == offered


def test_what_libraries_log_of_azure_stays_out_of_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Azure's client logs each credential that it tried; what came of it is raised, and told once."""
    azure = logging.getLogger("azure")
    before = azure.level
    monkeypatch.setattr("sys.argv", ["driftloop", "--version"])
    try:
        with pytest.raises(SystemExit):
            main()
        said = logging.getLogger("azure.identity._internal.decorators").isEnabledFor(logging.WARNING)
    finally:
        azure.setLevel(before)
    assert not said
    assert capsys.readouterr().err == ""


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
