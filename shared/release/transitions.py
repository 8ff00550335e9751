"""Everything that may happen to a release is in this table; what is not in it raises, and nothing happens."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from shared.domain.reason import Code
from shared.domain.release import ENDED, Phase, Release
from shared.errors import InvariantBroken

P = Phase

TRANSITIONS: dict[Phase, dict[Phase, str]] = {
    P.PREPARING: {
        P.TRAINING: "window assembled",
        P.CLEANING: "aborted",
    },
    P.TRAINING: {
        P.TRAINING: "failed, attempts left",
        P.REGISTERING: "job completed",
        P.CLEANING: "out of attempts, or aborted",
    },
    P.REGISTERING: {
        P.DEPLOYING: "model registered",
        P.CLEANING: "failed or aborted",
    },
    P.DEPLOYING: {
        P.GATING: "deployed at 0 %",
        P.CLEANING: "deployment failed, or aborted",
    },
    P.GATING: {
        P.CHECKING: "gate passed, the loop has checks",
        P.AWAITING_APPROVAL: "gate passed, approval asked for",
        P.SHIFTING: "gate passed",
        P.PROMOTING: "passed, nobody serves yet",
        P.HOLDING: "inconclusive",
        P.CLEANING: "gate failed, or aborted",
    },
    P.CHECKING: {
        P.CHECKING: "next check",
        P.AWAITING_APPROVAL: "checks passed, approval asked for",
        P.SHIFTING: "checks passed",
        P.PROMOTING: "passed, nobody serves yet",
        P.CLEANING: "a check failed, or aborted",
    },
    P.AWAITING_APPROVAL: {
        P.SHIFTING: "approved",
        P.PROMOTING: "approved",
        P.ROLLING_BACK: "aborted under traffic",
        P.CLEANING: "aborted",
    },
    P.HOLDING: {
        P.CHECKING: "approved, the loop has checks",
        P.SHIFTING: "approved",
        P.PROMOTING: "approved",
        P.ROLLING_BACK: "aborted under traffic",
        P.CLEANING: "aborted",
    },
    P.SHIFTING: {
        P.CANARY: "traffic is as the step says",
        P.ROLLING_BACK: "aborted, or traffic cannot be set",
    },
    P.CANARY: {
        P.SHIFTING: "step passed, next step; or set back by a slow worker of ours, the same step anew",
        P.AWAITING_APPROVAL: "last step passed, approval asked for",
        P.PROMOTING: "last step passed",
        P.HOLDING: "inconclusive",
        P.ROLLING_BACK: "worse, or aborted",
    },
    P.PROMOTING: {
        P.BAKING: "all traffic is on the challenger",
        P.ROLLING_BACK: "aborted",
    },
    P.BAKING: {
        P.RETIRING: "baked, an old deployment stands",
        P.LIVE: "baked, nothing to retire",
        P.ROLLING_BACK: "worse, or rolled back",
    },
    P.RETIRING: {
        P.LIVE: "old deployment gone",
        P.ROLLING_BACK: "somebody gave the old one traffic again, and it is rolled back",
    },
    P.ROLLING_BACK: {P.CLEANING: "all traffic is on the champion"},
    P.CLEANING: {
        P.REJECTED: "nothing is left of the challenger",
        P.ROLLED_BACK: "nothing is left of the challenger",
        P.FAILED: "nothing is left of the challenger",
        P.ABORTED: "nothing is left of the challenger",
        P.ROLLING_BACK: "somebody gave the challenger traffic, and it is taken back again",
    },
}
"""From each phase, where it may go, and why. Ended phases have no row."""


def move(release: Release, to: Phase, now: datetime, reason: str = "") -> Release:
    """The release in its next phase; InvariantBroken when the table does not have the step."""
    if to not in TRANSITIONS.get(release.phase, {}):
        raise InvariantBroken(
            f"release {release.number} of {release.loop} cannot go from {release.phase} to {to}; "
            "its row was changed by something else than Driftloop: look at the ledger with `driftloop audit`",
            code=Code.IMPOSSIBLE_STEP,
        )
    return replace(
        release,
        phase=to,
        phase_since_at=now,
        reason=reason or release.reason,
        waiting_for="",
        failures=0,
        look_again_at=None,
        canary_state="",
        ended_at=now if to in ENDED else None,
    )


def diagram() -> str:
    """The table as a Mermaid state diagram, for the documents."""
    lines = ["stateDiagram-v2", "    [*] --> preparing: triggered"]
    lines += [
        f"    {source} --> {target}: {label}"
        for source, targets in TRANSITIONS.items()
        for target, label in targets.items()
    ]
    lines += [f"    {phase} --> [*]" for phase in Phase if phase in ENDED]
    return "\n".join(lines)
