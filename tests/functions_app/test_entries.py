"""Each function of the app as the host calls it: who is let in, what is on record afterwards, what is answered."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import azure.functions as func
import pytest

from functions import alerts, app, people, telemetry
from shared.domain.caller import ACTING_ROLE, LOOKING_ROLE
from shared.errors import DependencyUnavailable
from shared.ports import Ports
from shared.runtime import tick, unit_of_work
from shared.settings import Settings
from shared.state import queries
from tests.engine.world import ACCOUNT, World, csv, season
from tests.faults import Call, watched
from tests.functions_app.test_adapters import functions

ALERT = {
    "schemaId": "azureMonitorCommonAlertSchema",
    "data": {"essentials": {"alertRule": "birds-errors", "monitorCondition": "Fired"}},
}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    made.publish()
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "True")
    monkeypatch.setattr(app, "ports", lambda: made.ports)
    given = {name: ACCOUNT for name in Settings.names() if name != "DRIFTLOOP_REGISTRY"}
    settings = Settings.from_environment(given | {"DRIFTLOOP_ENDPOINT_ACCESS": "enabled"})
    monkeypatch.setattr(app, "settings", lambda: settings)
    return made


def asked(
    name: str,
    role: str = "",
    *,
    body: object = None,
    method: str = "POST",
    path: str = "",
    verb: str = "pause",
    **more: str,
) -> func.HttpResponse:
    """What a function answers to somebody with this role; to nobody where it is empty."""
    claims = {"claims": [{"typ": "roles", "val": role}, {"typ": "name", "val": "bob"}]}
    headers = (
        {"x-ms-client-principal": base64.b64encode(json.dumps(claims).encode()).decode()} if role else {}
    )
    route = {"loop": "birds", "verb": verb} if name == "act" else {"path": path}
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    url = f"https://app.example/api/tower/{path}"
    request = func.HttpRequest(method, url, headers=headers | more, route_params=route, body=sent)
    found: func.HttpResponse = functions()[name].get_user_function()(request)
    return found


def told(answer: func.HttpResponse) -> dict[str, str]:
    found: dict[str, str] = json.loads(answer.get_body())
    return found


def nothing_is_asked(world: World) -> bool:
    return not world.ports.queue.messages and queries.inbox(world.ports, "birds") == []


def test_an_alert_of_azure_monitor_is_in_the_queue_before_it_is_answered(world: World) -> None:
    answer = asked("alert", alerts.ROLE, body=ALERT)
    assert (answer.status_code, answer.get_body()) == (202, b"")
    (message,) = world.ports.queue.messages
    assert "birds-errors" in message


@pytest.mark.parametrize(
    ("role", "body", "status", "code", "why"),
    [
        ("", ALERT, 401, "denied", "sign in first"),
        (ACTING_ROLE, ALERT, 403, "denied", f"the app role {alerts.ROLE}"),
        (alerts.ROLE, b"{", 400, "not-json", "send one JSON object"),
        (alerts.ROLE, b'"' + b"x" * alerts.MAX_BODY_BYTES + b'"', 413, "too-large", "at most 262,144 are"),
    ],
)
def test_anything_else_is_no_alert_and_is_answered_with_why(
    world: World, role: str, body: object, status: int, code: str, why: str
) -> None:
    answer = asked("alert", role, body=body)
    assert (answer.status_code, told(answer)["code"]) == (status, code)
    assert why in told(answer)["message"]
    assert nothing_is_asked(world)


def test_an_alert_of_just_the_limit_is_read(world: World) -> None:
    short = json.dumps(ALERT).encode()
    body = short + b" " * (alerts.MAX_BODY_BYTES - len(short))
    assert asked("alert", alerts.ROLE, body=body).status_code == 202


def test_an_act_is_in_the_queue_under_its_actor_before_it_is_answered(world: World) -> None:
    answer = asked("act", ACTING_ROLE, body={"reason": "because"})
    assert (answer.status_code, answer.get_body()) == (202, b"")
    (message,) = world.ports.queue.messages
    assert {"pause", "birds", "bob", "because"} <= set(json.loads(message).values())


@pytest.mark.parametrize(
    ("role", "body", "site", "status", "code", "why"),
    [
        ("", {}, "", 401, "denied", "sign in first"),
        (LOOKING_ROLE, {}, "", 403, "role-missing", ACTING_ROLE),
        (ACTING_ROLE, {}, "cross-site", 403, "other-site", "from another site"),
        (ACTING_ROLE, [], "", 400, "not-an-object", "send one JSON object"),
        (ACTING_ROLE, b'"' + b"x" * people.MAX_BODY_BYTES + b'"', "", 413, "too-large", "at most 16,384 are"),
    ],
)
def test_an_act_that_is_refused_changes_nothing_and_says_why(
    world: World, role: str, body: object, site: str, status: int, code: str, why: str
) -> None:
    more = {"sec-fetch-site": site} if site else {}
    answer = asked("act", role, body=body, **more)
    assert (answer.status_code, told(answer)["code"]) == (status, code)
    assert why in told(answer)["message"]
    assert nothing_is_asked(world)


@pytest.mark.parametrize(
    ("verb", "status"), [("pause", 202), ("abort", 202), ("approve", 409), ("retrain", 409)]
)
def test_without_the_loops_definition_an_act_is_asked_for_or_answered_by_a_sentence(
    world: World, verb: str, status: int
) -> None:
    world.ports.documents.contents.clear()
    unit_of_work._published.clear()
    answer = asked("act", ACTING_ROLE, body={}, verb=verb)
    assert answer.status_code == status
    if status == 409:
        assert told(answer)["code"] == "act-needs-definition" and "publish it" in told(answer)["message"]


@pytest.mark.parametrize(("origin", "status"), [("https://app.example", 202), ("https://other.example", 403)])
def test_an_act_that_a_page_asks_for_is_this_app_s_own(world: World, origin: str, status: int) -> None:
    """An older browser tells of the page's site alone."""
    assert asked("act", ACTING_ROLE, body={}, origin=origin).status_code == status
    assert nothing_is_asked(world) is (status != 202)


