"""Files that cannot be used are told by `driftloop status`, and never keep a good one from its way."""

from __future__ import annotations

import json

import pytest
from azure.identity import DefaultAzureCredential
from azure.storage.queue import QueueClient

from shared.domain.reason import Code
from shared.inbox import messages, unrouted
from tests.acceptance.conftest import PATIENCE_S, App, season
from tests.patience import until

OBSERVED = "mode=observe"  # nothing is trained here that no test looks at


def test_three_bad_files_are_quarantined_and_the_next_good_one_is_trained_on(app: App) -> None:
    app.publish("bad")
    app.drop("bad", "empty.csv", b"")
    app.drop("bad", "wrong.parquet", b"PARQUET? no: these bytes are no Parquet file at all")
    app.drop("bad", "no-target.csv", season(2007).drop(columns="species"))
    app.drop("bad", "2007.csv", season(2007))
    app.wait("bad", lambda s: bool(s["releases"]) and len(s["set_aside"]) == 3)
    abort = {"release": 1, "reason": "no test looks at its model"}
    app.ports.queue.put(messages.act_message("abort", "bad", abort, "a test"))
    told = app.run("status", "bad").stdout
    for name, code in (
        ("empty.csv", "empty-file"),
        ("wrong.parquet", "not-parquet"),
        ("no-target.csv", "missing-target"),
    ):
        assert any(name in line and code in line for line in told.splitlines()), told


def test_a_folder_of_parts_is_one_version_when_success_lands(app: App) -> None:
    app.publish("parts", OBSERVED)
    birds, folder = season(2008), app.folder / "2008"
    folder.mkdir()
    birds.iloc[:60].to_csv(folder / "part-0.csv", index=False)
    birds.iloc[60:].to_csv(folder / "part-1.csv", index=False)
    app.run("drop", "parts", str(folder))
    status = app.wait("parts", lambda s: bool(s["versions"]) and s["versions"][0]["state"] == "judged")
    assert [version["rows"] for version in status["versions"]] == [len(birds)]


def test_a_folder_is_one_version_by_its_quiet_time_and_by_its_manifest(app: App) -> None:
    """By the events of the local Azure and the tick of its Functions host, with nobody who says that it is the end."""
    app.publish("quiet", OBSERVED, "data.complete={quiet: 10s}")
    app.publish("manifest", OBSERVED, "data.complete={manifest: manifest.json}")
    birds, folder = season(2008), app.folder / "parted"
    folder.mkdir()
    for number, part in enumerate((birds.iloc[:60], birds.iloc[60:])):
        app.drop("quiet", f"2008/part-{number}.csv", part)
        part.to_csv(folder / f"part-{number}.csv", index=False)
    app.run("drop", "manifest", str(folder))
    for loop in ("quiet", "manifest"):
        status = app.wait(loop, lambda s: bool(s["versions"]) and s["versions"][0]["state"] == "judged")
        assert [version["rows"] for version in status["versions"]] == [len(birds)]
    app.drop("quiet", "2008/part-2.csv", birds.iloc[:9])
    told = app.wait("quiet", lambda s: bool(s["set_aside"]))
    assert told["set_aside"][0]["reason"]["code"] == "late-file"


def test_a_message_that_no_function_is_ever_given_is_kept_by_the_sweep(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its key takes the place of the trigger's metadata, whose converter raises (WebJobs' QueueTriggerBinding)."""
    settings = app.azure.environment("app")
    for variable, value in settings.items():
        monkeypatch.setenv(variable, value)
    identity = DefaultAzureCredential()
    uri, name = settings["DRIFTLOOP_STORAGE__queueServiceUri"], settings["DRIFTLOOP_QUEUE"]
    with (
        QueueClient(uri, name, credential=identity) as queue,
        QueueClient(uri, f"{name}-poison", credential=identity) as poison,
    ):
        queue.send_message(json.dumps({"NextVisibleTime": {}, "why": "unbindable"}))
        until(lambda: any("unbindable" in row.doc for row in app.ports.store.unrouted()), PATIENCE_S)
        left = [each.peek_messages() for each in (queue, poison)]
    reasons = [event.reason for _, event in unrouted.newest(app.ports, 100)]
    assert [why.facts["keys"] for why in reasons if why.code is Code.POISON_TAKEN_NAMES] == [
        "nextvisibletime"
    ]
    assert left == [[], []]
