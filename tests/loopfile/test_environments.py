"""One loop file for several deployments: what differs is laid over the rest, and what makes a model never differs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from cli import backtest
from shared import loopfile
from shared.loopfile import json_schema
from shared.loopfile.environments import MAY_DIFFER

BASE = """\
loop: penguins
data: {landing: landing/penguins, target: species}
train: {pipeline: train.yml, only_in: test}
serve: {endpoint: penguins, instance_count: 1}
drift: {reference: {last: 5}}
canary:
  steps: [10, 50]
  step: {minutes: 15, min_requests: 500}
environments:
  test:
    serve: {endpoint: penguins-test}
    canary:
      step: {minutes: 1}
  production:
    serve: {instance_count: 3}
    drift: {reference: {same_season: 4}}
    canary: {steps: [5], approval: before_promotion}
    people: {two_persons: true}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.yml").write_text("type: pipeline")
    (tmp_path / "loop.yaml").write_text(BASE)
    return tmp_path


def mistakes(folder: Path, text: str, environment: str = "test") -> list[str]:
    (folder / "loop.yaml").write_text(text)
    with pytest.raises(loopfile.LoopFileError) as caught:
        loopfile.load(folder, environment=environment)
    return str(caught.value).splitlines()


def test_sections_are_laid_over_key_by_key_and_other_values_whole(folder: Path) -> None:
    test, production = (loopfile.load(folder, environment=name) for name in ("test", "production"))
    assert (test.serve.endpoint, test.serve.instance_count) == ("penguins-test", 1)
    assert (production.serve.endpoint, production.serve.instance_count) == ("penguins", 3)
    assert (test.canary.steps, test.canary.step.minutes, test.canary.step.min_requests) == ((10, 50), 1, 500)
    assert (production.canary.steps, production.canary.step.minutes) == ((5,), 15)
    assert (production.drift.reference.kind, production.drift.reference.n) == ("same_season", 4)
    assert production.people is not None and production.people.two_persons


def test_a_published_definition_is_of_one_environment(folder: Path) -> None:
    test, production = (loopfile.load(folder, environment=name) for name in ("test", "production"))
    assert test.environments == production.environments == {}
    assert (test.train.only_in, production.train.only_in) == (None, "test")
    assert tuple(loopfile.load(folder).environments) == ("test", "production")


def test_what_is_set_for_a_publication_wins_over_the_environment(folder: Path) -> None:
    it = loopfile.load(folder, overrides=("canary.step.minutes=2",), environment="test")
    assert it.canary.step.minutes == 2


def test_a_mistake_is_told_on_the_line_of_the_environment(folder: Path) -> None:
    text = BASE.replace("{instance_count: 3}", "{instance_count: none}")
    assert mistakes(folder, text, "production") == [
        'loop.yaml:15 serve.instance_count: found "none"; allowed: a whole number from 1'
    ]


def test_a_rule_between_keys_is_told_there_too(folder: Path) -> None:
    (one,) = mistakes(folder, BASE.replace(", approval: before_promotion", ""), "production")
    assert one.startswith('loop.yaml:17 canary.approval: found "none"; allowed: before_canary')


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ("data: {target: sex}", "environments.test.data"),
        ("loop: others", "environments.test.loop"),
        ("train: {pipeline: other.yml}", "environments.test.train.pipeline"),
        ("train: {parameters: {trees: 3}}", "environments.test.train.parameters"),
        ("serve: {environment: other.yml}", "environments.test.serve.environment"),
        ("train: {only_in: production}", "environments.test.train.only_in"),
    ],
)
def test_what_makes_a_model_cannot_differ(folder: Path, given: str, key: str) -> None:
    found = mistakes(folder, BASE.replace("serve: {endpoint: penguins-test}", given))
    assert any(line.startswith(f"loop.yaml:11 {key}: found") for line in found)
    assert any("allowed: keys of mode, train, serve" in line for line in found)


def test_an_environment_that_is_not_there_is_told_with_those_that_are(folder: Path) -> None:
    (one,) = mistakes(folder, BASE, "prod")
    assert one == 'loop.yaml:9 environments: found nothing of "prod"; allowed: one of test, production'
    alone = BASE.partition("environments:")[0].replace(", only_in: test", "")
    (one,) = mistakes(folder, f"{alone}environments: {{}}", "x")
    assert one.endswith("allowed: one of none")


def test_a_file_without_environments_is_the_same_in_all(folder: Path) -> None:
    (folder / "loop.yaml").write_text(BASE.partition("environments:")[0].replace(", only_in: test", ""))
    assert loopfile.load(folder, environment="any") == loopfile.load(folder)


def test_models_are_trained_in_an_environment_that_there_is(folder: Path) -> None:
    (one,) = mistakes(folder, BASE.replace("only_in: test", "only_in: lab"))
    assert one == 'loop.yaml:3 train.only_in: found "lab"; allowed: one of environments: test, production'


def test_editors_know_the_key() -> None:
    Draft202012Validator(yaml.safe_load(json_schema.schema())).validate(yaml.safe_load(BASE))


def test_a_backtest_is_of_the_environment_that_trains(folder: Path) -> None:
    assert backtest.defined(folder, ()) == loopfile.load(folder, environment="test")
    (folder / "loop.yaml").write_text(BASE.replace(", only_in: test", ""))
    assert backtest.defined(folder, ()).serve.endpoint == "penguins"


PAGE = (Path(__file__).parents[2] / "docs" / "environments.md").read_text()


def test_the_page_names_each_section_that_may_differ() -> None:
    (named,) = re.findall(r"each key as it stands above: (.*?)\.", PAGE, re.DOTALL)
    assert tuple(re.findall(r"`(\w+)`", named)) == MAY_DIFFER


def test_the_loop_file_of_the_page_is_valid_in_each_environment(tmp_path: Path) -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "loop.yaml").write_text(text)
    for name in ("train.yml", "environment.yml"):
        (tmp_path / name).write_text("")
    (tmp_path / "score").mkdir()
    for name in loopfile.load(tmp_path).environments:
        assert loopfile.load(tmp_path, environment=name).loop == "churn"
