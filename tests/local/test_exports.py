"""What `make up` writes is read by another terminal's shell: there the settings hold, and the commands are found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from local.__main__ import _short, write_exports


def test_a_shell_that_reads_the_file_has_the_settings_and_finds_the_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder := tmp_path / "a folder").mkdir()
    monkeypatch.chdir(tmp_path)
    file = write_exports(folder / "env", {"ODD": "it's $HOME; `id`", "PLAIN": "1"})
    assert file.stat().st_mode & 0o777 == 0o600
    asked = 'printf "%s\\n" "$ODD" "$PLAIN" "$(command -v python)" "$(command -v printenv)"'
    done = subprocess.run(
        ["/bin/sh", "-euc", f". '{_short(file)}'\n{asked}"],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    odd, plain, python, other = done.stdout.splitlines()
    assert (odd, plain) == ("it's $HOME; `id`", "1")
    assert Path(python).parent == Path(sys.executable).parent
    assert Path(other).parent in (Path("/usr/bin"), Path("/bin"))


def test_a_file_beside_the_shell_is_named_whole_as_a_dot_would_look_for_it_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert _short(tmp_path / "env") == str(tmp_path / "env")
    assert _short(tmp_path / "state" / "env") == "state/env"
