"""The metric is estimated on what is served before labels come; labels check it, and say which to bring are chosen."""

from __future__ import annotations

import csv as csv_files
import json
import math
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from cli import app, session
from shared.audit import evidence_replay
from shared.domain.reason import Code, Reason
from shared.domain.release import JudgementKind, Phase, TriggerKind
from shared.errors import ConfigurationError
from shared.gate.gate_record import GateEvidence
from shared.loopfile import parse
from shared.ports import Answer
from shared.state import queries
from shared.verdict import served_estimate, served_inputs
from shared.verdict.estimate import Estimated, asked, widening
from shared.verdict.predictions import Predictions
from shared.verdict.served_inputs import LATE, Window
from shared.words import say, spoken
from tests.engine.test_labels_and_bake import labels as hand_in
from tests.engine.world import World, csv, overheard

LOOP = """
loop: birds
data: {landing: landing/birds/, target: y, id: row_id, labels: labels/birds/, holdout: {fraction: 0.4}}
train: {pipeline: train.yml}
serve: {endpoint: birds}
drift: {served: 1h, unusual_rate: 0.1}
metric: {name: METRIC, estimate: true}
retrain: {cooldown: 1m, on: [ON]}
gate: {margin: 0.1}
canary: {steps: [50], step: {minutes: 1, min_requests: 50, max_hours: 1}, bake_minutes: 1}
"""
Say = Callable[[float], dict[str, object]]


def chance(a: float, b: float) -> float:
    """Of a yes: what the model says of it knows nothing of `b`."""
    return 1 / (1 + math.exp(-(2 * a + b)))


def both(a: float) -> dict[str, object]:
    p = 1 / (1 + math.exp(-2.4 * a))
    return {"answer": "yes" if p > 0.5 else "no", "stated": {"yes": p, "no": 1 - p}}


def alone(a: float) -> dict[str, object]:
    said = both(a)
    return said | {"stated": max(dict(said["stated"]).values())}  # type: ignore[call-overload]  # a dict


def silent(a: float) -> dict[str, object]:
    return {"answer": both(a)["answer"]}


def rows(seed: int, n: int, moved: float = 0.0, flipped: float = 0.0, number: bool = False) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=n) * (1 - moved), rng.normal(size=n)
    if number:
        y: list[object] = (2 * a + rng.normal(size=n) * np.exp(0.3 * b)).round(4).tolist()
    else:
        likely = [chance(x, z) for x, z in zip(a, b, strict=True)]
        yes = [rng.random() < (1 - flipped) * p + flipped * (1 - p) for p in likely]
        y = ["yes" if one else "no" for one in yes]
    return pd.DataFrame(
        {"row_id": [f"{seed}-{i}" for i in range(n)], "a": a.round(4), "b": b.round(4), "y": y}
    )


def odd(given: pd.DataFrame) -> pd.DataFrame:
    """With a column of truth values, and one of whole numbers that has gaps."""
    count = pd.array([None if n % 7 == 0 else n % 5 for n in range(len(given))], dtype="Int64")
    return given.assign(flag=given.a > 0, count=count)


def world(
    metric: str = "accuracy",
    on: str = "drift",
    states: Say = both,
    number: bool = False,
    more: Callable[[pd.DataFrame], pd.DataFrame] = lambda given: given,
    code: Mapping[str, str] | None = None,
) -> World:
    made = World()

    def answer(endpoint: str, deployment: str, payload: str) -> Answer:
        table = json.loads(payload)["input_data"]
        at = table["columns"].index("a")
        if number:
            return Answer(
                200, json.dumps({"predictions": [2 * float(row[at]) for row in table["data"]]}), 5.0
            )
        said = [states(float(row[at])) for row in table["data"]]
        body: dict[str, object] = {"predictions": [one["answer"] for one in said]}
        if "stated" in said[0]:
            body["probabilities"] = [one["stated"] for one in said]
        return Answer(200, json.dumps(body), 5.0)

    made.ports.serving.answer = answer
    made.publish(LOOP.replace("METRIC", metric).replace("ON", on), code)
    made.drop("first.csv", csv(more(rows(1, 1500, number=number))))
    made.live()
    made.ticks(10)
    return made


