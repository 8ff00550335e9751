"""What comes from outside is read here once, from any schema and any case, and checked before it is believed.

Nothing that an event names is ever fetched: `blob_events` says what is taken of one about a blob.
"""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from shared.domain.caller import Caller
from shared.errors import InputRejected
from shared.inbox import alerts, blob_events
from shared.inbox.alerts import AlertRaised, SignalBreach, folded
from shared.inbox.blob_events import Landed, Renamed, Uninteresting
from shared.port_rules import RELEASE_TAG
from shared.redaction import redacted

MAX_MESSAGE_BYTES = 64 * 1024
"""What a storage queue message can hold."""

_RELEASE = re.compile(r"[1-9][0-9]{0,8}")

_NAMED = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}"
_MODEL = re.compile(rf"(?:azureml:)?(?P<name>{_NAMED}):(?P<version>{_NAMED})")

_DIGEST = re.compile(r"[0-9a-f]{64}")

VERBS = frozenset(
    {
        *("retrain", "release", "approve", "skip", "abort", "pause", "resume"),
        *("rollback", "replay", "restore"),
    }
)


@dataclass(frozen=True)
class MonitorBreached:
    """An Azure ML model monitor says that numbers crossed its thresholds."""

    monitor: str
    run: str
    signals: tuple[SignalBreach, ...]


@dataclass(frozen=True)
class RunChanged:
    """An Azure ML run has a new status."""

    run: str
    status: str


@dataclass(frozen=True)
class ModelRegistered:
    """A model version was registered in the workspace."""

    name: str
    version: str
    tags: Mapping[str, str]

    @property
    def ours(self) -> bool:
        """Whether a release of ours registered it: under its loop's name and its own number."""
        return self.tags.get(RELEASE_TAG) == f"{self.name}/{self.version}"


@dataclass(frozen=True)
class ModelDeployed:
    """Models were deployed on an endpoint; which deployment has them the event does not say."""

    endpoint: str
    models: str
    at: str


@dataclass(frozen=True)
class Act:
    """Somebody who was authenticated asks for something."""

    verb: str
    loop: str
    release: int | None
    actor: str
    reason: str
    id: str
    drop: str = ""
    """Inbox key of the drop that `replay` is about."""
    model: str = ""
    """Asset id, short, of the model that `release` is about."""
    evidence: str = ""
    """Document hash of what another environment tested, where `release` is about that and no model is named."""
    to: int | None = None
    """The earlier release that `rollback` goes back to; None: the champion before."""
    gate: bool = False
    """Whether that one passes the gate before its canary."""
    by: Caller | None = None
    """For whom the platform vouches; never from a message: whoever may write to the queue may claim to be anybody."""


Incoming = (
    Landed
    | Renamed
    | AlertRaised
    | MonitorBreached
    | RunChanged
    | ModelRegistered
    | ModelDeployed
    | Act
    | Uninteresting
)


def decoded(message: str) -> str:
    """The JSON text of a queue message: Event Grid writes Base64, other tools plain JSON."""
    message = message.lstrip("\ufeff \t\r\n")
    if message[:1] in ("{", "["):
        return message
    try:
        return base64.b64decode("".join(message.split()), validate=True).decode("utf-8-sig")
    except ValueError:
        return message


def parse(message: str, account_url: str) -> Incoming:
    """One queue message, Base64 or plain. `account_url` is our blob endpoint; other accounts are rejected."""
    if len(message) > MAX_MESSAGE_BYTES:
        raise InputRejected(
            "oversized-event", f"the event has {len(message)} characters; a queue message is smaller"
        )
    text = decoded(message)
    try:
        content = json.loads(text)
        if "\\ud" in text.casefold():  # half of a surrogate pair is not text: it cannot be stored
            content = json.loads(json.dumps(content, ensure_ascii=False).encode(errors="replace"))
    except (ValueError, RecursionError) as error:
        raise InputRejected("not-json", f"the event is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise InputRejected(
            "not-an-object", "the event is not a JSON object; Event Grid writes one object a message"
        )
    event = folded(content)
    if "driftloop" in event:
        return _ours(event)
    kind = str(event.get("eventtype") or event.get("type") or "")
    data = event.get("data")
    if not kind or not isinstance(data, dict):
        raise InputRejected(
            "unknown-schema", "the event has neither the Event Grid nor the CloudEvents shape"
        )
    if kind.casefold() == "microsoft.machinelearningservices.modeldeployed":
        return _deployed(folded(data), str(event.get("eventtime") or event.get("time") or ""))
    return _event_grid(kind.casefold(), folded(data), account_url)


