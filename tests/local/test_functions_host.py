"""The local functions host, driven from outside: a tiny app for each trigger against a real local Azure."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import socket
import sys
import textwrap
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import httpx
import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueClient

from local import processes
from local.__main__ import write_local_settings
from local.azure import LocalAzure
from local.host.channel import Channel
from local.host.configuration import read_host_json
from local.host.errors import AppRefused
from local.host.triggers import checked

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


def until(look: Callable[[], T], within_s: float = 60) -> T:
    """The first true answer of `look`."""
    deadline = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < deadline, "nothing came within the limit"
        time.sleep(0.05)
    return found


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
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    def write(self, source: str, host: dict[str, object] | None = None) -> None:
        (self.folder / "function_app.py").write_text(PREAMBLE + textwrap.dedent(source))
        (self.folder / "host.json").write_text(json.dumps(HOST_JSON | (host or {})))

    def start(self, port: int | None = None) -> processes.Child:
        port = port or self.port
        env = os.environ | {"TEST_QUEUE": self.queue_name, "CALLS": str(self.calls_file)} | self.settings
        state = str(self.azure.settings.folder)
        command = [sys.executable, "-m", "local.host", "--app", str(self.folder), "--state", state]
        log = self.folder / f"host-{port}.log"
        log.unlink(missing_ok=True)
        child = processes.start("host", [*command, "--port", str(port)], log=log, env=env, cwd=ROOT)
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
        uri = self.azure.settings.storage("queue")
        return QueueClient(uri, self.queue_name + suffix, credential=DefaultAzureCredential())

    def send(self, *bodies: str) -> None:
        for body in bodies:
            self.queue().send_message(base64.b64encode(body.encode()).decode())

    def left(self) -> int:
        return self.queue().get_queue_properties().approximate_message_count or 0

    def key(self, name: str) -> str:
        return json.loads((self.azure.settings.folder / "host-keys.json").read_text())[name]

    def get(self, path: str, **options: object) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", trust_env=False, timeout=30, **options)  # type: ignore[arg-type]


@pytest.fixture
def app(local_azure: LocalAzure, tmp_path: Path) -> App:
    made = App(local_azure, tmp_path)
    made.queue().create_queue()
    return made


def test_a_message_is_decoded_and_deleted_after_success(app: App) -> None:
    app.write(
        """
        @app.queue_trigger(arg_name="msg", queue_name="%TEST_QUEUE%", connection="DRIFTLOOP_STORAGE")
        def take(msg: func.QueueMessage, context: func.Context) -> None:
            note(body=msg.get_json(), count=msg.dequeue_count, id=msg.id, name=context.function_name,
                 inserted=msg.insertion_time.isoformat(), auth=os.environ["WEBSITE_AUTH_ENABLED"])
        """
    )
    with app.running():
        app.send('{"grüße": [1, 2]}')
        [call] = until(app.calls)
        until(lambda: app.left() == 0)
    assert call["body"] == {"grüße": [1, 2]}
    assert (call["count"], call["name"], call["auth"]) == (1, "take", "True")
    assert datetime.fromisoformat(str(call["inserted"])).tzinfo is not None


def test_after_five_failures_the_message_lies_in_poison_and_others_went_on(app: App) -> None:
    app.write(
        TAKE
        + "    note(body=msg.get_body().decode())\n    assert msg.get_body() != b'bad', 'told\\r\\n\\x1b[31m to fail'",
        {
            "extensions": {
                "queues": {
                    "batchSize": 4,
                    "maxPollingInterval": "00:00:00.2",
                    "visibilityTimeout": "00:00:01",
                }
            }
        },
    )
    with app.running() as host:
        app.send("bad", "good")
        poison = until(lambda: _peek(app.queue("-poison")))
        until(lambda: app.left() == 0)
    bodies = [call["body"] for call in app.calls()]
    assert (bodies.count("bad"), bodies.count("good")) == (5, 1)
    assert poison == [base64.b64encode(b"bad").decode()]
    attempts = [float(str(call["at"])) for call in app.calls() if call["body"] == "bad"]
    assert all(later - earlier > 0.9 for earlier, later in pairwise(attempts))
    records = [line for line in host.log_tail(10**6).splitlines() if line.startswith("{")]
    assert any("told" in json.loads(record)["message"] for record in records)
    assert "\x1b" not in host.log_tail(10**6)


def test_a_message_that_is_not_base64_goes_to_poison_without_a_call(app: App) -> None:
    app.write(TAKE + "    note(body=msg.get_body().decode())")
    app.queue().send_message("{not base64}")
    app.send("good")
    with app.running():
        assert until(lambda: _peek(app.queue("-poison"))) == ["{not base64}"]
        until(lambda: app.left() == 0)
    assert [call["body"] for call in app.calls()] == ["good"]


def test_a_poison_queue_has_no_poison_queue_of_its_own(app: App) -> None:
    app.queue("-poison").create_queue()
    app.write(
        TAKE.replace("%TEST_QUEUE%", "%TEST_QUEUE%-poison") + "    note()\n    raise ValueError('again')"
    )
    with app.running():
        app.queue("-poison").send_message(base64.b64encode(b"bad").decode())
        until(lambda: len(app.calls()) >= 7)
    assert _peek(app.queue("-poison-poison")) == []


def test_no_more_messages_run_at_once_than_host_json_allows(app: App) -> None:
    app.write(
        TAKE + "    note(edge=1)\n    time.sleep(0.5)\n    note(edge=-1)",
        {
            "extensions": {
                "queues": {"batchSize": 2, "newBatchThreshold": 1, "maxPollingInterval": "00:00:00.2"}
            }
        },
    )
    app.send(*"abcdefgh")
    with app.running():
        until(lambda: len(app.calls()) == 16)
    running, most = 0, 0
    for call in app.calls():
        running += int(str(call["edge"]))
        most = max(most, running)
    assert 2 <= most <= 3


def test_a_long_call_keeps_its_message(app: App) -> None:
    app.settings["LOCAL_HOST_QUEUE_VISIBILITY_S"] = "2"
    app.write(
        TAKE + "    note(edge=1)\n    time.sleep(5)\n    note(edge=-1)",
        {
            "extensions": {
                "queues": {"batchSize": 4, "newBatchThreshold": 2, "maxPollingInterval": "00:00:00.2"}
            }
        },
    )
    app.send("slow")
    with app.running():
        until(lambda: len(app.calls()) == 2)
        until(lambda: app.left() == 0)
    assert [call["edge"] for call in app.calls()] == [1, -1]


def test_sigkill_in_the_middle_of_a_message_brings_it_back_and_leaves_no_worker(app: App) -> None:
    app.settings["LOCAL_HOST_QUEUE_VISIBILITY_S"] = "3"
    app.write(
        TAKE + "    note(count=msg.dequeue_count)\n    time.sleep(600 if msg.dequeue_count == 1 else 0)"
    )
    app.send("precious")
    host = app.start()
    worker = int(str(until(app.calls)[0]["pid"]))
    os.kill(host.pid, signal.SIGKILL)
    host.wait(10)
    until(lambda: not alive(worker), within_s=10)
    with app.running():
        until(lambda: len(app.calls()) == 2)
        until(lambda: app.left() == 0)
    assert [call["count"] for call in app.calls()] == [1, 2]


def test_a_stopped_host_leaves_no_worker_and_gives_its_message_back(app: App) -> None:
    app.write(TAKE + "    note(count=msg.dequeue_count)\n    time.sleep(600)")
    app.send("slow")
    host = app.start()
    worker = int(str(until(app.calls)[0]["pid"]))
    host.stop(grace_s=30)
    assert not alive(worker)
    assert len(list(app.queue().receive_messages())) == 1  # visible again, not in ten minutes


def test_a_call_that_takes_too_long_costs_its_worker_and_fails(app: App) -> None:
    app.write(
        """
        @app.route(route="wait/{seconds:int}", auth_level=func.AuthLevel.ANONYMOUS)
        def wait(req: func.HttpRequest) -> func.HttpResponse:
            time.sleep(int(req.route_params["seconds"]))
            return func.HttpResponse(str(os.getpid()))
        """,
        {"functionTimeout": "00:00:01"},
    )
    with app.running():
        before = app.get("/api/wait/0").text
        assert app.get("/api/wait/60").status_code == 500
        after = app.get("/api/wait/0").text
    assert before != after
    assert not alive(int(before))


def test_a_worker_that_ends_itself_is_replaced(app: App) -> None:
    app.write(
        """
        @app.route(route="end", auth_level="anonymous")
        async def end(req: func.HttpRequest) -> func.HttpResponse:
            if "now" in req.params:
                os._exit(3)
            return func.HttpResponse("here")
        """
    )
    with app.running():
        assert app.get("/api/end?now=1").status_code == 500
        assert app.get("/api/end").text == "here"


HTTP = """
@app.route(route="open/{name:alpha}/{rest?}", methods=["GET", "POST"], auth_level="anonymous")
def opened(req: func.HttpRequest) -> func.HttpResponse:
    if req.method == "POST":
        return func.HttpResponse(req.get_body()[::-1], mimetype="application/octet-stream")
    seen = dict(req.route_params) | dict(req.params) | {"principal": req.headers.get("x-ms-client-principal")}
    answer = func.HttpResponse(json.dumps(seen), status_code=203, mimetype="application/json")
    answer.headers.add("Set-Cookie", "a=1; Path=/")
    answer.headers.add("Set-Cookie", "b=2; HttpOnly")
    return answer

