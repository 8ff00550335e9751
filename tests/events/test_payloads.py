"""Every shape that Azure Monitor, Event Grid and Azure ML send is read, in both schemas and any capitals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shared import events
from shared.alerts import read_breach
from shared.errors import InputRejected
from shared.events import AlertRaised, MonitorBreached, RunChanged

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
            events.alert_message(case["payload"])
        assert refused.value.code == wanted["rejected"]
        assert "common alert schema" in str(refused.value)
        return
    seen = events.parse(events.alert_message(case["payload"]), ACCOUNT)
    assert isinstance(seen, AlertRaised)
    assert {"rule": seen.rule, "fired": seen.fired, "words": seen.words} == wanted
    assert seen.alert_id
    assert seen.at.startswith("2026-11-20T0")


@pytest.mark.parametrize("case", corpus("ml"))
def test_an_event_of_azure_ml(case: dict[str, dict[str, object]]) -> None:
    wanted = case["expect"]
    seen = events.parse(json.dumps(case["payload"]), ACCOUNT)
    assert type(seen).__name__ == wanted["kind"]
    if isinstance(seen, RunChanged):
        assert (seen.run, seen.status) == (wanted["run"], wanted["status"])
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
    parts = events.parts(json.dumps(cases))
    assert [type(events.parse(part, ACCOUNT)) for part in parts] == [RunChanged, MonitorBreached]
    assert events.parts("[") == ["["]
    assert events.parts("{}") == ["{}"]


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
