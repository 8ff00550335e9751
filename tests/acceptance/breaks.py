"""Ways to break a running loop, each with what is said about it within a minute: docs/broken-loops.md is made of this.

`python -m tests.acceptance.breaks` writes the document; test_breaks.py does each of them to a loop on the local Azure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "broken-loops.md"
LOOP = "night"


@dataclass(frozen=True)
class Break:
    """One thing that is broken. What is to be said is a part of the text, word for word."""

    name: str
    how: str
    """The method of `Night` that does it; what it returns is what the command said."""
    do: str
    status: str = ""
    """Of `driftloop status` or `driftloop status LOOP`."""
    page: str | None = None
    """Of the loop's page or the overview; None: as status says."""
    doctor: tuple[str, str] = ("", "")
    """The finding and a part of its text."""
    command: str = ""
    """Of the command itself, where a person gives a wrong one."""
    undo: str = ""
    by_sweep: bool = False
    """Whether status and page know it from the sweep alone."""

    @property
    def on_page(self) -> str:
        return self.status if self.page is None else self.page


def _same(name: str, how: str, text: str, do: str, undo: str = "") -> Break:
    return Break(name, how, do, status=text, doctor=(f"loop {LOOP}", text), undo=undo)


_RESTORE = "`driftloop restore night`"
SERVING: tuple[Break, ...] = (
    _same(
        "all traffic is taken away",
        "take_traffic",
        "nobody is served: no deployment of endpoint night has traffic",
        _RESTORE,
        "give_traffic",
    ),
    _same(
        "all traffic is given to a deployment of somebody's own",
        "move_traffic",
        "traffic was changed from outside to mine 100 %",
        f"{_RESTORE}, or, where that is meant, `driftloop resume night` once the sweep has adopted it",
        "give_traffic",
    ),
    _same(
        "the live deployment is updated to another model",
        "swap_model",
        "deployment r1-a1 of endpoint night serves another model (stranger:1) than release 1",
        f"{_RESTORE}; then delete the other deployment",
    ),
    _same(
        "the live deployment is deleted",
        "delete_deployment",
        "nobody is served: deployment r1-a1 of endpoint night is gone",
        _RESTORE,
    ),
    replace(
        _same(
            "the endpoint is deleted",
            "delete_endpoint",
            "nobody is served: endpoint night is gone",
            _RESTORE,
        ),
        doctor=("endpoint night", "does not exist"),
    ),
)


def _unused(name: str, how: str, file: str) -> Break:
    said = "the same content as version 1"
    return Break(name, how, "nothing", f"landing/night/{file} same-content {said}", page=said)


_LAND = "land the mended file; where the loop file was wrong, publish it and `driftloop read-again`"
DROPS: tuple[Break, ...] = (
    _unused("the same file is dropped twice", "drop_twice", "2007.csv"),
    _unused("a file is renamed and dropped again", "drop_renamed", "again.csv"),
    Break("a picture is dropped", "drop_picture", _LAND, "'night/photo.csv' is not UTF-8"),
    Break("an empty file is dropped", "drop_empty", _LAND, "'night/empty.csv' has 0 bytes"),
    Break(
        "a drop lacks the target", "drop_without_target", _LAND, "there is no column 'species' (data.target)"
    ),
    Break("a column is renamed", "rename_column", _LAND, "'mass' may be 'body_mass_g' renamed"),
    Break(
        "a folder is dropped and not ended",
        "drop_half_a_folder",
        "write `_SUCCESS` into it, last",
        page="",
        doctor=("folders of night", "1 folders below landing/night/ have no _SUCCESS, for example half/"),
    ),
    Break(
        "a drop lands where no loop listens",
        "drop_elsewhere",
        "publish the loop, or land it at the right place",
        "landing/nobody/x.csv is neither below a loop's `data.landing` nor below a loop's `data.labels`",
        doctor=("unrouted", "belong to no loop"),
    ),
    Break(
        "labels have ids that nothing was predicted for, or come before its answers are collected",
        "label_strangers",
        "land the labels again, with the ids that were sent to the endpoint",
        page="2 labels match 0 of 0 collected predictions",
    ),
    Break(
        "labels have other columns",
        "label_without_target",
        _LAND,
        "labels/night/columns.csv",
    ),
    Break(
        "the queue is filled with rubbish",
        "fill_queue",
        "find who writes into it: only Event Grid and the app should have the role",
        "the event is not JSON",
        doctor=("unrouted", "belong to no loop"),
    ),
    Break(
        "a message lies in the poison queue",
        "poison",
        "nothing: the sweep keeps it with its reason and tries it once more",
        "handling this event failed five times",
        by_sweep=True,
    ),
)

