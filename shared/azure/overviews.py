"""One row a loop says when to look at it, who is working on it, and whether a run is asked for: a claim that ends never
loses a wake."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from random import uniform
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import (
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
    ServiceResponseError,
)
from azure.data.tables import TableClient, TableEntity, UpdateMode

from shared import deadline
from shared.azure.failures import asking, code_of, must_be_absent
from shared.domain.loop import Overview
from shared.domain.reason import Code, reason
from shared.errors import Conflict
from shared.port_rules import LONGEST_CLAIM, check_loop, check_overview
from shared.ports import Row
from shared.redaction import reason_of
from shared.state import rows

ROLE = "Storage Table Data Contributor"

_PARTITION = "overview"
_ATTEMPTS = 12
_NEVER = ""

Line = dict[str, Any]
"""A stored overview. Times are ISO 8601 in UTC of one width, so that they compare as strings."""


class OverviewRows:
    """The part of `Store` that is about overviews. A claim and its end are merges under the ETag that was read."""

    def __init__(self, table: TableClient) -> None:
        self._table = table
        self._resource = f"table {table.table_name}"

    def overviews(self, due_before: datetime | None = None) -> list[Overview]:
        clauses = "PartitionKey eq @partition"
        if due_before is not None:
            clauses += " and due_at gt @never and due_at le @due"
        values = {"partition": _PARTITION, "never": _NEVER, "due": _text(due_before)}
        with asking("Reading overviews", self._resource, ROLE):
            return [_overview(line) for line in self._table.query_entities(clauses, parameters=values)]

    def overview(self, loop: str) -> Overview | None:
        with asking("Reading an overview", self._resource, ROLE):
            line = self._entity(_PARTITION, check_loop(loop))
        return _overview(line) if line is not None else None

    def describe(self, overview: Overview) -> None:
        loop = check_loop(overview.loop)
        with asking("Writing an overview", self._resource, ROLE):
            self._table.upsert_entity(_new(loop) | _described(overview), mode=UpdateMode.MERGE)

    def wake(self, loop: str, at: datetime) -> None:
        with asking("Waking a loop", self._resource, ROLE):
            self._note(loop, {"due_at": _text(at), "woken": uuid.uuid4().hex})

    def swept(self, loop: str, at: datetime) -> None:
        with asking("Noting a sweep", self._resource, ROLE):
            self._note(loop, {"swept_at": _text(at)})

    def _note(self, loop: str, what: Line) -> None:
        noted = _new(check_loop(loop)) | what
        try:
            self._table.upsert_entity(noted, mode=UpdateMode.MERGE)
        except ServiceResponseError:  # written or not; twice is as once
            self._table.upsert_entity(noted, mode=UpdateMode.MERGE)

    def ask_run(self, loop: str, now: datetime) -> str:
        mine, asked = uuid.uuid4().hex, ""

        def first(line: Line) -> Line | None:
            nonlocal asked
            asked = line.get("run_asked", "")
            due_at = min(line.get("due_at") or _text(now), _text(now))
            return None if asked else {"due_at": due_at, "woken": mine, "run_asked": mine}

        made = self._change(loop, first) or asked == mine  # after a lost reply what is there is ours
        return mine if made else ""

    def claim(self, loop: str, holder: str, now: datetime, until: datetime) -> str | None:
        woken = ""

        def claimed(line: Line) -> Line | None:
            nonlocal woken
            woken = line.get("woken", "")
            held = _text(now) < line.get("claimed_until", _NEVER) <= _text(now + LONGEST_CLAIM)
            if held and line.get("claimed_by") != holder:
                return None
            return {"claimed_by": holder, "claimed_until": _text(until), "run_asked": ""}

        try:
            return f"{woken} {holder}" if self._change(loop, claimed) else None
        except Conflict:
            return None

    def settle(self, loop: str, token: str, due_at: datetime | None) -> bool:
        woken, holder = token.split(" ", 1)
        settled = False

        def free(line: Line) -> Line | None:
            nonlocal settled
            settled = line.get("woken", "") == woken and line.get("claimed_by") == holder
            if line.get("claimed_by") != holder:
                return None
            freed = {"claimed_by": "", "claimed_until": _NEVER, "run_asked": ""}
            return freed | {"due_at": _text(due_at)} if settled else freed

        self._change(loop, free)
        return settled

    def _change(self, loop: str, change: Callable[[Line], Line | None]) -> bool:
        """Read, decide, write under the ETag; read again when somebody else wrote. False when nothing was to do."""
        check_loop(loop)
        with asking("Changing an overview", self._resource, ROLE):
            for attempt in range(_ATTEMPTS):
                line = self._entity(_PARTITION, loop)
                changes = change(line or {})
                if changes is None:
                    return False
                if self._merge(loop, line, changes):
                    return True
                time.sleep(deadline.left_s(uniform(0, 0.01 * 2 ** min(attempt, 6))))
        raise Conflict(f"The overview of loop {loop} changes all the time. Try again.")

    def _merge(self, loop: str, line: TableEntity | None, changes: Line) -> bool:
        try:
            if line is None:
                self._table.create_entity(_new(loop) | changes)
            else:
                self._table.update_entity(
                    _new(loop) | changes,
                    mode=UpdateMode.MERGE,
                    etag=line.metadata["etag"],
                    match_condition=MatchConditions.IfNotModified,
                )
        except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError) as error:
            if code_of(error) == "TableNotFound":
                raise
            return False
        except ServiceResponseError:
            return False  # written or not: reading it again shows, and every change may be made twice
        return True

    def _entity(self, partition: str, key: str) -> TableEntity | None:
        try:
            return self._table.get_entity(partition, key)
        except ResourceNotFoundError as error:
            must_be_absent(error)
            return None


def _new(loop: str) -> dict[str, Any]:
    return {"PartitionKey": _PARTITION, "RowKey": loop}


def _described(overview: Overview) -> dict[str, Any]:
    doc = rows.encode(replace(overview, due_at=None, run_asked="", swept_at=None))
    check_overview(overview.loop, doc)
    return {"doc": doc}


def _overview(line: Line) -> Overview:
    loop = line["RowKey"]
    doc = line.get("doc", "")
    described = Overview(loop, landing="")
    try:
        described = rows.decode(Overview, Row(f"overview {loop}", doc, "")) if doc else described
    except rows.Unreadable as error:  # of one loop, which stops none of the others
        stopped = reason(Code.LOOP_SET_ASIDE, reason_of(error))
        described = replace(described, needs_attention=stopped)
    due_at, swept_at = _moment(line.get("due_at", _NEVER)), _moment(line.get("swept_at", _NEVER))
    return replace(described, due_at=due_at, run_asked=line.get("run_asked", ""), swept_at=swept_at)


def _moment(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _text(at: datetime | None) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds") if at is not None else _NEVER
