"""A tiny function app in a folder, and the host processes that run it against a real local Azure."""

from __future__ import annotations

import base64
import json
import os
import socket
import sys
import textwrap
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import httpx
from azure.core.exceptions import ResourceNotFoundError
from azure.identity import DefaultAzureCredential
from azure.storage.queue import QueueClient

from local import processes
from local.azure import LocalAzure
from tests.patience import until

ROOT = Path(__file__).parents[2]
T = TypeVar("T")
HOST_JSON = {
    "version": "2.0",
    "extensionBundle": {"id": "Microsoft.Azure.Functions.ExtensionBundle", "version": "[4.*, 5.0.0)"},
    "extensions": {"queues": {"batchSize": 4, "newBatchThreshold": 0, "maxPollingInterval": "00:00:00.5"}},
}
PREAMBLE = """
import json, os, time, uuid
import azure.functions as func

app = func.FunctionApp()

def note(**what):
    with open(os.environ["CALLS"], "a") as file:
        file.write(json.dumps(what | {"pid": os.getpid(), "at": time.time()}) + "\\n")
"""
TAKE = """
@app.queue_trigger(arg_name="msg", queue_name="%TEST_QUEUE%", connection="DRIFTLOOP_STORAGE")
def take(msg: func.QueueMessage) -> None:
"""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return (
        "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[1][:3] if Path("/proc").exists() else True
    )


class App:
    """A function app in a folder, and the hosts that run it."""

    def __init__(self, azure: LocalAzure, folder: Path) -> None:
        self.azure, self.folder = azure, folder
        self.queue_name = f"host-{uuid.uuid4().hex[:8]}"
        self.calls_file = folder / "calls.jsonl"
        self.settings: dict[str, str] = {}
        self.speed = 1.0
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    def write(self, source: str, host: dict[str, object] | None = None) -> None:
        (self.folder / "function_app.py").write_text(PREAMBLE + textwrap.dedent(source))
        (self.folder / "host.json").write_text(json.dumps(HOST_JSON | (host or {})))

    def command(self, port: int | None = None) -> list[str]:
        state = str(self.azure.settings.folder)
        command = [sys.executable, "-m", "local.host", "--app", str(self.folder), "--state", state]
        return [*command, "--port", str(port or self.port), "--speed", str(self.speed)]

    def start(self, port: int | None = None) -> processes.Child:
        port = port or self.port
        env = os.environ | {"TEST_QUEUE": self.queue_name, "CALLS": str(self.calls_file)} | self.settings
        log = self.folder / f"host-{port}.log"
        log.unlink(missing_ok=True)
        child = processes.start("host", self.command(port), log=log, env=env, cwd=ROOT)
        until(lambda: "functions host ready" in child.log_tail(10**6) or child.poll() is not None)
        assert child.poll() is None, child.log_tail()
        return child

    @contextmanager
    def running(self) -> Iterator[processes.Child]:
        child = self.start()
        try:
            yield child
        finally:
            child.stop(grace_s=20)

    def calls(self) -> list[dict[str, object]]:
        text = self.calls_file.read_text() if self.calls_file.exists() else ""
        return [json.loads(line) for line in text.splitlines()]

    def queue(self, suffix: str = "") -> QueueClient:
        return self.client(self.queue_name + suffix)

    def client(self, name: str) -> QueueClient:
        return QueueClient(self.azure.settings.storage("queue"), name, credential=DefaultAzureCredential())

    def send(self, *bodies: str) -> None:
        for body in bodies:
            self.queue().send_message(base64.b64encode(body.encode()).decode())

    def left(self) -> int:
        return self.queue().get_queue_properties().approximate_message_count or 0

    def key(self, name: str) -> str:
        return json.loads((self.azure.settings.folder / "host-keys.json").read_text())[name]

    def get(self, path: str, **options: object) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", trust_env=False, timeout=30, **options)  # type: ignore[arg-type]


def peek(queue: QueueClient) -> list[str]:
    try:
        return [message.content for message in queue.peek_messages(32)]
    except ResourceNotFoundError:  # the poison queue is made when it is first needed
        return []


HTTP = """
@app.route(route="wait/{seconds}", auth_level="anonymous")
def wait(req: func.HttpRequest) -> func.HttpResponse:
    note(http=req.route_params["seconds"])
    time.sleep(float(req.route_params["seconds"]))
    return func.HttpResponse(str(os.getpid()))

@app.route(route="end/{how}", auth_level="anonymous")
def end(req: func.HttpRequest) -> func.HttpResponse:
    if req.route_params["how"] == "die":
        os._exit(3)
    raise SystemExit(2)
"""


def said(host: processes.Child, text: str) -> Callable[[], bool]:
    return lambda: text in host.log_tail(10**6)
