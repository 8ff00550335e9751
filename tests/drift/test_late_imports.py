"""A command loads what it needs: comparing files no loop files and no Azure, listing commands no tables."""

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


def test_the_list_of_commands_loads_nothing_that_computes_or_speaks_to_azure() -> None:
    heavy = "('numpy', 'pandas', 'pyarrow', 'scipy', 'requests', 'azure.core')"
    program = f"import sys, cli; cli.app; print([n for n in {heavy} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
