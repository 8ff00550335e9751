"""Events that come more than once, and a host that is killed: versions and releases stay exact."""

from __future__ import annotations

import pytest

from tests.acceptance.conftest import App, Status, season, traffic


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


def test_a_host_that_is_killed_during_training_and_canary_goes_on_where_it_was(
    app: App, five_times: Status
) -> None:
    app.drop("trusted", "2009.csv", season(2009, body_mass_g=1.2))
    app.wait("trusted", lambda s: s["releases"][0]["number"] == 2 and s["releases"][0]["phase"] == "training")
    kill_host(app)
    app.wait("trusted", lambda s: s["releases"][0]["phase"] == "canary")
    kill_host(app)
    with traffic(app, "trusted"):
        status = app.live("trusted", 2)
    assert [version["number"] for version in status["versions"]] == [2, 1]
    assert [(r["number"], r["attempt"], r["phase"]) for r in status["releases"]] == [
        (2, 1, "live"),
        (1, 1, "live"),
    ], "\n".join(app.run("explain", f"trusted/{number}").stdout for number in (1, 2))
    assert status["traffic"] == {"r2-a1": 100}
    assert app.run("audit", "trusted").returncode == 0


def kill_host(app: App) -> None:
    app.azure.part("host").kill()
    app.azure.stop_part("host")
    app.azure.start_host()
