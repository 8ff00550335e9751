"""S07, S09: a log record is one line, with its loop, and what looks like a secret is not in it."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from functions import telemetry
from shared.azure.topic import event_of
from shared.domain.ledger import LedgerEntry
from shared.domain.loop import Overview
from shared.memory import FakeClock, memory_ports
from shared.runtime import outbox
from shared.state import hash_chain
from tests.engine.world import World, csv, season

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the platform's handler gets, with the filter on it."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    levels = {name: logging.getLogger(name).level for name in ("azure", "urllib3", "functions.telemetry")}
    root.addHandler(handler)
    telemetry.install()
    yield stream
    for each in root.handlers:
        each.filters = [one for one in each.filters if not isinstance(one, telemetry.OneLine)]
    root.removeHandler(handler)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def _lines(written: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


def test_a_record_is_one_line_with_its_loop(written: io.StringIO) -> None:
    logging.getLogger("x").warning("loop waits", extra={"loop": "penguins", "release": 3})

    assert _lines(written) == [{"message": "loop waits", "loop": "penguins", "release": 3}]


@pytest.mark.parametrize("name", ["a\r\n{}", "a\x1b[31mb", "a\u2028b", "a\u202eb", "a\x00b"])
def test_names_of_strangers_break_no_line(name: str, written: io.StringIO) -> None:
    logging.getLogger("x").warning("blob %s", name, extra={"blob": name})

    (line,) = written.getvalue().split("\n")[:-1]
    assert line.isascii() and line.isprintable()
    assert set(json.loads(line)) == {"message", "blob"}


def test_an_exception_is_in_the_line_without_secrets(written: io.StringIO) -> None:
    try:
        raise ValueError(
            "https://account.blob.core.windows.net/c/b?sv=1&sig=planted refused, AccountKey=planted"
        )
    except ValueError:
        logging.getLogger("x").exception("loop set aside", extra={"loop": "penguins"})

    (line,) = _lines(written)
    assert "ValueError" in str(line["exception"])
    assert "planted" not in written.getvalue()


def test_what_is_given_beside_the_text_has_no_secret_and_no_end_of_a_line(written: io.StringIO) -> None:
    logging.getLogger("x").warning("sent", extra={"url": "https://a.example/c?sv=1&sig=planted", "n": 3})

    (line,) = _lines(written)
    assert line["n"] == 3 and str(line["url"]).startswith("https://a.example/c")
    assert "planted" not in written.getvalue()


def test_a_long_text_and_a_long_exception_are_cut(written: io.StringIO) -> None:
    try:
        raise ValueError("e" * 9_000)
    except ValueError:
        logging.getLogger("x").exception("m" * 9_000)

    (line,) = _lines(written)
    assert 1_900 < str(line["message"]).count("m") <= 2_000
    assert 1_700 < str(line["exception"]).count("e") <= 2_000


def test_every_handler_gets_the_line(written: io.StringIO) -> None:
    second = logging.StreamHandler(io.StringIO())
    logging.getLogger().addHandler(second)
    try:
        telemetry.install()
        logging.getLogger("x").warning("loop waits")
    finally:
        logging.getLogger().removeHandler(second)

    assert second.stream.getvalue() == written.getvalue() == '{"message": "loop waits"}\n'
    record = logging.makeLogRecord({"msg": "once"})
    assert [telemetry.OneLine().filter(record) for _ in range(2)] == [True, True]


@pytest.mark.parametrize(
    "client", ["azure.core.pipeline.policies.http_logging_policy", "urllib3.connectionpool"]
)
def test_requests_of_azures_clients_are_not_told(
    client: str, written: io.StringIO, caplog: pytest.LogCaptureFixture
) -> None:
    """Each is told with its address and headers at INFO; everything else is told from there on."""
    for name in ("", "azure", "urllib3"):
        caplog.set_level(logging.INFO, name)
    telemetry.install()
    logging.getLogger(client).info("Request URL: ...")
    logging.getLogger(client).warning("tried again")
    logging.getLogger("x").info("loop waits")
    assert [line["message"] for line in _lines(written)] == ["tried again", "loop waits"]


def test_installing_twice_changes_nothing(written: io.StringIO) -> None:
    telemetry.install()
    logging.getLogger("x").warning("once")

    assert _lines(written) == [{"message": "once"}]


def test_the_age_of_the_oldest_waiting_work_is_told(written: io.StringIO) -> None:
    logging.getLogger("functions.telemetry").setLevel(logging.INFO)
    clock = FakeClock()
    ports = memory_ports(clock)
    telemetry.log_waiting(ports)
    for loop, minutes in (("young", 1), ("old", 5)):
        ports.store.describe(Overview(loop=loop, landing=f"landing/{loop}/"))
        ports.store.wake(loop, clock.now() - timedelta(minutes=minutes))
    ports.store.describe(Overview(loop="later", landing="landing/later/"))
    ports.store.wake("later", clock.now() + timedelta(hours=1))

    telemetry.log_waiting(ports)

    none, two = _lines(written)
    assert (none["oldest_due_s"], none["loops_due"]) == (0.0, 0)
    assert (two["oldest_due_s"], two["loops_due"]) == (300.0, 2)
    assert {one["message"] for one in (none, two)} == {"waiting work"}, "docs/operations.md asks for it"


def test_the_age_of_waiting_work_is_told_to_the_tenth(written: io.StringIO) -> None:
    logging.getLogger("functions.telemetry").setLevel(logging.INFO)
    ports = memory_ports(FakeClock())
    ports.store.wake("birds", ports.clock.now() - timedelta(seconds=1.26))
    telemetry.log_waiting(ports)
    assert _lines(written)[0]["oldest_due_s"] == 1.3


def spans_of(provider: TracerProvider) -> InMemorySpanExporter:
    told = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(told))
    return told


def test_a_span_stands_at_the_entrys_moment_below_its_operation() -> None:
    provider = TracerProvider()
    told = spans_of(provider)
    record = logging.makeLogRecord(
        {"msg": "version.created", "operation": "ab" * 16, "at": NOON.isoformat(), "loop": "birds"}
        | {"subject": "version 1", "seq": 7, "before": "", "after": "written"}
    )
    telemetry.Spans(provider).emit(record)
    (span,) = told.get_finished_spans()
    assert span.start_time == span.end_time == int(NOON.timestamp() * 1e9)
    assert span.parent is not None and span.context is not None
    assert (span.parent.span_id, span.parent.is_remote) == (int("ab" * 8, 16), True)
    assert span.context.trace_id == int("ab" * 16, 16)
    assert span.parent.trace_flags.sampled
    assert span.instrumentation_scope is not None and span.instrumentation_scope.name == "driftloop"


def test_a_record_without_an_operation_is_no_span() -> None:
    provider = TracerProvider()
    told = spans_of(provider)
    telemetry.Spans(provider).emit(logging.makeLogRecord({"msg": "loop waits"}))
    assert told.get_finished_spans() == ()


def test_what_is_installed_gives_the_ledgers_spans_to_the_given_provider() -> None:
    provider, before = TracerProvider(), list(outbox.log.handlers)
    told = spans_of(provider)
    for handler in before:
        outbox.log.removeHandler(handler)
    try:
        telemetry.install(provider)
        telemetry.install(provider)
        assert len([one for one in outbox.log.handlers if isinstance(one, telemetry.Spans)]) == 1
        more = {"operation": "cd" * 16, "at": NOON.isoformat(), "loop": "b", "subject": "s", "seq": 1}
        outbox.log.info("release.live", extra={**more, "before": "", "after": ""})
        assert [span.name for span in told.get_finished_spans()] == ["release.live"]
    finally:
        for handler in outbox.log.handlers[:]:
            outbox.log.removeHandler(handler)
        for handler in before:
            outbox.log.addHandler(handler)


@pytest.mark.parametrize("name", ["azure.core.pipeline", "urllib3.connectionpool"])
def test_of_libraries_that_name_addresses_only_warnings_are_told(name: str, written: io.StringIO) -> None:
    logging.getLogger(name).info("https://account/?sig=x")
    logging.getLogger(name).warning("slow")
    assert [line["message"] for line in _lines(written)] == ["slow"]


def test_a_drop_its_version_and_its_release_are_one_operation() -> None:
    """As spans for Application Insights, over however many invocations; an alert is another operation."""
    told = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(told))
    ledger_log = outbox.log
    ledger_log.addHandler(spans := telemetry.Spans(provider))
    ledger_log.setLevel(logging.INFO)
    try:
        world = World()
        world.publish()
        world.drop("2007.csv", csv(season(2007)))
        world.live()
        world.alert()
        world.ticks()
    finally:
        ledger_log.removeHandler(spans)
        ledger_log.setLevel(logging.NOTSET)

    operations: dict[int, list[str]] = {}
    for span in told.get_finished_spans():
        assert span.context is not None and span.attributes is not None
        assert span.attributes["driftloop.loop"] == "birds"
        operations.setdefault(span.context.trace_id, []).append(span.name)
    drop = next(whats for whats in operations.values() if "version.created" in whats)
    assert {"version.judged", "release.started", "release.deploying", "release.live"} <= set(drop)
    alert = next(whats for whats in operations.values() if "retrain.denied" in whats)
    assert alert is not drop
    assert sum(map(len, operations.values())) == len(world.ledger())


def test_an_event_on_the_topic_names_the_operation_of_its_span() -> None:
    entry = LedgerEntry(1, NOON, "ann", "blob-a", "version.created", "version 1", "", "", {}, "", "ab" * 32)

    version, trace, span, flags = str((event_of("birds", entry).extensions or {})["traceparent"]).split("-")

    assert (version, span, flags) == ("00", "ab" * 8, "01")
    assert trace == hash_chain.operation("birds", "blob-a") != hash_chain.operation("bees", "blob-a")
    assert len(trace) == 32
