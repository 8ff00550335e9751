"""A canary on the local Azure: without evidence it holds, a sick one is taken back, and the reason names the cause."""

from __future__ import annotations

from contextlib import ExitStack

from tests.acceptance.conftest import App, Status, season, traffic

CAREFUL = (
    "canary.step.min_requests=400",
    "canary.false_rollback_rate=0.1",
    "canary.margins.latency_floor_ms=5",
)


def newest(status: Status) -> Status:
    release: Status = status["releases"][0]
    return release


def reaches(app: App, number: int, phase: str, words: str = "") -> Status:
    status = app.wait(
        "canary",
        lambda s: (
            newest(s)["number"] == number
            and newest(s)["phase"] == phase
            and words in newest(s)["waiting_for"] + newest(s)["reason"]
        ),
    )
    return newest(status)


def fault(app: App, deployment: str, **how: float) -> None:
    path = f"/local/endpoints/canary/deployments/{deployment}/faults"
    app.azure.control.put(path, json=how).raise_for_status()


def log(app: App, **how: object) -> None:
    app.azure.control.put("/local/logs", json=how).raise_for_status()


def busy(app: App) -> ExitStack:
    stack = ExitStack()
    for _ in range(2):
        stack.enter_context(traffic(app, "canary"))
    return stack


def test_a_canary_holds_without_evidence_and_is_taken_back_with_its_cause(app: App) -> None:
    app.publish("canary", *CAREFUL)
    app.drop("canary", "2007.csv", season(2007))
    app.live("canary")

    fault(app, "r2-a1", error_rate=0.05)
    app.drop("canary", "2009.csv", season(2009, body_mass_g=1.2))
    reaches(app, 2, "canary", "the canary has 0 requests of at least 400")
    log(app, fault="error")
    reaches(app, 2, "canary", "the evidence could not be read")
    log(app, fault="none", delay_s=3)  # ten minutes, scaled
    with busy(app):
        release = reaches(app, 2, "rolled_back")
    log(app, delay_s=0.2)
    assert release["reason"].startswith("errors: canary "), release["reason"]
    assert app.status("canary")["traffic"] == {"r1-a1": 100}

    fault(app, "r3-a1", delay_ms=80)
    app.drop("canary", "slow.csv", season(2008, body_mass_g=1.25))
    with busy(app):
        release = reaches(app, 3, "rolled_back")
    assert release["reason"].startswith("latency: canary "), release["reason"]
    assert app.status("canary")["traffic"] == {"r1-a1": 100}

    for number in (1, 2, 3):
        done = app.run("replay", f"canary/{number}")
        assert "same  gate: pass" in done.stdout
        assert "different" not in done.stdout
