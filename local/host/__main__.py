"""`python -m local.host --app DIR` runs a function app until SIGTERM or Ctrl-C, on 127.0.0.1 only."""

import argparse
import hashlib
import logging
import os
import re
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import uvicorn
from azure.core.exceptions import ResourceExistsError
from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobServiceClient, ContainerClient
from azure.storage.queue import QueueClient

from local.__main__ import DEFAULT_STATE
from local.host import logs
from local.host.channel import Channel
from local.host.configuration import HostConfiguration, read_host_json
from local.host.errors import AppRefused
from local.host.keys import Keys
from local.host.queues import QueueListener
from local.host.timers import TimerListener
from local.host.triggers import Triggers, checked
from local.host.web import Front
from local.settings import settings_of

DRAIN_S = 8.0
VISIBILITY_SETTING = "LOCAL_HOST_QUEUE_VISIBILITY_S"  # tests only: on Azure it is ten minutes, always

log = logging.getLogger("local.host")


class Host:
    """The triggers of one app, feeding one worker."""

    def __init__(self, app_dir: Path, settings: Mapping[str, str]) -> None:
        self._settings = settings
        self.configuration: HostConfiguration = read_host_json(app_dir, os.cpu_count() or 1)
        environment = dict(settings) | {
            "WEBSITE_AUTH_ENABLED": "True",
            "AzureWebJobsScriptRoot": str(app_dir),
        }
        environment.setdefault("PYTHON_THREADPOOL_THREAD_COUNT", "1000")
        self.channel = Channel(app_dir, environment, self.configuration.timeout_s)
        try:
            self.triggers: Triggers = checked(self.channel.functions, settings, self.configuration)
        except BaseException:
            self.channel.stop()
            raise
        self._credential = DefaultAzureCredential()
        self._queues = [self._queue_listener(t.function, t.queue_uri, t.queue) for t in self.triggers.queues]
        self._timers: list[TimerListener] = []
        if self.triggers.timers:
            container, host_id = self._hosts_container(), _host_id(app_dir, settings)
            self._timers = [
                TimerListener(t, container, host_id, self.channel.invoke) for t in self.triggers.timers
            ]

    def start(self) -> None:
        for queue in self._queues:
            queue.start()
        for timer in self._timers:
            timer.start()

    def stop(self) -> None:
        """Let what runs finish for a while, then end the worker; messages that it had come back."""
        for timer in self._timers:
            timer.stop()
        for queue in self._queues:
            queue.stop(DRAIN_S / max(1, len(self._queues)))
        for timer in self._timers:
            timer.join(0.5)
        self.channel.stop()
        for queue in self._queues:
            queue.join()
        for timer in self._timers:
            timer.join(5)

    def _queue_listener(self, function: str, uri: str, queue: str) -> QueueListener:
        return QueueListener(
            function,
            lambda name: QueueClient(uri, name, credential=self._credential),
            queue,
            self.configuration.queues,
            self.channel.invoke,
            float(self._settings.get(VISIBILITY_SETTING, "600")),
        )

    def _hosts_container(self) -> ContainerClient:
        service = BlobServiceClient(self._settings["AzureWebJobsStorage__blobServiceUri"], self._credential)
        container = service.get_container_client("azure-webjobs-hosts")
        try:
            container.create_container()
        except ResourceExistsError:
            log.debug("the container azure-webjobs-hosts is there")
        return container


def _host_id(app_dir: Path, settings: Mapping[str, str]) -> str:
    """As on Azure: from the setting, else from the site's name, at most 32 characters."""
    chosen = settings.get("AzureFunctionsWebHost__hostid") or settings.get("WEBSITE_SITE_NAME")
    text = chosen or f"{app_dir.name}-{hashlib.sha256(str(app_dir).encode()).hexdigest()[:8]}"
    return re.sub(r"[^a-z0-9-]", "-", text.lower())[:32].strip("-")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m local.host", description=__doc__)
    parser.add_argument(
        "--app", type=Path, required=True, help="the folder that holds function_app.py and host.json"
    )
    parser.add_argument("--state", type=Path, default=DEFAULT_STATE, help="the local Azure's state folder")
    parser.add_argument("--port", type=int, help="where to listen; the state folder's own port unless given")
    chosen = parser.parse_args(arguments)
    logs.configure()
    settings = settings_of(chosen.state)
    port = chosen.port or settings.host_port
    try:
        host = Host(chosen.app.resolve(), os.environ)
    except AppRefused as error:
        for line in str(error).splitlines():
            log.critical("%s", line)
        print(f"The app was refused:\n{error}", file=sys.stderr)  # noqa: T201 - for the person at the terminal
        return 1
    functions = [str(f["name"]) for f in host.channel.functions]
    keys = Keys(settings.folder / "host-keys.json", functions)
    front = Front(
        host.triggers.http,
        host.configuration.route_prefix,
        keys,
        settings.signing_key,
        host.channel.invoke,
        int(os.environ.get("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT", "104857600")),
    )
    _serve(host, front, port)
    return 0


def _serve(host: Host, front: Front, port: int) -> None:
    class Server(uvicorn.Server):
        """Says where it listens once it does, and lets the triggers begin only then."""

        async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
            await super().startup()
            if self.started:
                host.start()
                print(f"functions host ready at http://127.0.0.1:{port}", flush=True)  # noqa: T201 - promised line

    config = uvicorn.Config(
        front.app(), host="127.0.0.1", port=port, log_config=None, lifespan="off", access_log=False,
        server_header=False, timeout_graceful_shutdown=3,
    )  # fmt: skip
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn stops at these, then raises them again for whoever was before it: we are, and stop in order.
        signal.signal(number, lambda *_: None)
    try:
        Server(config).run()
    finally:
        host.stop()


if __name__ == "__main__":
    sys.exit(main())
