"""A reply that is lost after success is told as success; a service that stalls is told, without long sleeps."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.azure.failures import BoundedTransport
from shared.domain.loop import Overview
from shared.domain.window import WindowKind
from shared.errors import (
    ConfigurationError,
    Conflict,
    DependencyUnavailable,
    DriftloopError,
    OutcomeUnknown,
)
from shared.ports import Insert, Ports, Replace, Store
from shared.settings import Settings
from shared.wiring import azure_ports
from tests.contract.breaking import Breakable
from tests.contract.stage import SdkStage, fresh

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

Fault = Callable[[str, str], str]
"""Method and URL of a request to what befalls it: `lost`, `unsent`, a status such as `429 60`, or nothing."""


class Faulty:
    """Switches faults on under all clients of one set of ports."""

    def __init__(self) -> None:
        self.fault: Fault = lambda method, url: ""
        self.seen: list[str] = []
        self._transports: list[BoundedTransport] = []

    def transport(self) -> BoundedTransport:
        faulty = self

        class Transport(Breakable):
            def fault_of(self, method: str, url: str) -> str:
                fault = faulty.fault(method, url)
                faulty.seen.append(f"{method} {fault}".strip())
                return fault

        self._transports.append(Transport())
        return self._transports[-1]

    def close(self) -> None:
        for transport in self._transports:
            transport.close()

    def once(self, fault: str, method: str, part: str = "") -> None:
        """The next matching request only."""
        left = [fault]
        self.fault = lambda verb, url: left.pop() if left and verb == method and part in url else ""

    def always(self, fault: str, method: str = "", part: str = "") -> None:
        self.fault = lambda verb, url: fault if method in ("", verb) and part in url else ""


@pytest.fixture
def faulty() -> Iterator[Faulty]:
    made = Faulty()
    yield made
    made.close()


@pytest.fixture
def ports(settings: Settings, faulty: Faulty) -> Ports:
    return azure_ports(settings, faulty.transport)


def test_a_commit_whose_reply_is_lost_is_ours(ports: Ports, faulty: Faulty, loop: str) -> None:
    ports.store.commit(loop, [Insert("loop", "1")])
    row = ports.store.read(loop, "loop")
    assert row is not None
    faulty.once("lost", "POST", "$batch")

    etags = ports.store.commit(loop, [Replace("loop", "2", row.etag), Insert("ledger-1", "entry")])

    assert [row.doc for row in ports.store.range(loop, "")] == ["entry", "2"]
    assert "POST lost" in faulty.seen
    assert etags == {}, "the answer that had them was lost"


def test_a_commit_whose_every_reply_is_lost_is_ours(ports: Ports, faulty: Faulty, loop: str) -> None:
    faulty.always("lost", "POST", "$batch")

    ports.store.commit(loop, [Insert("loop", "1")])

    faulty.fault = lambda method, url: ""
    assert [row.doc for row in ports.store.range(loop, "")] == ["1"]


def test_a_rivals_commit_is_not_taken_for_ours(ports: Ports, faulty: Faulty, loop: str) -> None:
    ports.store.commit(loop, [Insert("loop", "1")])
    row = ports.store.read(loop, "loop")
    assert row is not None
    rival = [Replace("loop", "rival", row.etag)]

    def first_the_rival(method: str, url: str) -> str:
        if method == "POST" and rival:
            ports.store.commit(loop, [rival.pop()])
        return ""

    faulty.fault = first_the_rival

    with pytest.raises(Conflict):
        ports.store.commit(loop, [Replace("loop", "2", row.etag), Insert("ledger-1", "entry")])

    assert [row.doc for row in ports.store.range(loop, "")] == ["rival"]


def test_our_commit_is_ours_though_a_rival_changed_a_row_since(
    ports: Ports, faulty: Faulty, loop: str
) -> None:
    ports.store.commit(loop, [Insert("loop", "1")])
    row = ports.store.read(loop, "loop")
    assert row is not None
    rival = ["rival"]

    def lost_then_the_rival(method: str, url: str) -> str:
        if method == "GET" and rival:
            doc = rival.pop()
            ours = ports.store.read(loop, "loop")
            assert ours is not None
            ports.store.commit(loop, [Replace("loop", doc, ours.etag)])
        return "lost" if method == "POST" and rival else ""

    faulty.fault = lost_then_the_rival

    ports.store.commit(loop, [Replace("loop", "2", row.etag), Insert("ledger-1", "entry")])

    assert not rival
    assert [row.doc for row in ports.store.range(loop, "")] == ["entry", "rival"]


def test_what_cannot_be_read_back_is_unknown(ports: Ports, faulty: Faulty, loop: str) -> None:
    faulty.always("lost")

    with pytest.raises(OutcomeUnknown, match="is not known"):
        ports.store.commit(loop, [Insert("loop", "1")])


def test_what_was_never_sent_is_unavailable(ports: Ports, faulty: Faulty, loop: str) -> None:
    faulty.always("unsent", "POST", "$batch")

    with pytest.raises(DependencyUnavailable):
        ports.store.commit(loop, [Insert("loop", "1")])


@pytest.mark.parametrize("seconds", [60, 3600])
def test_a_long_retry_after_is_told_not_slept(ports: Ports, faulty: Faulty, loop: str, seconds: int) -> None:
    faulty.always(f"429 {seconds}")
    started = time.monotonic()

    with pytest.raises(DependencyUnavailable) as raised:
        ports.store.read(loop, "loop")

    assert raised.value.retry_after_s == seconds
    assert time.monotonic() - started < 20


def test_a_short_retry_after_is_waited_out(ports: Ports, faulty: Faulty, loop: str) -> None:
    faulty.once("503 1", "GET")

    assert ports.store.read(loop, "loop") is None


@pytest.mark.parametrize("status", [401, 403])
def test_a_missing_role_is_named_with_its_resource(
    ports: Ports, faulty: Faulty, loop: str, status: int
) -> None:
    ports.store.commit(loop, [Insert("loop", "1")])
    faulty.always(str(status))

    with pytest.raises(
        ConfigurationError, match=r"table driftloop was refused .* role 'Storage Table Data Contributor'"
    ):
        ports.store.read(loop, "loop")


CALLS: dict[str, Callable[[Store, str], object]] = {
    "Reading a row": lambda store, loop: store.read(loop, "loop"),
    "Reading rows": lambda store, loop: store.range(loop, ""),
    "Reading an overview": lambda store, loop: store.overview(loop),
    "Reading overviews": lambda store, loop: store.overviews(),
    "Writing an overview": lambda store, loop: store.describe(Overview(loop, landing="")),
    "Changing an overview": lambda store, loop: store.ask_run(loop, NOON),
    "Waking a loop": lambda store, loop: store.wake(loop, NOON),
    "Noting a sweep": lambda store, loop: store.swept(loop, NOON),
    "Writing a row": lambda store, loop: store.record_unrouted(f"{loop}-event", "{}"),
}
"""What each call of the store is called where it is refused."""


@pytest.mark.parametrize("call", CALLS)
def test_a_refusal_says_what_was_done_to_which_table_and_which_role_it_needs(
    ports: Ports, faulty: Faulty, loop: str, call: str
) -> None:
    ports.store.commit(loop, [Insert("loop", "1")])
    ports.store.describe(Overview(loop, landing=""))
    faulty.always("403")

    with pytest.raises(ConfigurationError) as raised:
        CALLS[call](ports.store, loop)

    assert str(raised.value).startswith(f"{call} on table driftloop was refused"), raised.value
    assert "'Storage Table Data Contributor'" in str(raised.value)


def test_no_error_shows_a_query_of_a_url(ports: Ports, faulty: Faulty, loop: str) -> None:
    faulty.always("unsent")

    with pytest.raises(DriftloopError) as raised:
        ports.store.read(loop, "loop")

    assert "planted" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_data_whose_reply_is_lost_is_written_once(
    ports: Ports, faulty: Faulty, loop: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"rows")
    for write in (
        lambda: ports.versions.write(f"{loop}/1/a", tmp_path / "file"),
        lambda: ports.versions.assemble(f"{loop}/window", {"a": f"{loop}/1/a"}),
        lambda: ports.versions.tabulate(f"{loop}/table", [f"{loop}/1/a"], WindowKind.FILES),
        lambda: ports.versions.register(f"{loop}-t", "1", f"{loop}/table", {}, "", WindowKind.FILES),
        lambda: ports.documents.put(loop.encode()),
    ):
        faulty.seen.clear()
        faulty.once("lost", "PUT")
        write()
        assert "PUT lost" in faulty.seen

    assert ports.versions.read(f"{loop}/window/a") == b"rows"


def test_a_claim_and_a_wake_survive_lost_replies(ports: Ports, faulty: Faulty, loop: str) -> None:
    now = ports.clock.now()
    ports.store.wake(loop, now)
    faulty.once("lost", "PATCH")
    ports.store.wake(loop, now)
    faulty.once("lost", "PATCH")

    token = ports.store.claim(loop, "holder", now, now)

    assert token is not None
    assert faulty.seen.count("PATCH lost") == 2
    faulty.once("lost", "PATCH")
    assert ports.store.ask_run(loop, now), (
        "written, and by whom is read back: else nobody would put the message"
    )
    assert faulty.seen.count("PATCH lost") == 3


def test_a_job_whose_reply_is_lost_is_adopted(ports: Ports, faulty: Faulty, sdk_stage: SdkStage) -> None:
    spec = sdk_stage.job("good", name=fresh("lost"))
    faulty.once("lost", "PUT", "/jobs/")

    assert ports.training.ensure_job(spec).status in {"running", "completed"}

    assert "PUT lost" in faulty.seen


def test_azure_ml_that_stalls_is_unavailable(ports: Ports, faulty: Faulty, loop: str) -> None:
    faulty.always("503 60", part="/onlineEndpoints/")

    with pytest.raises(DependencyUnavailable):
        ports.serving.traffic(f"e-{loop}")


def test_a_query_that_fails_is_unavailable_never_zero(ports: Ports, faulty: Faulty, loop: str) -> None:
    now = ports.clock.now()
    faulty.always("503", "POST", "/query")

    with pytest.raises(DependencyUnavailable):
        ports.evidence.traffic(f"e-{loop}", now.replace(year=2020), now)


CUT = ["broken off", pytest.param("truncated", marks=pytest.mark.soak)]


@pytest.mark.parametrize("fault", CUT)
def test_f11_a_reply_that_ends_in_its_middle_is_never_taken_for_a_whole_one(
    ports: Ports, faulty: Faulty, loop: str, tmp_path: Path, sdk_stage: SdkStage, fault: str
) -> None:
    """Reads come back whole or not at all; writes are made once, and what is said of them is so."""
    job = sdk_stage.job("good", name=fresh("cut"))
    blob = ports.blobs.upload("landing", f"{loop}/a.csv", b"0123456789" * 10_000)
    digest = ports.documents.put(b"0123456789" * 100)
    (tmp_path / "rows").write_bytes(b"rows" * 1000)
    ports.store.commit(loop, [Insert("loop", "0123456789" * 100)])
    row = ports.store.read(loop, "loop")
    assert row is not None
    local, new, noon = tmp_path / "local", b"new" + loop.encode(), datetime(2026, 11, 20, 12, tzinfo=UTC)
    ports.training.ensure_job(job)
    calls: list[tuple[Callable[[], object], Callable[[], bool]]] = [
        (lambda: ports.store.read(loop, "loop"), lambda: ports.store.read(loop, "loop") == row),
        (lambda: ports.store.range(loop, ""), lambda: len(ports.store.range(loop, "")) == 1),
        (
            lambda: ports.store.wake(loop, noon),
            lambda: noon in [one.due_at for one in ports.store.overviews()],
        ),
        (lambda: ports.documents.get(digest), lambda: ports.documents.get(digest) == b"0123456789" * 100),
        (
            lambda: ports.documents.put(new),
            lambda: ports.documents.get(hashlib.sha256(new).hexdigest()) == new,
        ),
        (lambda: ports.blobs.download(blob, local), lambda: local.read_bytes() == b"0123456789" * 10_000),
        (
            lambda: list(ports.blobs.list("landing", loop)),
            lambda: len(list(ports.blobs.list("landing", loop))) == 1,
        ),
        (
            lambda: ports.versions.write(f"{loop}/1/a", tmp_path / "rows"),
            lambda: ports.versions.read(f"{loop}/1/a") == b"rows" * 1000,
        ),
        (lambda: ports.training.ensure_job(job), lambda: ports.training.ensure_job(job).status != "missing"),
        (
            lambda: ports.store.commit(loop, [Insert("ledger-1", "entry")]),
            lambda: [one.doc for one in ports.store.range(loop, "ledger-")] == ["entry"],
        ),
    ]
    for number, (call, is_so) in enumerate(calls):
        cut = 0
        for method in ("GET", "PUT", "POST", "PATCH"):
            faulty.seen.clear()
            faulty.once(fault, method)
            try:
                call()
            except (DependencyUnavailable, OutcomeUnknown, Conflict):
                faulty.fault = lambda method, url: ""
                with suppress(Conflict):  # it was written, though its reply was cut
                    call()
            faulty.fault = lambda method, url: ""
            cut += f"{method} {fault}" in faulty.seen
            assert is_so(), number
        assert cut, f"no reply of call {number} was cut"