def test_an_act_that_can_be_put_nowhere_is_told_to_have_been_asked_for_by_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(call: Call, make: Callable[[], object]) -> object:
        if call.effect:
            raise DependencyUnavailable("storage is away")
        return make()

    ports = watched(world.ports, away)
    monkeypatch.setattr(app, "ports", lambda: ports)
    answer = asked("act", ACTING_ROLE, body={})
    assert (answer.status_code, told(answer)["code"]) == (503, "unavailable")
    assert told(answer)["message"] == "nothing was asked for: storage is away"


def test_a_page_takes_the_role_to_look_and_a_form_its_own_token(world: World) -> None:
    assert asked("tower", LOOKING_ROLE, method="GET", path="loops/birds").status_code == 200
    assert asked("tower", ACTING_ROLE, method="GET", path="loops/birds").status_code == 403
    assert asked("tower", method="GET", path="loops/birds").status_code == 401
    assert asked("tower_act", path="act").status_code == 401
    assert asked("tower_act", ACTING_ROLE, path="act").status_code == 403
    assert nothing_is_asked(world)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_root_leads_anybody_to_the_overview_which_asks_who_they_are(world: World, method: str) -> None:
    """Also a ping of the platform, which has no identity and is to get an answer whatever storage does."""
    for role in ("", ACTING_ROLE, LOOKING_ROLE):
        answer = asked("root", role, method=method)
        assert (answer.status_code, answer.headers["Location"]) == (302, "/api/tower")
    statuses = [asked("tower", role, method=method).status_code for role in ("", ACTING_ROLE, LOOKING_ROLE)]
    assert statuses == [401, 403, 200]


def test_the_tick_runs_what_is_due_and_the_sweep_finds_what_no_event_reported(world: World) -> None:
    functions()["tick"].get_user_function()(None)
    world.ports.blobs.upload("landing", "birds/2007.csv", csv(season(2007)))
    functions()["tick"].get_user_function()(None)
    assert queries.inbox(world.ports, "birds") == []
    world.clock.advance(tick.STILL.total_seconds())
    functions()["sweep"].get_user_function()(None)
    (record,) = queries.inbox(world.ports, "birds")
    assert record.version is None
    functions()["tick"].get_user_function()(None)
    (record,) = queries.inbox(world.ports, "birds")
    assert record.version == 1


def test_the_sweep_tries_again_what_failed_five_times(world: World) -> None:
    """It knows by the account's address which blob a message is about."""
    world.ports.queue.failed.append(world.land("2007.csv", csv(season(2007))))
    functions()["sweep"].get_user_function()(None)
    (record,) = queries.inbox(world.ports, "birds")
    assert record.body["name"] == "birds/2007.csv" and world.ports.queue.failed == []
    (kept,) = world.ports.store.unrouted(limit=9)
    assert '"loops": "birds", "was": "poison"' in kept.doc


def test_a_message_of_runs_runs_the_loop_that_it_names_once_and_no_other(world: World) -> None:
    landed = func.QueueMessage(body=world.land("2007.csv", csv(season(2007))).encode())
    functions()["inbox"].get_user_function()(landed)
    (asked_for,) = world.ports.runs.messages
    run = functions()["run"].get_user_function()
    run(func.QueueMessage(body=b'{"loop": "birds", "run": "of yesterday"}'))
    (record,) = queries.inbox(world.ports, "birds")
    assert record.version is None
    run(func.QueueMessage(body=asked_for.encode()))
    (record,) = queries.inbox(world.ports, "birds")
    assert record.version == 1


def test_each_tick_logs_how_long_work_has_waited(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/operations.md tells people to alert where the record is missing."""
    told: list[Ports] = []
    monkeypatch.setattr(telemetry, "log_waiting", told.append)
    functions()["tick"].get_user_function()(None)
    assert told == [world.ports]


def test_where_loops_land_is_read_once_for_many_events(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """All overviews for each event would be a thousand rows for each, of a thousand loops."""
    read: list[str] = []

    def seen(call: Call, make: Callable[[], object]) -> object:
        read.append(call.name)
        return make()

    app.landings.cache_clear()
    ports = watched(world.ports, seen)
    monkeypatch.setattr(app, "ports", lambda: ports)
    for year in (2007, 2008, 2009):
        message = func.QueueMessage(body=world.land(f"{year}.csv", csv(season(2007))).encode())
        functions()["inbox"].get_user_function()(message)
    app.landings.cache_clear()
    assert len(queries.inbox(world.ports, "birds")) == 3
    assert read.count("store.overviews") == 1


def test_a_page_s_style_is_for_everybody_and_no_path_is_the_first_page(world: World) -> None:
    style = asked("tower", method="GET", path="tower.css")
    assert (style.status_code, style.mimetype) == (200, "text/css")
    assert asked("tower", LOOKING_ROLE, method="GET").status_code == 200
