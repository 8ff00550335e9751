"""A conda file is installed once, by whoever asks first, and nothing is left of what could not be."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from uv import find_uv_bin

from local.jobs import environment, installer
from local.jobs.exceptions import EnvironmentNotBuilt, WorkspaceStopping
from tests.patience import until

USUAL = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Environments of this test's own; wheels come from the usual cache."""
    monkeypatch.setenv("UV_CACHE_DIR", str(USUAL / "uv"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "driftloop" / "environments"


def conda(*pip: str, of_conda: tuple[str, ...] = ("python=3.11", "pip")) -> dict[str, str]:
    return {"condaFile": json.dumps({"dependencies": [*of_conda, {"pip": list(pip)}]})}


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        ("numpy", "numpy"),
        ("numpy=1.26", "numpy==1.26.*"),
        ("numpy=1.26.*", "numpy==1.26.*"),
        ("numpy=1.26.4=py311h64a7726_0", "numpy==1.26.4.*"),
        ("numpy==1.26.4", "numpy==1.26.4"),
        ("numpy>=1.2,<2", "numpy>=1.2,<2"),
        ("conda-forge::numpy=1.26", "numpy==1.26.*"),
    ],
)
def test_a_package_of_conda_is_one_of_pip(entry: str, line: str) -> None:
    assert environment.requirements(conda(of_conda=(entry,))) == [line]


def test_a_conda_file_is_installed_once_whoever_asks(cache: Path) -> None:
    with ThreadPoolExecutor() as pool:
        found = set(pool.map(lambda _: environment.python_for("e:1", conda("packaging==24.0")), range(3)))
    again = environment.python_for("another:7", conda("packaging==24.0"))
    assert found == {again}
    told = subprocess.run([again, "-c", "import packaging as p; print(p.__version__)"], capture_output=True)
    assert told.stdout.strip() == b"24.0"
    assert [each for each in cache.iterdir() if each.is_dir()] == [again.parents[1]]


def test_another_package_that_the_image_brings_is_another_image() -> None:
    alone = environment.python_for("e:1", conda("packaging==24.0"))
    assert environment.python_for("e:1", conda("packaging==24.0"), "iniconfig==2.0.0") != alone


def test_pip_and_what_is_asked_for_beside_it_are_there() -> None:
    """Else `pip install` in a step would be that of whoever started the local Azure."""
    asked = environment.python_for("e:1", conda("packaging==24.0", "setuptools==80.9.0"))
    line = "import importlib.metadata as m, pip; print(m.version('setuptools'))"
    told = subprocess.run([asked, "-c", line], capture_output=True, text=True)
    assert told.stdout.strip() == "80.9.0", told.stderr


def test_it_is_made_anew_when_its_interpreter_is_gone() -> None:
    """As after an update of this machine's Python."""
    python = environment.python_for("e:1", conda("packaging==24.0"))
    python.unlink()
    python.symlink_to("/nowhere/python")
    assert environment.python_for("e:1", conda("packaging==24.0")).exists()


def test_whichever_virtual_environment_asks_it_is_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    python = environment.python_for("e:1", conda("packaging==24.0"))
    (tmp_path / "python").symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert environment.python_for("e:1", conda("packaging==24.0")) == python


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("dependencies: [a, [", "while parsing"),
        ("packaging", "a list of dependencies, not 'packaging'"),
        ("dependencies: packaging", "a list of dependencies, not 'packaging'"),
        ("dependencies: [{pip: packaging}]", "a list of pip, not 'packaging'"),
        ("dependencies: [{pip: [-r requirements.txt]}]", "requirements.txt"),
    ],
)
def test_what_is_no_conda_file_is_told(text: str, told: str) -> None:
    with pytest.raises(EnvironmentNotBuilt, match=told):
        environment.python_for("e:1", {"condaFile": text})


def test_nothing_is_left_of_what_cannot_be_installed(cache: Path) -> None:
    for _ in range(2):  # a failure is not kept: the index may have it tomorrow
        with pytest.raises(EnvironmentNotBuilt, match=r"(?s)environment e:1 .*no-such-package-of-ours"):
            environment.python_for("e:1", conda("no-such-package-of-ours==1"))
    assert [each for each in cache.iterdir() if each.is_dir()] == []


