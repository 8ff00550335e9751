"""What the README tells to type exists; tests/acceptance/test_browser.py types it."""

from __future__ import annotations

import re

from tests.acceptance.conftest import ROOT
from tests.acceptance.typed import typed


def test_the_two_commands_of_the_readme_are_targets() -> None:
    blocks = re.findall(r"```\n(make \w+)\n```", (ROOT / "README.md").read_text())
    targets = re.findall(r"^(\w+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert blocks == ["make demo", "make test"]
    assert {block.split()[1] for block in blocks} <= set(targets)


def test_the_commands_of_the_readme_are_in_its_own_order() -> None:
    assert [command[1] for command in typed("README.md")] == [
        "validate",
        "publish",
        "drop",
        "status",
        "audit",
    ]
