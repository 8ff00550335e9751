"""What a release asks for is done here, idempotently under its own name; the answer is what was observed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta

from shared.assets import asset
from shared.canary import bake_evidence, canary_evidence, challenger_size, drop_evidence
from shared.domain.reason import Code, Reason, reason
from shared.domain.release import Outcome, Phase, Release
from shared.domain.version import DataVersion
from shared.domain.window import WindowKind
from shared.errors import AnswersAwaited, ConfigurationError, DriftloopError, InvariantBroken
from shared.gate import gate_evidence
from shared.loopfile.published import Published
from shared.port_rules import LEDGER_TAG
from shared.ports import DeploymentSeen, DeploymentSpec, JobSeen, JobSpec, Scale, Serving
from shared.redaction import reason_of
from shared.release import machine
from shared.release import observations as obs
from shared.runtime.unit_of_work import Unit

CANCEL_LIMIT = timedelta(hours=1)
"""A release ends after this though a job of it cannot be cancelled: `train.timeout` is no limit for such a job, but the
next release needs nothing of it. For another hour, while no other release is open, the sweep tries, and shows why it
cannot."""

TERMINAL = frozenset({"completed", "failed", "canceled", "missing"})


def perform(unit: Unit, release: Release, published: Published, action: obs.Action) -> obs.Observation | None:
    """Bring `action` about or observe it once; what was observed, or None when nothing was yet.

    Where the endpoint is gone, so is all that was to be given traffic on it, or removed from it.
    """
    try:
        return _performed(unit, release, published, action)
    except ConfigurationError as error:
        endpoint = published.definition.serve.endpoint
        if error.code is not Code.ENDPOINT_UNUSABLE or not _endpoint_gone(unit, published):
            raise
        # A first model has nothing to go back to, and is what a restore deploys again.
        baked = release.phase is Phase.BAKING and release.champion is None
        return obs.TimePassed() if baked else obs.GoneSeen(True, endpoint)


def _endpoint_gone(unit: Unit, published: Published) -> bool:
    return _server(unit, published).endpoint_state(published.definition.serve.endpoint) == "missing"


def _performed(
    unit: Unit, release: Release, published: Published, action: obs.Action
) -> obs.Observation | None:
    match action:
        case obs.AssembleWindow():
            return _window(unit, release, published.assets.window)
        case obs.RunJob():
            return _train(unit, release, published)
        case obs.RegisterModel():
            if not published.assets.code:
                unit.ports.training.check_unaided(release.job)
            head = {LEDGER_TAG: f"{unit.state.ledger_seq}:{unit.state.ledger_head}"}
            tags = _tags(release, "model") | _commit(published) | head
            return obs.ModelSeen(
                unit.ports.training.ensure_model(release.loop, str(release.number), release.job, tags)
            )
        case obs.Deploy():
            return _deploy(unit, release, published)
        case obs.MeasureGate():
            return _scored(gate_evidence.measure, unit, release, published)
        case obs.RunCheck():
            return _check(unit, release, published, action.index)
        case obs.SetTraffic():
            return _traffic(unit, release, published, action.weights)
        case obs.ReadTraffic():
            return _read(unit, release, published, action.weights)
        case obs.MeasureCanary():
            return _scored(_canary, unit, release, published)
        case obs.MeasureBake():
            kept, seen = _kept(unit, release, published)
            return bake_evidence.measure(unit, release, published) if kept else seen
        case obs.RemoveDeployment():
            return _remove(unit, release, published, action.name)
        case obs.Await():
            return _await(unit, release, published, action)


def _scored(
    measure: Callable[[Unit, Release, Published], obs.Observation | None],
    unit: Unit,
    release: Release,
    published: Published,
) -> obs.Observation | None:
    """A measurement; or the batch job whose answers it needs, and gets at a later look."""
    try:
        return measure(unit, release, published)
    except AnswersAwaited as awaited:
        return obs.AnswersPending(awaited.job)


def _server(unit: Unit, published: Published) -> Serving:
    return unit.ports.server(published.definition.serve.type)


def _tags(release: Release, what: str) -> dict[str, str]:
    return {
        "driftloop.loop": release.loop,
        "driftloop.release": f"{release.loop}/{release.number}",
        "driftloop.what": what,
        "driftloop.versions": ",".join(map(str, release.versions)),
        "driftloop.triggers": ",".join(t.kind.value for t in release.triggers),
    }


def _commit(published: Published) -> dict[str, str]:
    """With git's own mark where what was published is more than the commit."""
    found = published.commit
    return {"driftloop.commit": f"{found.id}{'-dirty' if found.dirty else ''}"} if found else {}


