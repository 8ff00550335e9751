"""Releases that train nothing, with everything going wrong at each of their calls, and with everything twice."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from functools import cache

import pytest

from shared.audit import answer, exported_release, origin
from shared.audit.exported_release import ExportedRelease
from shared.domain.reason import Reason
from shared.domain.release import Phase
from shared.memory.azureml import MemoryModel, MemoryRegistry, MemorySharing
from shared.ports import Sharing
from shared.runtime import unit_of_work
from tests.faults import FAULTS, Crash
from tests.simulator.life import HEALS_S, LATE_HEALS_S, LOOP, Life, birds

REGISTRY = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/registries/shared"
MLMODEL = b"""
flavors: {}
signature:
  inputs: '[{"type": "double", "name": "flipper", "required": true}]'
"""
CONDA = b"dependencies: [{pip: [mlflow==2.16.2, azureml-ai-monitoring==1.0.0]}]"
AIDED = LOOP.replace("{endpoint: birds}", "{endpoint: birds, scoring: score, environment: env.yml}")
OPTED_IN = LOOP + "models: {name: lab, tags: {stage: approved}}\n"


def register(life: Life, version: str = "1") -> str:
    """A model of somebody else; the event that Azure ML sends for it."""
    tags = {"stage": "approved"}
    life.real.training.models["lab", version] = MemoryModel(
        "", tags, "mlflow_model", made_by="eve", made_at=life.clock.now(), mlmodel=MLMODEL, conda=CONDA
    )
    data = {"ModelName": "lab", "ModelVersion": version, "ModelTags": tags}
    return json.dumps({"eventType": "Microsoft.MachineLearningServices.ModelRegistered", "data": data})


def back(life: Life) -> str:
    life.act("rollback", to=1, id="back")
    return "azureml:birds:1"


def gated(life: Life) -> str:
    life.act("rollback", to=1, gate=True, id="back")
    return "azureml:birds:1"


def foreign(life: Life) -> str:
    register(life)
    life.act("release", model="lab:1", id="lab")
    return "azureml:lab:1"


def heard(life: Life) -> str:
    life.send(register(life))
    return "azureml:lab:1"


@cache
def live_elsewhere() -> tuple[ExportedRelease, MemoryRegistry]:
    """A release that is live in an environment of its own, and the registry into which it was shared."""
    life = Life(plan=LOOP, failing="none")
    life.publish(LOOP, "test")
    life.drop("1.csv", birds(1, 1.0))
    life.rest()
    exported = exported_release.export(life.real, "birds", 1)
    current = unit_of_work.read(life.real, "birds")
    origin.share(current, MemorySharing(life.real.training), exported, REGISTRY, "ann")
    return exported, life.real.training.registry


def promoted(life: Life) -> str:
    exported, life.real.training.registry = live_elsewhere()
    evidence = origin.bring(life.real.documents, exported, REGISTRY)
    life.act("release", evidence=evidence, id="promoted")
    found = origin.tested(exported, REGISTRY)
    assert not isinstance(found, Reason)
    return found.model


WAYS: tuple[Callable[[Life], str], ...] = (back, gated, foreign, heard, promoted)


def begun(**kept: object) -> Life:
    """A life in which the second release serves."""
    life = Life(plan=OPTED_IN, failing="none", **kept)  # type: ignore[arg-type]  # passed on as they are
    for number in (1, 2):
        life.drop(f"{number}.csv", birds(number, 1 + number / 5))
        while life.state.next_release == number:
            life.round()
        life.rest()
    assert life.state.champion is not None and life.state.champion.release == 2
    return life


def cases(way: Callable[[Life], str]) -> list[tuple[int, str]]:
    """Every effect from the request on, with everything that can go wrong there. Only nobody can have recorded the
    request before it is recorded: that is no conflict."""
    life = begun()
    before = len(life.effects)
    way(life)
    life.rest()
    points = life.effects[before:]
    recorded = next(point for point in points if life.calls[point] == "store.commit")
    found = itertools.product(points, FAULTS)
    return [one for one in found if one != (recorded, "conflict")]


def wrong(life: Life, way: Callable[[Life], str]) -> list[str]:
    """What is not as it must be once it has come to rest."""
    model = way(life)
    for _ in range(90):
        life.round(sweep=life.rounds % 10 == 9)
        if life.state.open_release is None and life.state.next_release == 4 and not life.queue:
            break
    until = life.now_s + (LATE_HEALS_S if life.workers > 1 else HEALS_S)
    while life.now_s < until or life.crew.asleep:
        life.round(sweep=life.rounds % 10 == 9)
    found = life.history.at_rest(jobs=2, versions=2)
    last, champion = life.release(), life.state.champion
    if (
        (last.number, last.phase, last.model) != (3, Phase.LIVE, model)
        or champion is None
        or champion.release != 3
    ):
        found.append(f"not live: {last}")
    return found


def told(way: Callable[[Life], str], faults: Mapping[int, str]) -> list[str]:
    life = begun(faults=faults)
    return wrong(life, way)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_whatever_fails_at_a_call_the_release_is_live_once(way: Callable[[Life], str]) -> None:
    """Some of all pairs of a call and a fault; the soak tells all."""
    all_cases = cases(way)
    for point, fault in all_cases[:: len(all_cases) // 4]:
        assert told(way, {point: fault}) == [], (point, fault)


@pytest.mark.soak
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_whatever_fails_at_any_call_the_release_is_live_once(way: Callable[[Life], str]) -> None:
    for point, fault in cases(way):
        assert told(way, {point: fault}) == [], (point, fault)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_events_that_come_twice_to_several_workers_are_one_release(way: Callable[[Life], str]) -> None:
    for seed in range(2):
        life = begun(seed=seed, workers=3, duplicates=0.6, slow=seed)
        assert wrong(life, way) == [], seed


def test_of_models_that_are_registered_meanwhile_the_newest_is_released_at_the_end() -> None:
    life = begun()
    life.act("rollback", to=1)
    life.round()
    for version in ("1", "2"):
        life.send(register(life, version))
        life.round()
    life.rest()
    life.rest()
    assert [life.release(number).model for number in (3, 4)] == ["azureml:birds:1", "azureml:lab:2"]
    answers = [entry.detail["answer"].code.value for entry in life.told("retrain.denied")]  # type: ignore[union-attr]
    assert "model-superseded" in answers
    assert len(life.told("retrain.coalesced")) >= 2, "each was told that it waits"


def test_a_registration_that_no_event_told_of_is_found_by_the_sweep_and_ours_never_are() -> None:
    life = begun()
    register(life)
    for _ in range(3):
        life.round(sweep=True)
    life.rest()
    assert life.release().model == "azureml:lab:1"
    for _ in range(5):
        life.round(sweep=True)
    assert life.state.next_release == 4


def test_what_was_registered_before_the_loop_asked_for_it_starts_nothing() -> None:
    life = Life(failing="none")
    life.drop("1.csv", birds(1, 1.0))
    life.rest()
    register(life)
    life.clock.advance(60)
    life.publish(OPTED_IN)
    for _ in range(5):
        life.round(sweep=True)
    assert life.state.next_release == 2


# --- promotion between environments ---------------------------------------------------------------


class Dying:
    """Ends the process before or after one of its calls."""

    def __init__(self, sharing: Sharing, call: int, *, after: bool) -> None:
        self._sharing, self._left, self._after = sharing, call, after

    def ensure_model(self, model: str, name: str, version: str) -> str:
        return self._called(lambda: self._sharing.ensure_model(model, name, version))

    def ensure_environment(self, environment: str, name: str, version: str) -> str:
        return self._called(lambda: self._sharing.ensure_environment(environment, name, version))

    def _called(self, make: Callable[[], str]) -> str:
        self._left -= 1
        if self._left == 0 and not self._after:
            raise Crash
        made = make()
        if self._left == 0:
            raise Crash
        return made


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("call", [1, 2])
def test_who_dies_while_sharing_shares_once_in_the_end(call: int, after: bool) -> None:
    life = Life(plan=AIDED, failing="none")
    life.real.training.digests |= {"azureml:env:1": "e" * 64, "azureml:code:1": "c" * 64}
    life.publish(AIDED, "test")
    life.drop("1.csv", birds(1, 1.0))
    life.rest()
    sharing, exported = MemorySharing(life.real.training), exported_release.export(life.real, "birds", 1)
    current = unit_of_work.read(life.real, "birds")
    with pytest.raises(Crash):
        origin.share(current, Dying(sharing, call, after=after), exported, REGISTRY, "ann")
    assert life.told(origin.SHARED) == [], "what is on record as shared is shared"
    for _ in range(2):
        current = unit_of_work.read(life.real, "birds")
        origin.share(current, sharing, exported_release.export(life.real, "birds", 1), REGISTRY, "ann")
    registry = life.real.training.registry
    assert (len(registry.models), len(registry.environments), len(life.told(origin.SHARED))) == (1, 1, 1)
    assert answer.audit(life.real, "birds").problems == ()


def test_after_the_worst_of_a_promotion_one_audit_answers_both() -> None:
    """Two workers, everything twice: one release, no job, and the other ledger's hash in this one's."""
    life = begun(seed=3, workers=3, duplicates=0.6)
    assert wrong(life, promoted) == []
    assert life.real.training.submitted == ["birds-r1-a1", "birds-r2-a1"]
    audited = answer.audit(life.real, "birds")
    exported, _ = live_elsewhere()
    live = next(entry for entry in exported.ledger if entry.after == Phase.LIVE)
    assert audited.problems == () and audited.served is not None
    assert audited.served.origin is not None and audited.served.origin_hash == live.hash
    assert audited.served.origin.job == "birds-r1-a1"
