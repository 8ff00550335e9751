"""A deployment that answers nonsense politely does not get through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from shared.judge.document import Document


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
    """The predictions inside a decoded response body, or a text that says why it holds none."""
    raise NotImplementedError


def judge_smoke(evidence: Sequence[SmokeEvidence], policy: SmokePolicy) -> SmokeVerdict:
    """Every answer must be well formed; one bad answer fails."""
    raise NotImplementedError
