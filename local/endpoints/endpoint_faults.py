"""Faults are switched on over the control surface, and stay until switched off or their time is over."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from local.endpoints.exceptions import Refused
from local.service import Clock
from local.state import Document, State

DELAY_S = 0.2
BATCH_RATE = 0.3


@dataclass(frozen=True)
class Serving:
    """How a deployment misbehaves: which share of requests its model fails, how much later it answers, and
    which share of its predictions become another value, everywhere or only for rows with `column=value`. That
    happens behind the scoring process: clients and the payload collection `response` see it, a scoring script's
    own `model_outputs` do not."""

    error_rate: float = 0.0
    delay_ms: float = 0.0
    shift_rate: float = 0.0
    shift_to: str | float = 0.0
    shift_where: str = ""


class Faults:
    """Kept in memory for the router; what must survive a restart is in the state."""

    def __init__(self, state: State, clock: Clock) -> None:
        self._state = state
        self._clock = clock
        self._serving = {key: Serving(**body) for key, body in state.items("fault.serving")}
        stored = state.get("fault.collector", "delay") or {}
        self.collector_delay_s = float(stored.get("delay_s", DELAY_S))
        self.collector_batch_rate = float(stored.get("batch_rate", BATCH_RATE))

    def serving(self, endpoint: str, deployment: str) -> Serving | None:
        return self._serving.get(f"{endpoint}/{deployment}".lower())

    def set_serving(self, endpoint: str, deployment: str, body: Document) -> Document:
        numbers = {name: value for name, value in body.items() if name not in ("shift_to", "shift_where")}
        _check({"error_rate", "delay_ms", "shift_rate"}, numbers)
        chosen = Serving(**body)
        if chosen.shift_where and "=" not in chosen.shift_where:
            raise Refused("shift_where is `column=value`.")
        if max(chosen.error_rate, chosen.shift_rate) > 1:
            raise Refused("error_rate and shift_rate are shares: at most 1.")
        key = f"{endpoint}/{deployment}".lower()
        self._serving[key] = chosen
        self._state.put("fault.serving", key, asdict(chosen))
        return asdict(chosen)

    def set_collector(self, body: Document) -> Document:
        """`delay_s`: how late the collector's rows reach their blobs. `batch_rate`: how often a list is merged into
        the line before it."""
        _check({"delay_s", "batch_rate"}, body)
        self.collector_delay_s = float(body.get("delay_s", self.collector_delay_s))
        self.collector_batch_rate = float(body.get("batch_rate", self.collector_batch_rate))
        stored = {"delay_s": self.collector_delay_s, "batch_rate": self.collector_batch_rate}
        self._state.put("fault.collector", "delay", stored)
        return stored

    def set_endpoint(self, endpoint: str, body: Document) -> Document:
        """`busy_s`: it refuses changes for so long. `stale_s`: it shows the old traffic so long after one.
        `cancels`: Azure itself cancels so many operations on its deployments."""
        _check({"busy_s", "stale_s", "cancels"}, body)
        until = self._clock() + timedelta(seconds=float(body.get("busy_s", 0)))
        stored = {"busy_until": until.isoformat(), "stale_s": float(body.get("stale_s", 0))}
        stored |= {"cancels": int(body.get("cancels", 0))}
        self._state.put("fault.endpoint", endpoint, stored)
        return stored

    def cancels(self, endpoint: str) -> bool:
        """Whether Azure cancels this operation, one of those that were asked for."""
        found = self._state.get("fault.endpoint", endpoint) or {}
        left = found.get("cancels", 0)
        if left:
            self._state.put("fault.endpoint", endpoint, found | {"cancels": left - 1})
        return bool(left)

    def busy(self, endpoint: str) -> bool:
        found = self._state.get("fault.endpoint", endpoint)
        return found is not None and self._clock() < datetime.fromisoformat(found["busy_until"])

    def stale_until(self, endpoint: str) -> datetime:
        """Until when a change that is made now is not shown."""
        found = self._state.get("fault.endpoint", endpoint) or {"stale_s": 0.0}
        return self._clock() + timedelta(seconds=found["stale_s"])


def _check(allowed: set[str], body: Document) -> None:
    wrong = [
        name
        for name, value in body.items()
        if name not in allowed or not isinstance(value, int | float) or value < 0
    ]
    if wrong:
        raise Refused(
            f"Not settable, or no number from 0: {', '.join(wrong)}. Settable: {', '.join(sorted(allowed))}."
        )
