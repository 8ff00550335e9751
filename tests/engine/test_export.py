"""One file of a release explains, replays and shows itself with nothing else at hand, and an edit of it is told."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli import app, session
from cli import export as command
from cli.explain import release_story
from shared.audit import evidence_replay, exported_release
from shared.audit.exported_release import ExportedRelease
from shared.domain.reason import Code
from shared.domain.release import Phase
from shared.errors import ConfigurationError
from shared.inbox import messages
from shared.ports import Ports
from shared.runtime import unit_of_work
from shared.state import hash_chain, rows
from tests.engine.test_faults import LOOP, birds, canaried, served, spoil
from tests.engine.world import World, csv, season
from tests.hostile.corpus import PLANTED
from tests.simulator.life import Life
from tests.simulator.reader import reading_in_process
from tests.tower.tower import checked
from tower import exported_page

Content = dict[str, Any]  # the file's JSON, as whoever edits it sees it
Edit = Callable[[Content], object]
PAYLOAD = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"


@pytest.fixture(autouse=True, scope="module")
def reader() -> Iterator[None]:
    with reading_in_process():
        yield


@pytest.fixture(scope="module")
def life(reader: None) -> Life:
    """The second release went through two canary steps; a person asked for something meanwhile."""
    life = served(plan=LOOP.replace("bake_minutes: 0.1", "bake_minutes: 60"))
    life.drop("2.csv", birds(2, 1.3))
    life.until(Phase.BAKING)
    ask(life, "retrain", PAYLOAD)
    life.drop("bad.csv", b"")
    life.round()
    aside = unit_of_work.read(life.real, "birds").state.set_aside[0]
    ask(life, "replay", "look again", drop=aside.key)
    life.round()
    life.round(seconds=4000)
    life.rest()
    assert life.release(2).phase is Phase.LIVE
    return life


def ask(life: Life, verb: str, why: str, **body: object) -> None:
    life.send(messages.act_message(verb, "birds", {"reason": why, **body}, "bob"))
    life.round()


@pytest.fixture(scope="module")
def exported(life: Life) -> ExportedRelease:
    return exported_release.export(life.real, "birds", 2)


@pytest.fixture(autouse=True)
def no_azure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is read without ports: asking for some fails the test."""

    def ports() -> Ports:
        pytest.fail("a file asks for Azure")

    monkeypatch.setattr(session, "ports", ports)


def written(place: Path, exported: ExportedRelease, edit: Edit | None = None) -> str:
    made = command.opened_from(exported)
    assert made.proof is not None
    page = exported_page.write(exported, made.ports, made.proof).decode()
    if edit is not None:
        content = json.loads(exported.to_text())
        edit(content)
        head, _, _ = page.rpartition(exported_page.BEGINS)
        data = json.dumps(content).replace("<", r"\u003c")
        page = f"{head}{exported_page.BEGINS}{data}{exported_page.ENDS}\n</body>\n</html>\n"
    place.write_text(page)
    return str(place)


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


# --- what it is for --------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 2])
def test_the_file_tells_and_judges_what_the_loop_does(life: Life, tmp_path: Path, number: int) -> None:
    place = written(tmp_path / "release.html", exported_release.export(life.real, "birds", number))
    opened = command.opened(place)
    assert release_story(opened.ports, "birds", number) == release_story(life.real, "birds", number)
    replayed = evidence_replay.replay(opened.ports, "birds", number)
    assert replayed == evidence_replay.replay(life.real, "birds", number) and replayed
    assert run("replay", place).exit_code == 0
    told = run("explain", place)
    assert told.exit_code == 0 and "hash chain verified" in told.output
    assert opened.proof is not None and opened.proof.problems == ()


def test_the_command_writes_it_and_overwrites_nothing(
    life: Life, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "ports", lambda: life.real)
    monkeypatch.chdir(tmp_path)
    done = run("export", "birds/2")
    assert done.exit_code == 0, done.output
    assert [file.name for file in tmp_path.iterdir()] == ["birds-2.html"]
    before = Path("birds-2.html").read_bytes()
    for words, why in (
        ([], "exists already"),
        (["--to", "a.txt"], "does not end with .html"),
        (["--to", "no/where.html"], "cannot be written"),
    ):
        with pytest.raises(ConfigurationError, match=why):
            raise_of(run("export", "birds/2", *words))
    assert [file.name for file in tmp_path.iterdir()] == ["birds-2.html"]
    assert Path("birds-2.html").read_bytes() == before


