"""A deployment that answers nonsense politely does not get through."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from shared.domain.reason import Code, Reason, reason
from shared.release.document import Document
from shared.stats.metrics import class_name


@dataclass(frozen=True)
class SmokePolicy(Document):
    task: Literal["classification", "regression"]
    classes: tuple[str, ...] = ()
    """Known classes; empty: any text or whole number is a class."""
    max_latency_ms: float | None = None
    tolerance: float = 1e-6
    """Relative and absolute, for regression answers against golden ones."""


@dataclass(frozen=True)
class SmokeEvidence(Document):
    """What came back for `rows` rows: status, decoded JSON body, time; golden answers where recorded."""

    rows: int
    status: int
    answer: object
    latency_ms: float | None = None
    golden: tuple[object, ...] | None = None


@dataclass(frozen=True)
class SmokeVerdict(Document):
    passed: bool
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class SmokeRecord(Document):
    """What is stored of a smoke test: enough to judge it again."""

    evidence: tuple[SmokeEvidence, ...]
    policy: SmokePolicy
    verdict: SmokeVerdict


def answers_of(answer: object) -> tuple[object, ...] | Reason:
    """The predictions inside a decoded response body, or why it holds none.

    A list; or an object with `predictions`, `result` or `outputs` that is a list (what MLflow's server and
    common scoring scripts answer); a list of JSON text is decoded once, as some scripts encode twice. A row of one
    column, as a frame and a matrix have it, is that column's value.
    """
    found = _read(answer, None)
    return found if isinstance(found, Reason) else found[0]


def stated_in(answer: object) -> object:
    """What stands beside the predictions of a decoded response body as their `probabilities`, if anything."""
    found = _read(answer, None)
    stated = None if isinstance(found, Reason) else found[1]
    return _decoded(stated) if isinstance(stated, str) else stated


def _read(answer: object, stated: object) -> tuple[tuple[object, ...], object] | Reason:
    match answer:
        case str():
            decoded = _decoded(answer)
            if isinstance(decoded, str):
                return reason(Code.ANSWER_IS_TEXT, text=answer[:120])
            return _read(decoded, stated)
        case Mapping():
            return _read_object(answer, stated)
        case list() | tuple():
            return tuple(map(only, answer)), stated
        case _:
            return reason(Code.ANSWER_IS_OTHER, type=type(answer).__name__)


def _decoded(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


_ERRORS = ("error", "message", "exception", "detail")
ANSWERS = ("predictions", "result", "outputs")


def _read_object(answer: Mapping[str, object], stated: object) -> tuple[tuple[object, ...], object] | Reason:
    for key in _ERRORS:
        if answer.get(key):
            return reason(Code.ANSWER_IS_ERROR, key=key, text=str(answer[key])[:120])
    for key in ANSWERS:
        if key in answer:
            return _read(answer[key], answer.get("probabilities", stated))
    return reason(Code.ANSWER_IS_OBJECT, keys=", ".join(map(repr, list(answer)[:5])))


def only(row: object) -> object:
    """The value of a row of one column; any other as it is, and an error that stands in a row's place."""
    if isinstance(row, Mapping):
        values = list(row.values())
        return values[0] if len(values) == 1 and not row.keys() & set(_ERRORS) else row
    return row[0] if isinstance(row, list | tuple) and len(row) == 1 else row


def judge_smoke(evidence: Sequence[SmokeEvidence], policy: SmokePolicy) -> SmokeVerdict:
    """Every answer must be well formed; one bad answer fails, and so does having none."""
    if not evidence:
        return SmokeVerdict(False, (reason(Code.SMOKE_NOTHING_ASKED),))
    faults: list[Reason] = []
    for fault in (fault for one in evidence for fault in _faults(one, policy)):
        faults += [] if fault in faults else [fault]
    if faults:
        return SmokeVerdict(False, tuple(faults))
    rows, golden = sum(one.rows for one in evidence), sum(len(one.golden or ()) for one in evidence)
    if golden:
        return SmokeVerdict(True, (reason(Code.SMOKE_PASSED_GOLDEN, rows=rows, golden=golden),))
    return SmokeVerdict(True, (reason(Code.SMOKE_PASSED, rows=rows),))


def _faults(evidence: SmokeEvidence, policy: SmokePolicy) -> Iterator[Reason]:
    rows = evidence.rows
    if evidence.status != 200:
        yield reason(Code.SMOKE_STATUS, status=evidence.status, answer=repr(str(evidence.answer)[:120]))
        return
    answers = answers_of(evidence.answer)
    if isinstance(answers, Reason):
        yield reason(Code.SMOKE_NO_PREDICTIONS, answers)
        return
    if len(answers) != rows:
        yield reason(Code.SMOKE_COUNT, predictions=len(answers), rows=rows)
        return
    malformed = [fault for fault in (_fault_of(value, policy) for value in answers) if fault]
    if malformed:
        yield reason(Code.SMOKE_MALFORMED, malformed[0], malformed=len(malformed), rows=rows)
        return
    yield from _unlike_golden(evidence, answers, policy)
    limit_ms, took_ms = policy.max_latency_ms, evidence.latency_ms or 0.0
    if limit_ms is not None and took_ms > limit_ms:
        yield reason(Code.SMOKE_SLOW, rows=rows, latency_ms=took_ms, limit_ms=limit_ms)


def _fault_of(value: object, policy: SmokePolicy) -> Reason | None:
    shown = f"{value!r:.60}"
    if policy.task == "regression":
        number = isinstance(value, int | float) and not isinstance(value, bool)
        finite = number and math.isfinite(float(str(value)))
        return None if finite else reason(Code.VALUE_NOT_FINITE, value=shown)
    if isinstance(value, list | tuple | Mapping) or value is None or value != value:
        return reason(Code.VALUE_NOT_CLASS, value=shown)
    if policy.classes and class_name(value) not in policy.classes:
        known = ", ".join((*policy.classes[:5], *(["..."] if len(policy.classes) > 5 else [])))
        return reason(Code.VALUE_UNKNOWN_CLASS, value=shown, known=known)
    return None if class_name(value).strip() else reason(Code.VALUE_EMPTY)


def _unlike_golden(
    evidence: SmokeEvidence, answers: Sequence[object], policy: SmokePolicy
) -> Iterator[Reason]:
    golden = evidence.golden
    if golden is None:
        return
    if len(golden) != len(answers):
        yield reason(Code.SMOKE_GOLDEN_COUNT, predictions=len(answers), recorded=len(golden))
        return
    unlike = [
        (wanted, got) for wanted, got in zip(golden, answers, strict=True) if not _same(wanted, got, policy)
    ]
    if unlike:
        wanted, got = (f"{value!r:.60}" for value in unlike[0])
        count = len(unlike)
        yield reason(
            Code.SMOKE_GOLDEN_DIFFERS, different=count, predictions=len(answers), got=got, wanted=wanted
        )


def _same(wanted: object, got: object, policy: SmokePolicy) -> bool:
    if policy.task == "classification":
        return class_name(wanted) == class_name(got)
    tolerance = policy.tolerance
    return math.isclose(float(str(wanted)), float(str(got)), rel_tol=tolerance, abs_tol=tolerance)