def parts(message: str) -> list[str]:
    """Event Grid writes one object a queue message; where a sender wrote an array, plain or in Base64, each of its
    events by itself."""
    text = decoded(message) if len(message) <= MAX_MESSAGE_BYTES else ""
    if not text.lstrip().startswith("["):
        return [message]
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return [message]
    return [json.dumps(event) for event in content] or [message]


def _event_grid(kind: str, data: Mapping[str, object], account_url: str) -> Incoming:
    if kind.startswith("microsoft.storage."):
        return blob_events.read(kind, data, account_url)
    if kind in (
        "microsoft.machinelearningservices.runstatuschanged",
        "microsoft.machinelearningservices.runcompleted",
    ):
        return _run(data)
    if kind == "microsoft.machinelearningservices.datasetdriftdetected":
        name = str(data.get("datadriftname", ""))[: alerts.LONGEST_NAME]
        return MonitorBreached(name, str(data.get("runid", "")), (SignalBreach(name, ()),))
    if kind == "microsoft.machinelearningservices.modelregistered":
        return _registered(data)
    return Uninteresting(kind)


def _registered(data: Mapping[str, object]) -> ModelRegistered | Uninteresting:
    """The documented sample has its version as a number, the service may send a text."""
    name, version, tags = (data.get(f"model{key}") for key in ("name", "version", "tags"))
    named = _MODEL.fullmatch(f"{name or ''}:{version or ''}")
    if named is None:
        return Uninteresting("a registered model without a name and a version")
    texts = {str(key): str(value) for key, value in tags.items()} if isinstance(tags, Mapping) else {}
    return ModelRegistered(named["name"], named["version"], texts)


def _deployed(data: Mapping[str, object], at: str) -> ModelDeployed | Uninteresting:
    """learn.microsoft.com/azure/event-grid/event-schema-machine-learning: ServiceName, ModelIds (comma separated)."""
    endpoint = str(data.get("servicename") or "")
    if not endpoint:
        return Uninteresting("a deployed model without the name of its endpoint")
    return ModelDeployed(endpoint[:64], str(data.get("modelids") or "")[:1024], at[:64])


def _run(data: Mapping[str, object]) -> MonitorBreached | RunChanged:
    run = str(data.get("runid", ""))
    if breached := alerts.breaches(data.get("runtags")):
        return MonitorBreached(str(data.get("experimentname", ""))[: alerts.LONGEST_NAME], run, breached)
    return RunChanged(run, str(data.get("runstatus") or "Completed"))


def _ours(event: Mapping[str, object]) -> Incoming:
    """Messages that our own HTTP functions enqueue after they have authenticated the caller. Who may write to the queue
    can write others: what is kept for people is redacted here, too."""
    text = {key: str(value) for key, value in event.items() if value is not None}
    kind = text.get("driftloop", "")
    if kind == "alert":
        return AlertRaised(
            rule=text.get("rule", ""),
            alert_id=text.get("alert_id", ""),
            fired=text.get("condition", "").casefold() == "fired",
            at=redacted(text.get("at", "")),
            words=redacted(text.get("words", "")),
            fired_at=redacted(text.get("fired_at", "")),
        )
    if kind == "act" and text.get("verb") in VERBS:
        return Act(
            verb=text["verb"],
            loop=text.get("loop", ""),
            release=_release(text.get("release", "")),
            actor=redacted(text.get("actor", "")),
            reason=redacted(text.get("reason", "")),
            id=text.get("act_id")
            or text.get("id", ""),  # `id`: as it was written before, and may still lie in a queue
            drop=text.get("drop", ""),
            model=_model(text.get("model", "")) if _names_model(text) else "",
            evidence=_evidence(text.get("evidence", "")),
            to=_release(text.get("to", "")),
            gate=text.get("gate", "").casefold() in _YES,
        )
    what = f"action {text.get('verb', '')[:64]!r}" if kind == "act" else f"kind {kind[:64]!r}"
    raise InputRejected("unknown-message", f"a Driftloop message of unknown {what}")