def _window(unit: Unit, release: Release, kind: WindowKind) -> obs.WindowSeen:
    import drift

    versions = unit.versions(release.judged_on or release.versions)
    asset = _window_asset(unit, release.loop, versions, kind)
    profiles = [drift.Profile.from_bytes(unit.ports.documents.get(v.profile)) for v in versions]
    merged = drift.merge(profiles) if len(profiles) > 1 else profiles[0]
    return obs.WindowSeen(asset, unit.ports.documents.put(merged.to_bytes()))


def _window_asset(unit: Unit, loop: str, versions: list[DataVersion], kind: WindowKind) -> str:
    """The data asset over the training rows of these versions, by whose contents it is named.

    A table names them, and of one version there is a folder already; only a folder of several versions is made of
    server-side copies, since Azure ML has none that lie in several places.
    """
    folder, name = _window_folder(loop, versions)
    parts = {version.number: _train_parts(unit, version) for version in versions}
    if kind is not WindowKind.FOLDER:
        folder = f"{folder}-{kind}"
        unit.ports.versions.tabulate(folder, [path for paths in parts.values() for path in paths], kind)
    elif len(versions) == 1:
        folder = f"{versions[0].path}/train"
    else:
        copies = {
            f"v{number:05d}-{path.rpartition('/')[2]}": path
            for number, paths in parts.items()
            for path in paths
        }
        unit.ports.versions.assemble(folder, copies)
    numbers = [str(version.number) for version in versions]
    return unit.ports.versions.register(
        asset=_window_name(loop, kind),
        version=name,
        folder=folder,
        tags={"versions": ",".join(numbers)},
        description=f"Training rows of versions {', '.join(numbers)} of loop {loop}",
        kind=kind,
    )


def _window_name(loop: str, kind: WindowKind) -> str:
    """Each kind has a name of its own: all versions of a data asset are of one type."""
    return f"{loop}-window" + ("" if kind is WindowKind.FOLDER else f"-{kind}")


def _train_parts(unit: Unit, version: DataVersion) -> list[str]:
    """A version whose rows are gone must not be trained without: nothing would tell that they were missing."""
    found = unit.ports.versions.list(f"{version.path}/train/")
    if version.train_rows and not found:
        raise InvariantBroken(
            f"The training rows of version {version.number} of loop {unit.loop} are gone from "
            f"{version.path}/train/.",
            code=Code.VERSION_FILE_LOST,
        )
    return found


def _window_folder(loop: str, versions: list[DataVersion]) -> tuple[str, str]:
    """Folder and asset version of a window: the same versions give the same, so it is made once."""
    contents = hashlib.sha256("".join(v.content_hash for v in versions).encode()).hexdigest()[:12]
    name = f"{versions[0].number}-{versions[-1].number}-{contents}"
    return f"{loop}/windows/{name}", name


def _train(unit: Unit, release: Release, published: Published) -> JobSeen:
    train = published.definition.train
    return _bounded(
        unit,
        release,
        published,
        JobSpec(
            name=release.job_name,
            experiment=release.loop,
            component=published.assets.pipeline,
            training_data=release.window,
            window=published.assets.window,
            parameters=train.parameters,
            tags=_tags(release, "training"),
            compute=train.compute or "",
        ),
    )


def _bounded(unit: Unit, release: Release, published: Published, spec: JobSpec) -> JobSeen:
    """A job that runs for too long is cancelled: nothing is waited for without end, nor is one that cannot be."""
    seen = unit.ports.training.ensure_job(spec)
    over = unit.ports.clock.now() - release.phase_since_at - published.definition.train.timeout
    if seen.status in TERMINAL or over <= timedelta():
        return seen
    refused = _cancel(unit, spec.name)
    if refused is not None and over <= CANCEL_LIMIT:
        raise refused
    return JobSeen("timed_out" if refused is None else "uncancelled")