def test_an_index_out_of_reach_is_no_failure_where_all_was_there_before(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment.python_for("e:1", conda("packaging==24.0"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "anew"))
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    assert environment.python_for("e:1", conda("packaging==24.0")).exists()


def test_an_installation_that_ends_with_the_local_azure_is_no_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The whole group of processes is told to end; what was being built is built after the next start."""
    with socket.create_server(("127.0.0.1", 0)) as silent, ThreadPoolExecutor() as pool:
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://127.0.0.1:{silent.getsockname()[1]}/simple")
        built = pool.submit(environment.python_for, "e:1", conda("no-such-package-of-ours==1"))
        installing = until(installers)
        installing[0].terminate()
        with pytest.raises(WorkspaceStopping):
            built.result()


def installers() -> list[psutil.Process]:
    found = []
    for one in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):  # another test's, which has ended
            if "install" in one.cmdline():
                found.append(one)
    return found


def test_packages_come_from_where_pip_takes_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A team's own index, and certificates of a proxy, are known to pip; the set-up used it."""
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex-url = https://packages.example/simple\ncert = /ca.pem\nextra-index-url =\n    https://a.example\n"
        "    https://b.example\nfind-links = /wheels /more\n[install]\ntrusted-host = packages.example\n"
    )
    found = _as_pip_has_it(monkeypatch, tmp_path / "pip.conf")
    assert found["UV_DEFAULT_INDEX"] == "https://packages.example/simple"
    assert found["UV_INDEX"] == "https://a.example https://b.example"
    assert (found["UV_FIND_LINKS"], found["SSL_CERT_FILE"]) == ("/wheels,/more", "/ca.pem")
    assert (found["UV_INSECURE_HOST"], found["UV_SYSTEM_CERTS"]) == ("packages.example", "1")


@pytest.mark.parametrize(
    ("variable", "used"), [({"PIP_INDEX_URL": "https://variable.example"}, "variable"), ({}, "install")]
)
def test_of_pips_settings_those_of_an_installation_count(
    variable: dict[str, str], used: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """pip's documentation, configuration, "Precedence / Override order": a variable, then the command's, then all."""
    sections = ("global", "install", "wheel")
    text = "".join(f"[{one}]\nindex-url = https://{one}.example\n" for one in sections)
    (tmp_path / "pip.conf").write_text(text)
    found = _as_pip_has_it(monkeypatch, tmp_path / "pip.conf", variable)
    assert found["UV_DEFAULT_INDEX"] == f"https://{used}.example"


def _as_pip_has_it(
    monkeypatch: pytest.MonkeyPatch, file: Path, variables: Mapping[str, str] | None = None
) -> dict[str, str]:
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    for name, value in {"PIP_CONFIG_FILE": str(file), **(variables or {})}.items():
        monkeypatch.setenv(name, value)
    installer._told_by_pip.cache_clear()
    try:
        return installer._pip_settings()
    finally:
        installer._told_by_pip.cache_clear()


@pytest.fixture
def set_anew() -> Iterator[None]:
    """pip's settings are read again for this test, and after it."""
    installer._told_by_pip.cache_clear()
    yield
    installer._told_by_pip.cache_clear()


@pytest.mark.usefixtures("set_anew")
@pytest.mark.parametrize("said", ["1", "True"])
def test_where_pip_asks_no_index_none_is_asked(
    said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", said)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    asked = installer.uv("pip", "install", "--dry-run", "--python", sys.executable, "no-such-package-of-ours")
    assert "provided package locations" in asked.stderr


@pytest.mark.usefixtures("set_anew")
@pytest.mark.parametrize("password", ["s3#cret", "s3/cret", "s3@cret"])
def test_an_error_has_no_password_of_an_index(password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """uv hides it in an address that it can read, and these it cannot."""
    monkeypatch.setenv("PIP_INDEX_URL", f"https://bob:{password}@127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    asked = installer.uv("pip", "install", "--dry-run", "--python", sys.executable, "no-such-package-of-ours")
    assert asked.returncode and "cret" not in asked.stderr


def test_what_a_redaction_leaves_is_what_is_no_secret() -> None:
    for text in ("git+https://github.com/o/r.git@main", "x @ https://a.example/x.whl"):
        assert installer._CREDENTIALS.sub("****@", text) == text


def test_set_up_installs_into_its_own_environment_whichever_is_active(tmp_path: Path) -> None:
    subprocess.run([find_uv_bin(), "venv", "-q", "--no-project", tmp_path / "other"], check=True)
    active = {"VIRTUAL_ENV": str(tmp_path / "other"), "UV_SYSTEM_PYTHON": "1"}
    command = [sys.executable, "-m", "local.jobs.installer", "pip", "show", "uv"]
    assert subprocess.run(command, env=os.environ | active).returncode == 0


def test_what_nothing_asks_for_in_a_month_goes(cache: Path) -> None:
    kept, old = (environment.python_for("e:1", conda(f"packaging=={v}")).parents[1] for v in ("24.0", "24.1"))
    os.utime(old, (time.time() - 31 * 86400,) * 2)
    environment.python_for("e:1", conda("packaging==24.2"))
    assert (kept.exists(), old.exists()) == (True, False)


def test_an_image_without_a_conda_file_has_what_the_examples_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(USUAL))  # other tests use it, too: it is large
    python = environment.python_for("e:1", {"image": "example/base:1"})
    line = "import azureml.ai.monitoring, mlflow, pandas, pyarrow, sklearn"
    assert subprocess.run([python, "-c", line]).returncode == 0
