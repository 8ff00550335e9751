"""The tower's own pictures: a column before and after, an interval beside its limit, both arms of a canary."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from markupsafe import Markup

from shared.domain.release import ArmSeen, CanaryPoint
from tower.shapes import Bar, Categories, MetricPoint, Numbers
from tower.svg import Chart, Scale, Series, element, line, picture, text
from tower.visit import clip

if TYPE_CHECKING:
    from tower.pages.live_page import LivePage

WIDE, TALL = 240, 56


def shape(before_after: Numbers | Categories | None) -> Markup:
    """A column's distribution: the reference filled, the new version as a line."""
    match before_after:
        case Numbers():
            return _numbers(before_after)
        case Categories():
            return _categories(before_after)
        case None:
            return Markup("")


def _numbers(found: Numbers) -> Markup:
    top = max([*found.before, *found.after], default=0) or 1
    step = WIDE / max(len(found.before), 1)
    bars = [
        element(
            "rect",
            x=n * step,
            y=TALL - share / top * TALL,
            width=step - 1,
            height=share / top * TALL,
            cls="was",
        )
        for n, share in enumerate(found.before)
        if share
    ]
    path = f"M0 {TALL}" + "".join(
        f"V{TALL - share / top * TALL:.1f}H{(n + 1) * step:.1f}" for n, share in enumerate(found.after)
    )
    words = f"distribution from {found.low:.4g} to {found.high:.4g}: reference filled, this version as a line"
    parts = [
        *bars,
        element("path", d=path, cls="line is"),
        line(0, TALL, WIDE, TALL, "axis"),
        text(0, TALL + 12, f"{found.low:.4g}", "tick"),
        text(WIDE, TALL + 12, f"{found.high:.4g}", "tick", "end"),
    ]
    return picture(WIDE, TALL + 15, words, parts)


def _categories(found: Categories) -> Markup:
    top = max([*found.before, *found.after], default=0) or 1
    parts = []
    for n, (name, was, now) in enumerate(zip(found.names, found.before, found.after, strict=True)):
        y = n * 16
        parts += [
            text(86, y + 11, clip(name, 15), "tick", "end"),
            element("rect", x=92, y=y + 2, width=was / top * 146, height=11, cls="was"),
            element("rect", x=91 + now / top * 146, y=y, width=3, height=15, cls="is"),
        ]
    listed = ", ".join(
        f"{clip(name, 24)} {was:.0%} then {now:.0%}"
        for name, was, now in zip(found.names, found.before, found.after, strict=True)
    )
    words = f"shares of categories: {listed}"
    return picture(WIDE, 16 * max(len(found.names), 1) + 2, words, parts)


def effect(value: float, low: float, high: float, tolerance: float, unit: str) -> Markup:
    """An effect's interval on a line, beside the band that is tolerated."""
    reach = 1.1 * max(abs(low), abs(high), 1.5 * tolerance, 1e-9)
    x = Scale(-reach, reach, 2, WIDE - 2)
    words = f"effect {value:+.3g} {unit}, interval {low:+.3g} to {high:+.3g}, tolerated up to {tolerance:.3g}"
    wide = max(x(tolerance) - x(-tolerance), 1)
    return picture(
        WIDE,
        18,
        words,
        [
            element("rect", x=x(-tolerance), y=3, width=wide, height=12, cls="band"),
            line(x(0), 1, x(0), 17, "axis"),
            line(x(low), 9, x(high), 9, "whisker is"),
            element("circle", cx=x(value), cy=9, r=4, cls="dot is"),
        ],
    )


