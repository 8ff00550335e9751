"""Pictures as inline SVG: classes instead of styles, words for those who cannot see them, nothing unescaped."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

_LEFT = 46
"""Pixels for the labels of the y axis."""


def element(name: str, inside: str = "", **attributes: object) -> Markup:
    """One element; `cls` is its class, an underscore in a name is a hyphen."""
    shown = "".join(
        f' {"class" if key == "cls" else key.replace("_", "-")}="{escape(_text(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{shown}>{escape(inside)}</{name}>")  # noqa: S704 - each value in it is escaped


def _text(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


def join(parts: Iterable[Markup]) -> Markup:
    return Markup("").join(parts)


def picture(width: int, height: int, words: str, parts: Iterable[Markup], cls: str = "") -> Markup:
    """The whole picture, with its text alternative."""
    title = element("title", words)
    return element(
        "svg",
        title + join(parts),
        cls=f"picture {cls}".strip(),
        role="img",
        aria_label=words,
        width=width,
        height=height,
        viewBox=f"0 0 {width} {height}",
    )


def text(x: float, y: float, words: str, cls: str = "", anchor: str = "start") -> Markup:
    return element("text", words, x=x, y=y, cls=cls or None, text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, cls: str) -> Markup:
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, cls=cls)


@dataclass(frozen=True)
class Scale:
    """A range of values on a range of pixels."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        low, high, at = (self._size(each) for each in (self.low, self.high, value))
        share = (at - low) / (high - low) if high > low else 0.5
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    def _size(self, value: float) -> float:
        return math.log10(max(value, 1e-3)) if self.logarithmic else value

    def ticks(self, about: int = 4) -> list[float]:
        """Round values within the range."""
        if self.logarithmic:
            first, last = math.floor(math.log10(max(self.low, 1e-3))), math.ceil(math.log10(self.high))
            step = max(1, math.ceil((last - first) / about))
            return [v for v in (10.0**n for n in range(first, last + 1, step)) if self.low <= v <= self.high]
        raw = (self.high - self.low) / max(about, 1)
        if raw <= 0 or not math.isfinite(raw):
            return [self.low]
        unit = 10 ** math.floor(math.log10(raw))
        step_size = next(unit * n for n in (1, 2, 5, 10) if unit * n >= raw * 0.999)
        first_tick = math.ceil(self.low / step_size - 1e-9)
        last_tick = math.floor(self.high / step_size + 1e-9)
        return [n * step_size for n in range(first_tick, last_tick + 1)]


@dataclass(frozen=True)
class Series:
    """Points joined by a line, with a whisker at each."""

    name: str
    cls: str
    points: Sequence[tuple[float, float]]
    whiskers: Sequence[tuple[float, float]] = ()


@dataclass(frozen=True)
class Chart:
    """A chart over time or versions, with marks and one threshold."""

    words: str
    series: Sequence[Series]
    x_labels: Sequence[tuple[float, str]]
    threshold: float | None = None
    threshold_words: str = ""
    marks: Sequence[tuple[float, str]] = ()
    logarithmic: bool = False
    from_zero: bool = False
    width: int = 640
    height: int = 190
    span: tuple[float, float] | None = None
    least_high: float | None = None

    def drawn(self) -> Markup:
        x, y = self._scales()
        parts = [*self._grid(x, y), *self._marked(x, y)]
        for one in self.series:
            parts += _drawn(one, x, y)
        return picture(self.width, self.height, self.words, parts, "chart")

    def _scales(self) -> tuple[Scale, Scale]:
        points = [point for one in self.series for point in one.points]
        values = [v for _, v in points] + [v for one in self.series for pair in one.whiskers for v in pair]
        values += [self.threshold] if self.threshold is not None else []
        values += [self.least_high] if self.least_high is not None else []
        low, high = (min(values), max(values)) if values else (0.0, 1.0)
        margin = (high - low) * 0.08 or abs(high) * 0.05 or 0.5
        if self.from_zero:
            low, high = 0.0, high + margin
        elif self.logarithmic:
            low, high = min(low, 0.1), high * 1.5
        else:
            low, high = low - margin, high + margin
        span = self.span or ((min(a for a, _ in points), max(a for a, _ in points)) if points else (0.0, 1.0))
        top = 24 if self.marks else 10
        return (
            Scale(span[0], span[1], _LEFT + 8, self.width - 12),
            Scale(low, high, self.height - 24, top, self.logarithmic),
        )

    def _grid(self, x: Scale, y: Scale) -> list[Markup]:
        parts = []
        for tick in y.ticks():
            parts.append(line(_LEFT, y(tick), self.width - 4, y(tick), "grid"))
            parts.append(text(_LEFT - 6, y(tick) + 3.5, f"{tick:.6g}", "tick", "end"))
        for at, words in self.x_labels:
            parts.append(text(x(at), self.height - 7, words, "tick", "middle"))
        return parts

    def _marked(self, x: Scale, y: Scale) -> list[Markup]:
        parts = []
        for at, words in self.marks:
            parts.append(line(x(at), 16, x(at), self.height - 24, "mark"))
            parts.append(text(x(at), 11, words, "tick strong", "middle"))
        if self.threshold is not None:
            parts.append(line(_LEFT, y(self.threshold), self.width - 4, y(self.threshold), "threshold"))
            parts.append(
                text(self.width - 6, y(self.threshold) - 4, self.threshold_words, "tick strong", "end")
            )
        return parts


def _drawn(one: Series, x: Scale, y: Scale) -> list[Markup]:
    places = [(x(a), y(b)) for a, b in one.points]
    parts = []
    if len(places) > 1:
        path = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in places)
        parts.append(element("path", d=path, cls=f"line {one.cls}"))
    for (a, _), (low, high) in zip(places, one.whiskers, strict=False):
        parts.append(line(a, y(low), a, y(high), f"whisker {one.cls}"))
    radius = 3.5 if len(places) < 30 else 1.8
    parts += [element("circle", cx=a, cy=b, r=radius, cls=f"dot {one.cls}") for a, b in places]
    return parts
