"""The Store in memory: transactions, ETags, claims and wakes as Table Storage keeps them."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared.domain.loop import Overview
from shared.errors import Conflict
from shared.port_rules import LONGEST_CLAIM, check_changes, check_key, check_loop, check_overview
from shared.ports import Change, Delete, Insert, Replace, Row
from shared.state import rows as stored


@dataclass(frozen=True)
class _Line:
    overview: Overview
    woken: int = 0
    claimed_by: str = ""
    claimed_until: datetime | None = None


class MemoryStore:
    """`rows[loop][key]` may be read, and spoiled, by tests."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Row]] = {}
        self._lines: dict[str, _Line] = {}
        self._unrouted: dict[str, Row] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()

    def read(self, loop: str, key: str) -> Row | None:
        check_key(key)
        with self._lock:
            return self.rows.get(loop, {}).get(key)

    def range(self, loop: str, prefix: str, *, after: str = "", limit: int = 1000) -> list[Row]:
        with self._lock:
            rows = self.rows.get(loop, {})
            keys = sorted(key for key in rows if key.startswith(prefix) and key > after)
            return [rows[key] for key in keys[:limit]]

    def commit(self, loop: str, changes: Sequence[Change]) -> dict[str, str]:
        check_changes(changes)
        etags: dict[str, str] = {}
        with self._lock:
            rows = self.rows.setdefault(check_loop(loop), {})
            for change in changes:
                self._check(rows, change)
            for change in changes:
                if isinstance(change, Delete):
                    rows.pop(change.key, None)
                else:
                    etags[change.key] = self._etag()
                    rows[change.key] = Row(change.key, change.doc, etags[change.key])
        return etags

    def _check(self, rows: dict[str, Row], change: Change) -> None:
        row = rows.get(change.key)
        if isinstance(change, Insert) and row is not None:
            raise Conflict(f"Row {change.key} exists already. Read it again and decide again.")
        if isinstance(change, Replace) and (row is None or row.etag != change.etag):
            raise Conflict(f"Row {change.key} changed since it was read. Read it again and decide again.")

    def _etag(self) -> str:
        return f"e{next(self._numbers)}"

    def loop_after(self, loop: str) -> str:
        with self._lock:
            return min((name for name, rows in self.rows.items() if rows and name > loop), default="")

    def overviews(self, due_before: datetime | None = None) -> list[Overview]:
        with self._lock:
            found = [self._lines[loop].overview for loop in sorted(self._lines)]
        if due_before is None:
            return found
        return [one for one in found if one.due_at is not None and one.due_at <= due_before]

    def overview(self, loop: str) -> Overview | None:
        with self._lock:
            line = self._lines.get(check_loop(loop))
            return line.overview if line else None

    def describe(self, overview: Overview) -> None:
        check_overview(overview.loop, stored.encode(overview))
        with self._lock:
            line = self._line(overview.loop)
            kept = line.overview
            described = replace(
                overview, due_at=kept.due_at, run_asked=kept.run_asked, swept_at=kept.swept_at
            )
            self._lines[overview.loop] = replace(line, overview=described)

    def wake(self, loop: str, at: datetime) -> None:
        with self._lock:
            line = self._line(loop)
            self._lines[loop] = replace(
                line, overview=replace(line.overview, due_at=at), woken=next(self._numbers)
            )

    def swept(self, loop: str, at: datetime) -> None:
        with self._lock:
            line = self._line(loop)
            self._lines[loop] = replace(line, overview=replace(line.overview, swept_at=at))

    def ask_run(self, loop: str, now: datetime) -> str:
        with self._lock:
            overview = self._line(loop).overview
            if overview.run_asked:
                return ""
            self.wake(loop, min(now, overview.due_at or now))
            line, token = self._line(loop), self._etag()
            self._lines[loop] = replace(line, overview=replace(line.overview, run_asked=token))
            return token

    def claim(self, loop: str, holder: str, now: datetime, until: datetime) -> str | None:
        with self._lock:
            line = self._line(loop)
            held = line.claimed_until is not None and now < line.claimed_until <= now + LONGEST_CLAIM
            if held and line.claimed_by != holder:
                return None
            begun = replace(line.overview, run_asked="")
            self._lines[loop] = replace(line, overview=begun, claimed_by=holder, claimed_until=until)
            return f"{line.woken} {holder}"

    def settle(self, loop: str, token: str, due_at: datetime | None) -> bool:
        woken, holder = token.split(" ", 1)
        with self._lock:
            line = self._line(loop)
            if line.claimed_by != holder:
                return False
            settled = str(line.woken) == woken
            due_at = due_at if settled else line.overview.due_at
            overview = replace(line.overview, due_at=due_at, run_asked="")
            self._lines[loop] = replace(line, overview=overview, claimed_by="", claimed_until=None)
            return settled

    def _line(self, loop: str) -> _Line:
        return self._lines.get(check_loop(loop)) or _Line(Overview(loop=loop, landing=""))

    def record_unrouted(self, key: str, doc: str) -> None:
        check_key(key)
        with self._lock:
            self._unrouted[key] = Row(key, doc, self._etag())

    def unrouted(self, limit: int = 100) -> list[Row]:
        with self._lock:
            return [self._unrouted[key] for key in sorted(self._unrouted)][:limit]
