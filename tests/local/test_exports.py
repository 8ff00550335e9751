"""What `make up` prints is pasted into another terminal: there the settings hold, and the commands are found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from local.__main__ import exports


def test_a_shell_that_takes_the_lines_has_the_settings_and_finds_the_commands() -> None:
    lines = exports({"ODD": "it's $HOME; `id`", "PLAIN": "1"})
    asked = 'printf "%s\\n" "$ODD" "$PLAIN" "$(command -v python)" "$(command -v printenv)"'
    done = subprocess.run(
        ["/bin/sh", "-euc", "\n".join([*lines, asked])],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    odd, plain, python, other = done.stdout.splitlines()
    assert (odd, plain) == ("it's $HOME; `id`", "1")
    assert Path(python).parent == Path(sys.executable).parent
    assert Path(other).parent in (Path("/usr/bin"), Path("/bin"))