def test_no_file_is_written_that_could_not_be_read(
    life: Life, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "ports", lambda: life.real)
    monkeypatch.setattr(command, "LARGEST_FILE_BYTES", 1024)
    with pytest.raises(ConfigurationError, match="larger than a file may be"):
        raise_of(run("export", "birds/2", "--to", str(tmp_path / "x.html")))
    assert list(tmp_path.iterdir()) == []


def test_the_size_of_a_document_is_that_in_the_page(exported: ExportedRelease) -> None:
    text = '{"class": "<a href=\\"é\\">"}'
    page = replace(exported, documents={"d": text}).to_text().replace("<", r"\u003c")
    bare = replace(exported, documents={"d": ""}).to_text().replace("<", r"\u003c")
    assert exported_release.size_bytes(text) - 2 == len(page) - len(bare)


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ConfigurationError, match=r"x\.html cannot be written: No space left"):
        session.write(tmp_path / "x.html", b"page")
    assert list(tmp_path.iterdir()) == []


def raise_of(done: Result) -> None:
    assert done.exit_code == 1
    assert done.exception is not None
    raise done.exception


def test_the_page_loads_nothing_runs_nothing_and_shows_strangers_text_as_text(
    tmp_path: Path, exported: ExportedRelease
) -> None:
    html = Path(written(tmp_path / "release.html", exported)).read_text()
    before, _, data = html.rpartition(exported_page.BEGINS)
    assert PAYLOAD in json.dumps(json.loads(data.partition(exported_page.ENDS)[0]), ensure_ascii=False)
    assert data.count("<") == 3, "nothing in the data ends their element"
    style = before.partition("<style>")[2].partition("</style>")[0]
    policy = f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'"
    assert f"default-src &#39;none&#39;; style-src {policy.replace(chr(39), '&#39;')}" in before
    found = checked(before.replace(style, ""))
    assert [
        one
        for one in found.found
        if one not in ("meta http-equiv", "meta http-equiv=Content-Security-Policy")
    ] == ["<style>"]
    assert found.scripts == [] and 'href="/' not in before
    assert {"What this file proves", "What it cannot show"} <= set(found.words)
    for heading in ("gate", "canary", "verdicts", "timeline"):
        assert f'<h2 id="{heading}">' in before


# --- what it proves --------------------------------------------------------------------------------


def entry(number: int, **parts: object) -> Edit:
    return lambda content: content["entries"][number]["content"].update(parts)


def sealed(number: int, **parts: object) -> Edit:
    """An entry that was written anew with a hash that fits it, as who knows how would do it."""

    def edit(content: Content) -> None:
        content["entries"][number]["content"].update(parts)
        read = ExportedRelease.from_text(json.dumps(content), "x").ledger[number]
        content["entries"][number]["content"]["hash"] = hash_chain.entry_hash(read)

    return edit


def swap(content: Content) -> None:
    found = content["entries"]
    found[3], found[4] = found[4], found[3]


def row(name: str, value: object) -> Edit:
    return lambda content: content["release"]["content"].update({name: value})


def asked_by(content: Content) -> None:
    content["release"]["content"]["triggers"][0]["actor"] = "mallory"


def margin(content: Content) -> None:
    digest = content["release"]["content"]["definition"]
    content["documents"][digest] = content["documents"][digest].replace('"margin": 0.2', '"margin": 0.9')


def gate(content: Content) -> str:
    (digest,) = (j["evidence"] for j in content["release"]["content"]["judgements"] if j["kind"] == "gate")
    return str(digest)


def answers(content: Content) -> None:
    text = content["documents"][gate(content)]
    content["documents"][gate(content)] = text.replace("Adelie", "Gentoo", 1)


