"""A loop's rows change together or not at all, and a wake is never lost."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.loop import NewestVersion, Overview, Serving, UnderWay
from shared.domain.reason import Code, reason
from shared.domain.release import Phase
from shared.errors import ConfigurationError, Conflict, InvariantBroken
from shared.port_rules import ROW_LIMIT_BYTES
from shared.ports import Delete, Insert, Ports, Replace

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=5)


def test_a_row_is_read_as_it_was_written(ports: Ports, loop: str) -> None:
    doc = '{"schema": 1, "text": "Grüße \\u0000 ´ 🐧\\n"}'
    ports.store.commit(loop, [Insert("loop", doc)])

    row = ports.store.read(loop, "loop")

    assert row is not None
    assert (row.key, row.doc) == ("loop", doc)
    assert ports.store.read(loop, "other") is None


@pytest.mark.parametrize("letter", ["x", "ü", "🐧"])
def test_a_long_document_comes_back_whole(ports: Ports, loop: str, letter: str) -> None:
    doc = letter * 100_000

    ports.store.commit(loop, [Insert("long", doc)])

    row = ports.store.read(loop, "long")
    assert row is not None
    assert row.doc == doc


@pytest.mark.parametrize("letter", ["x", "ü", "🐧"])
def test_a_row_takes_as_much_as_a_table_does_and_more_is_refused_with_what_to_do(
    ports: Ports, loop: str, letter: str
) -> None:
    most = ROW_LIMIT_BYTES // len(letter.encode("utf-16-le"))
    ports.store.commit(loop, [Insert("most", letter * most)])
    with pytest.raises(ConfigurationError, match="Land fewer columns"):
        ports.store.commit(loop, [Insert("more", letter * (most + 1))])
    assert ports.store.read(loop, "more") is None


def test_an_overview_that_no_property_holds_is_refused(ports: Ports, loop: str) -> None:
    long = Overview(loop=loop, landing="landing/a/", alerts=("x" * 30_000,))
    ports.store.describe(long)
    assert ports.store.overview(loop) == long
    with pytest.raises(ConfigurationError, match="overview of loop"):
        ports.store.describe(replace(long, labels="x" * 3_000))


def test_a_shorter_document_leaves_nothing_of_a_longer_one(ports: Ports, loop: str) -> None:
    ports.store.commit(loop, [Insert("row", "x" * 50_000)])
    row = ports.store.read(loop, "row")
    assert row is not None

    ports.store.commit(loop, [Replace("row", "", row.etag)])

    after = ports.store.read(loop, "row")
    assert after is not None
    assert after.doc == ""


def test_a_commit_gives_the_etags_under_which_its_rows_can_be_written_again(ports: Ports, loop: str) -> None:
    """Each answer of a batch bears it:
    learn.microsoft.com/rest/api/storageservices/performing-entity-group-transactions"""
    first = ports.store.commit(loop, [Insert("a", "1"), Insert("b", "1"), Insert("c", "1")])
    second = ports.store.commit(loop, [Replace("a", "2", first["a"]), Delete("b"), Delete("gone")])

    assert set(second) == {"a"}
    ports.store.commit(loop, [Replace("a", "3", second["a"]), Replace("c", "2", first["c"])])
    assert [row.doc for row in ports.store.range(loop, "")] == ["3", "2"]


def test_insert_conflicts_with_what_is_there_and_nothing_is_written(ports: Ports, loop: str) -> None:
    ports.store.commit(loop, [Insert("a", "1")])

    with pytest.raises(Conflict):
        ports.store.commit(loop, [Insert("b", "2"), Insert("a", "3")])

    assert ports.store.read(loop, "b") is None
    assert [row.doc for row in ports.store.range(loop, "")] == ["1"]


def test_replace_needs_the_etag_that_was_read(ports: Ports, loop: str) -> None:
    ports.store.commit(loop, [Insert("a", "1")])
    row = ports.store.read(loop, "a")
    assert row is not None
    ports.store.commit(loop, [Replace("a", "2", row.etag)])

    with pytest.raises(Conflict):
        ports.store.commit(loop, [Replace("a", "3", row.etag), Insert("b", "1")])

    assert [row.doc for row in ports.store.range(loop, "")] == ["2"]


def test_replacing_what_is_gone_is_a_conflict(ports: Ports, loop: str) -> None:
    ports.store.commit(loop, [Insert("a", "1")])
    row = ports.store.read(loop, "a")
    assert row is not None
    ports.store.commit(loop, [Delete("a")])

    with pytest.raises(Conflict):
        ports.store.commit(loop, [Replace("a", "2", row.etag)])


def test_a_row_that_is_gone_already_does_not_keep_others_from_changing(ports: Ports, loop: str) -> None:
    ports.store.commit(loop, [Insert("gone", "1")])
    ports.store.commit(loop, [Delete("gone")])

    ports.store.commit(loop, [Insert("a", "1"), Delete("gone"), Insert("b", "2"), Delete("never")])

    assert [row.key for row in ports.store.range(loop, "")] == ["a", "b"]
    ports.store.commit(loop, [Delete("gone")])


def test_two_writers_cannot_both_win(ports: Ports, loop: str) -> None:
    ports.store.commit(loop, [Insert("count", "0")])

    def add(_: int) -> None:
        while True:
            row = ports.store.read(loop, "count")
            assert row is not None
            try:
                ports.store.commit(
                    loop,
                    [
                        Replace("count", str(int(row.doc) + 1), row.etag),
                        Insert(f"done-{uuid.uuid4().hex}", ""),
                    ],
                )
            except Conflict:
                continue
            return

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(12)))

    row = ports.store.read(loop, "count")
    assert row is not None
    assert row.doc == "12"
    assert len(ports.store.range(loop, "done-")) == 12


def test_a_transaction_takes_a_hundred_changes_and_says_so_of_more(ports: Ports, loop: str) -> None:
    changes = [Insert(f"row-{number:03d}", "x" * 1000) for number in range(100)]
    ports.store.commit(loop, changes)

    assert len(ports.store.range(loop, "row-")) == 100
    with pytest.raises(InvariantBroken, match="1 to 100 changes, not 101"):
        ports.store.commit(loop, [*changes, Insert("more", "")])


def test_a_transaction_that_names_a_row_twice_is_refused(ports: Ports, loop: str) -> None:
    with pytest.raises(InvariantBroken, match="names a twice"):
        ports.store.commit(loop, [Insert("a", "1"), Delete("a")])


@pytest.mark.parametrize("key", ["", "a/b", "a#b", "a?b", "a\\b", "a\n", "-a"])
def test_keys_that_the_table_would_refuse_or_change_are_refused(ports: Ports, loop: str, key: str) -> None:
    with pytest.raises(InvariantBroken, match="is not a row key"):
        ports.store.commit(loop, [Insert(key, "")])


def test_every_key_that_is_let_through_can_be_stored(ports: Ports, loop: str) -> None:
    key = "todo-2026-03-01T12:00:00.000001+00:00-blob_a.b~c@d|e"

    ports.store.commit(loop, [Insert(key, "1")])

    row = ports.store.read(loop, key)
    assert row is not None
    ports.store.commit(loop, [Replace(key, "2", row.etag)])
    assert [row.doc for row in ports.store.range(loop, "todo-2026")] == ["2"]
    ports.store.commit(loop, [Delete(key)])
    assert ports.store.read(loop, key) is None


def test_range_gives_one_prefix_in_key_order_page_by_page(ports: Ports, loop: str) -> None:
    ports.store.commit(loop, [Insert(f"inbox-{number}", str(number)) for number in (3, 1, 2)])
    ports.store.commit(loop, [Insert("inbo", ""), Insert("inboy-", ""), Insert("inbox", "")])

    assert [row.doc for row in ports.store.range(loop, "inbox-")] == ["1", "2", "3"]
    assert [row.doc for row in ports.store.range(loop, "inbox-", limit=2)] == ["1", "2"]
    assert [row.doc for row in ports.store.range(loop, "inbox-", after="inbox-2")] == ["3"]
    assert ports.store.range(loop, "inbox-", after="inbox-3") == []


def test_loops_do_not_see_each_other(ports: Ports, loop: str) -> None:
    ports.store.commit(loop, [Insert("a", "1")])

    assert ports.store.range(f"{loop}-b", "") == []
    assert ports.store.read(f"{loop}-b", "a") is None


@pytest.mark.parametrize("name", ["overview", "unrouted"])
def test_no_loop_name_reaches_the_rows_of_others(ports: Ports, loop: str, name: str) -> None:
    ports.store.record_unrouted(f"{loop}-event", "{}")
    ports.store.describe(Overview(loop=loop, landing="landing/a/"))

    assert ports.store.range(name, "") == []


def test_an_overview_is_told_as_it_was_described(ports: Ports, loop: str) -> None:
    because = (reason(Code.DOCUMENT_LOST, text="document é is gone"),)
    told = Overview(
        loop,
        "landing/a/",
        labels="labels/a/",
        alerts=("a-*", "b"),
        endpoint="endpoint",
        needs_attention=reason(Code.LOOP_SET_ASIDE, *because),
        paused=True,
        serving=Serving(2, "model", NOON),
        newest=NewestVersion(
            3, "moved", (reason(Code.COLUMN_MOVED, column="a", effect=0.5, change="up"),), NOON
        ),
        under_way=UnderWay(3, Phase.CANARY, reason(Code.CANARY_WAITS), {"r2-a1": 90, "r3-a1": 10}),
    )

    ports.store.describe(told)

    assert _overview(ports, loop) == told == ports.store.overview(loop)


def test_one_loop_is_read_by_its_name(ports: Ports, loop: str) -> None:
    assert ports.store.overview(loop) is None
    ports.store.wake(loop, NOON)
    assert ports.store.overview(loop) == Overview(loop, landing="", due_at=NOON)
    ports.store.describe(Overview(loop, "landing/a/"))
    ports.store.describe(Overview(f"{loop}-b", "landing/b/"))

    assert ports.store.overview(loop) == Overview(loop, "landing/a/", due_at=NOON)


def test_describing_keeps_when_to_look(ports: Ports, loop: str) -> None:
    ports.store.wake(loop, NOON)

    ports.store.describe(Overview(loop, "landing/a/", due_at=LATER))

    assert _overview(ports, loop).due_at == NOON
    assert _overview(ports, loop).landing == "landing/a/"


def test_a_turn_in_the_sweep_is_kept_and_wakes_nobody(ports: Ports, loop: str) -> None:
    ports.store.wake(loop, LATER)
    token = ports.store.claim(loop, "first", NOON, LATER)
    assert token is not None
    ports.store.swept(loop, NOON)
    ports.store.describe(Overview(loop, "landing/a/"))

    assert _overview(ports, loop) == Overview(loop, "landing/a/", due_at=LATER, swept_at=NOON)
    assert ports.store.settle(loop, token, None)
    assert ports.store.overview(loop) == Overview(loop, "landing/a/", swept_at=NOON)


def test_loops_are_found_by_their_rows_one_after_the_other(ports: Ports, loop: str) -> None:
    first, second, described = (f"{loop}-{letter}" for letter in "abc")
    for name in (second, first):
        ports.store.commit(name, [Insert("loop", "1"), Insert("other", "1")])
    ports.store.describe(Overview(described, "landing/c/"))

    assert ports.store.loop_after(f"{loop}-") == first
    assert ports.store.loop_after(first) == second
    assert ports.store.loop_after(second) != described, "an overview alone is no row of a loop"
    assert ports.store.loop_after("zzzzzzzz") == ""


def test_only_due_loops_are_told(ports: Ports, loop: str) -> None:
    ports.store.describe(Overview(loop, "landing/a/"))
    assert loop not in [one.loop for one in ports.store.overviews(due_before=LATER)]

    ports.store.wake(loop, NOON)

    assert _overview(ports, loop).due_at == NOON
    assert loop in [one.loop for one in ports.store.overviews(due_before=NOON)]
    assert loop not in [
        one.loop for one in ports.store.overviews(due_before=NOON - timedelta(microseconds=1))
    ]


def test_one_holder_at_a_time(ports: Ports, loop: str) -> None:
    assert ports.store.claim(loop, "first", NOON, LATER) is not None

    assert ports.store.claim(loop, "second", NOON, LATER) is None
    assert ports.store.claim(loop, "first", NOON, LATER) is not None
    assert ports.store.claim(loop, "second", LATER, LATER + timedelta(minutes=1)) is not None


def test_nobody_waits_for_a_claim_of_a_clock_that_is_far_ahead(ports: Ports, loop: str) -> None:
    tomorrow = NOON + timedelta(days=1)
    assert ports.store.claim(loop, "dead", tomorrow, tomorrow + timedelta(seconds=20)) is not None

    assert ports.store.claim(loop, "second", NOON, NOON + timedelta(seconds=20)) is not None
    assert ports.store.claim(loop, "third", NOON, NOON + timedelta(seconds=20)) is None


def test_settling_says_when_to_look_again_and_gives_the_claim_back(ports: Ports, loop: str) -> None:
    ports.store.wake(loop, NOON)
    token = ports.store.claim(loop, "first", NOON, LATER)
    assert token is not None

    assert ports.store.settle(loop, token, LATER)

    assert _overview(ports, loop).due_at == LATER
    assert ports.store.claim(loop, "second", NOON, LATER) is not None


def test_a_wake_after_the_claim_is_not_settled_away(ports: Ports, loop: str) -> None:
    token = ports.store.claim(loop, "first", NOON, LATER)
    assert token is not None
    ports.store.wake(loop, NOON)

    assert not ports.store.settle(loop, token, None)

    assert _overview(ports, loop).due_at == NOON
    assert ports.store.claim(loop, "second", NOON, LATER) is not None, "the claim was not given back"


def test_a_description_after_the_claim_does_not_count_as_a_wake(ports: Ports, loop: str) -> None:
    token = ports.store.claim(loop, "first", NOON, LATER)
    assert token is not None
    ports.store.describe(Overview(loop, "landing/a/"))

    assert ports.store.settle(loop, token, None)


def test_who_lost_the_claim_cannot_settle(ports: Ports, loop: str) -> None:
    stale = ports.store.claim(loop, "first", NOON, LATER)
    assert stale is not None
    token = ports.store.claim(loop, "second", LATER, LATER + timedelta(minutes=5))
    assert token is not None
    ports.store.wake(loop, NOON)

    assert not ports.store.settle(loop, stale, None)

    assert ports.store.claim(loop, "third", LATER, LATER) is None, "the second's claim was given away"


def test_a_run_is_asked_for_once_until_it_begins(ports: Ports, loop: str) -> None:
    first = ports.store.ask_run(loop, NOON)
    assert first
    assert ports.store.ask_run(loop, LATER) == ""
    ports.store.describe(Overview(loop, "landing/a/"))
    assert _overview(ports, loop) == Overview(loop, "landing/a/", due_at=NOON, run_asked=first)

    token = ports.store.claim(loop, "first", NOON, LATER)
    assert token is not None
    assert _overview(ports, loop).run_asked == ""
    second = ports.store.ask_run(loop, LATER)
    assert second not in ("", first)
    assert not ports.store.settle(loop, token, None), "asking wakes the loop"

    # Who took the message of the second found the loop held: it must be asked for anew.
    assert (_overview(ports, loop).due_at, _overview(ports, loop).run_asked) == (NOON, "")
    assert ports.store.ask_run(loop, LATER) not in ("", first, second)


def test_of_many_who_ask_for_a_run_at_once_one_puts_the_message(ports: Ports, loop: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        tokens = list(pool.map(lambda _: ports.store.ask_run(loop, NOON), range(12)))
    (token,) = filter(None, tokens)
    assert _overview(ports, loop).run_asked == token


def test_a_claim_is_given_and_given_back_while_many_wake_the_loop(ports: Ports, loop: str) -> None:
    ports.store.describe(Overview(loop, "landing/a/"))

    with ThreadPoolExecutor(4) as pool:
        wakes = pool.map(lambda _: ports.store.wake(loop, NOON), range(40))
        token = ports.store.claim(loop, "first", NOON, LATER)
        assert token is not None
        assert ports.store.claim(loop, "second", NOON, LATER) is None
        list(wakes)
    ports.store.wake(loop, NOON)

    assert not ports.store.settle(loop, token, LATER)
    assert (_overview(ports, loop).due_at, _overview(ports, loop).landing) == (NOON, "landing/a/")
    assert ports.store.claim(loop, "third", NOON, LATER) is not None


def test_an_event_without_a_loop_is_kept_once(ports: Ports, loop: str) -> None:
    ports.store.record_unrouted(f"{loop}-event", "first")
    ports.store.record_unrouted(f"{loop}-event", "again")

    found = [row.doc for row in ports.store.unrouted(limit=1000) if row.key == f"{loop}-event"]
    assert found == ["again"]
    assert len(ports.store.unrouted(limit=1)) == 1


def test_of_an_event_that_is_recorded_again_shorter_nothing_longer_is_left(ports: Ports, loop: str) -> None:
    key = f"{loop}-event"
    for doc in ("x" * 40_000, "", "short"):
        ports.store.record_unrouted(key, doc)
        assert [row.doc for row in ports.store.unrouted(limit=1000) if row.key == key] == [doc]


def _overview(ports: Ports, loop: str) -> Overview:
    return next(one for one in ports.store.overviews() if one.loop == loop)
