"""The real app on the local Azure, by the README's commands and in a real browser: every page and every action.

Screenshots go to docs/screenshots with `DRIFTLOOP_SCREENSHOTS=1`, which is how the ones in the docs were made.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest
from azure.identity import DefaultAzureCredential
from playwright.sync_api import BrowserContext, Error, Page, Route

from local.host import signin
from shared.state import queries
from shared.words import plain
from tests.acceptance.conftest import App, season, traffic
from tests.acceptance.typed import typed
from tests.chromium import axe, chromium, sideways

SHOTS = Path(__file__).parents[2] / "docs" / "screenshots"
LOOP = "penguins"
YOU = "you@laptop (00000000-0000-0000-0000-0000000000e0)"


class Seen:
    """A person at a browser, and what the browser complains about."""

    def __init__(self, context: BrowserContext, app: App, scheme: str) -> None:
        self.page, self.app, self.scheme = context.new_page(), app, scheme
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self.page.on(
            "console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None
        )
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))

    @property
    def site(self) -> str:
        return self.app.azure.settings.functions

    def open(self, path: str = "") -> Page:
        self.page.goto(f"{self.site}/api/tower{path}")
        return self.page

    def look(self, name: str, path: str) -> None:
        """Open a page; nothing serious for axe; kept as a picture."""
        self.open(path)
        found = axe(self.page, self.scheme)
        assert found == [], (name, self.scheme, found)
        assert sideways(self.page) == [], name
        if os.environ.get("DRIFTLOOP_SCREENSHOTS"):
            SHOTS.mkdir(exist_ok=True)
            self.page.screenshot(path=SHOTS / f"{name}-{self.scheme}.png", full_page=name != "help")

    def do(self, label: str, reason: str) -> str:
        """Open an action, say why, do it; what the page says then, when the loop has answered."""
        act(self.page, label, reason)
        status = self.page.get_by_role("status")
        status.wait_for()
        for _ in range(100):
            if "Request queued" not in (text := status.inner_text()):
                return text
            self.page.wait_for_timeout(300)
            self.reload()
        raise AssertionError(f"{label}: {text}")

    def reload(self) -> None:
        """A page that cannot be shown fails with what the app wrote about it."""
        try:
            self.page.reload()
        except Error as error:
            log = self.app.azure.settings.logs / "functions.log"
            raise AssertionError(f"{error}\n{log.read_text(errors='replace')[-8000:]}") from error


def act(page: Page, label: str, reason: str) -> None:
    summary = page.locator("details.action > summary", has_text=re.compile(f"^{label}$")).first
    summary.click()
    form = page.locator("details.action[open] form")
    form.get_by_label("Why?").fill(reason)
    form.get_by_text(label, exact=True).click()


@pytest.fixture(scope="module")
def browser() -> Iterator[dict[str, BrowserContext]]:
    with chromium() as started:
        yield {
            "light": started.new_context(color_scheme="light", viewport={"width": 1280, "height": 860}),
            "dark": started.new_context(color_scheme="dark", viewport={"width": 1280, "height": 860}),
            "phone": started.new_context(viewport={"width": 390, "height": 844}, device_scale_factor=1),
            "stranger": started.new_context(),
        }


@pytest.fixture(scope="module")
def people(app: App, used: object, browser: dict[str, BrowserContext]) -> dict[str, Seen]:
    found = {scheme: Seen(browser[scheme], app, scheme) for scheme in ("light", "dark", "phone")}
    for seen in found.values():
        seen.page.goto(signin.address(app.azure.settings))
        assert seen.page.url == f"{seen.site}/api/tower"
        seen.page.get_by_role(
            "button", name="Refreshes every 10 s: stop"
        ).click()  # for this tab, from here on
        assert seen.page.get_by_role("button", name="Refresh by itself").is_visible()
    return found


@pytest.fixture(scope="module")
def used(app: App) -> subprocess.CompletedProcess[str]:
    """The README's commands do what it says, in its own order; the loop that they leave is looked at in the browser."""
    done = None
    for command in typed("README.md"):
        assert command[0] == "driftloop"
        if command[1] == "status":  # release 1 trains with the definition that it began with
            app.wait(LOOP, lambda s: bool(s["releases"]))
            app.publish(
                LOOP,
                "canary.approval=before_promotion",
                "canary.bake_minutes=60",
                "canary.step.min_requests=60",
            )
            neighbours(app)
            app.live(LOOP)
        done = app.in_new_shell(command)
        assert (done.returncode, done.stderr) == (0, ""), command
    assert done is not None
    return done


