"""Whatever the app waits for has an end of its own, well before `functionTimeout`: every wait in the code, and each
function beside services that take a connection and say nothing."""

from __future__ import annotations

import ast
import base64
import functools
import json
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import azure.functions as func
import pytest
from azure.core.credentials import AccessToken

from functions import app, outermost
from local.certificates import certificates
from local.host import timespan
from shared import deadline, loopfile
from shared.azure import failures
from shared.azure.client import Clients, Workspace
from shared.azure.failures import asking
from shared.azure.tables import TableStore
from shared.errors import DependencyUnavailable, InvariantBroken
from shared.loopfile import LoopFileError
from shared.loopfile.definition import MOST_READING_S
from shared.reader import child_pool
from shared.serving.endpoints import AzureServing
from shared.settings import Settings
from tests.functions_app.test_adapters import functions

ROOT = Path(__file__).parents[2]
HOST = json.loads((ROOT / "host.json").read_text())
ROOMS = ("functions", "shared", "tower", "drift")

WAITS = {
    "acquire", "call", "check_output", "communicate", "connect", "create_connection", "getaddrinfo", "getresponse",
    "join", "map", "post", "read1", "recv", "result", "run", "select", "shutdown", "sleep", "urlopen", "wait",
}  # fmt: skip
"""What a call is named by that can wait; `get` and `request` are told by what they are called on."""
CLIENTS = {
    "ARMPipelineClient", "BlobClient", "BlobServiceClient", "ContainerClient", "DefaultAzureCredential",
    "EventGridPublisherClient", "LogsQueryClient", "MLClient", "QueueClient", "TableClient",
}  # fmt: skip

IN_THE_CHILD = "in the process that reads a drop, which its parent ends after data.limits.seconds"
IN_THE_JOB = "a job of Azure ML, which `data.spark.timeout` cancels; no function of the app runs it"
ENDED = {
    "shared/azure/client.py EventGridPublisherClient": "takes no transport; topic.py bounds each call",
    "drift/profiler.py pool.map": "its threads compute",
    "shared/azure/side_by_side.py one.result": "each thread asks for the time that is left",
    "shared/serving/endpoint_calls.py pool.map": "each thread asks for the time that is left",
    "shared/reader/child.py time.sleep": IN_THE_CHILD,
    "shared/reader/child.py self.reading.wait": "the thread that watches its memory, until a drop is read",
    "shared/reader/child.py lines.get": IN_THE_CHILD,
    "shared/files/delimited.py block.result": IN_THE_CHILD,
    "shared/files/delimited.py coming.popleft().result": IN_THE_CHILD,
    "shared/reader/child_pool.py select.select": "until the drop's limit, which `_all_of` holds against the end",
    "shared/reader/child_pool.py self._process.wait": "for a process that was killed by SIGKILL",
    "shared/spark/program.py self._ended.wait": IN_THE_JOB,
    "shared/spark/program.py BlobServiceClient": IN_THE_JOB,
    "shared/spark/program.py Job(given.account, given.container, given.name, identity, executors).run": IN_THE_JOB,
    "shared/spark/spark_executors.py given.map": IN_THE_JOB,
    "shared/spark/spark_executors.py span_task.run": IN_THE_JOB,
    "shared/lineage/http_sink.py connection.request": "its connection waits 5 s, and after a failure nothing is sent",
    "shared/lineage/http_sink.py connection.getresponse": "the same",
    "shared/own/sandbox.py process.wait": "for a process that was killed by SIGKILL, or as long as is left",
    "shared/intake/source_http.py connection.request": "until the download's limit: source.py asks for it",
    "shared/intake/source_http.py connection.getresponse": "the same",
    "shared/intake/source_http.py response.read1": "the same",
    "shared/intake/source_http.py socket.create_connection": "the same",
    "shared/intake/source_http.py socket.getaddrinfo": "the resolver's own limit: 5 s, twice, for three servers",
}
"""Waits that do not ask for the time that is left themselves, and why they end all the same."""


def called(node: ast.Call) -> str:
    return ast.unparse(node.func)


def waits() -> Iterator[tuple[str, str, ast.Call, ast.AST]]:
    """Every call of the app that can wait: file, what is called, the call, and the function around it."""
    for room in ROOMS:
        for file in sorted((ROOT / room).rglob("*.py")):
            name = file.relative_to(ROOT).as_posix()
            if name.startswith("shared/memory/"):
                continue
            tree = ast.parse(file.read_text())
            for around in ast.walk(tree):
                if not isinstance(around, ast.FunctionDef):
                    continue
                for node in ast.walk(around):
                    if isinstance(node, ast.Call) and can_wait(node):
                        yield name, called(node), node, around


