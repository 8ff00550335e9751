"""uv, which installs what pip would, from where pip would, in a tenth of its time.

As a command it is what `make setup` calls: `python -m local.jobs.installer pip install -r FILE`. It needs uv alone, and
works on the environment that it runs in, whichever one the shell has active.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from functools import cache
from itertools import product
from pathlib import Path

_LONGEST_S = 900
_AS_PIP = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", " "),
    "proxy": ("ALL_PROXY", " "),
}
"""pip's setting -> uv's variable, and what parts its values."""
_OF_PIP_INSTALL = ("global", "install", ":env:")
"""Sections of pip's settings, later ones win (pip's documentation, "Precedence / Override order")."""
_TRUE = {"y", "yes", "t", "true", "on", "1"}
_CREDENTIALS = re.compile(r"(?<=://)(?:\S*:\S*|[^\s/@]+)@")


def uv(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What it tells has no password: uv repeats an address that it cannot read as it is."""
    from uv import find_uv_bin

    own = {name: value for name, value in os.environ.items() if not _of_a_local_azure(value)}
    fixed = {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1", "NO_COLOR": "1"}
    variables = _pip_settings() | own | fixed
    command = [find_uv_bin(), *arguments]
    if arguments[:2] == ("pip", "install") and _told_by_pip().get("no-index", "").lower() in _TRUE:
        command.append("--no-index")  # the one setting for which uv has no variable
    try:
        made = subprocess.run(command, capture_output=True, text=True, env=variables, timeout=_LONGEST_S)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"It took longer than {_LONGEST_S} s.")
    made.stderr = _CREDENTIALS.sub("****@", made.stderr)
    return made


def _of_a_local_azure(value: str) -> bool:
    """The certificates by which its clients know it: a package index has others."""
    return value.endswith(str(Path("certificates", "bundle.pem")))


def _pip_settings() -> dict[str, str]:
    """What pip is configured with, as uv reads it: by this the set-up reached its packages, behind whatever proxy.

    Certificates are the system's, and of several indexes the best version counts, both as pip has it.
    """
    found = {"UV_SYSTEM_CERTS": "1", "UV_INDEX_STRATEGY": "unsafe-best-match"}
    for setting, (variable, between) in _AS_PIP.items():
        if value := _told_by_pip().get(setting):
            found[variable] = between.join(value.split())
    return found


@cache
def _told_by_pip() -> dict[str, str]:
    """The settings of an installation."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, timeout=60
    )
    lines = [line.partition("=") for line in listed.stdout.splitlines() if listed.returncode == 0]
    told = {setting: value for setting, _, value in lines}
    wanted = product(_OF_PIP_INSTALL, (*_AS_PIP, "no-index"))
    set_so = [(name, value) for section, name in wanted if (value := told.get(f"{section}.{name}"))]
    return {name: str(ast.literal_eval(value)) for name, value in set_so}


if __name__ == "__main__":
    done = uv(*sys.argv[1:], "--python", sys.executable)
    sys.exit(done.stderr if done.returncode else 0)