def metric(
    points: Sequence[MetricPoint], name: str, threshold: float | None, marks: Sequence[tuple[int, int]]
) -> Markup:
    """The live model's metric by version, with its interval; a mark where a retrained model took over the data."""
    found = [p for p in points if p.value is not None and p.low is not None and p.high is not None]
    if not found:
        return Markup("")
    newest = found[-1]
    limit = "" if threshold is None else f"threshold {threshold:g}"
    words = (
        f"{name} of the live model on {len(found)} labelled versions, newest {newest.value:.3f} on version "
        f"{newest.version}{limit and f'; {limit}'}"
    )
    first, last = points[0].version, points[-1].version
    first = min([first, *(at for at, _ in marks if at == first - 1)])  # what the first points were made with
    span = (first - 0.5, last + 0.5)
    return Chart(
        words,
        [
            Series(
                name,
                "is",
                [(p.version, p.value or 0.0) for p in found],
                [(p.low or 0.0, p.high or 0.0) for p in found],
            )
        ],
        [(n, f"v{n}") for n in sorted({first, *(p.version for p in points[:: max(1, len(points) // 12)])})],
        threshold=threshold,
        threshold_words=limit,
        marks=[(at, f"r{release}") for at, release in marks if span[0] <= at <= span[1]],
        span=span,
    ).drawn()


def intervals(rows: Sequence[Bar], limit: float | None, limit_words: str, words: str) -> Markup:
    """Named intervals under each other, and the limit that they are compared with."""
    values = [
        v for row in rows for v in (row.interval.low, row.interval.value, row.interval.high) if v is not None
    ]
    values += [limit] if limit is not None else []
    if not values:
        return Markup("")
    low, high = min(values), max(values)
    margin = (high - low) * 0.08 or 0.05
    label, wide, height = 170, 640, 26 * len(rows) + 34
    x = Scale(low - margin, high + margin, label, wide - 66)
    parts = [
        part
        for tick in x.ticks(5)
        for part in (
            line(x(tick), 14, x(tick), height - 20, "grid"),
            text(x(tick), height - 6, f"{tick:.4g}", "tick", "middle"),
        )
    ]
    if limit is not None:
        parts += [
            line(x(limit), 14, x(limit), height - 20, "threshold"),
            text(x(limit), 10, limit_words, "tick strong", "middle"),
        ]
    for n, row in enumerate(rows):
        parts += _bar(row, x, 28 + 26 * n, label, wide)
    return picture(wide, height, words, parts, "chart")


def _bar(row: Bar, x: Scale, y: float, label: int, wide: int) -> list[Markup]:
    found = row.interval
    parts = [text(label - 12, y + 4, clip(row.name, 26), "tick name", "end")]
    if found.low is not None and found.high is not None:
        parts.append(line(x(found.low), y, x(found.high), y, f"whisker {row.cls}"))
    if found.value is not None:
        parts.append(element("circle", cx=x(found.value), cy=y, r=4.5, cls=f"dot {row.cls}"))
        parts.append(text(wide - 4, y + 4, f"{found.value:.4f}", "tick", "end"))
    return parts


def arms(points: Sequence[CanaryPoint], what: str) -> Markup:
    """Champion and challenger over one canary step: `errors` in per cent, `latency` (p95), or `evidence`."""
    if not points:
        return Markup("")
    start = points[0].at
    minutes = [_minutes(start, point.at) for point in points]
    end = max(minutes[-1], 0.01)
    labels = [(0.0, "start"), (end, f"{end:.1f} min" if end < 10 else f"{end:.0f} min")]
    span = (0.0, end)
    if what == "evidence":
        newest = points[-1]
        words = f"evidence against the challenger, now {newest.e_value:.3g}; at {newest.threshold:g} it is rolled back"
        series = [
            Series("evidence", "is", [(m, point.e_value) for m, point in zip(minutes, points, strict=True)])
        ]
        return Chart(
            words, series, labels, threshold=newest.threshold, threshold_words="rolled back", logarithmic=True,
            width=310, height=150, span=span,
        ).drawn()  # fmt: skip
    read = _error_pct if what == "errors" else _p95
    series = [
        Series(
            name,
            cls,
            [
                (m, value)
                for m, point in zip(minutes, points, strict=True)
                if (value := read(point.champion if cls == "was" else point.canary)) is not None
            ],
        )
        for name, cls in (("champion", "was"), ("challenger", "is"))
    ]
    newest_of = {one.name: one.points[-1][1] for one in series if one.points}
    unit = " %" if what == "errors" else " ms"
    told = ", ".join(f"{name} {value:.3g}{unit}" for name, value in newest_of.items()) or "nothing measured"
    label = "errors" if what == "errors" else "latency, 95th percentile"
    return Chart(
        f"{label} over the step: {told}", series, labels, from_zero=True, least_high=1.0, width=310, height=150,
        span=span,
    ).drawn()  # fmt: skip


def _minutes(start: datetime, at: datetime) -> float:
    return (at - start).total_seconds() / 60


def _error_pct(arm: ArmSeen) -> float | None:
    return 100 * arm.errors / arm.requests if arm.requests else None


def _p95(arm: ArmSeen) -> float | None:
    return arm.latency_p95_ms


def live(page: LivePage, what: str) -> Markup:
    """Each deployment over a window: `requests` a minute, `errors` in per cent, or `latency` (p95). What nobody asked
    is 0 requests, and neither an error nor a latency."""
    times = [page.since + timedelta(minutes=n) for n in range(0, 60 * page.hours + 1, 15 * page.hours)]
    shape = "%H:%M" if page.hours <= 24 else "%d %b"
    labels = [(_minutes(page.since, at), f"{at:{shape}}") for at in times]
    series = [
        Series(arm.name, "is" if arm.serves else "was", _points(page, arm.name, what))
        for arm in page.arms[::-1]
    ]
    unit = {"requests": "a minute", "errors": "%", "latency": "ms"}[what]
    newest = [f"{one.name} {one.points[-1][1]:.3g} {unit}" for one in series[::-1] if one.points]
    return Chart(
        f"{what} over time: {', '.join(newest) or 'none'}", series, labels, from_zero=True, least_high=1.0,
        span=(0.0, 60.0 * page.hours),
    ).drawn()  # fmt: skip


def _points(page: LivePage, name: str, what: str) -> list[tuple[float, float]]:
    known = {_minutes(page.since, span.starts_at): span for span in page.spans if span.deployment == name}
    if what == "requests":
        # Spans begin by the clock, not by `since`: the first and the newest are cut, and would seem to be quiet.
        first = _minutes(page.since, page.spans[0].starts_at) % page.minutes
        by_span = {round((at - first) / page.minutes): span.requests for at, span in known.items()}
        whole = int((60 * page.hours - first) // page.minutes)
        return [(first + n * page.minutes, by_span.get(n, 0) / page.minutes) for n in range(whole)]
    if what == "errors":
        return [(at, 100 * span.errors / span.requests) for at, span in known.items()]
    return [(at, span.latency_p95_ms) for at, span in known.items() if span.latency_p95_ms is not None]


def split(weights: Sequence[tuple[str, int, str]]) -> Markup:
    """Who gets how much of the traffic."""
    x, parts = 0.0, []
    for _, pct, cls in weights:
        wide = max(pct / 100 * 320 - 2, 0.5)
        parts.append(element("rect", x=x, y=2, width=wide, height=12, cls=cls))
        x += pct / 100 * 320
    words = "traffic: " + (", ".join(f"{name} {pct} %" for name, pct, _ in weights) or "none")
    return picture(320, 16, words, parts)
