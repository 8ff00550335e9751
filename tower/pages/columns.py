"""How columns moved, as a page shows them: those that a visitor asked for, in the order that was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.gate.gate_record import Interval
from tower.shapes import Categories, Numbers, shape_of
from tower.visit import Asking, Document, clip, shortened

if TYPE_CHECKING:
    from drift import Profile

DRAWN = 24
"""Columns with a picture; the others are lines of a table."""
LISTED = 200
FEW = 12
"""Columns among which nobody has to search."""

STATES = {"": "all columns", "material": "material", "detected": "beyond chance", "quiet": "quiet"}
ORDERS = {"": "worst first", "name": "by name", "effect": "by effect"}


@dataclass(frozen=True)
class ColumnLine:
    """One column's verdict."""

    name: str
    kind: str
    state: str
    """material, detected or quiet."""
    words: str
    p_value: float
    effect: Interval
    tolerance: float
    unit: str
    shape: Numbers | Categories | None = None


@dataclass(frozen=True)
class Search:
    """What the visitor asked for, and what there is to choose from."""

    text: str
    state: str
    order: str
    of: int
    """Columns in all."""
    found: int
    states: tuple[tuple[str, str], ...] = tuple(STATES.items())
    orders: tuple[tuple[str, str], ...] = tuple(ORDERS.items())

    @property
    def narrows(self) -> bool:
        return bool(self.text or self.state)

    @property
    def offered(self) -> bool:
        return self.of > FEW or self.narrows or bool(self.order)


@dataclass(frozen=True)
class Columns:
    """Of one report."""

    search: Search
    moved: tuple[ColumnLine, ...]
    quiet: tuple[ColumnLine, ...]
    left_out: int
    """Columns that were asked for and are not shown."""


def columns(
    asking: Asking, reported: Sequence[Document], profiles: tuple[Profile, Profile] | None
) -> Columns:
    """`reported` are the columns of a report, the worst first."""
    text, state, order = (asking.query.get(name, "")[:64] for name in ("column", "state", "order"))
    text = text.strip().casefold()
    state, order = (state if state in STATES else ""), (order if order in ORDERS else "")
    fitting = [c for c in reported if text in str(c["name"]).casefold() and state in ("", state_of(c))]
    chosen = _ordered(fitting, order)
    search = Search(text, state, order, len(reported), len(chosen))
    moved = [c for c in chosen if c["detected"]][:DRAWN]
    quiet = [c for c in chosen if not c["detected"]][:LISTED]
    drawn = tuple(column_line(c, profiles) for c in moved)
    pictured = max(0, DRAWN - len(moved)) if len(quiet) <= DRAWN else 0
    calm = tuple(column_line(c, profiles if n < pictured else None) for n, c in enumerate(quiet))
    return Columns(search, drawn, calm, len(chosen) - len(drawn) - len(calm))


def state_of(column: Document) -> str:
    return "material" if column["material"] else "detected" if column["detected"] else "quiet"


def _ordered(found: Sequence[Document], order: str) -> list[Document]:
    """As the report has them, unless another order was asked for."""
    match order:
        case "name":
            return sorted(found, key=lambda c: (str(c["name"]).casefold(), c["name"]))
        case "effect":
            return sorted(found, key=lambda c: -times_tolerated(c))
    return list(found)


def times_tolerated(column: Document) -> float:
    """The size of a column's effect, in tolerances."""
    effect = column["effect"]
    return float(abs(effect["value"]) / max(effect["tolerance"], 1e-9))


def column_line(column: Document, profiles: tuple[Profile, Profile] | None) -> ColumnLine:
    effect: Mapping[str, float] = column["effect"]
    name = str(column["name"])
    drawn = None
    if profiles is not None:
        before, after = profiles
        drawn = shape_of(before.columns.get(name), after.columns.get(name))
    return ColumnLine(
        name=shortened(name, 120),
        kind=str(column["kind"]),
        state=state_of(column),
        words=clip(str(column["words"]), 300),
        p_value=float(column["p_value"]),
        effect=Interval(effect["value"], effect["low"], effect["high"]),
        tolerance=effect["tolerance"],
        unit=clip(str(column["effect"]["unit"]), 24),
        shape=drawn,
    )
