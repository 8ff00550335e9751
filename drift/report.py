"""A verdict is a frozen value with names, units and words, and survives a trip through JSON unchanged."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from .profiles import Profile

Kind = str  # one of KINDS
KINDS = ("numeric", "boolean", "category", "text", "datetime", "id", "empty", "other", "dependence", "vector")


_LISTED = 30
"""Columns in a notebook's table."""


class Code(StrEnum):
    """What a finding is about."""

    ADDED = "added"
    DROPPED = "dropped"
    RENAMED = "renamed"
    RETYPED = "retyped"
    REORDERED = "reordered"
    EMPTIED = "emptied"
    CONSTANT = "constant"
    INFINITE = "infinite"
    NO_ROWS = "no_rows"
    NOTHING_COMPARED = "nothing_compared"
    NOT_JUDGEABLE = "not_judgeable"
    DEPENDENT_ROWS = "dependent_rows"
    SORTED_ROWS = "sorted_rows"
    DUPLICATE_ROWS = "duplicate_rows"
    REPEATED_KEY = "repeated_key"
    RUNNING_NUMBER = "running_number"
    READ = "read"
    """How a file was read, said by whoever read it."""


@dataclass(frozen=True)
class Finding:
    """Something about the data that no test of a distribution says.

    Attributes
    ----------
    code
        What it is about, a `Code`.
    column
        The column, as the reference names it where it does; empty for the whole.
    breaking
        Whether a model trained on the reference cannot be fed with the current data, or nothing was compared.
    words
        What was found and what to do.
    """

    code: Code
    column: str
    breaking: bool
    words: str


@dataclass(frozen=True)
class TestResult:
    """One hypothesis test: its statistic and its p-value before any adjustment."""

    name: str
    statistic: float
    p_value: float
    words: str = ""

    __test__ = False  # not a test class of pytest


@dataclass(frozen=True)
class Effect:
    """How much a column changed, with a confidence interval, beside the tolerance it is judged by."""

    name: str
    value: float
    low: float
    high: float
    unit: str
    tolerance: float
    words: str = ""

    @property
    def size(self) -> float:
        """The smallest size that the interval allows; 0 where it holds 0."""
        if self.low > 0:
            return self.low
        return -self.high if self.high < 0 else 0.0

    @property
    def material(self) -> bool:
        """Whether the whole interval lies beyond the tolerance."""
        return self.size > self.tolerance


@dataclass(frozen=True)
class ColumnVerdict:
    """What happened to one column: whether it changed, whether that matters, how and by how much."""

    name: str
    kind: Kind
    detected: bool
    material: bool
    p_value: float
    effect: Effect
    tests: tuple[TestResult, ...]
    distances: Mapping[str, float]
    words: str
    effects: tuple[Effect, ...] = ()
    importance: float = 1.0
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    smallest: int | None = None
    """No fewer current rows off the usual value (or, where none is, of a value never seen) can alarm, all columns
    paid for; None where not even all of them could."""
    judgeable: bool = True
    """Whether any outcome at these sizes could have been detected."""

    @property
    def verdict(self) -> str:
        """``material``, ``detected``, ``quiet``, or ``cannot be judged`` at these sizes."""
        quiet = "quiet" if self.judgeable else "cannot be judged"
        return "material" if self.material else "detected" if self.detected else quiet


