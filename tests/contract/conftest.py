"""The same tests over the ports in memory and over Azure's own clients against the local Azure.

With AZURE_VERIFIED=1 they run against the Azure that the environment's settings name, and no local Azure is started.
What they made there is taken away at the end, and what did not go as on the local Azure is told.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.cleaning import clear
from local.azure import LocalAzure
from shared.azure.client import Workspace, credential
from shared.memory import MemoryPorts, memory_ports
from shared.ports import Ports
from shared.settings import Settings
from shared.wiring import azure_ports
from tests.contract.stage import RUN, VERIFIED, MemoryStage, SdkStage, Stage, fresh

WORLDS = ["azure"] if VERIFIED else ["memory", "local"]
LEFT_OUT = "an Azure account has no control surface: left out"

if VERIFIED:

    @pytest.fixture(scope="session")
    def local_azure() -> LocalAzure:
        """Instead of one that is started."""
        pytest.skip(LEFT_OUT)


@pytest.fixture(scope="session")
def settings(request: pytest.FixtureRequest) -> Iterator[Settings]:
    """Of the real Azure, else of the local one, which is started then."""
    if not VERIFIED:
        request.getfixturevalue("local_azure")
    yield Settings.from_environment(os.environ)
    if VERIFIED:
        request.config.stash[CLEARED] = list(clear(Settings.from_environment(os.environ), RUN))


@pytest.fixture(scope="session")
def sdk_ports(settings: Settings) -> Ports:
    return azure_ports(settings)


@pytest.fixture(scope="session", params=WORLDS)
def ports(request: pytest.FixtureRequest) -> Ports:
    """One set of ports a world, so that tests keep to names of their own."""
    if request.param == "memory":
        return memory_ports()
    found: Ports = request.getfixturevalue("sdk_ports")
    return found


@pytest.fixture(scope="session")
def stage(ports: Ports, request: pytest.FixtureRequest) -> Stage:
    """What the tests of Azure ML need to have been published."""
    if isinstance(ports, MemoryPorts):
        return MemoryStage(ports)
    found: Stage = request.getfixturevalue("sdk_stage")
    return found


@pytest.fixture(scope="session")
def sdk_stage(settings: Settings, sdk_ports: Ports, tmp_path_factory: pytest.TempPathFactory) -> SdkStage:
    identity = credential()
    folder: Path = tmp_path_factory.mktemp("stage")
    return SdkStage(sdk_ports, Workspace(settings, identity)(), identity, folder)


@pytest.fixture
def loop() -> str:
    """A loop name that no other test and no earlier run has used."""
    return fresh("t")


CLEARED = pytest.StashKey[list[str]]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A deployment takes minutes on Azure, and the image before it."""
    if VERIFIED:
        for item in items:
            item.add_marker(pytest.mark.timeout(4 * 3600))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not VERIFIED:
        return
    told = terminalreporter.stats
    terminalreporter.section("the deployment that the environment names, beside the local Azure")
    terminalreporter.write_line(f"as on the local Azure: {len(told.get('passed', []))}")
    for report in [*told.get("failed", []), *told.get("error", [])]:
        last = str(report.longrepr).strip().splitlines()[-1]
        terminalreporter.write_line(f"differs: {report.nodeid}: {last}")
    for report in told.get("skipped", []):
        terminalreporter.write_line(f"left out: {report.nodeid}: {report.longrepr[-1]}")
    for words in config.stash.get(CLEARED, ["nothing was taken away"]):
        terminalreporter.write_line(f"taken away: {words}")
