"""Canaries on the local Azure: a sick one is taken back with its cause, a good one promoted, and no evidence holds."""

from __future__ import annotations

import html
import os
import re

import httpx
import pandas as pd
import pytest
from azure.storage.blob import BlobServiceClient, StandardBlobTier

from demo.stage import APP
from shared.audit import evidence_replay
from shared.azure.client import credential
from shared.inbox import messages
from shared.runtime import tick
from shared.settings import Settings
from tests.acceptance.conftest import App, Status, season, traffic

LOOP = "canary"
CAREFUL = (
    "train.parameters={trees: 5}",
    "canary.step.min_requests=240",
    "canary.false_rollback_rate=0.1",
    "canary.margins={latency_floor_ms: 5, prediction_shift: 0.2}",
    "canary.bake_minutes=0.02",
)


@pytest.fixture(scope="module", autouse=True)
def champion(app: App) -> None:
    """A first model. Releases that a person asks for then train on the same versions, so that no step runs again."""
    app.publish(LOOP, *CAREFUL)
    app.drop(LOOP, "seasons.csv", pd.concat(map(season, (2007, 2008, 2009))))
    app.wait(LOOP, lambda s: s["state"]["champion"] is not None and s["state"]["open_release"] is None)


def newest(status: Status) -> Status:
    release: Status = status["releases"][0]
    return release


def reaches(app: App, number: int, phase: str, words: str = "") -> Status:
    """Beside the host's worker there is one here, so that nothing waits for the next tick of two seconds."""

    def there(status: Status) -> bool:
        release = newest(status)
        told = any(words in found["text"] for found in (release["waiting_for"], release["reason"]) if found)
        if (told or not words) and (release["number"], release["phase"]) == (number, phase):
            return True
        tick.run_all(app.ports, [LOOP])
        return False

    return newest(app.wait(LOOP, there))


def another(app: App) -> int:
    """A release up to its canary, as a person asks for it; its number."""
    number = int(newest(app.status(LOOP))["number"]) + 1
    app.ports.queue.put(messages.act_message("retrain", LOOP, {"release": "", "reason": "again"}, "a test"))
    reaches(app, number, "canary")
    return number


def fault(app: App, number: int, **how: float | str) -> None:
    challenger = newest(app.status(LOOP))
    assert challenger["number"] == number
    path = f"/local/endpoints/{LOOP}/deployments/{challenger['deployment']}/faults"
    app.azure.control.put(path, json=how).raise_for_status()


def champion_alone(app: App) -> bool:
    """However many attempts its deployment took."""
    status = app.status(LOOP)
    return bool(status["traffic"] == {status["state"]["champion"]["deployment"]: 100})


def late(app: App, delay_s: float) -> None:
    """How late what is known of live requests can be read, in the traffic log and at the collector."""
    app.azure.control.put("/local/logs", json={"fault": "none", "delay_s": delay_s}).raise_for_status()
    app.azure.control.put("/local/endpoints/collector", json={"delay_s": delay_s}).raise_for_status()


def ends(app: App, number: int, phase: str) -> str:
    """How the canary ends under traffic, with its reason; every verdict is had again from its evidence."""
    with traffic(app, LOOP, at_once=3):
        release = reaches(app, number, phase)
    again = evidence_replay.replay(app.ports, LOOP, number)
    assert len(again) >= 3
    assert all(one.same for one in again), again
    return str(release["reason"]["text"])


def test_without_evidence_it_holds_and_late_evidence_takes_one_with_5_percent_errors_back(app: App) -> None:
    number = another(app)
    fault(app, number, error_rate=0.05)
    reaches(app, number, "canary", "the canary has 0 requests of at least 240")
    app.azure.control.put("/local/logs", json={"fault": "error"}).raise_for_status()
    reaches(app, number, "canary", "the evidence could not be read")
    late(app, delay_s=3)  # ten minutes, scaled
    assert ends(app, number, "rolled_back").startswith("worse in canary step 1 of 1: errors: canary ")
    late(app, delay_s=0.2)
    assert champion_alone(app)


def test_an_archived_drop_is_told_by_status_doctor_and_page_and_keeps_no_canary_waiting(app: App) -> None:
    number = another(app)
    archive(app, "cold.csv")
    status = app.wait(LOOP, lambda s: bool(s["set_aside"]) and bool(s["overview"]["needs_attention"]))
    (aside,) = status["set_aside"]
    assert aside["reason"]["code"] == "archived-blob"
    again = f"driftloop read-again {LOOP} {aside['key']}"
    told = {
        "status": app.run("status").stdout,
        "status of the loop": app.run("status", LOOP).stdout,
        "doctor": app.run("doctor", check=False).stdout,
        "overview": page(app, "/"),
        "page of the loop": page(app, f"/loops/{LOOP}"),
    }
    silent = [where for where, text in told.items() if again not in words(text)]
    silent += [where for where in told if where != "overview" and "BlobArchived" not in words(told[where])]
    assert silent == [], told
    seen = len(newest(status)["points"])
    app.wait(LOOP, lambda s: len(newest(s)["points"]) > seen or newest(s)["phase"] != "canary")
    app.run("abort", f"{LOOP}/{number}")
    reaches(app, number, "aborted")
    assert champion_alone(app)


def archive(app: App, name: str) -> None:
    """A drop in the tier that nobody can read from, as a rule of the storage account may put it there."""
    settings = Settings.from_environment(os.environ)
    with BlobServiceClient(settings.blob_service_uri, credential()) as service:
        blob = service.get_blob_client("landing", f"{LOOP}/{name}")
        blob.upload_blob(b"cold", standard_blob_tier=StandardBlobTier.ARCHIVE)


def page(app: App, path: str) -> str:
    headers = {"Authorization": f"Bearer {credential().get_token(APP).token}"}
    address = f"{app.azure.settings.functions}/api/tower{path}"
    return httpx.get(address, headers=headers, timeout=60, trust_env=False).text


def words(text: str) -> set[str]:
    """Which of the things that are looked for stand in it, however its lines are broken."""
    whole = " ".join(html.unescape(text).split())
    return set(re.findall(r"BlobArchived|driftloop read-again \S+ [0-9a-f]+", whole))


@pytest.mark.parametrize(
    ("how", "cause"),
    [
        pytest.param({"delay_ms": 80}, "latency: canary ", marks=pytest.mark.soak),
        pytest.param(
            {"shift_rate": 0.5, "shift_to": "Gentoo"}, "predictions: 'Gentoo' is ", marks=pytest.mark.soak
        ),
        pytest.param(
            {"shift_rate": 1.0, "shift_to": "Gentoo", "shift_where": "island=Torgersen"},
            "predictions in island=Torgersen: ",
            marks=pytest.mark.soak,
        ),
    ],
    ids=["slow", "shifted", "worse on one slice"],
)
def test_a_sick_canary_is_taken_back_with_its_cause(
    app: App, how: dict[str, float | str], cause: str
) -> None:
    number = another(app)
    fault(app, number, **how)
    reason = ends(app, number, "rolled_back")
    assert reason.startswith(f"worse in canary step 1 of 1: {cause}"), reason
    assert champion_alone(app)


@pytest.mark.soak
def test_a_good_one_is_promoted(app: App) -> None:
    number = another(app)
    ends(app, number, "live")
    assert champion_alone(app) and app.status(LOOP)["state"]["champion"]["release"] == number
    done = app.run("replay", f"{LOOP}/{number}")
    assert "same  gate: pass" in done.stdout
    assert "same  bake: advance" in done.stdout
    assert "different" not in done.stdout
