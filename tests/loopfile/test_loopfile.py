"""A loop file is valid, or every error is reported with its line, key, the value found and the values allowed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from shared import loopfile
from shared.errors import ConfigurationError, InvariantBroken
from shared.loopfile import json_schema, keys, yaml_lines
from shared.loopfile.published import Assets, Published
from shared.stats.metrics import METRICS

DOCS = Path(__file__).parents[2] / "docs"

SMALLEST = """\
loop: penguins
data: {landing: landing/penguins, target: species}
train: {pipeline: train.yml}
serve: {endpoint: penguins}
"""

DESIGN = """\
loop: penguins
data:
  landing: landing/penguins/          # container/prefix; a file, or a folder that ends with _SUCCESS
  target: species
  id: row_id                          # joins late labels with predictions
  holdout: {by: hash, fraction: 0.2}  # or by: time / group, with a column
  window: all                         # newest, all, last: n, days: n
  labels: labels/penguins/            # late labels, dropped the same way
  source: {url: "https://example.com/x", every: "0 0 2 * * 1"}   # fetched rather than dropped
train:
  pipeline: train.yml                 # an Azure ML pipeline: a training folder in, a model out
  attempts: 2
serve:
  endpoint: penguins
  scoring: score/                     # nothing for an MLflow model
  instance_type: Standard_DS3_v2
drift:
  false_alarm_rate: 0.01              # of the whole report, per version
  material: {numeric: 0.1, categorical: 0.1}
  persistence: {breaches: 1, of: 1}
metric: {name: f1_macro, at_least: 0.85}
retrain:
  on: [drift, metric, schedule, alert]
  schedule: "0 0 3 * * 1"
  alerts: ["penguins-*"]
  max_age: 60d
  cooldown: 6h
  budget: {runs_per_day: 4}
gate:
  margin: 0.02
  slices: {by: [island], floor: 0.8, min_rows: 30}
  checks: [qa.yml]                    # Azure ML jobs that must succeed before traffic
  on_inconclusive: hold
canary:
  steps: [10, 50]
  step: {minutes: 15, min_requests: 500, max_hours: 24}
  approval: none                      # before_canary, before_promotion
  on_timeout: hold
