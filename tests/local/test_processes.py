"""What we start ends with us, however we end."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient

from local import processes
from local.azure import LocalAzure, LocalAzureFailed
from tests.patience import until

# A child that ignores SIGTERM and has a child of its own; both write down their ids.
STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with open(sys.argv[1] + ".new", "w") as file:
    file.write(f"{os.getpid()} {grandchild.pid}")
os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(600)
"""

PARENT = """
import sys, time
from pathlib import Path
from local import processes
processes.start("child", [sys.executable, "-c", sys.argv[1], sys.argv[2]], log=Path(sys.argv[2] + ".log"))
time.sleep(600)
"""


def ps(*options: str) -> str:
    return subprocess.run(["/bin/ps", *options], capture_output=True, text=True, check=False).stdout


def is_alive(pid: int) -> bool:
    """Whether it runs; a zombie that waits for its parent does not."""
    state = ps("-o", "stat=", "-p", str(pid)).strip()
    return bool(state) and not state.startswith("Z")


@pytest.fixture
def ids(tmp_path: Path) -> Iterator[Path]:
    file = tmp_path / "ids"
    yield file
    if file.exists():
        for pid in map(int, file.read_text().split()):
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)


def read(ids: Path) -> list[int]:
    until(ids.exists)
    return [int(pid) for pid in ids.read_text().split()]


def test_stop_ends_the_whole_tree_even_if_it_ignores_the_request(tmp_path: Path, ids: Path) -> None:
    child = processes.start("stubborn", [sys.executable, "-c", STUBBORN, str(ids)], log=tmp_path / "log")
    pids = read(ids)
    child.stop(grace_s=0.2)
    assert child.poll() == -signal.SIGKILL
    until(lambda: not any(map(is_alive, pids)))


def test_a_tree_does_not_outlive_a_parent_that_was_killed(ids: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, STUBBORN, str(ids)])
    try:
        pids = read(ids)
        assert all(map(is_alive, pids))
    finally:
        parent.kill()
        parent.wait()
    until(lambda: not any(map(is_alive, pids)))


def test_a_state_folder_has_one_local_azure(local_azure: LocalAzure) -> None:
    with pytest.raises(LocalAzureFailed, match="Another local Azure"):
        LocalAzure(local_azure.settings.folder).start()


@contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[None]:
    """Its own processes end with it, also where an assertion fails: to leave it would wait for it."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)


def test_up_writes_the_settings_for_a_shell_and_for_core_tools_and_leaves_nothing(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "local",
        "up",
        "--app",
        str(tmp_path),
        "--state",
        str(tmp_path / "state"),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as up, ended(up):
        assert up.stdout is not None
        lines = []
        for line in up.stdout:
            lines.append(line)
            if "in a browser" in line or "Core Tools" in line:
                break
        assert not any("export" in line for line in lines), "the settings, with a secret, stand in a file"
        settings = (tmp_path / "state" / "env").read_text().splitlines()
        connection = next(line for line in settings if "AZURE_STORAGE_CONNECTION_STRING" in line)
        words = shlex.split(connection.removeprefix("export AZURE_STORAGE_CONNECTION_STRING="))
        with BlobServiceClient.from_connection_string(
            words[0], connection_verify=str(tmp_path / "state" / "certificates" / "bundle.pem")
        ) as storage:
            storage.get_blob_client("landing", "penguins/one.csv").upload_blob(b"a\n1\n")
        running = ps("-ww", "-eo", "args")
        up.send_signal(signal.SIGINT)
        assert up.wait(60) == 0
    assert "export DRIFTLOOP_QUEUE=driftloop-events" in settings
    assert (tmp_path / "state" / "env").stat().st_mode & 0o077 == 0
    assert (
        '"AzureWebJobsStorage__credential": "managedidentity"'
        in (tmp_path / "local.settings.json").read_text()
    )
    assert running.count(str(tmp_path / "state")) >= 3, "up itself, Azurite, the workspace"
    left = ps("-ww", "-eo", "args")
    assert str(tmp_path / "state") not in left
