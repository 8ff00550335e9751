"""What a release asks for is done here, idempotently under its own name, and what was seen is told back."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from shared.core import release as core
from shared.core.release import Action, Seen
from shared.definition import Published
from shared.engine import canarying, gating
from shared.engine.unit import Unit
from shared.model import DataVersion, Phase, Release
from shared.ports import DeploymentSeen, DeploymentSpec, JobSeen, JobSpec

TERMINAL = frozenset({"completed", "failed", "canceled", "missing"})


class TrafficIsForeign(Exception):
    """Somebody else changed the endpoint's traffic: it is adopted, never fought."""

    def __init__(self, weights: Mapping[str, int]) -> None:
        super().__init__(f"traffic was changed from outside to {dict(weights)}")
        self.weights = weights


def perform(unit: Unit, release: Release, published: Published, action: Action) -> Seen | None:
    """Bring `action` about or look at it once; what was seen, or None when there is nothing to tell yet."""
    match action:
        case core.AssembleWindow():
            return _window(unit, release)
        case core.RunJob():
            return _train(unit, release, published)
        case core.RegisterModel():
            return core.ModelSeen(
                unit.ports.training.ensure_model(
                    release.loop, str(release.number), release.job, _tags(release, "model")
                )
            )
        case core.Deploy():
            return _deploy(unit, release, published)
        case core.MeasureGate():
            return gating.measure(unit, release, published)
        case core.RunCheck():
            return _check(unit, release, published, action.index)
        case core.SetTraffic():
            return _traffic(unit, release, published, action.weights)
        case core.MeasureCanary():
            _refuse_foreign(unit, release, published)
            return canarying.measure(unit, release, published)
        case core.RemoveDeployment():
            return _remove(unit, release, published, action.name)
        case core.Await():
            due = action.until is not None and unit.ports.clock.now() >= action.until
            return core.TimePassed() if due else None


def _tags(release: Release, what: str) -> dict[str, str]:
    return {
        "driftloop.loop": release.loop,
        "driftloop.release": f"{release.loop}/{release.number}",
        "driftloop.what": what,
        "driftloop.versions": ",".join(map(str, release.versions)),
        "driftloop.triggers": ",".join(t.kind.value for t in release.triggers),
    }


def _window(unit: Unit, release: Release) -> core.WindowSeen:
    """One folder of server-side copies, named by the versions in it, registered as a data asset."""
    import drift

    versions = [unit.version(number)[0] for number in release.versions]
    folder, name = window_folder(release.loop, versions)
    parts = {
        f"v{version.number:05d}-{path.rpartition('/')[2]}": path
        for version in versions
        for path in unit.ports.versions.list(f"{version.path}/train/")
    }
    unit.ports.versions.assemble(folder, parts)
    asset = unit.ports.versions.register(
        asset=f"{release.loop}-window",
        version=name,
        folder=folder,
        tags={"versions": ",".join(map(str, release.versions))},
        description=f"Training rows of versions {', '.join(map(str, release.versions))} of loop {release.loop}",
    )
    profiles = [drift.Profile.from_bytes(unit.ports.documents.get(v.profile)) for v in versions]
    merged = drift.merge(profiles) if len(profiles) > 1 else profiles[0]
    return core.WindowSeen(asset, unit.ports.documents.put(merged.to_bytes()))


def window_folder(loop: str, versions: list[DataVersion]) -> tuple[str, str]:
    """Folder and asset version of a window: the same versions give the same, so it is made once."""
    contents = hashlib.sha256("".join(v.content_hash for v in versions).encode()).hexdigest()[:12]
    name = f"{versions[0].number}-{versions[-1].number}-{contents}"
    return f"{loop}/windows/{name}", name


def _train(unit: Unit, release: Release, published: Published) -> JobSeen:
    train = published.definition.train
    seen = unit.ports.training.ensure_job(
        JobSpec(
            name=release.job_name,
            experiment=release.loop,
            component=published.assets.pipeline,
            training_data=release.window,
            parameters=train.parameters,
            tags=_tags(release, "training"),
            compute=train.compute or "",
        )
    )
    overdue = unit.ports.clock.now() - release.phase_since_at > train.timeout
    if seen.status not in TERMINAL and overdue:
        unit.ports.training.cancel(release.job_name)
        return JobSeen("failed", f"it ran longer than `train.timeout` ({train.timeout}) and was cancelled")
    return seen


def _check(unit: Unit, release: Release, published: Published, index: int) -> JobSeen:
    check = published.definition.gate.checks[index]
    return unit.ports.training.ensure_job(
        JobSpec(
            name=f"{release.job_name}-c{index}",
            experiment=release.loop,
            component=published.assets.checks[check],
            training_data=release.window,
            tags=_tags(release, f"check {check}"),
            compute=published.definition.train.compute or "",
        )
    )


def _deploy(unit: Unit, release: Release, published: Published) -> DeploymentSeen:
    """The endpoint first, which outlives every deployment; then the challenger on it, at 0 %."""
    endpoint = unit.ports.serving.ensure_endpoint(published.definition.serve.endpoint)
    if endpoint.state != "ready":
        return endpoint
    return unit.ports.serving.ensure_deployment(_deployment(release, published))


def _deployment(release: Release, published: Published) -> DeploymentSpec:
    serve = published.definition.serve
    return DeploymentSpec(
        endpoint=serve.endpoint,
        name=release.deployment,
        model=release.model,
        instance_type=serve.instance_type,
        instance_count=serve.instance_count,
        environment=published.assets.environment,
        code=published.assets.code,
        tags=_tags(release, "deployment"),
    )


def _traffic(unit: Unit, release: Release, published: Published, wanted: Mapping[str, int]) -> core.TrafficIs:
    """Read, and set only what differs; what neither we nor Azure could have made is somebody else's."""
    endpoint = published.definition.serve.endpoint
    actual = dict(unit.ports.serving.traffic(endpoint))
    if actual == dict(wanted):
        return core.TrafficIs(actual, settled=True)
    if not ours(release, actual, wanted):
        raise TrafficIsForeign(actual)
    unit.ports.serving.set_traffic(endpoint, wanted)
    read_back = dict(unit.ports.serving.traffic(endpoint))
    return core.TrafficIs(read_back, settled=read_back == dict(wanted))


def ours(release: Release, actual: Mapping[str, int], wanted: Mapping[str, int]) -> bool:
    """Whether `actual` is what was last set, what is being set, or the nothing of a new endpoint."""
    return dict(actual) in (dict(release.traffic), dict(wanted)) or (release.champion is None and not actual)


def _refuse_foreign(unit: Unit, release: Release, published: Published) -> None:
    actual = dict(unit.ports.serving.traffic(published.definition.serve.endpoint))
    if actual != dict(release.traffic):
        raise TrafficIsForeign(actual)


def _remove(unit: Unit, release: Release, published: Published, name: str) -> core.GoneSeen:
    if release.phase is Phase.CLEANING and release.job:
        unit.ports.training.cancel(release.job)
    if not name:
        return core.GoneSeen(True)
    endpoint = published.definition.serve.endpoint
    traffic = unit.ports.serving.traffic(endpoint)
    if traffic.get(name):
        raise TrafficIsForeign(traffic)
    return core.GoneSeen(unit.ports.serving.ensure_no_deployment(endpoint, name))
