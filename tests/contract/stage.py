"""What the contract tests need around the ports: assets to use, and ways to let jobs and deployments end."""

from __future__ import annotations

import os
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeVar

import pytest
import requests
from azure.ai.ml import MLClient, load_component
from azure.ai.ml.entities import Environment, Model
from azure.core.credentials import TokenCredential
from azure.core.rest import HttpRequest

from shared.assets import asset
from shared.azure.client import Workspace
from shared.azure.registered_assets import API
from shared.azure.registry import IMAGE
from shared.azure.shared_assets import SharedAssets
from shared.domain.release import JobLog
from shared.memory import MemoryPorts, MemoryRequest
from shared.memory.azureml import MemoryModel, MemorySharing
from shared.ports import Answer, DeploymentSeen, DeploymentSpec, JobSeen, JobSpec, Ports, Sharing
from tests.patience import rest

T = TypeVar("T")
APPROVED = {"stage": "approved"}
VERIFIED = os.environ.get("AZURE_VERIFIED") == "1"
"""Against the Azure that the environment names, and no other."""
COMPUTE = os.environ.get("AZURE_VERIFIED_COMPUTE", "driftloop-cpu") if VERIFIED else ""
WITHIN_S = 3600 if VERIFIED else 180
RUN = f"v{uuid.uuid4().hex[:6]}"
"""All that this run makes is called so at its beginning: by that it is taken away again."""


def fresh(kind: str) -> str:
    """A name that no other test and no earlier run has used."""
    return f"{RUN}{kind}{uuid.uuid4().hex[:8]}"


ROWS = '{"input_data": {"columns": ["x"], "data": [[1], [2]]}}'
"""Two rows; the scoring script of the stage answers `small` to 1 and `large` to 2."""


class Stage(Protocol):
    """A world with a training component, a scoring script, and a way to see things end."""

    ports: Ports

    def job(self, behaviour: str, name: str = "", release: str = "") -> JobSpec:
        """A job that is `good`, `failing` or `slow`, or a `check`, which makes no model."""
        ...

    def ended(self, spec: JobSpec) -> JobSeen: ...

    def model(self) -> str:
        """A registered model that serves."""
        ...

    def registered(self, name: str, version: str, files: Mapping[str, bytes]) -> str:
        """A model that a person registers from a folder, with the tag `stage: approved`."""
        ...

    def archive(self, name: str, version: str) -> None: ...

    def sharing(self) -> Sharing:
        """The registry as whoever promotes uses it."""
        ...

    def environment(self) -> str:
        """An environment of the workspace."""
        ...

    def other_environment(self) -> str: ...

    def delete_shared(self, model: str) -> None:
        """Somebody deletes a version from the registry."""
        ...

    def deployment(self, endpoint: str, name: str, *, broken: bool = False) -> DeploymentSpec: ...

    def deployed(self, spec: DeploymentSpec) -> DeploymentSeen: ...

    def set_by_hand(self, endpoint: str, weights: dict[str, int]) -> None:
        """The traffic as `az ml online-endpoint update --traffic` sets it."""
        ...

    def mirror_by_hand(self, endpoint: str, shares: dict[str, int]) -> None:
        """Mirrored traffic as `az ml online-endpoint update --mirror-traffic` sets it."""
        ...

    def mirrored(self, endpoint: str) -> dict[str, int]: ...

    def call(self, endpoint: str, deployment: str, times: int, *, client: str = "live-{}") -> list[str]:
        """The service's ids of so many requests that are not ours. `client`: the client's own, numbered."""
        ...

    def later(self) -> None:
        """What was called before lies before from now on."""
        ...


def eventually(look: Callable[[], T], done: Callable[[T], bool]) -> T:
    began = time.monotonic()
    while not done(seen := look()):
        assert time.monotonic() - began < WITHIN_S, f"still {seen}"
        rest(began, most_s=1)
    return seen


