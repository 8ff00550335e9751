"""A loop that serves by a batch endpoint: both models score the same drops, and the default deployment is switched."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from shared import loopfile
from shared.audit import evidence_replay
from shared.canary.drop_evidence import _pairs
from shared.canary.live_counts import Scale
from shared.domain.reason import Code
from shared.domain.release import JudgementKind, Outcome, Phase
from shared.errors import ConfigurationError
from shared.loopfile.published import Assets, Published
from shared.memory.azureml import MemoryDeployment
from shared.ports import DeploymentSpec
from shared.release import adoption
from shared.retraining import cost
from shared.runtime import tick, unit_of_work
from shared.state import queries
from shared.verdict import attribution
from shared.words import say
from tests import faults
from tests.engine.test_adopting import reference
from tests.engine.world import LOOP, World, csv, lived, season

BATCH = (
    LOOP.replace("on_inconclusive: reject", "on_inconclusive: promote")
    .replace("serve: {endpoint: birds}", "serve: {type: batch, endpoint: birds, compute: cpu}")
    .replace(
        "canary: {steps: [10, 50], step: {minutes: 1, min_requests: 50, max_hours: 1}, bake_minutes: 1}",
        "canary: {drops: 2, step: {max_hours: 1}, bake_minutes: 1}",
    )
)


def ended(world: World, ticks: int = 30) -> Phase:
    """What the newest release comes to."""
    for _ in range(ticks):
        world.ticks()
        if world.state.open_release is None:
            break
    return world.release(world.state.next_release - 1).phase


@lived
def served(text: str = BATCH) -> World:
    world = World()
    world.publish(text)
    world.drop("2007.csv", csv(season(2007)))
    assert ended(world) is Phase.LIVE
    return world


@lived
def compared(text: str = BATCH) -> World:
    """Release 2 has been compared on version 1, and waits for a newer one."""
    world = served(text)
    world.clock.advance(3600)
    world.act("retrain")
    world.ticks(6)
    return world


def default(world: World) -> dict[str, int]:
    return dict(world.ports.batch.traffic("birds"))


def test_the_first_model_becomes_the_default_and_no_online_endpoint_is_made() -> None:
    world = served()
    assert default(world) == {"r1-a1": 100}
    assert world.ports.serving.endpoints == {}
    [made] = world.ports.batch.endpoints["birds"].deployments.values()
    assert made.spec.compute == "cpu"


def test_a_challenger_scores_as_many_drops_as_the_loop_asks_before_it_is_the_default() -> None:
    world = compared()
    release = world.release(2)
    assert (release.phase, release.step, release.compared) == (Phase.CANARY, 1, (1,))
    assert default(world) == {"r1-a1": 100}
    assert release.waiting_for is not None
    assert "0 scored rows of at least 1" in say(release.waiting_for)

    world.drop("2008.csv", csv(season(2008)))
    assert ended(world) is Phase.LIVE

    release = world.release(2)
    assert release.compared == (1, 2)
    assert [one.outcome for one in release.judgements if one.kind is JudgementKind.CANARY] == [
        Outcome.ADVANCE
    ] * 2
    assert default(world) == {"r2-a1": 100}
    assert set(world.ports.batch.endpoints["birds"].deployments) == {"r2-a1"}, (
        "the old one is deleted after the bake"
    )
    asked = [(one.deployment, one.stamp) for one in world.ports.batch.scorings.values()]
    assert {deployment for deployment, stamp in asked if stamp == "drop-birds-r2-a1-v2"} == {"r1-a1", "r2-a1"}
    assert all(one.same for one in evidence_replay.replay(world.ports, "birds", 2))


def test_a_challenger_that_is_wrong_on_a_newer_drop_is_rolled_back() -> None:
    world = compared()
    world.models["r2-a1"] = lambda row: "Adelie"
    world.drop("2008.csv", csv(season(2008)))

    assert ended(world) is Phase.ROLLED_BACK
    release = world.release(2)
    assert release.reason is not None and release.reason.code is Code.CANARY_ROLLED_BACK
    assert "labels" in say(release.reason) or "wrong" in say(release.reason)
    assert default(world) == {"r1-a1": 100}
    assert set(world.ports.batch.endpoints["birds"].deployments) == {"r1-a1"}


def test_a_challenger_that_answers_otherwise_than_tolerated_is_rolled_back() -> None:
    strict = BATCH.replace(
        "bake_minutes: 1}", "bake_minutes: 1, margins: {label_error: 0.9, shadow_disagreement: 0.05}}"
    )
    world = compared(strict)
    world.models["r2-a1"] = lambda row: "Adelie"
    world.drop("2008.csv", csv(season(2008)))

    assert ended(world) is Phase.ROLLED_BACK
    assert "Gentoo -> Adelie" in say(world.release(2).reason or pytest.fail("no reason"))


def test_answers_that_differ_equally_often_are_told_alike_when_they_are_replayed() -> None:
    """What is stored has its keys in order, and a tie would else be broken by which row came first."""
    pairs = _pairs(["b", "a", "c", "c"], ["a", "b", "c", "a"], Scale())
    kept = json.loads(json.dumps(pairs.to_dict(), sort_keys=True))
    assert list(pairs.flips) == list(kept["flips"]) == ["a -> b", "b -> a", "c -> a"]


def test_no_newer_drop_in_time_is_no_evidence() -> None:
    world = compared()
    world.ticks(2, seconds=3700)
    assert ended(world) is Phase.ROLLED_BACK
    reason = world.release(2).reason
    assert reason is not None and reason.code is Code.CANARY_TIMED_OUT


def test_what_the_drops_did_not_decide_waits_for_a_person_though_newer_rows_ask_for_a_release() -> None:
    world = compared(BATCH.replace("drops: 2,", "drops: 2, on_timeout: hold,"))
    world.ticks(2, seconds=3700)
    assert world.release(2).phase is Phase.HOLDING
    world.drop("2008.csv", csv(season(2008, body_mass_g=3.0)))
    world.ticks(4)
    assert world.state.waiting
    assert world.release(2).phase is Phase.HOLDING
    world.act("approve", 2)
    assert ended(world) is Phase.LIVE


def test_while_jobs_score_the_release_waits_and_a_drop_that_lands_meanwhile_changes_nothing() -> None:
    world = served()
    world.clock.advance(3600)
    world.ports.batch.new_jobs_are = "running"
    world.act("retrain")
    world.ticks(20)
    release = world.release(2)
    assert release.phase is Phase.GATING
    assert release.waiting_for is not None and release.waiting_for.code is Code.SCORING_RUNS
    assert (release.failures, release.stuck) == (0, False)
    world.ticks(2, seconds=2 * 3600)
    assert queries.loops(world.ports)[0].needs_attention is None, "it has train.timeout"
    [job] = [one for one in world.ports.batch.scorings.values() if one.status == "running"]
    job.status = "completed"
    world.ticks(2)
    for one in world.ports.batch.scorings.values():
        one.status = "completed"
    world.ticks(3)
    assert world.release(2).phase is Phase.CANARY
    running = [one for one in world.ports.batch.scorings.values() if one.status == "running"]
    assert {one.deployment for one in running} == {"r1-a1", "r2-a1"}, "both are begun at once"
    before = len(world.ports.batch.scorings)
    world.ports.batch.new_jobs_are = "completed"
    world.drop("2008.csv", csv(season(2008)))
    world.ticks(2)
    stamps = {one.stamp for one in world.ports.batch.scorings.values() if one.stamp.startswith("drop-")}
    assert stamps == {"drop-birds-r2-a1-v1"}, f"{before} jobs were there"
    for one in running:
        one.status = "completed"
    world.ticks(2)
    assert world.release(2).compared[0] == 1


def test_a_gates_job_that_never_ends_ends_the_release() -> None:
    world = served()
    world.clock.advance(3600)
    world.ports.batch.new_jobs_are = "running"
    world.act("retrain")
    world.ticks(6)
    assert world.release(2).phase is Phase.GATING
    world.ticks(2, seconds=6 * 3600)
    assert ended(world) is Phase.FAILED
    reason = world.release(2).reason
    assert reason is not None and reason.code is Code.SCORING_TIMED_OUT


def test_a_drops_job_that_never_ends_ends_the_release() -> None:
    world = compared()
    world.ports.batch.new_jobs_are = "running"
    world.drop("2008.csv", csv(season(2008)))
    [metric] = [one for one in world.ports.batch.scorings.values() if one.status == "running"]
    metric.status = "completed"
    world.ticks(3)
    waits = world.release(2).waiting_for
    assert waits is not None and waits.code is Code.SCORING_RUNS
    world.ticks(2, seconds=6 * 3600)
    assert ended(world) is Phase.FAILED
    reason = world.release(2).reason
    assert reason is not None and reason.code is Code.SCORING_TIMED_OUT
    assert default(world) == {"r1-a1": 100}


def test_a_job_has_its_time_from_when_it_began_however_long_the_step_waited_for_a_drop() -> None:
    world = compared(BATCH.replace("max_hours: 1", "max_hours: 170"))
    world.ticks(2, seconds=24 * 3600)
    world.ports.batch.new_jobs_are = "running"
    world.drop("2008.csv", csv(season(2008)))
    for one in world.ports.batch.scorings.values():
        one.status = "completed"
    world.ticks(3)
    waits = world.release(2).waiting_for
    assert waits is not None and waits.code is Code.SCORING_RUNS
    world.act("pause")
    world.ticks(2, seconds=24 * 3600)
    world.act("resume")
    world.ticks(2)
    assert world.release(2).phase is Phase.CANARY
    for one in world.ports.batch.scorings.values():
        one.status = "completed"
    assert ended(world) is Phase.LIVE


def test_a_metric_of_a_drop_waits_for_the_champions_job() -> None:
    world = served()
    world.ports.batch.new_jobs_are = "running"
    world.drop("2008.csv", csv(season(2008)))
    world.ticks(3)
    assert world.state.next_version == 3
    [job] = [one for one in world.ports.batch.scorings.values() if one.status == "running"]
    assert job.stamp == "metric-v2"
    job.status = "completed"
    world.ticks(1, seconds=60)
    from shared.runtime import unit_of_work

    version = unit_of_work.read(world.ports, "birds").version(2)[0]
    assert version.metric_breached is False


def test_a_paused_loop_begins_no_job_and_abort_leaves_the_champion() -> None:
    world = compared()
    world.act("pause")
    world.drop("2008.csv", csv(season(2008)))
    asked = len(world.ports.batch.scorings)
    world.ticks(4)
    assert len([s for s in world.ports.batch.scorings.values() if s.stamp.startswith("drop-")]) == 2
    assert asked >= 2
    world.act("abort", 2)
    world.ticks(4)
    assert world.release(2).phase is Phase.ABORTED
    assert default(world) == {"r1-a1": 100}


def test_rollback_during_the_bake_switches_back() -> None:
    world = compared(BATCH.replace("bake_minutes: 1", "bake_minutes: 60"))
    world.drop("2008.csv", csv(season(2008)))
    world.ticks(6)
    assert world.release(2).phase is Phase.BAKING
    assert default(world) == {"r2-a1": 100}
    world.act("rollback", 2)
    world.ticks(4)
    assert world.release(2).phase is Phase.ROLLED_BACK
    assert default(world) == {"r1-a1": 100}
    assert world.state.champion is not None and world.state.champion.release == 1


def test_approval_before_promotion_is_asked_for_after_the_drops() -> None:
    world = served()
    world.publish(BATCH.replace("drops: 2", "drops: 1, approval: before_promotion"))
    world.clock.advance(3600)
    world.act("retrain")
    world.ticks(8)
    assert world.release(2).phase is Phase.AWAITING_APPROVAL
    assert world.release(2).compared == (1,)
    world.act("approve", 2)
    assert ended(world) is Phase.LIVE
    assert world.release(2).compared == (1,), "nothing is compared twice"


def test_a_default_that_somebody_sets_is_adopted() -> None:
    world = compared()
    world.ports.batch.endpoints["birds"].traffic = {"r2-a1": 100}
    world.ticks(12)
    assert world.release(2).adopted
    assert world.state.paused is not None


def test_what_is_the_default_already_is_adopted_and_the_next_model_is_compared_with_it() -> None:
    world = World()
    world.ports.batch.ensure_endpoint("birds")
    spec = DeploymentSpec("birds", "mine", "azureml:handmade:1", "", compute="cpu")
    world.ports.batch.endpoints["birds"].deployments["mine"] = MemoryDeployment(spec, "ready")
    world.ports.batch.endpoints["birds"].traffic = {"mine": 100}
    definition = loopfile.parse(BATCH.replace("drops: 2", "drops: 1"), file="loop.yaml")
    published = Published(definition, Assets(pipeline="azureml:birds-training:1"), "ann", world.clock.now())
    adoption.adopt(world.ports, published, "mine", "azureml:handmade:1", reference())
    assert default(world) == {"mine": 100} and world.ports.batch.splits == []
    world.drop("2009.csv", csv(season(2009, body_mass_g=1.3)))
    assert ended(world) is Phase.LIVE
    assert world.release(2).compared == (1,)
    assert default(world) == {"r2-a1": 100}
    asked = {one.deployment for one in world.ports.batch.scorings.values() if one.stamp.startswith("drop-")}
    assert asked == {"mine", "r2-a1"}


@pytest.mark.parametrize(
    ("conda", "wanted"),
    [
        ("dependencies: [pip, {pip: [pandas, azureml-core]}]", True),
        ("dependencies:\n- pip:\n  - azureml-core==1.60\n  - pandas", True),
        ("dependencies:\n- pip:\n  - azureml-core==1.60\n  - 'azureml-dataset-runtime[fuse]'", False),
    ],
)
def test_an_environment_for_a_script_asks_for_what_the_batch_runner_needs(
    tmp_path: Path, conda: str, wanted: bool
) -> None:
    (tmp_path / "train.yml").touch()
    (tmp_path / "score").mkdir()
    (tmp_path / "conda.yml").write_text(conda)
    serve = "serve: {type: batch, endpoint: birds, compute: cpu, scoring: score, environment: conda.yml}\n"
    (tmp_path / "loop.yaml").write_text(LEAST + serve)
    if not wanted:
        assert loopfile.load(tmp_path).serve.scoring == "score"
        return
    with pytest.raises(
        loopfile.LoopFileError, match=r"loop.yaml:4 serve.environment: .*azureml-dataset-runtime"
    ):
        loopfile.load(tmp_path)


def test_a_batch_deployment_costs_nothing_while_it_stands() -> None:
    definition = loopfile.parse(BATCH, file="loop.yaml")
    found = cost.prices(definition)
    assert found is not None and found.deployment == 0


WRONG = {
    "serve: {type: batch, endpoint: birds}": (
        "serve.compute",
        "a compute cluster, because serve.type is batch",
    ),
    "serve: {type: batch, endpoint: birds, compute: cpu, scoring: score}": (
        "serve.environment",
        "what serve.scoring runs in",
    ),
    "serve: {type: batch, endpoint: birds, compute: cpu, environment: a.yml}": (
        "serve.environment",
        "nothing without serve.scoring",
    ),
    "serve: {type: batch, endpoint: birds, compute: cpu, instance_type: Standard_DS3_v2}": (
        "serve.instance_type",
        "the cluster serve.compute has its machines",
    ),
    "serve: {endpoint: birds, compute: cpu}": ("serve.compute", "because serve.type is online"),
}
MORE = {
    "canary: {steps: [50]}": ("canary.steps", "canary.drops"),
    "canary: {unit: identity}": ("canary.unit", "rows are compared"),
    "canary: {step: {minutes: 1}}": ("canary.step.minutes", "a step ends once"),
    "canary: {margins: {latency_ratio: 2}}": ("canary.margins.latency_ratio", "speed"),
    "drift: {served: 1h}": ("drift.served", "no served input"),
    "metric: {name: roc_auc, at_least: 0.8}": ("metric.name", "states no probabilities"),
    "gate: {calibration: 0.1}": ("gate.calibration", "no probabilities"),
}
LEAST = "loop: birds\ndata: {landing: landing/birds/, target: species}\ntrain: {pipeline: train.yml}\n"
SERVE = "serve: {type: batch, endpoint: birds, compute: cpu}"


@pytest.mark.parametrize(("line", "told"), [*WRONG.items(), *((f"{SERVE}\n{k}", v) for k, v in MORE.items())])
def test_a_key_that_means_nothing_there_is_refused_by_its_line(line: str, told: tuple[str, str]) -> None:
    with pytest.raises(loopfile.LoopFileError) as raised:
        loopfile.parse(LEAST + line, file="loop.yaml")
    [mistake] = [one for one in raised.value.mistakes if one.key == told[0]]
    assert told[1] in mistake.allowed
    assert mistake.line == LEAST.count("\n") + line.count("\n") + 1 - (
        told[0].startswith("serve.") * line.count("\n")
    )


def test_drops_are_of_a_batch_endpoint() -> None:
    with pytest.raises(loopfile.LoopFileError, match=r"because serve\.type is online"):
        loopfile.parse(LEAST + "serve: {endpoint: birds}\ncanary: {drops: 2}", file="loop.yaml")
    assert loopfile.parse(LEAST + SERVE, file="loop.yaml").shares == (0,)


def test_a_process_that_ends_at_any_act_on_the_batch_endpoint_costs_the_release_nothing() -> None:
    """Before and after each of them, from the comparison of the last drop to the end of the old deployment."""
    start = compared()
    start.ports.batch.new_jobs_are = "completed"
    start.land("2008.csv", csv(season(2008)))
    calls = crashed_at(start.copy(), 0, after=False)[1]
    assert calls >= 5
    for number in range(1, calls + 1):
        for after in (False, True):
            world, _ = crashed_at(start.copy(), number, after=after)
            assert world.state.champion is not None and world.state.champion.release == 2, (number, after)
            assert default(world) == {"r2-a1": 100}
            assert set(world.ports.batch.endpoints["birds"].deployments) == {"r2-a1"}
            assert world.release(2).compared == (1, 2)


def crashed_at(world: World, number: int, *, after: bool) -> tuple[World, int]:
    """The process ends at this act on the batch endpoint, and another one goes on; how many acts there were."""
    seen = 0

    def around(call: faults.Call, make: Callable[[], object]) -> object:
        nonlocal seen
        acts = call.port == "batch" and call.effect and not call.method.endswith("_state")
        seen += acts
        crash = acts and seen == number
        if crash and not after:
            raise faults.Crash
        made = make()
        if crash:
            raise faults.Crash
        return made

    ports = faults.watched(world.ports, around)
    world.clock.advance(tick.STILL.total_seconds())
    with suppress(faults.Crash):
        tick.sweep(ports)
    for _ in range(30):
        world.clock.advance(200)  # longer than the claim of the one that is gone
        with suppress(faults.Crash):
            tick.tick(ports)
        if world.state.open_release is None:
            break
    return world, seen


def test_one_answer_is_not_explained_by_jobs() -> None:
    world = served()
    unit = unit_of_work.read(world.ports, world.loop)
    with pytest.raises(ConfigurationError, match="explain --row asks an online endpoint"):
        attribution.of_row(unit, world.release(1), {})
