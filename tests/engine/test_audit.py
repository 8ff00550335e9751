"""The audit states what the ledger proves, and finds every difference of the rest of the world from it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from cli import app
from shared.audit import answer
from shared.domain.ledger import LedgerEntry
from shared.domain.reason import Code
from shared.domain.release import Phase
from shared.errors import DependencyUnavailable
from shared.ports import Replace
from shared.runtime import tick, unit_of_work
from shared.state import hash_chain, queries, rows
from shared.words import say
from tests.engine.world import LOOP, World, csv, lived, season, two_releases


@pytest.fixture
def world() -> World:
    return two_releases()


def found(world: World) -> list[tuple[Code, object, object]]:
    """Code, place and name of each problem."""
    return [
        (p.code, p.facts.get("place", p.facts.get("of")), p.facts.get("name"))
        for p in answer.audit(world.ports, "birds").problems
    ]


def edit(world: World, key: str, **changed: object) -> None:
    """As somebody does who may write to the table."""
    row = world.ports.store.read("birds", key)
    assert row is not None
    body = json.loads(row.doc)
    inner = body["content"]
    assert set(changed) <= set(inner), sorted(inner)
    inner.update(changed)
    world.ports.store.commit("birds", [Replace(key, json.dumps(body), row.etag)])


def test_nothing_differs_where_nothing_was_changed(world: World) -> None:
    seen = answer.audit(world.ports, "birds")
    assert (seen.problems, seen.not_compared) == ((), ())
    assert seen.served is not None
    assert (seen.served.release, [d.number for d in seen.served.data]) == (2, [1, 2])


@pytest.mark.parametrize(
    ("key", "name", "value"),
    [
        (rows.release_key(2), "model", "azureml:birds:666"),
        (rows.release_key(2), "deployment", "r1-a1"),
        (rows.release_key(2), "job", "birds-r1-a1"),
        (rows.release_key(2), "window", "azureml:birds-window:9"),
        (rows.release_key(2), "definition", "0" * 64),
        (rows.release_key(2), "versions", [2]),
        (rows.release_key(2), "phase", "rolled_back"),
        (rows.release_key(2), "triggers", []),
        (rows.release_key(2), "judgements", []),
        (rows.release_key(2), "number", 1),
        (rows.release_key(2), "loop", "finches"),
        (rows.release_key(2), "profile", "0" * 64),
        (rows.release_key(2), "attempt", 2),
        (rows.release_key(2), "champion", None),
        (rows.release_key(2), "reason", {"code": "gate-passed"}),
        (rows.version_key(1), "content_hash", "0" * 64),
        (rows.version_key(1), "source", "landing/birds/other.csv"),
        (rows.version_key(1), "rows", 1),
        (rows.version_key(1), "asset_id", "azureml:birds:9"),
        (rows.version_key(1), "path", "birds/of-somebody-else"),
        (rows.version_key(1), "train_rows", 1),
        (rows.version_key(1), "holdout_rows", 1),
        (rows.version_key(1), "profile", "0" * 64),
        (rows.version_key(2), "drift", "0" * 64),
        (rows.version_key(2), "number", 1),
        (rows.version_key(2), "decision", {"code": "no-trigger"}),
        (rows.version_key(2), "verdict", []),
        (rows.LOOP, "definition", "0" * 64),
        (rows.LOOP, "champion", None),
        (rows.LOOP, "published_by", "mallory"),
        (rows.LOOP, "paused", {"code": "paused-by-person", "facts": {"actor": "mallory", "why": "x"}}),
        (rows.LOOP, "next_release", 9),
        (rows.LOOP, "next_version", 9),
        (rows.LOOP, "open_release", 2),
    ],
)
def test_an_edited_row_is_a_difference_with_its_place(
    world: World, key: str, name: str, value: object
) -> None:
    before = answer.audit(world.ports, "birds").served
    edit(world, key, **{name: value})
    seen = answer.audit(world.ports, "birds")
    differing = [p for p in seen.problems if p.code is Code.AUDIT_DIFFERS]
    place = "the loop's row" if key == rows.LOOP else f"the row of {key.partition('-')[0]} {int(key[-1])}"
    assert place in {p.facts["place"] for p in differing}, list(map(say, seen.problems))
    assert seen.served == before  # what the chain proves does not depend on a row


@pytest.mark.parametrize("name", ["release", "deployment", "model", "versions", "profile"])
def test_who_a_release_would_give_the_traffic_back_to_is_compared(world: World, name: str) -> None:
    row = world.ports.store.read("birds", rows.release_key(2))
    assert row is not None
    before = json.loads(row.doc)["content"]["champion"]
    another = {"release": 2, "deployment": "mallory", "model": "azureml:birds:666", "versions": [2]}
    another["profile"] = "0" * 64
    edit(world, rows.release_key(2), champion=before | {name: another[name]})
    assert ("the row of release 2", "champion" if name == "release" else name) in {
        (place, str(what).removesuffix(" before")) for _, place, what in found(world)
    }


def test_what_new_data_are_compared_with_is_compared(world: World) -> None:
    """Whoever may write to the table could blind the loop to drift."""
    state = world.state
    assert state.champion is not None
    edit(
        world,
        rows.LOOP,
        champion=json.loads(rows.encode(replace(state.champion, profile="0" * 64)))["content"],
    )
    assert found(world) == [(Code.AUDIT_DIFFERS, "the loop's row", "champion's profile")]
    edit(world, rows.LOOP, champion=json.loads(rows.encode(state.champion))["content"])
    del world.ports.documents.contents[state.champion.profile]
    assert found(world) == [(Code.AUDIT_DOCUMENT, "release 2", None)]


def seal(world: World, key: str, **edited: object) -> str:
    """An entry that somebody wrote anew, its own hash with it."""
    edit(world, key, **edited)
    row = world.ports.store.read("birds", key)
    assert row is not None
    anew = hash_chain.entry_hash(rows.decode(LedgerEntry, row))
    edit(world, key, hash=anew)
    return anew


@pytest.mark.parametrize(
    ("what", "edited"),
    [
        ("version.created", {"detail": {"rows": "many", "source": "elsewhere", "content": "0" * 64}}),
        ("release.started", {"detail": {"versions": "all of them"}}),
        ("release.started", {"subject": "release 99999999999999999999999999"}),
        ("release.started", {"actor": "mallory"}),
        ("release.promoted", {"at": "2020-01-01T00:00:00Z"}),
        ("release.live", {"detail": {"model": "azureml:birds:666"}}),
    ],
)
@pytest.mark.parametrize("forge", [edit, seal])
def test_nothing_rests_on_an_entry_that_was_edited(
    world: World, what: str, edited: dict[str, object], forge: Callable[..., object]
) -> None:
    """Also where its own hash was made anew: the next entry, or the loop's row, has the one that it had."""
    entry = next(e for e in reversed(queries.entries(world.ports, "birds")) if e.what == what)
    forge(world, rows.ledger_key(entry.seq), **edited)
    seen = answer.audit(world.ports, "birds")
    broken = {Code.LEDGER_ENTRY_EDITED, Code.LEDGER_LINK_BROKEN, Code.LEDGER_HEAD_DIFFERS}
    assert broken & {problem.code for problem in seen.problems} and not seen.known
    for lie in ("mallory", "666", "elsewhere", "2020"):
        assert lie not in str(seen.served)


