"""What stands around the host on Azure: it is started again when it ended, and there may be several of it.

On Flex Consumption each function that is not an HTTP one has instances of its own: no process, memory or lock is
shared (host: FunctionGroupListenerDecorator, FunctionMetadataExtensions). How soon the platform starts a host again
was never seen; here it waits a second, and twice as long each time, up to a minute.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local import processes

READY_LINE = "functions host ready"
REFUSED_CODE = 1
FIRST_DELAY_S, LONGEST_DELAY_S = 1.0, 60.0
FORGOTTEN_AFTER_S = 600.0
STOP_WITHIN_S = 45.0
"""A host may need thirty seconds for HTTP and ten for what runs."""

_LOOK_EVERY_S = 0.1
_CHECKOUT = Path(__file__).resolve().parents[2]


class PlatformFailed(Exception):
    """The host refused the app, or did not get ready; the message holds the end of its log."""


@dataclass
class Instance:
    """One place for a host process, and the process that has it now."""

    name: str
    group: str
    port: int
    child: processes.Child | None = None
    log_from: int = 0
    delay_s: float = 0.0
    began: float = 0.0
    again_at: float | None = None
    starts: int = 0

    def is_ready(self) -> bool:
        return self.child is not None and READY_LINE in self.log()

    def log(self) -> str:
        """What the process that runs now has written."""
        if self.child is None or not self.child.log.exists():
            return ""
        return self.child.log.read_bytes()[self.log_from :].decode(errors="replace")


class Platform:
    """Host processes of one app: one for all functions, or one or more for each group of them."""

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        logs: Path,
        port: int,
        *,
        by_group: bool = False,
        speed: float = 1.0,
    ) -> None:
        self._command = [*command, "--speed", str(speed)]
        self._env, self._logs, self._port = dict(env), logs, port
        self._by_group, self._speed = by_group, speed
        self.instances: dict[str, Instance] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)

    def start(self, within_s: float = 90.0) -> None:
        """Start the hosts, and wait until all of them listen."""
        for group in self._groups() if self._by_group else [""]:
            self.scale_out(group)
        for instance in list(self.instances.values()):
            self._await(instance, within_s)
        self._supervisor.start()

    def scale_out(self, group: str) -> Instance:
        """One more instance of a group; the first that answers HTTP has the app's address."""
        number = 1 + sum(one.group == group for one in self.instances.values())
        name = "-".join(filter(None, ("host", group.replace(":", "-"), str(number) if number > 1 else "")))
        port = self._port if group in ("", "http") and number == 1 else 0
        with self._lock:
            instance = self.instances[name] = Instance(name, group, port)
            self._launch(instance)
        return instance

    def scale_in(self, name: str) -> None:
        """End an instance by SIGTERM, for good."""
        with self._lock:
            instance = self.instances.pop(name)
        if instance.child is not None:
            instance.child.stop(grace_s=STOP_WITHIN_S / self._speed)

    def kill(self, name: str) -> None:
        """SIGKILL for an instance's host, as a crash would be. It is started again."""
        child = self.instances[name].child
        if child is not None:
            child.kill()

    def stop(self) -> None:
        """End all by SIGTERM, side by side."""
        self._stopping.set()
        if self._supervisor.is_alive():
            self._supervisor.join()
        stops = [
            threading.Thread(target=one.child.stop, kwargs={"grace_s": STOP_WITHIN_S / self._speed})
            for one in self.instances.values()
            if one.child is not None
        ]
        for stop in stops:
            stop.start()
        for stop in stops:
            stop.join()

    def check(self) -> None:
        """PlatformFailed when a host has refused the app: starting it again helps nobody."""
        for instance in list(self.instances.values()):
            if instance.child is not None and instance.child.poll() == REFUSED_CODE:
                raise PlatformFailed(f"{instance.name} refused the app:\n{instance.log()[-2000:]}")

    def _groups(self) -> list[str]:
        done = subprocess.run(
            [*self._command, "--groups"],
            env=self._env,
            cwd=_CHECKOUT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise PlatformFailed(f"the host refused the app:\n{done.stderr[-2000:]}")
        found: list[str] = json.loads(done.stdout.splitlines()[-1])
        return found

    def _launch(self, instance: Instance) -> None:
        log = self._logs / f"{instance.name}.log"
        instance.log_from = log.stat().st_size if log.exists() else 0
        env = self._env | ({"FUNCTIONS_TARGET_GROUP": instance.group} if instance.group else {})
        command = [*self._command, "--port", str(instance.port)]
        instance.child = processes.start(instance.name, command, log=log, env=env, cwd=_CHECKOUT)
        instance.began, instance.again_at = time.monotonic(), None
        instance.starts += 1

    def _await(self, instance: Instance, within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while not instance.is_ready():
            assert instance.child is not None
            code = instance.child.poll()
            if code is not None:
                raise PlatformFailed(f"{instance.name} ended with code {code}:\n{instance.log()[-2000:]}")
            if time.monotonic() > deadline:
                raise PlatformFailed(
                    f"{instance.name} was not ready in {within_s:.0f} s:\n{instance.log()[-2000:]}"
                )
            time.sleep(_LOOK_EVERY_S / 2)

    def _supervise(self) -> None:
        while not self._stopping.wait(_LOOK_EVERY_S):
            with self._lock:
                for instance in self.instances.values():
                    self._look_after(instance)

    def _look_after(self, instance: Instance) -> None:
        now = time.monotonic()
        code = None if instance.child is None else instance.child.poll()
        if code is None or code == REFUSED_CODE:
            return
        if instance.again_at is None:
            if now - instance.began > FORGOTTEN_AFTER_S / self._speed:
                instance.delay_s = 0.0
            instance.delay_s = min(max(FIRST_DELAY_S, 2 * instance.delay_s), LONGEST_DELAY_S)
            instance.again_at = now + instance.delay_s / self._speed
        elif now >= instance.again_at:
            self._launch(instance)