class MemoryStage:
    def __init__(self, ports: MemoryPorts) -> None:
        self.ports: Ports = ports
        self._memory = ports
        ports.serving.answer = lambda endpoint, deployment, payload: Answer(200, '["small", "large"]', 1.0)

    def job(self, behaviour: str, name: str = "", release: str = "") -> JobSpec:
        name = name or f"{behaviour}-{uuid.uuid4().hex[:8]}"
        return JobSpec(name, "contract", f"azureml:{behaviour}:1", "azureml:data:1", {}, _tags(release))

    def ended(self, spec: JobSpec) -> JobSeen:
        self.ports.training.ensure_job(spec)
        job = self._memory.training.jobs[spec.name]
        if job.status == "running":
            failing = spec.component == "azureml:failing:1"
            job.status, job.error = ("failed", "the data have no target") if failing else ("completed", "")
            job.logs = (
                JobLog("train", job.status, "user_logs/std_log.txt", 36, f"ValueError: {job.error}\n"),
            )
        self._memory.training.golden = b'{"answers": ["small"]}'
        self._memory.training.importances[spec.name] = b'{"columns": {"x": 1}}'
        return self.ports.training.ensure_job(spec)

    def model(self) -> str:
        spec = self.job("good")
        self.ended(spec)
        return self.ports.training.ensure_model("contract", spec.name, spec.name, {})

    def registered(self, name: str, version: str, files: Mapping[str, bytes]) -> str:
        self._memory.training.models[name, version] = MemoryModel(
            job="",
            tags=APPROVED,
            kind="mlflow_model" if "MLmodel" in files else "custom_model",
            made_by="ann",
            made_at=self.ports.clock.now(),
            mlmodel=files.get("MLmodel"),
            conda=files.get("conda.yaml"),
        )
        return f"azureml:{name}:{version}"

    def archive(self, name: str, version: str) -> None:
        self._memory.training.models[name, version].archived = True

    def sharing(self) -> Sharing:
        return MemorySharing(self._memory.training)

    def environment(self) -> str:
        self._memory.training.digests["azureml:env:1"] = "e" * 64
        return "azureml:env:1"

    def other_environment(self) -> str:
        self._memory.training.digests["azureml:env:2"] = "f" * 64
        return "azureml:env:2"

    def delete_shared(self, model: str) -> None:
        registry = self._memory.training.registry
        del registry.models[model]
        registry.deleted.add(model)

    def deployment(self, endpoint: str, name: str, *, broken: bool = False) -> DeploymentSpec:
        script = "broken.py" if broken else "score.py"
        return DeploymentSpec(endpoint, name, self.model(), "Standard_DS3_v2", entry_script=script)

    def deployed(self, spec: DeploymentSpec) -> DeploymentSeen:
        self.ports.serving.ensure_deployment(spec)
        found = self._memory.serving.endpoints[spec.endpoint].deployments[spec.name]
        if found.state == "creating":
            broken = spec.entry_script == "broken.py"
            found.state, found.error = (
                ("failed", "the weights are for another model") if broken else ("ready", "")
            )
        return self.ports.serving.ensure_deployment(spec)

    def set_by_hand(self, endpoint: str, weights: dict[str, int]) -> None:
        self._memory.serving.endpoints[endpoint].traffic = dict(weights)

    def mirror_by_hand(self, endpoint: str, shares: dict[str, int]) -> None:
        """Nothing is mirrored in memory: the engine does not know of it."""

    def mirrored(self, endpoint: str) -> dict[str, int]:
        return {}

    def call(self, endpoint: str, deployment: str, times: int, *, client: str = "live-{}") -> list[str]:
        now, called = self.ports.clock.now(), uuid.uuid4().hex
        evidence = self._memory.evidence
        ids = [f"{called}-{number}" for number in range(times)]
        evidence.requests.setdefault(endpoint, []).extend(
            MemoryRequest(
                now, deployment, request_id=client.format(number), identity="the caller", service_id=id
            )
            for number, id in enumerate(ids)
        )
        rows = evidence.rows.setdefault((endpoint, deployment), [])
        rows += [
            {
                "id": f"{id}_{index}",
                "time": now.isoformat(),
                "inputs": {"x": x},
                "output": output,
            }
            for id in ids
            for index, (x, output) in enumerate([(1, "small"), (2, "large")])
        ]
        return ids

    def later(self) -> None:
        self._memory.clock.advance(120)