def hour(
    made: World,
    seed: int,
    n: int = 300,
    more: Callable[[pd.DataFrame], pd.DataFrame] = lambda given: given,
    **how: float,
) -> pd.DataFrame:
    """An hour of requests that bring their ids; what their labels will be."""
    given, start = more(rows(seed, n, **how)), made.clock.now()  # type: ignore[arg-type]
    kept = made.ports.evidence.rows.setdefault(("birds", "r1-a1"), [])
    for index, row in enumerate(json.loads(given.drop(columns="y").to_json(orient="records"))):
        at = start + timedelta(seconds=3600 * index / n)
        output = both(row["a"])["answer"]
        kept.append({"id": f"q{seed}-{index}", "time": at.isoformat(), "inputs": row, "output": output})
    made.clock.advance(3600)
    made.ticks(1)
    return given


def close(made: World) -> Window:
    made.clock.advance(LATE.total_seconds())
    made.ticks(3)
    return served_inputs.windows(made.ports.documents, made.state)[-1]


def checked(made: World) -> list[Estimated]:
    """Estimates that labels have checked."""
    kept = served_inputs.windows(made.ports.documents, made.state)
    return [w.estimate for w in kept if w.estimate is not None and w.estimate.labels]


def codes(made: World) -> frozenset[Code]:
    assert made.state.served_verdict is not None
    return made.state.served_verdict.codes()


def right(given: pd.DataFrame) -> float:
    return float(np.mean([both(a)["answer"] == y for a, y in zip(given.a, given.y, strict=True)]))


@pytest.mark.parametrize("states", [both, alone])
def test_a_window_has_an_estimate_that_its_labels_then_check(states: Say) -> None:
    made = world(states=states)
    given = hour(made, 2, moved=0.5)
    found = close(made).estimate
    assert found is not None and found.metric == "accuracy"
    assert found.low <= right(given) <= found.high
    verdict = say(made.state.served_verdict)
    assert "if only the inputs changed, accuracy is now 0." in verdict
    assert "no label has checked an estimate of this model yet" in verdict

    hand_in(made, csv(given[["row_id", "y"]]))
    (one,) = checked(made)
    assert one.labels > 250 and one.holds
    assert one.said == pytest.approx(right(given), abs=0.01)
    told = [
        spoken(entry.detail)
        for entry in queries.entries(made.ports, "birds")
        if entry.what == "labels.joined"
    ]
    assert "accuracy of " in told[-1]["verdict"] and "was estimated as" in told[-1]["verdict"]

    hour(made, 3, moved=0.5)
    close(made)
    assert Code.ESTIMATES_CHECKED in codes(made)
    assert "labels have checked 1 estimates of this model: 1 held" in say(made.state.served_verdict)


def test_a_change_of_concept_is_not_seen_and_starts_nothing_until_labels_say_so() -> None:
    made = world()
    given = hour(made, 4, flipped=1.0)
    found = close(made).estimate
    assert found is not None and found.low > right(given) + 0.2
    hand_in(made, csv(given[["row_id", "y"]]))
    (one,) = checked(made)
    assert one.said == pytest.approx(right(given), abs=0.01) and not one.holds
    assert made.state.waiting == () and made.state.open_release is None


def past(made: World, on: str) -> World:
    made.publish(LOOP.replace("METRIC", "accuracy, at_least: 0.75").replace("ON", on))
    hour(made, 5, moved=0.7)
    close(made)
    return made


def test_an_estimate_past_its_threshold_asks_only_where_the_loop_file_says_so_and_waits_for_labels() -> None:
    made = past(world(), "drift")
    assert Code.ESTIMATE_PAST_THRESHOLD in codes(made)
    assert made.state.waiting == ()
    assert made.state.denial is not None and made.state.denial.code is Code.NOT_NAMED

    made = past(world(), "estimate")
    (waiting,) = made.state.waiting
    assert waiting.kind is TriggerKind.ESTIMATE
    assert made.state.denial is not None and made.state.denial.code is Code.WAITS_FOR_LABELS
    assert made.state.open_release is None
    hour(made, 6, moved=0.7)
    close(made)
    assert len(made.state.waiting) == 1, "one waits at a time"
    made.drop("second.csv", csv(rows(7, 1500, moved=0.7)))
    made.ticks(2)
    assert [t.kind for t in made.release(2).triggers] == [TriggerKind.ESTIMATE]