def next_chained(world: World, key: str, forged: str) -> None:
    seal(world, key, previous_hash=forged)


def next_gone(world: World, key: str, forged: str) -> None:
    del world.ports.store.rows["birds"][key]


@pytest.mark.parametrize(
    ("cover", "code"), [(next_chained, Code.LEDGER_LINK_BROKEN), (next_gone, Code.LEDGER_ENTRY_MISSING)]
)
def test_nor_where_the_entry_after_it_was_made_to_fit_or_taken_away(
    world: World, cover: Callable[[World, str, str], None], code: Code
) -> None:
    entry = next(e for e in reversed(queries.entries(world.ports, "birds")) if e.what == "release.started")
    forged = seal(world, rows.ledger_key(entry.seq), actor="mallory")
    cover(world, rows.ledger_key(entry.seq + 1), forged)
    seen = answer.audit(world.ports, "birds")
    assert code in {problem.code for problem in seen.problems}
    assert "mallory" not in str(seen.served)


def test_nor_on_one_that_was_copied_over_a_later_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Release 1 would serve again."""
    entries = queries.entries(world.ports, "birds")
    first = next(e for e in entries if e.what == "release.promoted")
    row = world.ports.store.read("birds", rows.ledger_key(first.seq))
    assert row is not None
    last = rows.ledger_key(entries[-1].seq)
    world.ports.store.rows["birds"][last] = replace(row, key=last)
    seen = answer.audit(world.ports, "birds")
    assert seen.served is None and not seen.known and seen.problems
    monkeypatch.setattr("cli.audit.ports", lambda: world.ports)
    said = CliRunner().invoke(app, ["audit", "birds"]).output
    assert "the ledger does not prove what was live" in said


def test_an_edited_entry_hides_no_other_difference(world: World) -> None:
    start = next(e for e in reversed(queries.entries(world.ports, "birds")) if e.what == "release.started")
    edit(world, rows.ledger_key(start.seq), actor="mallory")
    edit(world, rows.release_key(2), model="azureml:birds:666", champion=None)
    told = {what for _, place, what in found(world) if place == "the row of release 2"}
    assert {"model", "champion before"} <= told


def test_a_row_that_is_another_loops_is_not_acted_on(world: World) -> None:
    """Its jobs, models and deployments would have that loop's names."""
    edit(world, rows.release_key(2), loop="finches")
    with pytest.raises(rows.Unreadable, match="release 2 of loop finches"):
        world.release(2)
    edit(world, rows.version_key(1), number=2)
    with pytest.raises(rows.Unreadable, match="version 2"):
        unit_of_work.read(world.ports, "birds").versions()
    edit(world, rows.LOOP, loop="finches")
    with pytest.raises(rows.Unreadable, match="loop finches"):
        unit_of_work.read(world.ports, "birds")