TRAIN = """
import pathlib, sys, time
data, model, behaviour = sys.argv[1:]
assert any(pathlib.Path(data).iterdir())
if behaviour == "slow":
    time.sleep(600)
if behaviour == "failing":
    sys.exit("the data have no target")
pathlib.Path(model).mkdir(parents=True, exist_ok=True)
(pathlib.Path(model) / "weights.txt").write_text("2")
(pathlib.Path(model) / "golden.json").write_text('{"answers": ["small"]}')
(pathlib.Path(model) / "importance.json").write_text('{"columns": {"x": 1}}')
if behaviour in ("bare", "unaided"):
    (pathlib.Path(model) / "MLmodel").write_text("flavors: {}")
    asked = ["mlflow==2.16.2"] + ["azureml-ai-monitoring==1.0.0"] * (behaviour == "unaided")
    (pathlib.Path(model) / "conda.yaml").write_text(f"dependencies: ['python=3.11', {{pip: {asked}}}]")
"""
SCORE = """
import json, os, pathlib

def init():
    next(pathlib.Path(os.environ["AZUREML_MODEL_DIR"]).rglob("weights.txt")).read_text()

def run(raw):
    return ["large" if row[0] > 1 else "small" for row in json.loads(raw)["input_data"]["data"]]
"""
BROKEN = """
def init():
    raise RuntimeError("the weights are for another model")

def run(raw):
    pass
"""
STEP = """
$schema: https://azuremlschemas.azureedge.net/latest/commandComponent.schema.json
type: command
name: {name}_step
version: "1"
inputs:
  data: {{type: uri_folder}}
  behaviour: {{type: string}}
outputs:
  model: {{type: custom_model}}
code: train
environment: azureml:{name}:1
command: python train.py ${{{{inputs.data}}}} ${{{{outputs.model}}}} ${{{{inputs.behaviour}}}}
"""
PIPELINE = """
$schema: https://azuremlschemas.azureedge.net/latest/pipelineComponent.schema.json
type: pipeline
name: {name}
version: "1"
inputs:
  training_data: {{type: uri_folder}}
  behaviour: {{type: string}}
  trees: {{type: integer, default: 3}}
outputs:
  model: {{type: custom_model}}
jobs:
  fit:
    type: command
    component: azureml:{name}_step:1
    identity: {{type: managed}}
    inputs: {{data: "${{{{parent.inputs.training_data}}}}", behaviour: "${{{{parent.inputs.behaviour}}}}"}}
    outputs: {{model: "${{{{parent.outputs.model}}}}"}}
"""


PACKAGES = ("azureml-inference-server-http", "azureml-ai-monitoring")
CHECK = """
$schema: https://azuremlschemas.azureedge.net/latest/commandComponent.schema.json
type: command
name: {name}_check
version: "1"
environment: azureml:{name}:1
command: echo all is well
"""


