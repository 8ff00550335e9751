"""Comparing files loads nothing that reads loop files or speaks to Azure."""

from __future__ import annotations

import subprocess
import sys


def test_compare_starts_without_the_loop_file_and_without_azure() -> None:
    program = (
        "import sys, cli; sys.argv = ['driftloop', 'compare', 'no-file', 'no-file']\n"
        "try:\n    cli.main()\nexcept SystemExit as ended:\n    assert ended.code == 2, ended.code\n"
        "print([n for n in ('shared.loopfile', 'azure.core', 'scipy') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