"""


def mistakes(text: str) -> list[tuple[int, str]]:
    with pytest.raises(loopfile.LoopFileError) as caught:
        loopfile.parse(text, file="loop.yaml")
    return [(mistake.line, mistake.key) for mistake in caught.value.mistakes]


def message(text: str) -> str:
    with pytest.raises(loopfile.LoopFileError) as caught:
        loopfile.parse(text, file="loop.yaml")
    return str(caught.value)


def test_five_keys_are_a_whole_loop() -> None:
    it = loopfile.parse(SMALLEST, file="loop.yaml")
    assert (it.loop, it.data.target, it.train.pipeline, it.serve.endpoint) == (
        "penguins",
        "species",
        "train.yml",
        "penguins",
    )
    assert it.data.landing == "landing/penguins/", (
        "a prefix ends with a slash, or penguins2/ would belong to it"
    )
    assert it.canary.steps == (10, 50)
    assert it.metric is None
    assert it.retrain.cooldown == timedelta(hours=6)


def test_the_file_of_the_design_is_read_as_it_says() -> None:
    it = loopfile.parse(DESIGN, file="loop.yaml")
    assert it.data.source is not None and it.data.source.every == "0 0 2 * * 1"
    assert it.retrain.on == ("drift", "metric", "schedule", "alert"), "on is a key, not YAML 1.1's true"
    assert it.retrain.max_age == timedelta(days=60)
    assert it.metric is not None and (it.metric.at_least, it.metric.at_most) == (0.85, None)
    assert it.gate.slices is not None and it.gate.slices.by == ("island",)


@pytest.mark.parametrize(
    "text", [SMALLEST, DESIGN, SMALLEST.replace("target:", "window: {last: 3}, target:")]
)
def test_a_definition_survives_its_publication(text: str) -> None:
    it = published(text)
    assert Published.from_bytes(it.to_bytes()) == it
    assert Published.from_bytes(it.to_bytes()).to_bytes() == it.to_bytes()


def test_a_publication_of_another_version_is_refused_with_what_to_do() -> None:
    content = json.loads(published(SMALLEST).to_bytes())
    with pytest.raises(ConfigurationError, match="publish the loop again"):
        Published.from_bytes(json.dumps(content | {"definition": {"loop": "penguins", "colour": 1}}).encode())
    with pytest.raises(InvariantBroken, match=r"schema 99.*publish the loop again"):
        Published.from_bytes(json.dumps(content | {"schema": 99}).encode())


def published(text: str) -> Published:
    assets = Assets("azureml:train:1", checks={"qa.yml": "azureml:qa:1", "b.yml": "azureml:b:1"})
    at = datetime(2026, 11, 21, 8, 0, 0, 123456, tzinfo=UTC)
    return Published(loopfile.parse(text, file="loop.yaml"), assets, "me", at)


def test_five_mistakes_get_five_messages() -> None:
    text = DESIGN.replace("steps: [10, 50]", "steps: [50, 10]").replace("fraction: 0.2", "fraction: 0.7")
    text = text.replace("max_age: 60d", "max_age: two months").replace("attempts: 2", 'attempts: "2"')
    text = text.replace("  target: species", "  tagret: species\n  target: species")
    lines = message(text).splitlines()
    duration = "a number with s, m, h or d, for example 90s, 15m, 6h or 60d; 3650d at most"
    known = "landing, target, task, id, time, ignore, columns, nulls, contract, delta, complete, origin, "
    known += "labels, label_delay, holdout, window, source, format, limits, reader, spark"
    steps = "rising whole percentages between 1 and 99, for example [10, 50]"
    assert lines == [
        f"loop.yaml:4 data.tagret: found an unknown key; allowed: did you mean target? known here: {known}",
        "loop.yaml:7 data.holdout.fraction: found 0.7; allowed: a number above 0, up to 0.5",
        'loop.yaml:13 train.attempts: found "2"; allowed: a whole number from 1 to 10',
        f'loop.yaml:27 retrain.max_age: found "two months"; allowed: {duration}',
        f"loop.yaml:36 canary.steps: found [50, 10]; allowed: {steps}",
    ]


def test_what_is_missing_does_not_hide_what_is_wrong_elsewhere() -> None:
    text = """\
loop: Penguins
data: {landing: landing/x, labels: landing/x/labels}
drift:
  persistence: {breaches: 3, of: 2}
