"""What a loop predicts is settled once: a whole number as well as a class goes from the first drop to a live model."""

from __future__ import annotations

import json
import random
from typing import Any, cast

import pytest

from shared import loopfile
from shared.domain.reason import Code
from shared.domain.release import JudgementKind, Phase
from shared.errors import ConfigurationError
from shared.gate.gate_judge import GateRecord
from shared.gate.smoke import SmokeRecord
from shared.runtime import unit_of_work
from shared.words import say
from tests.engine.world import LOOP, Model, World

QUIET = "drift: {enabled: false}\n"
PLAIN = LOOP.replace("target: species", "target: price").replace("ignore: [year], ", "")
NO_METRIC = PLAIN.replace("metric: {name: f1_macro, at_least: 0.85}\n", "").replace(
    "margin: 0.1", "margin: 900"
)


def sales(target: str = "{:.0f}", rows: int = 400, seed: int = 1, scale: float = 1.0) -> bytes:
    """Price is 100 times size and some noise, written as `target` says."""
    draw = random.Random(seed)
    lines = ["row_id,size,price"]
    for n in range(rows):
        size = draw.uniform(20, 200)
        lines.append(f"{seed}-{n},{size:.2f}," + target.format(scale * (100 * size + draw.gauss(0, 50))))
    return "\n".join(lines).encode()


def by_size(row: dict[str, object]) -> float:
    return 100 * float(str(row["size"]))


def as_model(answer: object) -> Model:
    return cast(Model, answer)


def first(world: World, content: bytes, text: str, model: object = by_size) -> World:
    world.default_model = as_model(model)
    world.publish(text)
    world.drop("one.csv", content)
    world.ticks_with_traffic(12)
    return world


def stored(world: World, release: int, kind: JudgementKind) -> dict[str, Any]:
    judged = world.release(release).judgement(kind)
    assert judged is not None
    found: dict[str, Any] = json.loads(world.ports.documents.get(judged.evidence))
    return found


@pytest.mark.parametrize("target", ["{:.0f}", "{:.0f}.0", "{:.1f}"])
def test_a_number_is_predicted_however_it_is_written(target: str) -> None:
    world = first(World(), sales(target), NO_METRIC)
    assert world.state.task == "regression"
    assert world.release(1).phase is Phase.LIVE, world.release(1).reason
    assert GateRecord.from_dict(stored(world, 1, JudgementKind.GATE)).policy.metric == "rmse"
    assert SmokeRecord.from_dict(stored(world, 1, JudgementKind.SMOKE)).policy.task == "regression"


def test_a_second_model_of_a_whole_number_is_compared_by_rmse_and_a_worse_one_is_rejected() -> None:
    world = first(World(), sales(), NO_METRIC)
    world.models["r2-a1"] = as_model(lambda row: by_size(row) + 5000)
    world.drop("two.csv", sales(seed=2))
    world.act("retrain")
    world.ticks_with_traffic(12)
    assert world.release(2).phase is Phase.REJECTED
    assert stored(world, 2, JudgementKind.GATE)["policy"]["metric"] == "rmse"


@pytest.mark.parametrize("answers", [("0", "2", "9"), (0, 2, 9), (0.0, 2.0, 9.0), ("0.0", "2.0", "9.0")])
def test_classes_written_as_floats_with_gaps_are_classes_in_whatever_form_they_are_answered(
    answers: tuple[object, ...],
) -> None:
    draw = random.Random(3)
    lines = ["row_id,size,price"]
    for n in range(400):
        size = draw.uniform(0, 3)
        lines.append(f"{n},{size:.3f}," + ("0.0", "2.0", "9.0")[int(size)])
    world = first(World(), "\n".join(lines).encode(), NO_METRIC, lambda row: answers[int(float(row["size"]))])
    assert world.state.task == "classification"
    assert world.release(1).phase is Phase.LIVE, world.release(1).reason
    gate = GateRecord.from_dict(stored(world, 1, JudgementKind.GATE))
    assert gate.verdict.challenger is not None and gate.verdict.challenger.value == 1.0