def _check(unit: Unit, release: Release, published: Published, index: int) -> JobSeen:
    check = published.definition.gate.checks[index]
    return _bounded(
        unit,
        release,
        published,
        JobSpec(
            name=_check_name(release, index),
            experiment=release.loop,
            component=published.assets.checks[check],
            training_data=_window_of_check(unit, release, published.assets.window),
            window=published.assets.window,
            model=release.model,
            tags=_tags(release, f"check {check}"),
            compute=published.definition.train.compute or "",
        ),
    )


def _window_of_check(unit: Unit, release: Release, kind: WindowKind) -> str:
    """The release's own, unless it is that of an earlier release, whose pipeline asked for another kind."""
    if not release.window or asset(release.window).name == _window_name(release.loop, kind):
        return release.window
    return _window_asset(unit, release.loop, unit.versions(release.versions), kind)


def _check_name(release: Release, index: int) -> str:
    return f"{release.job_name}-c{index}"


def _deploy(unit: Unit, release: Release, published: Published) -> DeploymentSeen:
    """The endpoint first, which outlives every deployment; then the challenger on it, at 0 %."""
    endpoint = _server(unit, published).ensure_endpoint(published.definition.serve.endpoint)
    if endpoint.state != "ready":
        return endpoint
    spec = deployment_spec(unit, release, published)
    if spec.scale and release.champion:
        spec = _as_large(unit, spec, release.champion.deployment)
    elif release.champion:
        steps = published.definition.canary.steps
        spec = replace(spec, instance_count=challenger_size.machines(published.definition, steps[0]))
    return _server(unit, published).ensure_deployment(spec)


def _as_large(unit: Unit, spec: DeploymentSpec, champion: str) -> DeploymentSpec:
    """As many machines as the champion has, and neither has fewer until the release has ended: a machine takes minutes
    to come, and each of the two may be given all traffic in one step."""
    assert spec.scale is not None
    now = unit.ports.serving.hold_scale(spec.endpoint, champion)
    return replace(spec, instance_count=min(max(now, spec.scale.min), spec.scale.max))


def deployment_spec(unit: Unit, release: Release, published: Published) -> DeploymentSpec:
    """What the release's model is deployed with: always the definition that it ran with. An earlier release's model
    brings its own environment and code; the endpoint and its machines are those of now."""
    serve = published.definition.serve
    brought = (unit.published(release.served_with) if release.served_with else published).assets
    return DeploymentSpec(
        endpoint=serve.endpoint,
        name=release.deployment,
        model=release.model,
        instance_type=serve.instance_type,
        instance_count=serve.machines[0],
        environment=brought.environment,
        code=brought.code,
        compute=serve.compute or "",
        tags=_tags(release, "deployment"),
        scale=Scale(**serve.autoscale.model_dump()) if serve.autoscale else None,
    )


def _traffic(
    unit: Unit, release: Release, published: Published, wanted: Mapping[str, int]
) -> obs.Observation:
    """Read, and set what differs; what neither we nor Azure could have made is somebody else's. A challenger that
    somebody deleted while a person was awaited gets none: Azure would refuse it, again and again.

    A way back is set even where it is read already: the way forward may have been asked for a moment ago and
    come into force late.
    """
    serving, endpoint = _server(unit, published), published.definition.serve.endpoint
    actual = dict(serving.traffic(endpoint))
    if not ours(release, actual, wanted) and not serving.set_by_us(endpoint):
        return obs.TrafficTaken(actual)
    if release.kept and actual == dict(wanted):
        return obs.TrafficIs(actual, settled=True)
    if release.phase is not Phase.ROLLING_BACK:
        if actual != dict(wanted) and serving.deployment_state(endpoint, release.deployment) == "missing":
            return obs.GoneSeen(True)
        if short := _short(unit, release, published, wanted.get(release.deployment, 0)):
            return short
        if actual == dict(wanted):
            return obs.TrafficIs(actual, settled=True)
        serving.set_traffic(endpoint, wanted)
        return _read_back(serving, endpoint, wanted)
    return _given_back(serving, endpoint, wanted)


def _read_back(serving: Serving, endpoint: str, wanted: Mapping[str, int]) -> obs.TrafficIs:
    actual = dict(serving.traffic(endpoint))
    return obs.TrafficIs(actual, settled=actual == dict(wanted))