metric: {name: mae, at_least: 1}
canary: {step: {minutes: 180, max_hours: 2}}
"""
    assert mistakes(text) == [
        (1, "loop"),
        (1, "serve"),
        (1, "train"),
        (2, "data.id"),
        (2, "data.labels"),
        (2, "data.target"),
        (4, "drift.persistence.breaches"),
        (5, "metric.at_least"),
        (6, "canary.step.max_hours"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("loop: penguins", "loop: P", "loop"),
        ("landing/penguins/ ", "Landing/x/ ", "data.landing"),
        ("landing/penguins/ ", "landing/../x/ ", "data.landing"),
        ("landing/penguins/ ", "landing/ ", "data.landing"),
        ("landing/penguins/ ", "la--nding/x ", "data.landing"),
        ("target: species", "target: 1", "data.target"),
        ("target: species", "target: ''", "data.target"),
        ("id: row_id ", "id: species ", "data.id"),
        ("id: row_id ", "id: null ", "data.id"),
        ("by: hash", "by: time", "data.holdout.column"),
        ("by: hash", "by: hash, column: x", "data.holdout.column"),
        ("by: hash", "by: group, column: species", "data.holdout.column"),
        ("fraction: 0.2", "fraction: 0", "data.holdout.fraction"),
        ("fraction: 0.2", "fraction: .nan", "data.holdout.fraction"),
        ("fraction: 0.2", "fraction: 1e999", "data.holdout.fraction"),
        ("window: all", "window: {last: 0}", "data.window"),
        ("window: all", "window: {last: true}", "data.window"),
        ("window: all", "window: [all]", "data.window"),
        ("https://example.com/x", "http://example.com/x", "data.source.url"),
        ("https://example.com/x", "https://user@example.com/x", "data.source.url"),
        ("0 0 2 * * 1", "0 2 * * 1", "data.source.every"),
        ("pipeline: train.yml", "pipeline: /etc/passwd", "train.pipeline"),
        ("pipeline: train.yml", "pipeline: a/../../x", "train.pipeline"),
        ("pipeline: train.yml", "pipeline: 'C:\\x'", "train.pipeline"),
        ("attempts: 2", "attempts: true", "train.attempts"),
        ("attempts: 2", "attempts: 2.0", "train.attempts"),
        ("endpoint: penguins", "endpoint: pe", "serve.endpoint"),
        ("false_alarm_rate: 0.01", "false_alarm_rate: 1", "drift.false_alarm_rate"),
        ("breaches: 1,", "breaches: 2,", "drift.persistence.breaches"),
        ("at_least: 0.85", "at_most: 0.85", "metric.at_most"),
        ("at_least: 0.85", "confidence: 0.9", "retrain.on"),
        ("at_least: 0.85", "at_least: 0.85, at_most: 0.9", "metric"),
        ("name: f1_macro", "name: f1", "metric.name"),
        ("name: f1_macro", "name: average_precision", "metric.positive"),
        ("name: f1_macro", "name: f1_macro, positive: Adelie", "metric.positive"),
        ("name: f1_macro", "name: roc_auc, positive: [Adelie]", "metric.positive"),
        ("name: f1_macro", "name: log_loss", "metric.at_least"),
        ("metric: {name: f1_macro, at_least: 0.85}", "", "retrain.on"),
        ("on: [drift, metric, schedule, alert]", "on: [drift]", "retrain.alerts"),
        ("on: [drift, metric, schedule, alert]", "on: [drift, drift]", "retrain.on"),
        ("on: [drift, metric, schedule, alert]", "on: drift", "retrain.on"),
        ('schedule: "0 0 3 * * 1"', 'schedule: "0 0 3 31 2 *"', "retrain.schedule"),
        ('schedule: "0 0 3 * * 1"', 'schedule: "0 0 3 L * *"', "retrain.schedule"),
        ("cooldown: 6h", "cooldown: 99999d", "retrain.cooldown"),
        ("false_alarm_rate: 0.01", "served: 0s", "drift.served"),
        ("false_alarm_rate: 0.01", "predictions: 0s", "drift.predictions"),
        ("false_alarm_rate: 0.01", "served: 91d", "drift.served"),
        ("cooldown: 6h", "cooldown: 6", "retrain.cooldown"),
        ("cooldown: 6h", "cooldown: -6h", "retrain.cooldown"),
        ("runs_per_day: 4", "runs_per_day: 0", "retrain.budget.runs_per_day"),
        ("by: [island]", "by: []", "gate.slices.by"),
        ("checks: [qa.yml]", "checks: [qa.yml, ../qa.yml]", "gate.checks[1]"),
        ("on_inconclusive: hold", "on_inconclusive: no", "gate.on_inconclusive"),
        ("steps: [10, 50]", "steps: []", "canary.steps"),
        ("steps: [10, 50]", "steps: [10, 100]", "canary.steps"),
        ("steps: [10, 50]", "steps: [10, 50.5]", "canary.steps[1]"),
        ("max_hours: 24", "max_hours: 0.1", "canary.step.max_hours"),
        ("on_timeout: hold", "on_timeout: hope", "canary.on_timeout"),
    ],
)
def test_each_mistake_names_its_key(old: str, new: str, key: str) -> None:
    assert old in DESIGN
    text = DESIGN.replace(old, new, 1)
    line = next(
        (n for n, (a, b) in enumerate(zip(DESIGN.split("\n"), text.split("\n"), strict=True), 1) if a != b), 0
    )
    found = mistakes(text)
    assert key in [name for _, name in found]
    if key not in ("retrain.on", "retrain.alerts"):
        assert (line, key) in found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "an empty file"),
        ("# nothing", "an empty file"),
        ("[1, 2]", "found [1, 2]"),
        ("loop: [a", "1"),
        ("loop: a\n\tdata: b", "2"),
        ("a: &x 1\nb: *x", "an anchor or alias"),
        ("a: !!python/object/apply:os.system [ls]", "unknown key"),
        ("loop: a\n---\nloop: b", "2"),
        ("loop: \x00", "U+0000"),
        ("? [a]\n: b", "a list or mapping as a key"),
        ("[" * 5000, "more than 20 levels"),
        ("x: " + "y" * 300_000, "up to 256 KB"),
        ("é" * 200_000, "up to 256 KB"),
        ("loop: a\nloop: b", "a repeated key (first on line 1)"),
    ],
)
def test_no_text_is_more_than_a_mistake(text: str, words: str) -> None:
    assert words in message(text)


def test_no_secret_of_a_url_is_printed() -> None:
    told = message(DESIGN.replace("https://example.com/x", "http://me:pw@example.com/x?sig=abc"))
    assert "abc" not in told and "pw" not in told and "example.com/x" in told


@pytest.mark.parametrize(
    "secret", ["sig=abc123", "password: abc123", "https://u:abc123@example.com/x?sig=abc123"]
)
def test_no_secret_is_printed_wherever_it_stands(secret: str) -> None:
    assert "abc123" not in message(DESIGN.replace("by: hash", f'by: "{secret}"'))
    with pytest.raises(loopfile.LoopFileError) as caught:
        loopfile.load(DOCS.parent / "loops" / "penguins", overrides=(f"={secret}",))
    assert "abc123" not in str(caught.value)


def test_files_that_are_named_must_exist(tmp_path: Path) -> None:
    (tmp_path / "loop.yaml").write_text(DESIGN)
    (tmp_path / "score").write_text("a file, not a folder")
    with pytest.raises(loopfile.LoopFileError) as caught:
        loopfile.load(tmp_path)
    assert [m.key for m in caught.value.mistakes] == ["train.pipeline", "serve.scoring", "gate.checks"]
    (tmp_path / "score").unlink()
    (tmp_path / "score").mkdir()
    (tmp_path / "train.yml").touch()
    (tmp_path / "qa.yml").touch()
    assert loopfile.load(tmp_path / "loop.yaml") == loopfile.load(tmp_path)


@pytest.mark.parametrize("content", [b"loop: \xff\xfe", b"\xff\xfel\0o\0", b"x" * 300_000])
def test_a_file_that_cannot_be_read_is_a_mistake(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "loop.yaml"
    path.write_bytes(content)
    with pytest.raises(loopfile.LoopFileError, match=r"loop\.yaml:1"):
        loopfile.load(path)


def test_every_metric_of_the_judges_may_be_named_with_its_direction() -> None:
    for name, metric in METRICS.items():
        bound = "at_least" if metric.direction == "higher" else "at_most"
        looks_for = ", positive: 1" if name == "average_precision" else ""
        it = loopfile.parse(
            f"{SMALLEST}metric: {{name: {name}, {bound}: 0.5{looks_for}}}\n", file="loop.yaml"
        )
        assert it.metric is not None and it.metric.name == name
        assert it.metric.positive == ("1" if looks_for else None), (
            "a class is a name, also where it is a number"
        )


COSTS = "{fraud: {fair: 50}, fair: {fraud: 2, fair: -0.5}}"


@pytest.mark.parametrize(
    ("metric", "margin", "found"),
    [
        (f"name: cost, costs: {COSTS}, at_most: 3", "{margin: 0.5}", []),
        (f"name: cost, costs: {COSTS}, at_most: 3", "{}", ["gate.margin"]),
        (f"name: cost, costs: {COSTS}, at_least: 3", "{margin: 0.5}", ["metric.at_least"]),
        (f"name: f1_macro, costs: {COSTS}", "{margin: 0.5}", ["metric.costs"]),
        ("name: cost", "{margin: 0.5}", ["metric.costs"]),
        ("name: cost, costs: {fraud: {fair: 50}}", "{margin: 0.5}", ["metric.costs.fair"]),
        (
            "name: cost, costs: {a: {b: 1, c: 1}, b: {a: 1}, c: {a: 1, b: 1}}",
            "{margin: 1}",
            ["metric.costs.b"],
        ),
        (
            "name: cost, costs: {a: {a: 2, b: 1}, b: {a: 1}}",
            "{margin: 1}",
            ["metric.costs.a.b"],
        ),
        ("name: cost, costs: {a: {b: dear}, b: {a: 1}}", "{margin: 1}", ["metric.costs.a.b"]),
    ],
)
def test_a_table_of_costs_says_of_each_class_what_each_wrong_answer_costs(
    metric: str, margin: str, found: list[str]
) -> None:
    text = f"{SMALLEST}metric: {{{metric}}}\ngate: {margin}\n"
    if found:
        assert [key for _, key in mistakes(text)] == found
    else:
        it = loopfile.parse(text, file="loop.yaml")
        assert it.metric is not None and it.metric.costs["fair"] == {"fraud": 2.0, "fair": -0.5}
        assert Published.from_bytes(published(text).to_bytes()) == published(text)


OWN = "name: metrics.profit, better: higher, range: [-50, 20]"


@pytest.mark.parametrize(
    ("metric", "rest", "found"),
    [
        (f"{OWN}, at_least: 1", "gate: {margin: 0.5}", []),
        (OWN, "", ["gate.margin"]),
        ("name: metrics.profit", "gate: {margin: 0.5}", ["metric.better"]),
        (f"{OWN}, at_most: 1", "gate: {margin: 0.5}", ["metric.at_most"]),
        ("name: metrics.profit, better: higher, range: [3, 1]", "gate: {margin: 0.5}", ["metric.range"]),
        ("name: metrics.profit, better: higher, range: [3]", "gate: {margin: 0.5}", ["metric.range"]),
        ("name: metrics.import os, better: higher", "gate: {margin: 0.5}", ["metric.name"]),
        ("name: f1_macro, better: higher", "", ["metric.better"]),
        ("name: f1_macro, range: [0, 1]", "", ["metric.range"]),
    ],
)
def test_a_function_of_metrics_py_needs_its_direction_and_a_margin(
    metric: str, rest: str, found: list[str]
) -> None:
    text = f"{SMALLEST}metric: {{{metric}}}\n{rest}\n"
    if found:
        assert sorted({key for _, key in mistakes(text)}) == found
    else:
        it = loopfile.parse(text, file="loop.yaml")
        assert it.metric is not None and it.metric.range == (-50.0, 20.0)


def test_checks_are_functions_that_are_there_and_need_drift(tmp_path: Path) -> None:
    text = SMALLEST.replace("pipeline: train.yml", "pipeline: loop.yaml")
    (tmp_path / "loop.yaml").write_text(f"{text}drift: {{checks: [heavy, light]}}\n")
    (tmp_path / "checks.py").write_text("def heavy(reference, current): ...\n\ndef light(rows): ...\n")
    with pytest.raises(
        loopfile.LoopFileError, match=r"^checks\.py:3: found function light with other arguments"
    ):
        loopfile.load(tmp_path)
    (tmp_path / "checks.py").write_text("def heavy(reference, current): ...\n\nlight = heavy\n")
    with pytest.raises(loopfile.LoopFileError, match=r"^checks\.py:1: found no function light"):
        loopfile.load(tmp_path)
    (tmp_path / "loop.yaml").write_text(f"{text}gate: {{functions: [heavier]}}\n")
    with pytest.raises(loopfile.LoopFileError, match=r"^checks\.py:1: found no function heavier"):
        loopfile.load(tmp_path)
    (tmp_path / "checks.py").unlink()
    with pytest.raises(loopfile.LoopFileError, match=r"loop\.yaml:5 gate\.functions: found no checks\.py"):
        loopfile.load(tmp_path)
    assert mistakes(f"{SMALLEST}gate: {{functions: [qa.yml]}}\n") == [(5, "gate.functions[0]")]
    assert mistakes(f"{SMALLEST}drift: {{enabled: false, checks: [a]}}\n") == [(5, "drift.checks")]
    assert mistakes(f"{SMALLEST}drift: {{checks: [a, a]}}\n") == [(5, "drift.checks")]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("def profit(truth, predictions, rows, weights):\n    return 1", []),
        ("def profit(truth, predictions, *rest):\n    return 1", []),
        (
            "import numpy as np\nimport os, socket\ndef profit(a, b, c, d): ...",
            ["metrics.py:2", "metrics.py:2"],
        ),
        ("def profit(a, b, c, d):\n    from urllib import request", ["metrics.py:2"]),
        ("def profit(a, b, c, d):\n    from . import other", ["metrics.py:2"]),
        ("\n\ndef profit(truth, predictions): ...", ["metrics.py:3"]),
        ("def profits(truth, predictions, rows, weights): ...", ["metrics.py:1: found no function profit"]),
        ("\n\ndef profit(:", ["metrics.py:3: found not Python"]),
        ("x = " + "(" * 5000, ["metrics.py:1: found not Python"]),
        (None, ["loop.yaml:5 metric.name: found no metrics.py"]),
    ],
)
def test_own_code_is_looked_through_with_file_and_line_and_not_run(
    tmp_path: Path, source: str | None, told: list[str]
) -> None:
    text = f"{SMALLEST}metric: {{{OWN}}}\ngate: {{margin: 0.5}}\n".replace(
        "pipeline: train.yml", "pipeline: loop.yaml"
    )
    (tmp_path / "loop.yaml").write_text(text)
    if source is not None:
        (tmp_path / "metrics.py").write_text(f"{source}\n")
    if not told:
        assert loopfile.load(tmp_path).metric is not None
        return
    with pytest.raises(loopfile.LoopFileError) as caught:
        loopfile.load(tmp_path)
    lines = str(caught.value).splitlines()
    assert len(lines) == len(told), lines
    assert all(line.startswith(begin) for line, begin in zip(lines, told, strict=True)), lines


def test_served_inputs_are_a_reason_only_where_they_are_watched() -> None:
    asks = SMALLEST + "retrain: {on: [served]}\n"
    with pytest.raises(loopfile.LoopFileError, match=r"served only with drift\.served"):
        loopfile.parse(asks, file="loop.yaml")
    it = loopfile.parse(asks + "drift: {served: 1d}\n", file="loop.yaml")
    assert (it.drift.served, it.retrain.on) == (timedelta(days=1), ("served",))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("metric: {name: accuracy, estimate: true}", r"true only with drift\.served"),
        ("drift: {served: 1d}\nmetric: {name: r2, estimate: true}", "r2 cannot be estimated without labels"),
        (
            "drift: {served: 1d}\nmetric: {name: metrics.x, better: higher, estimate: true}\ngate: {margin: 1}",
            r"a function with metric\.range can",
        ),
        (
            "metric: {name: metrics.x, better: higher, costs: {a: {b: 1}, b: {a: 1}}}\ngate: {margin: 1}",
            r"costs only of a function with metric\.range",
        ),
        (
            "metric: {name: metrics.x, better: lower, range: [0, 9], costs: {a: {b: 1}, c: {a: 1}}}\ngate: {margin: 1}",
            "also what it costs to answer c",
        ),
        (
            "drift: {served: 1d}\nmetric: {name: accuracy, at_least: 0.8}\nretrain: {on: [estimate]}",
            r"estimate only with metric\.estimate: true",
        ),
        (
            "drift: {served: 1d}\nmetric: {name: accuracy, estimate: true}\nretrain: {on: [estimate]}",
            r"and metric\.worse_by, at_least or at_most",
        ),
    ],
)
def test_an_estimate_needs_what_it_is_made_of(text: str, told: str) -> None:
    with pytest.raises(loopfile.LoopFileError, match=told):
        loopfile.parse(f"{SMALLEST}{text}\n", file="loop.yaml")


def test_what_a_number_costs_stands_in_no_table() -> None:
    text = SMALLEST.replace("target: species", "target: mass, task: regression")
    costs = "metric: {name: metrics.x, better: lower, range: [0, 9], costs: {a: {b: 1}, b: {a: 1}}}\n"
    with pytest.raises(loopfile.LoopFileError, match="of a classifier: it gets one of each row"):
        loopfile.parse(f"{text}{costs}gate: {{margin: 1}}\n", file="loop.yaml")


def test_an_estimate_is_off_by_default_and_a_reason_where_it_is_named() -> None:
    assert (
        loopfile.parse(f"{SMALLEST}metric: {{name: accuracy}}\n", file="loop.yaml").metric.estimate is False
    )  # type: ignore[union-attr]  # given
    asks = "drift: {served: 1d}\nmetric: {name: accuracy, at_least: 0.8, estimate: true}\nretrain: {on: [estimate]}\n"
    assert loopfile.parse(SMALLEST + asks, file="loop.yaml").retrain.on == ("estimate",)


def test_the_reference_in_the_docs_is_the_model() -> None:
    assert keys.table() in (DOCS / "reference-loop-file.md").read_text(), (
        "update docs/reference-loop-file.md from shared.loopfile.keys.table()"
    )


def test_the_schema_in_the_docs_is_the_model() -> None:
    assert json_schema.schema() == (DOCS / "loop.schema.json").read_text(), (
        "update docs/loop.schema.json from shared.loopfile.json_schema.schema()"
    )


@pytest.mark.parametrize(
    "file", sorted((DOCS.parent / "loops").glob("*/loop.yaml")), ids=lambda it: it.parent.name
)
def test_the_schema_accepts_every_loop_of_ours(file: Path) -> None:
    schema = Draft202012Validator(json.loads(json_schema.schema()))
    assert [error.message for error in schema.iter_errors(_plain(file.read_text()))] == []


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("loop: penguins", "loop: P", ["loop"]),
        ("target: species", "tagret: species", ["data"]),
        ("fraction: 0.2", "fraction: 0.7", ["data", "holdout", "fraction"]),
        ("window: all", "window: {last: 0}", ["data", "window"]),
        ("attempts: 2", 'attempts: "2"', ["train", "attempts"]),
        ("max_age: 60d", "max_age: two months", ["retrain", "max_age"]),
        ("on_timeout: hold", "on_timeout: hope", ["canary", "on_timeout"]),
        ("steps: [10, 50]", "steps: [10, 50.5]", ["canary", "steps", 1]),
    ],
)
def test_the_schema_finds_what_an_editor_should_underline(old: str, new: str, where: list[str | int]) -> None:
    schema = Draft202012Validator(json.loads(json_schema.schema()))
    assert list(schema.iter_errors(_plain(DESIGN))) == []
    assert where in [
        list(error.absolute_path) for error in schema.iter_errors(_plain(DESIGN.replace(old, new, 1)))
    ]


def _plain(text: str) -> object:
    return json.loads(json.dumps(yaml_lines.read(text).value))


def test_the_reference_has_every_key_once() -> None:
    rows = keys.table().splitlines()[2:]
    found = [row.split("`")[1] for row in rows]
    assert len(found) == len(set(found)) > 50
    assert {"canary.steps", "metric.at_least", "data.source.every", "gate.slices"} <= set(found)
    assert all(row.count(" | ") == 3 for row in rows)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        (("data", "holdout", "fraction"), "a number above 0, up to 0.5"),
        (("gate", "calibration"), "a number above 0, below 1"),
        (("metric", "confidence"), "a number from 0.5, below 1"),
        (("metric", "sample"), "a whole number from 10 to 20000"),
        (("gate", "superiority"), "auto, true or false"),
        (("drift", "enabled"), "true or false"),
        (("drift", "returns", "by"), "the name of a column"),
        (("drift", "served"), "from 10m to 90d, for example 1h or 1d"),
        (("data", "complete", "quiet"), "from 10s to 1d, for example 10m"),
        (("gate", "slices"), "by, floor, margin and min_rows"),
        (("canary", "steps", 1), "rising whole percentages between 1 and 99, for example [10, 50]"),
    ],
)
def test_what_is_allowed_follows_from_the_type(path: tuple[str | int, ...], allowed: str) -> None:
    assert keys.allowed(path) == allowed


def test_every_key_has_a_meaning_and_says_what_is_allowed() -> None:
    for row in keys.table().splitlines()[2:]:
        key, allowed, _, meaning = (cell.strip() for cell in row.strip("| ").split(" | "))
        assert allowed and meaning and meaning != "None", key


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("loops/pengins", "there is no folder or file loops/pengins; .* Did you mean loops/penguins\\?$"),
        ("penguins", "there is no folder or file penguins; .* Did you mean loops/penguins\\?$"),
        ("loops", "the folder loops has no loop.yaml; .* Loops nearby: loops/iris, loops/penguins\\.$"),
        (
            "loops/penguins/loops.yaml",
            "there is no folder or file loops/penguins/loops.yaml; give a loop's folder, or its",
        ),
        ("elsewhere/x", "there is no folder or file elsewhere/x; give a loop's folder, or its loop.yaml\\.$"),
    ],
)
def test_a_folder_without_a_loop_is_told_with_the_loops_nearby(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("iris", "penguins"):
        (tmp_path / "loops" / name).mkdir(parents=True)
        (tmp_path / "loops" / name / "loop.yaml").write_text(SMALLEST)
    with pytest.raises(ConfigurationError, match=said):
        loopfile.load(Path(given))
