"""Values become HTML through templates that escape everything; pictures are drawn by our own functions."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from tower import pictures
from tower.svg import element

_LINK = re.compile(r"\[([^\]]+)\]\([^)]+\)")
_HERE = Path(__file__).parent
STATIC = {"tower.css": "text/css; charset=utf-8", "tower.js": "text/javascript; charset=utf-8"}

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Of every answer. A form posts its Origin under `same-origin`, which `no-referrer` would blank."""


@cache
def static(name: str) -> bytes:
    return (_HERE / "static" / name).read_bytes()


@cache
def fingerprint(name: str) -> str:
    """Changes with the file's content, so that it may be cached for long."""
    return hashlib.sha256(static(name)).hexdigest()[:12]


@cache
def environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "moment": moment,
        "exact": exact,
        "number": number,
        "plural": plural,
        "marked": marked,
        "hours": hours,
    }
    made.globals |= {"pictures": pictures, "fingerprint": fingerprint, "ago": ago}
    return made


def render(template: str, **values: object) -> bytes:
    return environment().get_template(template).render(**values).encode()


def marked(text: str) -> Markup:
    """The little Markdown that the guide is written in: code is marked, a link is its words."""
    plain = _LINK.sub(r"\1", text)
    parts = [element("code", part) if n % 2 else escape(part) for n, part in enumerate(plain.split("`"))]
    return Markup("").join(parts)


def moment(at: datetime | None) -> Markup:
    """A time to the minute, with the exact one for machines and on hover."""
    if at is None:
        return Markup("")
    exactly = f"{at:%Y-%m-%d %H:%M:%S} UTC"
    return element("time", f"{at:%d %b %H:%M}", datetime=at.isoformat(), title=exactly)


def exact(at: datetime | None) -> Markup:
    """A time to the second, as records have it."""
    return element("time", f"{at:%Y-%m-%d %H:%M:%S} UTC", datetime=at.isoformat()) if at else Markup("")


def ago(at: datetime | None, now: datetime) -> Markup:
    """How long ago; the script keeps it true while the page is open."""
    if at is None:
        return Markup("")
    exactly = f"{at:%Y-%m-%d %H:%M:%S} UTC"
    return element(
        "time", _ago((now - at).total_seconds()), datetime=at.isoformat(), title=exactly, cls="ago"
    )


def _ago(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit} ago"
    return "just now"


def number(value: float | None) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def hours(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def plural(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"
