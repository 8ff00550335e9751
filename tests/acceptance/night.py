"""A live loop, and hands that break it: by Azure's own clients, as a person or a script would."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from azure.ai.ml import MLClient
from azure.ai.ml.entities import CodeConfiguration, ManagedOnlineDeployment, Model
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from typer.testing import CliRunner

import cli
from cli import acts
from local.azure import LocalAzure
from shared import loopfile
from shared.azure.client import Clients, Workspace, credential
from shared.errors import DriftloopError
from shared.loopfile.published import Assets, Published
from shared.runtime import publication, tick
from shared.settings import Settings
from tests.acceptance.breaks import LOOP, Break
from tests.acceptance.conftest import App, season
from tests.patience import until
from tests.tower import tower

SECOND = """
loop: second
data: {landing: landing/second/, target: species}
train: {pipeline: train.yml, compute: gone}
serve: {endpoint: second}
"""


@dataclass
class Said:
    """What was said of one break."""

    command: str = ""
    status: str = ""
    page: str = ""
    doctor: dict[str, str] = field(default_factory=dict)

    def lacks(self, row: Break) -> list[str]:
        """Where the expected text is not said."""
        check, text = row.doctor
        wanted = {
            "command": (row.command, self.command),
            "status": (row.status, " ".join(self.status.split())),
            "page": (row.on_page, " ".join(self.page.split())),
            "doctor": (text, self.doctor.get(check, "")),
        }
        return [place for place, (part, whole) in wanted.items() if " ".join(part.split()) not in whole]


class Night:
    """`how` and `undo` of a break are methods of this."""

    def __init__(self, app: App, settings: Settings) -> None:
        self.app, self._settings = app, settings
        self.ml: MLClient = Workspace(settings, credential())()
        self.clients = Clients(settings, credential())
        self._kept: dict[str, bytes] = {}
        self._rows: list[Any] = []

    @property
    def azure(self) -> LocalAzure:
        return self.app.azure

    def run(self, *words: str) -> str:
        """What a command prints, with its error, as `main` does."""
        done = CliRunner().invoke(cli.app, list(words))
        return done.stdout + (str(done.exception) if isinstance(done.exception, DriftloopError) else "")

    def look(self) -> Said:
        pages = [
            tower.get(self.app.ports, path, accept="application/json") for path in (f"/loops/{LOOP}", "")
        ]
        return Said(
            status=self.run("status", LOOP) + self.run("status"),
            page="\n".join(_texts(json.loads(reply.content)) for reply in pages),
        )

    def doctor(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for one in json.loads(CliRunner().invoke(cli.app, ["doctor", "--json"]).stdout):
            if one["state"] != "ok":
                found[one["check"]] = found.get(one["check"], "") + one["what"]
        return found

    def sweep(self) -> None:
        """As the app does every half a minute here, and every ten minutes on Azure."""
        tick.sweep(self.app.ports, self._settings.blob_service_uri)

    # serving

    def _deploy(self, name: str) -> None:
        """Under this name a model that is not the loop's; begun, and not awaited."""
        path = "azureml://jobs/night-r1-a1/outputs/model/paths/"
        stranger = Model(name="stranger", version="1", path=path, type="custom_model")
        model = str(self.ml.models.create_or_update(stranger).id)
        like = self.ml.online_deployments.get("r1-a1", LOOP)
        code = like.code_configuration
        self.ml.online_deployments.begin_create_or_update(
            ManagedOnlineDeployment(
                name=name,
                endpoint_name=LOOP,
                model=model,
                environment=like.environment,
                code_configuration=CodeConfiguration(code=code.code, scoring_script=code.scoring_script),
                instance_type=like.instance_type,
                instance_count=1,
            )
        )

    def _set(self, weights: dict[str, int]) -> None:
        endpoint = self.ml.online_endpoints.get(LOOP)
        endpoint.traffic = weights
        self.ml.online_endpoints.begin_create_or_update(endpoint)
        until(lambda: self._weights() == weights)

    def _weights(self) -> dict[str, int]:
        found = self.ml.online_endpoints.get(LOOP).traffic or {}
        return {name: weight for name, weight in found.items() if weight}

    def take_traffic(self) -> None:
        self._set({})

    def give_traffic(self) -> None:
        self._set({"r1-a1": 100})

    def move_traffic(self) -> None:
        self._deploy("mine")
        until(lambda: self.ml.online_deployments.get("mine", LOOP).provisioning_state == "Succeeded", 120)
        self._set({"mine": 100})

    def swap_model(self) -> None:
        self._deploy("r1-a1")

    def delete_deployment(self) -> None:
        until(lambda: self.ml.online_deployments.get("r1-a1", LOOP).provisioning_state == "Succeeded", 120)
        self._set({})
        self.ml.online_deployments.begin_delete("r1-a1", LOOP)

    def delete_endpoint(self) -> None:
        self.ml.online_endpoints.begin_delete(LOOP)

    # drops

    def drop_twice(self) -> None:
        self.app.drop(LOOP, "2007.csv", season(2007))

    def drop_renamed(self) -> None:
        self.app.drop(LOOP, "again.csv", season(2007))

    def drop_picture(self) -> None:
        self.app.drop(LOOP, "photo.csv", b"\x89PNG\r\n\x1a\n" + bytes(100))

    def drop_empty(self) -> None:
        self.app.drop(LOOP, "empty.csv", b"")

    def drop_without_target(self) -> None:
        self.app.drop(LOOP, "untold.csv", season(2008).drop(columns=["species"]))

    def rename_column(self) -> None:
        self.app.drop(LOOP, "renamed.csv", season(2008).rename(columns={"body_mass_g": "mass"}))

    def drop_half_a_folder(self) -> None:
        self.app.drop(LOOP, "half/part-0.csv", season(2008))

    def drop_elsewhere(self) -> None:
        self.app.drop("nobody", "x.csv", season(2008))

    def label_strangers(self) -> None:
        self.app.ports.blobs.upload(
            "labels", f"{LOOP}/wrong.csv", b"row_id,species\nx-1,Adelie\nx-2,Gentoo\n"
        )

    def label_without_target(self) -> None:
        self.app.ports.blobs.upload("labels", f"{LOOP}/columns.csv", b"id,label\nx-1,Adelie\n")

    def fill_queue(self) -> None:
        for text in ("rubbish", "{}"):
            self.clients.queue().send_message(base64.b64encode(text.encode()).decode())

    def poison(self) -> None:
        queue = self.clients.queue(poison=True)
        with suppress(ResourceExistsError):
            queue.create_queue()
        queue.send_message(base64.b64encode(b'{"driftloop": "act"}').decode())

    # platform

    def delete_queue(self) -> None:
        self.clients.queue().delete_queue()

    def make_queue(self) -> None:
        _made(self.clients.queue().create_queue)

    def delete_landing(self) -> None:
        self._delete("landing")

    def make_landing(self) -> None:
        self._make("landing")

    def delete_versions(self) -> None:
        self._delete("versions")

    def make_versions(self) -> None:
        self._make("versions")

    def _delete(self, container: str) -> None:
        found = self.clients.blobs().get_container_client(container)
        for blob in found.list_blobs():
            self._kept[f"{container}/{blob.name}"] = found.download_blob(blob.name).readall()
        found.delete_container()

    def _make(self, container: str) -> None:
        made = self.clients.blobs().get_container_client(container)
        _made(made.create_container)
        for name, content in self._kept.items():
            there, _, blob = name.partition("/")
            if there == container and container == "versions":
                made.upload_blob(blob, content)

    def delete_cluster(self) -> None:
        definition, ports = loopfile.parse(SECOND, file="loop.yaml"), self.app.ports
        publication.publish(ports, Published(definition, Assets("azureml:p:1"), "ann", ports.clock.now()))

    def forget_second(self) -> None:
        table = self.clients.table()
        for row in table.query_entities("PartitionKey eq 'loop.second'"):
            table.delete_entity(row)
        table.delete_entity("overview", "second")

    def take_topic_role(self) -> None:
        self._without("EventGrid Data Sender", "topic")

    def _without(self, role: str, scope: str) -> None:
        self.azure.control.put("/local/roles", json={"without": [["app", role, scope]]}).raise_for_status()

    def give_roles(self) -> None:
        self.azure.control.put("/local/roles", json={}).raise_for_status()

    # training

    def train_on_nothing(self) -> str:
        container = self.clients.blobs().get_container_client("versions")
        for blob in [one.name for one in container.list_blobs() if "/train/" in one.name]:
            self._kept[blob] = container.download_blob(blob).readall()
            container.delete_blob(blob)
        return self.run("retrain", LOOP)

    def bring_rows_back(self) -> None:
        container = self.clients.blobs().get_container_client("versions")
        for blob, content in self._kept.items():
            if blob.startswith(f"{LOOP}/"):
                container.upload_blob(blob, content, overwrite=True)
        self._abort()

    def train_without_role(self) -> str:
        self._without("AzureML Data Scientist", "workspace")
        return self.run("retrain", LOOP)

    def abort_and_give_roles(self) -> None:
        self.give_roles()
        self._abort()

    def _abort(self) -> None:
        number = self.app.status(LOOP)["state"]["open_release"]
        self.run("abort", f"{LOOP}/{number}")
        until(lambda: self.app.status(LOOP)["state"]["open_release"] is None)

    # state

    def edit_ledger(self) -> None:
        self._edit("ledger-0000000001", lambda text: text.replace("night", "nicht"))

    def edit_row(self) -> None:
        self._edit("loop", lambda text: "{rubbish")

    def _edit(self, key: str, change: Callable[[str], str]) -> None:
        row = self.clients.table().get_entity(f"loop.{LOOP}", key)
        self._rows = [dict(row)]
        self.clients.table().update_entity({**row, "doc0": change(row["doc0"])}, mode="merge")

    def mend_rows(self) -> None:
        for row in self._rows:
            self.clients.table().upsert_entity(row, mode="replace")

    def delete_table(self) -> None:
        table = self.clients.table()
        self._rows = list(table.list_entities())
        table.delete_table()

    def make_table(self) -> None:
        _made(self.clients.table().create_table)
        self.mend_rows()

    # acts

    def approve(self) -> str:
        return self.run("approve", f"{LOOP}/1")

    def roll_back(self) -> str:
        return self.run("rollback", f"{LOOP}/1")

    def go_back(self) -> str:
        return self.run("rollback", LOOP, "--to", "1")

    def restore(self) -> str:
        return self.run("restore", LOOP)

    def release(self) -> str:
        return self.run("release", LOOP, "nope:1")

    def pause_twice(self) -> str:
        return self.run("pause", LOOP) + self.run("pause", LOOP)

    def resume(self) -> None:
        self.run("resume", LOOP)

    def retrain_nowhere(self) -> str:
        return self.run("retrain", "nowhere")

    def share_landing(self) -> str:
        return self._publish(SECOND.replace("landing/second/", f"landing/{LOOP}/"))

    def share_endpoint(self) -> str:
        return self._publish(SECOND.replace("endpoint: second", f"endpoint: {LOOP}"))

    def _publish(self, text: str) -> str:
        with pytest.raises(DriftloopError) as refused:
            definition = loopfile.parse(text, file="loop.yaml")
            publication.publish(
                self.app.ports,
                Published(definition, Assets("azureml:p:1"), "ann", self.app.ports.clock.now()),
            )
        return str(refused.value)

    def schedule_in_a_zone(self) -> str:
        file = self.app.folder / "zone.yaml"
        file.write_text(SECOND + 'retrain: {schedule: "0 0 9 * * * Europe/Berlin"}\n')
        return self.run("validate", str(file))

    def stop_app(self) -> str:
        self.azure.stop_part("host")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(acts, "WAIT_S", 1.0)
            return self.run("pause", LOOP)


def _texts(found: object) -> str:
    """Every text of a page, one a line."""
    if isinstance(found, dict):
        return "\n".join(map(_texts, found.values()))
    return "\n".join(map(_texts, found)) if isinstance(found, list) else str(found)


def _made(make: Callable[[], object]) -> None:
    """A name that was deleted a moment ago may be taken for a while."""

    def tried() -> bool:
        try:
            make()
        except (ResourceExistsError, ResourceNotFoundError):
            return False
        return True

    until(tried)
