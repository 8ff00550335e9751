"""What the canary counts, what it leaves out, and that its stored evidence gives the same verdict again."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pandas as pd
import pytest

from shared.audit import evidence_replay
from shared.canary import canary_evidence
from shared.canary.arms import CanaryEvidence
from shared.canary.live_counts import Scale, counts_from
from shared.canary.shadow import Shadow
from shared.domain.reason import Code
from shared.domain.release import Outcome, Phase, Release
from shared.memory import MemoryRequest
from shared.ports import Replace
from shared.release.observations import CanarySeen
from shared.runtime import tick, unit_of_work
from shared.state import rows
from shared.words import say
from tests.engine.world import LOOP, Model, World, by_bill, csv, lived, overheard, season

SHIFT = "{prediction_shift: 0.2}"


def loop(margins: str = "{}", slices: str = "") -> str:
    text = LOOP.replace("bake_minutes: 1", f"bake_minutes: 1, margins: {margins}")
    return text.replace("gate: {margin: 0.1,", f"gate: {{margin: 0.1, {slices}") if slices else text


def in_canary(world: World, text: str = LOOP, *, seen: bool = False) -> Release:
    world.take(_canary(text, seen))
    return world.release(2)


@lived
def _canary(text: str, seen: bool = False) -> World:
    """Of birds; `seen`: and when they were."""

    def drop(birds: pd.DataFrame) -> bytes:
        return csv(birds.assign(seen="2024-03-19T12:00:00") if seen else birds)

    world = World()
    world.publish(text)
    world.drop("2007.csv", drop(season(2007)))
    world.live()
    world.ticks(10)
    world.drop("2009.csv", drop(season(2009, body_mass_g=1.3)))
    for _ in range(10):
        if world.release(2).phase is Phase.CANARY:
            break
        world.ticks(1, seconds=2)
    assert world.release(2).phase is Phase.CANARY, world.release(2).reason
    return world


def live(world: World, n: int = 200, latency_ms: dict[str, float] | None = None, **also: Model) -> None:
    """Live requests of the last ten seconds, with what the collector wrote of them; birds in random order."""
    birds = last_birds()
    models = {name.replace("_", "-"): model for name, model in also.items()}
    for deployment, weight in world.ports.serving.traffic("birds").items():
        share = round(n * weight / 100)
        for index in range(share):
            at = world.clock.now() - timedelta(seconds=10 * (index + 1) / (share + 1))
            bird = dict(birds[(index * 37 + int(at.timestamp())) % len(birds)])
            ms = (latency_ms or {}).get(deployment, 10.0) + index % 7
            world.ports.evidence.requests.setdefault("birds", []).append(
                MemoryRequest(at, deployment, 200, ms, f"user-{index}")
            )
            row = {
                "id": f"{at.timestamp()}-{index}",
                "time": at.isoformat(),
                "inputs": bird,
                "output": models.get(deployment, by_bill)(bird),
            }
            world.ports.evidence.rows.setdefault(("birds", deployment), []).append(row)


@cache
def last_birds() -> list[dict[str, object]]:
    """What is asked of the models."""
    birds = season(2009).drop(columns=["species", "row_id", "year"])
    return list(json.loads(birds.to_json(orient="records")))


def go_on(world: World, looks: int, traffic: Callable[[], None]) -> Release:
    for _ in range(looks):
        world.clock.advance(10)
        if world.release(2).phase in (Phase.CANARY, Phase.SHIFTING):
            traffic()
        tick.tick(world.ports)
    return world.release(2)


def worst(release: Release) -> object:
    """The metric, or where it has none the code, of what a rollback rests on first."""
    assert release.reason is not None and release.reason.code is Code.CANARY_ROLLED_BACK, say(release.reason)
    first = release.reason.because[0]
    return first.facts.get("metric", first.code)


def test_the_first_moments_and_our_own_requests_are_left_out(world: World) -> None:
    release = in_canary(world)
    published = unit_of_work.read(world.ports, "birds").published(release.definition)
    since = counts_from(release, published.definition)
    assert since - release.phase_since_at == timedelta(seconds=6)
    log = world.ports.evidence.requests.setdefault("birds", [])
    log += [MemoryRequest(since - timedelta(seconds=1), "r2-a1", 500)] * 40
    log += [MemoryRequest(since + timedelta(seconds=1), "r2-a1", 500, request_id="driftloop-shadow-1")] * 40
    log += [MemoryRequest(since + timedelta(seconds=1), "r1-a1", 200, request_id="user")] * 9
    world.clock.advance(20)
    seen = canary_evidence.measure(unit_of_work.read(world.ports, "birds"), release, published)
    assert isinstance(seen, CanarySeen) and seen.point is not None
    assert (seen.point.canary.requests, seen.point.champion.requests) == (0, 9)


def test_errors_are_counted_by_the_minute_for_the_exact_test(world: World) -> None:
    release = in_canary(world)
    published = unit_of_work.read(world.ports, "birds").published(release.definition)
    since = counts_from(release, published.definition)
    log = world.ports.evidence.requests.setdefault("birds", [])
    for after in range(1, 200):
        at = since + timedelta(seconds=after)
        log += [MemoryRequest(at, "r2-a1", 500 if after % 2 else 200), MemoryRequest(at, "r1-a1", 200)]
    world.clock.advance(300)
    unit = unit_of_work.read(world.ports, "birds")
    scale = Scale()
    seen, _ = canary_evidence.gather(
        unit, release, published.definition, world.clock.now(), scale, Shadow.of({})
    )
    assert seen.windows
    requests, errors = (
        [sum(arm) for arm in zip(*(getattr(one, what) for one in seen.windows), strict=True)]
        for what in ("requests", "errors")
    )
    assert 0 < requests[0] == requests[1] < seen.canary.requests, "the last minute is not complete"
    assert (errors[1], abs(2 * errors[0] - requests[0]) <= 1) == (0, True)
    assert [one.elapsed for one in seen.windows] == sorted(one.elapsed for one in seen.windows)


def test_a_failed_query_is_an_error_that_holds_and_is_told(world: World) -> None:
    in_canary(world)
    world.ports.evidence.unavailable = "the log is not well"
    release = go_on(world, 20, lambda: live(world))
    assert release.phase is Phase.CANARY
    assert "the log is not well" in say(release.waiting_for)
    assert release.points[-1].outcome is Outcome.ERROR
    assert Outcome.ADVANCE not in {point.outcome for point in release.points}


@pytest.mark.parametrize(("errors", "phase"), [(0.0, Phase.BAKING), (0.05, Phase.ROLLED_BACK)])
def test_evidence_ten_minutes_late_still_decides_rightly(world: World, errors: float, phase: Phase) -> None:
    in_canary(world)
    world.ports.evidence.late = timedelta(minutes=10)
    release = go_on(world, 60, lambda: world.traffic(errors={"r2-a1": errors}))
    assert (release.phase, release.step) == (Phase.CANARY, 0), "ten minutes on, next to nothing is known"
    weights = set()
    for _ in range(30):
        release = go_on(world, 5, lambda: world.traffic(errors={"r2-a1": errors}))
        weights.add(world.ports.serving.traffic("birds").get("r2-a1", 0))
        if release.phase in (Phase.BAKING, Phase.ROLLED_BACK):
            break
    assert release.phase is phase, release.waiting_for
    if errors:
        assert worst(release) == "errors"
        assert 100 not in weights


def test_a_slow_canary_is_taken_back_for_its_latency(world: World) -> None:
    in_canary(world)
    release = go_on(world, 20, lambda: live(world, latency_ms={"r1-a1": 80, "r2-a1": 240}))
    assert release.phase is Phase.ROLLED_BACK
    assert worst(release) == Code.METRIC_LATENCY


def test_shifted_predictions_are_told_but_take_nothing_back_without_a_margin(world: World) -> None:
    in_canary(world)
    release = go_on(world, 30, lambda: live(world, r2_a1=lambda bird: "Adelie"))
    assert release.phase not in (Phase.ROLLED_BACK, Phase.CANARY)
    told = say(release.judgements[2].reasons[2])
    assert told.startswith("predictions: ")
    assert "for information only" in told


def test_shifted_predictions_beyond_the_margin_are_taken_back(world: World) -> None:
    in_canary(world, loop(SHIFT))
    release = go_on(world, 20, lambda: live(world, r2_a1=lambda bird: "Adelie"))
    assert release.phase is Phase.ROLLED_BACK
    assert worst(release) == "predictions"


def test_a_canary_that_differs_on_one_slice_only_is_taken_back_for_it(world: World) -> None:
    in_canary(world, loop(SHIFT, "slices: {by: [sex], floor: 0.5, min_rows: 10},"))

    def wrong_about_males(bird: dict[str, object]) -> str:
        return "Adelie" if bird["sex"] == "male" else by_bill(bird)

    release = go_on(world, 20, lambda: live(world, r2_a1=wrong_about_males))
    assert release.phase is Phase.ROLLED_BACK
    assert "predictions in sex=male" in say(release.reason)
    assert "sex=female" not in say(release.reason)


def test_a_canary_that_differs_in_one_band_of_a_number_is_taken_back_for_it(world: World) -> None:
    """The gate made bands of a column of many numbers; requests are counted in the same ones."""
    in_canary(world, loop(SHIFT, "slices: {by: [body_mass_g], floor: 0.5, min_rows: 5},"))

    def wrong_about_the_heavy(bird: dict[str, object]) -> str:
        return "Adelie" if float(str(bird["body_mass_g"])) > 4_900 else by_bill(bird)

    release = go_on(world, 20, lambda: live(world, r2_a1=wrong_about_the_heavy))
    assert release.phase is Phase.ROLLED_BACK
    assert "predictions in body_mass_g=over " in say(release.reason)
    assert "body_mass_g=to " not in say(release.reason)


def test_a_margin_asks_for_its_evidence(world: World) -> None:
    in_canary(world, loop(SHIFT))
    release = go_on(world, 20, lambda: world.traffic())
    assert release.phase is Phase.CANARY
    assert release.waiting_for is not None
    assert Code.CANARY_METRIC_MISSING in release.waiting_for.codes()


def test_recent_requests_are_replayed_in_pairs_bounded_and_stamped(world: World) -> None:
    in_canary(world)
    world.models["r2-a1"] = lambda bird: "Gentoo"
    release = go_on(world, 12, lambda: live(world))
    document = json.loads(world.ports.documents.get(release.judgements[2].evidence))
    pairs = document["evidence"]["shadow"]
    assert 50 <= pairs["agree"] + pairs["disagree"] <= 200
    assert set(pairs["flips"]) == {"Adelie -> Gentoo"}
    assert any(
        "shadow: " in say(one) and "Adelie -> Gentoo" in say(one) for one in release.judgements[2].reasons
    )
    assert any(stamp.startswith("shadow-birds-r2-a1") for stamp in world.ports.serving.stamps)


def shadows_of(
    world: World, more: Callable[[int], dict[str, object]], *, seen: bool = False
) -> list[dict[str, list[Any]]]:
    """What a canary is asked whose live requests have `more`, by their place."""
    in_canary(world, seen=seen)
    asked = overheard(world)

    def traffic() -> None:
        live(world)
        for collected in world.ports.evidence.rows.values():
            for number, row in enumerate(collected):
                row["inputs"] |= more(number)  # type: ignore[operator]  # JSON of this file's own

    go_on(world, 3, traffic)
    assert asked
    return [json.loads(each)["input_data"] for each in asked]


def test_a_shadow_request_bears_no_id_by_which_it_could_pass_for_a_strangers(world: World) -> None:
    asked = shadows_of(world, lambda number: {"row_id": number})
    assert not any("row_id" in each["columns"] for each in asked)


def test_a_shadow_request_has_whole_numbers_as_they_were_sent(world: World) -> None:
    """An endpoint whose signature says long refuses 2.0."""
    asked = shadows_of(world, lambda number: {"rings": 2**60 + 1 if number % 2 else None})
    for each in asked:
        place = each["columns"].index("rings")
        assert {row[place] for row in each["data"]} == {None, 2**60 + 1}
        assert not any(isinstance(row[place], float) for row in each["data"])


def test_a_shadow_request_has_a_time_as_a_text_although_the_collector_keeps_a_number(world: World) -> None:
    """azureml-ai-monitoring 1.0.0, payload/logdata.py: `to_json(orient="records")`."""
    kept = {"seen": 1710849600000, "rings": 1710849600000}
    for each in shadows_of(world, lambda number: dict(kept), seen=True):
        said = dict(zip(each["columns"], each["data"][0], strict=True))
        assert (said["seen"], said["rings"]) == ("2024-03-19T12:00:00.000000", 1710849600000)


def test_an_answer_that_the_collector_has_in_no_readable_form_makes_no_pair(world: World) -> None:
    in_canary(world, loop("{shadow_disagreement: 0.1}"))

    def traffic() -> None:
        live(world)
        for name, kept in world.ports.evidence.rows.items():
            two = {"species": "Adelie", "sure": 0.9}
            world.ports.evidence.rows[name] = [{**row, "output": two} for row in kept]

    release = go_on(world, 12, traffic)
    assert release.phase is Phase.CANARY and release.waiting_for is not None
    assert Code.CANARY_METRIC_MISSING in release.waiting_for.codes()


def test_a_shadow_margin_takes_a_canary_back(world: World) -> None:
    in_canary(world, loop("{shadow_disagreement: 0.1}"))
    world.models["r2-a1"] = lambda bird: "Gentoo"
    release = go_on(world, 20, lambda: live(world))
    assert release.phase is Phase.ROLLED_BACK
    assert worst(release) == Code.METRIC_SHADOW


def test_numbers_are_counted_in_bands_fixed_beforehand() -> None:
    bands = Scale((1.0, 2.0), numeric=True)
    assert [bands.name(v) for v in (0.5, 1.0, 1.5, 2.0, 7)] == [
        "under 1",
        "1 to 2",
        "1 to 2",
        "2 or more",
        "2 or more",
    ]
    assert [bands.name(v) for v in (float("nan"), None, "text", True, [1.0])] == [None] * 5
    assert bands.same(1.0, 1.05)
    assert not bands.same(1.0, 1.2)
    assert not any(one.same(None, None) or one.same({"a": 1}, {"a": 1}) for one in (bands, Scale()))


def finished(world: World) -> Release:
    in_canary(world)
    release = go_on(world, 40, lambda: live(world))
    assert [j.kind.value for j in release.judgements][:4] == ["smoke", "gate", "canary", "canary"]
    return release


def test_every_verdict_of_a_release_is_had_again(world: World) -> None:
    finished(world)
    for number in (1, 2):
        again = evidence_replay.replay(world.ports, "birds", number)
        assert again and all(one.same for one in again), again


def test_looks_that_held_are_had_again_and_are_few(world: World) -> None:
    in_canary(world, loop().replace("min_requests: 50", "min_requests: 300"))
    release = go_on(world, 25, lambda: live(world))
    stored = [point for point in release.points if point.outcome is Outcome.HOLD and point.evidence]
    assert 3 < len(stored) < len(release.points) - 5
    again = [
        one
        for one in evidence_replay.replay(world.ports, "birds", 2)
        if one.judgement.outcome is Outcome.HOLD
    ]
    assert [one.judgement.evidence for one in again] == [point.evidence for point in stored]
    assert all(one.same for one in again), again
    document = json.loads(world.ports.documents.get(stored[-1].evidence))
    document["evidence"]["canary"]["errors"] += 9
    spoiled = world.ports.documents.put(json.dumps(document, sort_keys=True).encode())
    row = world.ports.store.read("birds", rows.release_key(2))
    assert row is not None
    world.ports.store.commit(
        "birds", [Replace(row.key, row.doc.replace(stored[-1].evidence, spoiled), row.etag)]
    )
    different = [one for one in evidence_replay.replay(world.ports, "birds", 2) if not one.same]
    assert [one.judgement.outcome for one in different] == [Outcome.HOLD]
    assert different[0].differences[0].code is Code.REPLAY_VERDICT_DIFFERS


@pytest.mark.parametrize(
    ("verdict", "path", "value", "words"),
    [
        (1, ("evidence", "challenger", 0), "Chinstrap", "judged again"),
        (1, ("policy", "margin"), 0.5, "margin is 0.1, stored is 0.5"),
        (2, ("evidence", "canary", "errors"), 30, "judged again"),
        (2, ("policy", "alpha"), 0.5, "alpha is 0.01, stored is 0.5"),
        (0, ("evidence", 0, "status"), 500, "judged again"),
    ],
)
def test_an_edited_document_is_noticed_even_under_its_new_hash(
    world: World, verdict: int, path: tuple[str | int, ...], value: object, words: str
) -> None:
    release = finished(world)
    old = release.judgements[verdict]
    document = json.loads(world.ports.documents.get(old.evidence))
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    digest = world.ports.documents.put(json.dumps(document, sort_keys=True).encode())
    row = world.ports.store.read("birds", rows.release_key(2))
    assert row is not None
    world.ports.store.commit("birds", [Replace(row.key, row.doc.replace(old.evidence, digest), row.etag)])
    again = evidence_replay.replay(world.ports, "birds", 2)
    assert [one.same for one in again].count(False) == 1
    assert words in "; ".join(say(one) for one in again[verdict].differences)


def gathered(world: World, text: str, requests: list[MemoryRequest]) -> CanaryEvidence:
    """What the canary's judge is given of these requests, which come at the seconds from when counting began."""
    release = in_canary(world, text)
    published = unit_of_work.read(world.ports, "birds").published(release.definition)
    since = counts_from(release, published.definition)
    log = world.ports.evidence.requests.setdefault("birds", [])
    log += [one._replace(at=since + (one.at - datetime.min.replace(tzinfo=UTC))) for one in requests]
    for one in log:
        if one.service_id:
            row = {"time": one.at.isoformat(), "inputs": {}, "output": "Adelie"}
            rows = world.ports.evidence.rows.setdefault(("birds", one.deployment), [])
            rows += [{**row, "id": f"{one.service_id}_{n}", "request": one.service_id} for n in range(3)]
    world.clock.advance(300)
    unit, now = unit_of_work.read(world.ports, "birds"), world.clock.now()
    return canary_evidence.gather(unit, release, published.definition, now, Scale(), Shadow.of({}))[0]


