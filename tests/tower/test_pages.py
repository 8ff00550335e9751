"""Every page tells what its question asks, as HTML and as JSON alike, and nothing that a looker may not do."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from urllib.parse import quote, urljoin

import pytest

from shared.audit import answer
from shared.domain.release import Phase
from tests.engine.test_batch_loop import compared, ended
from tests.engine.world import World, csv, season
from tests.tower.conftest import PAGES, past
from tests.tower.tower import BASE, LOOKER, STUDIO, checked, get, page, twin


@pytest.mark.parametrize("path", PAGES)
def test_every_page_has_landmarks_a_heading_and_a_twin(world: World, path: str) -> None:
    html = page(world.ports, path)
    found = checked(html)
    assert found.found == []
    assert found.scripts and all(src.startswith(f"{BASE}/tower.js?v=") for src in found.scripts)
    assert html.count("<main") == html.count("<h1") == html.count("<header") == html.count("<footer") == 1
    assert html.count("<table") == html.count("<caption")
    assert len(re.findall(r"<svg[^>]*(?:aria-label=|aria-hidden)", html)) == html.count("<svg")
    ids = re.findall(r' id="([^"]*)"', html)
    assert len(ids) == len(set(ids))
    link = re.search(r'href="([^"]+\.json[^"]*)"', html)
    assert link
    assert get(world.ports, link[1].replace("&amp;", "&").removeprefix(BASE)).status == 200


@pytest.mark.parametrize("path", PAGES)
def test_every_answer_bears_the_content_policy(world: World, path: str) -> None:
    for accept in ("text/html", "application/json"):
        headers = get(world.ports, path, accept=accept).headers
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self';")
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_the_overview_has_every_loop_in_one_line(world: World) -> None:
    (line,) = twin(world.ports, "")["loops"]
    assert (line["loop"], line["live"], line["model"]) == ("birds", 1, "birds:1")
    assert (line["version"], line["judged"], line["release"]) == (3, "moved", 2)
    assert "canary" in line["doing"]


def test_the_loop_tells_what_moved_when_and_why_it_was_retrained(world: World) -> None:
    found = twin(world.ports, "/loops/birds")
    assert found["heat_versions"] == [1, 2, 3]
    first = found["heat"][0]
    assert first["column"] == "body_mass_g"
    assert [cell["level"] > 1 for cell in first["cells"]] == [False, False, True]
    assert [point["version"] for point in found["metric"]["points"]] == [2, 3]
    assert (found["budget_used"], found["budget"]) == (2, 8)
    assert {told["what"] for told in found["reasons"]} >= {
        "release.started",
        "retrain.coalesced",
        "drop.quarantined",
    }
    assert [a["code"] for a in found["asides"]] == ["empty-file"]


def test_the_loop_shows_what_was_served_when(world: World) -> None:
    from tests.engine.test_served import HOURLY, QUIET, close, heavier, hour

    assert twin(world.ports, "/loops/birds")["windows"] == []
    made = World()
    made.publish(HOURLY)
    made.drop("2007.csv", csv(season(2007)))
    made.live()
    for _ in range(QUIET):
        hour(made)
    hour(made, heavier)
    hour(made, heavier)
    close(made)
    found = twin(made.ports, "/loops/birds")
    first = found["served_heat"][0]
    assert first["column"] == "body_mass_g"
    assert len(first["cells"]) == len(found["windows"]) >= QUIET + 2
    assert first["cells"][-1]["level"] > 1 and first["cells"][0]["level"] < 2
    assert "unusual for this model" in found["served"]
    html = page(made.ports, "/loops/birds")
    assert checked(html).found == [] and "What was served when" in html
    assert any(told["what"] == "served.judged" for told in found["reasons"])


def test_slices_are_rows_of_the_heat_maps_and_a_table_of_the_version() -> None:
    from tests.engine.test_served import HOURLY
    from tests.engine.test_slices_of_drift import birds, close, live, on_dream, serve, sliced

    made = live(sliced(HOURLY))
    made.drop("moved.csv", csv(on_dream(birds(800, 2))))
    serve(made, on_dream(birds(400, 3)))
    close(made)
    found = twin(made.ports, "/loops/birds")
    for rows in (found["heat"], found["served_heat"]):
        (row,) = (one for one in rows if one["column"] == "island=Dream")
        assert row["cells"][-1]["level"] >= 2 and row["cells"][-1]["of"] == "body_mass_g"
    assert "of body_mass_g" in page(made.ports, "/loops/birds")
    version = twin(made.ports, "/loops/birds/versions/2")
    first = version["slices"][0]
    assert (first["name"], first["state"]) == ("island=Dream", "material") and "body_mass_g" in first["words"]
    assert version["small_slices"] == ["island=Torgersen"]
    html = page(made.ports, "/loops/birds/versions/2")
    assert checked(html).found == [] and "Drift by slice" in html and "island=Torgersen" in html
    assert "Drift by slice" not in page(live(HOURLY).ports, "/loops/birds/versions/1")


def test_the_loop_shows_estimates_beside_what_labels_said() -> None:
    from tests.engine.test_labels_and_bake import labels
    from tests.engine.test_served_estimate import close, hour
    from tests.engine.test_served_estimate import world as estimating

    made = estimating()
    given = hour(made, 2)
    close(made)
    assert "nothing yet" in page(made.ports, "/loops/birds")
    labels(made, csv(given[["row_id", "y"]]))
    (line,) = twin(made.ports, "/loops/birds")["estimates"]
    assert line["holds"] and line["off"] == line["estimate"]["value"] - line["estimate"]["said"]
    html = page(made.ports, "/loops/birds")
    assert checked(html).found == [] and "as if only the inputs had changed" in html
    assert f"{line['off']:+.4f}" in html


def test_a_model_that_was_adopted_under_an_odd_name_has_a_page() -> None:
    assert "registries/shared/models/birds/version/1-a" in STUDIO.model(
        "azureml://registries/shared/models/birds/versions/1-a"
    )
    assert "azureml" in STUDIO.model("azureml://registries/shared/models/birds")


def test_a_version_shows_its_source_its_hash_and_how_each_column_moved(world: World) -> None:
    found = twin(world.ports, "/loops/birds/versions/3")
    assert found["source"] == "landing/birds/2009.csv"
    assert found["moved"][0]["name"] == "body_mass_g" and found["moved"][0]["shape"]["before"]
    html = page(world.ports, "/loops/birds/versions/3")
    assert found["content_hash"][:16] in html
    assert "distribution from" in html and "effect -" in html


def test_a_release_shows_its_gate_and_both_arms_over_time(world: World) -> None:
    found = twin(world.ports, "/loops/birds/releases/2")
    assert [told["what"] for told in found["timeline"]][:2] == ["release.started", "release.training"]
    gate = next(j["gate"] for j in found["judgements"] if j["gate"])
    assert [bar["name"] for bar in gate["bars"]] == ["champion", "challenger"]
    points = [point for step in found["steps"] for point in step["points"]]
    assert points[-1]["canary"]["requests"] > 0 and points[-1]["champion"]["latency_p95_ms"]
    assert found["job_link"].startswith("https://ml.azure.com/runs/birds-r2-a1?wsid=/subscriptions/")
    assert "Evidence against the challenger" in page(world.ports, "/loops/birds/releases/2")


def test_a_release_by_a_batch_endpoint_shows_what_was_compared_drop_by_drop() -> None:
    world = compared()
    world.drop("2008.csv", csv(season(2008)))
    assert ended(world) is Phase.LIVE
    html = page(world.ports, "/loops/birds/releases/2")
    assert "Default deployment" in html and "compared on 2 drops before it is switched" in html
    assert "Drop 2 of 2: the same rows for both" in html and "Latency" not in html
    found = twin(world.ports, "/loops/birds/releases/2")
    assert found["batch"] and [step["weight_pct"] for step in found["steps"]] == [0, 0]


def test_the_audit_answers_for_any_moment_and_checks_the_ledger(world: World) -> None:
    now = twin(world.ports, "/loops/birds/audit")
    assert now["chain"]["release"] == 1 and now["chain"]["until"] is None
    assert now["check"]["whole"] and now["check"]["problems"] == []
    before = world.clock.current - timedelta(days=30)
    assert twin(world.ports, f"/loops/birds/audit?at={before:%Y-%m-%dT%H:%M:%S}")["chain"] is None
    assert "not an ISO 8601 moment" in page(world.ports, "/loops/birds/audit?at=yesterday")


def test_an_edited_ledger_entry_shows(acting_world: World) -> None:
    rows = acting_world.ports.store.rows["birds"]
    key = sorted(key for key in rows if key.startswith("ledger-"))[2]
    object.__setattr__(rows[key], "doc", rows[key].doc.replace("driftloop", "mallory"))
    check = twin(acting_world.ports, "/loops/birds/audit")["check"]
    assert any("was changed after it was written" in problem for problem in check["problems"])


def test_every_link_leads_somewhere_and_every_form_names_its_loop(world: World) -> None:
    """From the overview on, to the last page."""
    waiting, seen = [""], set[str]()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        reply = get(world.ports, path)
        assert reply.status == 200, path
        html = reply.content.decode()
        assert set(re.findall(r'name="loop" value="([^"]*)"', html)) <= {"birds"}
        for href in re.findall(r'href="([^"]+)"', html):
            address = urljoin(f"https://x{BASE}{path}", href.replace("&amp;", "&"))
            if address.startswith(f"https://x{BASE}") and "/tower." not in address and "#" not in address:
                waiting.append(address.removeprefix(f"https://x{BASE}"))
    assert len(seen) > 15


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/loops/none",
        "/loops/birds/versions/99",
        "/loops/birds/releases/0x1",
        "/loops/../x",
        "/loops/%00",
    ],
)
def test_what_is_not_there_is_a_page_that_says_so(world: World, path: str) -> None:
    reply = get(world.ports, path)
    assert reply.status == 404
    assert checked(reply.content.decode()).found == []
    assert json.loads(get(world.ports, path, accept="application/json").content)["message"]


def test_who_may_only_look_is_offered_nothing_to_do(world: World) -> None:
    for path in PAGES:
        assert '<form method="post"' not in page(world.ports, path, caller=LOOKER)
    assert '<form method="post"' in page(world.ports, "/loops/birds")


def test_what_was_live_then_is_what_the_terminal_says() -> None:
    """A page and the command give the same answer."""
    from tests.engine.world import csv, season

    world = World()
    world.publish()
    begun = world.clock.current
    world.drop("2007.csv", csv(season(2007)))
    world.live()
    for year, factor in ((2008, 0.8), (2009, 1.3)):
        world.ticks(3, 60)
        world.drop(f"{year}.csv", csv(season(year, body_mass_g=factor)))
        world.live()
    world.ticks(2, 60)
    moments = [
        begun + timedelta(seconds=s)
        for s in range(-30, int((world.clock.current - begun).total_seconds()), 37)
    ]
    found = [twin(world.ports, f"/loops/birds/audit?at={quote(at.isoformat())}")["chain"] for at in moments]
    told = [answer.audit(world.ports, "birds", at).served for at in moments]
    assert [r and r["release"] for r in found] == [s and s.release for s in told]
    assert {r["release"] for r in found if r} >= {1, 2}


def test_the_observations_of_a_canary_are_thinned_not_lost() -> None:
    """Bounded for each step, the first and the newest always there, other steps untouched."""
    from dataclasses import replace

    from shared.canary.timeline import MAX_POINTS, remember

    world = past()
    release = world.release(2)
    point = release.points[-1]
    before = [one for one in release.points if one.step != 1]
    first = next((one.at for one in release.points if one.step == 1), point.at)
    for n in range(500):
        release = remember(release, replace(point, step=1, at=point.at + timedelta(seconds=n)))
        seen = [one.at for one in release.points if one.step == 1]
        assert len(seen) <= MAX_POINTS and seen == sorted(seen)
    assert (seen[0], seen[-1]) == (first, point.at + timedelta(seconds=499))
    assert [one for one in release.points if one.step != 1] == before


def test_a_version_shows_what_was_rejected_about_then(world: World) -> None:
    """empty.csv came after version 2 and before version 3."""
    shown = {
        n: [a["code"] for a in twin(world.ports, f"/loops/birds/versions/{n}")["asides"]] for n in (1, 2, 3)
    }
    assert shown == {1: [], 2: ["empty-file"], 3: ["empty-file"]}


def test_a_page_of_a_release_that_ends_while_it_is_read_is_shown(acting_world: World) -> None:
    """The loop's row is read, the release ends, then its row is read: a page must not fail over that."""
    from dataclasses import replace

    from shared.runtime import unit_of_work
    from tests.engine.world import csv, season

    world, store = acting_world, acting_world.ports.store
    world.ticks(2, 120)
    world.drop("2008.csv", csv(season(2008, body_mass_g=0.8)))
    stale = store.read("birds", "loop")
    assert unit_of_work.read(world.ports, "birds").state.open_release == 2
    world.act("abort", release=2)
    world.ticks(3)
    assert world.release(2).ended

    class Torn:
        def __getattr__(self, name: str) -> object:
            return getattr(store, name)

        def read(self, loop: str, key: str) -> object:
            return stale if key == "loop" else store.read(loop, key)

    torn = replace(world.ports, store=Torn())
    for path in ("/loops/birds", "", "/loops/birds/releases/2", "/loops/birds/audit"):
        assert get(torn, path).status == 200, path
    found = twin(torn, "/loops/birds")
    assert (found["release"], found["doing"]) == (None, "")
    assert twin(torn, "/loops/birds/audit")["check"]["problems"] == []
    assert answer.audit(torn, "birds").problems == ()


