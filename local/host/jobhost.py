"""The triggers of one app feed one worker; the host stops as the real one does, and leaves to others what it cuts."""

import hashlib
import logging
import os
import re
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path

from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueClient

from local.host.channel import Answer
from local.host.configuration import HostConfiguration, read_host_json
from local.host.dispatch import Dispatcher
from local.host.pace import Pace
from local.host.queues import QueueListener
from local.host.timers import TimerListener
from local.host.triggers import TimerTrigger, Triggers, checked

WORKER_SHUTDOWN_S = 10.0
GROUP_SETTING = "FUNCTIONS_TARGET_GROUP"
"""As on Flex Consumption: `http`, or `function:NAME`. HTTP is answered in every group; a listener runs in its own."""

log = logging.getLogger(__name__)


def groups(triggers: Triggers) -> list[str]:
    """The groups of instances that Flex Consumption makes of an app."""
    alone = [one.function for one in triggers.queues] + [one.function for one in triggers.timers]
    return ["http", *(f"function:{name}" for name in alone)]


class Host:
    """The triggers of one app, or of one group of its functions. `fatal` gets the reason why the process must end."""

    def __init__(
        self, app_dir: Path, settings: Mapping[str, str], pace: Pace, fatal: Callable[[str], None]
    ) -> None:
        self._settings, self._pace, self._fatal = settings, pace, fatal
        self._credential = DefaultAzureCredential()
        self.configuration: HostConfiguration = read_host_json(app_dir, os.cpu_count() or 1)
        self._dispatcher = Dispatcher(
            app_dir, _environment(app_dir, settings), self.configuration.timeout_s, pace, fatal
        )
        try:
            self.triggers: Triggers = checked(
                self._dispatcher.functions, settings, self.configuration.route_prefix
            )
        except BaseException:
            self._dispatcher.stop()
            raise
        self.functions = [str(function["name"]) for function in self._dispatcher.functions]
        self._drained: bool | None = None
        group = settings.get(GROUP_SETTING, "")
        queues = [t for t in self.triggers.queues if group in ("", f"function:{t.function}")]
        timers = [t for t in self.triggers.timers if group in ("", f"function:{t.function}")]
        self._queues = [self._queue_listener(t.function, t.queue_uri, t.queue) for t in queues]
        host_id = _host_id(app_dir, settings)
        self._listeners: list[QueueListener | TimerListener] = [
            *self._queues,
            *(self._timer_listener(trigger, host_id) for trigger in timers),
        ]

    def begin(self, function: str, kind: str, value: object) -> Future[Answer]:
        """Call a function for an HTTP request."""
        return self._dispatcher.begin(function, kind, value)

    def start(self) -> None:
        for listener in self._listeners:
            listener.start()

    def stop(self) -> bool:
        """Receive no more, and give what runs ten seconds; False when something was cut, and is settled by nobody.

        As on Azure a message that was cut stays hidden for what is left of its ten minutes, and a timer's run was never
        recorded, nor its lock given back.
        """
        for listener in self._listeners:
            listener.stop()
        deadline = time.monotonic() + self._pace.of(WORKER_SHUTDOWN_S)
        done = [one.idle(max(0.0, deadline - time.monotonic())) for one in self._listeners]
        self._dispatcher.stop()
        return all(done)

    def run(self, function: str) -> bool:
        """As an administrator's POST to a function: it runs once more, now; only timers can be started so here."""
        if function not in [one.function.lower() for one in self.triggers.timers]:
            return False
        name = next(one.function for one in self.triggers.timers if one.function.lower() == function)
        self._dispatcher.begin(name, "json", '{"Schedule": {}, "ScheduleStatus": null, "IsPastDue": false}')
        return True

    def drain(self) -> None:
        """Receive no more, start no timers, and let what runs finish without a limit."""
        self._drained = False
        for listener in self._listeners:
            listener.stop()
        for listener in self._listeners:
            while not listener.idle(1):
                pass
        self._drained = True

    @property
    def drained(self) -> bool | None:
        return self._drained

    def _queue_listener(self, function: str, uri: str, queue: str) -> QueueListener:
        return QueueListener(
            function,
            lambda name: QueueClient(uri, name, credential=self._credential, retry_total=0),
            queue,
            self.configuration.queues,
            self._dispatcher.invoke,
            self._pace,
            self._fatal,
            self._wake,
        )

    def _timer_listener(self, trigger: TimerTrigger, host_id: str) -> TimerListener:
        uri = self._settings["AzureWebJobsStorage__blobServiceUri"]
        container = BlobServiceClient(uri, self._credential, retry_total=0).get_container_client(
            "azure-webjobs-hosts"
        )
        return TimerListener(trigger, container, host_id, self._dispatcher.invoke, self._pace, self._fatal)

    def _wake(self, queue: str) -> None:
        for listener in self._queues:
            if listener.queue == queue:
                listener.wake()


def _environment(app_dir: Path, settings: Mapping[str, str]) -> dict[str, str]:
    environment = dict(settings) | {"WEBSITE_AUTH_ENABLED": "True", "AzureWebJobsScriptRoot": str(app_dir)}
    environment.setdefault("PYTHON_THREADPOOL_THREAD_COUNT", "1000")
    return environment


def _host_id(app_dir: Path, settings: Mapping[str, str]) -> str:
    """As on Azure: from the setting, else from the site's name, at most 32 characters."""
    chosen = settings.get("AzureFunctionsWebHost__hostid") or settings.get("WEBSITE_SITE_NAME")
    text = chosen or f"{app_dir.name}-{hashlib.sha256(str(app_dir).encode()).hexdigest()[:8]}"
    return re.sub(r"[^a-z0-9-]", "-", text.lower())[:32].strip("-")
