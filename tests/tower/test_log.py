"""The logs of a release: the page, its twin and the command show the same, and none of them a secret."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

import cli
from shared.domain.release import JobLog
from shared.errors import DependencyUnavailable
from tests.engine.world import World
from tests.tower.tower import checked, page, twin

LOG = "user_logs/std_log.txt"
EPOCHS = "".join(f"epoch {n}\n" for n in range(900))
SECRET = "AccountKey=" + "k" * 44


@pytest.fixture
def printed(world: World) -> World:
    made = world.copy()
    release = made.release(2)
    made.ports.training.jobs[release.job].logs = (
        JobLog("split", "completed"),
        JobLog(
            "train",
            "failed",
            LOG,
            70_000,
            f"{EPOCHS}{SECRET}\n\x1b[2J\tend",
        ),
    )
    made.ports.serving.printed[release.deployment] = "ready\n<script>alert(1)</script>"
    return made


def test_steps_and_deployment_are_shown_with_their_last_lines(printed: World) -> None:
    found = twin(printed.ports, "/loops/birds/releases/2/log")
    split, train, container = found["logs"]
    assert (split["step"], split["told"], split["lines"]) == ("split", "completed, no log", [])
    assert train["failed"] and train["told"] == f"failed, {LOG}, 70,000 bytes"
    assert len(train["lines"]) == 50 and train["lines"][0] == "epoch 852"
    assert train["lines"][-1] == r"\x1b[2J    end" and SECRET not in str(found)
    assert container["step"] == printed.release(2).deployment
    html = page(printed.ports, "/loops/birds/releases/2/log?lines=9999")
    assert checked(html).found == [] and html.count("<li><code>") == 402 and "<script>alert" not in html
    assert "releases/2/log" in page(printed.ports, "/loops/birds/releases/2")


def test_long_lines_take_no_more_than_their_share_of_the_page(printed: World) -> None:
    job = printed.ports.training.jobs[printed.release(2).job]
    end = "\n".join(["x" * 900] * 36)  # 32 KB, as Azure ML's client reads of a log at most
    job.logs = tuple(JobLog(f"s{n}", "running", LOG, 9, end) for n in range(20))
    assert 20_000 < len(page(printed.ports, "/loops/birds/releases/2/log?lines=400")) < 200_000


def test_a_log_that_cannot_be_had_hides_no_other(printed: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(job: str) -> tuple[JobLog, ...]:
        raise DependencyUnavailable(f"the run history of {job} is away")

    monkeypatch.setattr(printed.ports.training, "logs", away)
    html = page(printed.ports, "/loops/birds/releases/2/log")
    assert "is away" in html and "alert(1)" in html


def test_a_release_that_has_begun_nothing_says_so(printed: World) -> None:
    from tests.tower.tower import get

    assert get(printed.ports, "/loops/birds/releases/99/log").status == 404
    printed.ports.training.jobs[printed.release(2).job].logs = ()
    printed.ports.serving.printed.clear()
    assert "Nothing has been printed yet" in page(printed.ports, "/loops/birds/releases/2/log")


def test_the_command_shows_one_step_of_the_newest_release(
    printed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.session.ports", lambda: printed.ports)
    shown = CliRunner().invoke(cli.app, ["log", "birds", "--step", "train", "--lines", "3"]).output
    assert shown.splitlines()[1] == "epoch 899" and SECRET not in shown and "\x1b" not in shown
    assert "ready" not in shown
    wrong = CliRunner().invoke(cli.app, ["log", "birds/2", "--step", "tram"])
    assert "it has split, train" in str(wrong.exception)
    document = json.loads(CliRunner().invoke(cli.app, ["log", "birds", "--json"]).output)
    assert document["release"] == 2 and [each["step"] for each in document["logs"]][:2] == ["split", "train"]
