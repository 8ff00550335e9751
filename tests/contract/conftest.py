"""The same tests over the ports in memory and over Azure's own clients against the local Azure.

With AZURE_VERIFIED=1 they also run against the real Azure that the environment's settings name.
"""

from __future__ import annotations

import os
import uuid

import pytest

from local.azure import LocalAzure
from shared.memory import memory_ports
from shared.ports import Ports
from shared.settings import Settings
from shared.wiring import azure_ports

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


@pytest.fixture
def loop() -> str:
    """A loop name that no other test and no earlier run has used."""
    return f"t{uuid.uuid4().hex[:16]}"
