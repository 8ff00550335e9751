"""Every code has a text, and a reason with other facts than its text names is noticed where it is made."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from shared.domain.ledger import LedgerEntry
from shared.domain.loop import LoopState
from shared.domain.reason import Code, Reason, reason
from shared.intake import rejections
from shared.ports import Row
from shared.state import rows
from shared.state.hash_chain import Draft, append, problems
from shared.words import TEXTS, say
from tests.core.world import NOW
from tests.strict_words import facts_of

VALUES = {"outcome": "pass"}
"""Facts that are one of few values; any number does for the others."""


def made(code: Code) -> Reason:
    return reason(code, **{name: VALUES.get(name, 1) for name in facts_of(code)})


def test_every_code_has_a_text_or_is_the_code_of_an_error_which_brings_its_own() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference-errors.md").read_text()
    listed = set(re.findall(r"`([a-z-]+)`", page)) | set(rejections.REMEDIES)
    assert {code.value for code in set(Code) - set(TEXTS)} - listed == set()


@pytest.mark.parametrize("code", Code, ids=str)
def test_every_text_can_be_said_and_names_no_placeholder(code: Code) -> None:
    words = say(made(code)) if TEXTS.get(code) != "{because}" else "what it rests on"
    assert words == words.strip() != ""
    assert "{" not in words


def test_a_reason_without_a_fact_that_its_text_names_cannot_be_made() -> None:
    with pytest.raises(AssertionError, match=r"smoke-passed-golden: missing facts \['golden'\]"):
        reason(Code.SMOKE_PASSED_GOLDEN, rows=1)


def test_a_reason_says_what_it_rests_on() -> None:
    rests = reason(Code.SMOKE_COUNT, predictions=1, rows=2), reason(Code.GATE_NO_ROWS)
    assert say(reason(Code.GATE_MALFORMED, *rests)) == (
        "malformed answers: 1 predictions for 2 rows; there are no holdout rows"
    )
    assert say(None) == ""


def test_a_ledger_entry_keeps_its_reason_and_a_change_of_a_fact_breaks_the_chain() -> None:
    inner = reason(Code.CANARY_SUSPECTED, reason(Code.CANARY_OUTAGE, rate=0.25))
    draft = Draft(
        "release.rolling_back",
        "release 1",
        "driftloop",
        "",
        detail={"reason": reason(Code.GATE_FAILED, inner)},
    )
    state, (entry,) = append(LoopState("birds", "digest", "ann", NOW), [draft], NOW)
    stored = rows.decode(LedgerEntry, Row("x", rows.encode(entry), ""))
    head = state.ledger_seq, state.ledger_head
    assert (stored, problems([stored], head)) == (entry, [])
    other = reason(Code.GATE_FAILED, reason(Code.CANARY_SUSPECTED, reason(Code.CANARY_OUTAGE, rate=0.5)))
    assert problems([replace(stored, detail={"reason": other})], head)