def _release(text: str) -> int | None:
    """None where no release is named; an act whose release cannot be read is never applied to the open one."""
    if not text:
        return None
    if not _RELEASE.fullmatch(text):
        raise InputRejected(
            "no-release-number", f"{text[:64]!r} is not a release number; `driftloop releases` lists them"
        )
    return int(text)


_YES = frozenset({"true", "yes", "1", "on"})


def _names_model(act: Mapping[str, object]) -> bool:
    return act["verb"] == "release" and not act.get("evidence")


def _evidence(text: str) -> str:
    if text and not _DIGEST.fullmatch(text):
        raise InputRejected(
            "no-evidence", f"{text[:64]!r} is not a document's hash; use `driftloop promote FILE`"
        )
    return text


def _model(text: str) -> str:
    """What is released must be the same tomorrow: a fixed version of the workspace's own registry."""
    named = _MODEL.fullmatch(text)
    if named is None:
        raise InputRejected(
            "no-model-version",
            f"{text[:64]!r} names no model version of the workspace; expected NAME:VERSION, for example birds-lab:3",
        )
    return f"azureml:{named['name']}:{named['version']}"


def alert_message(body: Mapping[str, object]) -> str:
    """The queue message for an alert's webhook body; InputRejected when it is in none of Azure Monitor's schemas."""
    told = alerts.read_alert(body)
    if told is None:
        raise InputRejected(
            "not-common-schema",
            "the alert is in no schema of Azure Monitor that names its rule; switch the common alert schema on in the "
            "action group's webhook",
        )
    return json.dumps(
        {
            "driftloop": "alert",
            "rule": told.rule[:260],
            "alert_id": told.alert_id[:1024],
            "condition": "Fired" if told.fired else "Resolved",
            "at": told.at,
            "fired_at": told.fired_at,
            "words": redacted(told.words)[: alerts.LONGEST_WORDS],
        }
    )


_JOB = re.compile(r"(?P<loop>[a-z][a-z0-9-]*)-r\d+-a\d+")


def loop_of_run(run: str) -> str:
    """The loop whose training job bears this name; empty for any other run."""
    found = _JOB.fullmatch(run)
    return found["loop"] if found else ""


def act_message(verb: str, loop: str, body: Mapping[str, object], actor: str) -> str:
    """The queue message for a person's action; InputRejected when there is no such action.

    `id` in the body makes a repeated request the same action; a double click does one thing.
    """
    if verb not in VERBS:
        raise InputRejected(
            "unknown-action", f"there is no action {verb!r}; choose one of {', '.join(sorted(VERBS))}"
        )
    release, to = (str(body[key]) if body.get(key) is not None else "" for key in ("release", "to"))
    _release(release)
    _release(to)
    evidence = _evidence(str(body.get("evidence") or ""))
    model = _model(str(body.get("model") or "")) if _names_model({**body, "verb": verb}) else ""
    return json.dumps(
        {
            "driftloop": "act",
            "verb": verb,
            "loop": loop[:64],
            "release": release,
            "actor": actor[:256],
            "reason": redacted(str(body.get("reason") or ""))[:1024],
            # Not `id`: a message's keys that are named like its queue's metadata take their place on Azure.
            "act_id": str(body.get("id") or uuid.uuid4().hex)[:128],
            "drop": str(body.get("drop") or "")[:64],
            "model": model,
            "evidence": evidence,
            "to": to,
            "gate": str(body.get("gate") or "")[:8],
        }
    )