def test_truth_values_are_two_classes_and_not_four() -> None:
    """A profile spells them as JSON does, an answer is True."""
    draw = random.Random(3)
    lines = ["row_id,size,price"]
    lines += [f"{n},{(size := draw.uniform(0, 2)):.3f},{str(size > 1).lower()}" for n in range(400)]
    world = first(World(), "\n".join(lines).encode(), NO_METRIC, lambda row: float(row["size"]) > 1)
    assert world.release(1).phase is Phase.LIVE, world.release(1).reason
    gate = GateRecord.from_dict(stored(world, 1, JudgementKind.GATE))
    assert gate.evidence.known_classes == ("False", "True")
    assert gate.verdict.challenger is not None and gate.verdict.challenger.value == 1.0


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([[4000.0], [2000.0]], None),
        ([4000.0, None], "1 of 2 answers are no answers of a regression"),
        (["4000.0", "2000.0"], "2 of 2 answers are no answers of a regression"),
    ],
)
def test_golden_answers_that_are_no_numbers_are_told_and_stop_no_loop(
    answers: list[object], words: str | None
) -> None:
    world = World()
    golden = {"input_data": {"columns": ["size"], "data": [[40], [20]]}, "answers": answers}
    world.ports.training.golden = json.dumps(golden).encode()
    release = first(world, sales(), NO_METRIC).release(1)
    if words is None:
        assert release.phase is Phase.LIVE, release.reason
        return
    assert release.phase is Phase.GATING and release.waiting_for is not None
    assert Code.OBSERVATION_FAILED in release.waiting_for.codes() and words in say(release.waiting_for)


def test_golden_rows_in_which_a_column_stands_twice_are_told() -> None:
    world = World()
    golden = {"input_data": {"columns": ["size", "size"], "data": [[40, 40]]}, "answers": [4000.0]}
    world.ports.training.golden = json.dumps(golden).encode()
    release = first(world, sales(), NO_METRIC).release(1)
    assert release.waiting_for is not None and "a column stands in it twice" in say(release.waiting_for)


def test_the_loop_file_is_heard_before_the_values() -> None:
    """Stars from 1 to 5 may be a quantity; only a person knows."""
    draw = random.Random(4)
    lines = ["row_id,size,price"]
    lines += [f"{n},{(size := draw.uniform(1, 5)):.3f},{round(size)}" for n in range(400)]
    text = NO_METRIC.replace("target: price", "target: price, task: regression")
    world = first(World(), "\n".join(lines).encode(), text, lambda row: float(row["size"]))
    assert world.state.task == "classification"
    assert world.release(1).phase is Phase.LIVE, world.release(1).reason
    assert GateRecord.from_dict(stored(world, 1, JudgementKind.GATE)).policy.metric == "rmse"


def test_a_metric_without_a_threshold_is_measured_and_never_breached() -> None:
    measured = PLAIN.replace("{name: f1_macro, at_least: 0.85}", "{name: rmse}").replace("0.1,", "900,")
    world = first(World(), sales(), measured)
    world.drop("two.csv", sales(seed=2, scale=3.0))
    version = unit_of_work.read(world.ports, "birds").version(2)[0]
    assert version.metric_breached is None
    assert any(one.code.value == "metric-measured" for one in version.verdict)
    found = json.loads(world.ports.documents.get(version.metric))["verdict"]
    assert found["value"] > 10_000 and found["threshold"] is None


def test_another_target_is_another_task() -> None:
    world = first(World(), sales(), NO_METRIC)
    world.publish(NO_METRIC.replace("target: price", "target: kind"))
    assert world.state.task == ""


def test_a_metric_must_suit_the_task() -> None:
    text = PLAIN.replace("target: price", "target: price, task: regression")
    with pytest.raises(ConfigurationError, match=r"metric\.name.*because data\.task is regression"):
        loopfile.parse(text, file="loop.yaml")


def test_a_champion_is_not_called_perfect_on_rows_without_the_class_that_it_never_says() -> None:
    """A rare class that training knew is missing from the drop: no mean over the classes can be told, good or not."""
    text = PLAIN.replace("target: price", "target: fraud").replace(
        "f1_macro, at_least: 0.85", "balanced_accuracy, at_least: 0.4"
    )

    def payments(seed: int, every: int) -> bytes:
        draw = random.Random(seed)
        rows = (f"{seed}-{n},{draw.uniform(1, 9):.3f},{int(n % every == 0)}" for n in range(600))
        return "\n".join(["row_id,size,fraud", *rows]).encode()

    world = first(World(), payments(1, 40), text, lambda row: "0")
    world.live()
    world.drop("two.csv", payments(2, 1000))
    version, _ = unit_of_work.read(world.ports, "birds").version(2)
    assert version.metric_breached is None
    assert version.verdict[-1].code is Code.METRIC_CLASS_TOO_RARE
    assert "class '1' has 1 of 600 rows" in say(version.verdict[-1])
