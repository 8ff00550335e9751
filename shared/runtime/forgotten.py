"""A loop whose overview was deleted is found by no event, no tick and no list; its rows are what is left of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from random import sample

from shared.ports import Store
from shared.state import rows

MOST = 100
"""Found in one look; the next goes on."""


def forgotten(store: Store, known: Collection[str], places: int | None = None) -> list[str]:
    """Loops that have rows and are not `known` by their overviews. Looked for at so many places between those that are,
    chosen by chance, or at all: a call for each place, and two for each loop that is found."""
    found: list[str] = []
    for name in _places(["", *known], places):
        while len(found) < MOST and (name := store.loop_after(name)) and name not in (*known, *found):
            if store.read(name, rows.LOOP) is not None:
                found.append(name)
    return found


def _places(every: Sequence[str], places: int | None) -> Sequence[str]:
    return every if places is None or places >= len(every) else sample(every, places)
