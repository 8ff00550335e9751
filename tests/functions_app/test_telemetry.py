"""S07, S09: a log record is one line, with its loop, and what looks like a secret is not in it."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import timedelta

import pytest

from functions import telemetry
from shared.memory import FakeClock, memory_ports
from shared.model import Overview


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


def test_requests_of_azures_clients_are_not_told(written: io.StringIO) -> None:
    logging.getLogger("azure.core.pipeline").info("Request URL: ...")

    assert written.getvalue() == ""


def test_installing_twice_changes_nothing(written: io.StringIO) -> None:
    telemetry.install()
    logging.getLogger("x").warning("once")

    assert _lines(written) == [{"message": "once"}]


def test_the_age_of_the_oldest_waiting_work_is_told(written: io.StringIO) -> None:
    logging.getLogger("functions.telemetry").setLevel(logging.INFO)
    clock = FakeClock()
    ports = memory_ports(clock)
    telemetry.tell_waiting(ports)
    for loop, minutes in (("young", 1), ("old", 5)):
        ports.store.describe(Overview(loop=loop, landing=f"landing/{loop}/"))
        ports.store.wake(loop, clock.now() - timedelta(minutes=minutes))
    ports.store.describe(Overview(loop="later", landing="landing/later/"))
    ports.store.wake("later", clock.now() + timedelta(hours=1))

    telemetry.tell_waiting(ports)

    none, two = _lines(written)
    assert (none["oldest_due_s"], none["loops_due"]) == (0.0, 0)
    assert (two["oldest_due_s"], two["loops_due"]) == (300.0, 2)
