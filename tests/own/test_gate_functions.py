"""Functions of the loop's own in the gate: what they say decides, and p-values that they claim must be some."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from shared.audit import evidence_replay
from shared.domain.reason import Code
from shared.domain.release import JudgementKind, Outcome, Phase
from shared.gate.gate_record import FunctionsSeen, GateEvidence, GatePolicy
from shared.gate.own_checks import judge_functions
from shared.gate.own_evidence import functions_seen
from shared.verdict.check_verdict import Check
from shared.words import say
from tests.engine.world import LOOP, World, csv, season

CODE = """
from scipy import stats

def found(reference, current):
    assert list(reference["row_id"]) == list(current["row_id"]) and "species" in current
    gone = int(((reference["prediction"] == "Gentoo") & (current["prediction"] != "Gentoo")).sum())
    return {"severity": "SAID" if gone else "info", "text": f"{gone} are Gentoo no more"}

def discordant(reference, current):
    now, before = current["prediction"] == "Gentoo", reference["prediction"] == "Gentoo"
    more, fewer = int((now & ~before).sum()), int((before & ~now).sum())
    p = stats.binomtest(more, more + fewer).pvalue if more + fewer else 1.0
    return {"severity": "drift", "text": f"{more} more and {fewer} fewer are Gentoo", "p_value": p}

def two_samples(reference, current):
    counts = [[int((side["prediction"] == "Gentoo").sum()), len(side)] for side in (reference, current)]
    table = [[hits, n - hits] for hits, n in counts]
    return {"severity": "warning", "text": "", "p_value": stats.fisher_exact(table).pvalue}

def lying(reference, current):
    return discordant(reference, current) | {"p_value": discordant(reference, current)["p_value"] / 10}

def endless(reference, current):
    raise ValueError("no idea")
"""


def loop(functions: str, unclear: str = "hold") -> str:
    gate = f"gate: {{margin: 0.9, functions: [{functions}], on_inconclusive: {unclear}}}"
    return LOOP.replace("gate: {margin: 0.1, on_inconclusive: reject}", gate)


def other(bird: dict[str, object]) -> str:
    """A model that takes the smaller half of the Gentoos for another bird."""
    return "Gentoo" if float(str(bird["flipper_length_mm"])) > 216 else "Adelie"


def second_release(functions: str, said: str = "drift", unclear: str = "hold") -> World:
    world = World()
    world.publish(loop(functions, unclear), {"checks.py": CODE.replace("SAID", said)})
    world.drop("2007.csv", csv(season(2007)))
    assert world.live() == 1, "a first model stands beside itself"
    world.default_model = other
    world.models["r1-a1"] = lambda bird: "Gentoo" if float(str(bird["flipper_length_mm"])) > 206 else "Adelie"
    world.act("retrain")
    world.ticks(6)
    return world


@pytest.mark.parametrize(
    ("said", "phase", "outcome", "words"),
    [
        ("drift", Phase.REJECTED, Outcome.FAIL, "function found rejects the challenger: "),
        ("warning", Phase.HOLDING, Outcome.INCONCLUSIVE, "function found holds the release: "),
        ("info", Phase.CANARY, Outcome.PASS, "function found says: "),
    ],
)
def test_what_a_function_says_decides_the_gate(said: str, phase: Phase, outcome: Outcome, words: str) -> None:
    world = second_release("found", said)
    release = world.release(2)
    assert release.phase is phase, release.judgements
    gate = release.judgement(JudgementKind.GATE)
    assert gate is not None and gate.outcome is outcome
    (told,) = (say(why) for why in gate.reasons if why.code is Code.GATE_FUNCTION)
    assert told.startswith(words) and told.endswith("are Gentoo no more") and " 0 are" not in told
    assert all(one.same for number in (1, 2) for one in evidence_replay.replay(world.ports, "birds", number))


@pytest.mark.parametrize(
    ("function", "code"),
    [("lying", Code.GATE_FUNCTION_LIES), ("endless", Code.OWN_CODE_RAISED)],
)
def test_a_function_that_lies_or_fails_keeps_the_gate_from_passing(function: str, code: Code) -> None:
    world = World()
    world.publish(loop("found"), {"checks.py": CODE})
    world.drop("2007.csv", csv(season(2007)))
    assert world.live() == 1
    world.publish(loop(function), {"checks.py": CODE})
    world.default_model, world.models["r1-a1"] = other, world.default_model
    world.act("retrain")
    world.ticks(6)
    assert world.release(2).phase is Phase.HOLDING
    gate = world.release(2).judgement(JudgementKind.GATE)
    assert gate is not None and code in {why.code for why in gate.reasons}, gate


def test_a_column_that_has_the_name_of_the_answers_is_told_and_settles_nothing() -> None:
    rows = pd.DataFrame({"row_id": range(40), "prediction": 1})
    evidence = GateEvidence(tuple(map(str, range(40))), ("a", "b") * 20, ("a", "b") * 20)
    policy = GatePolicy("accuracy", functions=("found",))
    seen = functions_seen(CODE, evidence, policy, rows)
    assert seen is not None and seen.fault is not None
    assert "a column prediction of their own" in say(seen.fault)


def answers(n: int, share: float, seed: int) -> tuple[str, ...]:
    return tuple(np.where(np.random.default_rng(seed).random(n) < share, "Gentoo", "Adelie"))


def asked(name: str, now: float, seed: int, n: int = 200) -> Check:
    """Both models' answers to the same rows, drawn apart."""
    rows = pd.DataFrame({"row_id": range(n)})
    sides = {"challenger": answers(n, now, seed), "champion": answers(n, 0.5, seed + 1)}
    evidence = GateEvidence(tuple(map(str, range(n))), answers(n, 0.5, seed + 2), **sides)
    seen = functions_seen(CODE, evidence, GatePolicy("accuracy", functions=(name,)), rows)
    assert seen is not None and seen.fault is None, seen
    return seen.found[0]


