"""F09: what Azure refuses for a while is waited out, or told with how long it asks for."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest

from local.azure import LocalAzure
from shared.errors import DependencyUnavailable
from shared.ports import Ports
from shared.settings import Settings
from shared.wiring import azure_ports


@pytest.fixture
def ports(local_azure: LocalAzure) -> Iterator[Ports]:
    yield azure_ports(Settings.from_environment(os.environ))
    _refused(local_azure)


def _throttle(azure: LocalAzure, requests: int, retry_after_s: int, path: str) -> None:
    body = {"requests": requests, "retry_after_s": retry_after_s, "path": path}
    azure.control.put("/local/throttle", json=body).raise_for_status()


def _refused(azure: LocalAzure) -> int:
    """End the throttle; how many requests it refused."""
    answer = azure.control.put("/local/throttle", json={"requests": 0}).raise_for_status()
    return int(answer.json()["refused"])


def test_a_short_wait_is_waited(local_azure: LocalAzure, ports: Ports) -> None:
    name = f"e{uuid.uuid4().hex[:8]}"
    _throttle(local_azure, 2, 1, name)

    assert ports.serving.ensure_endpoint(name).state == "creating"
    assert _refused(local_azure) == 2


@pytest.mark.parametrize("wait_s", [60, 3600])
def test_a_long_wait_is_told_with_its_length(wait_s: int, local_azure: LocalAzure, ports: Ports) -> None:
    _throttle(local_azure, 50, wait_s, "onlineEndpoints")

    with pytest.raises(DependencyUnavailable) as raised:
        ports.serving.ensure_endpoint(f"e{uuid.uuid4().hex[:8]}")
    assert raised.value.retry_after_s == wait_s
    assert _refused(local_azure) == 1, "it was asked again before the time that it had asked for"


def test_the_logs_too(local_azure: LocalAzure, ports: Ports) -> None:
    _throttle(local_azure, 50, 60, "/query")
    now = ports.clock.now()

    with pytest.raises(DependencyUnavailable) as raised:
        ports.evidence.traffic("e", now, now)
    assert raised.value.retry_after_s == 60
    assert _refused(local_azure) == 1


def test_a_throttle_that_makes_no_sense_is_refused(local_azure: LocalAzure) -> None:
    assert local_azure.control.put("/local/throttle", json={"requests": "many"}).status_code == 400


def test_what_was_not_throttled_is_counted_as_none(local_azure: LocalAzure, ports: Ports) -> None:
    _throttle(local_azure, 50, 60, "a-path-that-nobody-asks-for")

    assert ports.serving.ensure_endpoint(f"e{uuid.uuid4().hex[:8]}").state == "creating"
    assert _refused(local_azure) == 0
