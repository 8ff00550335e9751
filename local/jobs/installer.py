"""uv, which installs what pip would, from where pip would, in a tenth of its time.

As a command it is what `make setup` calls: `python -m local.jobs.installer pip install -r FILE`. It needs uv alone.
"""

from __future__ import annotations

import ast
import os
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


def uv(*arguments: str) -> subprocess.CompletedProcess[str]:
    from uv import find_uv_bin

    own = {name: value for name, value in os.environ.items() if not _of_a_local_azure(value)}
    fixed = {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1", "NO_COLOR": "1"}
    variables = _pip_settings() | own | fixed
    command = [find_uv_bin(), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, env=variables, timeout=_LONGEST_S)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"It took longer than {_LONGEST_S} s.")


def _of_a_local_azure(value: str) -> bool:
    """The certificates by which its clients know it: a package index has others."""
    return value.endswith(str(Path("certificates", "bundle.pem")))


@cache
def _pip_settings() -> dict[str, str]:
    """What pip is configured with, as uv reads it: by this the set-up reached its packages, behind whatever proxy.

    Certificates are the system's, and of several indexes the best version counts, both as pip has it.
    """
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, timeout=60
    )
    found = {"UV_SYSTEM_CERTS": "1", "UV_INDEX_STRATEGY": "unsafe-best-match"}
    lines = [line.partition("=") for line in listed.stdout.splitlines() if listed.returncode == 0]
    told = {setting: value for setting, _, value in lines}
    for section, (setting, (variable, between)) in product(_OF_PIP_INSTALL, _AS_PIP.items()):
        if value := told.get(f"{section}.{setting}"):
            found[variable] = between.join(str(ast.literal_eval(value)).split())
    return found


if __name__ == "__main__":
    done = uv(*sys.argv[1:])
    sys.exit(done.stderr if done.returncode else 0)
