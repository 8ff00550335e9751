"""The page is self-contained and small, and no text of the data becomes markup."""

from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

import drift
from tests.drift.families import mixed

HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "'-->]]>", "a&b;\x00\r\n\x1b[31m"]


class Parsed(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_of_forty_columns_is_small_and_alone() -> None:
    rng = np.random.default_rng(0)
    reference = drift.profile(mixed(rng, 2_000))
    current = drift.profile(mixed(rng, 2_000, "mean 1"), grid=reference)
    report = drift.compare(reference, current)
    page = report.html(reference, current)
    assert page == drift.report_html(report, reference, current)
    assert len(page.encode()) < 300_000
    assert "http:" not in page
    assert "https:" not in page
    assert "url(" not in page
    parsed = Parsed(page)
    assert "script" not in parsed.tags
    assert "prefers-color-scheme:dark" in page
    assert "viewport" in page
    assert "plain_0 moved up by" in parsed.text


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_the_data_becomes_markup(text: str) -> None:
    words = pd.DataFrame({text: ["x"] * 300 + [text] * 300, "plain": np.arange(600) % 7})
    reference = drift.profile(words)
    current = drift.profile(words.iloc[:350], grid=reference)
    report = drift.compare(reference, current)
    assert report.detected
    parsed = Parsed(drift.report_html(report, reference, current))
    assert not parsed.tags & {"script", "img", "iframe", "object"}
    assert not {name for name in parsed.attributes if name.startswith("on")}