def test_a_model_that_states_no_probabilities_has_no_estimate_and_is_told_what_to_do() -> None:
    made = world(states=silent)
    hour(made, 2)
    window = close(made)
    assert window.estimate is None and window.report, "drift is judged all the same"
    assert Code.ESTIMATE_UNSTATED in codes(made)
    assert "answer with `probabilities`" in say(made.state.served_verdict)


def test_the_probability_of_the_answer_alone_is_enough_of_two_classes() -> None:
    made = world("f1_macro", states=alone)
    hour(made, 2)
    assert close(made).estimate is not None


def test_inputs_like_no_holdout_row_have_no_estimate() -> None:
    made = world()
    given = hour(made, 8)
    kept = made.ports.evidence.rows["birds", "r1-a1"]
    for row in kept[-len(given) :]:
        row["inputs"] = dict(row["inputs"]) | {"a": 30 + float(dict(row["inputs"])["a"])}  # type: ignore[call-overload]  # a dict
    assert close(made).estimate is None
    assert Code.ESTIMATE_UNLIKE in codes(made)


def test_a_loss_of_numbers_is_estimated_as_well() -> None:
    made = world("mae", number=True)
    hour(made, 9, number=True)
    found = close(made).estimate
    assert found is not None and 0.6 < found.value < 1.1


PRICED = "costs: {yes: {no: 5}, no: {yes: 1}}"
EARNED = "metrics.earned, better: lower, range: [-5, 40]"
BY_ROW = {
    "metrics.py": """
def earned(truth, predictions, rows, weights, costs):
    return costs * (1 + rows["a"].abs().clip(0, 7))
"""
}


@pytest.mark.parametrize(
    ("metric", "code"), [(f"cost, {PRICED}", None), (f"{EARNED}, {PRICED}", BY_ROW)], ids=["cost", "own"]
)
def test_money_is_estimated_and_labels_check_it(metric: str, code: Mapping[str, str] | None) -> None:
    """A mean of one number a row: by a table of costs, or by a function that has the table and the row."""
    made = world(metric, code=code)
    given = hour(made, 12, n=300, moved=0.3)
    found = close(made).estimate
    answers = [both(a)["answer"] for a in given.a]
    paid = np.array(
        [0 if said == y else 5 if y == "yes" else 1 for said, y in zip(answers, given.y, strict=True)]
    )
    if code:
        paid = paid * (1 + given.a.abs().clip(0, 7)).to_numpy()
    assert found is not None and found.low <= paid.mean() <= found.high
    assert found.high - found.low < 2.5 * paid.mean()
    assert f"if only the inputs changed, {found.metric}" in say(made.state.served_verdict)
    hand_in(made, csv(given[["row_id", "y"]]))
    (one,) = checked(made)
    of_window = given.row_id.isin(asked(made.ports.documents, one).ids).to_numpy()
    assert one.labels == of_window.sum() > 280 and one.holds
    assert one.said == pytest.approx(paid[of_window].mean(), abs=1e-3)


@pytest.mark.parametrize(
    ("metric", "code", "words"),
    [
        (f"{EARNED}, {PRICED}", {"metrics.py": "def earned(*given): 1 / 0"}, "ZeroDiv"),
        ("cost, costs: {yes: {maybe: 5}, maybe: {yes: 1}}", None, "no"),
    ],
)  # fmt: skip
def test_money_of_which_somebody_knows_nothing_is_not_estimated_and_says_why(
    metric: str, code: Mapping[str, str] | None, words: str
) -> None:
    made = world(f"cost, {PRICED}")
    hour(made, 2)
    assert close(made).estimate is not None
    made.publish(LOOP.replace("METRIC", metric).replace("ON", "drift"), code)
    hour(made, 3)
    assert close(made).estimate is None
    assert Code.ESTIMATE_NO_VALUES in codes(made) and words in say(made.state.served_verdict)


