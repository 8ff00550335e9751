"""State, settings and operations: the ground that every local service stands on."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from local.progress import Operations, Pace, Status
from local.settings import settings_of
from local.state import State


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "state.sqlite")


class TestState:
    def test_documents_are_there_after_a_restart_in_the_order_of_their_creation(self, tmp_path: Path) -> None:
        before = State(tmp_path / "s")
        for key in ("b", "a", "c"):
            before.put("thing", key, {"key": key})
        before.put("thing", "b", {"key": "b", "again": True})
        before.close()
        after = State(tmp_path / "s")
        assert after.keys("thing") == ["b", "a", "c"]
        assert after.get("thing", "B") == {"key": "b", "again": True}, "keys compare in any case"
        after.close()

    def test_of_many_threads_one_adds(self, state: State) -> None:
        wins: list[int] = []

        def add(number: int) -> None:
            if state.add("thing", "one", {"by": number}):
                wins.append(number)

        threads = [threading.Thread(target=add, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(wins) == 1
        assert state.get("thing", "one") == {"by": wins[0]}

    def test_a_transaction_that_fails_leaves_nothing(self, state: State) -> None:
        state.put("thing", "kept", {"n": 1})
        with pytest.raises(ZeroDivisionError), state.transaction():
            state.put("thing", "kept", {"n": 2})
            with state.transaction():
                state.put("thing", "new", {})
            raise ZeroDivisionError
        assert state.get("thing", "kept") == {"n": 1}
        assert state.keys("thing") == ["kept"]

    def test_a_prefix_is_not_a_pattern(self, state: State) -> None:
        state.put("thing", "a_1/x", {})
        state.put("thing", "ab1/x", {})
        assert state.keys("thing", "a_1/") == ["a_1/x"]


class Clock:
    now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class TestOperations:
    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    def operations(self, state: State, clock: Clock) -> Operations:
        return Operations(state, clock, "https://127.0.0.1:1")

    def test_it_runs_until_its_work_has_ended(self, operations: Operations) -> None:
        operation = operations.begin("deployment")
        assert operations.look(operation) is Status.RUNNING
        operations.finish(operation)
        assert operations.look(operation) is Status.SUCCEEDED

    def test_it_is_shown_as_running_for_so_many_looks(self, operations: Operations) -> None:
        operations.set_pace("deployment", Pace.parse("2 looks"))
        operation = operations.begin("deployment")
        operations.finish(operation, {"code": "BadArgument", "message": "no"})
        shown = [operations.document(operation)["status"] for _ in range(3)]
        assert shown == ["InProgress", "InProgress", "Failed"]
        assert operations.document(operation)["error"] == {"code": "BadArgument", "message": "no"}

    def test_it_is_shown_as_running_for_so_long(self, operations: Operations, clock: Clock) -> None:
        operations.set_pace("deployment", Pace.parse("1.5 seconds"))
        operation = operations.begin("deployment")
        operations.finish(operation)
        assert operations.look(operation) is Status.RUNNING
        clock.now += timedelta(seconds=2)
        assert operations.look(operation) is Status.SUCCEEDED

    def test_the_first_end_counts(self, operations: Operations) -> None:
        operation = operations.begin("deployment")
        operations.finish(operation, status=Status.CANCELED)
        operations.finish(operation)
        assert operations.look(operation) is Status.CANCELED


def test_a_state_folder_keeps_its_addresses_and_secrets_and_shows_no_secret(tmp_path: Path) -> None:
    first, second = settings_of(tmp_path), settings_of(tmp_path)
    assert first == second
    assert settings_of(tmp_path / "other").signing_key != first.signing_key
    for secret in (first.identity_header, first.control_secret, first.signing_key, first.account_key):
        assert secret not in repr(first)
    assert (tmp_path / "settings.json").stat().st_mode & 0o077 == 0
