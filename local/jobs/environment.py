"""What a step or a server runs in: made from what its environment asks for and nothing else, once, and kept.

As on Azure, where an image is built from an environment's conda file, a package that nobody asked for is not there, and
what cannot be installed fails before anything runs. Only the packages are real: the image's own files, conda's packages
that PyPI does not have, and another Python than this machine's are not.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from local.jobs.exceptions import EnvironmentNotBuilt, WorkspaceStopping
from local.jobs.installer import uv
from local.state import Document

PLAIN_IMAGE: Document = {"condaFile": (Path(__file__).parent / "plain-image.yml").read_text()}
"""Of an image without a conda file."""
_KEPT_DAYS = 30
_TAIL = 12
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_OWN = f"{sys.version_info.major}.{sys.version_info.minor}"


def python_for(name: str, environment: Document, *besides: str) -> Path:
    """The interpreter of this environment, with packages that its image brings besides; EnvironmentNotBuilt."""
    if not environment.get("condaFile"):
        environment = PLAIN_IMAGE
    try:
        lines, version = requirements(environment), _version(environment)
    except (yaml.YAMLError, ValueError) as error:
        raise EnvironmentNotBuilt(name, str(error)) from error
    asked = {line for line in lines if _name(line) != "python"}
    return _python(name, sorted({"pip", *asked, *besides}), version)  # conda brings pip with Python


def known(version: str) -> bool:
    """Whether this machine has a Python of this version, such as `3.11`."""
    return version == _OWN or uv("python", "find", "--no-project", "--system", version).returncode == 0


def requirements(environment: Document) -> list[str]:
    """The packages that an environment asks for, as pip requirements, from its conda file."""
    lines: list[str] = []
    for entry in _dependencies(environment):
        if isinstance(entry, dict):
            lines += map(str, _listed(entry, "pip"))
        else:
            lines.append(_from_conda(str(entry)))
    return lines


def _dependencies(environment: Document) -> list[object]:
    return _listed(yaml.safe_load(environment["condaFile"]) or {}, "dependencies")


def _listed(found: object, key: str) -> list[object]:
    """ValueError where it is no list, as each letter of a text would be taken for a package."""
    entries = (found.get(key) or []) if isinstance(found, dict) else found
    if not isinstance(found, dict) or not isinstance(entries, list):
        raise ValueError(f"A conda file has a list of {key}, not {entries!r}.")
    return entries


def _from_conda(entry: str) -> str:
    """`numpy=1.26` of conda means `numpy==1.26.*` of pip; a channel and a build are left out."""
    entry = entry.split("::")[-1].strip()
    if any(sign in entry for sign in ("==", ">", "<", "!", "~")):
        return entry
    name, _, version = entry.partition("=")
    number = version.split("=")[0]
    if not number:
        return name
    return f"{name}=={number}" if number.endswith("*") else f"{name}=={number}.*"


def _name(line: str) -> str:
    found = _NAME.match(line.strip())
    return found.group().lower() if found else ""


def _version(environment: Document) -> str:
    """The Python that is asked for, as `3.11`; empty: any."""
    for entry in _dependencies(environment):
        asked = re.fullmatch(r"(?:\S+::)?python\s*={1,2}\s*(\d+\.\d+)\S*", str(entry).strip())
        if asked:
            return asked.group(1)
    return ""


def _python(name: str, lines: list[str], version: str) -> Path:
    base = _interpreter(version)
    content = hashlib.sha256("\n".join([base, *lines]).encode()).hexdigest()[:24]
    folder = _kept() / content
    python = folder / "bin" / "python"
    with _alone(folder.with_suffix(".lock")):
        if not python.exists():
            _clear(folder.parent)
            _build(name, lines, base, folder)
        os.utime(folder)
    return python


def _kept() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(cache) / "driftloop" / "environments"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Two deployments of one environment build it once, whichever processes they are of."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _clear(folder: Path) -> None:
    """What nothing has asked for in a month."""
    oldest = time.time() - _KEPT_DAYS * 86400
    for each in folder.iterdir():
        if each.is_dir() and each.stat().st_mtime < oldest:
            shutil.rmtree(each, ignore_errors=True)


def _interpreter(version: str) -> str:
    """The Python of that version if this machine has one, else our own: a laptop need not have each."""
    found = uv("python", "find", "--no-project", "--system", version) if version not in ("", _OWN) else None
    chosen = found.stdout.strip() if found and found.returncode == 0 else sys.executable
    return str(Path(chosen).resolve())  # of whichever virtual environment: the packages are the same


def _build(name: str, lines: list[str], base: str, folder: Path) -> None:
    """Below another name until it is whole."""
    unfinished = folder.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        _install(name, lines, base, unfinished)
        shutil.rmtree(folder, ignore_errors=True)  # one whose interpreter is gone
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _install(name: str, lines: list[str], base: str, folder: Path) -> None:
    _demand(name, _ran("venv", "--no-project", "--relocatable", "--python", base, str(folder)))
    asked = folder / "asked-for.txt"  # no `-r requirements.txt` in it means itself
    asked.write_text("\n".join(lines) + "\n")
    install = ["pip", "install", "--python", str(folder / "bin" / "python"), "-r", str(asked)]
    made = _ran(*install)
    if made.returncode and _ran(*install, "--offline").returncode:
        _demand(name, made)  # else an index is out of reach, and all was there before


def _ran(*arguments: str) -> subprocess.CompletedProcess[str]:
    made = uv(*arguments)
    if made.returncode == -signal.SIGTERM:  # as all of our processes, of which we may be told later
        raise WorkspaceStopping
    return made


def _demand(name: str, made: subprocess.CompletedProcess[str]) -> None:
    if made.returncode:
        raise EnvironmentNotBuilt(name, "\n".join(_told(made.stderr.splitlines())[-_TAIL:]))


def _told(lines: Iterable[str]) -> list[str]:
    return [
        line.rstrip() for line in lines if line.strip() and not line.startswith(("Using Python", "warning:"))
    ]
