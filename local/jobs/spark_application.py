"""A Spark application is run by the real spark-submit, all of it on this machine, in an environment of its own.

Executors are apart from the driver as on a cluster: another folder, without the job's code and the run's variables;
what they import came by `py_files` (Azure/azureml-assets, annotation_compute_histogram/run.py, has to mind both).
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import psutil
import yaml

from local.jobs import environment, spark_storage
from local.jobs.exceptions import EnvironmentNotBuilt, StepFailed
from local.jobs.spark import DRIVER_MEMORY, EXECUTOR_CORES, INSTANCES, LISTS, RUNTIME
from local.state import Document

_CONDA = (Path(__file__).parent / "spark-runtime.yml").read_text()
_PYTHON = "3.11"
_FIXED = re.compile(r"(python|pyspark|openjdk|scala)\s*==?\s*(\S+)")
"""What a conda file cannot change (apache-spark-azure-ml-concepts.md)."""
_PYTHON_ITSELF = re.compile(r"python\s*([=<>!~].*)?$")
_LOGGED = re.compile(r"\d\d/\d\d/\d\d \d\d:\d\d:\d\d [A-Z]+ ")
_EXECUTORS = ("PATH", "LANG", "TZ", "OMP_NUM_THREADS", "REQUESTS_CA_BUNDLE")
_SPARKS = ("SPARK_", "PYSPARK_", "PYTHON")
"""What an executor's Python knows. A certificate is trusted here that on Azure is known to everybody."""
_JAVA = (8, 11, 17)
"""Versions that Spark 3.5 runs on (spark.apache.org, 3.5 overview)."""


def python_for(name: str, asset: Document) -> Path:
    """The interpreter of the runtime with the packages of an environment's conda file; its image counts for nothing."""
    try:
        asked = environment.requirements(asset) if asset.get("condaFile") else []
    except (yaml.YAMLError, ValueError) as error:
        raise EnvironmentNotBuilt(name, str(error)) from error
    for line in asked:
        changes = _FIXED.match(line)
        if changes and not (changes[1] == "python" and changes[2].startswith(_PYTHON)):
            raise StepFailed(
                f"The conda file of {name} asks for {line}, which Spark's runtime does not change."
            )
    if not environment.known(_PYTHON):
        raise StepFailed(
            f"Spark {RUNTIME} runs with Python {_PYTHON} as on Azure, and this machine has none."
        )
    packages = [*asked, *environment.requirements({"condaFile": _CONDA})]
    pip = [line for line in packages if not _PYTHON_ITSELF.match(line)]
    conda = yaml.safe_dump({"dependencies": [f"python={_PYTHON}", {"pip": pip}]})
    return environment.python_for(name or f"of Spark {RUNTIME}", {"condaFile": conda})


def java() -> str:
    """The home of Java, as JAVA_HOME or the PATH has it; StepFailed without one that Spark runs on."""
    home = os.environ.get("JAVA_HOME", "")
    program = shutil.which("java", path=str(Path(home, "bin")) if home else None)
    if program is None:
        raise StepFailed(
            "Spark needs Java 17, and this machine has none on its PATH or at JAVA_HOME. Install one, for example "
            "`apt install openjdk-17-jre-headless` or `brew install openjdk@17`."
        )
    told = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=60).stderr
    found = re.search(r'version "(?:1\.)?(\d+)', told)
    if found is None or int(found[1]) not in _JAVA:
        raise StepFailed(
            f"Spark {RUNTIME} runs on Java {', '.join(map(str, _JAVA))}, and this machine's says: "
            f"{told.strip()[:200]}. Name another one in JAVA_HOME."
        )
    return str(Path(program).resolve().parents[1])


def last_words(folder: Path, lines: int = 20) -> str:
    """The end of what the script wrote, its standard error as well: spark-submit puts both into Spark's own log."""
    file = folder / "std_log.txt"
    said = file.read_text(errors="replace").splitlines() if file.exists() else []
    return "\n".join([line for line in said if line.strip() and not _LOGGED.match(line)][-lines:])


