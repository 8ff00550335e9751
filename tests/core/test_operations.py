"""Every code that a loop may show as a refusal, a wait or a failure has its row in docs/operations.md, and says
something; docs/reference-errors.md lists every code of an error."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from string import Formatter

import pytest

from cli.diagnosis import Finding, guarded
from shared import errors, guide
from shared.domain.event import InboxState
from shared.domain.reason import Code, Reason, reason
from shared.domain.release import Phase
from shared.intake.rejections import REMEDIES
from shared.words import TEXTS, say

ROOT = Path(__file__).parents[2]

NEEDS_NOTHING = {
    *("became-version", "act-done", "read-again", "restore-deployed", "resumed", "source-unchanged"),
    *(
        "first-model",
        "schedule-due",
        "champion-too-old",
        "much-new-data",
        "alert-fired",
        "monitor-breached",
        "asked-for",
    ),
    *(
        "rollback-asked-for",
        "model-asked-for",
        "promotion-asked-for",
        "model-registered",
        "training-unknown",
        "gate-not-asked",
    ),
    *("restore-asked-for", "adopted-as-served", "triggers", "release-started", "no-trigger", "finding"),
    *(
        "serves",
        "serves-again",
        "no-model-yet",
        "under-way",
        "labels-joined",
        "labels-no-model",
        "version-judged",
    ),
    *(
        "no-champion",
        "drift-off",
        "column-moved",
        "columns-moved-more",
        "slices-judged",
        "no-material-drift",
        "steps-reused",
    ),
    *("steps-took", "step-took", "step-reused"),
    *("check-found", "check-by-chance", "gate-function-by-chance"),
    *("commit", "explained", "labels-by-slice", "labels-slice"),
    *("unusual-drop", "usual-drop", "few-past-drops", "reference-not-there"),
    *(
        "metric-breached",
        "metric-past-by-chance",
        "metric-met",
        "metric-of-gate",
        "metric-of-drops",
        "metric-of-drops-alone",
        "metric-measured",
        "metric-undefined",
        "metric-too-few-rows",
        "metric-class-too-rare",
    ),
    *("metric-mismatch", "metric-bad-values", "predictions-judged", "predictions-compared"),
    *("served-judged", "served-too-few", "few-past-windows", "unusual-window", "usual-window"),
    *("breach-served", "breach-not-served", "estimated", "estimate-past-threshold", "estimates-checked"),
    *("estimates-unchecked", "estimate-was", "estimate-too-few", "label-chosen", "label-chosen-number"),
    *("predictions-no-reference", "breach-confirmed", "breach-no-version", "breach-no-report"),
    *(
        "breach-not-shown",
        "helped",
        "not-helped",
        "help-unknown",
        "still-differs",
        "taken-in",
        "on-new-rows",
        "no-new-rows",
    ),
    *("gate-passed", "gate-inconclusive-passed", "gate-first-model", "gate-difference", "gate-floor"),
    *(
        "gate-slice",
        "gate-slice-difference",
        "gate-slice-column",
        "gate-parity",
        "gate-parity-few",
        "gate-calibration",
        "gate-calibration-unstated",
        "gate-no-rows",
    ),
    *("gate-unanswered", "gate-unusable-answers", "gate-unusable-values", "gate-mape-undefined"),
    *(
        "gate-too-few-rows",
        "canary-passed",
        "canary-errors-noticed",
        "bake-passed",
        "bake-errors",
        "bake-outage",
    ),
    *("bake-latency", "bake-last-step", "bake-short", "metric-unmeasured", "metric-rate", "metric-latency"),
    *("metric-signal", "signal-value"),
    *("metric-loss", "metric-shift", "metric-shadow", "smoke-passed", "smoke-passed-golden"),
    *("smoke-nothing-asked", "smoke-status", "smoke-no-predictions", "smoke-count", "smoke-malformed"),
    *("smoke-slow", "smoke-golden-count", "smoke-golden-differs", "answer-is-text", "answer-is-error"),
    *("answer-is-object", "answer-is-other", "value-not-finite", "value-not-class", "value-unknown-class"),
    "value-empty",
    *("cost-estimated", "cost-estimated-untrained", "cost-counted", "cost-so-far"),
    *("deployments-looked-at", "no-strangers"),
    *("labels-own", "labels-provisional", "labels-mature", "labels-final-good"),
}
"""Triggers, verdicts, their findings and outcomes: nothing is refused, waits or failed by itself."""

ENTRIES = {f"release.{phase.value}" for phase in Phase} | {f"drop.{state.value}" for state in InboxState}
ENTRIES |= {"serving.lost", "source.given_up", "traffic.adopted", "traffic.repaired"}

ERRORS = {code for code in Code if code not in TEXTS}
"""An error brings its own text."""


def listed() -> set[str]:
    return {code for part in guide.parts() for answer in part.answers for code in answer.codes}


def test_every_refusal_wait_and_failure_has_a_row() -> None:
    assert {code.value for code in Code} - NEEDS_NOTHING - set(REMEDIES) - listed() == set()
    assert {code.value for code in Code} > NEEDS_NOTHING


def test_every_code_of_a_row_exists() -> None:
    assert listed() - {code.value for code in Code} - ENTRIES == set()


@pytest.mark.parametrize("code", list(Code), ids=str)
def test_every_code_says_something_with_all_its_facts_and_with_none(code: Code) -> None:
    """A fact that a stored row does not have is shown as unknown, not as an error of the page."""
    text = TEXTS.get(code, "{text}")
    assert say(Reason(code)).strip() != "" or text == "{because}"
    if not isinstance(text, str):
        return
    names = [name for _, name, _, _ in Formatter().parse(text) if name]
    facts = {name: "2026-11-20T12:00:00+00:00" for name in names if name != "because"}
    full = Reason(code, facts, (reason(Code.ASKED_FOR, why="the monthly report"),))
    assert say(full).count("unknown") == text.count("unknown")
    assert not {"{", "}"} & set(say(full))
    assert "because" not in names or "the monthly report" in say(full)
    assert "{" not in say(Reason(code))


def test_other_peoples_text_is_never_read_as_a_format() -> None:
    assert say(reason(Code.ASKED_FOR, why="{loop} {0} {because.x}")) == "{loop} {0} {because.x}"


@cache
def raised() -> set[str]:
    """Codes that the sources give to an error by name; strings are those of rejected input."""
    found = set()
    for path in sorted(
        p for room in ("shared", "functions", "tower", "cli") for p in (ROOT / room).rglob("*.py")
    ):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                found |= _code(node)
    return found


def _code(call: ast.Call) -> set[str]:
    name = getattr(call.func, "id", getattr(call.func, "attr", ""))
    first = [call.args[0]] if name in ("InputRejected", "rejected") and call.args else []
    given = [*first, *(k.value for k in call.keywords if k.arg == "code")]
    named = {Code[n.attr].value for n in given if isinstance(n, ast.Attribute) and n.attr in Code.__members__}
    return named | {n.value for n in given if isinstance(n, ast.Constant) and isinstance(n.value, str)}


def test_the_reference_lists_the_code_of_every_error() -> None:
    reference = (ROOT / "docs" / "reference-errors.md").read_text()
    rows = re.findall(r"^\| (`[a-z].*?`) \|", reference.split("## Answers over HTTP")[0], re.MULTILINE)
    found = {code for row in rows for code in re.findall(r"`([a-z-]+)`", row)}
    assert found == {code.value for code in ERRORS} - set(REMEDIES) | {"too-large"}


def test_every_code_that_an_error_is_given_exists() -> None:
    assert len(raised()) > 60
    assert raised() - {code.value for code in Code} == set()


def test_every_code_of_an_error_is_raised() -> None:
    usual = {
        one.usual.value
        for one in vars(errors).values()
        if isinstance(one, type) and issubclass(one, errors.DriftloopError)
    }
    silent = {code.value for code in ERRORS} - raised() - usual - set(REMEDIES)
    assert silent == {"unexpected", "row-unreadable"}, "given where an error is caught, and by Unreadable"


@pytest.mark.parametrize(
    ("error", "fix"),
    [
        (errors.InvariantBroken("gone", code=Code.DOCUMENT_LOST), "restore it from the storage account"),
        (errors.InvariantBroken("not read", code=Code.ROW_UNREADABLE), "restore the row"),
        (errors.ConfigurationError("no role", code=Code.ACCESS_REFUSED), "docs/identities.md"),
        (errors.DependencyUnavailable("away"), "is the service up"),
    ],
    ids=str,
)
def test_doctor_says_of_a_look_that_failed_what_its_code_asks_for(
    error: errors.DriftloopError, fix: str
) -> None:
    """Of a row that was edited it asked whether a firewall lets one through."""

    def look() -> Iterator[Finding]:
        raise error
        yield

    (finding,) = guarded("loop birds", look)
    assert finding.state == "broken"
    assert finding.fix.startswith(fix)