_PROVISION = "`azd provision`"
PLATFORM: tuple[Break, ...] = (
    Break(
        "the queue of events is deleted",
        "delete_queue",
        f"{_PROVISION}; the sweep finds the drops meanwhile",
        page="",
        doctor=("queue", "queue driftloop-events does not exist"),
        undo="make_queue",
    ),
    Break(
        "the container of drops is deleted",
        "delete_landing",
        _PROVISION,
        "the sweep cannot look after this loop: Listing blobs on container 'landing' was refused",
        by_sweep=True,
        doctor=("container landing", "does not exist"),
        undo="make_landing",
    ),
    Break(
        "the container of data versions is deleted",
        "delete_versions",
        f"{_PROVISION}, then its blobs from soft delete",
        page="",
        doctor=("container versions", "does not exist"),
        undo="make_versions",
    ),
    Break(
        "a cluster that trains is deleted",
        "delete_cluster",
        "make it again, or change `train.compute` and publish",
        page="",
        doctor=("compute of second", "the workspace has no compute gone"),
        undo="forget_second",
    ),
    Break(
        "a role on the topic is taken from the app",
        "take_topic_role",
        _PROVISION,
        page="",
        doctor=("identity app", "it does not have the role 'EventGrid Data Sender' on topic"),
        undo="give_roles",
    ),
)

TRAINING: tuple[Break, ...] = (
    Break(
        "the rows of a version are deleted, and it is trained on",
        "train_on_nothing",
        "the blobs from soft delete, then `driftloop abort`, `driftloop retrain`",
        "The training rows of version 1 of loop night are gone",
        undo="bring_rows_back",
    ),
    Break(
        "the app loses its role on Azure ML, and is to train",
        "train_without_role",
        _PROVISION,
        "Give the identity that Driftloop runs as the role 'AzureML Data Scientist' on it",
        doctor=("identity app", "it does not have the role 'AzureML Data Scientist' on workspace"),
        undo="abort_and_give_roles",
    ),
)

ROWS: tuple[Break, ...] = (
    Break(
        "an entry of the ledger is edited",
        "edit_ledger",
        "`driftloop audit night`; restore the table's row",
        page="",
        doctor=("ledger of night", "ledger entry 1 (loop.published) was changed after it was written"),
        undo="mend_rows",
    ),
    Break(
        "the loop's row is edited",
        "edit_row",
        "restore the table's row",
        "this loop is stopped: row loop is not a Driftloop document",
        page="row loop is not a Driftloop document",
        by_sweep=True,
        doctor=("loop night", "row loop is not a Driftloop document"),
        undo="mend_rows",
    ),
    Break(
        "the table is deleted",
        "delete_table",
        "restore the table, or `azd provision` and publish the loops again",
        "was refused (404 TableNotFound). It does not exist",
        doctor=("table", "was refused (404 TableNotFound). It does not exist"),
        undo="make_table",
    ),
)


def _refused(name: str, how: str, text: str, do: str = "nothing", undo: str = "") -> Break:
    return Break(name, how, do, page="", command=text, undo=undo)