def test_truth_values_and_whole_numbers_with_gaps_are_columns_like_others() -> None:
    made = world(more=odd)
    given = hour(made, 2, more=odd)
    found = close(made).estimate
    assert found is not None and found.low <= right(given) <= found.high


def test_times_that_the_collector_keeps_as_numbers_are_times_and_asked_as_texts() -> None:
    """azureml-ai-monitoring 1.0.0, payload/logdata.py: `to_json(orient="records")`, which has epoch milliseconds."""
    first, minute = pd.Timestamp("2024-01-01"), pd.Timedelta(minutes=1)
    made = world(more=lambda given: given.assign(t=first + given.index * minute))
    asked = overheard(made)
    hour(made, 2, more=lambda given: given.assign(t=1704067200000 + given.index * 60_000))
    window = close(made)
    assert window.estimate is not None and Code.SERVED_INCOMPLETE not in codes(made)
    [said, *_] = [json.loads(one)["input_data"] for one in asked]
    assert said["data"][0][said["columns"].index("t")].startswith("2024-01-01T")


def test_labels_that_are_no_numbers_check_nothing_and_the_file_is_joined_all_the_same() -> None:
    made = world("mae", number=True)
    given = hour(made, 9, number=True)
    close(made)
    told = given[["row_id", "y"]].astype({"y": object})
    told["y"] = "twelve"
    hand_in(made, csv(told))
    assert checked(made) == []
    assert "labels.joined" in made.ledger()
    hand_in(made, csv(given[["row_id", "y"]]), "numbers.csv")
    (one,) = checked(made)
    assert one.said is not None and one.said == pytest.approx(
        float((given.y - 2 * given.a).abs().mean()), abs=0.01
    )


def test_a_gate_whose_evidence_is_lost_stops_no_watch() -> None:
    made = world()
    gate = made.release(1).judgement(JudgementKind.GATE)
    assert gate is not None
    del made.ports.documents.contents[gate.evidence]
    hour(made, 2)
    window = close(made)
    assert window.estimate is None and window.report, "drift is judged all the same"
    assert Code.ESTIMATE_NO_GATE in codes(made)


def test_a_ranking_whose_class_is_not_known_has_no_estimate() -> None:
    made = world("roc_auc")
    hour(made, 2)
    assert close(made).estimate is not None
    made.publish(LOOP.replace("METRIC", "roc_auc, positive: maybe").replace("ON", "drift"))
    hour(made, 3)
    assert close(made).estimate is None
    assert Code.METRIC_NO_POSITIVE_CLASS in codes(made)


def test_a_gate_of_before_that_kept_no_classes_has_no_estimate() -> None:
    definition = parse(LOOP.replace("METRIC", "accuracy").replace("ON", "drift"), file="loop.yaml")
    said = Predictions(("yes", "no"), (), (), (0.9, 0.8))
    evidence = GateEvidence(("1", "2"), ("yes", "no"), ("yes", "no"), stated=(0.9, 0.8))
    found = served_estimate._of_classes(definition, evidence, said, [{}, {}], 2)
    assert isinstance(found, Reason) and found.code is Code.ESTIMATE_NO_GATE


def test_a_loop_that_does_not_ask_for_estimates_asks_its_model_nothing() -> None:
    made = world()
    made.publish(LOOP.replace("METRIC, estimate: true", "accuracy").replace("ON", "drift"))
    before = made.ports.serving.answer
    made.ports.serving.answer = lambda *_: pytest.fail("nothing was asked for")
    hour(made, 2)
    assert close(made).estimate is None
    made.ports.serving.answer = before


