"""Live requests to an endpoint, as its users would send them: paced, authenticated, counted."""

from __future__ import annotations

import json
import os
import ssl
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import pandas as pd

from shared.azure.client import Workspace, credential

SCOPE = "https://ml.azure.com/.default"


class LiveTraffic:
    """Requests of one row each, `per_second`, until stopped. `statuses` counts the answers."""

    def __init__(self, workspace: Workspace) -> None:
        self.statuses: Counter[int] = Counter()
        self._workspace = workspace
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, endpoint: str, rows: pd.DataFrame, per_second: float) -> None:
        uri = self._workspace().online_endpoints.get(endpoint).scoring_uri
        self._thread = threading.Thread(target=self._run, args=(uri, rows, per_second), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(timeout=30)

    def _run(self, uri: str, rows: pd.DataFrame, per_second: float) -> None:
        token = credential().get_token(SCOPE).token
        payloads = [_payload(rows.iloc[[n]]) for n in range(len(rows))]
        with (
            httpx.Client(
                verify=ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE")),
                headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
                trust_env=False,
                timeout=60,
            ) as client,
            ThreadPoolExecutor(8) as pool,
        ):
            sent, began = 0, time.monotonic()
            while not self._stopped.wait(max(0.0, began + sent / per_second - time.monotonic())):
                pool.submit(self._send, client, uri, payloads[sent % len(payloads)])
                sent += 1

    def _send(self, client: httpx.Client, uri: str, payload: str) -> None:
        try:
            self.statuses[client.post(uri, content=payload).status_code] += 1
        except httpx.HTTPError:
            self.statuses[0] += 1


def _payload(row: pd.DataFrame) -> str:
    table = json.loads(row.to_json(orient="split"))
    return json.dumps({"input_data": {key: table[key] for key in ("columns", "index", "data")}})
