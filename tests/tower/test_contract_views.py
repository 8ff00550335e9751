"""A contract as people meet it: checked on a terminal, proposed for a first file, refused at publication, on a page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner, Result

from cli import app, contract_proposal, publish, records, session
from cli.yaml_values import quoted
from shared import loopfile
from shared.errors import ConfigurationError, DriftloopError
from shared.intake import DropFile, ReadSpec
from shared.reader.checked_files import check_files
from shared.runtime import unit_of_work
from tests.engine.world import LOOP, World, csv, season
from tests.tower.tower import checked, page, twin

RULES = """\
- {column: body_mass_g, at_least: 3000, on_breach: drop_rows}
- {column: sex, nulls_at_most: 0, on_breach: report}
- {column: island, values: [Dream, Biscoe, Torgersen]}
- {rows_at_least: 30}
"""


def run(folder: Path, *arguments: str) -> Result:
    (folder / "rules.yml").write_text(RULES)
    return CliRunner().invoke(app, ["contract", "check", *arguments])


def birds(folder: Path, **changes: object) -> Path:
    """The first season as a file."""
    frame = season(2007).reset_index(drop=True).assign(**changes)
    (folder / "birds.csv").write_bytes(csv(frame))
    return folder / "birds.csv"


def test_check_names_each_rule_and_the_first_rows_that_break_it(tmp_path: Path) -> None:
    file = birds(tmp_path)
    done = run(tmp_path, str(file), "--contract", str(tmp_path / "rules.yml"))
    frame = season(2007).reset_index(drop=True)
    light = frame[frame.body_mass_g < 3000]
    first, row = int(light.index[0]) + 1, light.iloc[0]
    lines = done.output.splitlines()
    assert done.exit_code == 1
    assert (
        f"broken  body_mass_g: at_least: 3000: {len(light)} of 83 rows => these rows would be rejected"
        in lines
    )
    assert f"          row {first}: body_mass_g: {row.body_mass_g:g}" in lines
    assert "kept    rows_at_least: 30" in lines and "83 rows, 4 rules: 2 broken" in lines
    assert any(line.endswith("sex: no value") for line in lines)
    document = json.loads(
        run(tmp_path, str(file), "--contract", str(tmp_path / "rules.yml"), "--json").output
    )
    assert (document["rows"], document["rejected"]) == (83, len(light))
    assert document["rules"][0]["first"][0] == {
        "row": first,
        "values": {"body_mass_g": f"{row.body_mass_g:g}"},
    }
    assert document["rules"][1]["first"][0]["values"] == {"sex": None}


def test_check_ends_with_0_1_or_2_as_every_command_does(tmp_path: Path) -> None:
    file = birds(tmp_path, body_mass_g=4000, sex="male")
    contract = str(tmp_path / "rules.yml")
    assert run(tmp_path, str(file), "--contract", contract).exit_code == 0
    assert run(tmp_path, str(file)).exit_code == 2
    assert run(tmp_path, str(file), "--contract", contract, "--loop", "x").exit_code == 2
    (tmp_path / "empty.csv").write_bytes(b"")
    for name, told in (
        ("gone.csv", "does not exist"),
        ("empty.csv", "quarantined whatever its contract: empty-file"),
    ):
        refused = run(tmp_path, str(tmp_path / name), "--contract", contract)
        assert isinstance(refused.exception, DriftloopError) and told in str(refused.exception)
    refused = run(tmp_path, str(file), "--contract", str(tmp_path / "gone.yml"))
    assert "gone.yml is not a file" in str(refused.exception)


def test_check_by_a_published_loop_reads_the_file_as_that_loop_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    world.publish(LOOP.replace("ignore: [year]", "ignore: [year], contract: [{column: island, type: text}]"))
    monkeypatch.setattr(session, "ports", lambda: world.ports)
    file = birds(tmp_path, island=np.arange(83))
    assert run(tmp_path, str(file), "--loop", "birds").exit_code == 1  # the first drop: nothing is known
    world.drop("2007.csv", csv(season(2007)))
    world.ticks(2)
    assert run(tmp_path, str(file), "--loop", "birds").exit_code == 0  # the loop knows island as text
    world.publish(LOOP)
    refused = run(tmp_path, str(file), "--loop", "birds")
    assert isinstance(refused.exception, ConfigurationError) and "has no contract" in str(refused.exception)


def test_check_reads_the_dates_of_a_published_loop_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    world.publish(LOOP.replace("ignore: [year]", "ignore: [year], contract: [{column: seen, type: time}]"))
    monkeypatch.setattr(session, "ports", lambda: world.ports)
    early = birds(tmp_path, seen=[f"{1 + n % 12:02d}/05/2007" for n in range(83)])
    refused = run(tmp_path, str(early), "--loop", "birds")
    assert refused.exit_code == 1 and "cannot be told apart" in " ".join(refused.output.split())
    world.drop("2007.csv", csv(season(2007).assign(seen=[f"{1 + n % 28:02d}/04/2007" for n in range(83)])))
    world.ticks(2)
    assert run(tmp_path, str(early), "--loop", "birds").exit_code == 0


def test_a_rule_on_a_column_that_the_loop_does_not_have_is_refused_before_anything_is_registered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    world.publish(LOOP)
    world.drop("2007.csv", csv(season(2007)))
    world.ticks(2)
    monkeypatch.setattr(session, "ports", lambda: world.ports)
    contract = "ignore: [year], contract: [{column: body_mass, at_least: 0}]"
    (tmp_path / "loop.yaml").write_text(LOOP.replace("ignore: [year]", contract))
    (tmp_path / "train.yml").write_text("")
    refused = CliRunner().invoke(app, ["publish", str(tmp_path)])
    assert isinstance(refused.exception, loopfile.LoopFileError)
    assert 'found "body_mass"; allowed: did you mean body_mass_g?' in str(refused.exception)


def test_what_is_proposed_for_one_season_holds_in_the_next(tmp_path: Path) -> None:
    frame = season(2007).reset_index(drop=True)
    kinds = {n: "string" if frame[n].dtype.kind not in "fi" else "number" for n in frame}
    lines = contract_proposal.proposal(frame, kinds, "row_id", ("year",))
    assert "   # 83 rows, as many values" in lines[1] and all(
        "on_breach: report}   # " in line for line in lines[1:]
    )
    assert not any("year" in line for line in lines)
    (tmp_path / "rules.yml").write_text("\n".join(lines[1:]))
    rules = ReadSpec.rules_of(loopfile.contract(tmp_path / "rules.yml"))
    assert len(rules) == len(lines) - 1 >= 7
    for year in (2008, 2009):
        (tmp_path / "next.csv").write_bytes(csv(season(year)))
        file = DropFile(tmp_path / "next.csv", "next.csv", 1)
        results, _, _ = check_files([file], ReadSpec(target="", contract=rules))
        assert [result.rule for result in results if result.broken] == []


def test_nothing_is_proposed_that_a_file_does_not_show() -> None:
    rows = 200
    wide = pd.DataFrame({f"n{n}": np.arange(rows) for n in range(60)})
    lines = contract_proposal.proposal(wide, dict.fromkeys(wide, "integer"), "", ())
    assert (
        len(lines) == contract_proposal.MOST_RULES + 2
        and lines[-1].strip() == "# 20 more columns suggest such a rule"
    )
    texts = pd.DataFrame(
        {"rare": ["a"] * 197 + ["b"] * 3, "many": [str(n % 30) for n in range(rows)], "minus": -1.0}
    )
    kinds = {"rare": "string", "many": "string", "minus": "number"}
    assert contract_proposal.proposal(texts, kinds, "", ()) == []
    assert contract_proposal.proposal(wide[:29], dict.fromkeys(wide, "integer"), "", ()) == []


def test_a_version_s_page_and_row_show_what_its_contract_came_to() -> None:
    world = World()
    hostile = '{column: sex, values: ["<b>", female], on_breach: report}'
    rules = (
        f"[{{column: body_mass_g, at_least: 3000, on_breach: drop_rows}}, {{rows_at_least: 3}}, {hostile}]"
    )
    world.publish(LOOP.replace("ignore: [year]", f"ignore: [year], contract: {rules}"))
    world.drop("2007.csv", csv(season(2007)))
    world.ticks(2)
    (version,) = unit_of_work.read(world.ports, "birds").versions()
    found = twin(world.ports, "/loops/birds/versions/1")
    light = int((season(2007).body_mass_g < 3000).sum())
    assert found["rejected_rows"] == version.rejected_rows == light
    assert [(rule["broken"], rule["on_breach"]) for rule in found["contract"]] == [
        (True, "drop_rows"), (True, "report"), (False, "quarantine")
    ]  # fmt: skip
    html = page(world.ports, "/loops/birds/versions/1")
    assert checked(html).found == []
    assert "&lt;b&gt;" in html and f"{light} of 83 rows break it" in html and "/rejected/" in html
    assert records.version_cells(version)[3] == f"{83 - light} ({light} rejected)"


@pytest.mark.parametrize(
    ("rules", "line", "end"),
    [
        ("- {column: gone, at_least: 0, on_breach: drop_rows}", "the drop would be quarantined", ""),
        (
            "- {column: body_mass_g, at_least: 99999, on_breach: drop_rows}",
            "these rows would be rejected",
            "",
        ),
        (
            "- {column: body_mass_g, at_least: 3000, on_breach: drop_rows}\n- {rows_at_least: 999}",
            "these rows would be rejected",
            "",
        ),
        (
            "- {column: body_mass_g, at_least: 3000, on_breach: drop_rows}",
            "these rows would be rejected",
            "kept",
        ),
    ],
    ids=["no such column", "all rows", "beside a broken quarantine", "some rows"],
)
def test_what_the_drop_would_come_to_is_what_a_drop_comes_to(
    tmp_path: Path, rules: str, line: str, end: str
) -> None:
    (tmp_path / "rules.yml").write_text(rules)
    done = CliRunner().invoke(
        app, ["contract", "check", str(birds(tmp_path)), "--contract", str(tmp_path / "rules.yml")]
    )
    assert done.exit_code == 1
    assert line in done.output
    told = [one for one in done.output.splitlines() if not one.startswith("note: ")]
    assert told[-1].endswith("kept apart" if end else "the drop would be quarantined")


@pytest.mark.parametrize("word", ["👩\u200d💻", "a\u2028b", 'q"\\', "\x07", "日本"])
def test_whatever_a_file_holds_is_written_as_yaml_that_reads_it(word: str) -> None:
    assert yaml.safe_load(f"- {quoted([word])}") == [[word]]


def test_a_rule_may_be_about_what_the_loop_file_says_a_column_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The versions so far have the column as numbers; from the next drop on it is text."""
    world = World()
    world.publish()
    world.drop("2007.csv", csv(season(2007)))
    monkeypatch.setattr(session, "ports", lambda: world.ports)
    rule = "contract: [{column: body_mass_g, pattern: '[0-9.]+'}]"
    for said, sound in ((rule, False), (f"columns: {{body_mass_g: text}}, {rule}", True)):
        (tmp_path / "loop.yaml").write_text(LOOP.replace("ignore: [year]", f"ignore: [year], {said}"))
        (tmp_path / "train.yml").write_text("{}")
        definition = loopfile.load(tmp_path)
        if sound:
            publish._check_contract(tmp_path, definition, (), "")
        else:
            with pytest.raises(ConfigurationError, match="body_mass_g"):
                publish._check_contract(tmp_path, definition, (), "")
