"""What a canary is told from outside: a query of the logs, or an HTTP answer, asked at each look of a step."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import StringConstraints

from shared.loopfile.value_kinds import Allowed, Section, Url

PLACES = ("endpoint", "canary", "champion", "since", "until")
"""What stands in braces in a query or an address: names of the endpoint and its deployments, and the span, in UTC."""
JUDGED_ALREADY = ("errors", "latency", "predictions", "labels", "shadow")
_BRACED = re.compile(r"\{(\w*)\}")


class Signal(Section):
    name: Annotated[
        str,
        StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,39}$"),
        Allowed("up to 40 lower-case letters, digits and hyphens, a letter first"),
    ]
    """What it is called in verdicts."""
    logs: Annotated[
        str | None,
        StringConstraints(min_length=1, max_length=8_000),
        Allowed("a KQL query, for example of AmlOnlineEndpointTrafficLog"),
    ] = None
    """A query of the Log Analytics workspace."""
    url: Url | None = None
    """An address that answers with JSON."""
    records: Annotated[str, Allowed("dotted keys, for example data.result")] = ""
    """Where in a JSON answer the numbers are."""
    kind: Literal["counts", "value"] = "counts"
    """counts: so many of so many of each deployment, tested. value: one number, an opinion."""
    better: Literal["lower", "higher"] = "lower"
    """Which direction is better."""
    margin: Annotated[float | None, Allowed("a number from 0; of counts, a share below 1")] = None
    """How much worse than the champion is tolerated; nothing: reported only, or `limit`."""
    limit: float | None = None
    """Of a value: what the canary's own must not be worse than."""
    needed: bool = False
    """Whether a step waits for it; of a value, also while it is past its margin or limit."""

    def asked(self, places: Mapping[str, str]) -> str:
        """The query or the address, with what stands in braces filled in."""
        return _BRACED.sub(lambda found: places.get(found[1], found[0]), self.logs or self.url or "")


def faults(given: tuple[object, ...]) -> Iterator[tuple[int, str, object, str]]:
    """What cannot be meant: the signal's number, the key, what was found, and what is allowed.

    Where another key is wrong, signals are not made yet, though sound; one that is not sound is None.
    """
    names: list[str] = []
    for number, one in enumerate(given):
        if one is None:
            continue
        signal = Signal.model_validate(one)
        yield from ((number, *fault) for fault in _faults(signal))
        if signal.name in names:
            yield number, "name", signal.name, "each name once"
        names.append(signal.name)


def _faults(signal: Signal) -> Iterator[tuple[str, object, str]]:
    if (signal.logs is None) == (signal.url is None):
        yield "", "neither of logs and url" if signal.logs is None else "both of logs and url", "one of them"
        return
    if signal.name in JUDGED_ALREADY:
        yield "name", signal.name, f"another name, because a canary is judged by its {signal.name} already"
    if signal.records and signal.url is None:
        yield "records", signal.records, "nothing, because a query answers with columns"
    key, text = ("logs", signal.logs) if signal.logs is not None else ("url", signal.url or "")
    wrong = [name for name in _BRACED.findall(text or "") if name not in PLACES]
    if wrong and key == "url":
        yield key, f"{{{wrong[0]}}}", f"in braces only {', '.join(PLACES)}"
    yield from _of_counts(signal, key, text or "") if signal.kind == "counts" else _of_value(signal)


def _of_counts(signal: Signal, key: str, text: str) -> Iterator[tuple[str, object, str]]:
    if "{since}" not in text:
        allowed = "a text with {since}, because counts begin with the canary's step; or kind: value"
        yield key, "no {since}", allowed
    if signal.margin is not None and not 0 <= signal.margin < 1:
        yield "margin", signal.margin, "a share from 0, below 1: how many more of all, for example 0.01"
    if signal.limit is not None:
        yield "limit", signal.limit, "nothing, because counts are compared with the champion's (margin)"


def _of_value(signal: Signal) -> Iterator[tuple[str, object, str]]:
    if signal.margin is not None and signal.limit is not None:
        yield "limit", signal.limit, "nothing beside margin: compare with the champion, or with a limit"
    if signal.margin is not None and signal.margin < 0:
        yield "margin", signal.margin, "a number from 0"
