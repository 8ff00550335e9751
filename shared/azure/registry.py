"""What a loop needs in Azure ML is registered under versions made from its content: unchanged means untouched."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from shared.azure.client import ML_ROLE, Workspace
from shared.azure.failures import UNBOUNDED, asking, must_be_absent
from shared.azure.registered_assets import digest
from shared.errors import ConfigurationError
from shared.loopfile.published import Assets
from shared.retraining.asked_window import asked_window

if TYPE_CHECKING:
    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import Component

    from shared.loopfile import Definition

IMAGE = "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:20250108.v1"
"""Base image under a loop's conda file."""

NOT_CONTENT = frozenset({"__pycache__", ".git", ".env", ".ipynb_checkpoints", ".DS_Store"})

Progress = Callable[[str], None]


class Registry:
    """Registers with the rights of whoever publishes: a person or CI, never the Function App."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def register(self, folder: Path, definition: Definition, progress: Progress) -> Assets:
        """Pipeline, checks, scoring code and environment of the loop in `folder`; their asset ids."""
        client = self._workspace()
        # The SDK resets the terminal's colour on stderr after each upload, progress bar or not.
        with (
            redirect_stderr(StringIO()),
            asking("Registering assets", f"workspace {self._workspace.name}", ML_ROLE, most_s=UNBOUNDED),
        ):
            return self._register(client, folder, definition, progress)

    def _register(self, client: MLClient, folder: Path, definition: Definition, progress: Progress) -> Assets:
        window = asked_window(folder, definition)
        progress(f"training pipeline {definition.train.pipeline}")
        pipeline = self._component(client, folder, definition.train.pipeline, f"{definition.loop}_training")
        checks = {}
        for check in definition.gate.checks:
            progress(f"check {check}")
            checks[check] = self._component(client, folder, check, f"{definition.loop}_{Path(check).stem}")
        environment = code = ""
        if definition.serve.environment is not None:
            progress("scoring environment")
            environment = self._environment(client, folder, definition)
        if definition.serve.scoring is not None:
            progress("scoring code")
            code = self._code(client, folder, definition, environment)
        reader = ""
        if definition.reads_by_jobs:
            progress("the reader of large drops")
            reader = self.reader()
        digests = {
            asset: found
            for asset in (environment, code)
            if asset and (found := digest(self._workspace.arm, asset))
        }
        return Assets(
            pipeline=pipeline,
            environment=environment,
            code=code,
            checks=checks,
            reader=reader,
            window=window,
            digests=digests,
        )

    def _component(self, client: MLClient, folder: Path, file: str, name: str) -> str:
        """A component's name may hold small letters, digits and underscores only."""
        from azure.ai.ml import load_component
        from azure.ai.ml.exceptions import ValidationException
        from marshmallow import ValidationError

        override = [{"name": name.replace("-", "_").lower(), "version": content_version(folder)}]
        try:
            component = load_component(folder / file, params_override=override)
        except (ValidationException, ValidationError, OSError) as error:
            raise ConfigurationError(
                f"{file} is not a valid Azure ML component: {_first_message(error)}"
            ) from error
        _run_as_managed(component)
        return self._ensure(client, component)

    def _ensure(self, client: MLClient, component: Component) -> str:
        from azure.core.exceptions import ResourceNotFoundError

        try:
            found = client.components.get(component.name, component.version)
        except ResourceNotFoundError as error:
            must_be_absent(error)
            found = client.components.create_or_update(component)
        return str(found.id)

    def _environment(self, client: MLClient, folder: Path, definition: Definition) -> str:
        from azure.ai.ml.entities import Environment

        named = str(definition.serve.environment)
        if named.startswith("azureml:"):
            name, _, version = named.removeprefix("azureml:").partition(":")
            return str(client.environments.get(name, version).id)
        content = hashlib.sha256((folder / named).read_bytes()).hexdigest()[:12]
        environment = Environment(
            name=f"{definition.loop}-scoring", version=content, conda_file=folder / named, image=IMAGE
        )
        return str(client.environments.create_or_update(environment).id)

    def reader(self) -> str:
        """The code of jobs that read drops, of all loops the same; carried by a component that nobody runs."""
        from azure.ai.ml.entities import SparkComponent
        from azure.core.exceptions import ResourceNotFoundError

        from shared.spark import package

        client, version = self._workspace(), package.version()
        try:
            component = client.components.get(package.NAME, version)
        except ResourceNotFoundError as error:
            must_be_absent(error)
            with TemporaryDirectory(prefix="driftloop-") as folder:
                package.write(Path(folder))
                carrier = SparkComponent(
                    name=package.NAME,
                    version=version,
                    description="Carries the program that reads large drops. Not to be run by itself.",
                    code=folder,
                    entry={"file": package.ENTRY},
                    py_files=[package.ARCHIVE],
                    driver_cores=1,
                    driver_memory="1g",
                    executor_cores=1,
                    executor_memory="1g",
                    executor_instances=1,
                )
                component = client.components.create_or_update(carrier)
        return str(component.code)

    def _code(self, client: MLClient, folder: Path, definition: Definition, environment: str) -> str:
        """Code has no public register call of its own, so it is carried by a component that nobody runs."""
        from azure.ai.ml.entities import CommandComponent

        scoring = folder / str(definition.serve.scoring)
        if not (scoring / "score.py").is_file():
            raise ConfigurationError(f"{scoring} has no score.py; `serve.scoring` names a folder with one")
        if not environment:
            raise ConfigurationError(
                "`serve.scoring` needs `serve.environment`: what the scoring code runs in"
            )
        carrier = CommandComponent(
            name=f"{definition.loop}_scoring".replace("-", "_"),
            version=content_version(scoring),
            description="Carries the scoring code of a loop; deployments use its code asset. Not to be run.",
            code=str(scoring),
            command="python score.py",
            environment=environment,
        )
        component_id = self._ensure(client, carrier)
        component = client.components.get(carrier.name, carrier.version)
        code = getattr(component, "code", None)
        if not code:
            raise ConfigurationError(
                f"{component_id} has no code asset; publish again with `driftloop publish`"
            )
        return str(code)


def _run_as_managed(pipeline: Component) -> None:
    """Each step that names no identity gets the managed one: the app submits, and serverless compute neither passes
    an application's credentials through nor knows a workspace's system-assigned identity.

    Of a Spark step that names none, azure-ai-ml says that it runs as the user (`Spark.identity`)."""
    from azure.ai.ml.entities import ManagedIdentityConfiguration, Spark, UserIdentityConfiguration

    for step in getattr(pipeline, "jobs", {}).values():
        named = getattr(step, "identity", ...)
        if named is None or (isinstance(step, Spark) and isinstance(named, UserIdentityConfiguration)):
            step.identity = ManagedIdentityConfiguration()


def _first_message(error: Exception) -> str:
    """The sentence that matters of the SDK's page-long validation errors."""
    found = re.search(r'"message": "(.+?)",?\n', str(error))
    return found[1] if found else str(error).strip().splitlines()[0]


def content_version(folder: Path) -> str:
    """Twelve hex digits of everything in the folder, names and bytes."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not NOT_CONTENT & set(path.relative_to(folder).parts):
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
