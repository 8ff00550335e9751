"""Collected rows reach the workspace's blob store as Azure ML's data collector writes them, after a delay.

Custom collections come from Microsoft's own `azureml-ai-monitoring` in the scoring process: it posts each
frame to an agent, which is us. Payload collections, `request` and `response`, come from the router.
"""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import random
import secrets
import threading
import uuid
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from azure.core.exceptions import AzureError, ResourceExistsError

from local.endpoints.bodies import ROLLING
from local.endpoints.endpoint_faults import Faults
from local.service import Service
from local.settings import DATASTORES, DEFAULT_DATASTORE, WORKSPACE_ID
from local.state import Document

LARGEST_BYTES = 4 * 1024 * 1024  # what is larger Azure stores apart
_ATTRIBUTES = {
    "ce-x-request-id": ("correlationid", "xrequestid"),
    "ce-model-version": ("modelversion",),
    "ce-collect-data-type": ("collectdatatype",),
    "ce-agent": ("agent",),
}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Frame:
    """One thing to collect, as it arrived; `extra` are its fields beside those that every event has."""

    collection: str
    at: datetime
    content: bytes
    content_type: str
    extra: Document


@dataclass
class Row:
    """An event that waits to be written. Frames that come soon after it may still be merged into it."""

    due_at: datetime
    blob: str
    event: Document
    rows: list[object] | None
    """The event's data where they are a list, which is what is merged; else None."""
    apart: bytes | None = None
    """What the event only names: it is stored in a blob that is called by the event's id."""

    def line(self) -> bytes:
        if self.rows is not None:
            length = len(json.dumps(self.rows))
            self.event |= {"data": self.rows, "contentrange": f"bytes 0-{length - 1}/{length}"}
        return json.dumps(self.event).encode() + b"\n"


