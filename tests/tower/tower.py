"""The pages over ports in memory, asked as the function asks them; and what a parsed page may hold."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import fields, replace
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from shared.domain.caller import ACTING_ROLE, LOOKING_ROLE, Caller
from shared.ports import Ports
from tower import csrf, site
from tower.site import Reply, Visit
from tower.visit import Studio

BASE = "/api/tower"
SITE = "https://tower.example"
STUDIO = Studio(
    "/subscriptions/0/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/driftloop"
)
TOKEN = "t" * 43
ANN = Caller("ann@contoso.com", "7d1e", frozenset({ACTING_ROLE, LOOKING_ROLE}))
LOOKER = Caller("lou@contoso.com", "100c", frozenset({LOOKING_ROLE}))
OURS = {
    "host": "tower.example",
    "origin": SITE,
    "sec-fetch-site": "same-origin",
    "cookie": f"{csrf.COOKIE}={TOKEN}",
}


def visit(path: str, *, accept: str = "text/html", caller: Caller = ANN) -> Visit:
    split = urlsplit(path)
    return Visit(
        path=split.path.strip("/"),
        base=BASE,
        url=f"{SITE}{BASE}{path}",
        headers={"accept": accept},
        query=dict(parse_qsl(split.query)),
        caller=caller,
    )


def get(ports: Ports, path: str, *, accept: str = "text/html", caller: Caller = ANN) -> Reply:
    return site.get(ports, STUDIO, visit(path, accept=accept, caller=caller))


def page(ports: Ports, path: str, caller: Caller = ANN) -> str:
    reply = get(ports, path, caller=caller)
    assert reply.status == 200, reply.content.decode()
    return reply.content.decode()


def twin(ports: Ports, path: str) -> Any:
    """Any: a page's JSON, read here as scripts read it."""
    reply = get(ports, path, accept="application/json")
    assert (reply.status, reply.kind) == (200, "application/json; charset=utf-8")
    return json.loads(reply.content)


def post(
    ports: Ports, form: Mapping[str, str], headers: Mapping[str, str] = OURS, caller: Caller = ANN
) -> Reply:
    body = urlencode({"token": TOKEN, **form}).encode()
    return site.post(ports, replace(visit("/act", caller=caller), headers=dict(headers), body=body))


class Counting:
    """A port that counts its calls."""

    def __init__(self, port: object, counts: Counter[str]) -> None:
        self._port, self._counts = port, counts

    def __getattr__(self, name: str) -> Any:  # Any: whatever the port has under this name
        found = getattr(self._port, name)
        if not callable(found):
            return found

        def counted(*args: object, **named: object) -> object:
            self._counts[name] += 1
            return found(*args, **named)

        return counted


def counting(ports: Ports) -> tuple[Ports, Counter[str]]:
    counts: Counter[str] = Counter()
    wrapped = {
        field.name: Counting(getattr(ports, field.name), counts)
        for field in fields(Ports)
        if field.name != "clock"
    }
    return Ports(**wrapped, clock=ports.clock), counts  # type: ignore[arg-type]  # the same methods, counted


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TAGS = _words("""
    html head meta title link script body a header svg path circle rect line text nav ol ul li span p main footer div
    h1 h2 h3 section form label input button table caption thead tbody tr th td dl dt dd details summary strong code
    time figure figcaption select option
""")
ATTRIBUTES = _words("""
    lang charset name content rel href src defer class id aria-label aria-labelledby aria-hidden aria-current
    focusable width height viewbox d cx cy r x y x1 x2 y1 y2 text-anchor role tabindex data-refresh data-refreshing
    data-label method action type value for maxlength autocomplete required scope title datetime open inputmode
    pattern size step placeholder min max selected aria-sort
""")


class Checker(HTMLParser):
    """Notes whatever in a page could run, load, or send somewhere else."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.scripts: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag not in TAGS:
            self.found.append(f"<{tag}>")
        self.found += [
            f"{tag} {name}={value[:60]}" for name, value in given.items() if name not in ATTRIBUTES
        ]
        if tag == "script":
            self.scripts.append(given.get("src", "inline"))
        for name in ("href", "src", "action"):
            if name in given and not _stays(given[name]):
                self.found.append(f"{tag} {name}={given[name][:80]}")
        if tag == "meta" and "http-equiv" in given:
            self.found.append("meta http-equiv")

    def handle_decl(self, decl: str) -> None:
        if decl != "doctype html":
            self.found.append(f"<!{decl[:60]}>")

    def handle_comment(self, data: str) -> None:
        self.found.append(f"comment {data[:60]}")

    def handle_pi(self, data: str) -> None:
        self.found.append(f"<?{data[:60]}>")

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def _stays(address: str) -> bool:
    ours = (
        address.startswith(("diff?", f"{BASE}/", f"{BASE}?", "#", "?", "https://ml.azure.com/"))
        or address == BASE
    )
    return ours or address.isdecimal() or address == "data:,"


def checked(html: str) -> Checker:
    checker = Checker()
    checker.feed(html)
    checker.close()
    return checker
