"""What the adapters over Azure do beyond the ports' contract: envelopes, samples, rivals, cheap imports."""

from __future__ import annotations

import base64
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from local.azure import LocalAzure
from shared.azure.client import Clients, credential
from shared.azure.operations import telling, why
from shared.azure.topic import event_type
from shared.domain.ledger import LedgerEntry
from shared.domain.loop import Overview
from shared.domain.reason import Code
from shared.errors import ConfigurationError
from shared.ports import Ports
from shared.redaction import safe
from shared.serving.traffic_log import AzureEvidence
from shared.settings import Settings
from tests.contract.stage import SdkStage, eventually, fresh

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def clients(settings: Settings) -> Clients:
    return Clients(settings, credential())


def test_an_overview_row_that_cannot_be_read_keeps_no_other_loop_from_being_found(
    clients: Clients, sdk_ports: Ports, loop: str
) -> None:
    sdk_ports.store.describe(Overview(f"{loop}-b", "landing/b/"))
    sdk_ports.store.describe(Overview(loop, "landing/a/"))
    line = {"PartitionKey": "overview", "RowKey": loop, "doc": '{"schema": 1, "content": {}}'}
    clients.table().upsert_entity(line)

    found = {one.loop: one for one in sdk_ports.store.overviews()}

    assert found[f"{loop}-b"].landing == "landing/b/"
    stopped = found[loop].needs_attention
    assert stopped is not None
    assert (stopped.code, stopped.because[0].code) == (Code.LOOP_SET_ASIDE, Code.ROW_OLDER)


