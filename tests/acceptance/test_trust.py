"""Events that come more than once, and a host that is killed: versions and releases stay exact."""

from __future__ import annotations

import json
import os

import httpx
import pytest
from azure.storage.blob import BlobServiceClient

from demo.stage import APP
from shared.azure.client import credential
from shared.domain.reason import Code
from shared.inbox import unrouted
from shared.runtime import tick
from shared.settings import Settings
from shared.state import queries
from tests.acceptance.conftest import App, Status, season
from tests.hostile.corpus import BESIDE, PLANTED
from tests.patience import until


@pytest.fixture(scope="module")
def five_times(app: App) -> Status:
    """The loop once its first model is live; each event of its drop was delivered five times."""
    app.azure.control.put("/local/events/faults", json={"duplicates": 4}).raise_for_status()
    try:
        app.publish("trusted")
        app.drop("trusted", "2007.csv", season(2007))
        return app.live("trusted")
    finally:
        app.azure.control.put("/local/events/faults", json={}).raise_for_status()


def test_five_deliveries_of_one_event_are_one_version_and_one_release(five_times: Status) -> None:
    assert [version["number"] for version in five_times["versions"]] == [1]
    assert [release["number"] for release in five_times["releases"]] == [1]


@pytest.mark.soak  # tests/simulator does this in memory at every point
def test_a_host_that_is_killed_during_training_and_canary_goes_on_where_it_was(
    app: App, five_times: Status
) -> None:
    app.drop("trusted", "2009.csv", season(2009, body_mass_g=1.2))
    app.wait("trusted", lambda s: s["releases"][0]["number"] == 2 and s["releases"][0]["phase"] == "training")
    kill_host(app)
    app.wait("trusted", lambda s: s["releases"][0]["phase"] == "canary")
    kill_host(app)
    status = app.live("trusted", 2)
    assert [version["number"] for version in status["versions"]] == [2, 1]
    assert [(r["number"], r["attempt"], r["phase"]) for r in status["releases"]] == [
        (2, 1, "live"),
        (1, 1, "live"),
    ], "\n".join(app.run("explain", f"trusted/{number}").stdout for number in (1, 2))
    assert status["traffic"] == {"r2-a1": 100}
    assert app.run("audit", "trusted").returncode == 0


def test_what_event_grid_gave_up_to_deliver_is_taken_up_by_the_sweep(app: App, five_times: Status) -> None:
    app.azure.control.put("/local/events/faults", json={"dead_letter": 1}).raise_for_status()
    app.ports.blobs.upload("landing", "nobody/1.csv", b"x,y\n1,2\n")
    until(lambda: bool(list(app.ports.blobs.list("dead-letter", ""))))

    tick.sweep(app.ports, Settings.from_environment(os.environ).blob_service_uri)

    events = [event for _, event in unrouted.newest(app.ports, 100)]
    (letter,) = [event.reason for event in events if event.reason.code is Code.DEAD_LETTER_NO_LOOP]
    assert letter.facts["why"] == "MaxDeliveryAttemptsExceeded, NotFound"


def test_no_secret_is_in_anything_that_the_app_wrote(app: App, five_times: Status) -> None:
    """The host's log, the table and every document, after a life in which it had secrets and was sent some."""
    token = credential().get_token(APP).token
    headers = {"Authorization": f"Bearer {token}", "x-functions-key": PLANTED, "Cookie": f"token={PLANTED}"}
    address = f"{app.azure.settings.functions}/api"
    essentials = {"alertRule": BESIDE, "originAlertId": "1", "monitorCondition": "Fired"}
    essentials["description"] = f"{BESIDE} AccountKey={PLANTED}"
    alert = {"schemaId": "azureMonitorCommonAlertSchema", "data": {"essentials": essentials}}
    with httpx.Client(trust_env=False, timeout=60, headers=headers) as client:
        assert client.post(f"{address}/alert?code={PLANTED}", json=alert).status_code == 202
        for path in ("alert", "loops/trusted/resume", f"loops/{BESIDE}/{PLANTED}"):
            assert client.post(f"{address}/{path}", content=f"token={PLANTED}").status_code == 400
        reason = {"reason": f"{BESIDE} https://a.blob.core.windows.net/c/b?sig={PLANTED}"}
        assert client.post(f"{address}/loops/trusted/resume", json=reason).status_code == 202
    message = {
        "eventType": "Microsoft.Storage.BlobCreated",
        "data": {"url": f"https://x/{BESIDE}?sig={PLANTED}"},
    }
    app.ports.queue.put(json.dumps(message))
    until(
        lambda: (
            any("foreign-account" in row.doc for row in app.ports.store.unrouted())
            and any(one.kind.value == "person" for one in queries.inbox(app.ports, "trusted"))
        )
    )
    log = (app.azure.settings.logs / "host.log").read_text()
    written = {
        "log": log,
        "rows": " ".join(row.doc for row in app.ports.store.range("trusted", "")),
        "unrouted": " ".join(row.doc for row in app.ports.store.unrouted()),
        "overviews": str(app.ports.store.overviews()),
        "documents": documents(),
        "status": app.run("status").stdout + app.run("explain", "trusted/1").stdout,
    }
    mine = [PLANTED, token.rsplit(".", 1)[1], app.azure.environment("app")["IDENTITY_HEADER"]]
    assert [place for place, text in written.items() if any(secret in text for secret in mine)] == []
    assert {place for place, text in written.items() if BESIDE in text} >= {"rows", "unrouted", "status"}
    assert "trusted" in log and "rows" in written["documents"]
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert [at for at in lines if at["level"] != "INFO" and at["category"].startswith("azure.")] == [], (
        "noise"
    )


def documents() -> str:
    """Every document, quarantined blob and reason that the storage account holds."""
    settings = Settings.from_environment(os.environ)
    with BlobServiceClient(settings.blob_service_uri, credential()) as service:
        return " ".join(
            service.get_blob_client(container.name, blob.name)
            .download_blob()
            .readall()
            .decode(errors="replace")
            for container in service.list_containers()
            if container.name not in {"landing", "versions"}
            for blob in service.get_container_client(container.name).list_blobs()
        )


def kill_host(app: App) -> None:
    app.azure.part("host").kill()
    app.azure.stop_part("host")
    app.azure.start_host()
