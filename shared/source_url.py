"""The address of a source, in which days and names may stand: https://prices.example/{symbol}?from={since}&to={date}."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from urllib.parse import quote, urlsplit

_PLACE = re.compile(r"\{([^{}]*)\}")
_DAY = re.compile(r"(date|since)(?::((?:%[Ymd]|[-_.])+))?")
WORDS = "{date}, {since}, the same with a form such as {date:%Y%m%d}, and the names of data.source.values"


def faults(url: str, values: Mapping[str, str]) -> Iterator[tuple[str, object, str]]:
    """Key, what it holds, and what it may hold."""
    named = [found for found in _PLACE.findall(url) if not _DAY.fullmatch(found)]
    for name in dict.fromkeys(named):
        if name not in values:
            yield "url", f"{{{name}}}", WORDS
    if "{" in _PLACE.sub("", url) or "}" in _PLACE.sub("", url):
        yield "url", url, "a { for each }"
    if _PLACE.search(urlsplit(url).netloc):
        yield "url", urlsplit(url).netloc, "one host: what is put in stands behind it"
    for name in values:
        if name in ("date", "since"):
            yield "values", name, "other names than date and since, which are days"
        elif name not in named:
            yield "values", name, f"names that stand in data.source.url as {{{name}}}"


def filled(url: str, values: Mapping[str, str], date: datetime, since: datetime) -> str:
    """`date` is the occurrence that is answered, `since` the one before it. What is put in is quoted whole."""
    days = {"date": date, "since": since}

    def put(found: re.Match[str]) -> str:
        day = _DAY.fullmatch(found[1])
        text = f"{days[day[1]]:{day[2] or '%Y-%m-%d'}}" if day else values[found[1]]
        return quote(text, safe="")

    return _PLACE.sub(put, url)
