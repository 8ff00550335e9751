"""The same tests over the ports in memory and over Azure's own clients against the local Azure.

With AZURE_VERIFIED=1 they also run against the real Azure that the environment's settings name.
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest

from local.azure import LocalAzure
from shared.azure.client import Workspace, credential
from shared.memory import MemoryPorts, memory_ports
from shared.ports import Ports
from shared.settings import Settings
from shared.wiring import azure_ports
from tests.contract.stage import MemoryStage, SdkStage, Stage

WORLDS = ["memory", "local"] + (["azure"] if os.environ.get("AZURE_VERIFIED") == "1" else [])


@pytest.fixture(scope="session")
def local_ports(local_azure: LocalAzure) -> Ports:
    return azure_ports(Settings.from_environment(local_azure.environment()))


@pytest.fixture(scope="session", params=WORLDS)
def ports(request: pytest.FixtureRequest) -> Ports:
    """One set of ports a world, so that tests keep to names of their own."""
    if request.param == "memory":
        return memory_ports()
    if request.param == "local":
        found: Ports = request.getfixturevalue("local_ports")
        return found
    return azure_ports(Settings.from_environment(os.environ))


@pytest.fixture(scope="session")
def stage(ports: Ports, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """What the tests of Azure ML need to have been published."""
    if isinstance(ports, MemoryPorts):
        return MemoryStage(ports)
    if ports is request.getfixturevalue("local_ports"):
        found: Stage = request.getfixturevalue("local_stage")
        return found
    return _published(ports, tmp_path_factory.mktemp("stage"))


@pytest.fixture(scope="session")
def local_stage(local_ports: Ports, tmp_path_factory: pytest.TempPathFactory) -> SdkStage:
    return _published(local_ports, tmp_path_factory.mktemp("stage"))


def _published(ports: Ports, folder: Path) -> SdkStage:
    identity = credential()
    return SdkStage(ports, Workspace(Settings.from_environment(os.environ), identity)(), identity, folder)


@pytest.fixture
def loop() -> str:
    """A loop name that no other test and no earlier run has used."""
    return f"t{uuid.uuid4().hex[:16]}"