class Collector:
    """Takes rows in from any thread, and appends those that are due to their blobs."""

    def __init__(self, service: Service, faults: Faults) -> None:
        self._clock = service.clock
        self._faults = faults
        self._container = service.blobs.get_container_client(DATASTORES[DEFAULT_DATASTORE])
        self._rows: list[Row] = []
        self.chance = random.Random(0)
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._secret = secrets.token_urlsafe(16)
        self._rolling: dict[tuple[str, str], tuple[str, str]] = {}
        self._agent = _Agent(self)
        threading.Thread(target=self._agent.serve_forever, daemon=True, name="collector-agent").start()
        self._writer = threading.Thread(target=self._write_until_ended, daemon=True, name="collector-writer")
        self._writer.start()

    def address(self, endpoint: str, deployment: str) -> tuple[str, int]:
        """The agent's host and port. The library names no deployment, so the host's userinfo does."""
        port: int = self._agent.server_address[1]
        return f"{endpoint}.{deployment}:{self._secret}@127.0.0.1", port

    def sender(self, authorization: str) -> tuple[str, str] | None:
        """Endpoint and deployment that a row comes from; None when the caller is not ours."""
        try:
            user, _, password = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        except ValueError:
            return None
        endpoint, _, deployment = user.partition(".")
        return (endpoint, deployment) if secrets.compare_digest(password, self._secret) else None

    def serving(self, endpoint: str, deployment: str, instance: str, rolling: str) -> None:
        """From now on the deployment's rows go to this instance's blobs."""
        self._rolling[endpoint, deployment] = (instance, rolling)

    def take_frame(self, sender: tuple[str, str], headers: Document, content: bytes) -> None:
        """One frame of the scoring process, with the event's attributes in its `ce-` headers."""
        collection = str(headers["ce-type"]).removeprefix("azureml.inference.")
        written_at = datetime.fromtimestamp(float(headers["ce-time"]), UTC)
        extra: Document = {}
        for header, names in _ATTRIBUTES.items():
            extra |= dict.fromkeys(names, str(headers[header])) if header in headers else {}
        kind = str(headers.get("content-type", ""))
        self.take(sender, Frame(collection, written_at, content, kind, extra))

    def take(self, sender: tuple[str, str], frame: Frame) -> None:
        """Collect one frame: merged into the line before it where both are lists and chance has it so.

        Azure batches requests that come close together into one JSON object under one correlation id; it says
        neither how close nor which, so here a seeded chance decides, for each collection anew.
        """
        endpoint, deployment = sender
        instance, rolling = self._rolling.get(sender, ("unknown", "hour"))
        place = f"modelDataCollector/{endpoint}/{deployment}/{frame.collection}"
        folder = f"{place}/{frame.at.strftime(ROLLING[rolling])}"
        event, data = _event(sender, frame), _data(frame)
        due_at = self._clock() + timedelta(seconds=self._faults.collector_delay_s)
        rows = data if isinstance(data, list) else None
        row = Row(due_at, f"{folder}/{instance}.jsonl", event | {"data": data}, rows)
        if data is None:
            apart = self._container.get_blob_client(f"{folder}/{event['id']}").url
            row.event |= {"data": apart, "datainblob": "true"}
            row.apart = frame.content
        with self._lock:
            before = next((each for each in reversed(self._rows) if each.blob == row.blob), None)
            merged = rows is not None and before is not None and before.rows is not None
            if merged and self.chance.random() < self._faults.collector_batch_rate:
                assert before is not None and before.rows is not None and rows is not None
                before.rows = before.rows + rows
            else:
                self._rows.append(row)

    def flush(self, *, everything: bool = False) -> None:
        """Append the rows that are due. What cannot be written now is kept for the next time."""
        now = self._clock()
        with self._lock:
            due = [row for row in self._rows if everything or row.due_at <= now]
            self._rows = [row for row in self._rows if not (everything or row.due_at <= now)]
        blobs: dict[str, list[Row]] = defaultdict(list)
        for row in due:
            blobs[row.blob].append(row)
        for name, rows in blobs.items():
            try:
                for row in rows:
                    if row.apart is not None:
                        apart = f"{name.rpartition('/')[0]}/{row.event['id']}"
                        self._container.upload_blob(apart, row.apart, overwrite=True)
                self._append(name, b"".join(row.line() for row in rows))
            except AzureError as error:
                _log.warning("Collected rows wait: %s cannot be written: %s", name, error)
                with self._lock:
                    self._rows = rows + self._rows

    def stop(self) -> None:
        self._ended.set()
        self._writer.join()
        self._agent.shutdown()
        self._agent.server_close()
        self.flush(everything=True)

    def _write_until_ended(self) -> None:
        while not self._ended.wait(0.2):
            self.flush()

    def _append(self, name: str, lines: bytes) -> None:
        blob = self._container.get_blob_client(name)
        with contextlib.suppress(ResourceExistsError):  # the rows before these made it
            blob.create_append_blob(if_none_match="*")
        for start in range(0, len(lines), LARGEST_BYTES):
            blob.append_block(lines[start : start + LARGEST_BYTES])


def _event(sender: tuple[str, str], frame: Frame) -> Document:
    endpoint, deployment = sender
    return {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": f"{WORKSPACE_ID}/onlineEndpoints/{endpoint}/deployments/{deployment}",
        "type": f"azureml.inference.{frame.collection}",
        "datacontenttype": "application/json",
        "time": frame.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "contentrange": f"bytes 0-{len(frame.content) - 1}/{len(frame.content)}",
        **frame.extra,
    }


def _data(frame: Frame) -> object | None:
    """The data as JSON; None for what is large or not JSON, which Azure stores apart."""
    if len(frame.content) > LARGEST_BYTES or "json" not in frame.content_type:
        return None
    try:
        data: object | None = json.loads(frame.content)
    except ValueError:
        return None
    return data


class _Agent(ThreadingHTTPServer):
    """Where Microsoft's collector posts to. Plain HTTP on 127.0.0.1, as in Azure's container."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, collector: Collector) -> None:
        super().__init__(("127.0.0.1", 0), _Receiver)
        self.collector = collector


class _Receiver(BaseHTTPRequestHandler):
    server: _Agent

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        sender = self.server.collector.sender(self.headers.get("Authorization", ""))
        if sender is None or self.path != "/modeldata/log":
            self._answer(401 if sender is None else 404)
        else:
            self.server.collector.take_frame(sender, {k.lower(): v for k, v in self.headers.items()}, content)
            self._answer(202)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Rows are not worth a line each."""