def test_the_commands_of_the_readme_run_as_they_stand(used: subprocess.CompletedProcess[str]) -> None:
    assert "model" in used.stdout and "hash chain verified" in used.stdout


def test_a_person_sees_everything_and_acts_on_it(app: App, used: object, people: dict[str, Seen]) -> None:
    def look(*pages: tuple[str, str]) -> None:
        for name, path in pages:
            for seen in people.values():
                seen.look(name, path)

    with traffic(app, LOOP):
        app.drop(LOOP, "empty.csv", b"")
        app.drop(LOOP, "2008.csv", season(2008))
        app.wait(LOOP, lambda s: s["versions"][0]["number"] == 2 and s["versions"][0]["decision"])
        app.drop(LOOP, "2009.csv", season(2009, body_mass_g=1.15))
        app.wait(LOOP, lambda s: s["versions"][0]["number"] == 3 and s["versions"][0]["decision"])
        look(
            ("version", f"/loops/{LOOP}/versions/3"), ("audit", f"/loops/{LOOP}/audit"), ("help", "/help")
        )  # while the model is trained
        app.wait(
            LOOP,
            lambda s: s["releases"][0]["phase"] == "awaiting_approval" and s["releases"][0]["number"] == 2,
        )
    look(("overview", ""), ("loop", f"/loops/{LOOP}"), ("release", f"/loops/{LOOP}/releases/2"))

    person = people["light"]
    person.open(f"/loops/{LOOP}/releases/2")
    assert "release 2: awaiting approval -> promoting" in person.do(
        "Approve", "the gate and the canary agree"
    )
    app.wait(LOOP, lambda s: s["releases"][0]["phase"] == "baking")
    person.open(f"/loops/{LOOP}/releases/2")
    assert "baking -> rolling back" in person.do("Roll back", "a customer complained")
    app.wait(LOOP, lambda s: s["releases"][0]["phase"] == "rolled_back")
    assert app.status(LOOP)["traffic"] == {"r1-a1": 100}

    person.open(f"/loops/{LOOP}")
    assert "paused" in person.do("Pause", "we look into it")
    assert "resumed" in person.do("Resume", "done looking")
    assert "release 3 started" in person.do("Retrain now", "once more")
    assert "-> cleaning" in person.do("Abort", "not now")
    assert "read again" in person.do("Retry", "in case it was us")
    app.wait(LOOP, lambda s: s["state"]["open_release"] is None and len(s["set_aside"]) == 1)
    told = [(e.actor, str(plain(e.detail.get("reason", "")))) for e in queries.entries(app.ports, LOOP)]
    for reason in (
        "the gate and the canary agree",
        "a customer complained",
        "we look into it",
        "in case it was us",
    ):
        assert any(reason in why and (actor == YOU or "you@laptop" in why) for actor, why in told), reason
    for seen in people.values():
        assert seen.complaints == []
        assert [url for url in seen.asked if not url.startswith((f"{seen.site}/", "data:"))] == []


def neighbours(app: App) -> None:
    """Two more loops, which wait for their first drop, so that the overview is one."""
    from dataclasses import replace

    from shared.runtime import publication, unit_of_work

    published = unit_of_work.read(app.ports, LOOP).published()
    for name in ("claims", "house-prices"):
        definition = published.definition
        data = definition.data.model_copy(update={"landing": f"landing/{name}/"})
        serve = definition.serve.model_copy(update={"endpoint": name})
        changed = definition.model_copy(update={"loop": name, "data": data, "serve": serve})
        publication.publish(app.ports, replace(published, definition=changed))


def paused(app: App) -> list[object]:
    """What the attempts below would have written."""
    assert not app.status(LOOP)["state"]["paused"]
    return [entry["seq"] for entry in ledger(app) if entry["what"] in ("loop.paused", "action.refused")]


def ledger(app: App) -> list[dict[str, object]]:
    from dataclasses import asdict

    return [asdict(entry) for entry in queries.entries(app.ports, LOOP)]


def test_the_pages_work_by_keyboard_alone(people: dict[str, Seen]) -> None:
    page = people["light"].open(f"/loops/{LOOP}")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.locator("details.action summary").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_function("document.activeElement.name === 'reason'")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"


