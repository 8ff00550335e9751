"""traffic: live requests to a loop's endpoint, as its users would send them, to try a canary out."""

from __future__ import annotations

import math
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Annotated

import typer

from cli import session
from cli.session import Loop, out
from shared.errors import ConfigurationError

if TYPE_CHECKING:
    import pandas as pd

    from shared.azure.client import Workspace

SCOPE = "https://ml.azure.com/.default"
AT_ONCE = 8
TOKEN_S = 600.0
"""A token is asked for so often: the Azure CLI, for one, starts a process for each."""
ROWS = 1_000
"""Different rows at most; they are sent again and again."""
MOST_ROWS = 1_000
"""In one request."""
UNREADABLE = "no rows"
"""The body of a request that every model refuses: it is no JSON."""
_ROUND = 2_000
"""Requests after which they begin again, at least, where some are unreadable."""


def add_to(app: typer.Typer) -> None:
    app.command("traffic")(traffic)


def traffic(
    loop: Loop,
    rate: Annotated[float, typer.Option(min=0.01, max=200, help="Requests a second.")] = 10,
    minutes: Annotated[float, typer.Option(min=0.01, help="How long; Ctrl-C ends it earlier.")] = 5,
    errors: Annotated[
        str, typer.Option(help="Share of requests that no model can read, for example 5%.", metavar="SHARE")
    ] = "0%",
    rows: Annotated[
        int, typer.Option(min=1, max=MOST_ROWS, help="Rows in each request: more take longer.")
    ] = 1,
) -> None:
    """Send live requests, for a canary to be tried.

    They are rows of the loop's newest labelled version, and count as anybody's requests do. What is sent comes to both
    arms alike: one that errs or is slow by itself is a matter of its model (docs/how-to.md).
    """
    from shared.azure.client import Workspace, credential
    from shared.runtime import unit_of_work
    from shared.verdict import predictions, sampled_rows

    share = share_of(errors)
    session.overview(loop)
    unit = unit_of_work.read(session.ports(), loop)
    newest, definition = unit.newest_labelled(), unit.published().definition
    if definition.serve.type == "batch":
        raise ConfigurationError(
            f"{loop} is served by a batch endpoint, which takes no requests; drop data instead"
        )
    if not newest:
        raise ConfigurationError(f"{loop} has no labelled version yet; drop data first")
    found = sampled_rows.everything(session.ports(), [unit.version(newest)[0]], ROWS)
    live = LiveTraffic(Workspace(session.settings(), credential()))
    bodies = mixed(payloads(predictions.features(found, definition), rows), share)
    live.start(definition.serve.endpoint, bodies, rate)
    try:
        with out.status(f"{rate:g} requests a second to endpoint {definition.serve.endpoint}"):
            live.wait(minutes * 60)
    except KeyboardInterrupt:
        pass
    finally:
        live.stop()
    out.say(told(live.statuses))
    if share:
        out.say(f"about {100 * share:.3g} % of them were made to fail: {UNREADABLE!r} in place of rows")
    if not live.statuses[200] and share < 1:
        raise ConfigurationError(f"no request was answered; `driftloop status {loop}` says what serves")


def share_of(text: str) -> float:
    """A share as people write it: 5%, 5 %, or 0.05."""
    number, percent, rest = text.partition("%")
    try:
        share = float(number) / (100 if percent else 1)
    except ValueError:
        share = math.nan
    if rest.strip() or not 0 <= share <= 1:
        raise ConfigurationError(f"--errors {text!r} is no share; expected 5%, or 0.05")
    return share


def payloads(rows: pd.DataFrame, each: int) -> list[str]:
    """The rows as the bodies of requests, `each` in one; the last ones go on with the first rows."""
    from shared.verdict.predictions import payload

    starts = range(0, len(rows), each)
    return [payload(rows.iloc[[(start + n) % len(rows) for n in range(each)]]) for start in starts]


def mixed(bodies: Sequence[str], share: float) -> list[str]:
    """A round of requests, of which this share is unreadable; who sends them again and again sends it as often."""
    if not share:
        return list(bodies)
    chance = random.Random(1)
    rounds = -(-_ROUND // len(bodies))
    return [UNREADABLE if chance.random() < share else body for _ in range(rounds) for body in bodies]


def told(statuses: Counter[int]) -> str:
    others = [
        f"{count:,} times {status or 'no answer'}"
        for status, count in sorted(statuses.items())
        if status != 200
    ]
    return ", ".join([f"sent {statuses.total():,} requests: {statuses[200]:,} answered with 200", *others])


class LiveTraffic:
    """Requests of one row each, `per_second`, until stopped. `statuses` counts the answers, 0 those that never came."""

    def __init__(self, workspace: Workspace) -> None:
        self.statuses: Counter[int] = Counter()
        self._counting = threading.Lock()
        self._workspace = workspace
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, endpoint: str, bodies: Sequence[str], per_second: float) -> None:
        from shared.azure.client import credential

        uri = str(self._workspace().online_endpoints.get(endpoint).scoring_uri)
        self.send(uri, lambda: credential().get_token(SCOPE).token, bodies, per_second)

    def send(self, uri: str, token: Callable[[], str], bodies: Sequence[str], per_second: float) -> None:
        order = (uri, token, bodies, per_second)
        self._thread = threading.Thread(target=self._run, args=order, daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> None:
        self._stopped.wait(seconds)

    def stop(self) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(timeout=90)

    def _run(self, uri: str, token: Callable[[], str], bodies: Sequence[str], per_second: float) -> None:
        kept = threading.local()
        waiting = threading.Semaphore(4 * AT_ONCE)
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="traffic") as pool:
            sent, began = 0, time.monotonic()
            bearer, expires = token(), began + TOKEN_S
            while not self._stopped.wait(max(0.0, began + sent / per_second - time.monotonic())):
                if time.monotonic() > expires:
                    bearer, expires = token(), time.monotonic() + TOKEN_S
                # A slow endpoint gets fewer requests, not a queue that outlives the command.
                if waiting.acquire(timeout=1):
                    asked = pool.submit(self._ask, kept, uri, bearer, bodies[sent % len(bodies)])
                    asked.add_done_callback(lambda _: waiting.release())
                    sent += 1

    def _ask(self, kept: threading.local, uri: str, bearer: str, payload: str) -> None:
        import requests

        if not hasattr(kept, "session"):
            kept.session = requests.Session()
        headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}
        try:
            reply = kept.session.post(
                uri, data=payload.encode(), headers=headers, timeout=60, allow_redirects=False
            )
            status = reply.status_code
        except requests.RequestException:
            status = 0
        with self._counting:
            self.statuses[status] += 1