def test_a_judgement_that_the_ledger_does_not_have_is_told(world: World) -> None:
    row = world.ports.store.read("birds", rows.release_key(2))
    assert row is not None
    judged = json.loads(row.doc)["content"]["judgements"]
    edit(world, rows.release_key(2), judgements=[*judged, judged[-1] | {"evidence": "0" * 64}])
    assert found(world) == [(Code.AUDIT_DIFFERS, "the row of release 2", "evidence")]


def test_what_is_gone_is_told(world: World) -> None:
    store = world.ports.store.rows["birds"]
    del store[rows.release_key(1)], store[rows.version_key(1)]
    world.ports.training.models.clear()
    assert {place for code, place, _ in found(world) if code is Code.AUDIT_MISSING} == {
        "the row of release 1",
        "the row of version 1",
        "model azureml:birds:1",
        "model azureml:birds:2",
    }


def test_a_row_that_cannot_be_read_is_told_and_the_rest_is_compared(world: World) -> None:
    edit(world, rows.release_key(1), model="azureml:birds:666")
    row = world.ports.store.read("birds", rows.version_key(1))
    assert row is not None
    world.ports.store.commit("birds", [Replace(row.key, "{", row.etag)])
    assert [code for code, _, _ in found(world)] == [Code.AUDIT_DIFFERS, Code.AUDIT_UNREADABLE]


def test_a_document_that_was_changed_or_lost_is_told(world: World) -> None:
    evidence = world.release(2).judgements[-1].evidence
    world.ports.documents.contents[evidence] = b"{}"
    assert found(world) == [(Code.AUDIT_DOCUMENT, "release 2", None)]


def test_a_model_of_another_job_is_told(world: World) -> None:
    model = world.ports.training.models["birds", "2"]
    model.job, model.tags = "somebody-s", {**model.tags, "driftloop.release": "finches/2"}
    assert found(world) == [
        (Code.AUDIT_DIFFERS, "model azureml:birds:2", "job"),
        (Code.AUDIT_DIFFERS, "model azureml:birds:2", "release"),
    ]


def test_an_endpoint_that_serves_something_else_is_told(world: World) -> None:
    deployed = world.ports.serving.endpoints["birds"].deployments["r2-a1"]
    deployed.spec = replace(deployed.spec, model="azureml:birds:1")
    world.ports.serving.endpoints["birds"].traffic = {"r2-a1": 50, "mallory": 50}
    assert found(world) == [
        (Code.AUDIT_DIFFERS, "endpoint birds", "traffic"),
        (Code.AUDIT_DIFFERS, "deployment birds/r2-a1", "model"),
    ]
    world.ports.serving.endpoints["birds"].deployments.clear()
    assert (Code.AUDIT_MISSING, "deployment birds/r2-a1", None) in found(world)


def test_an_endpoint_that_is_gone_is_told_as_a_deployment_is(world: World) -> None:
    world.ports.serving.endpoints.clear()
    assert found(world) == [(Code.AUDIT_MISSING, "endpoint birds", None)]


