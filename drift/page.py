"""A report as one page: self-contained, without network or script, readable in the dark and on a phone."""

import html
from collections.abc import Sequence

import numpy as np

from . import categories
from .arrays import Floats
from .categories import Counts
from .grid import Grid, union
from .profiles import ColumnProfile, Profile
from .report import ColumnVerdict, Effect, Report

_BARS = 24
_TOP = 8
_LISTED = 30
_WIDTH, _HEIGHT = 260, 64

# Blue and orange differ in lightness and for every kind of colour vision; shape and words say it again.
_STYLE = """
:root{--ink:#1b1f24;--soft:#5b6570;--page:#fff;--card:#f6f8fa;--line:#d5dbe1;--ref:#9bb8d3;--cur:#d55e00;--bad:#a33b00}
@media(prefers-color-scheme:dark){:root{--ink:#e8ebee;--soft:#9aa5b1;--page:#12161b;--card:#1b2129;--line:#333c47;
--ref:#4d7ba6;--cur:#ff9d4d;--bad:#ffb27a}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:62rem;padding:1rem;background:var(--page);color:var(--ink);
font:16px/1.45 system-ui,sans-serif}
h1{font-size:1.3rem;margin:.2rem 0}p{margin:.3rem 0}.soft{color:var(--soft);font-size:.88rem}
.head{border-left:.4rem solid var(--line);padding:.2rem .9rem;margin-bottom:1rem}.head.material{border-color:var(--cur)}
.card{display:grid;grid-template-columns:minmax(0,1fr) auto;gap:.3rem 1rem;background:var(--card);
border:1px solid var(--line);border-radius:.5rem;padding:.7rem .9rem;margin:.6rem 0}
.card.material{border-left:.4rem solid var(--cur)}.card h2{font-size:1rem;margin:0;overflow-wrap:anywhere}
.tag{font-size:.78rem;border:1px solid var(--line);border-radius:1rem;padding:.05rem .5rem;margin-left:.4rem;
white-space:nowrap}.material .tag{border-color:var(--cur);color:var(--bad);font-weight:600}
svg{max-width:100%;height:auto;display:block}.ref{fill:var(--ref)}.cur{fill:none;stroke:var(--cur);stroke-width:2}
.dot{fill:var(--cur)}.axis{stroke:var(--soft);stroke-width:1}.band{fill:var(--line)}text{fill:var(--soft);font-size:10px}
.all{list-style:none;margin:0 0 1rem;padding:0}.all a{display:grid;grid-template-columns:13rem 1fr 7.2rem;
gap:.1rem .7rem;align-items:center;color:inherit;text-decoration:none;padding:.1rem 0}
.all a:hover b{text-decoration:underline}
.all b{overflow-wrap:anywhere;line-height:1.2}.all .soft b{font-weight:400}.all svg{width:100%}.all i{font-style:normal;
text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}.bar{fill:var(--cur)}.soft .bar{fill:var(--soft)}
.limit{stroke:var(--ink);stroke-width:1.5;stroke-dasharray:3 2}
details{margin:.4rem 0}table{border-collapse:collapse;font-size:.85rem;width:100%}
td,th{text-align:left;padding:.15rem .5rem;border-bottom:1px solid var(--line);overflow-wrap:anywhere}
td.n{text-align:right;font-variant-numeric:tabular-nums}@media(max-width:40rem){
.card{grid-template-columns:1fr}.all a{grid-template-columns:7rem 1fr 7.2rem}}
"""


def report_html(report: Report, reference: Profile | None = None, current: Profile | None = None) -> str:
    """The report as one HTML page; with the profiles, each column's distribution is drawn.

    Columns that changed come first, each with its words, its distribution before (filled) and after (line),
    and its effect beside the tolerance; quiet ones follow in a table. Every text from the data is escaped.
    """
    moved = [c for c in report.columns if c.detected]
    quiet = [c for c in report.columns if not c.detected]
    cards = "".join(
        _card(place, c, *(p.columns.get(c.name) if p is not None else None for p in (reference, current)))
        for place, c in enumerate(moved)
    )
    state = "material" if report.material else "detected" if report.detected else "quiet"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>Drift report</title><style>{_STYLE}</style></head><body>"
        f'<div class="head {state}"><h1>{_title(report)}</h1>'
        f'<p class="soft">{report.rows_current:,} rows against {report.rows_reference:,} of the reference · '
        f"{_rate(report)}</p></div>"
        f"{_findings(report)}{_overview(moved)}{_segments(report)}{cards}{_quiet(quiet)}{_skipped(report.skipped)}</body></html>"
    )


