"""Drops in somebody else's storage account: events of it are read where a loop file names it, and nowhere else."""

from __future__ import annotations

import pytest

from shared import loopfile
from shared.domain.event import InboxState
from shared.errors import ConfigurationError
from shared.inbox import unrouted
from shared.runtime import tick
from tests.engine.world import LOOP, World, created, csv, season
from tests.events.test_renames import records, versions

PARTNER = "https://partner.dfs.core.windows.net"
ELSEWHERE = LOOP.replace("landing: landing/birds/", "landing: partner:outbox/birds/")


def test_a_drop_in_another_account_becomes_a_version_under_its_etag() -> None:
    world = World()
    world.publish(ELSEWHERE)
    first = world.ports.blobs.upload("partner:outbox", "birds/2007.csv", csv(season(2007)))
    second = world.ports.blobs.upload("partner:outbox", "birds/2007.csv", csv(season(2008)))
    for blob in (first, second):
        world.send(created(f"{PARTNER}/outbox/birds/2007.csv", blob.etag))
    (version,) = versions(world)
    assert (version.source, version.etag) == ("partner:outbox/birds/2007.csv", second.etag)
    assert version.rows == len(season(2008))
    assert sorted(one.state for one in records(world)) == [InboxState.DONE, InboxState.SUPERSEDED]


def test_a_container_of_ours_is_another_than_one_of_the_same_name() -> None:
    world = World()
    world.publish(LOOP.replace("landing: landing/birds/", "landing: partner:landing/birds/"))
    world.drop("2007.csv", csv(season(2007)))
    assert versions(world) == []
    ((_, kept),) = unrouted.newest(world.ports, 9)
    assert kept.reason.code.value == "no-landing"


def test_events_of_an_account_that_no_loop_names_are_kept_and_read_once_one_does() -> None:
    world = World()
    world.publish()
    blob = world.ports.blobs.upload("partner:outbox", "birds/2007.csv", csv(season(2007)))
    world.send(created(f"{PARTNER}/outbox/birds/2007.csv", blob.etag))
    ((_, kept),) = unrouted.newest(world.ports, 9)
    assert kept.reason.code.value == "no-landing"
    assert "partner:outbox/birds/2007.csv" in str(kept.reason.facts["blob"])
    world.publish(ELSEWHERE)
    tick.sweep(world.ports, "https://account.blob.core.windows.net")
    world.ticks(2)
    assert len(versions(world)) == 1


def test_the_sweep_finds_what_no_event_told_of_in_another_account() -> None:
    world = World()
    world.publish(ELSEWHERE)
    for part in ("part-0.csv", "_SUCCESS"):
        world.ports.blobs.upload(
            "partner:outbox", f"birds/run1/{part}", csv(season(2007)) if part[0] == "p" else b""
        )
    assert world.sweep() == 2
    world.ticks(2)
    assert [version.source for version in versions(world)] == ["partner:outbox/birds/run1/"]


def test_what_cannot_be_read_is_quarantined_under_the_name_of_its_account() -> None:
    world = World()
    world.publish(ELSEWHERE)
    blob = world.ports.blobs.upload("partner:outbox", "birds/a.csv", b"PK\x03\x04 no table")
    world.send(created(f"{PARTNER}/outbox/birds/a.csv", blob.etag))
    (key,) = world.ports.blobs.quarantined
    assert key == ("partner:outbox", "birds/a.csv", blob.etag)


def test_labels_may_land_in_another_account_than_drops() -> None:
    world = World()
    world.publish(LOOP.replace("id: row_id", "id: row_id, labels: partner:outbox/labels/"))
    overview = world.ports.store.overview("birds")
    assert overview is not None
    assert (overview.landing, overview.labels) == ("landing/birds/", "partner:outbox/labels/")
    blob = world.ports.blobs.upload("partner:outbox", "labels/1.csv", b"row_id,species\nx,Adelie\n")
    world.send(created(f"{PARTNER}/outbox/labels/1.csv", blob.etag))
    (record,) = records(world)
    assert record.kind.value == "labels"


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("https://partner.blob.core.windows.net/outbox/birds/", r"\[account:\]container/prefix"),
        ("evil.example:outbox/birds/", r"\[account:\]container/prefix"),
        ("Partner:outbox/birds/", r"\[account:\]container/prefix"),
    ],
)
def test_a_place_names_an_account_and_never_a_host(place: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        loopfile.parse(LOOP.replace("landing/birds/", f'"{place}"'), file="loop.yaml")


def test_a_source_writes_into_no_account_but_ours() -> None:
    source = "source: {url: 'https://birds.example/x', every: '0 0 3 * * 1'}, target: species"
    text = ELSEWHERE.replace("target: species", source)
    with pytest.raises(ConfigurationError, match=r"loop.yaml:3.*Driftloop's own storage account"):
        loopfile.parse(text, file="loop.yaml")
    assert loopfile.parse(text.replace("partner:outbox/", "landing/"), file="loop.yaml").data.source
