"""Debian's Chromium, and what it is asked about a page: does it scroll sideways, and what does axe find."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
]
_BEYOND = """[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1
  && !e.closest(".scroll, .hidden")).slice(0, 20)
  .map(e => e.tagName + "." + e.className + ": " + e.textContent.slice(0, 60))"""


@contextmanager
def chromium() -> Iterator[Browser]:
    if _CHROMIUM is None:
        pytest.skip(
            "there is no Chromium here; on Debian: apt-get install -y --no-install-recommends chromium"
        )
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=_CHROMIUM, args=_FLAGS)
        yield started
        started.close()


def sideways(page: Page) -> list[str]:
    """What makes the page scroll sideways; empty where nothing does."""
    if page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
        return []
    found: list[str] = page.evaluate(_BEYOND)
    return found or ["the page is wider than the window"]


def axe(page: Page, scheme: str) -> list[str]:
    """What axe-core calls serious or critical, in words. In the dark and on a phone only colours and sizes differ."""
    from axe_playwright_python.sync_playwright import Axe

    rules = {"dark": ["color-contrast"], "phone": ["target-size"]}.get(scheme)
    asked = {"resultTypes": ["violations"], **({"runOnly": rules} if rules else {})}
    page.evaluate(Axe().axe_script)
    # What is right is not told either: that is all of the page, and takes longer to carry here than to find.
    violations = page.evaluate("asked => axe.run(asked).then(found => found.violations)", asked)
    return [
        f"{v['id']}: {v['help']} ({v['nodes'][0]['html'][:160]})"
        for v in violations
        if v["impact"] in ("serious", "critical")
    ]
