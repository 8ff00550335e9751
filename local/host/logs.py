"""One record is one line of JSON: no line break or escape code in a stranger's text gets out."""

import contextvars
import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

invocation: contextvars.ContextVar[tuple[str, str] | None] = contextvars.ContextVar(
    "invocation", default=None
)


class JsonLines(logging.Formatter):
    """Formats a record as one line of ASCII JSON; json.dumps escapes CR, LF and ESC."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, str] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "category": record.name,
            "message": record.getMessage(),
        }
        running = invocation.get()
        if running:
            line["function"], line["invocation"] = running
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


class LineWriter:
    """Stands in for sys.stdout in the worker: what the app prints becomes log records, line by line."""

    encoding = "utf-8"

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)
        self._rest = ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._logger.info("%s", line)
        return len(text)

    def flush(self) -> None:
        if self._rest:
            self.write("\n")

    def isatty(self) -> bool:
        return False


class _Handler(logging.StreamHandler[TextIO]):
    """Writes the line and its end at once, so that two processes on one stream do not mix their lines."""

    terminator = ""

    def format(self, record: logging.LogRecord) -> str:
        return super().format(record) + "\n"


def configure() -> None:
    """Send this process's log records to standard error, one JSON line each."""
    handler = _Handler(sys.__stderr__)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # Each storage call would be two records; only what went wrong with them is news.
    for noisy in ("azure", "httpx", "httpcore", "urllib3", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
