"""The rules that Azure's adapters and their twins in memory keep alike, at their edges."""

from __future__ import annotations

import hashlib

import pytest

from shared import port_rules
from shared.errors import InputRejected, InvariantBroken
from shared.ports import Insert


@pytest.mark.parametrize("status", [408, 424, 429, 500, 501, 503, 599])
def test_what_is_the_deployments_fault_counts(status: int) -> None:
    assert port_rules.counts_as_error(status)


@pytest.mark.parametrize("status", [200, 204, 302, 400, 401, 403, 404, 413, 422, 499])
def test_what_is_the_callers_fault_does_not_count(status: int) -> None:
    assert not port_rules.counts_as_error(status)


@pytest.mark.parametrize(
    ("weights", "kept"),
    [
        ({}, {}),
        ({"a": 0}, {}),
        ({"a": 100}, {"a": 100}),
        ({"a": 99, "b": 1, "c": 0}, {"a": 99, "b": 1}),
    ],
)
def test_weights_are_kept_without_those_at_zero(weights: dict[str, int], kept: dict[str, int]) -> None:
    assert port_rules.check_weights("e", weights) == kept


@pytest.mark.parametrize(
    "weights",
    [
        {"a": 1},
        {"a": 99},
        {"a": 101},
        {"a": 50, "b": 49},
        {"a": 101, "b": -1},
        {"a": 1, "b": -1},
        {"a": -100},
    ],
)
def test_weights_that_are_no_split_are_refused(weights: dict[str, int]) -> None:
    with pytest.raises(InvariantBroken, match="endpoint e must sum to 100"):
        port_rules.check_weights("e", weights)


@pytest.mark.parametrize("number", [1, 100])
def test_a_transaction_of_up_to_a_hundred_rows_is_taken(number: int) -> None:
    port_rules.check_changes([Insert(f"row-{n}", "") for n in range(number)])


@pytest.mark.parametrize("number", [0, 101])
def test_a_transaction_of_none_or_more_is_refused(number: int) -> None:
    with pytest.raises(InvariantBroken, match=f"not {number}"):
        port_rules.check_changes([Insert(f"row-{n}", "") for n in range(number)])


def test_a_transaction_that_names_a_row_twice_is_refused_by_its_name() -> None:
    with pytest.raises(InvariantBroken, match="names b twice"):
        port_rules.check_changes([Insert("a", ""), Insert("b", ""), Insert("b", "")])


@pytest.mark.parametrize("key", ["", "/", "a/b", "a b", "-a", "a" * 256, "ü", "a#"])
def test_what_is_no_row_key_is_refused_and_shown(key: str) -> None:
    with pytest.raises(InvariantBroken) as refused:
        port_rules.check_key(key)
    assert repr(key) in str(refused.value)


@pytest.mark.parametrize("key", ["a", "0", "a" * 255, "version-00000001", "todo-2026-11-20T10:00:00+00:00-x"])
def test_a_row_key_is_taken_as_it_is(key: str) -> None:
    assert port_rules.check_key(key) == key


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a/..", "../a", "a/./b", "a\\..\\b", "a\x00", "a\x1fb", "a\x7f", "\ud800", "a" * 1025],
)
def test_a_name_that_addresses_no_blob_or_another_one_is_refused(name: str) -> None:
    with pytest.raises(InputRejected, match="cannot be addressed") as refused:
        port_rules.check_blob_name("landing", name)
    assert refused.value.code == "blob-name"


@pytest.mark.parametrize("name", ["a", "a/b.csv", "...", "a..b", ".hidden", "ü", "a\\b", "a" * 1024, "a%2Fb"])
def test_any_other_name_is_a_blob_s(name: str) -> None:
    port_rules.check_blob_name("landing", name)


@pytest.mark.parametrize(
    "container", ["", "ab", "-ab", "ab-", "a--b", "Abc", "a_b", "a" * 64, "a-" * 32 + "a", "$logs", "a/b"]
)
def test_what_is_no_container_s_name_is_refused(container: str) -> None:
    with pytest.raises(InputRejected) as refused:
        port_rules.check_blob_name(container, "a")
    assert refused.value.code == "container-name"


@pytest.mark.parametrize("container", ["abc", "a1b", "a-b", "0-0", "a" * 63, "$root"])
def test_a_container_s_name_is_taken(container: str) -> None:
    port_rules.check_blob_name(container, "a")


def test_an_own_request_is_known_by_its_id_however_long_its_stamp_is() -> None:
    for stamp in ("gate-penguins-r2-a1", "x" * 100, "ü mit / allem"):
        ids = [port_rules.own_request(stamp, number) for number in (0, 9, 12345)]
        assert len(set(ids)) == 3
        for one in ids:
            assert one.startswith("driftloop-") and len(one) <= 40
            assert set(one) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
    assert port_rules.own_request("a/b c", 7) == "driftloop-a-b-c-7"


@pytest.mark.parametrize(("weights", "default"), [({}, ""), ({"a": 0}, ""), ({"a": 0, "b": 100}, "b")])
def test_a_batch_endpoint_has_one_default_or_none(weights: dict[str, int], default: str) -> None:
    assert port_rules.check_default("e", weights) == default


@pytest.mark.parametrize(
    ("weights", "why"),
    [({"a": 50, "b": 50}, "Batch endpoint e has one default"), ({"a": 50}, "endpoint e must sum to 100")],
)
def test_a_batch_endpoint_shares_nothing_out(weights: dict[str, int], why: str) -> None:
    with pytest.raises(InvariantBroken, match=why) as refused:
        port_rules.check_default("e", weights)
    assert str(weights) in str(refused.value)


def test_the_same_question_to_the_same_deployment_has_one_key_also_after_an_upgrade() -> None:
    asked = ("e", "d", ["p", "q"], "s")
    assert port_rules.scoring_key(*asked) == hashlib.sha256(b"e\0d\0s\0p\0q").hexdigest()[:32]
    others = [("f", "d", ["p", "q"], "s"), ("e", "f", ["p", "q"], "s"), ("e", "d", ["pq"], "s")]
    others += [("e", "d", ["q", "p"], "s"), ("e", "d", ["p", "q"], "t"), ("ed", "", ["p", "q"], "s")]
    assert len({port_rules.scoring_key(*one) for one in (asked, *others)}) == 7


def test_the_note_on_an_endpoint_names_what_has_traffic_in_one_order() -> None:
    assert port_rules.traffic_note({"b": 10, "a": 90, "c": 0}) == "a=90 b=10"
    assert port_rules.traffic_note({}) == ""


def test_a_sample_of_rows_depends_on_their_ids_alone_and_is_told_oldest_first() -> None:
    rows = [{"id": n, "time": str(9 - n % 3), "more": n} for n in range(50)]
    chosen = port_rules.sampled(rows, 9)
    by_hash = sorted(range(50), key=lambda n: hashlib.sha256(str(n).encode()).digest())
    assert {row["id"] for row in chosen} == set(by_hash[:9])
    assert chosen == sorted(chosen, key=lambda row: (str(row["time"]), str(row["id"])))
    assert len({row["time"] for row in chosen}) > 1
    assert port_rules.sampled(reversed(rows), 9) == chosen
    assert port_rules.sampled(rows, 99) == sorted(rows, key=lambda row: (str(row["time"]), str(row["id"])))


def test_an_id_with_half_a_character_has_its_place_like_any_other() -> None:
    assert port_rules.rank_by_hash("a\ud800") == hashlib.sha256(b"a?").digest()
