"""Share prices that are fetched: a first year, a closed market, and days that the champion did not foresee."""

from __future__ import annotations

import os
import threading
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd

from demo.stage import Stage, StoryFailed
from shared.audit import answer
from shared.domain.release import Phase, TriggerKind
from shared.state import queries
from shared.words import say, say_all

SHARES = ("ONGC", "WIPRO")
SHORT = (
    "data.source.every='*/10 * * * * *'",
    "canary.step.minutes=0.02",
    "canary.step.min_requests=40",
    "canary.margins.latency_ratio=20",  # a laptop with all of Azure on it says nothing about latency
    "canary.bake_minutes=0",
    "retrain.cooldown=0s",
)
"""Minutes and days of the loop file made seconds, and the address: a server on this machine."""

PER_SECOND = 40
FIRST_DAYS, NEXT_DAYS = 130, 60


class Provider:
    """An HTTP API with ETags; `days(first, last)` sets what it has."""

    def __init__(self, closes: pd.DataFrame) -> None:
        self._closes = closes
        self._body = b""
        self.statuses: list[int] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                """Silence."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/closes.csv"

    def days(self, first: int, last: int) -> pd.DataFrame:
        moments = self._closes["date"].drop_duplicates().sort_values().iloc[first:last]
        chosen = self._closes[self._closes["date"].isin(moments)]
        self._body = chosen.to_csv(index=False).encode()
        return chosen

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        body, etag = self._body, f'"{sha256(self._body).hexdigest()[:16]}"'
        known = request.headers.get("If-None-Match") == etag
        self.statuses.append(304 if known else 200)
        request.send_response(304 if known else 200)
        request.send_header("ETag", etag)
        request.send_header("Content-Type", "text/csv")
        request.send_header("Content-Length", "0" if known else str(len(body)))
        request.end_headers()
        if not known:
            request.wfile.write(body)

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


def data_folder() -> Path:
    """Where the data of the examples are; StoryFailed with where to get them when they are not."""
    folder = Path(os.environ.get("DRIFTLOOP_DATA") or Path(__file__).parents[2] / "shared" / "data")
    missing = [name for name in SHARES if not (folder / f"{name}.NS.csv").is_file()]
    if missing:
        raise StoryFailed(
            f"{folder} has no {missing[0]}.NS.csv. Put daily closes there (columns Date,Close; any provider has "
            "them), or name the folder that has them in DRIFTLOOP_DATA"
        )
    return folder


def closes() -> pd.DataFrame:
    frames = []
    for share in SHARES:
        prices = pd.read_csv(data_folder() / f"{share}.NS.csv")
        frames.append(
            pd.DataFrame({"share": share, "date": prices["Date"].str[:10], "close": prices["Close"].round(2)})
        )
    return pd.concat(frames, ignore_index=True)


def tell(stage: Stage) -> None:
    provider = Provider(closes())
    try:
        _tell(stage, provider)
    finally:
        provider.stop()


def _tell(stage: Stage, provider: Provider) -> None:
    stage.chapter("Publish", "driftloop publish loops/prices --set data.source.url=http://127.0.0.1:…")
    first = provider.days(0, FIRST_DAYS)
    stage.publish((*SHORT, f"data.source.url={provider.url}"))

    stage.chapter("1. The source is fetched", f"{FIRST_DAYS} trading days of {' and '.join(SHARES)}")
    stage.wait("release 1", lambda: stage.state.next_release > 1 and stage.release(1).ended)
    stage.expect(stage.release(1).phase is Phase.LIVE, f"release 1 is {stage.release(1).phase}")
    stage.expect(stage.version(1).rows == len(first), "not what the source had")
    tags = stage.version(1).tags
    stage.say(", ".join(f"{name} {tags[name]}" for name in ("length", "start", "end", "median", "sd")))

    stage.chapter("2. The market is closed", "the source answers 304")
    stage.wait("a skipped fetch", lambda: told(stage, "source.unchanged") > 0)
    stage.expect(304 in provider.statuses, "the source sent the same rows again")
    stage.expect(
        (stage.state.next_version, stage.state.next_release) == (2, 2), "nothing new led to something"
    )
    stage.say("skipped: nothing new, and the ledger says so")

    stage.chapter("3. Days that the champion did not foresee", f"{NEXT_DAYS} more trading days")
    after = provider.days(FIRST_DAYS, FIRST_DAYS + NEXT_DAYS)
    stage.live(after[["share", "date"]], PER_SECOND)
    stage.wait("version 2", lambda: stage.state.next_version > 2 and bool(stage.version(2).decision))
    stage.wait("release 2", lambda: stage.state.next_release > 2 and stage.release(2).ended)
    release = stage.release(2)
    stage.expect(TriggerKind.METRIC in {t.kind for t in release.triggers}, "the metric was not the trigger")
    stage.expect(release.phase is Phase.LIVE, f"release 2 is {release.phase}: {say(release.reason)}")
    stage.expect(
        "close (return)" in say_all(stage.version(2).verdict) or not stage.version(2).drift_material, "levels"
    )
    stage.expect(not answer.audit(stage.ports, stage.loop).problems, "the ledger is broken")
    stage.say("the fresher forecaster was shown to be better on days that neither had seen, and is live")


def told(stage: Stage, what: str) -> int:
    return sum(entry.what == what for entry in queries.entries(stage.ports, stage.loop))
