"""Signals from outside are asked at each look of a canary's step; one that does not answer is no evidence, and told.

A query goes to the Log Analytics workspace under the app's own identity, an address is asked within the limits of every
download (public addresses, no foreign redirect). Both have little time and a small answer: numbers, no rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared import deadline
from shared.canary.live_counts import number
from shared.domain.reason import Code, Reason, reason
from shared.domain.release import Release
from shared.errors import DriftloopError
from shared.loopfile.signal import Signal
from shared.redaction import reason_of
from shared.release.machine import old_deployment
from shared.runtime.unit_of_work import Unit

if TYPE_CHECKING:
    from shared.canary.arms import SignalSeen
    from shared.canary.canary_judge import CanaryState
    from shared.canary.tolerance import SignalPolicy
    from shared.loopfile import Definition

MOST_BYTES = 64 * 1024
MOST_ROWS = 20
TIMEOUT_S = 10.0

Answer = Mapping[str, Mapping[str, object]]
"""By arm (canary, champion; both as a whole: empty), what it has by name: hits, total, value, until."""


class _Unfit(ValueError):
    """An answer of another shape than a signal's; the text names what is missing."""


def policies(definition: Definition) -> tuple[SignalPolicy, ...]:
    from shared.canary.tolerance import SignalPolicy

    return tuple(
        SignalPolicy(
            name=one.name,
            counted=one.kind == "counts",
            higher_is_better=one.better == "higher",
            margin=one.margin,
            limit=one.limit,
            needed=one.needed,
        )
        for one in definition.canary.signals
    )


def ask(
    unit: Unit,
    definition: Definition,
    release: Release,
    since: datetime,
    until: datetime | None,
    before: CanaryState,
) -> tuple[SignalSeen, ...]:
    """What each signal says of the span that the traffic log covers; nothing before that has any."""
    from shared.canary.arms import SignalSeen

    if until is None:
        early = reason(Code.EVIDENCE_INCOMPLETE)
        return tuple(SignalSeen(one.name, problem=early) for one in definition.canary.signals)
    arms = {"canary": release.deployment, "champion": old_deployment(release)}
    places = {
        **arms,
        "endpoint": definition.serve.endpoint,
        "since": f"{since:%Y-%m-%dT%H:%M:%SZ}",
        # The newest request lies in the span, and a second is the least that is written.
        "until": f"{until + timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}",
    }
    seen = (_asked(unit, one, places, since, until, arms) for one in definition.canary.signals)
    return tuple(_not_shrunk(one, before.signals.get(one.name, 0)) for one in seen)


def _asked(
    unit: Unit,
    signal: Signal,
    places: Mapping[str, str],
    since: datetime,
    until: datetime,
    arms: Mapping[str, str],
) -> SignalSeen:
    from shared.canary.arms import SignalSeen

    try:
        text = signal.asked(places)
        if signal.logs is not None:
            with deadline.within(TIMEOUT_S):
                rows = unit.ports.evidence.query(text, since, until, MOST_ROWS + 1)
            answer = _of_rows(rows, arms)
        else:
            fetched = unit.ports.sources.fetch(
                text, etag="", modified="", limit_bytes=MOST_BYTES, timeout_s=deadline.left_s(TIMEOUT_S)
            )
            answer = _of_json(fetched.content, signal.records, arms)
        return _counts(signal.name, answer) if signal.kind == "counts" else _value(signal.name, answer)
    except DriftloopError as error:
        return SignalSeen(signal.name, problem=reason_of(error))
    except _Unfit as unfit:
        return SignalSeen(signal.name, problem=reason(Code.SIGNAL_UNFIT, lacks=str(unfit)))


def _not_shrunk(seen: SignalSeen, before: int) -> SignalSeen:
    """Counts since the step began can only grow: of others nothing is promised."""
    if seen.canary is None or seen.total >= before:
        return seen
    shrank: Reason = reason(Code.SIGNAL_SHRANK, before=before, now=seen.total)
    return replace(seen, canary=None, champion=None, problem=shrank)


def _of_rows(rows: Sequence[Mapping[str, object]], arms: Mapping[str, str]) -> Answer:
    if len(rows) > MOST_ROWS:
        raise _Unfit(f"one row for each deployment: it has more than {MOST_ROWS}")
    whole = [row for row in rows if not row.get("deployment")]
    named = [(_arm(row["deployment"], arms), row) for row in rows if row.get("deployment")]
    parts = [("", row) for row in whole] + [(arm, row) for arm, row in named if arm]
    if rows and not parts:
        raise _Unfit("deployment, which is canary, champion or one of their names")
    if len(dict(parts)) < len(parts):
        raise _Unfit("one row for each deployment: it has several")
    return dict(parts)


def _of_json(content: bytes, records: str, arms: Mapping[str, str]) -> Answer:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        raise _Unfit("JSON") from None
    for key in filter(None, records.split(".")):
        found = found.get(key) if isinstance(found, dict) else None
    if isinstance(found, int | float):
        return {"": {"value": found}}
    if not isinstance(found, dict):
        raise _Unfit(f"an object or a number{f' at {records}' if records else ''}")
    parts = {_arm(key, arms): part for key, part in found.items() if _arm(key, arms)}
    if not parts:
        return {"": found}
    until = {"until": found["until"]} if "until" in found else {}
    return {arm: (part if isinstance(part, dict) else {"value": part}) | until for arm, part in parts.items()}


def _arm(named: object, arms: Mapping[str, str]) -> str:
    """The arm that an answer means: by its own word, or by its deployment's name; empty for neither."""
    word = str(named).casefold()
    return next((arm for arm, deployment in arms.items() if word in (arm, deployment.casefold())), "")


def _counts(name: str, answer: Answer) -> SignalSeen:
    from shared.canary.arms import SignalSeen

    counts = {}
    for arm in ("canary", "champion"):
        part = answer.get(arm, {"hits": 0, "total": 0})  # a deployment that has none yet has no row
        hits, total = _whole(part, "hits", arm), _whole(part, "total", arm)
        if hits > total:
            raise _Unfit(f"hits that are among the total: {hits} of {total} of the {arm}")
        counts[arm] = (hits, total)
    if set(answer) and not set(answer) & set(counts):
        raise _Unfit("the arms: canary and champion, or their deployments")
    return SignalSeen(name, counts["canary"], counts["champion"], until_at=_until(answer))


def _whole(part: Mapping[str, object], key: str, arm: str) -> int:
    value = part.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**63 or value % 1:
        raise _Unfit(f"{key} of the {arm}, a whole number from 0")
    return int(value)


def _value(name: str, answer: Answer) -> SignalSeen:
    from shared.canary.arms import SignalSeen

    values = {arm: number(part.get("value")) for arm, part in answer.items()}
    canary = values.get("canary", values.get(""))
    if canary is None:
        raise _Unfit("value, a number")
    return SignalSeen(
        name, canary_value=canary, champion_value=values.get("champion"), until_at=_until(answer)
    )


def _until(answer: Answer) -> datetime | None:
    """The earliest moment up to which a part is complete."""
    return min(_moments(answer), default=None)


def _moments(answer: Answer) -> Iterator[datetime]:
    for part in answer.values():
        given = part.get("until")
        if given is None:
            continue
        try:
            moment = given if isinstance(given, datetime) else datetime.fromisoformat(str(given))
        except ValueError:
            raise _Unfit("until, a time as ISO 8601 writes it") from None
        if moment.tzinfo is None:
            raise _Unfit("a zone of its time until, for example Z")
        yield moment
