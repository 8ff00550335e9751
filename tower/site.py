"""A request becomes a page, its JSON twin, or an action in the queue; who may is decided before anything is read."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlencode

from shared import guide
from shared.domain.caller import LOOKING_ROLE, Caller
from shared.domain.event import InboxState
from shared.errors import DependencyUnavailable, DriftloopError, InputRejected
from shared.inbox import messages, recorder, rights
from shared.state import queries, rows
from shared.words import say
from tower import csrf, html
from tower.csrf import Forged
from tower.visit import Asking, NotFound, Studio, clip

if TYPE_CHECKING:
    from shared.ports import Ports

MAX_FORM_BYTES = 16 * 1024
_ID = re.compile(r"[0-9a-f]{32}")
_NAME = re.compile(r"[a-z][a-z0-9-]{1,31}")


@dataclass(frozen=True)
class Visit:
    """A request to the tower, after its visitor is known."""

    path: str
    """Below the overview, without slashes at its ends."""
    base: str
    url: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    caller: Caller
    body: bytes = field(default=b"", repr=False)

    @property
    def as_json(self) -> bool:
        accepted = self.headers.get("accept", "")
        return self.path.endswith(".json") or ("application/json" in accepted and "text/html" not in accepted)


@dataclass(frozen=True)
class Reply:
    status: int
    content: bytes
    kind: str = "text/html; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Done:
    """What became of an action that was just asked for."""

    words: str
    settled: bool
    help: str = ""


def static(name: str) -> Reply | None:
    """The style sheet or the script; None for any other name."""
    if name not in html.STATIC:
        return None
    headers = {**html.HEADERS, "Cache-Control": "public, max-age=86400"}
    return Reply(200, html.static(name), html.STATIC[name], headers)


def get(ports: Ports, studio: Studio, visit: Visit) -> Reply:
    """A page."""
    asking = Asking(ports, visit.base, studio, visit.query, visit.caller)
    try:
        done = _done(asking, visit)  # before the page, which must not be older than the answer that it shows
        template, page = _page(asking, visit.path.removesuffix(".json"))
    except NotFound as missing:
        return problem(visit.as_json, visit.base, 404, "Not found", str(missing))
    except DependencyUnavailable as error:
        return problem(visit.as_json, visit.base, 503, "Not now", str(error))
    except DriftloopError as error:
        return problem(visit.as_json, visit.base, 500, "This page cannot be shown", str(error))
    if visit.as_json:
        return _json(200, page)
    return _html(asking, visit, template, page, done)


def _page(asking: Asking, path: str) -> tuple[str, object]:
    from tower.pages import diff_page
    from tower.pages.audit_page import audit
    from tower.pages.help_page import helping
    from tower.pages.live_page import live
    from tower.pages.log_page import log
    from tower.pages.loop_page import loop
    from tower.pages.overview_page import overview
    from tower.pages.release_page import release
    from tower.pages.version_page import version

    parts = [unquote(part) for part in path.split("/") if part]
    match parts:
        case [] | ["index"]:
            return "overview.html", overview(asking)
        case ["help"]:
            return "help.html", helping()
        case ["loops", name] if _NAME.fullmatch(name):
            return "loop.html", loop(asking, name)
        case ["loops", name, "live"] if _NAME.fullmatch(name):
            return "live.html", live(asking, name)
        case ["loops", name, "audit"] if _NAME.fullmatch(name):
            return "audit.html", audit(asking, name)
        case ["loops", name, "versions", "diff"] if _NAME.fullmatch(name):
            return "diff_versions.html", diff_page.versions(asking, name)
        case ["loops", name, "releases", "diff"] if _NAME.fullmatch(name):
            return "diff_releases.html", diff_page.releases(asking, name)
        case ["loops", name, "versions", number] if _NAME.fullmatch(name) and _is_number(number):
            return "version.html", version(asking, name, int(number))
        case ["loops", name, "releases", number] if _NAME.fullmatch(name) and _is_number(number):
            return "release.html", release(asking, name, int(number))
        case ["loops", name, "releases", number, "log"] if _NAME.fullmatch(name) and _is_number(number):
            return "log.html", log(asking, name, int(number))
    raise NotFound("this page does not exist; start at the overview")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and 0 < len(text) < 9


def _html(asking: Asking, visit: Visit, template: str, page: object, done: Done | None) -> Reply:
    token = csrf.token_of(visit.headers)
    fresh = "" if token else csrf.new_token()
    query = urlencode({k: v for k, v in visit.query.items() if k != "asked"})
    content = html.render(
        template,
        page=page,
        base=visit.base,
        here=visit.path.strip("/"),
        twin=f"{visit.base}/{visit.path.strip('/') or 'index'}.json" + (f"?{query}" if query else ""),
        visitor=visit.caller.name,
        looking_only=visit.caller.roles <= {LOOKING_ROLE},
        token=token or fresh,
        new_id=lambda: uuid.uuid4().hex,
        now=asking.ports.clock.now(),
        done=done,
    )
    headers = {**html.HEADERS}
    if fresh:
        headers["Set-Cookie"] = csrf.cookie(fresh)
    return Reply(200, content, headers=headers)


def _done(asking: Asking, visit: Visit) -> Done | None:
    """The action that led here: still queued, or what the loop answered."""
    asked, (_, name, *_) = visit.query.get("asked", ""), f"{visit.path}//".split("/")
    if not _NAME.fullmatch(name) or not _ID.fullmatch(asked):
        return None
    record = queries.event(asking.ports, name, rows.key_of("act", asked))
    if record is None or record.state is InboxState.NEW:
        verb = record.body.get("verb", "") if record else ""
        return Done(f"Request queued{': ' + verb if verb else ''}.", False)
    words = f"{record.body.get('verb', 'action')}: {say(record.reason)}"
    return Done(clip(words), True, guide.anchor(record.reason))


def post(ports: Ports, visit: Visit) -> Reply:
    """An action of the visitor's, recorded once, however often its form is sent; then back to its page."""
    form = {key: values[-1] for key, values in _fields(visit.body).items()}
    try:
        csrf.check(visit.headers, visit.url, form.get(csrf.FIELD, ""))
    except Forged as error:
        return problem(visit.as_json, visit.base, 403, "Refused", str(error))
    parts = visit.path.split("/")
    name, verb, asked = form.get("loop", ""), form.get("verb", ""), form.get("id", "")
    if parts != ["act"] or not _NAME.fullmatch(name) or not _ID.fullmatch(asked):
        return problem(
            visit.as_json, visit.base, 400, "Nothing was done", "this form is not one of the tower's"
        )
    try:
        rules = rights.rules_of(ports, name, verb)
        if no := rules.refusal(verb, visit.caller):
            status, title = (403, "Not allowed") if rules.lost is None else (409, "Nothing was done")
            return problem(visit.as_json, visit.base, status, title, say(no))
        if not rules.publications:
            raise InputRejected("no-loop", f"there is no loop {name!r}")
        message = messages.act_message(verb, name, form, visit.caller.actor)
        recorder.submit(ports, message, rules.vouched(visit.caller))
    except InputRejected as error:
        return problem(visit.as_json, visit.base, 400, "Nothing was done", str(error))
    except DependencyUnavailable as error:
        return problem(visit.as_json, visit.base, 503, "Nothing was done", str(error))
    back = f"{visit.base}/loops/{name}"
    if form.get("from") == "release" and _is_number(form.get("release", "")):
        back += f"/releases/{form['release']}"
    return Reply(303, b"", headers={**html.HEADERS, "Location": f"{back}?asked={asked}"})


def _fields(body: bytes) -> dict[str, list[str]]:
    if len(body) > MAX_FORM_BYTES:
        return {}
    try:
        return parse_qs(body.decode(), max_num_fields=20)
    except ValueError:
        return {}


def problem(as_json: bool, base: str, status: int, title: str, words: str, sign_in: str = "") -> Reply:
    """An error as a page or as JSON, with what to do."""
    if as_json:
        return _json(status, {"title": title, "message": words})
    content = html.render("problem.html", base=base, title=title, words=words, status=status, sign_in=sign_in)
    return Reply(status, content, headers=html.HEADERS)


def _json(status: int, page: object) -> Reply:
    content = asdict(page) if is_dataclass(page) and not isinstance(page, type) else page
    text = json.dumps(content, default=str, ensure_ascii=False, indent=1)
    return Reply(status, text.encode(), "application/json; charset=utf-8", html.HEADERS)