def can_wait(node: ast.Call) -> bool:
    whole = called(node)
    last = whole.rpartition(".")[2]
    if last in CLIENTS or whole in {"requests.get", "lines.get", "connection.request"}:
        return True
    if last not in WAITS or "." not in whole:
        return False
    text = last == "join" and not whole.startswith(("thread", "self._thread", "process"))
    return not text and whole not in OURS


OURS = {
    "child.run", "check.result", "context.run", "tick.run", "worker.run", "path.join", "os.path.join", "it.map",
    "run_queue.run", "drift.call", "series.map", "column.map", "_reader.run", "sandbox.run", "site.post",
    "_Pass(sources, columns, findings, reference, output).run",
}  # fmt: skip
"""Calls that are named like a wait and are none."""


def asks(around: ast.AST) -> bool:
    return any(isinstance(node, ast.Call) and called(node) == "deadline.left_s" for node in ast.walk(around))


def test_every_wait_of_the_app_asks_for_the_time_that_is_left_or_says_why_it_ends() -> None:
    found, endless = set[str](), set[str]()
    for file, what, node, around in waits():
        key = f"{file} {what}"
        if what.rpartition(".")[2] in CLIENTS and key not in ENDED:
            named = {keyword.arg for keyword in node.keywords}
            if not named & {"transport", None}:  # None: `**`, of Clients._storage
                endless.add(f"{key}: a client over no bounded transport waits for minutes, ten times")
        elif key in ENDED:
            found.add(key)
        elif not asks(around):
            endless.add(f"{key}: takes no `deadline.left_s`")
        else:
            found.add(key)
    assert endless == set()
    assert set(ENDED) <= found, "what is said to end is not there any more"
    assert len(found) > 15


LOCKS = {
    "shared/azure/client.py self._lock": "while a client is made, which asks nobody on Azure",
    "shared/azure/datastore.py self._lock": "while one call of Azure lasts",
    "shared/azure/jobs.py _BUILDING": "while a job is put together in memory",
    "shared/reader/child.py self._lock": IN_THE_CHILD,
    "shared/reader/child_pool.py _lock": "at the end of the process alone; drops wait by `_turn`",
}
"""Who waits for a lock waits for its holder, who has an end; what the holder does meanwhile."""


def test_every_lock_of_the_app_says_for_what_its_holder_keeps_others_waiting() -> None:
    found = {
        f"{file.relative_to(ROOT).as_posix()} {ast.unparse(item.context_expr)}"
        for room in ROOMS
        for file in (ROOT / room).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.With)
        for item in node.items
        if isinstance(item.context_expr, ast.Name | ast.Attribute)
    }
    locks = {one for one in found if "lock" in one.partition(" ")[2].casefold() or one.endswith("_BUILDING")}
    assert {one for one in locks if not one.startswith("shared/memory/")} == set(LOCKS)


def test_each_function_ends_well_before_the_host_ends_the_process() -> None:
    whole = timespan.seconds(HOST["functionTimeout"])
    assert whole is not None
    assert set(outermost.LIMITS_S) == set(functions())
    assert max(outermost.LIMITS_S.values()) <= whole - 120, "what computes takes time beside what waits"
    assert outermost.ANSWER_S < 230, "Azure's front end gives up then"
    assert max(failures.CALL_S, MOST_READING_S + child_pool._START_SECONDS) < outermost.WORK_S
    retries_s = 4 * (failures.CONNECT_TIMEOUT_S + failures.READ_TIMEOUT_S)
    assert retries_s > failures.CALL_S, "a call's own end is the nearer one"


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        (
            "landing: landing/birds/",
            "landing: landing/birds/\n  limits: {seconds: 241}",
            "data.limits.seconds",
        ),
        (
            "landing: landing/birds/",
            'landing: landing/birds/\n  source: {url: "https://e.org/x", every: "0 0 6 * * *", timeout: 5m}',
            "data.source.timeout",
        ),
    ],
)
def test_a_loop_file_asks_for_no_more_time_than_a_function_has(old: str, new: str, key: str) -> None:
    data = "data:\n  landing: landing/birds/\n  target: t\n"
    text = f"loop: birds\n{data}train: {{pipeline: t.yml}}\nserve: {{endpoint: birds}}\n"
    loopfile.parse(text, file="loop.yaml")
    with pytest.raises(LoopFileError) as refused:
        loopfile.parse(text.replace(old, new), file="loop.yaml")
    assert key in str(refused.value) and "at most 240" in str(refused.value)


