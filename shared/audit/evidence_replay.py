"""Each stored verdict of a release can be had again from its evidence document alone, and must be the same.

Only rows and documents are read: no endpoint, no traffic log, no Azure ML. Four things must agree: the document and
the hash that it is named by, its policy and the loop file that the release ran with, what the judge says of its
evidence today and what it said then, and that verdict and the one in the release's own row.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shared.canary import canary_evidence
from shared.domain.reason import Code, Reason, reason
from shared.domain.release import CanaryPoint, Judgement, JudgementKind, Outcome, Release
from shared.errors import InvariantBroken
from shared.gate import gate_evidence
from shared.loopfile.published import Published
from shared.own.measured import own_metric
from shared.ports import Ports
from shared.redaction import words_of
from shared.runtime import unit_of_work

Content = Mapping[str, Any]  # a stored document: JSON of a record, which reads it back typed


@dataclass(frozen=True)
class Replayed:
    """One verdict: what it was, and how it differs now (empty: the same)."""

    judgement: Judgement
    differences: tuple[Reason, ...]

    @property
    def same(self) -> bool:
        return not self.differences


def replay(ports: Ports, loop: str, number: int) -> list[Replayed]:
    """Every verdict of one release whose evidence was stored, judged anew: decisions, and what held."""
    current = unit_of_work.read(ports, loop)
    release, _ = current.release(number)
    published = current.published(release.definition)
    decided = {judgement.evidence for judgement in release.judgements}
    held = [point for point in release.points if point.evidence and point.evidence not in decided]
    return [
        *(_again(ports, release, published, judgement) for judgement in release.judgements),
        *(_again(ports, release, published, point) for point in sorted(held, key=lambda point: point.at)),
    ]


def _again(ports: Ports, release: Release, published: Published, row: Judgement | CanaryPoint) -> Replayed:
    was = row if isinstance(row, Judgement) else _judgement_of(row)
    if not was.evidence:
        return Replayed(was, (reason(Code.REPLAY_NOT_KEPT),))
    try:
        content = json.loads(ports.documents.get(was.evidence))
        differences = tuple(_differences(release, published, was, content))
        if isinstance(row, CanaryPoint) and content["verdict"]["e_value"] != row.e_value:
            differences += (reason(Code.REPLAY_E_VALUE_DIFFERS),)
    except InvariantBroken as error:
        differences = (reason(Code.REPLAY_HASH_DIFFERS, error=str(error)),)
    except (KeyError, TypeError, ValueError) as error:
        differences = (reason(Code.REPLAY_UNREADABLE, error=words_of(error)),)
    return Replayed(was, differences)


def _judgement_of(point: CanaryPoint) -> Judgement:
    """An observation that decided nothing, as a verdict: its reasons are in its evidence alone."""
    place = {"step": point.step, "weight_pct": point.weight_pct}
    return Judgement(JudgementKind.CANARY, point.outcome, (), point.evidence, point.at, **place)


@dataclass(frozen=True)
class _Again:
    """A record judged anew: the policy as the loop file has it (None: it is not there), and the verdict."""

    stored: Content
    """The record as it was read: what a later version added has the value that it had before."""
    policy: Content | None
    verdict: Content
    outcome: Outcome
    reasons: tuple[Reason, ...]


def _differences(
    release: Release, published: Published, was: Judgement, content: Content
) -> Iterator[Reason]:
    now = _JUDGES[was.kind](release, published, content)
    if now.policy is not None and (first := _first(now.policy, now.stored["policy"])):
        yield reason(Code.REPLAY_POLICY_DIFFERS, **first)
    if first := _first(now.verdict, now.stored["verdict"]):
        yield reason(Code.REPLAY_VERDICT_DIFFERS, **first)
    if now.outcome is not was.outcome:
        yield reason(Code.REPLAY_OUTCOME_DIFFERS, now=now.outcome.value, stored=was.outcome.value)
    if was.reasons and now.reasons != was.reasons:
        yield reason(Code.REPLAY_REASONS_DIFFER)


def _smoke(release: Release, published: Published, content: Content) -> _Again:
    from shared.gate.smoke import SmokeRecord, judge_smoke

    record = SmokeRecord.from_dict(content)
    verdict = judge_smoke(record.evidence, record.policy)
    outcome = Outcome.PASS if verdict.passed else Outcome.FAIL
    return _Again(record.to_dict(), None, verdict.to_dict(), outcome, verdict.reasons)


def _gate(release: Release, published: Published, content: Content) -> _Again:
    from shared.gate.gate_judge import GateRecord, judge_gate

    record = GateRecord.from_dict(content)
    verdict = judge_gate(record.evidence, record.policy)
    was = record.policy
    own = own_metric(published, was.own.task) if was.own else None
    classes = record.evidence.known_classes
    policy = gate_evidence.gate_policy(release, published.definition, was.metric, classes, own)
    return _Again(record.to_dict(), policy.to_dict(), verdict.to_dict(), verdict.outcome, verdict.reasons)


def _canary(release: Release, published: Published, content: Content) -> _Again:
    from shared.canary.canary_judge import CanaryRecord, judge_canary

    record = CanaryRecord.from_dict(content)
    verdict, _ = judge_canary(record.evidence, record.policy, record.state, **record.times)
    slices = len(record.evidence.canary.slice_predictions)
    policy = canary_evidence.canary_policy(published.definition, slices, record.policy.exact)
    return _Again(record.to_dict(), policy.to_dict(), verdict.to_dict(), verdict.outcome, verdict.reasons)


def _bake(release: Release, published: Published, content: Content) -> _Again:
    from shared.canary.bake_judge import BakeRecord, judge_bake

    record = BakeRecord.from_dict(content)
    verdict = judge_bake(record.evidence, record.policy, **record.times)
    slices = len(record.evidence.step.canary.slice_predictions)
    policy = canary_evidence.canary_policy(published.definition, slices, record.policy.exact)
    return _Again(record.to_dict(), policy.to_dict(), verdict.to_dict(), verdict.outcome, verdict.reasons)


_JUDGES: Mapping[JudgementKind, Callable[[Release, Published, Content], _Again]] = {
    JudgementKind.SMOKE: _smoke,
    JudgementKind.GATE: _gate,
    JudgementKind.CANARY: _canary,
    JudgementKind.BAKE: _bake,
}


def _first(now: Content, stored: Content) -> dict[str, str] | None:
    """The first key in which two documents differ."""
    for key in sorted({*now, *stored}):
        if now.get(key) != stored.get(key):
            short = (json.dumps(each.get(key), sort_keys=True)[:200] for each in (now, stored))
            return dict(zip(("key", "now", "stored"), (key, *short), strict=True))
    return None