class Application:
    """One application in a run's folder, whose code has been downloaded to `folder / "code"`."""

    def __init__(self, spec: Document, folder: Path, python: Path) -> None:
        self._spec, self._folder, self._python = spec, folder, python
        self._code, self._executor = folder / "code", folder / "executor"

    def order(self, arguments: str, variables: Mapping[str, str], more: Mapping[str, str]) -> Document:
        """The command and the variables of its processes; `more` is what the cluster adds to the settings."""
        entry = self._in_code(str((self._spec.get("entry") or {}).get("file")), "entry")
        self._executor.mkdir(parents=True)
        listed = {name: [self._in_code(each, name) for each in self._spec.get(name) or []] for name in LISTS}
        for file in listed["files"]:
            shutil.copy(file, self._executor)
        own = {
            "PYTHONPATH": os.pathsep.join(self._libraries(listed["py_files"])),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "TZ": "UTC",
        }
        stores = spark_storage.settings(self._folder / "stores")
        conf = {**self._asked(), **self._fixed(), **stores, **more}
        command = [str(self._python.with_name("spark-submit")), "--master", self._master()]
        for name in LISTS[1:]:
            command += [f"--{name}", ",".join(self._told(name, listed[name]))] if listed[name] else []
        for key, value in conf.items():
            command += ["--conf", f"{key}={value}"]
        try:
            command += [str(entry), *shlex.split(arguments)]
        except ValueError as error:
            raise StepFailed(f"args: {arguments!r} is no list of arguments ({error}).") from error
        return {"command": command, "env": {**variables, **own}}

    def _in_code(self, name: str, what: str) -> Path:
        found = (self._code / name.partition("#")[0]).resolve()
        if not found.is_relative_to(self._code.resolve()) or not found.is_file():
            raise StepFailed(f"{what}: {name!r} is no file of the job's code.")
        return found

    def _told(self, name: str, files: list[Path]) -> list[str]:
        """As spark-submit is told of them; of an archive as what it is unpacked, too (Spark, `spark.archives`)."""
        if name != "archives":
            return [str(file) for file in files]
        asked = [each.partition("#") for each in self._spec[name]]
        return [f"{file}{sign}{alias}" for file, (_, sign, alias) in zip(files, asked, strict=True)]

    def _libraries(self, py_files: list[Path]) -> list[str]:
        """Apart from the code, so that no sibling of a module that was sent along is there as well."""
        sent = self._folder / "py-files"
        sent.mkdir()
        copies = [shutil.copy(file, sent) for file in py_files]
        return [str(sent), *(str(one) for one in copies if not str(one).endswith(".py"))]

    def _asked(self) -> dict[str, str]:
        """A laptop has no executor of 28 GB: how much memory there is counts, and not what was asked for."""
        conf = {str(key): str(value) for key, value in (self._spec.get("conf") or {}).items()}
        return {"spark.log.level": "WARN"} | conf

    def _fixed(self) -> dict[str, str]:
        return {
            DRIVER_MEMORY: f"{psutil.virtual_memory().total // 4 >> 20}m",
            "spark.pyspark.driver.python": str(self._python),
            "spark.pyspark.python": str(self._executor_python()),
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.local.dir": str(self._folder / "spark"),
            "spark.sql.warehouse.dir": str(self._folder / "warehouse"),
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
        }

    def _executor_python(self) -> Path:
        """A script that begins Python where an executor would, knowing what an executor knows: Spark's own variables
        and those that `spark.executorEnv` gives, and nothing of the driver's."""
        said = {key.removeprefix("spark.executorEnv.") for key in self._spec.get("conf") or {}}
        begin = self._folder / "executor.py"
        begin.write_text(
            "import os, sys\n"
            f"os.chdir({str(self._executor)!r})\n"
            f"kept = {{k: v for k, v in os.environ.items() if k in {sorted({*_EXECUTORS, *said})!r} "
            f"or k.startswith({_SPARKS!r})}}\n"
            f"os.execve({str(self._python)!r}, [{str(self._python)!r}, *sys.argv[1:]], kept)\n"
        )
        script = self._folder / "executor-python"
        program = f"{shlex.quote(str(self._python))} -I -S {shlex.quote(str(begin))}"
        script.write_text(f'#!/bin/sh\nexec {program} "$@"\n')
        script.chmod(0o700)
        return script

    def _master(self) -> str:
        """So many tasks at once, each tried as often as on a cluster, where an executor may die."""
        conf = self._spec["conf"]
        asked = int(conf[EXECUTOR_CORES]) * int(conf.get(INSTANCES) or 1)
        return f"local[{max(1, min(asked, os.cpu_count() or 1))},{conf.get('spark.task.maxFailures', 4)}]"