def _given_back(
    serving: Serving, endpoint: str, wanted: Mapping[str, int]
) -> obs.TrafficIs | obs.ChampionGone:
    """The way back waits for no look at the champion: only where it does not come into force is it looked for."""
    try:
        serving.set_traffic(endpoint, wanted)
        seen = _read_back(serving, endpoint, wanted)
    except DriftloopError:
        if gone := _champion_gone(serving, endpoint, wanted):
            return gone
        raise
    return seen if seen.settled else _champion_gone(serving, endpoint, wanted) or seen


def _champion_gone(serving: Serving, endpoint: str, wanted: Mapping[str, int]) -> obs.ChampionGone | None:
    if serving.endpoint_state(endpoint) == "missing":
        return None
    gone = (name for name in wanted if serving.deployment_state(endpoint, name) == "missing")
    return next((obs.ChampionGone(endpoint, name) for name in gone), None)


def _short(unit: Unit, release: Release, published: Published, weight: int) -> obs.MachinesSeen | None:
    """What is missing of the challenger's machines for such a share, and is asked for; None: nothing."""
    if published.definition.canary.instances is None or release.champion is None:
        return None
    wanted = challenger_size.machines(published.definition, weight)
    spec = replace(deployment_spec(unit, release, published), instance_count=wanted)
    seen = unit.ports.serving.ensure_machines(spec)
    return None if seen.state == "ready" else obs.MachinesSeen(wanted, seen)


def _read(
    unit: Unit, release: Release, published: Published, wanted: Mapping[str, int]
) -> obs.Observation | None:
    """The weights as they are; None while a change of ours comes into force."""
    serving, endpoint = _server(unit, published), published.definition.serve.endpoint
    actual = dict(serving.traffic(endpoint))
    if actual == dict(wanted):
        return obs.TrafficIs(actual, settled=True)
    if actual == dict(release.traffic):
        return obs.TrafficHeld(actual)
    known = ours(release, actual, wanted) or serving.set_by_us(endpoint)
    return None if known else obs.TrafficTaken(actual)


def ours(release: Release, actual: Mapping[str, int], wanted: Mapping[str, int]) -> bool:
    """Whether `actual` is what was last seen or last asked for, what is wanted, or the nothing of a new endpoint."""
    known = (dict(release.traffic), dict(release.asked), dict(wanted))
    return dict(actual) in known or (release.champion is None and not actual)


def _canary(unit: Unit, release: Release, published: Published) -> obs.Observation | None:
    """The comparison, while the traffic is as it was last seen. Nothing is set here: repair never raises a weight."""
    serving, endpoint = _server(unit, published), published.definition.serve.endpoint
    actual = dict(serving.traffic(endpoint))
    if actual == dict(release.traffic):
        if published.definition.serve.type == "batch":
            return drop_evidence.measure(unit, release, published)
        return _grown(unit, release, published, canary_evidence.measure(unit, release, published))
    return obs.TrafficLate(actual) if serving.set_by_us(endpoint) else obs.TrafficTaken(actual)


def _grown(
    unit: Unit, release: Release, published: Published, seen: obs.Observation | None
) -> obs.Observation | None:
    """A step that has passed goes on, and is watched, until the machines for the next share are there. What is refused,
    or is late, the next phase tells."""
    definition = published.definition
    if (
        not isinstance(seen, obs.CanarySeen)
        or seen.judgement.outcome is not Outcome.ADVANCE
        or unit.stands_still
    ):
        return seen
    longest = timedelta(hours=definition.canary.step.max_hours) + machine.MACHINES_LIMIT
    if unit.ports.clock.now() - release.phase_since_at > longest:
        return seen
    rest = definition.canary.steps[release.step + 1 :]
    if not rest and definition.canary.approval == "before_promotion":
        return seen  # a person may take days
    weight = rest[0] if rest else 100
    wanted = challenger_size.machines(definition, weight)
    why: tuple[Reason, ...] = (reason(Code.MACHINES_COMING, deployment=release.deployment, machines=wanted),)
    try:
        short = _short(unit, release, published, weight)
        if short is None or short.seen.state == "failed":
            return seen
    except Exception as error:  # noqa: BLE001  # it is shown, and harm is looked for all the same
        why += (reason(Code.OBSERVATION_FAILED, reason_of(error)),)
    return replace(seen, judgement=replace(seen.judgement, outcome=Outcome.HOLD, reasons=why))


