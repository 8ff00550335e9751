"""Each stored verdict of a release can be had again from its evidence document alone, and must be the same.

Only rows and documents are read: no endpoint, no traffic log, no Azure ML. Four things must agree: the document and
the hash that it is named by, its policy and the loop file that the release ran with, what the judge says of its
evidence today and what it said then, and that verdict and the one in the release's own row.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.domain.release import CanaryLook, Judgement, Release
from shared.errors import InvariantBroken
from shared.loopfile import Definition
from shared.ports import Ports
from shared.redaction import words_of
from shared.release.canary import bake_evidence, canary_evidence
from shared.release.gate import gate_evidence
from shared.runtime import unit_of_work

Content = Mapping[str, Any]  # a stored document: JSON of the judge's dataclasses, which read it back typed


@dataclass(frozen=True)
class Replayed:
    """One verdict: what it was, and how it differs now (empty: the same)."""

    kind: str
    outcome: str
    evidence: str
    differences: tuple[str, ...]

    @property
    def same(self) -> bool:
        return not self.differences


def replay(ports: Ports, loop: str, number: int) -> list[Replayed]:
    """Every verdict of one release whose evidence was stored, judged anew: decisions, and looks that held."""
    current = unit_of_work.read(ports, loop)
    release, _ = current.release(number)
    definition = current.published(release.definition).definition
    decided = {judgement.evidence for judgement in release.judgements}
    held = [look for look in release.looks if look.evidence and look.evidence not in decided]
    return [
        *(_again(ports, release, definition, judgement) for judgement in release.judgements),
        *(_again(ports, release, definition, look) for look in sorted(held, key=lambda look: look.at)),
    ]


def _again(ports: Ports, release: Release, definition: Definition, told: Judgement | CanaryLook) -> Replayed:
    was = told if isinstance(told, Judgement) else _verdict_of(told)
    try:
        content = json.loads(ports.documents.get(was.evidence))
        differences = tuple(_differences(release, definition, was, content))
        if isinstance(told, CanaryLook) and content["verdict"]["e_value"] != told.e_value:
            differences += ("the evidence value differs from that in the release's row",)
    except InvariantBroken as error:
        differences = (str(error),)
    except (KeyError, TypeError, ValueError) as error:
        differences = (
            f"the evidence document cannot be judged: {words_of(error)}; it is older than this "
            "version of Driftloop, or was changed",
        )
    return Replayed(was.kind, was.outcome, was.evidence, differences)


def _verdict_of(look: CanaryLook) -> Judgement:
    """A look that decided nothing, as a verdict: its words are in its evidence alone."""
    return Judgement(
        f"canary step {look.step + 1} at {look.at:%H:%M:%S}", look.outcome, (), look.evidence, look.at
    )


def _differences(release: Release, definition: Definition, was: Judgement, content: Content) -> list[str]:
    judge, outcome = next(each for prefix, each in _JUDGES.items() if was.kind.startswith(prefix))
    policy, verdict = judge(release, definition, content)
    found = []
    if policy is not None and _text(policy) != _text(content["policy"]):
        found.append(f"the policy is not the loop file's: {_first(policy, content['policy'])}")
    if _text(verdict) != _text(content["verdict"]):
        found.append(f"judged anew: {_first(verdict, content['verdict'])}")
    told = outcome(verdict)
    if told != was.outcome:
        found.append(f"the evidence gives {told}, the release's row says {was.outcome}")
    if was.words and list(verdict["reasons"]) != list(was.words):
        found.append("the reasons differ from those in the release's row")
    return found


def _smoke(release: Release, definition: Definition, content: Content) -> tuple[Content | None, Content]:
    from shared.release.gate.smoke import SmokeEvidence, SmokePolicy, judge_smoke

    evidence = [SmokeEvidence.from_dict(one) for one in content["evidence"]]
    return None, judge_smoke(evidence, SmokePolicy.from_dict(content["policy"])).to_dict()


def _gate(release: Release, definition: Definition, content: Content) -> tuple[Content | None, Content]:
    from shared.release.gate.gate_judge import GateEvidence, GatePolicy, judge_gate

    stored = GatePolicy.from_dict(content["policy"])
    verdict = judge_gate(GateEvidence.from_dict(content["evidence"]), stored)
    return gate_evidence.gate_policy(release, definition, stored.metric).to_dict(), verdict.to_dict()


def _canary(release: Release, definition: Definition, content: Content) -> tuple[Content | None, Content]:
    from shared.release.canary.canary_judge import CanaryEvidence, CanaryPolicy, CanaryState, judge_canary

    stored = CanaryPolicy.from_dict(content["policy"])
    verdict, _ = judge_canary(
        CanaryEvidence.from_dict(content["evidence"]),
        stored,
        CanaryState.from_dict(content["state"]),
        **content["times"],
    )
    policy = canary_evidence.canary_policy(
        definition, len(content["evidence"]["canary"]["slice_predictions"])
    )
    return policy.to_dict(), verdict.to_dict()


def _bake(release: Release, definition: Definition, content: Content) -> tuple[Content | None, Content]:
    from shared.release.canary.bake_judge import BakeEvidence, judge_bake
    from shared.release.canary.canary_judge import CanaryPolicy

    stored = CanaryPolicy.from_dict(content["policy"])
    verdict = judge_bake(BakeEvidence.from_dict(content["evidence"]), stored, **content["times"])
    slices = len(content["evidence"]["step"]["canary"]["slice_predictions"])
    return canary_evidence.canary_policy(definition, slices).to_dict(), verdict.to_dict()


Judge = Callable[[Release, Definition, Content], tuple[Content | None, Content]]
"""The policy as the loop file has it (None: it is not there), and the verdict as it is today."""

_JUDGES: dict[str, tuple[Judge, Callable[[Content], str]]] = {
    "smoke test": (_smoke, lambda verdict: "pass" if verdict["passed"] else "fail"),
    "gate": (_gate, lambda verdict: str(verdict["outcome"])),
    "canary": (_canary, lambda verdict: str(verdict["kind"])),
    bake_evidence.KIND: (_bake, lambda verdict: str(verdict["kind"])),
}


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def _first(now: Content, then: Content) -> str:
    """The first key in which two documents differ."""
    for key in sorted({*now, *then}):
        if _text(now.get(key)) != _text(then.get(key)):
            return f"{key} is {_text(now.get(key))[:200]}, stored is {_text(then.get(key))[:200]}"
    return "nothing"