@app.route(route="open/fixed", auth_level="anonymous")
def fixed(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("the fixed route comes first")

@app.route(route="keyed")
def keyed(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("in")

@app.route(route="other")
def other(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("in")

@app.route(route="ruled", auth_level="admin")
def ruled(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("in")

@app.route(route="broken", auth_level="anonymous")
def broken(req: func.HttpRequest) -> func.HttpResponse:
    raise ValueError("secret reason")

@app.route(route="empty", auth_level="anonymous")
def empty(req: func.HttpRequest) -> func.HttpResponse:
    return None
"""


def test_http_routes_answers_and_limits(app: App) -> None:
    app.settings["FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"] = "1000"
    app.write(HTTP)
    with app.running():
        answer = app.get("/api/open/bob/x?q=1&q=2")
        assert answer.status_code == 203
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers.get_list("set-cookie") == ["a=1; Path=/", "b=2; HttpOnly"]
        assert answer.json() == {"name": "bob", "rest": "x", "q": "1,2", "principal": None}
        assert app.get("/API/OPEN/Bob").json()["name"] == "Bob"
        assert app.get("/api/open/fixed").text == "the fixed route comes first"
        assert [app.get(path).status_code for path in ("/api/open/b0b", "/open/bob", "/api/none")] == [
            404
        ] * 3
        url = f"http://127.0.0.1:{app.port}/api/open/bob"
        assert httpx.delete(url, trust_env=False).status_code == 404
        assert httpx.post(url, content=b"\x00\xff1", trust_env=False).content == b"1\xff\x00"
        assert httpx.post(url, content=b"x" * 1001, trust_env=False).status_code == 413
        for path in ("/api/broken", "/api/empty"):
            assert (app.get(path).status_code, app.get(path).text) == (500, "")


def test_keys_admit_by_level_and_the_header_wins(app: App) -> None:
    app.write(HTTP)
    with app.running() as host:
        keyed, other, default, master = (
            app.key(n) for n in ("function:keyed", "function:other", "default", "master")
        )

        def status(path: str, key: str | None = None, code: str | None = None) -> int:
            headers = {} if key is None else {"x-functions-key": key}
            return app.get(path, headers=headers, params={} if code is None else {"code": code}).status_code

        assert status("/api/keyed") == 401
        assert [status("/api/keyed", key) for key in (keyed, default, master)] == [200] * 3
        assert status("/api/keyed", other) == 401
        assert status("/api/keyed", code=keyed) == 200
        assert status("/api/keyed", "wrong", code=keyed) == 401
        assert [status("/api/ruled", key) for key in (default, master)] == [401, 200]
        assert not any(key in host.log_tail(10**6) for key in (keyed, default, master))
    file = app.azure.settings.folder / "host-keys.json"
    assert file.stat().st_mode & 0o077 == 0
    with app.running():
        assert app.get("/api/keyed", headers={"x-functions-key": keyed}).status_code == 200


def test_only_the_platform_says_who_calls(app: App) -> None:
    app.write(HTTP)
    forged = {"X-MS-CLIENT-PRINCIPAL": base64.b64encode(b'{"claims": []}').decode()}
    with app.running():
        assert app.get("/api/open/bob", headers=forged).json()["principal"] is None
        token = DefaultAzureCredential().get_token("api://driftloop/.default").token
        answer = app.get("/api/open/bob", headers=forged | {"authorization": f"Bearer {token}"}).json()
        claims = [(c["typ"], c["val"]) for c in json.loads(base64.b64decode(answer["principal"]))["claims"]]
        assert {("aud", "api://driftloop"), ("roles", "Driftloop.Act")} <= set(claims)
        foreign = DefaultAzureCredential().get_token("https://storage.azure.com/.default").token
        for bad in (foreign, token[:-4] + "AAAA", "nonsense"):
            headers = {"authorization": f"Bearer {bad}"}
            assert app.get("/api/open/bob", headers=headers).status_code == 401


def test_a_timer_runs_on_time_and_never_beside_itself(app: App) -> None:
    app.settings["EVERY"] = "*/1 * * * * *"
    app.write(
        """
        @app.timer_trigger(arg_name="timer", schedule="%EVERY%")
        def tick(timer: func.TimerRequest) -> None:
            note(edge=1, past=timer.past_due)
            if len(open(os.environ["CALLS"]).readlines()) < 3:
                time.sleep(3.3)
            note(edge=-1)
        """
    )
    with app.running():
        until(lambda: len(app.calls()) >= 8)
    calls = app.calls()[:8]
    assert [call["edge"] for call in calls] == [1, -1] * 4
    starts = [float(str(call["at"])) for call in calls[::2]]
    assert not any(call.get("past") for call in calls)
    assert starts[1] - starts[0] < 3.3 + 0.9  # what came due meanwhile: one run, at once
    assert starts[2] - starts[1] > 0.05  # and not one for each that was missed
    assert starts[3] - starts[2] > 0.8


def test_a_missed_run_is_made_up_once_at_start(app: App) -> None:
    app.settings["WEBSITE_SITE_NAME"] = site = f"site-{uuid.uuid4().hex[:8]}"
    app.write(
        """
        @app.timer_trigger(arg_name="timer", schedule="0 0 * * * *")
        def hourly(timer: func.TimerRequest) -> None:
            note(past=timer.past_due, status=timer.schedule_status)
        """
    )
    storage = BlobServiceClient(app.azure.settings.storage("blob"), credential=DefaultAzureCredential())
    blob = storage.get_blob_client("azure-webjobs-hosts", f"timers/{site}/Host.Functions.hourly/status")
    with app.running():  # the first start ever: nothing was missed
        until(blob.exists)
        time.sleep(0.5)
        assert app.calls() == []
    missed = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=5)
    status = {"Last": missed - timedelta(hours=1), "Next": missed, "LastUpdated": missed - timedelta(hours=1)}
    blob.upload_blob(json.dumps({k: v.isoformat() for k, v in status.items()}), overwrite=True)
    with app.running():
        [call] = until(app.calls)
        assert call["past"] is True
        assert call["status"]["Next"] == missed.isoformat()  # type: ignore[index]
        until(
            lambda: (
                datetime.fromisoformat(json.loads(blob.download_blob().readall())["Next"]) > datetime.now(UTC)
            )
        )
    changed = status | {"Next": missed + timedelta(minutes=1)}  # not what the schedule makes of Last
    blob.upload_blob(json.dumps({k: v.isoformat() for k, v in changed.items()}), overwrite=True)
    with app.running():
        until(
            lambda: (
                datetime.fromisoformat(json.loads(blob.download_blob().readall())["Next"]) > datetime.now(UTC)
            )
        )
        time.sleep(0.5)
    assert len(app.calls()) == 1  # a schedule that was changed begins anew


def test_of_two_hosts_one_runs_the_timer(app: App) -> None:
    app.write(
        """
        @app.timer_trigger(arg_name="timer", schedule="*/1 * * * * *")
        def tick(timer: func.TimerRequest) -> None:
            note(host=os.getppid())
        """
    )
    first = app.start()
    until(app.calls)
    second = app.start(port=App(app.azure, app.folder).port)
    try:
        until(lambda: len(app.calls()) >= 4)
        assert {call["host"] for call in app.calls()} == {first.pid}
        first.stop(grace_s=20)  # gives the lease back
        until(lambda: app.calls()[-1]["host"] == second.pid)
    finally:
        second.stop(grace_s=20)
    assert len({round(float(str(call["at"]))) for call in app.calls()}) == len(app.calls())


GOOD = """
@app.route(route="good")
def good(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("ok")
"""
REFUSED = {
    "no trigger": ("@app.function_name('lost')\ndef lost(req): ...", "lost does not have a trigger"),
    "two triggers": (
        "@app.route(route='a')\n@app.timer_trigger(arg_name='t', schedule='0 * * * * *')\ndef twice(req, t): ...",
        "A trigger was already registered",
    ),
    "duplicate name": (GOOD + GOOD.replace('"good"', '"also"'), "good does not have a unique"),
    "alias of the app": (GOOD + "\nsame = app", "more than one FunctionApp, or an alias"),
    "import error": ("import nothing_of_that_name", "No module named 'nothing_of_that_name'"),
    "missing wraps": (
        "def wrap(f):\n    def inner(*args, **kwargs): return f(*args, **kwargs)\n    return inner\n"
        "@app.route(route='w')\n@wrap\ndef wrapped(req: func.HttpRequest): ...",
        "functools.wraps",
    ),
    "unbound parameter": (
        "@app.route(route='u')\ndef unbound(req: func.HttpRequest, more: str): ...",
        "function unbound: no binding for the parameters ['more']",
    ),
    "optional": (
        "from typing import Optional\n@app.route(route='o')\ndef maybe(req: Optional[func.HttpRequest]): ...",
        "function maybe: the parameter req has the annotation",
    ),
    "union": ("@app.route(route='o')\ndef maybe(req: func.HttpRequest | None): ...", "neither Optional nor unions"),
    "type checking only": (
        "@app.route(route='t')\ndef typed(req: 'HttpRequest'): ...",
        "function typed: an annotation cannot be resolved",
    ),
    "wrong annotation": (
        "@app.route(route='t')\ndef typed(req: func.QueueMessage): ...",
        "function typed: the annotation",
    ),
    "wrong return": ("@app.route(route='r')\ndef back(req: func.HttpRequest) -> int: ...", "back: it cannot return"),
    "function name": (
        "@app.function_name('1st')\n@app.route(route='n')\ndef named(req: func.HttpRequest): ...",
        "function '1st': a name is a letter",
    ),
    "the name host": ("@app.route(route='n')\ndef host(req: func.HttpRequest): ...", "function 'host'"),
    "binding name": (
        "@app.route(route='b', trigger_arg_name='the_req')\ndef bound(the_req: func.HttpRequest): ...",
        "function bound: the binding name 'the_req'",
    ),
    "route of the host": ("@app.route(route='admin/x')\ndef mine(req: func.HttpRequest): ...", "begins with 'admin'"),
    "route conflict": (
        GOOD + "@app.route(route='a/{x}')\ndef one(req: func.HttpRequest): ...\n"
        "@app.route(route='A/{y}')\ndef two(req: func.HttpRequest): ...",
        "function two: its route 'A/{y}' conflicts with that of one",
    ),
    "five cron fields": (
        "@app.timer_trigger(arg_name='t', schedule='* * * * *')\ndef late(t: func.TimerRequest): ...",
        "function late: the schedule '* * * * *' has 5 fields",
    ),
    "bad cron": (
        "@app.timer_trigger(arg_name='t', schedule='0 99 * * * *')\ndef late(t: func.TimerRequest): ...",
        "function late: the schedule '0 99 * * * *' is not valid",
    ),
    "cron beyond NCRONTAB": (
        "@app.timer_trigger(arg_name='t', schedule='0 0 0 L * *')\ndef late(t: func.TimerRequest): ...",
        "NCRONTAB does not know 'L'",
    ),
    "missing setting": (
        "@app.timer_trigger(arg_name='t', schedule='%NOT_SET%')\ndef late(t: func.TimerRequest): ...",
        "function late: '%NOT_SET%' does not resolve",
    ),
    "connection by key": (
        "@app.queue_trigger(arg_name='m', queue_name='abc', connection='KEYED')\ndef take(m: func.QueueMessage): ...",
        "function take: the connection KEYED is a connection string",
    ),
    "no connection": (
        "@app.queue_trigger(arg_name='m', queue_name='abc', connection='NONE')\ndef take(m: func.QueueMessage): ...",
        "the setting NONE__queueServiceUri is missing",
    ),
    "queue name": (
        "@app.queue_trigger(arg_name='m', queue_name='A_b', connection='AzureWebJobsStorage')\n"
        "def take(m: func.QueueMessage): ...",
        "function take: 'A_b' is not a queue name",
    ),
    "queue output": (
        "@app.queue_output(arg_name='out', queue_name='abc', connection='AzureWebJobsStorage')\n"
        "@app.route(route='q')\ndef sends(req: func.HttpRequest, out: func.Out[str]): ...",
        "function sends: the binding out (queue) is not emulated",
    ),
    "blob trigger": (
        "@app.blob_trigger(arg_name='b', path='a/b', connection='NONE')\ndef blob(b: func.InputStream): ...",
        "function blob: blobTrigger is not emulated",
    ),
    "retry policy": (
        "@app.retry(strategy='fixed_delay', max_retry_count='3', delay_interval='00:00:01')\n"
        "@app.timer_trigger(arg_name='t', schedule='0 * * * * *')\ndef again(t: func.TimerRequest): ...",
        "function again: retry policies are not emulated",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("source", "text"), REFUSED.values(), ids=REFUSED)
def test_what_the_real_host_refuses_is_refused(source: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "function_app.py").write_text(PREAMBLE + source)
    (tmp_path / "host.json").write_text(json.dumps(HOST_JSON))
    uri = "https://127.0.0.1:1/account"
    settings = dict(os.environ) | {
        "AzureWebJobsStorage__blobServiceUri": uri,
        "AzureWebJobsStorage__queueServiceUri": uri,
        "KEYED": "AccountKey=made-up",
    }
    with pytest.raises(AppRefused) as refused:
        channel = Channel(tmp_path, settings, None)
        try:
            checked(channel.functions, settings, read_host_json(tmp_path, 2))
        finally:
            channel.stop()
    assert text in str(refused.value)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"version": None}, 'no "version"'),
        ({"extensionBundle": None}, 'no "extensionBundle"'),
        ({"functionTimeout": "5 minutes"}, "functionTimeout"),
        ({"extensions": {"queues": {"batchSize": 33}}}, "batchSize must be a whole number from 1 to 32"),
        ({"extensions": {"queues": {"maxPollingInterval": 2000}}}, "maxPollingInterval must be a text"),
        ({"extensions": {"queues": {"batchsize": 3}}}, "extensions.queues has ['batchsize']"),
    ],
)
def test_a_bad_host_json_is_refused(change: dict[str, object], text: str, tmp_path: Path) -> None:
    document = {key: value for key, value in (HOST_JSON | change).items() if value is not None}
    (tmp_path / "host.json").write_text(json.dumps(document))
    with pytest.raises(AppRefused) as refused:
        read_host_json(tmp_path, 2)
    assert text in str(refused.value)


def test_a_refused_app_ends_the_host_with_the_reason(app: App) -> None:
    app.write(REFUSED["bad cron"][0])
    command = [
        sys.executable,
        "-m",
        "local.host",
        "--app",
        str(app.folder),
        "--state",
        str(app.azure.settings.folder),
    ]
    child = processes.start("host", command, log=app.folder / "refused.log", env=os.environ, cwd=ROOT)
    assert child.wait(60) == 1
    assert "function late: the schedule '0 99 * * * *' is not valid" in child.log_tail()


def test_the_settings_written_for_core_tools_start_the_app(local_azure: LocalAzure, tmp_path: Path) -> None:
    """Core Tools cannot be had from a registry: what they need is checked, and they are run where they are."""
    write_local_settings(tmp_path / "local.settings.json", local_azure.environment())
    document = json.loads((tmp_path / "local.settings.json").read_text())
    values = document["Values"]
    assert document["IsEncrypted"] is False
    assert all(isinstance(value, str) and value for value in values.values())
    assert values["FUNCTIONS_WORKER_RUNTIME"] == "python"
    assert values["AzureWebJobsStorage__credential"] == "managedidentity"
    assert "AzureWebJobsStorage" not in values  # a connection string would win over the identity
    for service in ("blob", "queue", "table"):
        assert values[f"AzureWebJobsStorage__{service}ServiceUri"].startswith("https://")
    for name in ("function_app.py", "host.json", "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("functions", "tower", "shared", "drift"):
        shutil.copytree(ROOT / name, tmp_path / name)
    wanted = {
        setting
        for file in (tmp_path / "functions").rglob("*.py")
        for setting in re.findall(r"%([A-Za-z_]+)%|connection=\"([A-Za-z_]+)\"", file.read_text())
        for setting in setting
        if setting
    }
    assert wanted
    assert all(setting in values or f"{setting}__queueServiceUri" in values for setting in wanted)
    if shutil.which("func"):
        _start_with_core_tools(tmp_path, local_azure)


def _start_with_core_tools(folder: Path, azure: LocalAzure) -> None:
    port = App(azure, folder).port
    command = ["func", "start", "--port", str(port), "--verbose"]
    env = os.environ | azure.environment() | {"VIRTUAL_ENV": sys.prefix}
    child = processes.start("func", command, log=folder / "func.log", env=env, cwd=folder)
    try:
        until(lambda: "Host lock lease acquired" in child.log_tail(10**6) or child.poll() is not None, 120)
        assert child.poll() is None, child.log_tail()
        assert "inbox" in child.log_tail(10**6)
    finally:
        child.stop()


def _peek(queue: QueueClient) -> list[str]:
    try:
        return [message.content for message in queue.peek_messages(32)]
    except ResourceNotFoundError:  # the poison queue is made when it is first needed
        return []
