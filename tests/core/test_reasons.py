"""Every code has a text, and a reason with other facts than its text names is noticed where it is made."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.domain.ledger import LedgerEntry
from shared.domain.loop import LoopState
from shared.domain.reason import Code, Reason, reason
from shared.ports import Row
from shared.state import rows
from shared.state.hash_chain import Draft, append, problems
from shared.words import TEXTS, say
from tests.core.world import NOW
from tests.strict_words import facts_of

VALUES = {"outcome": "pass"}
"""Facts that are one of few values; any number does for the others."""


def made(code: Code) -> Reason:
    return reason(code, **{name: VALUES.get(name, 1) for name in facts_of(code)[0]})


def test_every_code_has_a_text() -> None:
    assert set(TEXTS) == set(Code)


@pytest.mark.parametrize("code", Code, ids=str)
def test_every_text_can_be_said_and_names_no_placeholder(code: Code) -> None:
    words = say(made(code))
    assert words == words.strip() != ""
    assert "{" not in words


@pytest.mark.parametrize("facts", [{}, {"rows": 1, "golden": 2, "more": 3}, {"golden": 2}])
def test_a_reason_with_other_facts_than_its_text_names_cannot_be_made(facts: dict[str, int]) -> None:
    with pytest.raises(AssertionError, match="smoke-passed-golden: missing facts"):
        reason(Code.SMOKE_PASSED_GOLDEN, **{name: n for name, n in facts.items() if name != "golden"})
    if "more" in facts:
        with pytest.raises(AssertionError, match=r"unknown facts \['more'\]"):
            reason(Code.SMOKE_PASSED_GOLDEN, **facts)


def test_a_reason_says_what_it_rests_on() -> None:
    rests = reason(Code.SMOKE_COUNT, predictions=1, rows=2), reason(Code.GATE_NO_ROWS)
    assert say(reason(Code.GATE_MALFORMED, *rests)) == (
        "malformed answers: 1 predictions for 2 rows; there are no holdout rows"
    )
    assert say(None) == ""


def test_a_ledger_entry_keeps_its_reason_and_a_change_of_a_fact_breaks_the_chain() -> None:
    inner = reason(Code.CANARY_SUSPECTED, reason(Code.CANARY_OUTAGE, rate=0.25))
    why = reason(Code.GATE_FAILED, inner)
    draft = Draft("release.cleaning", "release 1", "driftloop", "", detail={"reason": why})
    state, (entry,) = append(LoopState("birds", "digest", "ann", NOW), [draft], NOW)
    stored = rows.decode(LedgerEntry, Row("x", rows.encode(entry), ""))
    assert (stored, problems([stored], state)) == (entry, [])
    other = reason(Code.GATE_FAILED, reason(Code.CANARY_SUSPECTED, reason(Code.CANARY_OUTAGE, rate=0.5)))
    assert problems([replace(stored, detail={"reason": other})], state)
