"""The docs are whole: no dead link, no command that there is not, no loop file that does not parse."""

from __future__ import annotations

import re
import shlex
import subprocess
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
import typer
import yaml
from typer.core import TyperGroup

from cli import app, reference
from shared import loopfile

ROOT = Path(__file__).parents[2]
DOCS = [
    path
    for pattern in ("*.md", "docs/**/*.md", "loops/*/*.md", "tests/simulator/*.md")
    for path in sorted(ROOT.glob(pattern))
]
TEXTS = {str(path.relative_to(ROOT)): path.read_text() for path in DOCS}
LOOP = """
loop: churn
data: {landing: landing/churn/, target: churned, id: customer_id}
train: {pipeline: train.yml}
serve: {endpoint: churn}
"""


@cache
def terminal() -> TyperGroup:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return group


def blocks(language: str) -> list[tuple[str, str]]:
    """(document, block), whatever the block's indentation."""
    found = re.compile(rf"^( *)```{language}\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
    return [(name, body) for name, text in TEXTS.items() for _, body in found.findall(text)]


def anchors(text: str) -> set[str]:
    """As GitHub makes them of headings, and those that are written."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.strip().casefold()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain} | set(re.findall(r'<a id="([^"]+)"', text))


@pytest.mark.parametrize("name", TEXTS)
def test_no_link_is_dead(name: str) -> None:
    here = (ROOT / name).parent
    dead = []
    for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", TEXTS[name], flags=re.DOTALL)):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (here / path).resolve() if path else ROOT / name
        if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
            dead.append(link)
    assert dead == []


def typed() -> list[tuple[str, list[str]]]:
    found = []
    for name, body in [*blocks("sh"), *blocks("console"), *blocks("")]:
        for line in body.replace("\\\n", " ").splitlines():
            command = re.sub(r"<[^>\n]+>", "X", line.removeprefix("$ ").strip())
            if re.match(r"(\.venv/bin/)?driftloop ", command):
                words = shlex.split(command, comments=True)
                found.append((f"{name}: {command}", words[1:]))
    return found


@pytest.mark.parametrize(("where", "words"), typed(), ids=[where for where, _ in typed()])
def test_every_command_is_typed_as_the_terminal_takes_it(
    where: str, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder that has what the command is given."""
    monkeypatch.chdir(tmp_path)
    for option, value in pairwise(words):
        if option == "--data":
            (tmp_path / value).mkdir(parents=True)
        elif option in ("--alerts", "--served"):
            (tmp_path / value).touch()
    group = terminal()
    assert words[0] in group.commands, where
    try:
        group.commands[words[0]].make_context(words[0], words[1:])
    except typer.BadParameter as error:
        assert error.message.endswith("does not exist."), where  # a file of the reader's own


def test_every_loop_file_in_the_docs_parses() -> None:
    found = blocks("yaml")
    assert len(found) >= 8
    for name, body in found:
        part = yaml.safe_load(body.replace("on: [", '"on": ['))
        whole = yaml.safe_load(LOOP) | part
        loopfile.parse(yaml.safe_dump(whole), file=name)


def test_every_shell_block_is_a_script_and_every_python_block_compiles() -> None:
    for name, body in [*blocks("sh"), *blocks("console")]:
        script = re.sub(r"<[^>\n]+>", "X", re.sub(r"^\$ ", "", body, flags=re.MULTILINE))
        done = subprocess.run(["/bin/sh", "-n"], input=script, capture_output=True, text=True)
        assert done.returncode == 0, f"{name}: {done.stderr}"
    for name, body in blocks("python"):
        compile(body, name, "exec")


def test_the_reference_of_commands_is_the_terminal_s() -> None:
    assert reference.reference() == reference.DOCUMENT.read_text(), "run: python -m cli.reference"


def test_the_list_of_commands_cuts_no_sentence() -> None:
    group = terminal()
    context = group.context_class(group, info_name="driftloop", terminal_width=80)
    assert "..." not in group.get_help(context).partition("Commands:")[2]


def test_the_documentation_lists_each_of_its_pages() -> None:
    index = set(re.findall(r"\]\(([\w-]+\.md)", TEXTS["docs/README.md"]))
    assert {path.name for path in (ROOT / "docs").glob("*.md")} - index == {"README.md"}


def test_each_decision_has_a_number_of_its_own() -> None:
    numbers = [
        (int(file.name[:4]), file.read_text().partition(".")[0])
        for file in sorted((ROOT / "docs" / "decisions").glob("*.md"))
    ]
    assert [told for _, told in numbers] == [f"# {number}" for number, _ in numbers]
    assert len({number for number, _ in numbers}) == len(numbers)
