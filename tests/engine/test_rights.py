"""Who may do what: roles x actions x loops, two persons, nobody what they published; and who is not believed."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import azure.functions as func
import pytest
from typer.testing import CliRunner

from functions import app, people
from shared import loopfile
from shared.domain.caller import Caller
from shared.domain.ledger import LedgerEntry
from shared.domain.reason import Code
from shared.domain.release import Phase
from shared.errors import ConfigurationError, DependencyUnavailable
from shared.inbox import messages, recorder, rights
from shared.inbox.rights import Rules
from shared.loopfile.published import Assets, Published
from shared.memory.manual_clock import FakeClock
from shared.runtime import publication
from shared.state import queries
from tests.engine.test_faults import birds, served
from tests.simulator.life import LOOP, Life
from tests.simulator.reader import reading_in_process
from tests.tower.tower import page, post

GROUP = "0e5a0000-0000-0000-0000-000000009409"
PLANS = {
    "none": "",
    "birds": f"people: {{act: [Act.birds, {GROUP}], approve: [Manage.birds]}}\n",
    "both": "people: {act: [Driftloop.Act, Act.birds]}\n",
}
"""What a loop asks of people. `both` has the role of `birds` in common with it: they are a group of loops."""
APPROVED = LOOP.replace("bake_minutes: 0.1", "bake_minutes: 0.1, approval: before_canary")
NOW = FakeClock().now()


def somebody(*roles: str, name: str = "bob@contoso.com", oid: str = "b0b", left_out: bool = False) -> Caller:
    return Caller(name, oid, frozenset(roles), left_out)


@cache
def published(asked: str, by: str = "ann@contoso.com", oid: str = "a22") -> Published:
    return Published(loopfile.parse(APPROVED + asked, file="loop.yaml"), Assets("azureml:t:1"), by, NOW, oid)


def refused(verb: str, caller: Caller | None, *asked: str) -> Code | None:
    no = Rules("birds", tuple(map(published, asked))).refusal(verb, caller)
    return no.code if no else None


# --- the table ---------------------------------------------------------------------------------------

BEGIN = ("retrain", "release", "restore", "replay")
UNDO = ("pause", "resume", "abort", "rollback")
GO_ON = ("approve", "skip")
MAY = {
    # role: what it may do on a loop with no `people`, on `birds`, on `both`
    "Driftloop.Look": ((), (), ()),
    "Driftloop.Act": ((*BEGIN, *UNDO, *GO_ON), (), (*BEGIN, *UNDO, *GO_ON)),
    "Act.birds": ((), (*BEGIN, *UNDO), (*BEGIN, *UNDO, *GO_ON)),
    GROUP: ((), (*BEGIN, *UNDO), ()),
    "Manage.birds": ((), (*UNDO, *GO_ON), ()),
    "Manage.cats": ((), (), ()),
    "": ((), (), ()),
}


def test_every_action_is_in_the_table() -> None:
    assert {*BEGIN, *UNDO, *GO_ON} == messages.VERBS


@pytest.mark.parametrize("verb", sorted(messages.VERBS))
@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("role", MAY)
def test_who_may_do_what_on_which_loop(role: str, plan: str, verb: str) -> None:
    may = verb in MAY[role][list(PLANS).index(plan)]
    assert refused(verb, somebody(role), PLANS[plan]) is (None if may else Code.ROLE_MISSING)


@pytest.mark.parametrize("verb", sorted(messages.VERBS))
def test_whom_nobody_vouches_for_is_believed_where_nothing_is_asked_and_nowhere_else(verb: str) -> None:
    assert refused(verb, None, PLANS["none"]) is None
    assert refused(verb, None, PLANS["birds"]) is refused(verb, None, PLANS["both"]) is Code.ACT_UNPROVEN


def test_of_a_loop_that_is_not_there_one_must_be_able_to_act_to_hear_of_it() -> None:
    assert (
        refused("pause", somebody()) is Code.ROLE_MISSING
        and refused("pause", somebody("Driftloop.Act")) is None
    )


def test_whose_groups_are_left_out_is_told_so_and_a_role_still_counts() -> None:
    lost = somebody("Driftloop.Look", left_out=True)
    assert refused("retrain", lost, PLANS["birds"]) is Code.GROUPS_LEFT_OUT
    assert refused("retrain", somebody("Act.birds", left_out=True), PLANS["birds"]) is None


@pytest.mark.parametrize(("was", "now"), [("birds", "none"), ("none", "birds")])
def test_an_open_release_keeps_its_rules_and_obeys_the_new_ones_as_well(was: str, now: str) -> None:
    plans = PLANS[now], PLANS[was]
    assert refused("abort", somebody("Driftloop.Act"), *plans) is Code.ROLE_MISSING
    assert refused("abort", somebody("Act.birds"), *plans) is Code.ROLE_MISSING
    assert refused("abort", somebody("Act.birds", "Driftloop.Act"), *plans) is None
    assert refused("abort", None, *plans) is Code.ACT_UNPROVEN


@pytest.mark.parametrize(
    ("name", "oid", "same"),
    [
        ("ann@contoso.com", "a22", True),
        ("Ann@Contoso.com", "", True),
        ("another.name@contoso.com", "A22", True),
        ("ann@contoso.com", "another", False),
        ("bob@contoso.com", "", False),
    ],
)
def test_nobody_approves_what_they_published_by_object_id_else_by_name(
    name: str, oid: str, same: bool
) -> None:
    who = somebody("Driftloop.Act", name=name, oid=oid)
    for verb in messages.VERBS:
        expected = Code.OWN_PUBLICATION if same and verb in GO_ON else None
        assert refused(verb, who, "people: {}\n") is expected
        assert refused(verb, who, "people: {not_the_publisher: false}\n") is refused(verb, who, "") is None


def test_a_record_keeps_no_role_that_the_loop_does_not_ask_for() -> None:
    who = somebody("Act.birds", "Driftloop.Act", "Payroll", GROUP)
    kept = Rules("birds", (published(PLANS["birds"]),)).vouched(who)
    assert kept and kept.roles == {"Act.birds", "Driftloop.Act", GROUP}
    assert rights.caller_of(rights.kept(kept)) == kept
    assert (
        Rules("birds", (published(""),)).vouched(who) is None and rights.caller_of({"verb": "pause"}) is None
    )


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ("people: {act: []}\n", "people.act"),
        ('people: {act: ["two words"]}\n', "people.act"),
        ("people: {approve: [A, A]}\n", "people.approve"),
        ("people: {publish: [A]}\n", "publish"),
    ],
)
def test_what_is_no_list_of_roles_is_said_with_its_key(asked: str, error: str) -> None:
    with pytest.raises(ConfigurationError, match=error):
        loopfile.parse(APPROVED + asked, file="loop.yaml")


def test_two_persons_without_an_approval_to_count_are_said() -> None:
    with pytest.raises(ConfigurationError, match="before_canary or before_promotion"):
        loopfile.parse(LOOP + "people: {two_persons: true}\n", file="loop.yaml")


def test_what_was_published_before_there_were_people_is_read() -> None:
    document = json.loads(published("").to_bytes())
    del document["published_by_oid"], document["definition"]["people"]
    assert Published.from_bytes(json.dumps(document).encode()) == replace(published(""), published_by_oid="")


# --- in a loop ---------------------------------------------------------------------------------------

TWO = APPROVED + "people: {act: [Act.birds], approve: [Manage.birds], two_persons: true}\n"
BOB, CAL = (
    somebody("Driftloop.Look", "Manage.birds", name=f"{it}@contoso.com", oid=it) for it in ("b0b", "ca1")
)
ANN = somebody("Manage.birds", name="ann@contoso.com", oid="a22")
DEV = somebody("Driftloop.Look", "Act.birds", name="dev@contoso.com", oid="de4")


@pytest.fixture(autouse=True, scope="module")
def reader() -> Iterator[None]:
    with reading_in_process():
        yield


def publish(life: Life, plan: str) -> None:
    definition = loopfile.parse(plan, file="loop.yaml")
    made = Published(definition, Assets("azureml:birds-training:1"), ANN.name, life.clock.now(), ANN.oid)
    publication.publish(life.real, made)


@pytest.fixture
def life() -> Life:
    """A life whose second release awaits an approval that two persons must give."""
    made = served()
    publish(made, TWO)
    made.drop("2.csv", birds(2, 1.3))
    made.until(Phase.AWAITING_APPROVAL)
    return made


def ask(life: Life, caller: Caller, verb: str, id: str = "", **more: str) -> int:
    """As the page does it; the status of its answer."""
    form = {"loop": "birds", "verb": verb, "release": "2", "reason": "because", **more}
    ids = iter(range(len(queries.inbox(life.real, "birds")), 99))
    return post(life.real, {**form, "id": id or f"{next(ids):032x}"}, caller=caller).status


def refusals(life: Life) -> list[Code]:
    return [entry.detail["why"].code for entry in life.told("action.refused")]  # type: ignore[union-attr]


def firsts(life: Life) -> list[LedgerEntry]:
    return life.told("release.first_of_two")


def test_two_persons_approve_and_the_ledger_and_the_page_name_the_first(life: Life) -> None:
    assert ask(life, BOB, "approve") == 303
    life.round()
    assert life.release().phase is Phase.AWAITING_APPROVAL
    assert (
        [one.actor for one in firsts(life)] == [one.actor for one in life.release().approvals] == [BOB.actor]
    )
    assert f"approve by {BOB.actor}; a second person is needed" in page(
        life.real, "/loops/birds/releases/2", BOB
    )
    for _ in range(3):
        life.round()
    assert ask(life, CAL, "approve") == 303
    life.round()
    assert life.release().phase is not Phase.AWAITING_APPROVAL and life.release().approvals == ()
    assert CAL.actor in [one.actor for one in life.told("release.shifting")]


def test_an_approval_that_is_delivered_twice_and_asked_for_again_is_one_person(life: Life) -> None:
    for again in range(2):
        assert ask(life, BOB, "approve", id="a" * 32) == 303
        for message in life.real.queue.messages:
            life.send(message)
        life.round()
        assert len(life.release().approvals) == len(firsts(life)) == 1, again
    assert refusals(life) == []
    ask(life, replace(BOB, name="robert@contoso.com"), "approve")
    life.round()
    assert (life.release().phase, refusals(life)) == (Phase.AWAITING_APPROVAL, [Code.SAME_PERSON])


@pytest.mark.parametrize("second", [BOB, CAL], ids=["the same", "another"])
def test_one_who_skips_and_one_who_approves_are_not_two_who_approve(second: Caller) -> None:
    """Where a release holds both would let it go on; an approval alone cannot be skipped."""
    life = served()
    publish(life, re.sub(r"(?m)^gate: .*$", "gate: {margin: 0.0001, on_inconclusive: hold}", TWO))
    life.drop("2.csv", birds(2, 1.3))
    life.until(Phase.HOLDING)
    ask(life, BOB, "skip")
    ask(life, second, "approve")
    life.round()
    assert (life.release().phase, refusals(life)) == (Phase.HOLDING, [])
    given = {(one.verb, one.actor) for one in life.release().approvals}
    assert given == {("skip", BOB.actor), ("approve", second.actor)}
    ask(life, CAL if second is BOB else BOB, "approve")
    life.round()
    assert life.release().phase is not Phase.HOLDING


def test_who_published_since_may_let_a_release_go_on_that_runs_with_somebody_elses(life: Life) -> None:
    definition = loopfile.parse(TWO.replace("bake_minutes: 0.1", "bake_minutes: 0.2"), file="loop.yaml")
    publication.publish(
        life.real,
        Published(definition, Assets("azureml:birds-training:1"), BOB.name, life.clock.now(), BOB.oid),
    )
    assert ask(life, BOB, "approve") == 303
    life.round()
    assert refusals(life) == []
    assert [one.actor for one in life.release().approvals] == [BOB.actor]


def test_the_first_of_two_is_forgotten_when_the_release_has_moved() -> None:
    life = served()
    publish(life, TWO.replace("minutes: 0.05", "minutes: 60"))
    life.drop("2.csv", birds(2, 1.3))
    life.until(Phase.AWAITING_APPROVAL)
    for who in (BOB, CAL):
        ask(life, who, "approve")
    life.until(Phase.CANARY)
    assert life.release().approvals == ()
    ask(life, BOB, "skip")
    life.round()
    assert [(one.verb, one.actor) for one in life.release().approvals] == [("skip", BOB.actor)]
    ask(life, CAL, "skip")
    life.round()
    assert (life.release().step, life.release().approvals) == (1, ())


def test_one_person_alone_takes_it_back(life: Life) -> None:
    assert ask(life, DEV, "abort") == 303
    life.rest()
    assert life.release().phase is Phase.ABORTED


def test_who_may_not_gets_a_403_and_nothing_is_on_record(life: Life) -> None:
    before = len(queries.inbox(life.real, "birds"))
    for who, verb in (
        (DEV, "approve"),
        (BOB, "retrain"),
        (somebody("Driftloop.Act"), "abort"),
        (ANN, "approve"),
    ):
        assert ask(life, who, verb) == 403, (who, verb)
    assert len(queries.inbox(life.real, "birds")) == before and not life.real.queue.messages


@pytest.mark.parametrize(
    "claims", [{}, {"name": "cal", "oid": "ca1", "roles": "Manage.birds"}, {"by": {"roles": []}}]
)
@pytest.mark.parametrize("verb", ["approve", "abort", "pause", "retrain"])
def test_what_lay_in_the_queue_alone_is_refused_whatever_it_claims(
    life: Life, verb: str, claims: dict[str, object]
) -> None:
    forged = json.loads(messages.act_message(verb, "birds", {"release": 2}, CAL.actor))
    life.send(json.dumps({**forged, **claims}))
    life.round()
    assert refusals(life) == [Code.ACT_UNPROVEN]
    assert (life.release().phase, life.state.paused) == (Phase.AWAITING_APPROVAL, None)


def test_who_was_shut_out_after_they_asked_is_refused_by_the_worker(life: Life) -> None:
    ask(life, BOB, "approve")
    publish(life, TWO.replace("Manage.birds", "Manage.others"))
    assert ask(life, CAL, "approve") == 403
    life.round()
    assert refusals(life) == [Code.ROLE_MISSING] and life.release().approvals == ()


def test_a_publication_without_people_frees_no_open_release(life: Life) -> None:
    publish(life, APPROVED)
    life.act("approve", 2)
    life.round()
    assert (life.release().phase, refusals(life)) == (Phase.AWAITING_APPROVAL, [Code.ACT_UNPROVEN])


def test_without_its_record_an_act_is_not_sent(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue alone would lose what the platform vouches for."""

    def away(*_: object) -> None:
        raise DependencyUnavailable("the table is away")

    vouched = rights.rules_of(life.real, "birds", "approve").vouched(BOB)
    message = messages.act_message("approve", "birds", {"release": 2}, BOB.actor)
    monkeypatch.setattr(life.real.store, "commit", away)
    with pytest.raises(DependencyUnavailable):
        recorder.submit(life.real, message, vouched)
    assert not life.real.queue.messages