def _rate(report: Report) -> str:
    kept = f"false alarms in at most {report.false_alarm_rate:.1%} of quiet reports"
    return kept if report.independent else f"{kept}, if rows did not depend on each other"


def _title(report: Report) -> str:
    material, detected = (sum(getattr(c, name) for c in report.columns) for name in ("material", "detected"))
    if not detected or report.broken:
        return _text(report.headline)
    if not material:
        return f"{detected} of {len(report.columns)} columns changed, within the tolerances"
    return f"{material} of {len(report.columns)} columns moved by more than is tolerated"


def _findings(report: Report) -> str:
    if not report.findings:
        return ""
    items = "".join(
        f"<li>{'<b>broken</b> ' if f.breaking else ''}{_text(f.words)}</li>" for f in report.findings
    )
    return f"<ul>{items}</ul>"


def _overview(moved: Sequence[ColumnVerdict]) -> str:
    """What moved, at one look: a bar a column, in tolerances on a logarithmic scale, worst first."""
    if not moved:
        return ""
    shown = moved[:_LISTED]
    most = max([2.0, *(abs(c.effect.value) / max(c.effect.tolerance, 1e-9) for c in shown)])
    limit = 100 * np.log1p(1.0) / np.log1p(most)
    rows = []
    for place, c in enumerate(shown):
        long = 100 * np.log1p(abs(c.effect.value) / max(c.effect.tolerance, 1e-9)) / np.log1p(most)
        line = f'<line class="limit" x1="{limit:.1f}%" x2="{limit:.1f}%" y1="0" y2="14"/>'
        rows.append(
            f'<li><a href="#c{place}" class="{"" if c.material else "soft"}"><b>{_text(c.name)}</b>'
            f'<svg height="14" aria-hidden="true"><rect class="bar" y="3" height="8" width="{long:.1f}%"/>{line}'
            f"</svg><i>{_text(_short(c.effect))}</i></a></li>"
        )
    more = f'<li class="soft">and {len(moved) - _LISTED} more</li>' if len(moved) > _LISTED else ""
    return (
        f'<ul class="all">{"".join(rows)}{more}</ul><p class="soft">Bars: size of the change; dashed: what is '
        "tolerated. Below, filled: the reference, line: the current rows; dot: the effect with its interval, grey: "
        "what is tolerated.</p>"
    )


def _short(effect: Effect) -> str:
    """An effect in a few letters."""
    if effect.unit == "of rows":
        of = {"nulls": "null", "moved": "moved", "above": "too high", "below": "too low"}
        sign = "+" if effect.name == "nulls" and effect.value > 0 else ""
        return f"{sign}{effect.value:.1%} {of.get(effect.name, '')}".strip()
    if effect.unit == "ln sd":
        return f"spread × {np.exp(min(effect.value, 50.0)):.3g}"
    arrow = "▲ " if effect.value > 0 else "▼ "
    return f"{arrow if effect.name.endswith('shift') else ''}{effect.value:+.2f} {effect.unit.split()[-1]}"


def _segments(report: Report) -> str:
    rows = "".join(
        f"<tr><td>{_text(name)}</td><td>{_text(part.headline)}</td></tr>"
        for name, part in report.segments.items()
    )
    small = [f"{name} has too few rows on a side to be judged" for name in report.small]
    notes = "".join(f"<p>{_text(note)}</p>" for note in [*small, *report.notes])
    return (
        f"<details open><summary>by segment</summary><table>{rows}</table>{notes}</details>"
        if rows
        else notes
    )


