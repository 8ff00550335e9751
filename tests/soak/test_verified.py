"""With AZURE_VERIFIED=1 the contract suite and the demo run on a deployment that only the environment names.

Here it is a local Azure that runs elsewhere, as `make up` starts it: neither the suite nor the demo knows more of it
than a person's settings, and neither starts one of its own.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.azure import LocalAzure
from shared.azure.client import Clients, credential
from shared.settings import Settings

ROOT = Path(__file__).parents[2]
OUTSIDE = ("PATH", "HOME", "LANG", "PYTHONPATH")


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAzure]:
    with LocalAzure(tmp_path_factory.mktemp("elsewhere"), functions_host=True) as azure:
        yield azure


def _run(azure: LocalAzure, *command: str) -> tuple[int, str]:
    outside = {name: os.environ[name] for name in OUTSIDE if name in os.environ}
    env = outside | azure.environment() | {"AZURE_VERIFIED": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def _left(azure: LocalAzure, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Rows of loops that are still there."""
    for name, value in azure.environment().items():
        monkeypatch.setenv(name, value)
    clients = Clients(Settings.from_environment(os.environ), credential())
    return [row["PartitionKey"] for row in clients.table().list_entities() if "." in row["PartitionKey"]]


@pytest.mark.soak
def test_the_contract_suite(azure: LocalAzure, monkeypatch: pytest.MonkeyPatch) -> None:
    code, told = _run(azure, "pytest", "tests/contract")

    assert code == 0, told[-5000:]
    assert "differs:" not in told
    (same,) = re.findall(r"as on the local Azure: (\d+)", told)
    assert int(same) > 100
    assert told.count("left out: tests") == told.count("has no control surface") > 0
    assert _left(azure, monkeypatch) == []


@pytest.mark.soak
def test_what_differs_is_told(azure: LocalAzure) -> None:
    azure.control.put("/local/logs", json={"fault": "error"}).raise_for_status()
    try:
        code, told = _run(azure, "pytest", "tests/contract/test_azureml.py", "-k", "no_requests_are_no_arms")
    finally:
        azure.control.put("/local/logs", json={"fault": "none"}).raise_for_status()

    assert code == 1
    assert "differs: tests/contract/test_azureml.py" in told


@pytest.mark.soak
def test_the_demo(azure: LocalAzure, monkeypatch: pytest.MonkeyPatch) -> None:
    code, told = _run(azure, "demo", "penguins")

    assert code == 0, told[-5000:]
    assert "left out: r4-a1 errs; a person takes it back instead" in told
    assert "left out: the alert function" in told
    assert re.search(r"endpoints: 1\b", told)
    assert _left(azure, monkeypatch) == []


def test_a_story_that_needs_this_machine_is_refused_at_once() -> None:
    env = os.environ | {"AZURE_VERIFIED": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "demo", "prices"],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert "cannot be told on Azure" in done.stderr
