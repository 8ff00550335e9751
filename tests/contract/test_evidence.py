"""What live traffic shows counts the requests of strangers and no other, however the service wrote it down."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.monitor.query import LogsQueryResult

from local.azure import LocalAzure
from shared.azure.client import Clients, credential
from shared.errors import DependencyUnavailable, DriftloopError
from shared.port_rules import own_request
from shared.ports import Ports
from shared.serving.collector_rows import Line, alone, joined, line_of, sizes_of
from shared.settings import Settings
from tests.contract.stage import SdkStage, eventually, fresh

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
STRANGE = 1
"""What strangers ask about; our own requests ask about numbers above 1000."""


def event(named: str, data: object, at: datetime = NOON, **more: object) -> bytes:
    return json.dumps({"time": at.isoformat(), "data": data, "correlationid": named} | more).encode()


def line(named: str, data: object, at: datetime = NOON, **more: object) -> Line:
    found = line_of(event(named, data, at, **more), NOON - HOUR, NOON + HOUR, lambda address: None)
    assert found is not None
    return found


def pairs(
    inputs: list[Line], outputs: list[Line], *known: str, id: str = "", sizes: Mapping[str, int] | None = None
) -> list[Any]:
    found = joined(inputs, outputs, lambda: set(known), lambda: sizes or {}, id)
    return [(row["inputs"], row["output"]) for row in found]


@pytest.mark.parametrize("stamp", ["gate-a-rather-long-loop-name-of-users-r12-a1", "metric-x/ü y", "s"])
def test_an_own_request_is_known_by_what_azure_keeps_of_a_clients_id(stamp: str) -> None:
    """Source: how-to-troubleshoot-online-endpoints.md, "Request tracing"."""
    made = own_request(stamp, 37)

    assert re.fullmatch(r"driftloop-[A-Za-z0-9_-]{1,30}", made)
    assert made.endswith("-37")


class TestLines:
    @pytest.mark.parametrize(
        "text",
        [
            b"",
            b"not json",
            b"[]",
            b'{"time": "2026-03-01T12:00:00Z"}',
            event("a", []).replace(b'"2026', b'5, "x": "2026'),
            event("a", {"columns": 1, "data": 2}),
            event("a", [1]).replace(b"+00:00", b""),
            event("a", "https://127.0.0.1/elsewhere/x", datainblob="true"),
            event("a", [1], NOON + HOUR),
        ],
    )
    def test_one_that_cannot_be_read_is_missing(self, text: bytes) -> None:
        assert line_of(text, NOON - HOUR, NOON + HOUR, lambda address: None) is None

    def test_a_payload_by_reference_is_fetched(self) -> None:
        text = event("a", "https://account/container/blob", datainblob="true")
        content = json.dumps({"input_data": {"columns": ["x"], "data": [[1], [2]]}}).encode()

        found = line_of(text, NOON - HOUR, NOON + HOUR, {"https://account/container/blob": content}.get)

        assert found is not None
        assert (found.rows, found.single) == ([{"x": 1}, {"x": 2}], True)

    def test_predictions_with_probabilities_are_one_a_row(self) -> None:
        answer = {"predictions": ["a", "b"], "probabilities": [0.9, 0.6]}
        assert line("a", answer).rows == ["a", "b"]

    @pytest.mark.parametrize(
        "answer",
        [{"result": ["a", "b"], "error": None}, {"outputs": ["a", "b"]}, {"predictions": '["a", "b"]'}],
    )
    def test_predictions_are_read_as_the_gate_reads_them(self, answer: object) -> None:
        found = line("a", answer)
        assert (found.rows, found.single) == (["a", "b"], True)


class TestJoin:
    def test_rows_join_only_with_both_sides_and_as_many_of_them(self) -> None:
        inputs = [line("a", {"input_data": {"columns": ["x"], "data": [[1], [2]]}}), line("b", [{"x": 3}])]
        outputs = [line("a", ["small"]), line("b", [{"species": "Adelie"}]), line("c", ["Gentoo"])]

        assert pairs(inputs, outputs, "a", "b", "c") == [({"x": 3}, "Adelie")]

    def test_a_request_that_the_log_does_not_have_is_no_evidence(self) -> None:
        inputs, outputs = [line(n, [{"x": n}]) for n in "ab"], [line(n, [n]) for n in "ab"]

        assert pairs(inputs, outputs, "b") == [({"x": "b"}, "b")]

    def test_several_requests_in_one_line_are_not_told_apart_even_if_the_counts_agree(self) -> None:
        inputs, outputs = [line("a", [{"x": 1}, {"x": 1001}])], [line("a", ["small", "large"])]

        assert pairs(inputs, outputs, "a") == []
        assert pairs(inputs, outputs, "a", sizes={"a": 1}) == []

    def test_the_payload_says_how_many_rows_a_request_had(self) -> None:
        inputs, outputs = [line("a", [{"x": 1}, {"x": 2}])], [line("a", ["small", "large"])]
        payload = line("a", {"input_data": {"columns": ["x"], "data": [[1], [2]]}})

        assert len(pairs(inputs, outputs, "a", sizes=sizes_of([payload]))) == 2
        assert sizes_of([line("b", [{"x": 1}, {"x": 2}])]) == {}

    def test_an_answer_that_others_were_put_behind_does_not_match(self) -> None:
        payload = line("a", {"input_data": {"columns": ["x"], "data": [[1]]}})

        assert pairs([payload], [line("a", ["small", "large"])], "a") == []

    def test_one_id_for_all_lines_names_none(self) -> None:
        """The documentation's example gives every request the id `test`."""
        inputs, outputs = [line("test", [{"x": n}]) for n in (1, 2)], [line("test", [n]) for n in (1, 2)]

        assert pairs(inputs, outputs, "test") == []

    def test_an_id_column_joins_rows_however_they_were_cut(self) -> None:
        asked = [{"n": f"c{i}", "x": i} for i in range(5)]
        said = [{"n": f"c{i}", "kind": "small"} for i in range(5)]
        ours = {"x": 1001}
        inputs = [line("a", asked[:3]), line("o", [ours, *asked[3:]])]
        outputs = [line("a", said[:1]), line("b", [*said[1:4], {"kind": "large"}]), line("e", said[4:])]

        found = pairs(inputs, outputs, id="n")

        assert sorted(found, key=str) == [(row, "small") for row in asked]

    def test_a_whole_number_is_one_id_however_the_frame_wrote_it(self) -> None:
        inputs, outputs = [line("a", [{"n": 7, "x": 1}])], [line("b", [{"n": 7.0, "y": 2}])]

        assert pairs(inputs, outputs, id="n") == [({"n": 7, "x": 1}, 2)]

    def test_an_id_that_comes_twice_names_no_row(self) -> None:
        inputs = [line("a", [{"n": 1, "x": 1}, {"n": 2, "x": 2}]), line("b", [{"n": 1, "x": 9}])]
        outputs = [line("a", [{"n": 1, "y": 1}, {"n": 2, "y": 2}])]

        assert pairs(inputs, outputs, id="n") == [({"n": 2, "x": 2}, 2)]


