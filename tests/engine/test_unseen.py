"""A challenger keeps requests only while somebody can see how it does (P13, P15): what cannot be seen is shown, and
when it lasts the traffic goes back. Harm that the log of requests shows needs no other document."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from shared.domain.reason import Code
from shared.domain.release import JudgementKind, Phase, Release
from shared.state import queries
from tests.engine.test_isolation import erring, until_ended
from tests.faults import PERMANENT
from tests.simulator.beside import second
from tests.simulator.life import LOOP, Life
from tests.simulator.reader import reading_in_process

FAULTS = sorted(set(PERMANENT) - {"lost race", "outcome unknown"})
"""No read is answered so."""
PLAN = LOOP.replace("minutes: 0.05", "minutes: 60").replace("max_hours: 5", "max_hours: 2")
BAKES = LOOP.replace("bake_minutes: 0.1", "bake_minutes: 30").replace("max_hours: 5", "max_hours: 2")


@pytest.fixture(autouse=True, scope="module")
def reader() -> Iterator[None]:
    with reading_in_process():
        yield


def minutes(life: Life, many: int) -> Release:
    """The second release after so many minutes, looked at every five."""
    for _ in range(many // 5):
        if life.release(2).ended:
            break
        life.round(seconds=300.0)
    return life.release(2)


def lose(life: Life, kind: JudgementKind) -> None:
    """The document of a verdict's evidence is gone."""
    judged = life.release(2).judgement(kind)
    assert judged is not None
    life.real.documents.contents.pop(judged.evidence)


def attention(life: Life) -> Code | None:
    overview = life.real.store.overview("birds")
    assert overview is not None
    return overview.needs_attention.code if overview.needs_attention else None


def unreadable(fault: str) -> Callable[[Life], None]:
    def begin(life: Life) -> None:
        life.broken = lambda call: PERMANENT[fault](call.name) if call.name == "evidence.traffic" else None

    return begin


def unobeyed(life: Life) -> None:
    """The endpoint sends all requests to the champion, whatever is set."""
    sends = life._requests
    life._requests = lambda deployment, n: sends("r1-a1", n)  # type: ignore[method-assign]


@pytest.mark.parametrize("begin", [*map(unreadable, FAULTS), unobeyed], ids=[*FAULTS, "unobeyed"])
def test_a_canary_that_cannot_be_watched_is_shown_and_goes_back_after_the_longest_time_of_a_step(
    begin: Callable[[Life], None],
) -> None:
    life = second(Phase.CANARY, PLAN)
    begin(life)
    assert minutes(life, 60).phase is Phase.CANARY
    assert attention(life) is Code.STUCK
    after = minutes(life, 90)
    assert after.phase is Phase.ROLLED_BACK and life.traffic() == {"r1-a1": 100}
    assert after.reason is not None and after.reason.code in (Code.CANARY_TIMED_OUT, Code.LOOKS_FAILED)


@pytest.mark.parametrize("chosen", ["hold", "promote"])
def test_where_the_loop_file_says_so_a_person_decides_on_it(chosen: str) -> None:
    life = second(Phase.CANARY, PLAN.replace("canary: {", f"canary: {{on_timeout: {chosen}, "))
    unreadable("unavailable")(life)
    assert minutes(life, 150).phase is Phase.HOLDING and life.traffic() == {"r1-a1": 90, "r2-a1": 10}


def test_looks_that_fail_for_a_while_cost_a_canary_nothing() -> None:
    life = second(Phase.CANARY, PLAN)
    unreadable("unavailable")(life)
    minutes(life, 50)
    life.broken = lambda call: None
    minutes(life, 5)
    assert attention(life) is None
    assert minutes(life, 150).phase is Phase.LIVE


def test_errors_take_a_canary_back_though_the_gates_evidence_is_lost() -> None:
    life = second(Phase.CANARY, PLAN)
    lose(life, JudgementKind.GATE)
    erring(life)
    until_ended(life, 30)
    assert life.release(2).phase is Phase.ROLLED_BACK


def test_and_nothing_is_promoted_while_it_is() -> None:
    life = second(Phase.CANARY, PLAN)
    lose(life, JudgementKind.GATE)
    assert minutes(life, 110).phase is Phase.CANARY and attention(life) is Code.STUCK
    assert minutes(life, 30).phase is Phase.ROLLED_BACK


@pytest.mark.parametrize("lost", [JudgementKind.GATE, JudgementKind.CANARY])
def test_errors_take_a_promoted_model_back_whatever_evidence_from_before_is_lost(lost: JudgementKind) -> None:
    life = second(Phase.BAKING, BAKES)
    lose(life, lost)
    erring(life)
    until_ended(life, 30)
    assert life.release(2).phase is Phase.ROLLED_BACK and life.traffic() == {"r1-a1": 100}


@pytest.mark.parametrize("lost", [JudgementKind.GATE, JudgementKind.CANARY])
def test_and_a_bake_without_it_does_not_pass(lost: JudgementKind) -> None:
    life = second(Phase.BAKING, BAKES)
    lose(life, lost)
    assert minutes(life, 140).phase is Phase.BAKING and attention(life) is Code.STUCK
    assert minutes(life, 30).phase is Phase.ROLLED_BACK


@pytest.mark.parametrize(("errs", "end"), [(True, Phase.ROLLED_BACK), (False, Phase.LIVE)])
def test_where_all_steps_were_skipped_the_bake_still_sees_that_most_requests_fail(
    errs: bool, end: Phase
) -> None:
    life = second(Phase.CANARY, PLAN.replace("bake_minutes: 0.1", "bake_minutes: 30"))
    while life.release(2).phase is not Phase.BAKING:
        life.act("skip", 2, id=f"skip {life.rounds}")
        life.round()
    if errs:
        erring(life)
    assert minutes(life, 40).phase is end


def test_traffic_that_never_comes_into_force_takes_a_promotion_back() -> None:
    life = second(Phase.PROMOTING, LOOP, slow=3)
    life.real.serving.apply_traffic = lambda endpoint: None  # type: ignore[method-assign]
    assert minutes(life, 50).phase is Phase.PROMOTING
    after = minutes(life, 30)
    assert (after.phase, after.outcome) == (Phase.ROLLING_BACK, Phase.FAILED)


@pytest.mark.parametrize("fault", ["refused", "foreign"])
def test_machines_that_cannot_be_asked_for_keep_no_canary_unwatched(fault: str) -> None:
    """A step that has passed is watched while they are awaited; then its traffic goes back."""
    plan = LOOP.replace("serve: {endpoint: birds}", "serve: {endpoint: birds, instance_count: 4}")
    life = second(
        Phase.CANARY,
        plan.replace("canary: {", "canary: {instances: 1, ").replace("max_hours: 5", "max_hours: 1"),
    )
    life.broken = lambda call: PERMANENT[fault](call.name) if call.name == "serving.ensure_machines" else None
    assert minutes(life, 170).phase is Phase.CANARY
    assert minutes(life, 160).phase is Phase.FAILED and life.traffic() == {"r1-a1": 100}


def test_the_ledger_says_why() -> None:
    life = second(Phase.CANARY, PLAN)
    unreadable("refused")(life)
    minutes(life, 150)
    told = [entry for entry in queries.entries(life.real, "birds") if entry.what == "release.rolling_back"]
    assert [one.detail["reason"].code for one in told] == [Code.LOOKS_FAILED]