class Silent:
    """Takes every connection, speaks TLS, and never answers; but for tokens, when it is asked to give them."""

    def __init__(self, folder: Path) -> None:
        made = certificates(folder)
        self.bundle = made.bundle
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(made.certificate, made.key)
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = f"https://127.0.0.1:{self._socket.getsockname()[1]}"
        self.tokens = True
        self.asked = 0
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._hold, args=(connection,), daemon=True).start()

    def _hold(self, connection: socket.socket) -> None:
        with closing(connection):
            try:
                with self._context.wrap_socket(connection, server_side=True) as line:
                    head = line.recv(65536)
                    self.asked += 1
                    if self.tokens and b"/msi/token" in head.split(b"\r\n")[0]:
                        self._token(line)
                    while line.recv(65536):
                        pass
            except OSError:
                return

    def _token(self, line: ssl.SSLSocket) -> None:
        body = json.dumps({"access_token": "t", "expires_on": str(int(time.time()) + 9999), "resource": "r"})
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        line.sendall((head + body).encode())

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Silent]:
    server = Silent(tmp_path)
    storage = {
        f"DRIFTLOOP_STORAGE__{one}ServiceUri": f"{server.address}/a" for one in ("blob", "queue", "table")
    }
    for name, value in {
        **storage,
        "ARM_CLOUD_METADATA_URL": f"{server.address}/metadata",
        "AZUREML_CURRENT_CLOUD": "AzureCloud",
        "IDENTITY_ENDPOINT": f"{server.address}/msi/token",
        "IDENTITY_HEADER": "h",
        "REQUESTS_CA_BUNDLE": str(server.bundle),
        "SSL_CERT_FILE": str(server.bundle),
        "DRIFTLOOP_SUBSCRIPTION_ID": "00000000-0000-0000-0000-000000000000",
        "DRIFTLOOP_RESOURCE_GROUP": "g",
        "DRIFTLOOP_WORKSPACE": "w",
        "DRIFTLOOP_DATASTORE": "d",
        "DRIFTLOOP_QUEUE": "q",
        "DRIFTLOOP_RUNS": "runs",
        "DRIFTLOOP_TABLE": "t",
        "DRIFTLOOP_TOPIC_ENDPOINT": f"{server.address}/topics/t/api/events",
        "DRIFTLOOP_LOGS_ENDPOINT": f"{server.address}/v1",
        "DRIFTLOOP_LOGS_WORKSPACE_ID": "00000000-0000-0000-0000-000000000001",
        "WEBSITE_AUTH_ENABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    for made in (app.settings, app.ports):
        made.cache_clear()
    yield server
    server.close()
    for made in (app.settings, app.ports):
        made.cache_clear()


LIMIT_S = 1.5
SLACK_S = 2.0
"""For what is computed: making the clients, and a machine that is busy."""

ROLES = ("Driftloop.Look", "Driftloop.Act", "ActionGroupsSecureWebhook")
PRINCIPAL = base64.b64encode(
    json.dumps({"claims": [{"typ": "roles", "val": role} for role in ROLES]}).encode()
).decode()
ALERTED = {"alertRule": "r", "originAlertId": "1", "monitorCondition": "Fired"}
ALERT = {"schemaId": "azureMonitorCommonAlertSchema", "data": {"essentials": ALERTED}}


def asked_for(name: str) -> Any:  # Any: each trigger's own type
    """An invocation of the function of this name, as the host makes it."""
    message = json.dumps({"driftloop": "run", "loop": "birds", "token": "t"})
    if name in {"inbox", "run"}:
        return func.QueueMessage(body=message.encode())
    if name in {"tick", "sweep"}:
        return None
    route, body = {
        "alert": ({}, ALERT),
        "act": ({"loop": "birds", "verb": "pause"}, {"reason": "r"}),
        "split": ({"loop": "birds"}, {}),
        "tower": ({"path": "loops/birds"}, {}),
        "tower_act": ({"path": "act"}, {}),
    }[name]
    headers = {"x-ms-client-principal": PRINCIPAL, "accept": "text/html"}
    method = "GET" if name in {"split", "tower"} else "POST"
    url = "https://app.example/api/tower/loops/birds"
    return func.HttpRequest(method, url, headers=headers, route_params=route, body=json.dumps(body).encode())


@functools.cache
def loaded() -> None:
    """What the first call of Azure in a process imports takes its time."""
    with suppress(DependencyUnavailable), patch.dict(outermost.LIMITS_S, {"split": LIMIT_S}):
        functions()["split"].get_user_function()(asked_for("split"))


@pytest.mark.parametrize("tokens", [True, False], ids=["services", "identity"])
@pytest.mark.parametrize("name", sorted(set(outermost.LIMITS_S) - {"root"}))  # the root calls nobody
def test_no_function_waits_longer_than_its_limit_for_services_that_say_nothing(
    name: str, tokens: bool, silent: Silent, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent.tokens = tokens
    monkeypatch.setitem(outermost.LIMITS_S, name, LIMIT_S)
    function, argument = functions()[name].get_user_function(), asked_for(name)
    loaded()
    silent.asked = 0
    began = time.monotonic()
    try:
        function(argument)
    except DependencyUnavailable as error:
        assert "not answered in time" in str(error) or "used up" in str(error), error
    assert time.monotonic() - began < LIMIT_S + SLACK_S
    if name != "tower_act":  # who is refused asks nobody
        assert silent.asked


class Token:
    def get_token(self, *_: str, **__: object) -> AccessToken:
        return AccessToken("t", int(time.time()) + 9999)


def test_a_silent_service_keeps_a_call_no_longer_than_a_call_may_take(
    silent: Silent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Azure ML's client by itself tries ten times, a minute each."""
    settings = Settings.from_environment(os.environ)
    identity = Token()
    ml = Workspace(settings, identity)
    ml()
    monkeypatch.setattr(failures, "CALL_S", 1.0)
    monkeypatch.setattr(asking.__wrapped__, "__kwdefaults__", {"most_s": 1.0})  # type: ignore[attr-defined]
    began = time.monotonic()
    with pytest.raises(deadline.TimeIsUp, match=r"Looking at the endpoint on .* was not answered in time"):
        AzureServing(ml, identity).endpoint_state("birds")
    with pytest.raises(deadline.TimeIsUp, match="not answered in time"):
        TableStore(Clients(settings, identity).table()).read("birds", "loop")
    assert time.monotonic() - began < 2 * (1.0 + SLACK_S)


def test_who_cannot_read_a_drop_before_the_end_waits_for_no_turn() -> None:
    with child_pool._lock, deadline.within(0.5):
        began = time.monotonic()
        with pytest.raises(DependencyUnavailable, match="this one is next"), child_pool._turn(0.3):
            pass
        assert time.monotonic() - began < 0.4
    with deadline.within(10), child_pool._turn(1.0):
        with pytest.raises(DependencyUnavailable, match="Too little time is left"):
            child_pool._all_of(11.0, attempt=1)
        with pytest.raises(InvariantBroken, match="ended, and too little time is left"):
            child_pool._all_of(11.0, attempt=2)
        assert child_pool._all_of(1.0, attempt=1) == 1.0


def test_the_nearest_end_counts_and_goes_with_what_set_it() -> None:
    assert deadline.left_s(5) == 5 and not deadline.over()
    with deadline.within(3):
        with deadline.within(100):
            assert 2 < deadline.left_s(5) <= 3
        with deadline.within(0), pytest.raises(deadline.TimeIsUp):
            deadline.left_s(5)
        assert deadline.left_s(1) == 1
    assert deadline.left_s(5) == 5


def test_what_a_library_takes_to_load_is_not_waited_for_azure(
    silent: Silent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks what serves waits 10 s for the endpoint, and not for the import of a client before it is asked."""
    workspace = Workspace(Settings.from_environment(os.environ), Token())
    monkeypatch.setattr(workspace, "_make", lambda: time.sleep(1.1))
    with deadline.within(1.0), asking("Reading", "an endpoint", "a role", most_s=0.9):
        workspace()
        assert deadline.left_s(5.0) <= 0.9 and not deadline.over()
    with deadline.within(0.1), pytest.raises(deadline.TimeIsUp):
        time.sleep(0.2)
        deadline.left_s(1.0)