class TestInputsAlone:
    """What was asked counts though no answer was collected; whose it is is told as where both are."""

    def given(
        self, inputs: list[Line], *known: str, id: str = "", sizes: Mapping[str, int] | None = None
    ) -> list[Any]:
        found = alone(inputs, lambda: set(known), lambda: sizes or {}, id)
        return [row["inputs"] for row in found]

    def test_ours_and_those_that_cannot_be_told_apart_are_left_out(self) -> None:
        inputs = [line("a", [{"x": 1}]), line("b", [{"x": 2}]), line("c", [{"x": 3}, {"x": 1001}])]
        inputs += [line("d", [{"x": 4}]), line("d", [{"x": 5}]), line("e", [{"x": 6}, {"x": 7}])]

        assert self.given(inputs, "a", "c", "d", "e", sizes={"e": 2}) == [{"x": 1}, {"x": 6}, {"x": 7}]

    def test_an_id_of_its_own_names_a_row_and_one_that_comes_twice_none(self) -> None:
        inputs = [line("a", [{"n": 1, "x": 1}, {"n": 2, "x": 2}, {"x": 1001}]), line("b", [{"n": 1, "x": 9}])]

        assert self.given(inputs, id="n") == [{"n": 2, "x": 2}]


def payload(*numbers: int) -> str:
    return json.dumps({"input_data": {"columns": ["x"], "data": [[n] for n in numbers]}})


@pytest.fixture(scope="module")
def canary(sdk_ports: Ports, sdk_stage: SdkStage) -> Iterator[str]:
    name = fresh("e")
    eventually(lambda: sdk_ports.serving.ensure_endpoint(name), lambda seen: seen.state == "ready")
    for deployment in ("old", "new"):
        assert sdk_stage.deployed(sdk_stage.deployment(name, deployment)).state == "ready"
    yield name
    for deployment in ("old", "new"):
        eventually(partial(sdk_ports.serving.ensure_no_deployment, name, deployment), bool)


@pytest.fixture
def unkind(local_azure: LocalAzure) -> Iterator[None]:
    """The log loses rows and has others late, and the collector batches every other answer."""
    local_azure.control.put("/local/endpoints/seed", json={"seed": 5}).raise_for_status()
    hard = {"seed": 5, "delay_s": 0.2, "late_rate": 0.3, "late_s": 2, "lost_rate": 0.2}
    local_azure.control.put("/local/logs", json=hard).raise_for_status()
    collector = {"delay_s": 1, "batch_rate": 0.5}
    local_azure.control.put("/local/endpoints/collector", json=collector).raise_for_status()
    yield
    local_azure.control.put("/local/logs", json={"late_rate": 0, "lost_rate": 0}).raise_for_status()
    collector = {"delay_s": 0.2, "batch_rate": 0.3}
    local_azure.control.put("/local/endpoints/collector", json=collector).raise_for_status()