def test_every_kind_of_entry_has_words_of_its_own(world: World) -> None:
    """A kind that is no phase's is not told as the phase that its release happens to be in."""
    from dataclasses import replace

    from shared.domain.release import Phase
    from shared.state import queries
    from tests.tower.test_events_doc import written
    from tower.words import DOING, headline

    entry = queries.entries(world.ports, "birds")[-1]

    def told(what: str) -> str:
        return headline(replace(entry, what=what, before="live", after="live"))

    phases = {f"release.{phase.value}" for phase in Phase}
    plain = {what: told(what) for what in written() - phases}
    assert [what for what, words in plain.items() if words in DOING.values()] == []


def test_the_loop_tells_what_compute_it_has_used() -> None:
    from dataclasses import replace

    from shared.ports import Row
    from shared.runtime import unit_of_work
    from shared.state import rows
    from tests.engine.world import LOOP

    world = World()
    world.publish(LOOP.replace("runs_per_day: 8", "runs_per_day: 8, compute_per_day: 4h"))
    now = world.clock.current
    state = replace(
        unit_of_work.read(world.ports, "birds").state, spent=((now, 5400.0), (now - timedelta(days=2), 9.0))
    )
    world.ports.store.rows["birds"][rows.LOOP] = Row(rows.LOOP, rows.encode(state), "e")
    found = twin(world.ports, "/loops/birds")
    assert (found["compute_used_s"], found["compute_s"]) == (5400, 14400)
    assert "1.5 h of 4.0 h of compute" in page(world.ports, "/loops/birds")