def _await(unit: Unit, release: Release, published: Published, action: obs.Await) -> obs.Observation | None:
    """Time, or a person; meanwhile a promoted model keeps the traffic that it was given."""
    if release.phase is Phase.BAKING and not release.adopted:
        kept, seen = _kept(unit, release, published)
        if not kept:
            return seen
    if release.phase is Phase.HOLDING and not machine.in_canary(release, published.definition):
        return _overtaken(unit, release)
    due = action.until is not None and unit.ports.clock.now() >= action.until
    return obs.TimePassed() if due else None


def _overtaken(unit: Unit, release: Release) -> obs.Overtaken | None:
    """Whether a release that waits for a person since its gate has become one of old data; never one that a person
    asked for by the model's name, and never while the loop stands still."""
    newest = unit.newest_labelled()
    asked_for = release.judged_on or not release.versions or newest <= max(release.versions)
    if asked_for or not unit.state.waiting or unit.stands_still:
        return None
    return obs.Overtaken(newest)


def _kept(unit: Unit, release: Release, published: Published) -> tuple[bool, obs.Observation | None]:
    """Whether a promoted model has its traffic; and who took it, unless a worker of ours has only come late."""
    serving, endpoint = _server(unit, published), published.definition.serve.endpoint
    actual = dict(serving.traffic(endpoint))
    if actual == dict(release.traffic):
        return True, None
    if not serving.set_by_us(endpoint):
        return False, obs.TrafficTaken(actual)
    serving.set_traffic(endpoint, release.traffic)
    return False, None


def _remove(unit: Unit, release: Release, published: Published, name: str) -> obs.Observation:
    """What a job is refused keeps no deployment, which costs money, from being deleted."""
    jobs = release.phase is Phase.CLEANING and bool(release.window)
    running = _uncancelled(unit, release, published) if jobs else None
    seen = _removed(unit, release, published, name) if name else obs.GoneSeen(True)
    late = unit.ports.clock.now() - release.phase_since_at > CANCEL_LIMIT
    if running is not None and seen == obs.GoneSeen(True) and not late:
        raise running
    return seen


def _removed(
    unit: Unit, release: Release, published: Published, name: str
) -> obs.GoneSeen | obs.TrafficTaken:
    serving, endpoint = _server(unit, published), published.definition.serve.endpoint
    traffic = dict(serving.traffic(endpoint))
    if not traffic.get(name):
        gone = serving.ensure_no_deployment(endpoint, name)
        if gone and release.champion:
            stays = release.deployment if release.phase is Phase.RETIRING else release.champion.deployment
            serving.free_scale(endpoint, stays)
        return obs.GoneSeen(gone)
    if not serving.set_by_us(endpoint):
        return obs.TrafficTaken(traffic)
    serving.set_traffic(endpoint, release.traffic)
    return obs.GoneSeen(False)


def _uncancelled(unit: Unit, release: Release, published: Published) -> Exception | None:
    """Cancel whatever this release may have submitted, also where the receipt was never written; why one of the jobs
    may still run, and None where none does."""
    names = [release.job_name]
    if release.judgements:
        names += [_check_name(release, index) for index in range(len(published.definition.gate.checks))]
    return next(filter(None, [_cancel(unit, name) for name in names]), None)


def _cancel(unit: Unit, name: str) -> Exception | None:
    """Why a job cannot be cancelled: the caller raises it once everything else is seen to."""
    try:
        unit.ports.training.cancel(name)
    except Exception as error:  # noqa: BLE001  # as of any other call, which the step's end counts and shows
        return error
    return None


def clear_up(unit: Unit, release: Release, published: Published) -> None:
    """What a worker that slept past its claim may have begun after the end of a release that did not go live."""
    serving, endpoint = _server(unit, published), published.definition.serve.endpoint
    name = release.deployment
    running = _uncancelled(unit, release, published) if release.window else None
    if name and not _endpoint_gone(unit, published) and not serving.traffic(endpoint).get(name):
        serving.ensure_no_deployment(endpoint, name)
        if release.champion and published.definition.serve.autoscale:
            serving.free_scale(endpoint, release.champion.deployment)
    if running is not None:
        raise running
