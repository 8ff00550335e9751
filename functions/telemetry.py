"""One log record is one line of JSON, with the loop it is about; no line break, no payload and nothing secret gets out.

Every ledger entry is logged and becomes a span of OpenTelemetry, whose trace is not the invocation but the operation:
all that one event led to, from the drop to the promotion, over days and many invocations.
"""

from __future__ import annotations

import json
import logging
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

    from shared.ports import Ports

log = logging.getLogger(__name__)

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_LIMIT = 2000


class OneLine(logging.Filter):
    """Rewrites a record's message as JSON: the text, what was given as `extra`, and the exception."""

    def filter(self, record: logging.LogRecord) -> bool:
        from shared.redaction import safe

        if getattr(record, "one_line", False):  # several handlers see the same record
            return True
        fields = {key: value for key, value in vars(record).items() if key not in _STANDARD}
        line: dict[str, object] = {"message": safe(record.getMessage(), _LIMIT)}
        line |= {
            key: value if isinstance(value, int | float) else safe(value) for key, value in fields.items()
        }
        if record.exc_info:
            line["exception"] = safe(logging.Formatter().formatException(record.exc_info), _LIMIT)
        record.msg, record.args, record.exc_info, record.exc_text = json.dumps(line), None, None, None
        record.one_line = True
        return True


class Spans(logging.Handler):
    """A ledger entry that is logged becomes a span of its operation; without an OpenTelemetry SDK, nothing does."""

    def __init__(self, provider: TracerProvider | None = None) -> None:
        super().__init__(logging.INFO)
        self._provider = provider

    def emit(self, record: logging.LogRecord) -> None:
        from opentelemetry import trace

        operation, at = getattr(record, "operation", ""), getattr(record, "at", "")
        if not operation:
            return
        parent = trace.SpanContext(
            int(operation, 16), int(operation[:16], 16), True, trace.TraceFlags(trace.TraceFlags.SAMPLED)
        )
        moment_ns = int(datetime.fromisoformat(at).timestamp() * 1e9)
        attributes = {
            f"driftloop.{name}": getattr(record, name)
            for name in ("loop", "subject", "seq", "before", "after")
        }
        tracer = trace.get_tracer("driftloop", tracer_provider=self._provider)
        context = trace.set_span_in_context(trace.NonRecordingSpan(parent))
        span = tracer.start_span(record.getMessage(), context, attributes=attributes, start_time=moment_ns)
        span.end(moment_ns)


def install(provider: TracerProvider | None = None) -> None:
    """On every handler that the platform has set up; of Azure's clients only the warnings go on.

    `provider` gets the spans; None is the one that the platform's worker has set up.
    """
    from shared.runtime import outbox

    outbox.log.setLevel(logging.INFO)
    if not any(isinstance(each, Spans) for each in outbox.log.handlers):
        outbox.log.addHandler(Spans(provider))
    for name in ("azure", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for handler in logging.getLogger().handlers:
        if not any(isinstance(each, OneLine) for each in handler.filters):
            handler.addFilter(OneLine())


def log_waiting(ports: Ports) -> None:
    """The first metric to look at: for how long the oldest work that is due has waited, and how much is due."""
    now = ports.clock.now()
    due = [overview.due_at for overview in ports.store.overviews(due_before=now) if overview.due_at]
    oldest_s = (now - min(due)).total_seconds() if due else 0.0
    log.info("waiting work", extra={"oldest_due_s": round(oldest_s, 1), "loops_due": len(due)})