def test_a_canary_counts_exactly_the_strangers_while_gate_shadow_and_smoke_come_through_the_same_log(
    sdk_ports: Ports, sdk_stage: SdkStage, settings: Settings, canary: str, unkind: None
) -> None:
    """Sources: x-request-id is the service's, x-ms-client-request-id ours (how-to-troubleshoot-online-endpoints.md,
    "Request tracing"); the collector batches (how-to-collect-production-data.md, "Data collector batching")."""
    since = sdk_ports.clock.now() - timedelta(minutes=1)
    ours = payload(1001, 1002)

    def strangers(deployment: str) -> set[str]:
        one = sdk_stage.call(canary, deployment, 25, payload(STRANGE))
        return set(one) | set(sdk_stage.call(canary, deployment, 25, payload(STRANGE, STRANGE)))

    def own(kind: str) -> None:
        for deployment in ("old", "new"):
            for number in range(10):
                sdk_ports.serving.predict(canary, deployment, [ours] * 2, f"{kind}-{canary}-r2-a1-{number}")

    with ThreadPoolExecutor(5) as pool:
        asked = {name: pool.submit(strangers, name) for name in ("old", "new")}
        for done in [pool.submit(own, kind) for kind in ("gate", "shadow", "smoke")]:
            done.result()
    until = sdk_ports.clock.now() + timedelta(minutes=1)
    in_log = eventually(lambda: _in_log(settings, canary), _Still())

    seen = sdk_ports.evidence.traffic(canary, since, until)
    for name, future in asked.items():
        expected = future.result() & in_log
        assert 0 < len(expected) < 50
        assert seen.arms[name].requests == len(expected)
        inputs = eventually(partial(sdk_ports.evidence.inputs, canary, name, since, until), _Still())
        assert inputs and all(row["inputs"] == {"x": STRANGE} for row in inputs)
        assert {str(row["id"]).rpartition("_")[0] for row in inputs} <= expected
        rows = eventually(partial(sdk_ports.evidence.predictions, canary, name, since, until), _Still())
        assert rows
        assert all((row["inputs"], row["output"]) == ({"x": STRANGE}, "small") for row in rows)
        assert {str(row["id"]).rpartition("_")[0] for row in rows} <= expected
        assert len({row["id"] for row in rows}) == len(rows)
    assert set(seen.arms) == {"old", "new"}
    own_query(sdk_ports, canary, since, until, {name: arm.requests for name, arm in seen.arms.items()})


def own_query(
    ports: Ports, endpoint: str, since: datetime, until: datetime, expected: dict[str, int]
) -> None:
    """A signal asks the same log. Source of `by name = column` and `take`: learn.microsoft.com/kusto/query/,
    summarize-operator ("[Column =] GroupExpression") and take-operator."""
    query = (
        "AmlOnlineEndpointTrafficLog\n"
        f'| where EndpointName == "{endpoint}" and not(XMSClientRequestId startswith "driftloop-")\n'
        "| summarize hits = countif(ResponseCode == 429), total = count() by deployment = DeploymentName;"
    )
    rows = ports.evidence.query(query, since, until, 5)
    assert {row["deployment"]: row["total"] for row in rows} == expected
    assert [row["hits"] for row in rows] == [0, 0]
    assert len(ports.evidence.query(query, since, until, 1)) == 1
    for wrong in ("NoSuchTable | take 1", "AmlOnlineEndpointTrafficLog | where Colour == 1", "no query"):
        with pytest.raises(DriftloopError, match="Querying the logs"):
            ports.evidence.query(wrong, since, until, 5)


@pytest.mark.parametrize("fault", ["partial", "throttled", "error"])
def test_a_log_that_answers_in_part_or_not_at_all_is_no_answer(
    sdk_ports: Ports, local_azure: LocalAzure, canary: str, fault: str
) -> None:
    now = sdk_ports.clock.now()
    local_azure.control.put("/local/logs", json={"fault": fault}).raise_for_status()
    try:
        with pytest.raises(DependencyUnavailable):
            sdk_ports.evidence.traffic(canary, now - HOUR, now)
    finally:
        local_azure.control.put("/local/logs", json={"fault": "none"}).raise_for_status()


class _Still:
    """True once what is seen has not changed for a while: late rows have come."""

    def __init__(self) -> None:
        self._before: object = None
        self._looks = 0

    def __call__(self, seen: Any) -> bool:
        size = len(seen)
        self._looks = self._looks + 1 if seen and size == self._before else 0
        self._before = size
        return self._looks > 12


def _in_log(settings: Settings, endpoint: str) -> set[str]:
    query = f"AmlOnlineEndpointTrafficLog | where EndpointName == '{endpoint}' | project XRequestId"
    try:
        answer = (
            Clients(settings, credential())
            .logs()
            .query_workspace(settings.logs_workspace_id, query, timespan=HOUR)
        )
    except HttpResponseError:
        return set()
    assert isinstance(answer, LogsQueryResult)
    return {str(row["XRequestId"]) for table in answer.tables for row in table.rows}
