"""Every page of a loop with 203 columns, 50 versions and long names, on a phone, a tablet and a desktop.

Pictures of each go to the folder that `DRIFTLOOP_WIDTHS` names, to be looked at.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, Route

from shared.domain.release import Release
from shared.domain.version import DataVersion
from shared.ports import Row
from shared.runtime import unit_of_work
from shared.state import rows
from tests.chromium import axe, chromium, sideways
from tests.engine.world import LOOP, World, csv, season
from tests.tower.tower import BASE, SITE, get, twin
from tower import html
from tower.site import Reply

WIDTHS = {"phone": 390, "tablet": 820, "desktop": 1440}
NAME = "customer-lifetime-value-emea-b2b"
COLUMNS, VERSIONS, RELEASES = 203, 50, 12
PAGES = {
    "overview": "",
    "loop": f"/loops/{NAME}",
    "version": f"/loops/{NAME}/versions/2",
    "found": f"/loops/{NAME}/versions/2?column=quartal&state=quiet&order=name",
    "versions": f"/loops/{NAME}/versions/diff?before=1&after=2",
    "releases": f"/loops/{NAME}/releases/diff?before=1&after=2",
    "release": f"/loops/{NAME}/releases/2",
    "live": f"/loops/{NAME}/live?hours=24",
    "audit": f"/loops/{NAME}/audit",
    "chain": f"/loops/{NAME}/audit?release=2",
    "help": "/help",
    "missing": f"/loops/{NAME}/versions/9999",
}
WIDE = ("overview", "loop", "version", "versions", "releases", "live")
"""Pages that grow with the loop: axe looks at the others in tests/acceptance/test_browser.py."""


def wide(year: int, **changes: float) -> pd.DataFrame:
    """A season with further columns: long names of words, of one word, and in another script."""
    birds = season(year, **changes)
    random = np.random.default_rng(year)
    names = [
        "average_household_income_before_housing_costs_in_the_quarter_before_the_application_{:03d}",
        "Durchschnittlichesjahreseinkommenvorabzugderwohnkostenimletztenquartal{:03d}",
        "前四半期の住宅費控除前の平均世帯収入_{:03d}",
        "x{:03d}",
    ]
    shift = 0.9 if changes else 0.0
    more = {
        names[n % 4].format(n): random.normal(shift * (n % 9 == 0), 1, len(birds)).round(3)
        for n in range(COLUMNS - birds.shape[1])
    }
    return pd.concat([birds, pd.DataFrame(more, index=birds.index)], axis=1)


@pytest.fixture(scope="module")
def world() -> World:
    """Two drops are read and judged; the other versions and releases are copies."""
    made = World(loop=NAME)
    made.publish(LOOP.replace("loop: birds", f"loop: {NAME}"))
    made.drop("2007.csv", csv(wide(2007)))
    made.live()
    made.ticks(2, 120)
    folder = "region=emea/business_unit=customer-lifetime-value/year=2026/month=11/"
    made.drop(f"{folder}an-empty-export-of-the-data-warehouse-of-the-night-before.csv", b"")
    made.drop("2009.csv", csv(wide(2009, body_mass_g=0.8)))
    made.ticks_with_traffic(12)
    made.act("pause", reason="a very long reason that somebody had to give, " * 6 + "x" * 120)
    _multiply(
        made, f"landing/birds/{folder}part-00000-8b1f6c1e-2f6d-4f4b-9d2a-3f1c0a7e5b11-c000.snappy.parquet"
    )
    (line,) = made.ports.store.overviews()
    for name in ("claims", "house-prices-of-the-whole-country"[:32].rstrip("-")):
        made.ports.store.describe(replace(line, loop=name, needs_attention=None))
    return made


def _multiply(world: World, source: str) -> None:
    found = world.ports.store.rows[NAME]
    version = rows.decode(DataVersion, found[rows.version_key(2)])
    release = rows.decode(Release, found[rows.release_key(1)])
    for number in range(3, VERSIONS + 1):
        key = rows.version_key(number)
        found[key] = Row(key, rows.encode(replace(version, number=number, source=source)), "e")
    for number in range(3, RELEASES + 1):
        key = rows.release_key(number)
        found[key] = Row(key, rows.encode(replace(release, number=number)), "e")
    state = replace(
        unit_of_work.read(world.ports, NAME).state, next_version=VERSIONS + 1, next_release=RELEASES + 1
    )
    found[rows.LOOP] = Row(rows.LOOP, rows.encode(state), "e")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def asked(world: World) -> Callable[[str], Reply]:
    """Every page is made once: the loop stands still, and no device gets another one."""
    return cache(partial(get, world.ports))


def answer(asked: Callable[[str], Reply], route: Route) -> None:
    """As the function answers."""
    split = urlsplit(route.request.url)
    path = split.path.removeprefix(BASE)
    if (name := path.strip("/")) in html.STATIC:
        route.fulfill(body=html.static(name), content_type=html.STATIC[name])
        return
    reply = asked(path + (f"?{split.query}" if split.query else ""))
    route.fulfill(
        status=reply.status, body=reply.content, content_type=reply.kind, headers=dict(reply.headers)
    )


@pytest.mark.parametrize(
    ("device", "width"),
    [
        pytest.param(*one, marks=pytest.mark.soak if one[0] == "tablet" else ())  # between the other two
        for one in WIDTHS.items()
    ],
)
def test_nothing_overflows_and_axe_finds_nothing(
    asked: Callable[[str], Reply], browser: Browser, device: str, width: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900})
    context.add_init_script("sessionStorage.setItem('driftloop-refresh', 'off')")
    context.route("**/*", lambda route: answer(asked, route))
    page = context.new_page()
    wrong = {}
    for name, path in PAGES.items():
        page.goto(f"{SITE}{BASE}{path}")
        found = [*sideways(page), *clipped(page), *(axe(page, device) if name in WIDE else [])]
        if found:
            wrong[name] = found
        if folder := os.environ.get("DRIFTLOOP_WIDTHS"):
            page.screenshot(path=Path(folder) / f"{name}-{device}.png", full_page=True)
    context.close()
    assert wrong == {}


def test_names_of_one_family_can_be_told_apart_where_they_are_shortened(world: World) -> None:
    """They differ in their last characters alone."""
    names = [row["column"] for row in twin(world.ports, f"/loops/{NAME}")["heat"]]
    assert max(map(len, names)) == 80 and len(set(names)) == len(names) == 30


def clipped(page: Page) -> list[str]:
    """Boxes whose text runs over their own edge, where no scroll bar reaches it."""
    found: list[str] = page.evaluate(
        """[...document.querySelectorAll("main *")].filter(e => e.checkVisibility() && e.clientWidth > 1
          && e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== "inline"
          && !e.closest(".scroll, .hidden, svg, details:not([open])"))
          .slice(0, 20)
          .map(e => "clipped " + e.tagName + "." + e.className + ": " + e.textContent.trim().slice(0, 60))"""
    )
    return found


def test_columns_and_versions_are_found_by_the_keyboard_without_a_script(
    asked: Callable[[str], Reply], browser: Browser
) -> None:
    context = browser.new_context(java_script_enabled=False)
    context.route("**/*", lambda route: answer(asked, route))
    page = context.new_page()
    page.goto(f"{SITE}{BASE}/loops/{NAME}/versions/2")
    page.get_by_label("Column", exact=True).press_sequentially("QUARTAL")
    page.keyboard.press("Tab")
    page.keyboard.press("m")  # of the choices the one that begins with it
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert urlsplit(page.url).query == "column=QUARTAL&state=material&order="
    assert "quartal" in page.get_by_role("listitem").filter(has_text="material").first.inner_text()
    page.get_by_role("link", name="Beside another version").click()
    page.get_by_label("beside version").fill("7")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert page.get_by_role("heading", level=1).inner_text() == "Version 1 beside version 7"
    context.close()