def test_the_pages_work_without_javascript(app: App, browser: dict[str, BrowserContext]) -> None:
    started = browser["light"].browser
    assert started
    context = started.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(signin.address(app.azure.settings, to=f"/api/tower/loops/{LOOP}"))
    act(page, "Pause", "without a script")
    assert page.get_by_role("status").inner_text()
    app.wait(LOOP, lambda s: bool(s["state"]["paused"]))
    page.reload()
    act(page, "Resume", "without a script")
    app.wait(LOOP, lambda s: not s["state"]["paused"])
    context.close()


def serve(html: str, route: Route) -> None:
    route.fulfill(content_type="text/html", body=html)


def test_another_site_cannot_act_in_a_signed_in_person_s_browser(app: App, people: dict[str, Seen]) -> None:
    """The cookies go along, as App Service's do; the browser's own word about the page does not."""
    before = paused(app)
    person = people["dark"]
    fields = {"loop": LOOP, "verb": "pause", "id": "a" * 32, "reason": "evil", "token": "t" * 43}
    inputs = "".join(f'<input name="{name}" value="{value}">' for name, value in fields.items())
    for action in (f"{person.site}/api/tower/act", f"{person.site}/api/loops/{LOOP}/pause"):
        page = person.page.context.new_page()
        form = f'<form method="post" action="{action}">{inputs}<button>win</button></form>'
        page.route("http://evil.example/*", partial(serve, form))
        page.goto("http://evil.example/prize")
        with page.expect_navigation() as navigation:
            page.get_by_role("button").click()
        assert navigation.value.status == 403, action
        page.close()
    assert paused(app) == before


def test_who_is_not_signed_in_or_may_only_look_writes_nothing(app: App, used: object) -> None:
    before, site = paused(app), app.azure.settings.functions
    ours = {"origin": site, "sec-fetch-site": "same-origin"}
    form = {"loop": LOOP, "verb": "pause", "id": "b" * 32, "reason": "x", "token": "t" * 43}
    with httpx.Client(base_url=site, trust_env=False, timeout=60) as nobody:
        for method in ("GET", "HEAD"):
            root = nobody.request(method, "/", follow_redirects=True)
            assert (root.url.path, root.status_code) == ("/api/tower", 401)
        assert nobody.post("/").status_code == 204  # the host's own page is switched off
        assert nobody.get("/api/tower").status_code == 401
        assert nobody.get(f"/api/tower/loops/{LOOP}.json").status_code == 401
        assert nobody.post("/api/tower/act", data=form, headers=ours).status_code == 401
        assert nobody.post(f"/api/loops/{LOOP}/pause", json={}).status_code == 401
        forged = {"authorization": "Bearer nonsense"}
        assert nobody.post("/api/tower/act", data=form, headers=ours | forged).status_code == 401
        assert nobody.get("/.auth/login/aad?code=wrong&post_login_redirect_uri=/api/tower").status_code == 401
        away = nobody.get(signin.address(app.azure.settings, to="//evil.example/"))
        assert away.headers["location"] == "/"
    other = DefaultAzureCredential().get_token("https://storage.azure.com/.default").token
    with httpx.Client(base_url=site, trust_env=False, timeout=60) as wrong:
        assert wrong.get("/api/tower", headers={"authorization": f"Bearer {other}"}).status_code == 401
    with httpx.Client(base_url=site, trust_env=False, timeout=60) as looker:
        session = looker.get(signin.address(app.azure.settings, roles="looking")).headers["set-cookie"]
        looking = {"cookie": session.partition(";")[0]}
        overview = looker.get("/", headers=looking).headers["location"]
        assert looker.get(overview, headers=looking).status_code == 200
        found = looker.get(f"/api/tower/loops/{LOOP}", headers=looking)
        assert found.status_code == 200 and "<form method" not in found.text
        assert looker.post("/api/tower/act", data=form, headers=ours | looking).status_code == 403
        assert looker.post(f"/api/loops/{LOOP}/pause", json={}, headers=looking).status_code == 403
        session = looker.get(signin.address(app.azure.settings, roles="none")).headers["set-cookie"]
        assert looker.get("/api/tower", headers={"cookie": session.partition(";")[0]}).status_code == 403
        session = looker.get(signin.address(app.azure.settings)).headers["set-cookie"]
        acting = {"cookie": session.partition(";")[0]}
        assert (
            looker.post("/api/tower/act", data=form, headers=ours | acting).status_code == 403
        )  # no token of ours
    assert paused(app) == before
