"""The page in a real browser: it asks the network for nothing, fits a phone, and shows at one look what moved.

Pictures for the docs are written to docs/screenshots with `DRIFTLOOP_SCREENSHOTS=1`.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from playwright.sync_api import Browser

import drift
from benchmarks.drift import workload
from tests.chromium import chromium

SHOTS = Path(__file__).parents[2] / "docs" / "screenshots"
WIDTHS = {"light": (1100, 1000, "light"), "dark": (1100, 1000, "dark"), "phone": (390, 844, "light")}
MOVED = {"lognormal_0", "gauss_3", "price_1", "uniform_0", "word_10", "gauss_7"}


def moved(rows: int) -> pa.Table:
    """The benchmark's 43 columns, six of which have changed."""
    rng = np.random.default_rng(9)
    data = workload.table(2, rows)

    def put(name: str, values: object) -> None:
        nonlocal data
        data = data.set_column(data.column_names.index(name), name, values)

    def get(name: str) -> np.ndarray:
        return data.column(name).to_numpy().copy()

    put("gauss_3", pa.array(get("gauss_3") + 0.6))
    put("gauss_7", pa.array(get("gauss_7") * 1.08))
    put("price_1", pa.array(get("price_1") * 1.25))
    put("lognormal_0", pa.array(np.where(rng.random(rows) < 0.02, 1000, 1) * get("lognormal_0")))
    put("uniform_0", pa.array(np.where(rng.random(rows) < 0.12, np.nan, get("uniform_0")), from_pandas=True))
    new = rng.random(rows) < 0.15
    words = data.column("word_10").to_pylist()
    put("word_10", pa.array(["value_new" if n else w for n, w in zip(new, words, strict=True)]))
    return data


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    reference = drift.profile(workload.table(1, 20_000))
    current = drift.profile(moved(20_000), grid=reference)
    report = drift.compare(reference, current)
    assert {c.name for c in report.columns if c.detected} == MOVED
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(drift.report_html(report, reference, current), encoding="utf-8")
    assert path.stat().st_size < 300_000
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.mark.parametrize("look", list(WIDTHS))
def test_one_look_tells_what_moved(browser: Browser, page: Path, look: str) -> None:
    wide, tall, scheme = WIDTHS[look]
    view = browser.new_page(viewport={"width": wide, "height": tall}, color_scheme=scheme)
    asked: list[str] = []
    view.on("request", lambda request: asked.append(request.url))
    view.goto(page.as_uri())
    assert asked == [page.as_uri()]
    assert view.evaluate("document.documentElement.scrollWidth") <= wide
    rows = view.locator(".all li")
    assert {name for name in MOVED if rows.filter(has_text=name).count() == 1} == MOVED
    for place in range(rows.count()):
        box = rows.nth(place).bounding_box()
        bar = rows.nth(place).locator("svg").bounding_box()
        assert box is not None
        assert bar is not None
        assert box["y"] + box["height"] < tall  # seen without scrolling
        assert bar["width"] > 0.2 * wide
    if os.environ.get("DRIFTLOOP_SCREENSHOTS"):
        view.screenshot(path=SHOTS / f"drift-report-{look}.png")
