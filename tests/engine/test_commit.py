"""Which commit a release was published from, by whom, and who pushed it: in ledger, audit, model, page and story."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from cli import commit
from cli.explain import release_story
from shared.audit import answer
from shared.audit.exported_release import export
from shared.loopfile.published import Commit
from shared.memory.exported_ports import exported_ports
from shared.words import say, spoken
from tests.engine.world import LOOP, World, csv, season
from tests.tower.tower import page, twin

CLEAN = Commit("c0ffee" * 6 + "c0ff", "Ann", "bob", dirty=False)
WORDS = "commit c0ffeec0ffee by Ann, pushed by bob"

SIGNED = """tree {tree}
author Jörg <j@example.com> 1700000000 +0000
committer Jörg <j@example.com> 1700000000 +0000
gpgsig -----BEGIN SSH SIGNATURE-----
 -----END SSH SIGNATURE-----

signed
"""


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", "-C", str(folder), *who, *arguments],  # noqa: S607
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


@pytest.fixture
def loop(tmp_path: Path) -> Path:
    """A repository with a loop in it, committed."""
    folder = tmp_path / "loops" / "birds"
    folder.mkdir(parents=True)
    (folder / "loop.yaml").write_text(LOOP)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "birds")
    return folder


def test_git_says_which_commit_the_folder_is_of_and_whether_it_was_changed(loop: Path) -> None:
    head = git(loop, "rev-parse", "HEAD")
    assert commit.of(loop, {}, overridden=False) == Commit(head, "Ann", dirty=False)
    assert commit.of(loop, {}, overridden=True) == Commit(head, "Ann", dirty=True), "--set is no part of it"
    (loop.parent / "README.md").write_text("another loop's")
    assert commit.of(loop, {}, overridden=False) == Commit(head, "Ann", dirty=False)
    (loop / "new.py").write_text("")
    assert commit.of(loop, {}, overridden=False) == Commit(head, "Ann", dirty=True)


def test_a_loop_that_git_ignores_is_in_no_commit(loop: Path) -> None:
    (loop.parent / ".gitignore").write_text("own\n")
    git(loop.parent, "add", ".")
    git(loop.parent, "commit", "-q", "-m", "ignore")
    own = loop.parent / "own"
    own.mkdir()
    (own / "loop.yaml").write_text(LOOP)
    assert commit.of(own, {}, overridden=False) == Commit(git(own, "rev-parse", "HEAD"), "Ann", dirty=True)


def test_what_a_person_set_in_git_changes_no_answer(loop: Path) -> None:
    """Signatures are shown before the format; untracked files are hidden; a log is in another encoding than ours."""
    tree, file = git(loop, "rev-parse", "HEAD^{tree}"), loop.parent.parent / "signed"
    file.write_text(SIGNED.format(tree=tree), encoding="utf-8")
    head = git(loop, "hash-object", "-t", "commit", "-w", str(file))
    git(loop, "reset", "-q", "--hard", head)
    for name, value in {
        "log.showSignature": "true",
        "i18n.logOutputEncoding": "ISO-8859-1",
        "status.showUntrackedFiles": "no",
    }.items():
        git(loop, "config", name, value)
    assert commit.of(loop, {}, overridden=False) == Commit(head, "Jörg", dirty=False)
    (loop / "new.py").write_text("")
    assert commit.of(loop, {}, overridden=False) == Commit(head, "Jörg", dirty=True)


@pytest.mark.parametrize(
    ("sha", "who"), [("GITHUB_SHA", "GITHUB_ACTOR"), ("BUILD_SOURCEVERSION", "BUILD_REQUESTEDFOR")]
)
def test_a_run_of_ci_says_who_pushed_and_only_of_what_it_checked_out(
    loop: Path, tmp_path_factory: pytest.TempPathFactory, sha: str, who: str
) -> None:
    head = git(loop, "rev-parse", "HEAD")
    assert commit.of(loop, {sha: head, who: "bob"}, overridden=False) == Commit(head, "Ann", "bob", False)
    assert commit.of(loop, {sha: "f" * 40, who: "bob"}, overridden=False) == Commit(head, "Ann", "", False)
    elsewhere = tmp_path_factory.mktemp("unversioned")
    found = commit.of(elsewhere, {sha: head, who: "bob"}, overridden=False)
    assert found == Commit(head, "", "bob", None)
    assert found and "is not known" in say(found.told)
    assert commit.of(elsewhere, {}, overridden=False) is None


def test_a_release_tells_its_commit_wherever_one_looks() -> None:
    world = World()
    world.publish(commit=CLEAN)
    world.drop("2007.csv", csv(season(2007)))
    world.live()
    served = answer.audit(world.ports, "birds").served
    assert served is not None and say(served.commit) == WORDS
    assert world.ports.training.models["birds", "1"].tags["driftloop.commit"] == CLEAN.id
    lines = release_story(world.ports, "birds", 1)[1]
    assert release_story(exported_ports(export(world.ports, "birds", 1)), "birds", 1)[1] == lines
    assert (lines[0][1], lines[0][2]) == ("loop.published (by ann)", f"commit: {WORDS}")
    assert twin(world.ports, "/loops/birds/releases/1")["commit"] == WORDS
    assert WORDS in page(world.ports, "/loops/birds/releases/1")
    assert WORDS in page(world.ports, "/loops/birds/audit")


def test_the_first_clean_commit_of_what_was_published_is_recorded_and_later_ones_change_nothing() -> None:
    world = World()

    def commits() -> list[str]:
        from shared.state import queries

        entries = queries.entries(world.ports, "birds")
        return [spoken(e.detail).get("commit", "none") for e in entries if e.what == "loop.published"]

    dirty, later = Commit("d" * 40, "Ann", dirty=True), Commit("e" * 40, "Ann", dirty=False)
    for one in (None, dirty, CLEAN, later, dirty, None):
        world.publish(commit=one)
    assert commits() == ["none", WORDS]