def _text(value: str) -> str:
    return html.escape(value, quote=True)


def _card(
    place: int, verdict: ColumnVerdict, before: ColumnProfile | None, after: ColumnProfile | None
) -> str:
    state = "material" if verdict.material else "detected"
    shown = "material" if verdict.material else "changed, within tolerance"
    tests = "".join(
        f'<tr><td>{_text(t.name)}</td><td class="n">{t.statistic:.4g}</td><td class="n">{t.p_value:.2g}</td></tr>'
        for t in verdict.tests
    )
    distances = ", ".join(
        f"{_text(name)} {value:.3g}" + _interval(verdict.bounds.get(name))
        for name, value in verdict.distances.items()
    )
    return (
        f'<section class="card {state}" id="c{place}"><div>'
        f'<h2>{_text(verdict.name)}<span class="tag">{shown}</span></h2>'
        f"<p>{_text(verdict.words)}</p>{_effect(verdict.effect)}"
        f"<details><summary class='soft'>{_text(verdict.kind)}, adjusted p {verdict.p_value:.2g}: tests and distances"
        f"</summary><table><tr><th>test</th><th>statistic</th><th>p</th></tr>{tests}</table>"
        f"<p class='soft'>{distances}</p></details></div><div>{_picture(verdict.effect, before, after)}</div></section>"
    )


def _interval(bounds: tuple[float, float] | None) -> str:
    return f" ({bounds[0]:.3g} to {bounds[1]:.3g})" if bounds is not None else ""


def _effect(effect: Effect) -> str:
    """The effect's interval on a line, beside the band of the tolerance."""
    reach = 1.1 * max(abs(effect.low), abs(effect.high), 1.5 * effect.tolerance, 1e-9)

    def at(value: float) -> float:
        return round(_WIDTH / 2 * (1 + value / reach), 1)

    left, right = at(-effect.tolerance), at(effect.tolerance)
    bounds = f"{effect.low:.3g} to {effect.high:.3g}; tolerance {effect.tolerance:.3g}"
    words = f"effect {effect.value:.3g} {effect.unit}, {bounds}"
    return (
        f'<svg width="{_WIDTH}" height="18" viewBox="0 0 {_WIDTH} 18" role="img" aria-label="{_text(words)}">'
        f'<rect class="band" x="{left}" y="4" width="{max(right - left, 3):.1f}" height="10"/>'
        f'<line class="axis" x1="{_WIDTH / 2}" x2="{_WIDTH / 2}" y1="1" y2="17"/>'
        f'<line class="cur" x1="{at(effect.low)}" x2="{at(effect.high)}" y1="9" y2="9"/>'
        f'<circle class="dot" cx="{at(effect.value)}" cy="9" r="4"/></svg>'
    )


def _picture(effect: Effect, before: ColumnProfile | None, after: ColumnProfile | None) -> str:
    if before is None or after is None:
        return ""
    if effect.name == "nulls":
        return _shares(["null"], *(np.array([c.nulls / max(c.rows, 1)]) for c in (before, after)))
    for name in ("values", "length"):
        a, b = before.parts.get(name), after.parts.get(name)
        if isinstance(a, Grid) and isinstance(b, Grid) and a.rows and b.rows:
            return _histogram(a, b)
        if isinstance(a, Counts) and isinstance(b, Counts) and a.rows and b.rows:
            return _bars(a, b)
    return ""


def _histogram(first: Grid, second: Grid) -> str:
    first, second = union(first, second)
    low, high = (_within(first, second, q) for q in (0.005, 0.995))
    if not low < high:
        low, high = low - 1, high + 1
    borders = np.linspace(low, high, _BARS + 1)[1:-1]
    heights = [g.on(borders).counts / g.rows for g in (first, second)]
    top = max(float(h.max()) for h in heights) or 1.0
    step = _WIDTH / _BARS
    bars = "".join(_bar(i * step, h / top, step - 1) for i, h in enumerate(heights[0]) if h)
    line = _steps(heights[1] / top, step)
    ends = (
        f"{'≤ ' if min(first.low, second.low) < low else ''}{low:.4g}",
        f"{'≥ ' if max(first.high, second.high) > high else ''}{high:.4g}",
    )
    return _svg(f'{bars}<path class="cur" d="{line}"/>{_ends(*ends)}', "distribution before and after")


