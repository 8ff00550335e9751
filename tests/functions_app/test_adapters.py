"""What is true of every function of the app: what ends a process is a failure, and no route hides another."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import NoReturn

import pytest
from azure.functions import QueueMessage
from azure.functions.decorators.function_app import Function

from cli import doctor_platform
from functions import alerts, app, callers, inbox, people, run, timers, tower
from local.host.configuration import read_host_json
from local.host.routes import compile_route
from local.host.triggers import checked
from shared.inbox import messages
from shared.memory import memory_ports
from shared.runtime import run_queue

MODULES = (inbox, run, timers, alerts, callers, people, tower)
"""As function_app.py registers them; the app itself may be indexed once a process only."""


def functions() -> dict[str, Function]:
    built = [builder.build(None) for module in MODULES for builder in module.blueprint._function_builders]
    return {str(function.get_function_name()): function for function in built}


class Ending:
    """An argument, and the app's ports, at whose first use the process is asked to end."""

    def __init__(self, end: BaseException) -> None:
        self._end = end

    def __getattr__(self, name: str) -> NoReturn:
        raise self._end

    def __call__(self) -> NoReturn:
        raise self._end


@pytest.mark.parametrize("end", [SystemExit(2), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("name", sorted(set(functions()) - {"root"}))  # the root calls nobody
def test_who_asks_the_process_to_end_has_failed(
    name: str, end: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Microsoft's worker catches Exception alone, and hangs at anything else (its dispatcher.py)."""
    monkeypatch.setattr(app, "ports", Ending(end))
    monkeypatch.setattr(app, "settings", Ending(end))
    with pytest.raises(Exception, match=type(end).__name__):
        functions()[name].get_user_function()(Ending(end))


WAKES: dict[str, dict[str, str]] = {
    "inbox": {"queueName": "%DRIFTLOOP_QUEUE%", "connection": "DRIFTLOOP_STORAGE"},
    "run": {"queueName": "%DRIFTLOOP_RUNS%", "connection": "DRIFTLOOP_STORAGE"},
    "tick": {"schedule": "%DRIFTLOOP_TICK_SCHEDULE%"},
    "sweep": {"schedule": "%DRIFTLOOP_SWEEP_SCHEDULE%"},
}
"""What wakes each function that nobody calls: settings of the templates."""


def test_what_wakes_a_function_is_its_own_setting() -> None:
    found = {
        name: {key: trigger.get_dict_repr()[key] for key in WAKES[name]}
        for name, function in functions().items()
        if (trigger := function.get_trigger()) is not None and name in WAKES
    }
    assert found == WAKES
    settings = (Path(__file__).parents[2] / "infra" / "modules" / "app.bicep").read_text()
    asked = {text.strip("%") for of in WAKES.values() for text in of.values()} - {"DRIFTLOOP_STORAGE"}
    assert {name for name in asked if name not in settings} == set()


def test_fixed_routes_are_registered_before_variable_ones() -> None:
    """The host asks the first function whose route fits, whatever the route of a later one says."""
    routes = []
    for name, function in functions().items():
        trigger = function.get_trigger()
        if trigger is not None and str(trigger.type) == "httpTrigger":
            template = str(trigger.get_dict_repr()["route"])
            methods = {str(m) for m in trigger.get_dict_repr()["methods"]}  # type: ignore[attr-defined]
            routes.append((name, compile_route(template, name), methods))
    hidden = [
        f"{second[0]} behind {first[0]}"
        for first, second in combinations(routes, 2)
        if first[2] & second[2] and first[1].match(re.sub(r"\{[^}]*\}", "1", second[1].template)) is not None
    ]
    assert len(routes) > 3
    assert hidden == []


ROOT = Path(__file__).parents[2]
ADDRESSES = {
    ("GET", "/"): "root",
    ("HEAD", "/"): "root",
    ("GET", "/api/tower"): "tower",
    ("HEAD", "/api/tower/loops/birds"): "tower",
    ("POST", "/api/tower/act"): "tower_act",
    ("POST", "/api/alert"): "alert",
    ("POST", "/api/loops/birds/pause"): "act",
    ("GET", "/api/loops/birds/split"): "split",
    ("POST", "/"): None,
    ("GET", "/tower"): None,
}
"""What documents, templates and clients name, and the function that the host of Azure leads each to."""


def test_each_address_leads_to_its_function() -> None:
    prefix = read_host_json(ROOT, 1).route_prefix
    triggers = checked(
        [
            {"name": name, "bindings": [json.loads(raw) for raw in each.get_raw_bindings()], "retries": False}
            for name, each in functions().items()
            if "httpTrigger" in str(each.get_raw_bindings())
        ],
        {},
        prefix,
    )
    found = {
        (method, path): next(
            (
                each.function
                for each in triggers.http
                if method in (each.methods or ()) and each.route.match(path[1:]) is not None
            ),
            None,
        )
        for method, path in ADDRESSES
    }
    assert (prefix, found) == ("", ADDRESSES)


@pytest.mark.parametrize("template", ["modules/actiongroup.bicep", "terraform/monitoring.tf"])
def test_the_action_group_calls_the_address_of_alerts(template: str) -> None:
    written = re.findall(
        r"https://\$\{[^}]*[dD]efaultHostName\}(/[^'\"]*)", (ROOT / "infra" / template).read_text()
    )
    assert [ADDRESSES["POST", path] for path in written] == ["alert"]


def test_doctor_knows_every_function() -> None:
    assert set(functions()) == doctor_platform.FUNCTIONS


METADATA = {
    "id",
    "dequeuecount",
    "expirationtime",
    "insertiontime",
    "nextvisibletime",
    "popreceipt",
    "queuetrigger",
}


def test_what_the_app_sends_has_no_key_that_is_named_like_the_triggers_metadata() -> None:
    """On Azure such a key takes the place of what the queue says, and can keep the message from the app's code."""
    essentials = {
        "alertRule": "r",
        "originAlertId": "1",
        "monitorCondition": "Fired",
        "firedDateTime": "2026-01-01T00:00:00Z",
    }
    alert = {"schemaId": "azureMonitorCommonAlertSchema", "data": {"essentials": essentials}}
    sent = [messages.alert_message(alert), messages.act_message("pause", "birds", {"id": "x"}, "bob")]
    ports = memory_ports()
    run_queue.ask(ports, ["birds"])
    sent += ports.runs.messages
    assert [set(map(str.casefold, json.loads(message))) & METADATA for message in sent] == [set()] * 3
    assert isinstance(act := messages.parse(sent[1], ""), messages.Act)
    assert act.id == "x"
    earlier = {"driftloop": "act", "verb": "pause", "loop": "birds", "id": "y"}
    assert isinstance(act := messages.parse(json.dumps(earlier), ""), messages.Act)
    assert act.id == "y"


@pytest.mark.parametrize(("body", "text"), [(b"caf\xc3\xa9", "caf\u00e9"), (b"\xff{}", "\ufffd{}")])
def test_a_message_is_read_as_utf8_and_odd_bytes_fail_nothing(body: bytes, text: str) -> None:
    """One odd message is one odd message: an exception would be tried five times, and told as poison."""
    assert app.text_of(QueueMessage(body=body)) == text
