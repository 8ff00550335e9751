"""What a pipeline asks its training window to be, as its YAML files say it, and what publishing refuses."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

import cli
from shared import loopfile
from shared.domain.window import WindowKind
from shared.errors import ConfigurationError
from shared.loopfile.published import Assets, Published
from shared.retraining.asked_window import asked_window

ROOT = Path(__file__).parents[2]
LOOP = """
loop: birds
data: {landing: landing/birds/, target: species}
train: {pipeline: train.yml}
serve: {endpoint: birds}
"""
BOUND = "${{parent.inputs.training_data}}"


def loop(
    folder: Path,
    kind: str,
    steps: dict[str, str],
    *,
    declared: str = "",
    check: dict[str, str] | None = None,
    within: bool = False,
) -> Path:
    """A loop whose pipeline has an input of this type, and steps that take it in these modes."""
    jobs = {name: {"type": "command", "component": "fit.yml"} for name in steps}
    for name, mode in steps.items():
        jobs[name]["inputs"] = {"rows": {"path": BOUND, "mode": mode} if mode else BOUND}  # type: ignore[assignment]
    pipeline = {"type": "pipeline", "inputs": {"training_data": {"type": kind}}, "jobs": jobs}
    fit = {"type": "command", "inputs": {"rows": {"type": declared or kind.lower()}}}
    (folder / "fit.yml").write_text(yaml.safe_dump(fit))
    if within:
        (folder / "inner.yml").write_text(yaml.safe_dump(pipeline))
        outer = {"type": "pipeline", "component": "inner.yml", "inputs": {"training_data": BOUND}}
        pipeline = {**pipeline, "jobs": {"outer": outer}}
    (folder / "train.yml").write_text(yaml.safe_dump(pipeline))
    if check is not None:
        (folder / "qa.yml").write_text(
            yaml.safe_dump({"type": "command", "inputs": {"training_data": check}})
        )
    (folder / "loop.yaml").write_text(LOOP + ("gate: {checks: [qa.yml]}\n" if check is not None else ""))
    return folder


@pytest.mark.parametrize(
    ("kind", "steps", "expected"),
    [
        ("uri_folder", {"fit": ""}, WindowKind.FOLDER),
        ("uri_folder", {"fit": "download"}, WindowKind.FOLDER),
        ("mltable", {"fit": ""}, WindowKind.ROWS),
        ("mltable", {"fit": "ro_mount", "look": "direct"}, WindowKind.ROWS),
        ("MLTable", {"fit": "eval_mount", "look": "eval_download"}, WindowKind.FILES),
        ("mltable", {}, WindowKind.ROWS),
    ],
)
@pytest.mark.parametrize("within", [False, True], ids=["", "in a pipeline within"])
def test_type_and_mode_say_what_a_window_is(
    tmp_path: Path, kind: str, steps: dict[str, str], expected: WindowKind, within: bool
) -> None:
    folder = loop(tmp_path, kind, steps, within=within)
    assert asked_window(folder, loopfile.load(folder)) is expected


@pytest.mark.parametrize(
    ("kind", "steps", "more", "words"),
    [
        ("uri_file", {}, {}, "train.yml: inputs.training_data is of type uri_file"),
        ("string", {}, {}, "write `training_data: {type: uri_folder}`, or `training_data: {type: mltable}`"),
        ("uri_folder", {"fit": "eval_mount"}, {}, "step fit takes training_data by eval_mount"),
        ("mltable", {"a": "eval_mount", "b": ""}, {}, "step a takes the files .* step b its rows"),
        ("mltable", {"fit": ""}, {"declared": "uri_folder"}, "fit.yml: inputs.rows is of type uri_folder"),
        ("uri_folder", {"fit": ""}, {"declared": "mltable"}, r"write `rows: {type: uri_folder}`"),
        (
            "mltable",
            {},
            {"check": {"type": "uri_folder"}},
            "qa.yml: inputs.training_data is of type uri_folder",
        ),
        (
            "uri_folder",
            {},
            {"check": {"type": "mltable"}},
            r"write `training_data: {type: uri_folder}` in both",
        ),
        (
            "mltable",
            {"fit": "eval_mount"},
            {"check": {"type": "mltable"}},
            "qa.yml: .* write mode: eval_mount",
        ),
        (
            "mltable",
            {"fit": ""},
            {"check": {"type": "mltable", "mode": "eval_mount"}},
            "qa.yml: .* write no mode",
        ),
    ],
)
def test_what_no_release_could_train_on_is_refused_with_what_to_write(
    tmp_path: Path, kind: str, steps: dict[str, str], more: dict[str, str], words: str
) -> None:
    folder = loop(tmp_path, kind, steps, **more)  # type: ignore[arg-type]  # passed on as they are
    with pytest.raises(ConfigurationError, match=words):
        asked_window(folder, loopfile.load(folder))


def test_a_file_that_is_not_there_or_no_yaml_asks_for_nothing(tmp_path: Path) -> None:
    """What is wrong with it publishing says."""
    definition = loopfile.parse(LOOP, file="loop.yaml")
    assert asked_window(tmp_path, definition) is WindowKind.FOLDER
    (tmp_path / "train.yml").write_text("{")
    assert asked_window(tmp_path, definition) is WindowKind.FOLDER


def test_the_example_of_a_table_takes_its_files() -> None:
    """As `driftloop publish loops/prices --set train.pipeline=train-table.yml` would publish it."""
    folder = ROOT / "loops/prices"
    definition = loopfile.load(folder, overrides=("train.pipeline=train-table.yml",))
    assert asked_window(folder, definition) is WindowKind.FILES


def test_validate_tells_it_before_anything_is_published(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        cli.app, ["validate", str(loop(tmp_path, "uri_file", {}))], env={"COLUMNS": "200"}
    )
    assert done.exit_code != 0
    assert "inputs.training_data is of type uri_file" in f"{done.output}{done.exception}"


def test_a_publication_of_before_asks_for_a_folder() -> None:
    definition = loopfile.parse(LOOP, file="loop.yaml")
    published = Published(definition, Assets("azureml:t:1"), "ann", datetime(2026, 1, 1, tzinfo=UTC))
    assert b'"window": "folder"' in (content := published.to_bytes())
    assert (
        Published.from_bytes(content.replace(b', "window": "folder"', b"")).assets.window is WindowKind.FOLDER
    )
