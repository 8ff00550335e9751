"""Columns and loops are searched, filtered and ordered by the page's query, which a form makes without any script."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from urllib.parse import quote

import pytest

from shared.domain.reason import Code, reason
from tests.engine.world import World
from tests.tower.conftest import past
from tests.tower.tower import BASE, checked, page, twin

VERSION = "/loops/birds/versions/3"


def names(found: dict[str, list[dict[str, str]]]) -> list[str]:
    return [column["name"] for column in (*found["moved"], *found["quiet"])]


def test_columns_are_found_by_a_part_of_their_name_whatever_its_case(world: World) -> None:
    every = names(twin(world.ports, VERSION))
    found = twin(world.ports, f"{VERSION}?column=LENGTH")
    assert sorted(names(found)) == sorted(name for name in every if "length" in name)
    assert (found["search"]["found"], found["search"]["of"]) == (len(names(found)), len(every))
    assert "No column is like that." in page(world.ports, f"{VERSION}?column=nothing")


def test_columns_are_filtered_by_their_verdict_and_put_in_order(world: World) -> None:
    material = twin(world.ports, f"{VERSION}?state=material")
    assert names(material) == ["body_mass_g"] and material["quiet"] == []
    quiet = twin(world.ports, f"{VERSION}?state=quiet&order=name")
    assert quiet["moved"] == [] and names(quiet) == sorted(names(quiet), key=str.casefold)
    sizes = [
        abs(column["effect"]["value"]) / column["tolerance"]
        for column in twin(world.ports, f"{VERSION}?state=quiet&order=effect")["quiet"]
    ]
    assert len(sizes) > 2 and sizes == sorted(sizes, reverse=True)
    assert names(twin(world.ports, f"{VERSION}?state=x&order=y")) == names(twin(world.ports, VERSION))


def test_the_heat_map_shows_what_was_asked_for(world: World) -> None:
    found = twin(world.ports, "/loops/birds?column=length&order=name")
    rows = [row["column"] for row in found["heat"]]
    assert rows == sorted(rows) and len(rows) == 2 and found["heat_left_out"] == 0
    empty = page(world.ports, "/loops/birds?column=nothing")
    assert "0 columns of" in empty and '<table class="heat">' not in empty
    assert checked(empty).found == []


@pytest.fixture(scope="module")
def many() -> World:
    """Twenty copies of one loop; every third needs a person, every fourth is paused, later ones are newer."""
    made = past()
    line = made.ports.store.overviews()[0]
    assert line.newest and line.serving and line.newest.landed_at
    for n in range(20):
        landed = line.newest.landed_at + timedelta(days=n)
        made.ports.store.describe(
            replace(
                line,
                loop=f"loop-{n:02d}",
                newest=replace(line.newest, landed_at=landed, judged="moved" if n < 5 else "quiet"),
                serving=replace(line.serving, live_at=line.serving.live_at - timedelta(days=n)),
                needs_attention=reason(Code.ENDPOINT_GONE, loop="x", endpoint="x") if n % 3 == 0 else None,
                under_way=None if n % 2 else line.under_way,
                paused=n % 4 == 0,
            )
        )
    return made


def loops(world: World, query: str) -> list[str]:
    return [line["loop"] for line in twin(world.ports, f"?q=loop-&{query}")["loops"]]


@pytest.mark.parametrize(
    ("only", "wanted"),
    [
        ("person", {n for n in range(20) if n % 3 == 0}),
        ("unserved", {n for n in range(20) if n % 3 == 0}),
        ("moved", {n for n in range(20) if n < 5}),
        ("release", {n for n in range(20) if n % 2 == 0}),
        ("paused", {n for n in range(20) if n % 4 == 0}),
        ("idle", {n for n in range(20) if n % 2}),
        ("nonsense", set(range(20))),
    ],
)
def test_loops_are_filtered_by_what_is_with_them(many: World, only: str, wanted: set[int]) -> None:
    assert loops(many, f"only={only}") == [f"loop-{n:02d}" for n in sorted(wanted)]


def test_loops_are_put_in_order(many: World) -> None:
    forth = [f"loop-{n:02d}" for n in range(20)]
    assert loops(many, "order=live") == loops(many, "") == forth
    assert loops(many, "order=data") == forth[::-1]


def test_a_form_says_what_was_asked_for_and_every_field_has_a_label(many: World) -> None:
    html = page(many.ports, "?only=paused&order=data")
    assert checked(html).found == [] and "5 loops paused" in html
    for name, value in (("only", "paused"), ("order", "data")):
        assert f'<option value="{value}" selected>' in html and f'<label for="{name}">' in html
    form = re.search(r'<form class="find" method="get" action="([^"]*)" role="search"', html)
    assert form and form[1] == BASE
    assert "No loop is like that" in page(many.ports, "?q=zebra")


@pytest.mark.parametrize("path", ["", "/loops/birds", VERSION, "/loops/birds/versions/diff"])
def test_what_is_searched_for_stays_a_text(world: World, path: str) -> None:
    hostile = quote("\"><script>alert(1)</script><i x='")
    html = page(
        world.ports, f"{path}?column={hostile}&q={hostile}&state={hostile}&order={hostile}&only={hostile}"
    )
    assert checked(html).found == [] and "<script>alert" not in html