def test_an_endpoint_that_does_not_answer_is_not_compared_and_no_finding(world: World) -> None:
    def unreachable(endpoint: str) -> dict[str, int]:
        raise DependencyUnavailable("Azure ML does not answer")

    world.ports.serving.traffic = unreachable  # type: ignore[method-assign]  # an outage
    seen = answer.audit(world.ports, "birds")
    assert seen.problems == ()
    assert [why.code for why in seen.not_compared] == [Code.AUDIT_NOT_COMPARED]


@pytest.mark.parametrize("cut", [1, 3])
def test_a_ledger_whose_end_was_cut_is_told(world: World, cut: int) -> None:
    store, last = world.ports.store.rows["birds"], unit_of_work.read(world.ports, "birds").state.ledger_seq
    for seq in range(last - cut + 1, last + 1):
        del store[rows.ledger_key(seq)]
    (told, *_) = answer.audit(world.ports, "birds").problems
    assert (told.code, told.facts["ends"], told.facts["head"]) == (Code.LEDGER_HEAD_DIFFERS, last - cut, last)


def test_an_entry_that_was_taken_out_is_told(world: World) -> None:
    del world.ports.store.rows["birds"][rows.ledger_key(3)]
    codes = [p.code for p in answer.audit(world.ports, "birds").problems]
    assert codes[:2] == [Code.LEDGER_ENTRY_MISSING, Code.LEDGER_LINK_BROKEN]


def test_documents_that_cannot_be_read_now_are_not_compared(world: World) -> None:
    def unreachable(digest: str) -> bytes:
        raise DependencyUnavailable("the storage account does not answer")

    audit = answer.audit(world.ports, "birds")
    world.ports.documents.get = unreachable  # type: ignore[method-assign]  # an outage
    seen = answer.audit(world.ports, "birds")
    assert (seen.problems, [why.code for why in seen.not_compared]) == ((), [Code.AUDIT_NOT_COMPARED])
    assert seen.served == audit.served


def test_what_is_written_during_the_audit_is_no_finding(world: World) -> None:
    """The loop goes on between any two of its reads."""
    store = world.ports.store
    real_range, did = store.range, list[str]()

    def meanwhile(loop: str, prefix: str, **more: object) -> object:
        if prefix == "release-" and not did:
            did.append(prefix)
            world.act("retrain")
            world.ticks(1)
        return real_range(loop, prefix, **more)  # type: ignore[arg-type]  # passes on what it got

    store.range = meanwhile  # type: ignore[method-assign,assignment]  # between two reads
    assert answer.audit(world.ports, "birds").problems == ()
    assert did and world.state.next_release == 4


def test_a_ledger_that_was_written_anew_differs_from_the_models_tags(world: World) -> None:
    """Every hash fits, the loop's row names the new head: what was written elsewhere tells, and who had asked."""
    from shared.domain.ledger import GENESIS, LedgerEntry
    from shared.state.hash_chain import entry_hash

    store, head = world.ports.store, GENESIS
    for row in store.range("birds", "ledger-"):
        entry = rows.decode(LedgerEntry, row)
        entry = replace(entry, actor="mallory", previous_hash=head)
        head = entry_hash(entry)
        store.commit("birds", [Replace(row.key, rows.encode(replace(entry, hash=head)), row.etag)])
    edit(world, rows.LOOP, ledger_head=head)
    assert [(code, place) for code, place, _ in found(world)] == [
        (Code.AUDIT_DIFFERS, "the loop's row"),
        (Code.AUDIT_DIFFERS, "the row of release 1"),
        (Code.AUDIT_DIFFERS, "the row of release 2"),
        (Code.AUDIT_DIFFERS, "model azureml:birds:1"),
        (Code.AUDIT_DIFFERS, "model azureml:birds:2"),
    ]


@pytest.fixture
@lived
def baking() -> World:
    """Release 2 bakes for an hour; release 1 stands beside it."""
    world = World()
    world.publish(LOOP.replace("bake_minutes: 1}", "bake_minutes: 60}"))
    world.drop("2007.csv", csv(season(2007)))
    world.live()
    world.ticks(2, 120)
    world.drop("2008.csv", csv(season(2008, body_mass_g=0.8)))
    until(world, lambda: world.release(2).phase is Phase.BAKING)
    return world


