"""What a loop's source has is landed like any drop, once an occurrence; that it has nothing new is recorded.

The bytes go to the landing prefix as they came (a JSON list of rows becomes CSV), under the occurrence's date, and
from there the ordinary way: no second way in. A download that fails is tried again by later ticks, further and
further apart; nothing waits in a function.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from shared import deadline, source_url
from shared.domain.loop import SourceState
from shared.domain.reason import Code, Reason, reason
from shared.errors import DependencyUnavailable, DriftloopError, InputRejected
from shared.inbox import recorder
from shared.inbox.blob_events import Landed
from shared.redaction import reason_of
from shared.retraining import cron
from shared.runtime.unit_of_work import Unit
from shared.state.hash_chain import Draft

if TYPE_CHECKING:
    from shared.loopfile import Definition, Source
    from shared.ports import Fetched

MOST_FAILURES = 8
"""Downloads that fail in a row before the loop waits for the next occurrence."""

FIRST_PAUSE = timedelta(seconds=15)
LONGEST_PAUSE = timedelta(hours=1)


def fetch(current: Unit) -> bool:
    """Answer the newest occurrence of `data.source.every`; True when something was done about it."""
    definition = current.published().definition
    source = definition.data.source
    if source is None:
        return False
    now = current.ports.clock.now()
    due = _due(source, current.state.source, now)
    if due is None:
        return False
    url = _address(source, current.state.source, due)
    known = _of_this_address(current.state.source, url)
    if now < (known.again_at or now):
        return False
    try:
        fetched = current.ports.sources.fetch(
            url,
            etag=known.etag,
            modified=known.modified,
            limit_bytes=int(definition.data.limits.max_size_mb * 1024 * 1024),
            timeout_s=deadline.left_s(source.timeout.total_seconds()),
        )
        _take(current, definition, source, known, fetched, due)
    except DependencyUnavailable as error:
        _failed(current, source, known, due, error)
    except InputRejected as error:
        _given_up(current, source, known, due, error, known.failures + 1)
    return True


def _address(source: Source, known: SourceState, due: datetime) -> str:
    """The days in it are those of the occurrence that is answered and of the one before it; who asks for the first time
    asks between two, and has the last whole span."""
    before = cron.last_before(source.every, due)
    since = before if known.answered_at else cron.last_before(source.every, before)
    return source_url.filled(source.url, source.values, due, since)


def _of_this_address(known: SourceState, url: str) -> SourceState:
    """What is known, without what was said of another address: of another day, or the loop was published with it."""
    address = hashlib.sha256(url.encode()).hexdigest()[:16]
    if known.address == address:
        return known
    return replace(known, etag="", modified="", failures=0, again_at=None, address=address)


def _due(source: Source, known: SourceState, now: datetime) -> datetime | None:
    """The occurrence to answer. A loop that has never asked its source asks at once: there is no model yet."""
    if known.answered_at is None:
        return now.replace(microsecond=0)
    newest = cron.last_before(source.every, now)
    return newest if newest > known.answered_at else None


def next_at(source: Source, known: SourceState, now: datetime) -> datetime:
    """When a tick has to look at the source again."""
    if (due := _due(source, known, now)) is not None:
        return _of_this_address(known, _address(source, known, due)).again_at or now
    return cron.next_after(source.every, now) + timedelta(seconds=1)


def _take(
    current: Unit,
    definition: Definition,
    source: Source,
    known: SourceState,
    fetched: Fetched,
    due: datetime,
) -> None:
    known = replace(known, answered_at=due, failures=0, again_at=None)
    if fetched.unchanged:
        _unchanged(current, source, known)
        return
    digest = hashlib.sha256(fetched.content).hexdigest()
    known = replace(known, etag=fetched.etag[:1024], modified=fetched.modified[:128])
    if digest == known.content:
        _unchanged(current, source, known)
        return
    content = as_csv(fetched, source.records)
    container, _, prefix = definition.data.landing.partition("/")
    name = f"{prefix}{due:%Y-%m-%dT%H%M%SZ}.{'parquet' if content[:4] == b'PAR1' else 'csv'}"
    blob = current.ports.blobs.upload(container, name, content)
    overview = current.ports.store.overview(current.loop)
    assert overview is not None  # publishing writes it before the loop
    recorder.land(current.ports, overview, Landed(container, name, blob.etag, ""))
    detail: dict[str, str | Reason] = {
        "bytes": str(len(fetched.content)),
        "sha256": digest,
        "landed": f"{container}/{name}",
    }
    told = _told(source, "source.fetched", due, {**detail, "etag": fetched.etag[:200]})
    current.commit(replace(current.state, source=replace(known, content=digest)), [told])


def _unchanged(current: Unit, source: Source, known: SourceState) -> None:
    assert known.answered_at is not None
    told = _told(source, "source.unchanged", known.answered_at, {"reason": reason(Code.SOURCE_UNCHANGED)})
    current.commit(replace(current.state, source=known), [told])


def _failed(
    current: Unit, source: Source, known: SourceState, due: datetime, error: DependencyUnavailable
) -> None:
    now, failures = current.ports.clock.now(), known.failures + 1
    if failures >= MOST_FAILURES:
        _given_up(current, source, known, due, error, failures)
        return
    pause = min(FIRST_PAUSE * 2 ** (failures - 1), LONGEST_PAUSE)
    again_at = now + max(pause, min(timedelta(seconds=error.retry_after_s or 0), LONGEST_PAUSE))
    detail = {"reason": reason_of(error), "again_at": again_at.isoformat()}
    told = _told(source, "source.failed", due, detail)
    current.commit(
        replace(current.state, source=replace(known, failures=failures, again_at=again_at)), [told]
    )


def _given_up(
    current: Unit, source: Source, known: SourceState, due: datetime, error: DriftloopError, failures: int
) -> None:
    known = replace(known, answered_at=due, failures=0, again_at=None)
    why = reason(Code.SOURCE_GIVEN_UP, reason_of(error), failures=failures)
    told = _told(source, "source.given_up", due, {"reason": why})
    current.commit(replace(current.state, source=known), [told])


def _told(source: Source, what: str, due: datetime, detail: Mapping[str, str | Reason]) -> Draft:
    """The host only: the rest of an address may hold a key."""
    host = urlsplit(source.url).hostname or ""
    return Draft(what, f"source {host}", "driftloop", f"source-{due.isoformat()}", detail=detail)


def as_csv(fetched: Fetched, records: str) -> bytes:
    """The rows as they came, or, for JSON, its list of flat objects as CSV; InputRejected for anything else."""
    head = fetched.content.lstrip()[:1]
    is_json = "json" in fetched.kind or (head in (b"[", b"{") and "csv" not in fetched.kind)
    if not is_json:
        return fetched.content
    try:
        found = json.loads(fetched.content)
    except (ValueError, RecursionError) as error:
        raise InputRejected("source-not-json", f"the source's JSON cannot be read: {error}") from error
    for key in filter(None, records.split(".")):
        found = found.get(key) if isinstance(found, dict) else None
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        where = f"at {records!r}" if records else "at its top"
        raise InputRejected(
            "source-no-rows",
            f"the source's JSON has no list of rows {where}; say where in `data.source.records`",
        )
    return _written(found)


def _written(rows: list[dict[str, object]]) -> bytes:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        values = [row.get(name) for name in columns]
        if any(isinstance(value, list | dict) for value in values):
            raise InputRejected(
                "source-nested", "a row of the source's JSON holds lists or objects; rows must be flat"
            )
        writer.writerow(["" if value is None else value for value in values])
    return text.getvalue().encode()
