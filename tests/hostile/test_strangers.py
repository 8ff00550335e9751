"""T12: names, addresses and formulas of strangers are text, shown and kept and never followed (S01 to S05, S09)."""

from __future__ import annotations

import io
import json
from csv import QUOTE_ALL
from urllib.parse import quote

import pandas as pd
import pytest

from shared.domain.event import InboxState
from shared.inbox import messages, unrouted
from shared.redaction import printable, redacted
from shared.state import queries
from shared.words import say
from tests.engine.world import ACCOUNT, World, created, csv, season
from tests.hostile.corpus import ADDRESSES, FORMULAS, MARK, NAMES, UNADDRESSABLE, UNLISTED
from tests.hostile.watching import watched
from tests.tower.tower import checked, get, page, twin

SOUND = csv(season(2007))


def assert_told_safely(world: World, log: io.StringIO) -> None:
    """On every page nothing but text, in the log a line of JSON each, in a terminal nothing that steers it."""
    for path in ("", "/loops/birds", "/loops/birds/audit"):
        assert checked(page(world.ports, path)).found == [], path
    for line in log.getvalue().split("\n")[:-1]:
        assert line.isascii() and line.isprintable() and json.loads(line)
    for record in queries.inbox(world.ports, "birds"):
        assert printable(f"{record.body['name']}: {say(record.reason)}").isprintable()


def assert_goes_on(world: World) -> None:
    """What a stranger sent keeps no sound drop from being read."""
    before = world.state.next_version
    world.drop("sound.csv", csv(season(2008)))
    assert world.state.next_version == before + 1


@pytest.mark.parametrize("spelling", [quote, str], ids=["encoded", "raw"])
@pytest.mark.parametrize("name", [*NAMES, UNLISTED, *UNADDRESSABLE], ids=ascii)
def test_a_name_is_text_wherever_it_goes(name: str, spelling: object, log: io.StringIO) -> None:
    assert MARK in name, "or it could not be found in what was opened"
    world = World()
    world.publish()
    etag = "0x1"
    if name not in UNADDRESSABLE:
        etag = world.ports.blobs.upload("landing", f"birds/{name}", SOUND).etag
    in_url = quote(name, errors="surrogatepass") if spelling is quote else name

    with watched() as seen:
        world.send(created(f"{ACCOUNT}/landing/birds/{in_url}", etag))

    assert [event for event in seen if MARK in event] == [], (
        "a stranger's name was opened, run or connected to"
    )
    assert len(queries.inbox(world.ports, "birds")) == 1
    (record,) = queries.inbox(world.ports, "birds")
    assert record.state is not InboxState.NEW
    assert say(record.reason).strip()
    if name in UNADDRESSABLE:
        assert record.state is not InboxState.DONE
    elif spelling is quote:
        assert record.body["name"] == f"birds/{name}", "it is another name"
    assert_told_safely(world, log)
    assert_goes_on(world)


@pytest.mark.parametrize("address", ADDRESSES, ids=ascii)
def test_an_address_in_an_event_is_never_asked(address: str, log: io.StringIO) -> None:
    """Of a blob's event, an alert, a monitor's breach; and as the subject or the topic."""
    world = World()
    world.publish()
    essentials = {"alertRule": "birds-" + address, "originAlertId": address, "monitorCondition": "Fired"}
    links = {"description": address, "firedDateTime": address, "investigationLink": address}
    context = {"condition": {"allOf": [{"linkToSearchResultsAPI": address, "metricName": address}]}}
    alert = {"essentials": essentials | links, "alertContext": context, "customProperties": {"url": address}}
    monitored = {"eventType": "Microsoft.MachineLearningServices.DatasetDriftDetected", "data": {}}
    monitored |= {"topic": address, "subject": address, "data": {"dataDriftName": address, "runId": address}}

    with watched() as seen:
        world.send(created(address))
        world.send(messages.alert_message({"schemaId": "azureMonitorCommonAlertSchema", "data": alert}))
        world.send(json.dumps(monitored))
        world.ticks(2)

    reached = [
        event for event in seen if event.startswith(("socket.", "urllib.", "subprocess.")) or MARK in event
    ]
    assert reached == []
    codes = [event.reason.code for _, event in unrouted.newest(world.ports, 10_000)]
    assert {"foreign-account", "no-landing"} & set(codes)
    (record,) = queries.inbox(world.ports, "birds")
    assert record.body["rule"] == redacted(("birds-" + address)[:260])
    assert checked(page(world.ports, "/loops/birds")).found == []
    assert_goes_on(world)


def test_a_query_in_an_address_of_our_own_account_is_left_out() -> None:
    world = World()
    world.publish()
    message = json.loads(world.land("2007.csv", SOUND))
    message["data"]["url"] += "?sv=1&sig=planted"
    world.send(json.dumps(message))
    assert world.state.next_version == 2
    assert [one.body["name"] for one in queries.inbox(world.ports, "birds")] == ["birds/2007.csv"]


def test_a_formula_is_kept_as_it_is_and_reaches_no_spreadsheet() -> None:
    """S02: as a column, a category and a file's name. Data stay what they are; what people get is HTML and JSON."""
    world = World()
    world.publish()
    birds = season(2007).reset_index(drop=True)
    birds["kind"] = [FORMULAS[n % len(FORMULAS)] for n in range(len(birds))]
    birds = birds.assign(**dict.fromkeys(FORMULAS[:8], 1.5 * birds.index))
    world.drop("=cmd|' .csv", birds.to_csv(index=False, quoting=QUOTE_ALL).encode())
    world.live()
    files = world.ports.versions.files
    kept = pd.concat(pd.read_parquet(io.BytesIO(files[path])) for path in sorted(files))
    assert set(kept["kind"]) == {one.strip() for one in FORMULAS}, (
        "spaces around a category are no part of it"
    )
    for one in FORMULAS[:8]:
        assert set(kept[one]) == set(birds[one]), "numbers are touched"
    for path in (
        "",
        "/loops/birds",
        "/loops/birds/versions/1",
        "/loops/birds/releases/1",
        "/loops/birds/audit",
    ):
        for accept in ("text/html", "text/csv", "application/vnd.ms-excel", "application/json", "*/*"):
            reply = get(world.ports, path, accept=accept)
            assert reply.kind.split(";")[0] in {"text/html", "application/json"}, (path, accept)
            assert reply.status in {200, 406}
        assert checked(page(world.ports, path)).found == []
    assert "=cmd|' .csv" in json.dumps(twin(world.ports, "/loops/birds"))
