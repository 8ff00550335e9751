"""T12: what looks like a secret is in nothing that is written, whoever brought it and however it came (S07, P11)."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from dataclasses import asdict

import pytest

from shared.inbox import messages, recorder, unrouted
from shared.redaction import redacted, redacted_message, safe
from shared.runtime import tick
from shared.state import queries
from tests.engine.world import ACCOUNT, World, created, csv, season
from tests.faults import Call, watched
from tests.hostile.corpus import BESIDE, HARMLESS, PLANTED, SECRETS
from tests.tower.tower import page, twin

ENVIRONMENT = {
    "AZURE_CLIENT_SECRET": PLANTED,
    "IDENTITY_HEADER": PLANTED,
    "APPSETTING_DATABASE": f"Server=x;Password={PLANTED}",
    "AzureWebJobsStorage": f"DefaultEndpointsProtocol=https;AccountName=x;AccountKey={PLANTED}==",
}


@pytest.mark.parametrize("text", SECRETS, ids=ascii)
def test_a_secret_is_known_by_its_shape(text: str) -> None:
    for whole in (text, f"{BESIDE} {text}", f"GET failed: {text} ({BESIDE})", f"{text}\n{BESIDE}"):
        assert PLANTED not in redacted(whole)
        assert PLANTED not in safe(whole)
        assert (BESIDE in redacted(whole)) == (BESIDE in whole), "too much was taken away"


@pytest.mark.parametrize("text", SECRETS, ids=ascii)
@pytest.mark.parametrize("before", ["", "ZQ7\r\n", "ZQ7\t", 'ZQ7"', "ZQ7\\"], ids=ascii)
def test_json_stays_json_and_an_escape_hides_no_secret(text: str, before: str) -> None:
    whole = before + text
    message = json.dumps({"before": 1, "text": whole, "inner": json.dumps({"text": whole}), "after": BESIDE})
    escaped = message.replace("&", r"\u0026").replace("/", r"\/").replace("+", r"\u002B")
    for one in (message, escaped):
        kept = json.loads(redacted_message(one))
        assert kept.keys() == {"before", "text", "inner", "after"}
        assert kept["after"] == BESIDE
        assert PLANTED not in redacted_message(one)
    assert PLANTED not in redacted(json.dumps({"text": text})), "of what is no message, too"


@pytest.mark.parametrize("name", ["password", "accountKey", "x-functions-key", "Proxy-Authorization", "sig"])
def test_a_text_under_a_secrets_name_is_a_secret_whatever_is_in_it(name: str) -> None:
    for value in (PLANTED, f"a b, c&d'e\"{PLANTED}", f"{{ {PLANTED}"):
        assert PLANTED not in redacted_message(json.dumps({"headers": [{name: value}]}))


def test_what_means_the_same_without_its_secrets_is_kept_for_another_try() -> None:
    world = World()
    world.publish()
    folder = json.loads(world.land("token=7/_SUCCESS", b""))
    folder["data"]["url"] += f"?sig={PLANTED}"
    recorder.keep_poison(world.ports, json.dumps(folder))
    recorder.keep_poison(
        world.ports, json.dumps({"driftloop": "alert", "rule": f"birds-sig={PLANTED}", "condition": "fired"})
    )
    assert tick.sweep(world.ports, ACCOUNT) == 1
    assert [one.body["name"] for one in queries.inbox(world.ports, "birds")] == ["birds/token=7/_SUCCESS"]
    codes = [event.reason.code for _, event in unrouted.newest(world.ports, 10_000)]
    assert sorted(codes) == ["poison", "replayed"]


def test_a_key_without_an_end_ends_with_its_text() -> None:
    unfinished = f"-----BEGIN PRIVATE KEY-----\n{PLANTED}\n"
    message = json.dumps({"text": unfinished, "inner": json.dumps({"text": unfinished}), "after": BESIDE})
    for kept in (redacted(message), redacted_message(message)):
        assert json.loads(kept)["after"] == BESIDE
        assert PLANTED not in kept


@pytest.mark.parametrize("text", HARMLESS, ids=ascii)
def test_what_is_no_secret_is_left_as_it_is(text: str) -> None:
    assert redacted(text) == text


@pytest.mark.parametrize(
    "piece", ["a", "a_", "a-", "a.", "a://", "a://b@", "eyJ-", "token_", "sig", "basic x&", "\\"]
)
def test_a_text_that_is_four_times_as_long_takes_about_four_times_as_long(piece: str) -> None:
    """Sixteen times, where an expression looks back and forth."""
    short, long = (min(took_s(piece * (size // len(piece))) for _ in range(2)) for size in (16_000, 64_000))
    assert long < 10 * max(short, 0.005)


def took_s(text: str) -> float:
    began = time.process_time()
    redacted(text)
    return time.process_time() - began


class Written:
    """All that is left of a world: rows, documents, blobs' notes, what was told, logged and shown."""

    def __init__(self, world: World, log: str) -> None:
        ports = world.ports
        self.places = {
            "log": log,
            "rows": " ".join(row.doc for row in ports.store.rows["birds"].values()),
            "unrouted": " ".join(row.doc for row in ports.store.unrouted()),
            "overviews": " ".join(json.dumps(asdict(o), default=str) for o in ports.store.overviews()),
            "documents": " ".join(c.decode(errors="replace") for c in ports.documents.contents.values()),
            "quarantine": " ".join(ports.blobs.quarantined.values()),
            "topic": " ".join(json.dumps(asdict(entry), default=str) for _, entry in ports.topic.published),
            "jobs": " ".join(
                json.dumps(asdict(job.spec), default=str) for job in ports.training.jobs.values()
            ),
        }
        for path in ("", "/loops/birds", "/loops/birds/audit", "/loops/birds/releases/1"):
            self.places[f"page {path}"] = page(ports, path)
            self.places[f"JSON {path}"] = json.dumps(twin(ports, path))

    def having(self, text: str) -> list[str]:
        return [place for place, written in self.places.items() if text in written]