def _within(first: Grid, second: Grid, q: float) -> float:
    """A border of the picture: the reference's, or the current side's where that is at most a width further out."""
    width = first.quantile(0.995) - first.quantile(0.005)
    ours, theirs = first.quantile(q), second.quantile(q)
    reach = width or np.inf
    return max(min(ours, theirs), ours - reach) if q < 0.5 else min(max(ours, theirs), ours + reach)


def _bar(x: float, height: float, width: float) -> str:
    tall = round(height * _HEIGHT, 1)
    return f'<rect class="ref" x="{x:.1f}" y="{_HEIGHT - tall:.1f}" width="{width:.1f}" height="{tall}"/>'


def _steps(heights: Floats, step: float) -> str:
    points = [f"M0 {_HEIGHT}"]
    for i, height in enumerate(heights):
        points.append(f"V{_HEIGHT - height * _HEIGHT:.1f}H{(i + 1) * step:.1f}")
    return "".join(points)


def _ends(low: str, high: str) -> str:
    y = _HEIGHT + 12
    return f'<text x="0" y="{y}">{_text(low)}</text><text x="{_WIDTH}" y="{y}" text-anchor="end">{_text(high)}</text>'


def _svg(inside: str, words: str, height: int = _HEIGHT + 16) -> str:
    return (
        f'<svg width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="{_text(words)}">{inside}</svg>'
    )


def _bars(first: Counts, second: Counts) -> str:
    names, a, b = categories.union(first, second)
    p, q = a / a.sum(), b / b.sum()
    order = np.argsort(-np.maximum(p, q) - 4 * np.abs(p - q), kind="stable")[:_TOP]
    return _shares([names[i] or "(other)" for i in order.tolist()], p[order], q[order])


def _shares(names: Sequence[str], p: Floats, q: Floats) -> str:
    """Shares by name: a bar before, a line after, and both in numbers."""
    top = float(max(p.max(), q.max())) or 1.0
    rows = []
    for place, (name, before, after) in enumerate(zip(names, p.tolist(), q.tolist(), strict=True)):
        y, wide = place * 17, _WIDTH - 190
        mark = 95 + after / top * wide
        told = f"{before:.1%} → {after:.1%}"
        rows.append(
            f'<text x="90" y="{y + 11}" text-anchor="end">{_text(name[:16])}</text>'
            f'<rect class="ref" x="95" y="{y + 2}" width="{before / top * wide:.1f}" height="12"/>'
            f'<line class="cur" x1="{mark:.1f}" x2="{mark:.1f}" y1="{y}" y2="{y + 16}"/>'
            f'<text x="{_WIDTH}" y="{y + 11}" text-anchor="end">{told}</text>'
        )
    return _svg("".join(rows), "shares before and after", 17 * len(rows) + 2)


def _quiet(quiet: Sequence[ColumnVerdict]) -> str:
    if not quiet:
        return ""
    rows = "".join(
        f'<tr><td>{_text(c.name)}</td><td>{_text(c.kind)}</td><td class="n">{c.p_value:.2g}</td>'
        f'<td class="n">{c.effect.value:+.3g} {_text(c.effect.unit)}</td></tr>'
        for c in quiet
    )
    return (
        f"<details><summary>{len(quiet)} columns without a change beyond chance</summary><table>"
        f"<tr><th>column</th><th>kind</th><th>adjusted p</th><th>largest effect</th></tr>{rows}</table></details>"
    )


def _skipped(skipped: Sequence[tuple[str, str]]) -> str:
    if not skipped:
        return ""
    rows = "".join(f"<tr><td>{_text(name)}</td><td>{_text(reason)}</td></tr>" for name, reason in skipped)
    return f"<details open><summary>not compared: {len(skipped)}</summary><table>{rows}</table></details>"
