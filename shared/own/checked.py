"""The loop's own checks, asked about a drop and the rows that the champion was trained on, or about two models' answers
to the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from shared.domain.reason import Code, Reason, reason
from shared.own import sandbox, source_text
from shared.own.measured import SEED, table_of
from shared.verdict.check_verdict import Check

if TYPE_CHECKING:
    import pandas as pd

SPLITS = 200
"""Of the reference against itself: p-values that are four times too small are found in nearly every drop."""


ANSWER = "prediction"
"""The column in which two models' answers to the same rows stand."""


def ask(
    code: str,
    names: Sequence[str],
    reference: pd.DataFrame,
    current: pd.DataFrame,
    *,
    same_rows: bool = False,
) -> tuple[Check, ...] | Reason:
    """What each check found, or why they found nothing. `same_rows`: both sides differ in nothing but `ANSWER`."""
    question = {"task": "check", "functions": list(names), "splits": SPLITS, "seed": SEED}
    question["exchanged"] = ANSWER if same_rows else None
    try:
        answer = sandbox.run(
            source_text.CHECKS_FILE, code, question, [table_of(reference), table_of(current)]
        )
        return tuple(_read(name, answer["checks"][name]) for name in names)
    except sandbox.Stopped as stopped:
        return stopped.reason
    except (KeyError, TypeError, ValueError) as error:
        what = f"an answer of another form ({type(error).__name__})"
        return reason(Code.OWN_CODE_UNFIT, where=source_text.CHECKS_FILE, what=what)


def _read(name: str, found: Mapping[str, Any]) -> Check:
    """The code could have said it itself, so it is believed only in this form."""
    severity, p_value = found["severity"], found["p_value"]
    if severity not in ("info", "warning", "drift"):
        raise ValueError(severity)
    same = tuple(map(float, found["same"]))
    if not all(0 <= p <= 1 for p in (*same, *([] if p_value is None else [float(p_value)]))):
        raise ValueError("no p-value")
    return Check(name, severity, str(found["text"])[:200], None if p_value is None else float(p_value), same)
