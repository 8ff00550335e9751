"""The same tests over the ports in memory and over Azure's own clients against the local Azure.

With AZURE_VERIFIED=1 they run against the Azure that the environment's settings name, and no local Azure is started.
What they made there is taken away at the end, and what did not go as on the local Azure is told.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import requests
from azure.core.credentials import AccessToken, TokenCredential

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
def publisher(settings: Settings, request: pytest.FixtureRequest) -> TokenCredential:
    """Of whoever publishes and promotes; on the local Azure that is not who the other tests are."""
    if VERIFIED:
        return credential()
    azure: LocalAzure = request.getfixturevalue("local_azure")
    return Somebody(azure.environment("publisher"))


class Somebody:
    """A credential of another identity than the process's own."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def get_token(self, *scopes: str, **options: object) -> AccessToken:
        answer = requests.get(
            self._environment["IDENTITY_ENDPOINT"],
            params={"resource": scopes[0].removesuffix("/.default")},
            headers={"X-IDENTITY-HEADER": self._environment["IDENTITY_HEADER"]},
            timeout=60,
        ).json()
        return AccessToken(answer["access_token"], int(answer["expires_on"]))


@pytest.fixture(scope="session")
def sdk_stage(
    settings: Settings,
    sdk_ports: Ports,
    publisher: TokenCredential,
    tmp_path_factory: pytest.TempPathFactory,
) -> SdkStage:
    identity = credential()
    folder: Path = tmp_path_factory.mktemp("stage")
    seen = Workspace(settings, publisher)
    return SdkStage(sdk_ports, Workspace(settings, identity)(), identity, folder, seen, settings.registry)


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
