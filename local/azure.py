"""`LocalAzure` starts Azurite, the workspace service and the functions host, and leaves nothing running."""

from __future__ import annotations

import fcntl
import os
import socket
import ssl
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self, TextIO

import httpx

from local import processes
from local.azurite import start_azurite
from local.certificates import certificates
from local.host.platform import Platform, PlatformFailed
from local.settings import settings_of

READY_WITHIN_S = 90.0
_CHECKOUT = Path(__file__).parent.parent


class LocalAzureFailed(Exception):
    """A part of the local Azure ended, or did not get ready; the message holds the end of its log."""


class LocalAzure:
    """A local Azure over a state folder: start it, use `environment()`, stop it. State and addresses stay."""

    def __init__(
        self,
        state_dir: Path,
        *,
        functions_host: bool = False,
        function_groups: bool = False,
        host_speed: float = 1.0,
        app_dir: Path = _CHECKOUT,
        in_memory: bool = False,
        registry: Path | None = None,
        environment_name: str = "",
    ) -> None:
        self.settings = settings_of(state_dir, registry=registry, environment=environment_name)
        self._certificates = certificates(self.settings.folder / "certificates")
        self._functions_host = functions_host
        self._function_groups, self._host_speed = function_groups, host_speed
        self._app_dir = app_dir
        self.platform: Platform | None = None
        """What starts the functions host again when it ended."""
        self._in_memory = in_memory
        self._children: dict[str, processes.Child] = {}
        self._control: httpx.Client | None = None
        self._lock: TextIO | None = None

    def environment(self, who: str = "publisher") -> dict[str, str]:
        """What a process of `who` needs; whoever sits at the laptop is the publisher, the functions are the app."""
        return self.settings.environment(who)

    @property
    def control(self) -> httpx.Client:
        """A client of the control surface: paths below /local."""
        if self._control is None:
            self._control = httpx.Client(
                base_url=self.settings.arm,
                headers={"x-local-control": self.settings.control_secret},
                verify=self._ssl_context(),
                timeout=60,
                trust_env=False,
            )
        return self._control

    def start(self) -> Self:
        self._lock_folder()
        try:
            self._start_azurite()
            self.start_workspace()
            if self._functions_host:
                self.start_host()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End everything, the last started first; Azurite by SIGTERM, so that it saves."""
        if self._control is not None:
            self._control.close()
            self._control = None
        self.stop_part("host")
        for name in reversed(list(self._children)):
            self.stop_part(name)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def watch(self) -> NoReturn:
        """Return never, but raise LocalAzureFailed when a part ends by itself."""
        while True:
            for name, child in self._children.items():
                code = child.poll()
                if code is not None:
                    raise LocalAzureFailed(f"{name} ended by itself with code {code}:\n{child.log_tail()}")
            try:
                if self.platform is not None:
                    self.platform.check()
            except PlatformFailed as error:
                raise LocalAzureFailed(str(error)) from error
            time.sleep(0.5)

    def start_workspace(self) -> None:
        command = [sys.executable, "-m", "local", "serve", "--state", str(self.settings.folder)]
        self._launch("workspace", command, os.environ | {"PYTHONUNBUFFERED": "1"})
        self._await("workspace", self._workspace_is_ready)

    def start_host(self) -> None:
        """Start the functions host, or one for each group of functions, and wait until it listens."""
        folder = str(self.settings.folder)
        command = [sys.executable, "-m", "local.host", "--app", str(self._app_dir), "--state", folder]
        self.platform = Platform(
            command,
            os.environ | self.environment("app") | {"PYTHONUNBUFFERED": "1"},
            self.settings.logs,
            self.settings.host_port,
            by_group=self._function_groups,
            speed=self._host_speed,
        )
        try:
            self.platform.start(READY_WITHIN_S)
        except PlatformFailed as error:
            raise LocalAzureFailed(str(error)) from error

    def part(self, name: str) -> processes.Child:
        """A running part: `azurite`, `workspace`, or an instance of the host. Tests kill it to see what is left."""
        instance = self.platform.instances.get(name) if self.platform is not None else None
        return self._children[name] if instance is None or instance.child is None else instance.child

    def stop_part(self, name: str) -> None:
        """End `azurite`, `workspace`, or with `host` all instances of it."""
        if name == "host" and self.platform is not None:
            self.platform.stop()
            self.platform = None
        child = self._children.pop(name, None)
        if child is not None:
            child.stop(grace_s=15)

    def _lock_folder(self) -> None:
        self._lock = (self.settings.folder / "lock").open("a")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            self._lock = None
            folder = self.settings.folder
            raise LocalAzureFailed(
                f"Another local Azure runs over {folder}. Stop it, or choose another state folder."
            ) from error

    def _start_azurite(self) -> None:
        child = start_azurite(self.settings, self._certificates, in_memory=self._in_memory)
        self._children["azurite"] = child
        ports = (self.settings.blob_port, self.settings.queue_port, self.settings.table_port)
        self._await("azurite", lambda: all(_listens(port) for port in ports))

    def _launch(self, name: str, command: list[str], env: dict[str, str]) -> None:
        log = self.settings.logs / f"{name}.log"
        self._children[name] = processes.start(name, command, log=log, env=env, cwd=_CHECKOUT)

    def _await(self, name: str, ready: Callable[[], bool]) -> None:
        child = self._children[name]
        deadline = time.monotonic() + READY_WITHIN_S
        while not ready():
            code = child.poll()
            if code is not None:
                raise LocalAzureFailed(f"{name} ended with code {code} as it started:\n{child.log_tail()}")
            if time.monotonic() > deadline:
                raise LocalAzureFailed(f"{name} was not ready in {READY_WITHIN_S:.0f} s:\n{child.log_tail()}")
            time.sleep(0.05)

    def _workspace_is_ready(self) -> bool:
        try:
            return self.control.get("/local/health").status_code == 200
        except httpx.TransportError:
            return False

    def _ssl_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self._certificates.bundle))

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
