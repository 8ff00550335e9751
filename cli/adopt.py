"""adopt: an endpoint that already serves gets a loop, and no request is lost."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import commit, idle_nodes, loaded, session
from cli.publish import To, defined
from cli.session import out
from shared.errors import ConfigurationError

if TYPE_CHECKING:
    from azure.ai.ml.entities import BatchDeployment

    from shared.azure.client import Workspace
    from shared.loopfile import Definition
    from shared.loopfile.definition import Serve

PREDICTIONS = "predictions.csv"
"""Where a batch deployment's answers are read."""


def add_to(app: typer.Typer) -> None:
    app.command("adopt")(adopt)


def adopt(
    folder: Annotated[
        Path, typer.Argument(help="The loop's folder; `serve.endpoint` names the endpoint that serves.")
    ],
    data: Annotated[Path, typer.Option(help="Rows like those that the model was trained on: the reference.")],
    deployment: Annotated[
        str, typer.Option(help="The deployment that serves; needed when an online endpoint has several.")
    ] = "",
    to: To = "",
) -> None:
    """Publish a loop over a serving endpoint. Its model becomes the champion; nothing on the endpoint changes."""
    from shared.azure.client import Workspace, credential
    from shared.azure.registry import Registry
    from shared.loopfile.published import Published
    from shared.release import adoption

    definition = defined(folder, (), to)
    code = loaded.own_code(session.folder_of(folder), definition)
    workspace, ports = Workspace(session.settings(), credential()), session.ports()
    idle_nodes.refuse_steps(workspace, definition.train, session.folder_of(folder))
    idle_nodes.refuse(workspace, definition.train)
    profile = profile_of(data, definition)
    found, model = serving(workspace, definition.serve, deployment)
    with out.status(f"adopting {definition.serve.endpoint}/{found}"):
        assets = Registry(workspace).register(session.folder_of(folder), definition, lambda _: None)
        who, now, oid = session.who(), ports.clock.now(), session.oid()
        from_commit = commit.of(session.folder_of(folder), os.environ, overridden=False)
        published = Published(definition, assets, who, now, oid, to, code, from_commit)
        release = adoption.adopt(ports, published, found, model, profile)
    out.say(
        f"adopted {definition.serve.endpoint}/{found} as release {release.loop}/{release.number}: {model}"
    )
    out.say(f"drop data at {definition.data.landing}; what lands is compared with {data.name}")


def profile_of(data: Path, definition: Definition) -> bytes:
    """The profile of the reference rows, read as a drop would be."""
    import tempfile
    from dataclasses import replace

    from shared.errors import InputRejected
    from shared.intake import DropFile, ReadSpec, read_drop
    from shared.intake.returns import with_returns

    if not data.is_file():
        raise ConfigurationError(
            f"{data} is not a file; pass rows that the model was trained on, or rows like them"
        )
    with tempfile.TemporaryDirectory(prefix="driftloop-adopt-") as place:
        drop = DropFile(path=data, name=data.name, size=data.stat().st_size)
        try:
            spec = replace(
                ReadSpec.of(definition.data, {}, b""), contract=()
            )  # what is served was not bound by it
            reading = read_drop([drop], spec, Path(place) / "out")
        except InputRejected as rejection:
            raise ConfigurationError(f"{data} cannot be used: {rejection.code}: {rejection}") from rejection
        return with_returns(reading, Path(place) / "out", definition, b"").profile


def serving(workspace: Workspace, serve: Serve, deployment: str) -> tuple[str, str]:
    """The deployment that serves, and the asset id of its model."""
    from azure.core.exceptions import ResourceNotFoundError

    client, endpoint, batch = workspace(), serve.endpoint, serve.type == "batch"
    try:
        listed = (client.batch_deployments if batch else client.online_deployments).list(endpoint)
        found = {str(each.name): each for each in listed}
        if not deployment and batch:
            defaults = client.batch_endpoints.get(endpoint).defaults
            deployment = str(getattr(defaults, "deployment_name", None) or "")
    except ResourceNotFoundError as error:
        raise ConfigurationError(f"endpoint {endpoint} does not exist; correct `serve.endpoint`") from error
    if not deployment and len(found) == 1:
        deployment = next(iter(found))
    if deployment not in found:
        raise ConfigurationError(
            f"missing --deployment: endpoint {endpoint} has {', '.join(sorted(found)) or 'no deployment'}"
        )
    if batch:
        refuse_unreadable(found[deployment])
    model = found[deployment].model
    if not model:
        raise ConfigurationError(
            f"deployment {deployment} has no registered model that could be put on record"
        )
    return deployment, str(model)


def refuse_unreadable(deployment: BatchDeployment) -> None:
    """The champion is asked for rows, too: its jobs must leave answers where they are looked for."""
    action, name = str(deployment.output_action or ""), str(deployment.output_file_name or "")
    if action.replace("_", "").lower() != "appendrow" or name != PREDICTIONS:
        raise ConfigurationError(
            f"deployment {deployment.name} writes {name or 'nothing'} with {action or 'no output action'}, and its "
            f"answers are read from {PREDICTIONS}, row by row: deploy its model with output_action append_row and "
            f"output_file_name {PREDICTIONS}, then adopt that"
        )