def test_a_life_full_of_secrets_leaves_none(log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    world = full_of_secrets()
    written = Written(world, log.getvalue())
    assert written.having(PLANTED) == []
    reached = set(written.having(BESIDE))
    assert reached >= {
        "log",
        "rows",
        "unrouted",
        "overviews",
        "topic",
        "page /loops/birds",
        "JSON /loops/birds",
    }


def full_of_secrets() -> World:
    """Secrets in addresses, in messages that cannot be read, in alerts, in reasons, and in what libraries raise."""
    world = World()
    world.publish()
    first = json.loads(world.land("2007.csv", csv(season(2007))))
    first["data"]["url"] += f"?sv=1&sig={PLANTED}"
    world.send(json.dumps(first))
    world.live()
    for text in SECRETS:
        world.send(created(f"https://x:{PLANTED}@other.example/{BESIDE}?sig={PLANTED}"))
        world.send(f"{{ {BESIDE}: {text}")
        world.send(json.dumps({"eventType": BESIDE, "data": text}))
        essentials = {"alertRule": "birds-x", "originAlertId": text, "monitorCondition": "Fired"}
        told = {"description": f"{BESIDE} {text}", "firedDateTime": world.clock.now().isoformat()}
        payload = {"essentials": essentials | told, "customProperties": {"authorization": text}}
        world.send(messages.alert_message({"schemaId": "azureMonitorCommonAlertSchema", "data": payload}))
        world.act("pause", reason=f"{BESIDE} {text}")
        for message in into_the_queue(f"{BESIDE} {text}"):
            world.send(message)
        recorder.keep_poison(
            world.ports, json.dumps({"headers": {"authorization": f"Bearer {PLANTED}"}, "text": text})
        )
    world.act("resume", reason=BESIDE)
    for number, text in enumerate(SECRETS):
        world.drop(f"rejected-{number}.csv", quoted(text) + b",x\n1,2\n")
        broken = watched(world.ports, raising(f"{BESIDE} {text}"))
        tick.run_all(broken, recorder.receive(world.ports, world.land(f"{number}.csv", b"x"), ACCOUNT))
        world.clock.advance(400)
        tick.run_all(broken, ["birds"])
    for _ in range(6):
        tick.run_all(broken, ["birds"])
        world.clock.advance(400)
    return world


def into_the_queue(text: str) -> list[str]:
    """What our own HTTP functions would have redacted, written by somebody else who may write to the queue; and what a
    monitor says."""
    act = {"driftloop": "act", "verb": "abort", "release": "", "actor": text, "reason": text}
    alert = {"driftloop": "alert", "condition": "fired", "words": text, "alert_id": text, "at": text}
    ours = [
        act | {"loop": "birds", "act_id": text},
        act | {"loop": text},
        alert | {"rule": f"birds-{text}"},
        alert | {"rule": text},
    ]
    kind = "Microsoft.MachineLearningServices.DatasetDriftDetected"
    monitors = [
        {"eventType": kind, "data": {"dataDriftName": name, "runId": f"{text} {name}"}}
        for name in (text, f"birds-{text}")
    ]
    stray = json.loads(created(f"{ACCOUNT}/landing/nobody/{text}"))
    return [json.dumps(message) for message in (*ours, *monitors, stray)]


def quoted(text: str) -> bytes:
    """As a column's name in a CSV."""
    return b'"' + text.replace('"', '""').encode() + b'"'


def raising(text: str) -> Callable[[Call, Callable[[], object]], object]:
    """Ports of which a library raises what nobody foresaw, with a secret in it."""

    def around(call: Call, make: Callable[[], object]) -> object:
        if call.name in {"blobs.download_all", "training.ensure_job", "topic.publish"}:
            raise ValueError(text)
        return make()

    return around
