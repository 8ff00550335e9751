"""The command itself: the short forms that people try first."""

from __future__ import annotations

from importlib.metadata import version

import pytest
from typer.testing import CliRunner

from cli import app


@pytest.mark.parametrize("arguments", [["-h"], ["status", "-h"], ["--help"]])
def test_help_has_a_short_form_everywhere(arguments: list[str]) -> None:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0 and "Usage:" in done.output


def test_the_version_is_the_packages() -> None:
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.output.strip()) == (0, f"driftloop {version('driftloop')}")