def test_the_page_has_the_buttons_that_its_visitor_may_press_and_says_why_not_the_others(life: Life) -> None:
    for path in ("/loops/birds", "/loops/birds/releases/2"):
        manager, developer = page(life.real, path, BOB), page(life.real, path, DEV)
        assert 'value="approve"' in manager and 'value="approve"' not in developer
        assert 'value="abort"' in manager and 'value="abort"' in developer
        assert "no role for approve on birds: it takes Manage.birds" in developer
        assert "no role for" not in manager and "looking only" not in manager + developer
    publisher = page(life.real, "/loops/birds/releases/2", ANN)
    assert (
        'value="approve"' not in publisher and "published what this release of birds runs with" in publisher
    )


# --- over HTTP, and in the terminal ------------------------------------------------------------------


def http(verb: str, *claims: tuple[str, str]) -> func.HttpResponse:
    """As App Service hands it over, a claim for each role and group:
    https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities"""
    told = {"claims": [{"typ": kind, "val": value} for kind, value in claims]}
    return people.act.build(None).get_user_function()(  # type: ignore[attr-defined]
        func.HttpRequest(
            "POST",
            f"https://app.example/api/loops/birds/{verb}",
            headers={"x-ms-client-principal": base64.b64encode(json.dumps(told).encode()).decode()},
            route_params={"verb": verb, "loop": "birds"},
            body=b'{"release": 2}',
        )
    )