@pytest.mark.parametrize(
    ("edit", "code", "facts"),
    [
        (entry(2, actor="mallory"), Code.LEDGER_ENTRY_EDITED, {"entry": "+2"}),
        (entry(0, detail={}), Code.LEDGER_ENTRY_EDITED, {"entry": "+0"}),
        (sealed(2, actor="mallory"), Code.LEDGER_LINK_BROKEN, {"entry": "+3"}),
        (lambda content: content["entries"].pop(3), Code.LEDGER_ENTRY_MISSING, {"entry": "+3"}),
        (swap, Code.LEDGER_ENTRY_MISSING, {"entry": "+3"}),
        (lambda content: content["entries"].pop(), Code.AUDIT_DIFFERS, {"name": "phase"}),
        (row("phase", "rolled_back"), Code.AUDIT_DIFFERS, {"name": "phase"}),
        (row("model", "azureml:evil:1"), Code.AUDIT_DIFFERS, {"name": "model"}),
        (asked_by, Code.AUDIT_DIFFERS, {"name": "asked by"}),
        (margin, Code.AUDIT_DOCUMENT, {"of": "release 2"}),
        (answers, Code.AUDIT_DOCUMENT, {"of": "release 2"}),
        (lambda content: content["documents"].pop(gate(content)), Code.AUDIT_DOCUMENT, {"of": "release 2"}),
    ],
)
def test_an_edit_is_told_with_its_place(
    tmp_path: Path, exported: ExportedRelease, edit: Edit, code: Code, facts: dict[str, str]
) -> None:
    place = written(tmp_path / "release.html", exported, edit)
    proof = command.opened(place).proof
    assert proof is not None
    at = exported.ledger[0].seq + int(facts["entry"]) if "entry" in facts else None
    wanted = facts if at is None else {"entry": at}
    assert any(one.code is code and wanted.items() <= one.facts.items() for one in proof.problems), (
        proof.problems
    )
    for name in ("explain", "replay"):
        done = run(name, place)
        assert done.exit_code == 1 and (at is None or f"entry {at}" in done.output), done.output
    replayed = run("replay", place, "--json")
    assert replayed.exit_code == 1
    assert json.loads(replayed.output)["problems"], "and why"
    content = json.loads(run("explain", place, "--json").output)
    assert content["problems"] and content["ledger_head"] == proof.head


def test_evidence_that_is_said_to_be_altered_is_said_to_be_unproven(
    tmp_path: Path, exported: ExportedRelease
) -> None:
    def edit(content: Content) -> None:
        answers(content)
        content["altered"] = [gate(content)]

    proof = command.opened(written(tmp_path / "release.html", exported, edit)).proof
    assert proof is not None and Code.EXPORT_WITHOUT_IDS in {one.code for one in proof.unproven}


def test_a_ledger_that_was_edited_before_is_exported_and_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    life = served()
    first = next(one for one in life.told("release.started"))
    found = life.real.store.read("birds", rows.ledger_key(first.seq))
    assert found is not None
    spoil(life, found.key, found.doc.replace("driftloop", "mallory", 1))
    monkeypatch.setattr(session, "ports", lambda: life.real)
    done = run("export", "birds/1", "--to", str(tmp_path / "x.html"))
    assert done.exit_code == 1 and f"ledger entry {first.seq} (release.started) was changed" in done.output
    assert "not intact" in (tmp_path / "x.html").read_text()


def test_what_it_cannot_show_is_said(exported: ExportedRelease) -> None:
    proof = command.opened_from(exported).proof
    assert proof is not None and (proof.first, proof.head) == (
        exported.ledger[0].seq,
        exported.ledger[-1].hash,
    )
    assert [one.code for one in proof.unproven] == [
        Code.EXPORT_ANCHOR,
        Code.EXPORT_ALONE,
        Code.EXPORT_UNNAMED,
    ]


# --- what it must not hold -------------------------------------------------------------------------


def test_who_is_named_in_the_ledger_s_part_is_named_by_explain(life: Life, exported: ExportedRelease) -> None:
    told = str(release_story(life.real, "birds", 2))
    people = {one.actor for one in exported.ledger} - {"driftloop", "ann"}
    assert "bob" in people and {name for name in people if name not in told} == set()
    assert any(one.what == "drop.replayed" for one in exported.ledger)
    assert "look again" in told


