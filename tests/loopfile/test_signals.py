"""A signal that cannot be meant is an error with its line, beside every other."""

from __future__ import annotations

import pytest

from shared import loopfile

HEAD = """loop: any
data: {landing: any/x/, target: y}
train: {pipeline: x}
serve: {endpoint: any}
canary:
  signals:
"""
COUNTS = "logs: 'T | where TimeGenerated > datetime({since})'"


def mistakes(*signals: str) -> list[tuple[int, str, str]]:
    text = HEAD + "\n".join(f"  - {{{one}}}" for one in signals)
    try:
        loopfile.parse(text, file="loop.yaml")
    except loopfile.LoopFileError as error:
        return [(one.line, one.key, one.allowed) for one in error.mistakes]
    return []


def test_signals_that_can_be_meant() -> None:
    assert (
        mistakes(
            f"name: refunds, {COUNTS}, margin: 0.01, needed: true",
            "name: orders, url: 'https://shop.example/orders?since={since}&d={canary}', better: higher, margin: 0",
            "name: backlog, url: 'https://shop.example/backlog', kind: value, limit: 100",
            "name: euros, logs: 'T | summarize value = count()', kind: value, better: higher, margin: 3.5",
        )
        == []
    )


@pytest.mark.parametrize(
    ("signal", "key", "words"),
    [
        ("name: a", "", "one of them"),
        (f"name: a, {COUNTS}, url: 'https://x.example/'", "", "one of them"),
        (f"name: errors, {COUNTS}", ".name", "judged by its errors already"),
        (f"name: A b, {COUNTS}", ".name", "up to 40 lower-case letters"),
        ("name: a, logs: 'T | count'", ".logs", "a text with {since}"),
        ("name: a, url: 'https://x.example/?from={start}&s={since}'", ".url", "in braces only endpoint"),
        ("name: a, url: 'http://x.example/{since}'", ".url", "an https URL"),
        (f"name: a, {COUNTS}, records: data", ".records", "a query answers with columns"),
        (f"name: a, {COUNTS}, margin: 1", ".margin", "a share from 0, below 1"),
        (f"name: a, {COUNTS}, limit: 4", ".limit", "compared with the champion's"),
        (f"name: a, {COUNTS}, kind: value, limit: 4, margin: 1", ".limit", "nothing beside margin"),
        (f"name: a, {COUNTS}, kind: value, margin: -1", ".margin", "a number from 0"),
        (f"name: a, {COUNTS}, better: more", ".better", "lower or higher"),
        (f"name: a, {COUNTS}, critical: true", ".critical", "known here: name, logs"),
        (COUNTS, ".name", "up to 40"),
    ],
)
def test_each_mistake_is_on_its_line_with_what_is_allowed(signal: str, key: str, words: str) -> None:
    (found,) = mistakes(f"name: good, {COUNTS}", signal)
    assert found[:2] == (8, f"canary.signals[1]{key}")
    assert words in found[2]


def test_a_name_is_given_once_and_a_step_does_not_wait_for_ever_so_many() -> None:
    same = f"name: a, {COUNTS}"
    assert [(line, key) for line, key, _ in mistakes(same, same)] == [(8, "canary.signals[1].name")]
    assert mistakes(*[f"name: a{n}, {COUNTS}" for n in range(6)])[0][1:] == (
        "canary.signals",
        "a list of up to 5 signals, each with a name",
    )
