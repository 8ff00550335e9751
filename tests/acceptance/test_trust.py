"""Events that come more than once, and a host that is killed: versions and releases stay exact."""

from __future__ import annotations

from tests.acceptance.conftest import App, season, traffic


def test_five_deliveries_of_one_event_are_one_version_and_one_release(app: App) -> None:
    app.azure.control.put("/local/events/faults", json={"duplicates": 4}).raise_for_status()
    try:
        app.publish("five")
        app.drop("five", "2007.csv", season(2007))
        status = app.live("five")
    finally:
        app.azure.control.put("/local/events/faults", json={}).raise_for_status()
    assert [version["number"] for version in status["versions"]] == [1]
    assert [release["number"] for release in status["releases"]] == [1]


def test_a_host_that_is_killed_during_training_and_canary_goes_on_where_it_was(app: App) -> None:
    app.publish("killed")
    app.drop("killed", "2007.csv", season(2007))
    app.live("killed")
    app.drop("killed", "2009.csv", season(2009, body_mass_g=1.2))
    app.wait("killed", lambda s: s["releases"][0]["number"] == 2 and s["releases"][0]["phase"] == "training")
    kill_host(app)
    app.wait("killed", lambda s: s["releases"][0]["phase"] == "canary")
    kill_host(app)
    with traffic(app, "killed"):
        status = app.live("killed", 2)
    assert [version["number"] for version in status["versions"]] == [2, 1]
    assert [(r["number"], r["attempt"], r["phase"]) for r in status["releases"]] == [
        (2, 1, "live"),
        (1, 1, "live"),
    ], "\n".join(app.run("explain", f"killed/{number}").stdout for number in (1, 2))
    assert status["traffic"] == {"r2-a1": 100}
    assert app.run("audit", "killed").returncode == 0


def kill_host(app: App) -> None:
    app.azure.part("host").kill()
    app.azure.stop_part("host")
    app.azure.start_host()
