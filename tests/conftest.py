"""Fixtures that every test may ask for."""

from __future__ import annotations

import gc
import inspect
import os
from collections.abc import Generator, Iterator
from contextlib import nullcontext
from functools import cache
from pathlib import Path

import pytest
import typer.main
import typer.testing
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from local import certificates
from local.azure import LocalAzure
from tests import strict_words

strict_words.install()
certificates.INTERNET = Path(
    os.devnull
)  # OpenSSL reads it for each connection of a client that keeps none: 20 ms
# azure-ai-ml asks for the stack with its source at each deployment that it reads (`_should_skip_warning`). Below tests
# it has frames without a file, for each of which all modules are gone through; those of a function's thread have none.
inspect.modulesbyfile.update(dict.fromkeys(("<string>", "<frozen runpy>"), "builtins"))
# Who runs a command makes the whole command line anew for it, which takes longer than most commands.
vars(typer.testing)["_get_command"] = cache(typer.main.get_command)
for size in ("COLUMNS", "LINES"):
    os.environ.pop(size, None)  # no terminal's: a console keeps what stands there when it is imported


@pytest.fixture(scope="session")
def local_azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAzure]:
    """A local Azure of its own for each test process, or the one that runs over the folder RUNNING_LOCAL_AZURE; its
    settings are in the process's environment."""
    running = os.environ.get("RUNNING_LOCAL_AZURE")
    folder = Path(running) if running else tmp_path_factory.mktemp("local-azure")
    with nullcontext(LocalAzure(folder)) if running else LocalAzure(folder) as azure:
        before = dict(os.environ)
        os.environ.update(
            azure.environment("app")
        )  # the ports are the app's: no test has more rights than it
        try:
            yield azure
        finally:
            os.environ.clear()
            os.environ.update(before)


TOGETHER = ("tests/acceptance/", "tests/infra/")
"""Folders whose files share what is dear to start: the app on a local Azure of its own, Microsoft's Bicep compiler."""


class DearTogether(LoadFileScheduling):
    """A test file is one process's; so are all files of some folders."""

    def _split_scope(self, nodeid: str) -> str:
        folder = next((each for each in TOGETHER if nodeid.startswith(each)), None)
        return folder or str(super()._split_scope(nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> DearTogether:
    return DearTogether(config, log)


LONGEST_FIRST = ("acceptance", "infra", "tower", "loops", "simulator", "intake", "local")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The folders with long tests begin, so that no test process ends long after the others."""

    def place(item: pytest.Item) -> int:
        folder = item.nodeid.split("/")[1]
        return LONGEST_FIRST.index(folder) if folder in LONGEST_FIRST else len(LONGEST_FIRST)

    items.sort(key=place)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported and collected is garbage at no time: to look through it again and again takes seconds."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
        gc.set_threshold(20_000, 50, 100)  # most of what tests make is garbage at once


MAY_SKIP = (
    "not part of the project",  # data, cases and records that are read where they lie
    "DRIFTLOOP_DATA",
    "Azure account",
    "Python 3.13",
    "in memory",  # a contract that only the real adapter can break
    "no Bicep compiler",  # Microsoft gives it, no package index does
    "no `terraform` on the PATH",  # HashiCorp gives it, likewise
)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With CI=true a test that skips for a tool which `.ci/run` should have installed has failed."""
    report = yield
    if os.environ.get("CI", "").casefold() == "true" and report.skipped and not hasattr(report, "wasxfail"):
        reason = str(report.longrepr)
        if not any(allowed in reason for allowed in MAY_SKIP):
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} was skipped, which CI does not allow: {reason}"
    return report