def judged(found: tuple[Check, ...], confidence: float = 0.95) -> list[tuple[Outcome, Code]]:
    seen = FunctionsSeen(found)
    evidence = GateEvidence((), (), (), functions=seen)
    findings = judge_functions(evidence, GatePolicy("accuracy", confidence=confidence))
    return [(outcome, why.code) for outcome, why, _ in findings]


@pytest.mark.soak
@pytest.mark.parametrize("seed", [10, 20, 30])
def test_an_honest_paired_test_and_one_of_two_samples_are_believed_and_a_tenth_of_it_is_not(
    seed: int,
) -> None:
    for name in ("discordant", "two_samples"):
        assert judged((asked(name, 0.5, seed),))[0][1] is not Code.GATE_FUNCTION_LIES
    assert judged((asked("discordant", 0.8, seed),)) == [(Outcome.FAIL, Code.GATE_FUNCTION)]
    assert judged((asked("two_samples", 0.8, seed),)) == [(Outcome.INCONCLUSIVE, Code.GATE_FUNCTION)]
    assert judged((asked("lying", 0.5, seed),)) == [(Outcome.INCONCLUSIVE, Code.GATE_FUNCTION_LIES)]


@pytest.mark.soak
def test_an_honest_function_rejects_a_model_that_is_alike_no_more_often_than_promised() -> None:
    """Exact McNemar, which is conservative; a tenth of its p-values would reject in one of three."""
    seeds = range(1000, 1000 + 3 * 40, 3)
    rejected = [judged((asked("discordant", 0.5, seed),))[0][0] is Outcome.FAIL for seed in seeds]
    assert sum(rejected) <= 6, "P(more than 6 of 40 at 5 %) is below 1 %"


def test_functions_share_the_level_and_what_may_be_chance_passes() -> None:
    fine = tuple(np.linspace(0.001, 1, 200))
    one = Check("f", "drift", "", 0.03, fine)
    assert judged((one,)) == [(Outcome.FAIL, Code.GATE_FUNCTION)]
    assert judged((one, one)) == [(Outcome.PASS, Code.GATE_FUNCTION_BY_CHANCE)] * 2
    assert judged((one,), confidence=0.99) == [(Outcome.PASS, Code.GATE_FUNCTION_BY_CHANCE)]
