"""Which apps and host.json files the host refuses, with the reason and what Azure would have done."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from local import processes
from local.__main__ import write_local_settings
from local.azure import LocalAzure
from local.host.configuration import read_host_json
from local.host.dispatch import Dispatcher
from local.host.errors import AppNotIndexed, AppRefused
from local.host.triggers import checked
from tests.local.hosted import HOST_JSON, PREAMBLE, ROOT, App
from tests.patience import until

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
    "four cron fields": (
        "@app.timer_trigger(arg_name='t', schedule='* * * *')\ndef late(t: func.TimerRequest): ...",
        "function late: the schedule '* * * *' is not valid: it has 4 fields",
    ),
    "a period of nothing": (
        "@app.timer_trigger(arg_name='t', schedule='00:00:00')\ndef late(t: func.TimerRequest): ...",
        "is not a period longer than nothing",
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
        channel = Dispatcher(tmp_path, settings)
        try:
            checked(channel.functions, settings, "api")
        finally:
            channel.stop()
    assert text in str(refused.value)
    assert "Azure" in refused.value.on_azure


def test_rows_10_and_11_a_refusal_says_what_azure_would_have_done(app: App) -> None:
    for source, done in (
        (REFUSED["import error"][0], "start with none of the app's functions and look healthy"),
        (REFUSED["bad cron"][0], "start without the functions named here"),
        (GOOD.replace('"good"', '"/good"'), "every route answers 503"),
    ):
        app.write(source)
        child = processes.start(
            "host", app.command(), log=app.folder / "refused.log", env=os.environ, cwd=ROOT
        )
        assert child.wait(60) == 1
        assert done in child.log_tail()


def test_row_10_an_import_that_ends_the_process_is_refused(tmp_path: Path) -> None:
    (tmp_path / "function_app.py").write_text("import os\nos._exit(0)")
    with pytest.raises(AppNotIndexed, match="ended while it indexed"):
        Dispatcher(tmp_path, os.environ)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"version": None}, 'no "version"'),
        ({"extensionBundle": None}, 'no "extensionBundle"'),
        ({"functionTimeout": "5 minutes"}, "functionTimeout"),
        (
            {"functionTimeout": "25:00:00"},
            "is 2.16e+06 s: give less than a day",
        ),  # 25 days, which stops the host
        ({"functionTimeout": "00:00:00"}, "functionTimeout"),
        ({"functionTimeout": 10}, "functionTimeout"),  # ten days
        ({"extensions": {"queues": {"maxPollingInterval": "00:00:00.05"}}}, "must be 100 ms or more"),
        ({"extensions": {"queues": {"maxPollingInterval": "00:00:99"}}}, "maxPollingInterval must be a text"),
        ({"extensions": {"queues": {"visibilityTimeout": "-00:00:05"}}}, "visibilityTimeout must be a text"),
        ({"extensions": {"queues": {"messageEncoding": "utf8"}}}, "messageEncoding"),
        ({"extensions": {"http": {"routePrefix": "/v1/"}}}, "routePrefix"),
        ({"logging": {"logLevel": {"default": "Loud"}}}, "logLevel 'Loud' of default"),
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


def test_row_31_the_projects_own_host_json_is_taken_as_it_is() -> None:
    configuration = read_host_json(ROOT, 2)
    queues = configuration.queues
    assert (queues.batch_size, queues.new_batch_threshold, queues.max_dequeue_count) == (8, 4, 5)
    assert (queues.max_polling_interval_s, queues.visibility_timeout_s, queues.base64) == (2, 5, False)
    assert (configuration.route_prefix, configuration.timeout_s) == ("", 600)


def test_row_31_defaults_and_the_cases_that_azure_takes(tmp_path: Path) -> None:
    document = HOST_JSON | {"extensions": {"queues": {"messageEncoding": "NONE"}}, "functionTimeout": "-1"}
    (tmp_path / "host.json").write_text(json.dumps(document))
    configuration = read_host_json(tmp_path, 2)
    assert (configuration.queues.batch_size, configuration.queues.new_batch_threshold) == (16, 16)
    assert (configuration.queues.base64, configuration.timeout_s) == (False, None)


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
