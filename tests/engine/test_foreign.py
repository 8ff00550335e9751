"""A model that somebody else registered is refused with a reason, or goes through gate and canary as any other."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from shared import loopfile
from shared.audit import answer
from shared.domain.event import EventKind
from shared.domain.reason import Code, Reason
from shared.domain.release import Phase, TriggerKind
from shared.errors import InputRejected
from shared.inbox import messages, unrouted
from shared.loopfile.published import Assets, Published
from shared.memory.azureml import MemoryModel
from shared.release import signature
from shared.runtime import publication, unit_of_work
from shared.state import queries
from shared.words import say
from tests.engine.world import LOOP, World, csv, lived, season

CONDA = b"dependencies: [{pip: [mlflow==2.16.2, azureml-ai-monitoring==1.0.0]}]"
PLAN = LOOP.replace("on_inconclusive: reject", "on_inconclusive: promote")
OPTED_IN = PLAN + "models: {name: lab, tags: {stage: approved}}\n"


def mlmodel(*columns: tuple[str, str], **more: object) -> bytes:
    inputs = [{"name": name, "type": kind, "required": True, **more} for name, kind in columns]
    return json.dumps({"flavors": {}, "signature": {"inputs": json.dumps(inputs)}}).encode()


FITTING = mlmodel(("flipper_length_mm", "double"), ("island", "string"))


@pytest.fixture
@lived
def world() -> World:
    found = World()
    found.publish(OPTED_IN)
    found.drop("2007.csv", csv(season(2007)))
    assert found.live() == 1
    found.ticks(20)
    return found


def register(world: World, version: str = "1", **changes: object) -> MemoryModel:
    model = MemoryModel(
        "",
        {"stage": "approved"},
        "mlflow_model",
        made_by="eve",
        made_at=world.clock.now(),
        mlmodel=FITTING,
        conda=CONDA,
    )
    world.ports.training.models["lab", version] = replace(model, **changes)  # type: ignore[arg-type]  # its fields
    return world.ports.training.models["lab", version]


def event(version: object = "1", name: str = "lab", **tags: str) -> str:
    data = {"ModelName": name, "ModelVersion": version, "ModelTags": tags}
    return json.dumps({"eventType": "Microsoft.MachineLearningServices.ModelRegistered", "data": data})


def ask(world: World, model: str = "lab:1") -> None:
    world.send(messages.act_message("release", "birds", {"model": model, "reason": "a tree"}, "bob"))


def answered(world: World, what: str, name: str) -> Reason:
    entry = [entry for entry in queries.entries(world.ports, "birds") if entry.what == what][-1]
    why = entry.detail[name]
    assert isinstance(why, Reason)
    return why


def test_it_goes_live_and_what_is_not_known_of_it_is_said(world: World) -> None:
    register(world, job="their-run-7")
    ask(world)
    assert world.live() == 2
    release = world.release(2)
    assert (release.model, release.versions, release.judged_on) == ("azureml:lab:1", (), (1,))
    assert [judged.kind.value for judged in release.judgements[:2]] == ["smoke", "gate"]
    assert release.profile == world.release(1).profile, "the reference is the window that judged it"
    assert world.ports.training.submitted == ["birds-r1-a1"]
    audited = answer.audit(world.ports, "birds")
    assert (audited.problems, audited.not_compared) == ((), ())
    served = audited.served
    assert served is not None and served.unknown is not None
    assert served.unknown.code is Code.TRAINING_UNKNOWN
    assert (served.algorithm, served.job, served.data) == ("", "", ())
    assert served.because[0].startswith("release of lab:1, registered by eve at 2026-01-01")
    assert "from job their-run-7: a tree; what it was trained on" in served.because[0]


def test_the_next_drop_is_compared_with_the_window_that_judged_it(world: World) -> None:
    register(world)
    ask(world)
    assert world.live() == 2
    world.drop("2009.csv", csv(season(2009, body_mass_g=1.3)))
    world.ticks(8)
    assert world.release(3).triggers[0].kind is TriggerKind.DRIFT


def test_it_can_be_gone_back_to(world: World) -> None:
    register(world)
    ask(world)
    assert world.live() == 2
    world.act("retrain")
    assert world.live() == 3
    world.send(messages.act_message("rollback", "birds", {"to": 2}, "bob"))
    assert world.live() == 4
    assert world.release(4).model == "azureml:lab:1"
    served = answer.audit(world.ports, "birds").served
    assert served is not None and served.unknown is not None and served.back_to == 2


def test_an_audit_misses_a_foreign_model_that_was_deleted(world: World) -> None:
    register(world)
    ask(world)
    assert world.live() == 2
    del world.ports.training.models["lab", "1"]
    assert Code.AUDIT_MISSING in {problem.code for problem in answer.audit(world.ports, "birds").problems}


Spoil = Callable[[World], object]
SPOILT: dict[Code, Spoil] = {
    Code.MODEL_GONE: lambda world: None,
    Code.MODEL_ARCHIVED: lambda world: register(world, archived=True),
    Code.MODEL_NOT_MLFLOW: lambda world: register(world, kind="custom_model"),
    Code.MODEL_NO_SIGNATURE: lambda world: register(world, mlmodel=b"flavors: {}"),
    Code.MODEL_LACKS_PACKAGES: lambda world: register(world, conda=b"dependencies: [pip]"),
    Code.MODEL_COLUMNS_DIFFER: lambda world: register(world, mlmodel=mlmodel(("wing", "double"))),
    Code.ACT_WHILE_FROZEN: lambda world: (register(world), world.act("pause")),
    Code.ANOTHER_RELEASE_OPEN: lambda world: (register(world), world.act("retrain")),
}


@pytest.mark.parametrize("code", SPOILT)
def test_what_would_end_badly_is_refused_first(world: World, code: Code) -> None:
    SPOILT[code](world)
    number = world.state.next_release
    ask(world)
    why = answered(world, "action.refused", "why")
    assert why.code is code
    assert "unknown" not in say(why)
    assert world.state.next_release == number


def test_without_labelled_data_nothing_can_judge_it() -> None:
    world = World()
    world.publish(OPTED_IN)
    register(world)
    ask(world)
    assert answered(world, "action.refused", "why").code is Code.MODEL_NO_ROWS


def test_what_serves_is_not_released_again(world: World) -> None:
    register(world)
    ask(world)
    assert world.live() == 2
    ask(world)
    assert answered(world, "action.refused", "why").code is Code.MODEL_SERVES


def test_with_scoring_code_any_model_is_taken_in_the_loops_environment(world: World) -> None:
    aided = PLAN.replace("{endpoint: birds}", "{endpoint: birds, scoring: score, environment: env.yml}")
    definition = loopfile.parse(aided, file="loop.yaml")
    assets = Assets("azureml:t:1", "azureml:env:1", "azureml:code:1")
    publication.publish(world.ports, Published(definition, assets, "ann", world.clock.now()))
    register(world, kind="custom_model", mlmodel=None, conda=None)
    ask(world)
    assert world.live() == 2
    made = world.ports.serving.endpoints["birds"].deployments["r2-a1"].spec
    assert (made.environment, made.code) == ("azureml:env:1", "azureml:code:1")
    register(world, "2", mlmodel=mlmodel(("wing", "double")))
    world.ticks(5)
    ask(world, "lab:2")
    assert answered(world, "action.refused", "why").code is Code.MODEL_COLUMNS_DIFFER


@pytest.mark.parametrize(
    "model", ["", "lab", "lab@latest", "azureml://registries/r/models/l/versions/1", "a:b:c"]
)
def test_what_names_no_version_of_the_workspace_is_no_request(model: str) -> None:
    with pytest.raises(InputRejected) as rejected:
        messages.act_message("release", "birds", {"model": model}, "bob")
    assert rejected.value.code == "no-model-version"


# --- registrations that the loop asks for ---------------------------------------------------------


def test_a_registration_is_released_once_however_often_it_is_told(world: World) -> None:
    register(world)
    for version in (1, "1"):
        world.send(event(version, stage="approved", owner="eve"))
    assert world.live() == 2
    assert [trigger.kind for trigger in world.release(2).triggers] == [TriggerKind.MODEL]
    assert [one.kind for one in queries.inbox(world.ports, "birds")].count(EventKind.MODEL) == 1
    assert len(world.state.starts) == 2, "it counts in the budget"


@pytest.mark.parametrize(
    ("name", "tags"),
    [
        ("lab", {}),
        ("lab", {"stage": "draft"}),
        ("other", {"stage": "approved"}),
        ("birds", {"stage": "approved"}),
    ],
)
def test_what_no_loop_asks_for_is_told_once_a_day_and_starts_nothing(
    world: World, name: str, tags: dict[str, str]
) -> None:
    for version in ("1", "2"):
        world.send(event(version, name, **tags))
    kept = [one.reason for _, one in unrouted.newest(world.ports, 9)]
    assert [why.code for why in kept] == [Code.NO_MODEL_KEY]
    assert world.state.next_release == 2


def test_our_own_registrations_raise_nothing(world: World) -> None:
    world.publish(PLAN + "models: {name: birds}\n")
    world.send(event("1", "birds", **{"driftloop.release": "birds/1"}))
    assert (world.state.next_release, unrouted.newest(world.ports, 9)) == (2, [])
    assert EventKind.MODEL not in {one.kind for one in queries.inbox(world.ports, "birds")}


def test_what_an_event_says_of_a_model_is_not_believed(world: World) -> None:
    register(world, tags={"stage": "draft"})
    world.send(event(stage="approved"))
    assert answered(world, "retrain.denied", "answer").code is Code.MODEL_NOT_ASKED
    world.send(event("7", stage="approved"))
    assert answered(world, "retrain.denied", "answer").code is Code.MODEL_GONE
    assert world.state.next_release == 2


def test_one_that_cannot_be_served_is_denied_with_its_reason(world: World) -> None:
    register(world, conda=b"dependencies: [pip]")
    world.send(event(stage="approved"))
    assert answered(world, "retrain.denied", "answer").code is Code.MODEL_LACKS_PACKAGES


@pytest.mark.parametrize(
    ("plan", "code"),
    [
        (OPTED_IN.replace("cooldown: 1m", "cooldown: 2h"), Code.COOLDOWN),
        (OPTED_IN.replace("runs_per_day: 8", "runs_per_day: 1"), Code.RUNS_USED_UP),
    ],
)
def test_it_waits_as_any_trigger_does_and_is_released_then(plan: str, code: Code) -> None:
    world = World()
    world.publish(plan)
    world.drop("2007.csv", csv(season(2007)))
    assert world.live() == 1
    world.ticks(8)
    register(world)
    world.send(event(stage="approved"))
    assert answered(world, "retrain.coalesced", "answer").code is code
    world.ticks(1, seconds=25 * 3600)
    assert world.live() == 2
    assert world.release(2).model == "azureml:lab:1"


@pytest.mark.parametrize("withdrawn", ["tag", "key", "archived"])
def test_one_whose_approval_was_withdrawn_while_it_waited_is_not_released(
    world: World, withdrawn: str
) -> None:
    world.act("pause")
    register(world)
    world.send(event(stage="approved"))
    if withdrawn == "tag":
        register(world, tags={"stage": "rejected"})
    elif withdrawn == "archived":
        register(world, archived=True)
    else:
        world.publish(PLAN)
    world.act("resume")
    world.ticks(3)
    assert world.state.next_release == 2
    code = Code.MODEL_ARCHIVED if withdrawn == "archived" else Code.MODEL_NOT_ASKED
    assert answered(world, "retrain.denied", "answer").code is code


def test_one_that_waited_begins_when_it_begins(world: World) -> None:
    """Budget, page and audit count from then, not from when it was heard."""
    world.act("pause")
    register(world)
    world.send(event(stage="approved"))
    world.ticks(1, seconds=48 * 3600)
    world.act("resume")
    begun = world.release(2)
    assert world.clock.now() - begun.started_at < timedelta(minutes=5)
    assert world.state.starts[-1] == begun.started_at


def test_one_that_waits_keeps_what_waits_beside_it(world: World) -> None:
    world.act("pause")
    register(world)
    world.send(event(stage="approved"))
    world.act("retrain")
    assert [trigger.kind.value for trigger in world.state.waiting] == ["model", "person"]
    world.act("resume")
    assert world.live() in (2, 3)
    for _ in range(12):
        world.ticks_with_traffic(5)
    assert {world.release(number).triggers[0].kind.value for number in (2, 3)} == {"model", "person"}
    assert world.state.waiting == ()


def test_one_that_rests_lets_a_person_s_wish_begin(world: World) -> None:
    world.publish(OPTED_IN.replace("cooldown: 1m", "cooldown: 2h"))
    world.act("retrain")
    register(world)
    world.send(event(stage="approved"))
    world.act("retrain")
    assert [trigger.kind.value for trigger in world.state.waiting] == ["model", "person"]
    assert world.live() == 3, "the second ended, and the third began at once"
    assert world.release(3).triggers[0].kind is TriggerKind.PERSON
    assert [trigger.kind.value for trigger in world.state.waiting] == ["model"]
    world.ticks(1, seconds=3 * 3600)
    assert world.live() == 4
    assert world.release(4).model == "azureml:lab:1"


def test_an_observing_loop_only_says_what_it_would_do(world: World) -> None:
    world.publish(OPTED_IN + "mode: observe\n")
    register(world)
    world.send(event(stage="approved"))
    assert answered(world, "retrain.denied", "answer").code is Code.WOULD_START


# --- the signature --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "missing", "texts"),
    [
        (mlmodel(("a", "double"), ("b", "string")), [], []),
        (mlmodel(("a", "long"), ("c", "long")), ["c"], []),
        (mlmodel(("b", "integer")), [], ["b"]),
        (mlmodel(("c", "double"), required=False), [], []),
        (mlmodel(("c", "double"), optional=True), [], []),
        (b'signature: {inputs: \'[{"type": "tensor", "tensor-spec": {"shape": [-1, 9]}}]\'}', [], []),
    ],
)
def test_inputs_are_held_against_columns(content: bytes, missing: list[str], texts: list[str]) -> None:
    wanted = signature.inputs(content)
    assert wanted
    assert signature.misfits(wanted, {"a": "number", "b": "string"}) == (missing, texts)


@pytest.mark.parametrize(
    "content",
    [b"", b"[", b"x", b"signature:", b"signature: {inputs: 1}", b"signature: {inputs: '{'}", b"\xff\xfe",
     b"signature: {inputs: [x]}", b"signature: {inputs: [{}]}"],
)  # fmt: skip
def test_what_is_no_signature_is_none(content: bytes) -> None:
    assert signature.inputs(content) == ()


def test_a_canary_of_it_that_errs_is_rolled_back(world: World) -> None:
    register(world)
    ask(world)
    for _ in range(12):
        world.ticks_with_traffic(1, errors={"r2-a1": 0.5})
    assert world.release(2).phase is Phase.ROLLED_BACK
    assert world.ports.serving.traffic("birds") == {"r1-a1": 100}


def test_while_nobody_serves_a_registration_is_denied_until_the_champion_is_back(world: World) -> None:
    current = unit_of_work.read(world.ports, "birds")
    gone = Reason(Code.NO_TRAFFIC, {"loop": "birds", "endpoint": "birds"})
    current.commit(replace(current.state, unserved=gone))
    register(world)
    world.send(event(stage="approved"))
    assert answered(world, "retrain.denied", "answer").code is Code.NOBODY_TO_COMPARE_WITH


@pytest.mark.parametrize(
    "content", [b"[" * 3000, b"signature: {inputs: '" + b"[" * 3000 + b"'}", b"\xff\xfe", b"a: *b"]
)
def test_a_file_that_nobody_can_read_states_no_inputs(content: bytes) -> None:
    assert signature.inputs(content) == ()