@dataclass(frozen=True, repr=False)
class Report:
    """The comparison of two data versions, worst column first; where asked for, of each segment as well.

    ``detected`` and ``material`` speak for the whole and for all segments; the false-alarm rate is that of
    everything together, and holds where rows do not depend on each other (`independent`). ``findings`` are what
    no test of a distribution says; where one of them breaks (`broken`), no verdict on drift is worth having.
    """

    detected: bool
    material: bool
    rows_reference: int
    rows_current: int
    false_alarm_rate: float
    columns: tuple[ColumnVerdict, ...]
    skipped: tuple[tuple[str, str], ...]
    headline: str
    notes: tuple[str, ...] = field(default=())
    segments: Mapping[str, "Report"] = field(default_factory=dict)
    findings: tuple[Finding, ...] = field(default=())
    small: tuple[str, ...] = ()
    """Segments with too few rows on a side to be judged."""

    @property
    def broken(self) -> bool:
        """Whether the current data cannot be compared, or lack what a model was trained on."""
        return any(f.breaking for f in self.findings)

    @property
    def independent(self) -> bool:
        """Whether nothing speaks against the stated rate: no sign that rows depend on each other."""
        signs = (Code.DEPENDENT_ROWS, Code.DUPLICATE_ROWS, Code.REPEATED_KEY)
        return not any(f.code in signs for f in self.findings)

    def __getitem__(self, column: str) -> ColumnVerdict:
        """The verdict on a column; KeyError, with the reason, where it was not compared."""
        for verdict in self.columns:
            if verdict.name == column:
                return verdict
        reasons = dict(self.skipped)
        raise KeyError(f"{column} was not compared: {reasons[column]}" if column in reasons else column)

    def __repr__(self) -> str:
        return f"<drift.Report: {self.headline}>"

    def to_frame(self) -> "pd.DataFrame":
        """One row per column, worst first, indexed by the column's name. Needs pandas."""
        import pandas as pd

        fields = ("kind", "verdict", "detected", "material", "p_value", "smallest", "words")
        rows = [
            {
                **{f: getattr(c, f) for f in fields},
                "effect": c.effect.name,
                "value": c.effect.value,
                "low": c.effect.low,
                "high": c.effect.high,
                "tolerance": c.effect.tolerance,
            }
            for c in self.columns
        ]
        return pd.DataFrame(rows, index=pd.Index([c.name for c in self.columns], name="column"))

    def html(self, reference: "Profile | None" = None, current: "Profile | None" = None) -> str:
        """The report as one HTML page; with the profiles, each column's distribution is drawn."""
        from .page import report_html

        return report_html(self, reference, current)

    def _repr_html_(self) -> str:
        """A short table for a notebook; as a page, with charts: `html`."""
        cells = [(c.name, c.verdict, c.words) for c in self.columns[:_LISTED]]
        rows = "".join(f"<tr><td>{'</td><td>'.join(map(escape, row))}</td></tr>" for row in cells)
        found = "".join(f"<li>{'<b>broken</b> ' * f.breaking}{escape(f.words)}</li>" for f in self.findings)
        more = len(self.columns) - len(cells)
        rest = f"<p>and {more} more columns</p>" if more else ""
        listed = f"<ul>{found}</ul>" if found else ""
        return f"<p><b>{escape(self.headline)}</b></p>{listed}<table>{rows}</table>{rest}"

    def rows(self) -> list[tuple[str, str, str, str, str, str]]:
        """Rows for a table: column, kind, verdict, adjusted p, effect, words."""
        return [
            (
                c.name,
                c.kind,
                c.verdict,
                f"{c.p_value:.2g}",
                f"{c.effect.value:+.3g} {c.effect.unit}".strip(),
                c.words,
            )
            for c in self.columns
        ]

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON-safe values; every number in it is finite."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "Report":
        """The report that `to_dict` wrote."""
        columns = tuple(_verdict(c) for c in document["columns"])
        skipped = tuple((str(name), str(reason)) for name, reason in document["skipped"])
        segments = {name: cls.from_dict(part) for name, part in document.get("segments", {}).items()}
        rest = {**document, "columns": columns, "skipped": skipped, "segments": segments}
        rest |= {name: tuple(document.get(name, ())) for name in ("notes", "small")}
        rest["findings"] = tuple(
            Finding(Code(f["code"]), f["column"], f["breaking"], f["words"])
            for f in document.get("findings", ())
        )
        return cls(**rest)


def _verdict(document: Mapping[str, Any]) -> ColumnVerdict:
    return ColumnVerdict(
        **{
            **document,
            "effect": Effect(**document["effect"]),
            "effects": tuple(Effect(**e) for e in document["effects"]),
            "tests": tuple(TestResult(**t) for t in document["tests"]),
            "bounds": {name: (low, high) for name, (low, high) in document.get("bounds", {}).items()},
        }
    )
