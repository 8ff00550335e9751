"""Any release that was live can be deployed again, as it was, whatever the loop has become; or it is said why not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from cli import export
from shared import loopfile
from shared.audit import answer, exported_release
from shared.domain.reason import Code, Reason
from shared.domain.release import JudgementKind, Phase
from shared.gate import gate_evidence
from shared.inbox import messages
from shared.loopfile.published import Assets, Published
from shared.ports import Replace
from shared.release.untrained import GONE
from shared.runtime import publication, unit_of_work
from shared.state import queries, rows
from shared.words import say
from tests.engine.world import LOOP, World, csv, lived, season

PLAN = LOOP
for before, after in (
    ("on_inconclusive: reject", "on_inconclusive: promote"),
    ("runs_per_day: 8", "runs_per_day: 99"),
    (
        "{minutes: 1, min_requests: 50, max_hours: 1}, bake_minutes: 1",
        "{minutes: 0.1, min_requests: 9}, bake_minutes: 0.1",
    ),
    ("{endpoint: birds}", "{endpoint: birds, instance_count: 1}"),
):
    assert before in PLAN
    PLAN = PLAN.replace(before, after)
TEN = 10


def publish(world: World, number: int) -> None:
    """An upgrade of the loop: other code and environment, more machines, another plan of the canary each time."""
    steps = "[10, 50]" if number % 2 else "[20]"
    text = PLAN.replace("[10, 50]", steps).replace("instance_count: 1", f"instance_count: {number}")
    assets = Assets(
        pipeline=f"azureml:birds-training:{number}",
        environment=f"azureml:birds-env:{number}",
        code=f"azureml:birds-code:{number}",
        digests={f"azureml:birds-code:{number}": f"code {number}"},
    )
    world.ports.training.digests[f"azureml:birds-code:{number}"] = f"code {number}"
    definition = loopfile.parse(text, file="loop.yaml")
    publication.publish(world.ports, Published(definition, assets, "ann", world.clock.now()))


def live(world: World) -> int:
    """What is under way ends well; with the traffic of a loop that is asked often."""
    number = world.live()
    world.ticks(2)
    return number


@pytest.fixture(scope="module")
def grown() -> World:
    """Ten releases went live, each under a definition of its own."""
    world = World()
    publish(world, 1)
    world.drop("2007.csv", csv(season(2007)))
    assert live(world) == 1
    for number in range(2, TEN + 1):
        publish(world, number)
        world.act("retrain")
        assert live(world) == number
    publish(world, TEN + 1)
    return world


@pytest.fixture
@lived
def world() -> World:
    """Two releases went live; the second serves."""
    found = World()
    publish(found, 1)
    found.drop("2007.csv", csv(season(2007)))
    assert live(found) == 1
    publish(found, 2)
    found.act("retrain")
    assert live(found) == 2
    return found


def ask(world: World, to: int, **more: object) -> None:
    body = {"reason": "complaints", "to": to, **more}
    world.send(messages.act_message("rollback", "birds", body, "bob"))


def refused(world: World) -> Reason:
    entry = [entry for entry in queries.entries(world.ports, "birds") if entry.what == "action.refused"][-1]
    why = entry.detail["why"]
    assert isinstance(why, Reason) and entry.actor == "bob"
    return why


@pytest.mark.parametrize("to", range(1, TEN + 1))
def test_any_of_ten_releases_is_deployed_as_it_was_after_upgrades_of_the_loop(grown: World, to: int) -> None:
    """In any order: where the release serves already, the one before it was gone back to first."""
    champion = grown.state.champion
    assert champion is not None
    if grown.release(to).model == champion.model:
        ask(grown, to - 1 or TEN)
        live(grown)
    number = grown.state.next_release
    ask(grown, to)
    made = grown.ports.serving.endpoints["birds"].deployments[f"r{number}-a1"].spec
    assert live(grown) == number
    assert (made.model, made.environment, made.code) == (
        f"azureml:birds:{to}",
        f"azureml:birds-env:{to}",
        f"azureml:birds-code:{to}",
    )
    assert made.instance_count == TEN + 1, "machines are those of today"
    release = grown.release(number)
    assert (release.phase, release.back_to, release.profile) == (Phase.LIVE, to, grown.release(to).profile)
    assert [weights[f"r{number}-a1"] for _, weights in grown.ports.serving.splits[-3:]] == [10, 50, 100]
    assert list(grown.ports.serving.endpoints["birds"].deployments) == [f"r{number}-a1"]
    assert len(grown.ports.training.submitted) == TEN, "nothing was trained"
    audited = answer.audit(grown.ports, "birds")
    assert (audited.problems, audited.not_compared) == ((), ())
    assert audited.served is not None
    assert (audited.served.back_to, audited.served.algorithm) == (to, f"azureml:birds-training:{to}")
    assert audited.served.because == (f"rollback to release {to}: complaints",)


def test_the_gate_is_passed_only_where_it_is_asked_for(world: World) -> None:
    ask(world, 1)
    assert live(world) == 3
    judged = [one.kind for one in world.release(3).judgements]
    assert judged[0] is JudgementKind.SMOKE and JudgementKind.GATE not in judged
    world.drop("2008.csv", csv(season(2008)))
    world.ticks(2)
    ask(world, 2, gate=True)
    assert live(world) == 4
    release = world.release(4)
    assert (release.versions, release.judged_on) == ((1,), (1, 2))
    gate = gate_evidence.recorded(unit_of_work.read(world.ports, "birds"), release)
    assert gate is not None
    assert {name[:4] for name in gate.evidence.ids} == {"2007", "2008"}, "today's rows judge it"


def test_without_a_gate_a_model_that_answers_nothing_well_is_rejected_before_it_has_traffic(
    world: World,
) -> None:
    world.models["r3-a1"] = lambda row: "Emu"
    before = len(world.ports.serving.splits)
    ask(world, 1)
    world.ticks_with_traffic(4)
    assert world.release(3).phase is Phase.REJECTED
    assert len(world.ports.serving.splits) == before


def test_a_canary_that_is_worse_gives_the_traffic_back(world: World) -> None:
    ask(world, 1)
    for _ in range(12):
        world.ticks_with_traffic(1, errors={"r3-a1": 0.5})
    assert world.release(3).phase is Phase.ROLLED_BACK
    assert world.ports.serving.traffic("birds") == {"r2-a1": 100}


def test_a_restore_afterwards_deploys_the_same_again(world: World) -> None:
    ask(world, 1)
    assert live(world) == 3
    endpoint = world.ports.serving.endpoints["birds"]
    endpoint.deployments.clear()
    endpoint.traffic = {}
    world.act("restore")
    assert live(world) == 4
    made = world.ports.serving.endpoints["birds"].deployments["r3-a1"].spec
    assert (made.model, made.code) == ("azureml:birds:1", "azureml:birds-code:1")
    ask(world, 2)
    assert live(world) == 5


def _lose(key: str) -> Callable[[World], None]:
    return lambda world: world.ports.training.digests.__setitem__(key, None)


def _archive(world: World) -> None:
    world.ports.training.models["birds", "1"].archived = True


def _register_anew(world: World) -> None:
    world.ports.training.models["birds", "1"].job = "somebody-s"


def _lose_definition(world: World) -> None:
    del world.ports.documents.contents[world.release(1).definition]
    unit_of_work._published.clear()


def _edit_row(world: World) -> None:
    row = world.ports.store.read("birds", rows.release_key(1))
    assert row is not None
    edited = row.doc.replace("azureml:birds:1", "azureml:evil:1")
    world.ports.training.models["evil", "1"] = world.ports.training.models["birds", "1"]
    world.ports.store.commit("birds", [Replace(row.key, edited, row.etag)])


LOST = {
    Code.MODEL_GONE: lambda world: world.ports.training.models.pop(("birds", "1")),
    Code.MODEL_ARCHIVED: _archive,
    Code.MODEL_DIFFERS: _register_anew,
    Code.ENVIRONMENT_GONE: _lose("azureml:birds-env:1"),
    Code.CODE_GONE: _lose("azureml:birds-code:1"),
    Code.CODE_DIFFERS: lambda world: world.ports.training.digests.update({"azureml:birds-code:1": "other"}),
    Code.DEFINITION_GONE: _lose_definition,
    Code.ROLLBACK_DIFFERS: _edit_row,
    Code.ACT_WHILE_FROZEN: lambda world: world.act("pause"),
    Code.ANOTHER_RELEASE_OPEN: lambda world: world.act("retrain"),
}


@pytest.mark.parametrize("code", LOST)
def test_what_cannot_be_deployed_as_it_was_is_refused_and_nothing_begins(world: World, code: Code) -> None:
    LOST[code](world)
    number, deployments = world.state.next_release, dict(world.ports.serving.endpoints["birds"].deployments)
    ask(world, 1)
    assert refused(world).code is code
    assert "unknown" not in say(refused(world))
    assert world.state.next_release == number
    if code is not Code.ANOTHER_RELEASE_OPEN:
        assert world.ports.serving.endpoints["birds"].deployments == deployments


@pytest.mark.parametrize("code", sorted(GONE))
def test_without_a_champion_that_serves_restore_comes_first(world: World, code: Code) -> None:
    current = unit_of_work.read(world.ports, "birds")
    facts = {"loop": "birds", "endpoint": "birds", "deployment": "r2-a1"}
    current.commit(replace(current.state, unserved=Reason(code, facts)))
    ask(world, 1)
    assert refused(world).code is Code.NOBODY_TO_COMPARE_WITH
    assert "driftloop restore birds" in say(refused(world))


def test_what_serves_was_never_or_did_not_stay_is_refused(world: World) -> None:
    ask(world, 2)
    assert refused(world).code is Code.MODEL_SERVES
    ask(world, 99)
    assert refused(world).code is Code.ROLLBACK_NO_RELEASE
    world.act("retrain")
    world.act("abort")
    world.ticks(3)
    ask(world, 3)
    assert refused(world).code is Code.ROLLBACK_NEVER_LIVE


def test_the_same_request_twice_is_one_release(world: World) -> None:
    for _ in range(2):
        ask(world, 1, id="once")
    assert live(world) == 3
    assert world.ledger().count("release.started") == 3


def test_its_export_has_what_it_is_served_with(world: World) -> None:
    ask(world, 1)
    assert live(world) == 3
    assert world.release(3).served_with
    made = export.opened_from(exported_release.export(world.ports, "birds", 3))
    assert made.proof is not None and made.proof.problems == ()