@pytest.mark.parametrize(
    ("verb", "claims", "status", "code"),
    [
        ("approve", [("oid", "b0b"), ("roles", "Manage.birds")], 202, ""),
        ("approve", [("oid", "b0b"), ("roles", "Driftloop.Act")], 403, "role-missing"),
        ("approve", [("oid", "a22"), ("roles", "Manage.birds")], 403, "own-publication"),
        ("approve", [("oid", "b0b"), ("groups", GROUP), ("groups", "another")], 403, "role-missing"),
        ("retrain", [("oid", "b0b"), ("groups", GROUP), ("groups", "another")], 202, ""),
        ("retrain", [("oid", "b0b"), ("_claim_names", '{"groups":"src1"}')], 403, "groups-left-out"),
        ("retrain", [("oid", "b0b"), ("hasgroups", "true")], 403, "groups-left-out"),
    ],
)
def test_the_platforms_word_decides_over_http(
    monkeypatch: pytest.MonkeyPatch, verb: str, claims: list[tuple[str, str]], status: int, code: str
) -> None:
    life = Life(plan=APPROVED)
    publish(life, APPROVED + PLANS["birds"])
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "true")
    monkeypatch.setattr(app, "ports", lambda: life.real)
    answer = http(verb, *claims)
    assert (answer.status_code, len(queries.inbox(life.real, "birds"))) == (status, int(status == 202))
    assert not code or json.loads(answer.get_body())["code"] == code


