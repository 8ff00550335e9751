"""A deployment that answers nonsense politely does not get through."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

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
    reasons: tuple[str, ...]


def answers_of(answer: object) -> tuple[object, ...] | str:
    """The predictions inside a decoded response body, or a text that says why it holds none.

    A list; or an object with `predictions`, `result` or `outputs` that is a list (what MLflow's server and
    common scoring scripts answer); a list of JSON text is decoded once, as some scripts encode twice.
    """
    if isinstance(answer, str):
        try:
            decoded = json.loads(answer)
        except ValueError:
            return f"a text instead of predictions: {answer[:120]!r}"
        return (
            f"a text instead of predictions: {answer[:120]!r}"
            if isinstance(decoded, str)
            else answers_of(decoded)
        )
    if isinstance(answer, Mapping):
        for key in ("error", "message", "exception", "detail"):
            if key in answer:
                return f"an error instead of predictions: {key}: {str(answer[key])[:120]!r}"
        for key in ("predictions", "result", "outputs"):
            if key in answer:
                return answers_of(answer[key])
        return f"an object without predictions; its keys are {', '.join(map(repr, list(answer)[:5]))}"
    if isinstance(answer, list | tuple):
        return tuple(answer)
    return f"{type(answer).__name__} instead of predictions"


def judge_smoke(evidence: Sequence[SmokeEvidence], policy: SmokePolicy) -> SmokeVerdict:
    """Every answer must be well formed; one bad answer fails, and so does having none to look at."""
    if not evidence:
        return SmokeVerdict(False, ("the deployment was asked nothing",))
    faults = [fault for one in evidence for fault in _faults(one, policy)]
    if faults:
        return SmokeVerdict(False, tuple(dict.fromkeys(faults)))
    rows, golden = sum(one.rows for one in evidence), sum(len(one.golden or ()) for one in evidence)
    compared = f", {golden} equal to what training recorded" if golden else ""
    return SmokeVerdict(True, (f"{rows} rows answered, all well formed{compared}",))


def _faults(evidence: SmokeEvidence, policy: SmokePolicy) -> Iterator[str]:
    if evidence.status != 200:
        yield f"status {evidence.status}: {str(evidence.answer)[:120]!r}"
        return
    answers = answers_of(evidence.answer)
    if isinstance(answers, str):
        yield f"status 200, but {answers}"
        return
    if len(answers) != evidence.rows:
        yield f"{len(answers)} predictions for {evidence.rows} rows"
        return
    malformed = [fault for fault in (_fault_of(value, policy) for value in answers) if fault]
    if malformed:
        yield f"{len(malformed)} of {evidence.rows} predictions malformed: {malformed[0]}"
        return
    yield from _unlike_golden(evidence, answers, policy)
    if policy.max_latency_ms is not None and (evidence.latency_ms or 0) > policy.max_latency_ms:
        yield f"{evidence.rows} rows took {evidence.latency_ms:.0f} ms, {policy.max_latency_ms:.0f} are allowed"


def _fault_of(value: object, policy: SmokePolicy) -> str | None:
    if policy.task == "regression":
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return (
            None if number and math.isfinite(float(str(value))) else f"{value!r:.60} is not a finite number"
        )
    if isinstance(value, list | tuple | Mapping) or value is None or value != value:
        return f"{value!r:.60} is not a class"
    if policy.classes and class_name(value) not in policy.classes:
        known = ", ".join(policy.classes[:5])
        return f"{value!r:.60} is not a known class ({known}{', ...' if len(policy.classes) > 5 else ''})"
    return None if class_name(value).strip() else "an empty text is not a class"


def _unlike_golden(evidence: SmokeEvidence, answers: Sequence[object], policy: SmokePolicy) -> Iterator[str]:
    if evidence.golden is None:
        return
    if len(evidence.golden) != len(answers):
        yield f"{len(answers)} predictions, but training recorded {len(evidence.golden)}"
        return
    unlike = [
        (wanted, got)
        for wanted, got in zip(evidence.golden, answers, strict=True)
        if not _same(wanted, got, policy)
    ]
    if unlike:
        wanted, got = unlike[0]
        yield f"{len(unlike)} of {len(answers)} predictions differ from training's: {got!r:.60} for {wanted!r:.60}"


def _same(wanted: object, got: object, policy: SmokePolicy) -> bool:
    if policy.task == "classification":
        return class_name(wanted) == class_name(got)
    tolerance = policy.tolerance
    return math.isclose(float(str(wanted)), float(str(got)), rel_tol=tolerance, abs_tol=tolerance)
