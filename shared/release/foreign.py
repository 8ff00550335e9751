"""A model that somebody else registered goes the way of every other: gate, canary, ledger.

Of its training nothing is on record, and the release says so. It is judged on the holdout rows that a training would be
judged on now, which it may have seen; their window is the reference of its data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from shared.assets import asset
from shared.domain.loop import LoopState
from shared.domain.reason import Code, Fact, Reason, reason
from shared.domain.release import Phase, Trigger, TriggerKind
from shared.loopfile.published import Published
from shared.ports import RegisteredModel
from shared.release import signature, unaided, untrained
from shared.retraining import policy, start
from shared.retraining.policy import Deny, Start
from shared.retraining.start import Outcome
from shared.runtime.unit_of_work import Unit

if TYPE_CHECKING:
    from shared.loopfile import Definition

VERB = "release"


def asked(current: Unit, model: str, trigger: Trigger) -> Outcome | Reason:
    """A release of a registered model, because a person asks for it; or why there is none."""
    no = untrained.refusal(current, VERB)
    found = None if no else current.ports.training.model(model)
    return no or untrained.model_refusal(VERB, model, found) or _begun(current, current.state, found, trigger)


def heard(current: Unit, state: LoopState, trigger: Trigger, model: RegisteredModel | None) -> Outcome:
    """The answer to a registration: the policy's, as to any trigger, where the loop file still asks for the model as it
    is now; where that is yes, the release, or why the model cannot be released."""
    definition, now = current.published().definition, current.ports.clock.now()
    if no := untrained.model_refusal(VERB, _named(trigger), model) or _unasked(definition, model):
        return start.apply(current, state, [trigger], Deny(no))
    newest = current.newest_labelled()
    decision = policy.decide(state, [trigger], definition, now, newest_version=newest)
    if isinstance(decision, Start):
        begun = untrained.alone(current, VERB) or _begun(current, state, model, trigger)
        if isinstance(begun, Outcome):
            return begun
        decision = Deny(begun)
    return start.apply(current, state, [trigger], decision)


def again(current: Unit, state: LoopState) -> Outcome:
    """The answer to the newest registration that waits, and where it goes on waiting to what waits beside it."""
    *older, newest = (t for t in state.waiting if t.kind is TriggerKind.MODEL)
    others = tuple(t for t in state.waiting if t.kind is not TriggerKind.MODEL)
    answered = tuple(policy.answered(trigger, _superseded(trigger)) for trigger in older)
    model = current.ports.training.model(_named(newest))
    outcome = heard(current, replace(state, waiting=others, waiting_until=None), newest, model)
    if newest not in outcome.state.waiting:
        return replace(outcome, drafts=(*answered, *outcome.drafts))
    beside = start.answer(current, replace(outcome.state, waiting=(newest,)), others)
    until = min(filter(None, (outcome.state.waiting_until, beside.state.waiting_until)), default=None)
    return replace(
        beside,
        state=replace(beside.state, waiting_until=until),
        drafts=(*answered, *outcome.drafts, *beside.drafts),
    )


def _superseded(trigger: Trigger) -> Reason:
    return reason(Code.MODEL_SUPERSEDED, model=trigger.reason.facts["model"])


def _named(trigger: Trigger) -> str:
    return f"azureml:{trigger.reason.facts['model']}"


def _unasked(definition: Definition, model: RegisteredModel | None) -> Reason | None:
    """Why this model is not wanted: the loop file or the model's tags may have changed since it was registered."""
    assert model is not None
    named, wanted = asset(model.asset), definition.models
    if wanted is not None and wanted.asks_for(named.name, model.tags):
        return None
    return reason(Code.MODEL_NOT_ASKED, model=named.plain)


def told(model: RegisteredModel) -> Mapping[str, Fact]:
    """What is known of a model that we did not make."""
    made_at = model.made_at.isoformat() if model.made_at else None
    return {"model": asset(model.asset).plain, "by": model.made_by, "at": made_at, "job": model.job}


def _begun(
    current: Unit, state: LoopState, model: RegisteredModel | None, trigger: Trigger
) -> Outcome | Reason:
    assert model is not None
    rows = untrained.newest_rows(current)
    if not rows:
        return reason(Code.MODEL_NO_ROWS, loop=current.loop)
    no = untrained.serving(current, model.asset) or _unfit(current, current.published(), model)
    if no is not None:
        return no
    why = replace(trigger.reason, facts={**trigger.reason.facts, **told(model)})
    release = replace(
        untrained.beside(current, replace(trigger, reason=why), model.asset, Phase.PREPARING),
        judged_on=rows,
    )
    now = release.started_at
    counted = replace(state, starts=(*policy.recent_starts(state, now), now))
    return start.begun(counted, release)


def _unfit(current: Unit, published: Published, model: RegisteredModel) -> Reason | None:
    """Why the model cannot answer what the loop sends; None when nothing speaks against it."""
    name, aided = asset(model.asset).plain, bool(published.assets.code)
    if not aided and model.kind != "mlflow_model":
        return reason(Code.MODEL_NOT_MLFLOW, model=name, kind=model.kind)
    files = current.ports.training.model_files(model.asset)
    if files.mlmodel is None:
        return None if aided else reason(Code.MODEL_NOT_MLFLOW, model=name, kind="a folder without MLmodel")
    if not aided and (lacks := unaided.lacks(files)):
        return reason(Code.MODEL_LACKS_PACKAGES, model=name, lacks=lacks)
    wanted = signature.inputs(files.mlmodel)
    if not wanted:
        return None if aided else reason(Code.MODEL_NO_SIGNATURE, model=name)
    missing, texts = signature.misfits(wanted, _features(current, published))
    if not missing and not texts:
        return None
    return reason(
        Code.MODEL_COLUMNS_DIFFER,
        model=name,
        loop=current.loop,
        missing=", ".join(missing),
        texts=", ".join(texts),
    )


def _features(current: Unit, published: Published) -> Mapping[str, str]:
    """The columns that the loop's newest labelled version has for a model."""
    data = published.definition.data
    hidden = {data.target, data.id, *data.left_out}
    columns = current.version(current.newest_labelled())[0].columns
    return {name: kind for name, kind in columns.items() if name not in hidden}
