"""Every shape that Azure Monitor, Event Grid and Azure ML send is read, in both schemas and any capitals."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from urllib.parse import quote

import pytest

from shared.errors import InputRejected
from shared.inbox import messages, recorder, unrouted
from shared.inbox.alerts import AlertRaised, read_breach
from shared.inbox.blob_events import Landed, Uninteresting
from shared.inbox.messages import ModelDeployed, ModelRegistered, MonitorBreached, RunChanged
from shared.state import rows
from tests.engine.world import World, created, csv, season

ACCOUNT = "https://account.blob.core.windows.net"
CORPUS = Path(__file__).parent / "payloads"


def corpus(kind: str) -> list[object]:
    found = sorted(CORPUS.glob(f"{kind}-*.json"))
    assert found, f"no payload of kind {kind}"
    return [pytest.param(json.loads(file.read_text()), id=file.stem) for file in found]


@pytest.mark.parametrize("case", corpus("alert"))
def test_an_alert(case: dict[str, dict[str, object]]) -> None:
    wanted = case["expect"]
    if "rejected" in wanted:
        with pytest.raises(InputRejected) as refused:
            messages.alert_message(case["payload"])
        assert refused.value.code == wanted["rejected"]
        assert "common alert schema" in str(refused.value)
        return
    seen = messages.parse(messages.alert_message(case["payload"]), ACCOUNT)
    assert isinstance(seen, AlertRaised)
    assert {"rule": seen.rule, "fired": seen.fired, "words": seen.words} == wanted
    assert seen.alert_id
    assert seen.at.startswith("2026-11-20T0")


@pytest.mark.parametrize("case", corpus("ml"))
def test_an_event_of_azure_ml(case: dict[str, dict[str, object]]) -> None:
    wanted = case["expect"]
    seen = messages.parse(json.dumps(case["payload"]), ACCOUNT)
    assert type(seen).__name__ == wanted["kind"]
    if isinstance(seen, RunChanged):
        assert (seen.run, seen.status) == (wanted["run"], wanted["status"])
    if isinstance(seen, ModelRegistered):
        assert f"{seen.name}:{seen.version}" == wanted["model"]
    if isinstance(seen, ModelDeployed):
        assert f"{seen.endpoint} {seen.models} {seen.at}" == wanted["deployed"]
    if isinstance(seen, MonitorBreached):
        numbers = {
            breach.signal: [[f.feature, f.metric, f.value, f.threshold] for f in breach.features]
            for breach in seen.signals
        }
        assert numbers == wanted["signals"]
        assert seen.run


def test_an_array_is_its_events() -> None:
    cases = [
        json.loads((CORPUS / f"ml-{name}-cloudevents.json").read_text())["payload"]
        for name in ("run-completed", "monitor-step")
    ]
    parts = messages.parts(json.dumps(cases))
    assert [type(messages.parse(part, ACCOUNT)) for part in parts] == [RunChanged, MonitorBreached]
    packed = base64.b64encode(json.dumps(cases).encode()).decode()
    for text in (
        packed,
        f"\ufeff{json.dumps(cases)}",
        "\n".join(packed[i : i + 76] for i in range(0, len(packed), 76)),
    ):
        assert messages.parts(text) == parts
    assert messages.parts("[") == ["["]
    assert messages.parts("{}") == ["{}"]


@pytest.mark.parametrize(
    "text",
    [
        "[" * 5000,
        "['" + "{" * 5000 + "']",
        "[__import__('os').system('true')]",
        "['{\"metric_name\": 1e999}', 7, None, '[]', '{}']",
        "",
        "\x00[\x00]",
    ],
)
def test_a_hostile_breach_text_gives_no_feature_and_runs_nothing(text: str) -> None:
    assert all(not feature.feature for feature in read_breach(text).features)


def test_the_number_of_features_is_bounded() -> None:
    one = json.dumps({"group": "a", "metric_name": "m", "metric_value": 1, "threshold_value": 0})
    assert len(read_breach(str([one] * 500)).features) == 200


ODD: tuple[object, ...] = (
    *(
        None,
        True,
        -1,
        1.5,
        float("inf"),
        float("nan"),
        10**4000,
        "",
        "x",
        "9" * 5000,
        "a" * 70_000,
        "1e5",
        "null",
        "{",
    ),
    *(
        "\u00b2",
        "\u0661",
        "\ud800",
        "\x00",
        "%",
        "%ff",
        "//",
        "https://[x",
        "http://[::1",
        "2026-99-99",
        "['{']",
    ),
    *([], {}, [[]], {"a": {}}, [None]),
)
"""What no sender writes in any field: numbers that are none, halves of characters, addresses that are none."""


def places(value: object, path: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in inside:
        yield from places(part, (*path, name))


def put(value: object, path: tuple[object, ...], odd: object) -> object:
    if not path:
        return odd
    copy = dict(value) if isinstance(value, dict) else list(value)  # type: ignore[call-overload]
    copy[path[0]] = put(copy[path[0]], path[1:], odd)
    return copy


@pytest.mark.parametrize("share", [0.03, pytest.param(1.0, marks=pytest.mark.soak)])
def test_whatever_stands_in_whichever_field_is_read_or_refused_with_a_reason(share: float) -> None:
    """Every payload, with something odd in one of its places; nothing but a named rejection is raised."""
    sound = [json.loads(file.read_text())["payload"] for file in sorted(CORPUS.glob("*.json"))]
    sound += [
        json.loads(messages.act_message("approve", "birds", {"release": 1, "id": "x"}, "bob")),
        {"driftloop": "alert", "rule": "x", "alert_id": "1", "condition": "Fired", "at": "", "words": ""},
        {
            "eventType": "Microsoft.Storage.BlobCreated",
            "data": {"api": "PutBlob", "url": f"{ACCOUNT}/landing/a", "eTag": "0x1", "sequencer": "1"},
        },
    ]
    world, random, told = World(), Random(0), Counter[str]()
    world.publish()
    for payload in sound:
        for path in places(payload):
            for odd in ODD:
                if random.random() >= share:
                    continue
                hurt = put(payload, path, odd)
                told["read"] += 1
                recorder.receive(world.ports, json.dumps(hurt), ACCOUNT)
                if isinstance(hurt, dict):
                    with suppress(InputRejected):
                        messages.alert_message(hurt)
    told.update(event.reason.code.value for _, event in unrouted.newest(world.ports, 10**6))
    print(told)
    assert {"unknown-schema", "oversized-event"} <= set(told)
    assert told["read"] > 500


def landed(name: str, **data: str) -> object:
    event = {"eventType": "Microsoft.Storage.BlobCreated"}
    event["data"] = {"api": "PutBlob", "url": f"{ACCOUNT}/landing/{name}", "eTag": "0x1", **data}  # type: ignore[assignment]
    return messages.parse(json.dumps(event), ACCOUNT)


@pytest.mark.parametrize(
    "name",
    ["birds/#1 of 2?.csv", "birds/a b.csv", "birds/100%.csv", "birds/🐧 größe.csv", "birds/a&b=c;d.csv"],
)
def test_a_name_is_found_whether_it_is_escaped_or_not(name: str) -> None:
    for written in (name, quote(name)):
        seen = landed(written)
        assert isinstance(seen, Landed) and (seen.container, seen.name) == ("landing", name)


def test_a_name_that_holds_an_escape_is_tried_as_it_is_written() -> None:
    seen = landed("birds/a%20b.csv")
    assert isinstance(seen, Landed) and (seen.name, seen.written) == ("birds/a b.csv", "birds/a%20b.csv")


@pytest.mark.parametrize("name", ["2007%20new.csv", "2007#new.csv", "2007 ü.csv", "%E2%82%AC.csv"])
def test_a_blob_whose_event_does_not_escape_its_name_becomes_a_version(name: str) -> None:
    world = World()
    world.publish()
    world.drop(name, csv(season(2007)))
    assert rows.version_key(1) in {row.key for row in world.ports.store.range("birds", "version-", limit=9)}


@pytest.mark.parametrize("api", ["CreateFile", "SftpCreate"])
def test_a_file_that_is_only_begun_is_no_drop(api: str) -> None:
    assert isinstance(landed("birds/a.csv", api=api), Uninteresting)


def test_what_is_no_account_beside_ours_stays_foreign_however_it_is_written() -> None:
    for url in (
        "https://other.blob.core.evil.net/l/a",
        f"{ACCOUNT}.evil.com/l/a",
        f"{ACCOUNT}@evil.com/l/a",
        "no url",
        "https://[/l/a",
    ):
        with pytest.raises(InputRejected) as refused:
            messages.parse(created(url), ACCOUNT)
        assert refused.value.code == "foreign-account"
