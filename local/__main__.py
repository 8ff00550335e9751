"""`python -m local up` runs the local Azure until Ctrl-C; `serve` is the workspace process that it starts."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import shlex
import signal
import sys
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

from azure.storage.blob import BlobServiceClient

from local.azure import LocalAzure, LocalAzureFailed
from local.azurite import AzuriteUnavailable
from local.host import signin
from local.identity.models import LocalCredential, Tokens
from local.identity.roles import PUBLISHER
from local.service import container_sas, utc_now
from local.settings import Settings

CHECKOUT = Path(__file__).parent.parent
DEFAULT_STATE = CHECKOUT / ".local" / "state"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start everything, write the settings for a shell, stop at Ctrl-C")
    up.add_argument("--app", type=Path, default=CHECKOUT, help="the folder of function_app.py")
    up.add_argument("--no-host", action="store_true", help="leave the functions to `func start`")
    up.add_argument("--environment", default="", help="which of a loop's environments this one is")
    up.add_argument("--registry", type=Path, help="a folder for the registry that environments share")
    serve = commands.add_parser("serve", help="run the workspace process alone, over a running Azurite")
    for command in (up, serve):
        command.add_argument("--state", type=Path, default=DEFAULT_STATE, help="the state folder")
    chosen = parser.parse_args(arguments)
    if chosen.command == "serve":
        from local.server import serve as run  # the supervisor need not load the services

        run(chosen.state)
    else:
        hosted = not chosen.no_host and _has_host() and (chosen.app / "function_app.py").exists()
        azure = LocalAzure(
            chosen.state,
            functions_host=hosted,
            app_dir=chosen.app,
            registry=chosen.registry,
            environment_name=chosen.environment,
        )
        run_up(azure, chosen.app, hosted=hosted)


def run_up(local: LocalAzure, app: Path, *, hosted: bool) -> None:
    """Start everything, tell how to use it, and wait; all is stopped when this returns."""
    for number in (signal.SIGTERM, signal.SIGINT):  # a shell's background job begins with SIGINT ignored
        signal.signal(number, _interrupt)
    try:
        with contextlib.suppress(KeyboardInterrupt), local as azure:
            write_local_settings(app / "local.settings.json", azure.environment("app"))
            storage = {"AZURE_STORAGE_CONNECTION_STRING": connection_string(azure.settings)}
            file = write_exports(azure.settings.folder / "env", azure.environment() | storage)
            folder = azure.settings.folder
            _say(f"The local Azure is up; its state and logs are in {folder}. Ctrl-C stops it.")
            _say(f"Commands, in another terminal: first  . {shlex.quote(_short(file))}  sets it up.")
            if hosted:
                _say(f"The control tower, in a browser: {signin.address(azure.settings)}")
            else:
                _say("Without functions: settings for Core Tools' `func start` are in local.settings.json.")
            azure.watch()
    except (LocalAzureFailed, AzuriteUnavailable) as error:
        raise SystemExit(str(error)) from error


def exports(environment: dict[str, str]) -> list[str]:
    """Lines for a POSIX shell, which then finds the commands of this virtual environment too."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in sorted(environment.items())]
    return [*lines, f'export PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"']


def write_exports(file: Path, environment: dict[str, str]) -> Path:
    """A file for a shell's `.`, so that nobody has to copy settings; it holds the identity's secret."""
    file.touch(mode=0o600)
    file.write_text("".join(f"{line}\n" for line in exports(environment)))
    return file


def _short(file: Path) -> str:
    """As it is typed in the folder where this runs; a `.` looks for a name without a slash on the path."""
    inside = file.is_relative_to(Path.cwd()) and file.parent != Path.cwd()
    return str(file.relative_to(Path.cwd()) if inside else file)


def connection_string(settings: Settings, lasts: timedelta = timedelta(hours=12)) -> str:
    """For tools without our identity, as `az storage`: a SAS to drop and read blobs of `landing`, signed by no key of
    the account."""
    credential = LocalCredential(Tokens(settings, utc_now), PUBLISHER)
    account, verify = settings.storage("blob"), str(settings.bundle)
    with BlobServiceClient(account, credential, connection_verify=verify) as blobs:
        sas = container_sas(blobs, "landing", write=True, lasts=lasts)
    return f"BlobEndpoint={account};SharedAccessSignature={sas}"


def write_local_settings(file: Path, environment: dict[str, str]) -> None:
    """The settings with which Microsoft's own host runs the same app against this local Azure."""
    file.touch(mode=0o600)  # it holds the identity's secret
    file.write_text(json.dumps({"IsEncrypted": False, "Values": environment}, indent=2) + "\n")


def _has_host() -> bool:
    return importlib.util.find_spec("local.host") is not None and (
        importlib.util.find_spec("local.host.__main__") is not None
    )


def _interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
