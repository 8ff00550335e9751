"""What a release may ask for (actions), and what may be observed: plain values, each with its meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.domain.reason import Reason
from shared.domain.release import CanaryPoint, Judgement
from shared.ports import DeploymentSeen, JobSeen

# --- what the engine may be asked to do ----------------------------------------------------------


@dataclass(frozen=True)
class AssembleWindow:
    """Put the training window together and register it."""


@dataclass(frozen=True)
class RunJob:
    """Have the training job of this attempt run, and observe it."""


@dataclass(frozen=True)
class RegisterModel:
    """Register the model that the job made."""


@dataclass(frozen=True)
class Deploy:
    """Have the challenger deployed at 0 %, and observe it."""


@dataclass(frozen=True)
class MeasureGate:
    """Smoke test and gate through both deployments."""


@dataclass(frozen=True)
class RunCheck:
    """Have the check job with this index run, and observe it."""

    index: int


@dataclass(frozen=True)
class SetTraffic:
    """Have exactly these weights, unless somebody else changed them."""

    weights: Mapping[str, int]


@dataclass(frozen=True)
class ReadTraffic:
    """See whether these weights are in force already; set nothing."""

    weights: Mapping[str, int]


@dataclass(frozen=True)
class MeasureCanary:
    """Read both arms' evidence since the step began, and judge it."""


@dataclass(frozen=True)
class MeasureBake:
    """Compare the promoted model with what the champion did, until the bake time is over."""


@dataclass(frozen=True)
class RemoveDeployment:
    """Have this deployment gone."""

    name: str


@dataclass(frozen=True)
class Await:
    """Nothing to do before `until`, or before a person acts."""

    until: datetime | None = None


Action = (
    AssembleWindow
    | RunJob
    | RegisterModel
    | Deploy
    | MeasureGate
    | RunCheck
    | SetTraffic
    | ReadTraffic
    | MeasureCanary
    | MeasureBake
    | RemoveDeployment
    | Await
)

# --- what the engine may have seen ---------------------------------------------------------------


@dataclass(frozen=True)
class WindowSeen:
    asset: str
    profile: str


@dataclass(frozen=True)
class ModelSeen:
    asset: str


@dataclass(frozen=True)
class GateSeen:
    judgements: tuple[Judgement, ...]
    """Smoke test first, then the gate."""
    explanation: str = ""
    """Document hash of what the challenger goes by."""
    explained: Reason | None = None


@dataclass(frozen=True)
class AnswersPending:
    """A batch job scores what was asked for."""

    job: str
    version: int | None = None
    """Whose rows they are, where a step of a canary is a version."""


@dataclass(frozen=True)
class CanarySeen:
    judgement: Judgement
    state: str
    point: CanaryPoint | None = None
    version: int | None = None
    """The data version that both models scored, where a step is one."""


@dataclass(frozen=True)
class BakeSeen:
    judgement: Judgement


@dataclass(frozen=True)
class TrafficIs:
    weights: Mapping[str, int]
    settled: bool
    """The wanted weights were read back."""


@dataclass(frozen=True)
class MachinesSeen:
    """The challenger has fewer machines than its next share needs: they are coming, or are refused."""

    wanted: int
    seen: DeploymentSeen


@dataclass(frozen=True)
class TrafficHeld:
    """The loop is paused, and these weights, from before, are in force."""

    weights: Mapping[str, int]


@dataclass(frozen=True)
class TrafficTaken:
    """Somebody else set these weights: they are adopted, and nothing is set before a person goes on."""

    weights: Mapping[str, int]


@dataclass(frozen=True)
class TrafficLate:
    """A worker of ours that had stalled past its claim set these weights: an earlier split."""

    weights: Mapping[str, int]


@dataclass(frozen=True)
class LooksFail:
    """Look after look has failed."""

    since: datetime | None


@dataclass(frozen=True)
class GoneSeen:
    gone: bool
    endpoint: str = ""
    """Named where the endpoint is gone, with everything on it."""


@dataclass(frozen=True)
class ChampionGone:
    """The way back leads to a deployment that somebody deleted, on an endpoint that is there."""

    endpoint: str
    deployment: str


@dataclass(frozen=True)
class TimePassed:
    """An `Await` whose time has come."""


@dataclass(frozen=True)
class Overtaken:
    """Nobody has decided, and since the rows that did not decide a labelled version has landed, with a reason to train
    on it."""

    version: int


@dataclass(frozen=True)
class GivenUp:
    """Every attempt failed for what no further one of this release can mend."""

    why: Reason


@dataclass(frozen=True)
class PersonActed:
    """approve, skip, resume, abort or rollback, by whom, why."""

    verb: str
    actor: str
    reason: str


Observation = (
    WindowSeen
    | JobSeen
    | ModelSeen
    | DeploymentSeen
    | GateSeen
    | AnswersPending
    | CanarySeen
    | BakeSeen
    | TrafficIs
    | MachinesSeen
    | TrafficHeld
    | TrafficTaken
    | TrafficLate
    | LooksFail
    | GoneSeen
    | ChampionGone
    | TimePassed
    | Overtaken
    | GivenUp
    | PersonActed
)