class TestOutbound:
    def test_the_queue_holds_what_event_grid_would_write(
        self, local_azure: LocalAzure, clients: Clients, sdk_ports: Ports, loop: str
    ) -> None:
        name = f"q-{loop}"
        queue = clients.queue()
        from azure.storage.queue import QueueClient

        with QueueClient(clients.settings.queue_service_uri, name, credential=clients.identity) as own:
            own.create_queue()
            from shared.azure.queue import AzureQueue

            AzureQueue(own, own).put('{"text": "ü"}')
            content = next(iter(own.receive_messages())).content
            own.delete_queue()

        assert json.loads(base64.b64decode(content)) == {"text": "ü"}
        assert queue.queue_name == "driftloop-events"

    def test_ledger_entries_go_out_as_cloud_events(
        self, local_azure: LocalAzure, sdk_ports: Ports, loop: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        entries = [
            LedgerEntry(seq, NOON, "me", "inbox", "release.rolled_back", "r1", "a", "b", {"k": "v"}, "0", "1")
            for seq in range(1, 61)
        ]

        sdk_ports.topic.publish(loop, entries)

        taken = local_azure.control.get("/local/events/topics/driftloop").json()["events"]
        events = [event for event in taken if event["source"] == f"/driftloop/loops/{loop}"]
        assert [event["id"] for event in events] == [f"{loop}-{seq}" for seq in range(1, 61)]
        assert {event["type"] for event in events} == {"Driftloop.Release.RolledBack"}
        assert events[0]["data"]["hash"] == "1"
        assert events[0]["subject"] == "r1"
        assert events[0]["traceparent"].startswith("00-")
        assert datetime.fromisoformat(events[0]["time"]) == NOON
        assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []

    @pytest.mark.parametrize(
        ("what", "told"),
        [
            ("release.promoted", "Driftloop.Release.Promoted"),
            ("retrain.denied", "Driftloop.Retrain.Denied"),
            ("version.put_aside", "Driftloop.Version.PutAside"),
        ],
    )
    def test_types_of_events_follow_the_ledger(self, what: str, told: str) -> None:
        assert event_type(what) == told


class TestRivals:
    def test_two_who_register_the_same_data_both_get_it(
        self, sdk_ports: Ports, loop: str, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_bytes(b"rows")
        sdk_ports.versions.write(f"{loop}/1/a", tmp_path / "file")

        def register(_: int) -> str:
            return sdk_ports.versions.register(loop, "1", f"{loop}/1", {}, "")

        with ThreadPoolExecutor(3) as pool:
            assert len(set(pool.map(register, range(3)))) == 1

    def test_two_who_register_the_same_model_both_get_it(self, sdk_ports: Ports, sdk_stage: SdkStage) -> None:
        spec = sdk_stage.job("good")
        sdk_stage.ended(spec)
        name = fresh("m")

        def register(_: int) -> str:
            return sdk_ports.training.ensure_model(name, "1", spec.name, {})

        with ThreadPoolExecutor(3) as pool:
            assert len(set(pool.map(register, range(3)))) == 1


class TestEvidence:
    @pytest.fixture
    def endpoint(self, sdk_ports: Ports, sdk_stage: SdkStage) -> Iterator[str]:
        name = fresh("e")
        eventually(lambda: sdk_ports.serving.ensure_endpoint(name), lambda seen: seen.state == "ready")
        assert sdk_stage.deployed(sdk_stage.deployment(name, "only")).state == "ready"
        yield name
        eventually(lambda: sdk_ports.serving.ensure_no_deployment(name, "only"), bool)

    def test_counts_are_exact_when_latencies_are_a_sample(
        self, clients: Clients, sdk_ports: Ports, sdk_stage: SdkStage, endpoint: str
    ) -> None:
        now = sdk_ports.clock.now()
        since, until = now - timedelta(minutes=1), now + timedelta(minutes=1)
        sdk_stage.call(endpoint, "only", 7)
        eventually(
            lambda: sdk_ports.evidence.traffic(endpoint, since, until),
            lambda seen: "only" in seen.arms and seen.arms["only"].requests == 7,
        )
        sampling = AzureEvidence(
            clients.logs(), clients.settings.logs_workspace_id, sdk_ports.evidence._datastore, sample=3
        )

        seen = sampling.traffic(endpoint, since, until)

        arm = seen.arms["only"]
        assert (arm.requests, arm.errors, len(arm.latencies_ms)) == (7, 0, 3)
        assert seen.minutes == sdk_ports.evidence.traffic(endpoint, since, until).minutes


class TestTexts:
    def test_secrets_in_a_services_text_are_not_shown(self) -> None:
        text = safe(
            "PUT https://user:pass@host/c?sv=1&sig=planted failed, Authorization: Bearer planted.planted "
            "AccountKey=planted;\nnext"
        )

        assert "planted" not in text
        assert "pass" not in text
        assert "\n" not in text

    def test_the_exception_in_a_log_is_what_is_told(self) -> None:
        log = "\n".join(["It crashed:", "line " * 500, "ValueError: no such column", "bye " * 500])

        assert telling(log) == "It crashed: … ValueError: no such column"

    @pytest.mark.parametrize(
        "address",
        [
            "",
            "https://evil.example/op",
            "http://management.azure.com/op",
            "https://management.azure.com@evil.example/",
        ],
    )
    def test_the_token_goes_to_resource_manager_only(self, address: str) -> None:
        class Nobody:
            def get_token(self, *scopes: str, **options: object) -> object:
                raise AssertionError("a token was asked for")

        assert why(address, Nobody()) == ("", "")  # type: ignore[arg-type]  # it must not be used


def test_a_deployment_that_azure_itself_canceled_is_asked_for_again(
    local_azure: LocalAzure, sdk_ports: Ports, sdk_stage: SdkStage
) -> None:
    """Source: how-to-troubleshoot-online-endpoints.md, "ERROR: OperationCanceled"."""
    endpoint = fresh("e")
    eventually(lambda: sdk_ports.serving.ensure_endpoint(endpoint), lambda seen: seen.state == "ready")
    fault = f"/local/endpoints/{endpoint}/faults"
    local_azure.control.put(fault, json={"cancels": 2}).raise_for_status()
    good = sdk_stage.deployment(endpoint, "good")
    assert sdk_stage.deployed(good).state == "ready"
    local_azure.control.put(fault, json={"cancels": 1}).raise_for_status()
    two = replace(good, instance_count=2)
    grown = eventually(
        lambda: sdk_ports.serving.ensure_machines(two), lambda seen: seen.state in ("ready", "failed")
    )
    assert grown.state == "ready"
    eventually(lambda: sdk_ports.serving.ensure_no_deployment(endpoint, "good"), bool)


def test_a_deployment_that_is_refused_at_once_has_failed(
    local_azure: LocalAzure, sdk_ports: Ports, sdk_stage: SdkStage
) -> None:
    """Source: MicrosoftLearning/mslearn-azure-ml#30, where a quota answers 400 and begins no operation."""
    endpoint = fresh("e")
    eventually(lambda: sdk_ports.serving.ensure_endpoint(endpoint), lambda seen: seen.state == "ready")
    wanted = sdk_stage.deployment(endpoint, "big")
    local_azure.control.put("/local/quota", json={"cores": 1, "at_once": True}).raise_for_status()
    try:
        seen = sdk_ports.serving.ensure_deployment(wanted)
    finally:
        local_azure.control.put("/local/quota", json={}).raise_for_status()
    assert (seen.state, "Not enough quota available" in seen.error) == ("failed", True)
    assert sdk_ports.serving.deployment_state(endpoint, "big") == "missing"


class TestSettings:
    def test_all_missing_settings_are_named_at_once(self) -> None:
        with pytest.raises(ConfigurationError) as raised:
            Settings.from_environment({"DRIFTLOOP_WORKSPACE": "w", "DRIFTLOOP_RESOURCE_GROUP": " "})

        text = str(raised.value)
        assert "DRIFTLOOP_WORKSPACE" not in text
        for name in (
            "DRIFTLOOP_STORAGE__blobServiceUri",
            "DRIFTLOOP_STORAGE__queueServiceUri",
            "DRIFTLOOP_STORAGE__tableServiceUri",
            "DRIFTLOOP_SUBSCRIPTION_ID",
            "DRIFTLOOP_RESOURCE_GROUP",
            "DRIFTLOOP_TOPIC_ENDPOINT",
            "DRIFTLOOP_LOGS_WORKSPACE_ID",
        ):
            assert name in text

    def test_wiring_imports_none_of_azures_clients(self) -> None:
        code = "import sys, shared.wiring; print([name for name in sys.modules if name.startswith('azure')])"

        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

        assert done.stdout.strip() == "[]"

    def test_making_the_ports_does_not_import_azure_ml(self, settings: Settings) -> None:
        code = (
            "import os, sys; from shared.settings import Settings; from shared.wiring import azure_ports;"
            "azure_ports(Settings.from_environment(os.environ)); print('azure.ai.ml' in sys.modules)"
        )

        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

        assert (done.stdout.strip(), done.stderr) == ("False", "")