@pytest.mark.parametrize("verb", ["rollback", "abort"])
def test_after_a_rollback_the_one_before_serves_since_it_has_the_traffic_again(
    baking: World, verb: str
) -> None:
    at_bake = baking.clock.now()
    baking.ticks(1)
    baking.act(verb, 2)
    asked = baking.clock.now()
    baking.ticks(3)
    assert baking.release(2).phase is Phase.ROLLED_BACK
    seen = answer.audit(baking.ports, "birds")
    assert seen.agrees
    assert seen.served is not None and (seen.served.release, seen.served.until) == (1, None)
    assert seen.served.live_at is not None and seen.served.live_at >= asked
    then = answer.audit(baking.ports, "birds", at_bake).served
    assert then is not None and then.release == 2 and then.until == seen.served.live_at


def test_the_endpoint_is_compared_while_a_release_is_open(baking: World) -> None:
    assert answer.audit(baking.ports, "birds").agrees
    baking.ports.serving.endpoints["birds"].traffic = {"r1-a1": 100}
    assert found(baking) == [(Code.AUDIT_DIFFERS, "endpoint birds", "traffic")]
    del baking.ports.serving.endpoints["birds"].deployments["r2-a1"]
    assert (Code.AUDIT_MISSING, "deployment birds/r2-a1", None) in found(baking)


def test_who_got_the_traffic_from_somebody_else_serves(baking: World) -> None:
    """It is on record as adopted, and the ledger and the endpoint say the same."""
    baking.ports.serving.endpoints["birds"].traffic = {"r1-a1": 100}
    baking.ticks(8, 20)
    assert baking.release(2).adopted
    seen = answer.audit(baking.ports, "birds")
    assert seen.agrees and seen.served is not None and seen.served.release == 1


def test_traffic_that_a_release_is_just_moving_is_not_compared_and_the_rest_is(
    baking: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The champion to go back to is gone: the release before it still has all traffic, and is what serves."""
    del baking.ports.serving.endpoints["birds"].deployments["r1-a1"]
    baking.act("rollback", 2)
    baking.ticks(3)
    assert baking.release(2).phase is Phase.ROLLING_BACK
    seen = answer.audit(baking.ports, "birds")
    assert found(baking) == [(Code.AUDIT_MISSING, "deployment birds/r1-a1", None)]
    assert [why.code for why in seen.not_compared] == [Code.AUDIT_TRAFFIC_MOVES]
    assert seen.served is not None and seen.served.release == 2
    monkeypatch.setattr("cli.audit.ports", lambda: baking.ports)
    said = CliRunner().invoke(app, ["audit", "birds"])
    assert said.exit_code == 1 and "agree with it" not in said.output
    assert "still is as far as the ledger says" in " ".join(said.output.split())


def test_time_in_which_nobody_was_served_is_nobodys(world: World) -> None:
    served_at, endpoint = world.clock.now(), world.ports.serving.endpoints.pop("birds")
    tick.sweep(world.ports)
    lost_at = world.clock.now()
    world.ticks(1, 600)
    assert answer.audit(world.ports, "birds").served is None
    world.ports.serving.endpoints["birds"] = endpoint
    tick.sweep(world.ports)
    seen = answer.audit(world.ports, "birds")
    assert seen.agrees and seen.served is not None
    assert (seen.served.release, seen.served.live_at) == (2, world.clock.now())
    then = answer.audit(world.ports, "birds", served_at - timedelta(seconds=1)).served
    assert then is not None and (then.release, then.until) == (2, lost_at)


def test_a_first_release_that_is_rolled_back_leaves_nobody(world: World) -> None:
    """Promoted and taken back, twice: the one before was taken back, too, and does not serve again."""
    from shared.audit.record import Record
    from shared.domain.ledger import LedgerEntry

    def entry(seq: int, what: str, before: str, after: str, number: int) -> LedgerEntry:
        at = world.clock.now() + timedelta(seconds=seq)
        return LedgerEntry(seq, at, "x", "", what, f"release {number}", before, after, {}, "", "")

    promoted, back = ("release.promoted", "promoting", "baking"), "release.rolling_back"
    told = Record(
        (
            entry(1, *promoted, 1),
            entry(2, back, "baking", "rolling_back", 1),
            entry(3, *promoted, 2),
            entry(4, back, "retiring", "rolling_back", 2),
            entry(5, *promoted, 3),
        )
    )
    assert [(s.release, s.until is None) for s in told.services] == [(1, False), (2, False), (3, True)]


def until(world: World, true: Callable[[], bool]) -> None:
    for _ in range(60):
        if true():
            return
        world.ticks_with_traffic(1)
    raise AssertionError(world.release(2).phase)