def test_ids_of_rows_stay_at_home_unless_asked_for() -> None:
    world = World()
    world.publish()
    world.drop("2007.csv", csv(season(2007)))
    world.live()
    id = json.loads(world.ports.documents.get(gate_of(world)))["evidence"]["ids"][0]
    plain = exported_release.export(world.ports, "birds", 1)
    made = command.opened_from(plain)
    assert json.loads(plain.documents[gate_of(world)])["evidence"]["ids"] == [] and len(id) > 1
    assert made.proof is not None and made.proof.problems == ()
    assert Code.EXPORT_WITHOUT_IDS in {one.code for one in made.proof.unproven}
    assert all(one.same for one in evidence_replay.replay(made.ports, "birds", 1))
    whole = exported_release.export(world.ports, "birds", 1, with_ids=True)
    assert id in json.loads(whole.documents[gate_of(world)])["evidence"]["ids"]
    proof = command.opened_from(whole).proof
    assert proof is not None and Code.EXPORT_WITHOUT_IDS not in {one.code for one in proof.unproven}


def gate_of(world: World) -> str:
    return next(one.evidence for one in world.release(1).judgements if one.kind.value == "gate")


def test_what_looks_like_a_secret_in_a_definition_is_taken_out_and_said() -> None:
    source = f'source: {{url: "https://example.com/x.csv?sig={PLANTED}", every: "0 0 3 * * 1"}}'
    life = served(plan=LOOP.replace("target: species,", f"target: species, {source},"))
    assert PLANTED in life.real.documents.get(life.state.definition).decode()
    found = exported_release.export(life.real, "birds", 1)
    assert PLANTED not in found.to_text()
    made = command.opened_from(found)
    assert made.proof is not None and made.proof.problems == ()
    assert Code.EXPORT_REDACTED in {one.code for one in made.proof.unproven}
    assert all(one.same for one in evidence_replay.replay(made.ports, "birds", 1))


# --- sizes, and releases of every kind -------------------------------------------------------------


def test_a_large_canary_leaves_out_its_observations_first_and_says_so(
    life: Life, exported: ExportedRelease, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {digest: exported_release.size_bytes(text) for digest, text in exported.documents.items()}
    decided = {one.evidence for one in life.release(2).judgements} | {life.release(2).definition}
    monkeypatch.setattr(exported_release, "MOST_DOCUMENT_BYTES", sum(sizes[one] for one in decided))
    found = exported_release.export(life.real, "birds", 2)
    assert set(found.documents) == decided and found.left_out
    made = command.opened_from(found)
    assert made.proof is not None and made.proof.problems == ()
    assert Code.EXPORT_LEFT_OUT in {one.code for one in made.proof.unproven}
    again = evidence_replay.replay(made.ports, "birds", 2)
    missing = {one.judgement.evidence for one in again if not one.same}
    assert missing == set(found.left_out)

    monkeypatch.setattr(exported_release, "MOST_DOCUMENT_BYTES", sizes[life.release(2).definition])
    short = command.opened_from(exported_release.export(life.real, "birds", 2))
    assert short.proof is not None
    page = exported_page.write(
        exported_release.export(life.real, "birds", 2), short.ports, short.proof
    ).decode()
    assert "is not in the exported file" in page, "the page shows what it has, and says what it lacks"


def test_a_release_with_too_many_entries_is_cut_and_says_so(
    life: Life, exported: ExportedRelease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exported_release, "MOST_ENTRIES", 5)
    made = command.opened_from(exported_release.export(life.real, "birds", 2))
    assert made.proof is not None and made.proof.problems == ()
    assert made.proof.last < exported.ledger[-1].seq
    assert Code.EXPORT_CUT in {one.code for one in made.proof.unproven}


def test_an_open_release_is_exported_as_it_stands(tmp_path: Path) -> None:
    life = canaried()
    place = written(tmp_path / "x.html", exported_release.export(life.real, "birds", 2))
    told = run("explain", place)
    assert told.exit_code == 0 and "canary since" in told.output
    assert "is a canary under live traffic" in Path(place).read_text()


def test_a_release_that_nobody_knows_is_not_found(life: Life) -> None:
    with pytest.raises(ConfigurationError, match="no release 9"):
        exported_release.export(life.real, "birds", 9)


# --- files that are none ---------------------------------------------------------------------------


def newer(content: Content) -> None:
    content["format"] = exported_release.FORMAT + 1


def newer_rows(content: Content) -> None:
    content["entries"][0]["schema"] = rows.SCHEMA + 1


def deep(content: Content) -> None:
    nested: object = 1
    for _ in range(400):
        nested = [nested]
    content["release"] = {"schema": rows.SCHEMA, "content": nested}


def elsewhere(content: Content) -> None:
    content["loop"] = content["release"]["content"]["loop"] = "../../etc"


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (newer, Code.EXPORT_NEWER),
        (newer_rows, Code.EXPORT_NEWER),
        (deep, Code.EXPORT_UNREADABLE),
        (elsewhere, Code.EXPORT_UNREADABLE),
        (lambda content: content.update(number=3), Code.EXPORT_UNREADABLE),
        (lambda content: content.update(entries=[]), Code.EXPORT_UNREADABLE),
        (lambda content: content.update(documents={"a": "\ud800"}), Code.EXPORT_UNREADABLE),
        (lambda content: content["entries"][0]["content"].update(seq="x"), Code.EXPORT_UNREADABLE),
        (lambda content: content.pop("release"), Code.EXPORT_UNREADABLE),
    ],
)
def test_a_file_of_another_shape_is_refused_in_one_line(
    tmp_path: Path, exported: ExportedRelease, edit: Edit, code: Code
) -> None:
    place = written(tmp_path / "x.html", exported, edit)
    with pytest.raises(ConfigurationError) as error:
        command.opened(place)
    assert error.value.code is code and place in str(error.value) and "\n" not in str(error.value)


