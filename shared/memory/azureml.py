"""Azure ML in memory: jobs, models and endpoints that tests steer by plain attributes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from shared import assets
from shared.domain.reason import Code
from shared.domain.release import JobLog, JobStep
from shared.errors import ConfigurationError, DependencyUnavailable, DriftloopError, InvariantBroken
from shared.port_rules import JOB_TAG, RELEASE_TAG, check_weights
from shared.ports import (
    GOLDEN,
    IMPORTANCE,
    Answer,
    DeploymentSeen,
    DeploymentSpec,
    JobSeen,
    JobSpec,
    ModelFiles,
    RegisteredModel,
)


@dataclass
class MemoryJob:
    """Set `status` to completed, failed or canceled; set `tags` to make it somebody else's, `steps` to what it took,
    `logs` to what they printed."""

    spec: JobSpec
    status: str
    error: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    steps: tuple[JobStep, ...] = ()
    logs: tuple[JobLog, ...] = ()


@dataclass
class MemoryModel:
    """A registered model and the job that it came from; set `archived`, `mlmodel` or `conda` as a test needs it."""

    job: str
    tags: Mapping[str, str]
    kind: str = "custom_model"
    archived: bool = False
    made_by: str = ""
    made_at: datetime | None = None
    mlmodel: bytes | None = None
    conda: bytes | None = None


MEMORY_REGISTRY = "shared"


class MemoryRegistry:
    """What workspaces share, by id: models, and the digests of environments. What was deleted is in `deleted`."""

    def __init__(self) -> None:
        self.models: dict[str, MemoryModel] = {}
        self.environments: dict[str, str] = {}
        self.deleted: set[str] = set()


class MemorySharing:
    """From one workspace into the registry that it shares."""

    def __init__(self, training: MemoryTraining) -> None:
        self._training = training

    def ensure_model(self, model: str, name: str, version: str) -> str:
        named = assets.asset(model)
        source = self._training.models[named.name, named.version]
        made = self._id("models", name, version)
        found = self._training.registry.models.setdefault(made, replace(source))
        if found.tags != source.tags:
            raise ConfigurationError(
                f"{made} exists and is another model than {model}.", code=Code.ASSET_NOT_OURS
            )
        return made

    def ensure_environment(self, environment: str, name: str, version: str) -> str:
        digest, made = self._training.digest(environment) or "", self._id("environments", name, version)
        if self._training.registry.environments.setdefault(made, digest) != digest:
            raise ConfigurationError(
                f"{made} exists and is another environment than {environment}.", code=Code.ASSET_NOT_OURS
            )
        return made

    def _id(self, kind: str, name: str, version: str) -> str:
        made = assets.shared_id(MEMORY_REGISTRY, kind, name, version)
        if made in self._training.registry.deleted:
            raise ConfigurationError(
                f"{made} was deleted and cannot be created again.", code=Code.REQUEST_REFUSED
            )
        return made


class MemoryTraining:
    """New jobs get `new_jobs_are`; `submitted` counts submissions by name; every model's golden.json is `golden`,
    a job's importance.json in `importances`.

    Every environment and code version is there, but for those of which `digests` says something else. Two of them that
    have one `registry` are workspaces that share it.
    """

    def __init__(self) -> None:
        self.registry = MemoryRegistry()
        self.new_jobs_are = "running"
        self.jobs: dict[str, MemoryJob] = {}
        self.models: dict[tuple[str, str], MemoryModel] = {}
        self.digests: dict[str, str | None] = {}
        self.submitted: list[str] = []
        self.golden = b""
        self.importances: dict[str, bytes] = {}

    def ensure_job(self, spec: JobSpec) -> JobSeen:
        job = self.jobs.get(spec.name)
        if job is None:
            job = self.jobs[spec.name] = MemoryJob(spec, self.new_jobs_are, tags=dict(spec.tags))
            self.submitted.append(spec.name)
        elif job.tags.get(RELEASE_TAG) != spec.tags.get(RELEASE_TAG):
            raise ConfigurationError(
                f"Azure ML job {spec.name} exists and is not ours (its tag {RELEASE_TAG} is "
                f"{job.tags.get(RELEASE_TAG)!r}). It keeps its name, "
                "and what is asked for next has another: abort the release, or land the drop again.",
                code=Code.JOB_NOT_OURS,
            )
        return JobSeen(job.status, job.error, f"https://ml.azure.com/runs/{spec.name}", job.steps)

    def logs(self, job: str) -> Sequence[JobLog]:
        return self.jobs[job].logs if job in self.jobs else ()

    def cancel(self, name: str) -> None:
        job = self.jobs.get(name)
        if job is not None and job.status == "running" and RELEASE_TAG in job.tags:
            job.status = "canceled"

    def check_unaided(self, job: str) -> None:
        """Models in memory have no files that could lack something."""

    def recorded(self, job: str, name: str = GOLDEN) -> bytes:
        return {GOLDEN: self.golden, IMPORTANCE: self.importances.get(job, b"")}.get(name, b"")

    def ensure_model(self, name: str, version: str, job: str, tags: Mapping[str, str]) -> str:
        if job not in self.jobs or self.jobs[job].status != "completed":
            raise ConfigurationError(
                f"Job {job} has no output `model`. The pipeline must declare and write it.",
                code=Code.COMPONENT_UNFIT,
            )
        for each in self._versions(name, version):
            model = self.models.setdefault((name, each), MemoryModel(job, {**tags, JOB_TAG: job}))
            if model.job == job:
                break
        return f"azureml:{name}:{each}"

    def _versions(self, name: str, version: str) -> Iterator[str]:
        """Its own; where somebody else has a model there, the newest, and the next free one."""
        yield version
        newest = max(int(known) for of, known in self.models if of == name)
        yield str(newest)
        yield str(newest + 1)

    def model(self, asset: str) -> RegisteredModel | None:
        named = assets.asset(asset)
        found = (
            self.registry.models.get(asset)
            if named.registry
            else self.models.get((named.name, named.version))
        )
        if found is None:
            return None
        return RegisteredModel(
            asset=named.short,
            kind=found.kind,
            archived=found.archived,
            tags={**found.tags, **({JOB_TAG: found.job} if JOB_TAG in found.tags else {})},
            job=found.job,
            made_by=found.made_by,
            made_at=found.made_at,
        )

    def newest_model(self, name: str) -> RegisteredModel | None:
        versions = [version for known, version in self.models if known == name]
        return self.model(f"azureml:{name}:{versions[-1]}") if versions else None

    def model_files(self, asset: str) -> ModelFiles:
        named = assets.asset(asset)
        found = self.models[named.name, named.version]
        return ModelFiles(found.mlmodel, found.conda)

    def digest(self, asset: str) -> str | None:
        if asset.startswith("azureml://registries/shared/"):
            return self.registry.environments.get(asset)
        return self.digests.get(asset, "")


@dataclass
class MemoryDeployment:
    """Set `state` to creating, ready or failed."""

    spec: DeploymentSpec
    state: str
    error: str = ""
    instances: int = 0
    """As many as it has now: a test may scale it."""
    fewest: int | None = None
    """What its scaling may not go below; None: nothing scales it."""

    def __post_init__(self) -> None:
        self.instances = self.instances or self.spec.instance_count


@dataclass
class MemoryEndpoint:
    """`traffic` may be set as a person in the portal would."""

    state: str = "ready"
    traffic: dict[str, int] = field(default_factory=dict)
    pending: dict[str, int] | None = None
    noted: dict[str, int] | None = None
    deployments: dict[str, MemoryDeployment] = field(default_factory=dict)


def _silent(endpoint: str, deployment: str, payload: str) -> Answer:
    return Answer(200, "[]", 1.0)


class MemoryServing:
    """New deployments get `new_deployments_are`; `answer` decides what a deployment says to a payload.

    With `traffic_takes_effect` False a new split is `pending` until the test calls `apply_traffic`. More machines for a
    deployment come when `machines_are` is ready; set it to creating, or to failed for a quota that is used up. What
    its container has printed is in `printed`, by deployment.
    """

    def __init__(self) -> None:
        self.new_deployments_are = "creating"
        self.new_endpoints_are = "ready"
        self.traffic_takes_effect = True
        self.machines_are = "ready"
        self.printed: dict[str, str] = {}
        self.answer: Callable[[str, str, str], Answer] = _silent
        self.endpoints: dict[str, MemoryEndpoint] = {}
        self.splits: list[tuple[str, dict[str, int]]] = []
        self.stamps: list[str] = []

    def ensure_endpoint(self, endpoint: str) -> DeploymentSeen:
        found = self.endpoints.setdefault(endpoint, MemoryEndpoint(self.new_endpoints_are))
        return DeploymentSeen(found.state)

    def ensure_deployment(self, spec: DeploymentSpec) -> DeploymentSeen:
        deployments = self._endpoint(spec.endpoint).deployments
        fewest = spec.instance_count if spec.scale else None
        made = MemoryDeployment(spec, self.new_deployments_are, "", spec.instance_count, fewest)
        found = deployments.setdefault(spec.name, made)
        if found.spec.model != spec.model:
            raise ConfigurationError(
                f"Deployment {spec.endpoint}/{spec.name} exists and serves {found.spec.model}, "
                f"not {spec.model}. "
                "Somebody else made it: delete it, then retry the release.",
                code=Code.DEPLOYMENT_NOT_OURS,
            )
        return DeploymentSeen(found.state, found.error)

    def ensure_machines(self, spec: DeploymentSpec) -> DeploymentSeen:
        found = self._deployment(spec.endpoint, spec.name)
        if found is None:
            return DeploymentSeen("failed", f"Deployment {spec.endpoint}/{spec.name} does not exist.")
        if found.instances >= spec.instance_count:
            return DeploymentSeen("ready")
        if self.machines_are == "ready":
            found.instances = spec.instance_count
        error = "OutOfQuota: not enough quota available" if self.machines_are == "failed" else ""
        return DeploymentSeen(self.machines_are, error)

    def ensure_no_deployment(self, endpoint: str, name: str) -> bool:
        found = self.endpoints.get(endpoint)
        if found is None or name not in found.deployments:
            return True
        if found.traffic.get(name, 0):
            raise InvariantBroken(
                f"Deployment {endpoint}/{name} still has {found.traffic[name]} % of the traffic; "
                "it is not deleted.",
                code=Code.DEPLOYMENT_SERVES,
            )
        del found.deployments[name]
        return True

    def hold_scale(self, endpoint: str, name: str) -> int:
        found = self._deployment(endpoint, name)
        if found is not None and found.fewest is not None:
            found.fewest = found.instances
        return found.instances if found else 0

    def look_at_load(self, endpoint: str, name: str, cpu: float) -> int:
        """What scales a deployment looks at how busy its machines are: how many there are afterwards."""
        found = self._endpoint(endpoint).deployments[name]
        if found.spec.scale is not None and found.fewest is not None:
            more = (cpu > found.spec.scale.cpu_above) - (cpu < found.spec.scale.cpu_below)
            found.instances = min(max(found.instances + more, found.fewest), found.spec.scale.max)
        return found.instances

    def free_scale(self, endpoint: str, name: str) -> None:
        found = self._deployment(endpoint, name)
        if found is not None and found.spec.scale is not None:
            found.fewest = found.spec.scale.min

    def endpoint_state(self, endpoint: str) -> str:
        return self.endpoints[endpoint].state if endpoint in self.endpoints else "missing"

    def deployment_state(self, endpoint: str, name: str) -> str:
        found = self._deployment(endpoint, name)
        return found.state if found else "missing"

    def deployments(self, endpoint: str) -> Mapping[str, str]:
        return {name: found.spec.model for name, found in self._endpoint(endpoint).deployments.items()}

    def log(self, endpoint: str, name: str) -> str:
        return self.printed.get(name, "")

    def deployed_model(self, endpoint: str, name: str) -> str:
        found = self._deployment(endpoint, name)
        return found.spec.model if found else ""

    def _deployment(self, endpoint: str, name: str) -> MemoryDeployment | None:
        found = self.endpoints.get(endpoint)
        return found.deployments.get(name) if found else None

    def traffic(self, endpoint: str) -> Mapping[str, int]:
        return {name: weight for name, weight in self._endpoint(endpoint).traffic.items() if weight}

    def set_traffic(self, endpoint: str, weights: Mapping[str, int]) -> None:
        found = self._endpoint(endpoint)
        wanted = check_weights(endpoint, weights)
        unknown = sorted(set(wanted) - set(found.deployments))
        if unknown:
            raise DriftloopError(
                f"Endpoint {endpoint} has no deployment {', '.join(unknown)} to give traffic to."
            )
        found.pending = found.noted = wanted
        self.splits.append((endpoint, wanted))
        if self.traffic_takes_effect:
            self.apply_traffic(endpoint)

    def set_by_us(self, endpoint: str) -> bool:
        return self._endpoint(endpoint).noted == self.traffic(endpoint)

    def apply_traffic(self, endpoint: str) -> None:
        """End the operation on the endpoint's traffic that is under way."""
        found = self._endpoint(endpoint)
        if found.pending is not None:
            found.traffic, found.pending = found.pending, None

    def predict(self, endpoint: str, deployment: str, payloads: Sequence[str], stamp: str) -> list[Answer]:
        found = self._endpoint(endpoint).deployments.get(deployment)
        if found is None or found.state != "ready":
            raise DependencyUnavailable(f"Deployment {endpoint}/{deployment} does not answer.")
        self.stamps.append(stamp)
        return [self.answer(endpoint, deployment, payload) for payload in payloads]

    def _endpoint(self, endpoint: str) -> MemoryEndpoint:
        found = self.endpoints.get(endpoint)
        if found is None:
            raise ConfigurationError(f"Endpoint {endpoint} does not exist.", code=Code.ENDPOINT_UNUSABLE)
        return found
