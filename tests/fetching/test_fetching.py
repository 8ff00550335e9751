"""A source's rows land once an occurrence, and nothing new is nothing."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from shared import loopfile
from shared.errors import DependencyUnavailable, InputRejected
from shared.intake import source
from shared.loopfile import LoopFileError
from shared.ports import Fetched
from shared.state import queries
from shared.words import spoken
from tests.engine.world import LOOP, World, csv, season

WITH_SOURCE = LOOP.replace(
    "data: {", 'data: {source: {url: "https://birds.example/season?key=secret", every: "0 0 22 * * 1-5"}, '
)


@pytest.fixture
def world() -> World:
    made = World()
    made.ports.sources.content = csv(season(2007))
    made.ports.sources.etag = '"2007"'
    made.publish(WITH_SOURCE)
    return made


def told(world: World, what: str) -> list[dict[str, str]]:
    return [spoken(e.detail) for e in queries.entries(world.ports, "birds") if e.what == what]


def next_day(world: World, days: int = 1) -> None:
    world.clock.advance(timedelta(days=days).total_seconds())
    world.ticks(2, seconds=1)


def test_what_is_fetched_goes_the_ordinary_way_to_a_live_model(world: World) -> None:
    assert world.live() == 1
    version = queries.loop(world.ports, "birds").versions[0]
    assert version.number == 1
    name = version.source.rpartition("/")[2]
    assert name.endswith("Z.csv") and name[:2] == "20"
    assert len(world.ports.sources.asked) == 1


def test_a_closed_market_is_skipped_with_its_reason(world: World) -> None:
    world.live()
    next_day(world)
    next_day(world)
    assert len(world.ports.sources.asked) == 3
    assert world.state.next_version == 2
    assert world.state.next_release == 2
    assert [entry["reason"] for entry in told(world, "source.unchanged")] == [
        "skipped: the source has nothing new since the last fetch"
    ] * 2


def test_a_source_without_etags_that_gives_the_same_bytes_is_skipped_too(world: World) -> None:
    world.ports.sources.etag = ""
    world.live()
    next_day(world)
    assert world.state.next_version == 2
    assert len(told(world, "source.unchanged")) == 1


def test_an_etag_of_one_address_is_not_told_to_another(world: World) -> None:
    world.live()
    world.publish(WITH_SOURCE.replace("birds.example", "other.example"))
    world.ports.sources.content = csv(season(2008))  # under the same ETag, by chance
    next_day(world)
    assert world.ports.sources.asked[-1].startswith("https://other.example")
    assert world.state.next_version == 3


def test_what_one_address_failed_is_not_held_against_another(world: World) -> None:
    world.ports.sources.fails = DependencyUnavailable("birds.example answered 503", 60)
    world.ticks(20, seconds=60)
    asked = len(world.ports.sources.asked)
    assert 3 <= asked < source.MOST_FAILURES, "it waits for long by now"
    world.publish(WITH_SOURCE.replace("birds.example", "other.example"))
    world.ticks(2, seconds=1)
    assert world.ports.sources.asked[asked:] == ["https://other.example/season?key=secret"]
    assert world.state.source.failures == 1
    world.ports.sources.fails = None
    next_day(world)
    assert world.live() == 1


def test_occurrences_that_were_missed_are_one(world: World) -> None:
    world.live()
    world.ports.sources.content, world.ports.sources.etag = csv(season(2008)), '"2008"'
    next_day(world, days=14)
    assert len(world.ports.sources.asked) == 2
    assert world.state.next_version == 3


def test_two_fetches_on_one_day_are_two_drops(world: World) -> None:
    world.publish(WITH_SOURCE.replace("0 0 22 * * 1-5", "0 0 * * * *"))
    world.live()
    names = set()
    for year in (2008, 2009):
        world.ports.sources.content, world.ports.sources.etag = csv(season(year)), f'"{year}"'
        world.clock.advance(3600)
        world.ticks(2, seconds=1)
        names.add(queries.loop(world.ports, "birds").versions[0].source)
    assert world.state.next_version == 4
    assert len(names) == 2


def test_a_source_that_is_away_is_tried_again_further_apart_and_then_left_until_next_time(
    world: World,
) -> None:
    world.ports.sources.fails = DependencyUnavailable("birds.example answered 503", 60)
    world.ticks(200, seconds=60)
    assert len(world.ports.sources.asked) == source.MOST_FAILURES
    assert "attempts: 8" in told(world, "source.given_up")[0]["reason"]
    world.ports.sources.fails = None
    next_day(world, days=3)
    assert world.live() == 1


def test_a_refusal_is_told_and_other_work_goes_on(world: World) -> None:
    world.ports.sources.fails = InputRejected("source-refused", "birds.example answered 404")
    world.drop("2007.csv", csv(season(2007)))
    assert world.live() == 1
    assert len(world.ports.sources.asked) == 1
    assert "answered 404" in told(world, "source.given_up")[0]["reason"]


def test_no_secret_of_the_address_is_told(world: World) -> None:
    world.live()
    rows = world.ports.store.range("birds", "ledger-")
    assert all("secret" not in row.doc for row in rows)


def test_json_rows_become_csv() -> None:
    rows = [{"date": "2026-11-20", "close": 1.5}, {"date": "2026-11-21", "close": None, "note": "a,b"}]
    wanted = b'date,close,note\n2026-11-20,1.5,\n2026-11-21,,"a,b"\n'
    plain = Fetched(json.dumps(rows).encode(), False, "", "", "application/json")
    assert source.as_csv(plain, "") == wanted
    deep = Fetched(json.dumps({"data": {"prices": rows}}).encode(), False, "", "", "")
    assert source.as_csv(deep, "data.prices") == wanted


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"{", "source-not-json"),
        (b"[" * 100_000, "source-not-json"),
        (b'{"error": "no"}', "source-no-rows"),
        (b"[1, 2]", "source-no-rows"),
        (b'[{"a": [1]}]', "source-nested"),
    ],
)
def test_json_that_is_no_table_is_refused_by_name(content: bytes, code: str) -> None:
    with pytest.raises(InputRejected) as refused:
        source.as_csv(Fetched(content, False, "", "", "application/json"), "")
    assert refused.value.code == code


@pytest.mark.parametrize("url", ["http://example.com/", "https://a@example.com/", "ftp://example.com/", "/x"])
def test_a_loop_file_names_only_https_addresses(url: str) -> None:
    with pytest.raises(LoopFileError, match=r"data\.source\.url"):
        loopfile.parse(WITH_SOURCE.replace("https://birds.example/season?key=secret", url), file="loop.yaml")


DATED = WITH_SOURCE.replace("/season?key=secret", "/{place}/{since}/{date:%Y%m%d}?key=secret").replace(
    "source: {", "source: {values: {place: Dream & Biscoe}, "
)


def test_the_address_has_the_day_that_is_asked_for_the_one_before_and_names(world: World) -> None:
    """The clock begins on Thursday, 1 January 2026; asked at ten in the evening, Monday to Friday."""
    world.publish(DATED)
    world.clock.advance(timedelta(days=1, hours=22, minutes=1).total_seconds())
    world.ticks(2, seconds=1)
    friday = "https://birds.example/Dream%20%26%20Biscoe/2026-01-01/20260102?key=secret"
    assert world.ports.sources.asked[-1] == friday
    next_day(world, days=3)
    assert world.ports.sources.asked[-1] == friday.replace("2026-01-01/20260102", "2026-01-02/20260105")


def test_what_one_days_address_said_is_not_told_to_the_next_and_a_failed_day_waits_as_any(
    world: World,
) -> None:
    world.publish(DATED)
    world.ports.sources.fails = DependencyUnavailable("birds.example answered 503", 60)
    world.clock.advance(timedelta(days=1, hours=22, minutes=1).total_seconds())
    world.ticks(20, seconds=60)
    assert 2 <= len(world.ports.sources.asked) < source.MOST_FAILURES + 2, "further and further apart"
    world.ports.sources.fails, world.ports.sources.etag = None, '"same"'
    next_day(world, days=3)
    version = world.state.next_version
    world.ports.sources.content = csv(season(2008))  # under the ETag that Monday's address had
    next_day(world)
    assert world.state.next_version == version + 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("{place}", "{spot}"), 'data.source.url: found "{spot}"'),
        (("values: {place: ", "values: {place: a, other: "), 'data.source.values: found "other"'),
        (("values: {place: ", "values: {place: a, date: "), "days"),
        (("birds.example/", "{place}.example/"), "one host"),
        (("{since}", "{since"), "a { for each }"),
        (("%Y%m%d", "%H"), "{date:%H}"),
    ],
)
def test_an_address_that_cannot_be_filled_is_refused_with_what_may_stand_there(
    change: tuple[str, str], words: str
) -> None:
    with pytest.raises(LoopFileError) as error:
        loopfile.parse(DATED.replace(*change), file="loop.yaml")
    assert words in str(error.value)