ACTS: tuple[Break, ...] = (
    _refused(
        "a release is approved that is not open, or a second time",
        "approve",
        "release 1 of night is not open",
    ),
    _refused(
        "a release is rolled back whose old deployment is gone",
        "roll_back",
        "release 1 of night is not open",
        "`driftloop rollback night --to N` goes back to any that was live",
    ),
    _refused(
        "the loop is to go back to what serves", "go_back", "nothing to do: model night:1 serves already"
    ),
    _refused(
        "what serves is restored", "restore", "restore does nothing: r1-a1 of release 1 has all traffic"
    ),
    _refused("a model is released that does not exist", "release", "model nope:1 does not exist"),
    _refused(
        "a loop is paused twice", "pause_twice", "pause does nothing: night is already paused", undo="resume"
    ),
    _refused("a loop is named that does not exist", "retrain_nowhere", "there is no loop 'nowhere'"),
    _refused(
        "a loop is published that listens where another does",
        "share_landing",
        "`data.landing` landing/night/ overlaps landing/night/ of loop night",
        "choose another prefix",
    ),
    _refused(
        "a loop is published with another's endpoint",
        "share_endpoint",
        "endpoint night belongs to loop night",
        "give it its own `serve.endpoint`",
    ),
    _refused(
        "a schedule names a time zone",
        "schedule_in_a_zone",
        "retrain.schedule",
        "write it in UTC: six fields",
    ),
)

STOPPED: tuple[Break, ...] = (
    Break(
        "the app is stopped",
        "stop_app",
        "start it; what was asked for is on record and is done then",
        page="",
        command="not taken up within",
        doctor=("loop night", "the tick does not run"),
    ),
)

ROUNDS: tuple[tuple[Break, ...], ...] = (
    ACTS,
    DROPS,
    PLATFORM,
    *((one,) for one in TRAINING),
    *((one,) for one in ROWS),
    *((one,) for one in SERVING),
    STOPPED,
)
"""What is broken at the same time; the last ones leave nothing to break."""


BREAKS = tuple(one for broken in ROUNDS for one in broken)

_HEAD = f"""# Ways to break a loop

What is said about each of {len(BREAKS)} things that somebody, or something, does to a loop `night` that is live, within
a minute of it. In `make soak`, `tests/acceptance/test_breaks.py` does each to a running loop on the local Azure, by
Azure's own clients, and looks at `driftloop status`, the pages and `driftloop doctor`; this page is made from its
table. A dash is silence: there the loop goes on, or another place says it.
[What to do when](operations.md#what-to-do-when) has every code.

Three things take longer on Azure than a minute:

- The overview, and `driftloop status` without a loop, say what the last **sweep** saw, ten minutes ago at most; so do
  the rows that say it here. A loop's own page, `driftloop status LOOP` and `driftloop doctor` ask the endpoint itself.
- That a **model answers nothing** is known from the traffic log, which is some minutes behind, and at the next sweep.
- That the **app is stopped** is a finding of `doctor` once work has waited for five minutes. A command that asks for
  something says it after a minute.
"""
_COLUMNS = "| what is broken | status | page | doctor | what to do |\n|---|---|---|---|---|\n"
_TITLES = {
    "Serving": SERVING,
    "Drops, labels and messages": DROPS,
    "Storage, roles and compute": PLATFORM,
    "Training": TRAINING,
    "State": ROWS,
    "Commands": ACTS,
    "The app": STOPPED,
}


def document() -> str:
    """docs/broken-loops.md."""
    parts = [_HEAD]
    for title, rows in _TITLES.items():
        parts.append(f"\n## {title}\n\n{_COLUMNS}")
        parts += [f"| {' | '.join(_cells(row))} |\n" for row in rows]
    return "".join(parts)


def _cells(row: Break) -> tuple[str, ...]:
    check, text = row.doctor
    said = f"the command: {row.command}" if row.command else row.status
    said = f"after the next sweep: {said}" if row.by_sweep else said
    page = "the same" if row.page is None and row.status else row.on_page
    same = "the same" if text and text == row.status else text
    return row.name, said or "—", page or "—", f"`{check}`: {same}" if check else "—", row.do


if __name__ == "__main__":
    DOCUMENT.write_text(document())