def test_a_file_that_was_cut_off_anywhere_is_refused(tmp_path: Path, exported: ExportedRelease) -> None:
    place = tmp_path / "x.html"
    whole = Path(written(place, exported)).read_bytes()
    ends = whole.rindex(exported_page.ENDS.encode())
    for length in (0, 1, len(whole) // 2, ends - 1, ends, ends + 3):
        place.write_bytes(whole[:length])
        with pytest.raises(ConfigurationError) as error:
            command.opened(str(place))
        assert error.value.code is Code.EXPORT_UNREADABLE, length


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe",
        b"<html></html>",
        f"{exported_page.BEGINS}{'[' * 200_000}{exported_page.ENDS}".encode(),
        f"{exported_page.BEGINS}{{}}{exported_page.ENDS}".encode(),
        f"{exported_page.BEGINS}[1]{exported_page.ENDS}".encode(),
        f'{exported_page.BEGINS}{{"format": {"9" * 5000}}}{exported_page.ENDS}'.encode(),
    ],
    ids=["bytes", "a page", "brackets", "empty", "a list", "digits"],
)
def test_what_is_no_file_of_ours_is_refused(tmp_path: Path, content: bytes) -> None:
    place = tmp_path / "x.html"
    place.write_bytes(content)
    with pytest.raises(ConfigurationError) as error:
        command.opened(str(place))
    assert error.value.code is Code.EXPORT_UNREADABLE


def test_a_file_that_is_not_there_too_large_or_a_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exported: ExportedRelease
) -> None:
    for place in (tmp_path / "none.html", tmp_path):
        with pytest.raises(ConfigurationError, match="there is no file"):
            command.content(place)
    monkeypatch.setattr(command, "LARGEST_FILE_BYTES", 1024)
    with pytest.raises(ConfigurationError, match="larger than"):
        command.opened(written(tmp_path / "x.html", exported))


def test_a_reason_of_an_unknown_code_is_a_newer_driftloop_s(
    tmp_path: Path, exported: ExportedRelease
) -> None:
    """Codes are stored; one that this version does not know makes the row unreadable, not the program fall."""

    def edit(content: Content) -> None:
        content["release"]["content"]["reason"] = {"code": "from-the-future", "facts": {}, "because": []}

    with pytest.raises(ConfigurationError, match="cannot be read as Release"):
        command.opened(written(tmp_path / "x.html", exported, edit))


def test_a_document_that_was_lost_is_a_finding_not_the_end(life: Life) -> None:
    found = exported_release.export(life.real, "birds", 2)
    digest = next(one.evidence for one in life.release(2).judgements if one.kind.value == "gate")
    kept = {key: text for key, text in found.documents.items() if key != digest}
    made = command.opened_from(replace(found, documents=kept))
    assert made.proof is not None
    assert Code.AUDIT_DOCUMENT in {one.code for one in made.proof.problems}
