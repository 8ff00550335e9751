"""A verdict is a frozen value with names, units and words, and survives a trip through JSON unchanged."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

Kind = str  # one of KINDS
KINDS = ("numeric", "boolean", "category", "text", "datetime", "id", "empty", "other", "dependence")


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


@dataclass(frozen=True)
class Report:
    """The comparison of two data versions, worst column first; where asked for, of each segment as well.

    ``detected`` and ``material`` speak for the whole and for all segments; the false-alarm rate is that of
    everything together.
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

    def rows(self) -> list[tuple[str, str, str, str, str, str]]:
        """Rows for a table: column, kind, verdict, adjusted p, effect, words."""
        return [
            (
                c.name,
                c.kind,
                "material" if c.material else "detected" if c.detected else "quiet",
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
        notes = tuple(document.get("notes", ()))
        rest = {**document, "columns": columns, "skipped": skipped, "notes": notes, "segments": segments}
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