def asked(second: float, deployment: str, who: str, *, fails: bool = False) -> MemoryRequest:
    at = datetime.min.replace(tzinfo=UTC) + timedelta(seconds=second)
    status = 500 if fails else 200
    return MemoryRequest(at, deployment, status, 10.0, who, who, f"{who}-{second}")


def callers() -> list[MemoryRequest]:
    """Ann begins on the champion, Ben fails first and then no more, Cyd names nobody; Dan's only error comes late."""
    ann = [asked(1, "r1-a1", "ann"), asked(2, "r2-a1", "ann", fails=True)]
    ben = [asked(3, "r2-a1", "ben", fails=True), *(asked(4 + n, "r2-a1", "ben") for n in range(60))]
    dan = [asked(5, "r2-a1", "dan"), asked(70, "r2-a1", "dan", fails=True)]
    return [*ann, *ben, *dan, *(asked(8 + n / 10, "r2-a1", "", fails=True) for n in range(9))]


def test_where_callers_are_the_unit_each_counts_once_with_its_first_request(world: World) -> None:
    text = LOOP.replace("canary: {", "canary: {unit: identity, ")
    seen = gathered(world, text, callers())
    assert (seen.champion.requests, seen.champion.errors) == (1, 0)
    assert (seen.canary.requests, seen.canary.errors, sum(seen.canary.latency)) == (2, 1, 1)
    assert seen.nameless == 9
    assert (sum(seen.canary.predictions.values()), sum(seen.champion.predictions.values())) == (2, 1)
    assert [sum(one.requests[arm] for one in seen.windows) for arm in (0, 1)] == [2, 1]


def test_by_default_each_request_counts_and_of_its_rows_the_first(world: World) -> None:
    seen = gathered(world, LOOP, callers())
    assert (seen.champion.requests, seen.canary.requests, seen.nameless) == (1, 73, 0)
    assert sum(seen.canary.predictions.values()) == 72, (
        "one of each request but of the newest, at the watermark"
    )


def test_too_few_callers_hold_and_those_who_name_none_are_told(world: World) -> None:
    release = in_canary(world, LOOP.replace("canary: {", "canary: {unit: client_id, "))

    def nameless() -> None:
        live(world)
        log = world.ports.evidence.requests["birds"]
        log[:] = [one._replace(request_id="") for one in log]

    release = go_on(world, 10, nameless)
    assert release.phase is Phase.CANARY
    told = say(release.waiting_for)
    assert "the canary has 0 callers of at least 50" in told
    assert "requests name no caller (canary.unit: client_id)" in told