def test_chosen_rows_are_written_handed_in_and_weighed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world()
    given = hour(made, 10, n=900, moved=0.3)
    close(made)
    monkeypatch.setattr(session, "ports", lambda: made.ports)
    file = tmp_path / "to-label.csv"
    done = CliRunner().invoke(app, ["label-sample", "birds", "-o", str(file), "--rows", "200"])
    assert done.exit_code == 0, done.output
    assert "driftloop drop birds" in done.output.replace("\n", " ")
    with file.open() as opened:
        lines = list(csv_files.DictReader(opened))
    assert 195 <= len(lines) <= 210
    assert sum(float(line["label_weight"]) for line in lines) == pytest.approx(900, rel=0.05)
    assert "the answer is wrong with a chance of" in lines[0]["why"] and lines[0]["a"] and lines[0]["y"] == ""
    least = min(float(line["label_weight"]) for line in lines)
    likely = [line for line in lines if float(line["label_weight"]) == least]
    assert len(likely) > len(lines) / 5, "more of those are chosen whose answer may be wrong"

    known = dict(zip(given.row_id, given.y, strict=True))
    frame = pd.read_csv(file).assign(y=lambda f: f.row_id.map(known))
    hand_in(made, csv(frame))
    (estimate,) = checked(made)
    assert estimate.labels == len(lines)
    unweighted = float((frame.answer == frame.y).mean())
    assert estimate.said is not None
    assert abs(estimate.said - right(given)) < 0.06
    assert estimate.said > unweighted + 0.02, (
        "hard rows are chosen more often, and their weight puts that right"
    )

    bad = tmp_path / "bad.csv"
    bad.write_bytes(csv(frame.assign(label_weight=0)))
    hand_in(made, bad.read_bytes(), "bad.csv")
    (aside,) = made.state.set_aside
    assert aside.reason.code is Code.LABEL_WEIGHT


def test_what_a_stranger_sent_stands_in_no_column_of_ours_and_is_no_formula(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world()
    hour(made, 10)
    for number, row in enumerate(sent := made.ports.evidence.rows["birds", "r1-a1"]):
        given = {"answer": "?", "label_weight": 7, "why": "?", "note": "=1+1", "less": "-0.5"}
        inputs = dict(cast(Mapping[str, object], row["inputs"])) | given
        sent[number] = {**row, "inputs": inputs | ({"row_id": f"=A{number}"} if number % 2 else {})}
    close(made)
    monkeypatch.setattr(session, "ports", lambda: made.ports)
    file = tmp_path / "to-label.csv"
    asked = ["label-sample", "birds", "--rows", "200", "-o"]
    assert CliRunner().invoke(app, [*asked, str(file)]).exit_code == 0
    frame = pd.read_csv(file, dtype={"less": str})
    assert set(frame.columns[:5]) == {"row_id", "y", "label_weight", "answer", "why"}
    assert 50 < len(frame) < 150 and not frame.row_id.str.startswith("=").any()
    assert (
        (frame.label_weight < 7).all() and set(frame.answer) <= {"yes", "no"} and not (frame.why == "?").any()
    )
    assert set(frame.note) == {"'=1+1"} and set(frame.less) == {"-0.5"}

    nowhere = CliRunner().invoke(app, [*asked, str(tmp_path / "gone" / "x.csv")])
    assert isinstance(nowhere.exception, ConfigurationError) and "cannot be written" in str(nowhere.exception)


def test_label_sample_says_what_a_loop_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = world()
    monkeypatch.setattr(session, "ports", lambda: made.ports)
    done = CliRunner().invoke(app, ["label-sample", "birds", "-o", str(tmp_path / "x.csv")])
    assert done.exit_code != 0
    assert "no estimate of the live model" in str(done.exception)


def test_the_gates_verdict_is_had_again_with_the_probabilities_beside_it() -> None:
    made = world()
    assert made.release(1).phase is Phase.LIVE
    assert all(one.same for one in evidence_replay.replay(made.ports, "birds", 1))


def test_intervals_are_widened_by_what_labels_said_of_past_ones() -> None:
    def was(error: float) -> Estimated:
        return Estimated("accuracy", 0.8, 0.75, 0.85, 500, "", None, labels=100, said=0.8 - error)

    assert widening([was(0.3)] * 8, 0.95) == 1, "too few to widen by"
    assert widening([was(0.02)] * 20, 0.95) == 1, "they held"
    assert widening([was(0.1)] * 9, 0.95) == pytest.approx(2)
    assert widening([*[was(0.01)] * 19, was(0.4)], 0.95) == 1, "one of twenty may be off"