def test_over_http_an_open_release_keeps_its_rules_too(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever publishes without `people` shuts nobody in: the release goes by what it runs with as well."""
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "true")
    monkeypatch.setattr(app, "ports", lambda: life.real)
    publish(life, APPROVED)
    before = len(queries.inbox(life.real, "birds"))
    for role, verb, status in (
        ("Driftloop.Act", "abort", 403),
        ("Act.birds", "abort", 403),
        ("Driftloop.Act", "pause", 202),
    ):
        assert http(verb, ("oid", "b0b"), ("roles", role)).status_code == status, (role, verb)
    both = http("abort", ("oid", "b0b"), ("roles", "Driftloop.Act"), ("roles", "Act.birds"))
    assert both.status_code == 202 and len(queries.inbox(life.real, "birds")) == before + 2


def test_over_http_the_record_keeps_whom_the_platform_vouches_for(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "true")
    monkeypatch.setattr(app, "ports", lambda: life.real)
    assert http("abort", ("oid", "de4"), ("roles", "Act.birds"), ("roles", "Payroll")).status_code == 202
    (body,) = (one.body for one in queries.inbox(life.real, "birds") if one.body.get("verb") == "abort")
    assert (body["oid"], body["roles"]) == ("de4", "Act.birds")
    life.rest()
    assert (life.release().phase, refusals(life)) == (Phase.ABORTED, [])


def test_a_table_that_is_away_is_told_and_nothing_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    life = Life(plan=APPROVED)
    publish(life, APPROVED)

    def away(*_: object) -> None:
        raise DependencyUnavailable("the table is away")

    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "true")
    monkeypatch.setattr(app, "ports", lambda: life.real)
    monkeypatch.setattr(life.real.store, "read", away)
    answer = http("pause", ("oid", "b0b"), ("roles", "Driftloop.Act"))
    assert (answer.status_code, json.loads(answer.get_body())["code"]) == (503, "unavailable")
    assert ask(life, somebody("Driftloop.Act"), "pause", id="a" * 32) == 503
    assert not life.real.queue.messages


def test_the_terminal_says_what_to_use_instead_and_queues_nothing(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cli import app as terminal
    from cli import session

    monkeypatch.setattr(session, "ports", lambda: life.real)
    monkeypatch.setattr(session, "who", lambda: CAL.name)
    done = CliRunner().invoke(terminal, ["approve", "birds/2"])
    assert done.exit_code != 0 and not life.real.queue.messages
    assert getattr(done.exception, "code", None) is Code.ACT_UNPROVEN
    assert "POST /api/loops/birds/approve" in str(done.exception)