class SdkStage:
    """Published by Azure's own client, as a person would; used over the local and the real Azure alike."""

    def __init__(
        self,
        ports: Ports,
        ml: MLClient,
        identity: TokenCredential,
        folder: Path,
        publisher: Workspace | None = None,
        registry: str = "",
    ) -> None:
        """`publisher` is the workspace as whoever promotes sees it; `registry` a resource id."""
        self.ports = ports
        self.ml = ml
        self._identity = identity
        self._publisher, self._registry = publisher, registry
        self._name = fresh("c")
        self._model = ""
        self._publish(folder)

    def _publish(self, folder: Path) -> None:
        for name, text in {
            "train/train.py": TRAIN,
            "score/score.py": SCORE,
            "score/broken.py": BROKEN,
            "step.yml": STEP.format(name=self._name),
            "pipeline.yml": PIPELINE.format(name=self._name),
            "check.yml": CHECK.format(name=self._name),
            "conda.yml": f"dependencies: ['python=3.11', pip, {{pip: [{', '.join(PACKAGES)}]}}]",
        }.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text)
        environment = Environment(
            name=self._name, version="1", image=IMAGE, conda_file=str(folder / "conda.yml")
        )
        self._environment = str(self.ml.environments.create_or_update(environment).id)
        self.ml.components.create_or_update(load_component(folder / "step.yml"))
        self._check = str(self.ml.components.create_or_update(load_component(folder / "check.yml")).id)
        self._component = str(self.ml.components.create_or_update(load_component(folder / "pipeline.yml")).id)
        self._code = self._published_code(folder / "score")
        (folder / "rows").write_text("x\n1\n")
        self.ports.versions.write(f"{self._name}/1/rows", folder / "rows")
        self._data = self.ports.versions.register(self._name, "1", f"{self._name}/1", {}, "")

    def _published_code(self, folder: Path) -> str:
        """Code is registered by the operations that the SDK itself uses for it; they have no public name."""
        from azure.ai.ml.entities._assets import Code

        return str(self.ml._code.create_or_update(Code(path=str(folder))).id)

    def job(self, behaviour: str, name: str = "", release: str = "") -> JobSpec:
        name = name or f"{self._name}-{behaviour}-{uuid.uuid4().hex[:8]}"
        if behaviour == "check":
            return JobSpec(name, "contract", self._check, self._data, {}, _tags(release), COMPUTE)
        parameters = {"behaviour": behaviour, "trees": "7"}
        return JobSpec(name, "contract", self._component, self._data, parameters, _tags(release), COMPUTE)

    def ended(self, spec: JobSpec) -> JobSeen:
        return eventually(lambda: self.ports.training.ensure_job(spec), lambda seen: seen.status != "running")

    def model(self) -> str:
        if not self._model:
            spec = self.job("good")
            assert self.ended(spec).status == "completed"
            self._model = self.ports.training.ensure_model(self._name, "1", spec.name, {})
        return self._model

    def registered(self, name: str, version: str, files: Mapping[str, bytes]) -> str:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "model"
            folder.mkdir()
            for file, content in files.items():
                (folder / file).write_bytes(content)
            kind = "mlflow_model" if "MLmodel" in files else "custom_model"
            model = Model(name=name, version=version, path=folder, type=kind, tags=APPROVED)
            return str(self.ml.models.create_or_update(model).id)

    def archive(self, name: str, version: str) -> None:
        self.ml.models.archive(name, version)

    def sharing(self) -> Sharing:
        if self._publisher is None or not self._registry:
            pytest.skip("no registry is shared: not part of the project's settings")
        return SharedAssets(self._publisher, self._registry)

    def environment(self) -> str:
        return self._environment

    def other_environment(self) -> str:
        made = Environment(name=f"{self._name}-other", version="1", image=IMAGE)
        return str(self.ml.environments.create_or_update(made).id)

    def delete_shared(self, model: str) -> None:
        """The client has no delete for models, Resource Manager has (Azure/azureml-examples#3743)."""
        assert self._publisher is not None
        named, arm = asset(model), self._publisher.arm
        place = f"{self._registry}/models/{named.name}/versions/{named.version}?api-version={API}"
        arm._client.send_request(HttpRequest("DELETE", arm._address + place)).raise_for_status()

    def deployment(self, endpoint: str, name: str, *, broken: bool = False) -> DeploymentSpec:
        good = DeploymentSpec(
            endpoint,
            name,
            self.model(),
            "Standard_DS3_v2",
            1,
            self._environment,
            self._code,
            "score.py",
            {"a": "b"},
        )
        return replace(good, entry_script="broken.py") if broken else good

    def deployed(self, spec: DeploymentSpec) -> DeploymentSeen:
        return eventually(
            lambda: self.ports.serving.ensure_deployment(spec), lambda seen: seen.state != "creating"
        )

    def set_by_hand(self, endpoint: str, weights: dict[str, int]) -> None:
        found = self.ml.online_endpoints.get(endpoint)
        found.traffic = weights
        self.ml.online_endpoints.begin_create_or_update(found)

    def mirror_by_hand(self, endpoint: str, shares: dict[str, int]) -> None:
        found = self.ml.online_endpoints.get(endpoint)
        found.mirror_traffic = shares
        self.ml.online_endpoints.begin_create_or_update(found)
        eventually(lambda: self.mirrored(endpoint), lambda seen: seen == shares)

    def mirrored(self, endpoint: str) -> dict[str, int]:
        return dict(self.ml.online_endpoints.get(endpoint).mirror_traffic or {})

    def call(
        self, endpoint: str, deployment: str, times: int, rows: str = ROWS, *, client: str = "live-{}"
    ) -> list[str]:
        ids: list[str] = []
        uri = self.ml.online_endpoints.get(endpoint).scoring_uri
        token = self._identity.get_token("https://ml.azure.com/.default").token
        for number in range(times):
            headers = {
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/json",
                "azureml-model-deployment": deployment,
                "x-ms-client-request-id": client.format(number),
            }
            reply = requests.post(uri, data=rows, headers=headers, timeout=60)
            assert reply.status_code == 200, reply.text
            ids.append(reply.headers["x-request-id"])
        return ids

    def later(self) -> None:
        """The clock goes on by itself."""


def _tags(release: str) -> dict[str, str]:
    return {"driftloop.release": release or "contract-r1"}
