"""What columns of text are read as: by what their values show, by what a person said, and with every doubt told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from shared.intake.rejections import quoted, rejected
from shared.values.column_kinds import BOOLEAN, DATETIME, INTEGER, LONG, NOTHING, NUMBER, STRING
from shared.values.date_text import CLEAR, DAY_FIRST, MONTH_FIRST, YEAR_FIRST
from shared.values.evidence import FEW, Look
from shared.values.moments_of_numbers import CLOCK, COMPACT, DAYS_FIRST, EXCEL, MONTHS_FIRST
from shared.values.nulls import sure
from shared.values.number_text import COMMA, POINT

MOSTLY = 0.95
_FEW_LONG = 0.05
_WORTH_TELLING = 0.5
_FEW_NUMBERS = 0.1
"""Such a share of numbers beside a few words is told: the words may say that a value is missing."""


STYLES, ORDERS = {POINT, COMMA}, {DAY_FIRST, MONTH_FIRST, YEAR_FIRST}


@dataclass(frozen=True)
class Form:
    """What a column of text is read as."""

    kind: str
    style: str = ""
    """POINT or COMMA of numbers; of times CLEAR, the order of their parts, or what numbers count."""
    native: bool = False
    """Arrow's own conversion reads every value that was seen; otherwise the words are converted after it."""
    bare: bool = False
    """A person said that these are numbers: signs of currencies and of percent are taken off."""
    doubt: str = ""
    """What people should know about this choice."""
    open: bool = False
    """More values may settle it otherwise: all of them have to be seen."""
    evident: bool = False
    """Other columns, or the same column elsewhere, show its style; by itself it could be another."""
    guessed: bool = False
    """Nothing shows its style, and one was taken, or none."""
    partial: bool = False
    """Only first rows were looked at: a later number may be longer than a float keeps apart."""


class NoTime(Exception):
    """A person says that a column holds times, and this value is none."""

    def __init__(self, column: str, value: str) -> None:
        super().__init__(column)
        self.column, self.value = column, value


TEXT = Form(STRING, native=True)
EMPTY = Form(NOTHING, native=True)


def settle(
    looks: Mapping[str, Look],
    separator: str,
    said: Mapping[str, str],
    before: Mapping[str, str],
    *,
    hints: Mapping[str, str] | None = None,
    final: bool = False,
) -> dict[str, Form]:
    """The form of each column of one file: `said` by a person, else as its values and its neighbours show.

    `before` are the types of the version before, `hints` the styles that other files show. `open` forms remain
    until `final`, when all values have been seen: then what cannot be told is chosen, with a doubt, or refused.
    `NoTime` where a person says that there are times and there are none.
    """
    forms = {
        name: _alone(name, look, said.get(name, ""), before.get(name, "")) for name, look in looks.items()
    }
    if not final:
        return forms
    styles = {name: style for name, look in looks.items() if (style := decided(look))}
    shown, known = {*styles.values()}, still(hints or {}, styles)
    for name, form in forms.items():
        own = {known.get(name, "")}
        if form.open and form.kind in (NUMBER, INTEGER):
            forms[name] = _with_style(looks[name], form, (own & STYLES) or (shown & STYLES), separator)
        elif form.open and form.kind == DATETIME:
            asked = said.get(name) == "time"
            needed = asked or before.get(name) == DATETIME
            forms[name] = _with_order(name, looks[name], own & ORDERS, shown & ORDERS, needed=needed)
    return forms


def still(hints: Mapping[str, str], styles: Mapping[str, str]) -> dict[str, str]:
    """The hints of a kind, numbers or dates, that no column contradicts: else these files are written in another way.
    An empty hint says that others differ."""
    pairs = [(hints[name], style) for name, style in styles.items() if name in hints]
    changed = [
        kind
        for kind in (STYLES, ORDERS)
        if any(old != new and {old, new} <= {*kind, ""} for old, new in pairs)
    ]
    return {name: style for name, style in hints.items() if not any(style in kind for kind in changed)}


def decided(look: Look) -> str:
    """The style of numbers or the order of dates that the values of a column show beyond doubt."""
    if not look.values or (look.rows["code"] and not look.dates.possible):
        return ""
    fits = [style for style in (POINT, COMMA) if look.rows[style] == look.values]
    if len(fits) == 1:
        return fits[0]
    dates = look.dates
    return dates.order() if dates.possible and not dates.by_spread and not dates.both_orders else ""


def shown(look: Look, form: Form) -> str:
    """The style that a column was read with, where something showed it: others of its name are read alike."""
    return decided(look) or (form.style if form.evident else "")


def _alone(name: str, look: Look, said: str, before: str) -> Form:
    if said in ("text", "id", "category") and (said == "text" or not _by_value(look, said, before)):
        return TEXT
    if said in (*ORDERS, "time"):
        return _stated_time(name, look, said)
    if said in ("number", "number-point", "number-comma"):
        return _stated_number(name, look, said)
    if not look.values:
        return _empty(look, before)
    if look.rows["code"]:
        return TEXT
    numbers = _numbers(look)
    if numbers is not None:
        return _told_of_codes(look, _told_of_times(look, numbers, before))
    if look.rows["truth"] == look.values:
        return Form(BOOLEAN, native=not look.markers)
    return _times(look) or _text(look, before)


def _empty(look: Look, before: str) -> Form:
    """No value, or what says so among values: in a column of words it is a word like others."""
    if not look.markers:
        return EMPTY
    words = before == STRING or not sure(list(look.markers))
    return replace(TEXT, open=True) if words else Form(NOTHING, open=True)


def _by_value(look: Look, said: str, before: str) -> bool:
    """Whether the values are told apart by what they are, not by how they are written: 1 and 1.0, True and true; not
    where the version before holds them as text, as which plain whole numbers say the same."""
    numbers = not look.rows["code"] and look.values in (look.rows[POINT], look.rows[COMMA])
    numbers = numbers and not (before == STRING and look.values == look.rows["arrow whole"])
    truth = said == "category" and before != STRING and 0 < look.values == look.rows["truth"]
    return numbers or truth


def _numbers(look: Look) -> Form | None:
    """A form of numbers, `open` where point and comma both fit and differ."""
    fits = [style for style in (POINT, COMMA) if look.rows[style] == look.values]
    if not fits:
        return None
    style = fits[0]
    whole = look.rows[f"whole {style}"] == look.values
    either = look.rows["either point"] + look.rows["either comma"]
    if len(fits) == 2 and either:
        return Form(INTEGER if whole else NUMBER, open=True)
    if whole and look.rows["beyond"]:
        many = look.rows["grown"] >= _FEW_LONG * look.values
        kept = "holds whole numbers beyond 64 bits and stays text, so that none changes"
        return Form(LONG, doubt=kept, open=True) if many else None  # beside a fraction they are numbers
    if whole:
        native = look.rows["arrow whole"] == look.values and not look.markers
        return Form(INTEGER, style, native=native)
    lossy = _lossy(look)
    native = style == POINT and look.rows["plain"] == look.values and not look.markers
    return Form(NUMBER, style, native=native, doubt=lossy)


def _lossy(look: Look) -> str:
    """What is told of numbers that are no longer what they were."""
    if look.rows["rounded"]:
        return "holds whole numbers above 2^53, which a 64-bit float rounds"
    if look.rows["vanished"]:
        return f"holds numbers that are 0 as a 64-bit float, for example {quoted(look.odd['vanished'])}"
    if look.rows["long fraction"]:
        return "holds more digits than a 64-bit float keeps apart"
    shortened = look.rows["shortened"]
    if shortened and shortened + look.rows["arrow whole"] == look.values:
        return "holds numbers like 1.23457E+12, as Excel writes long ones: their other digits are lost"
    return ""


def _with_style(look: Look, form: Form, styles: set[str], separator: str) -> Form:
    """Each value has three digits after its only separator, so that it may be a thousand times as large."""
    point, comma = look.rows["either point"], look.rows["either comma"]
    if point and comma:
        words = f"holds both {quoted(look.odd.get('either comma', ''))} and values with a comma"
        return replace(TEXT, doubt=f"{words}: thousands and fractions cannot be told apart, so it stays text")
    guess = POINT if point or separator == "," else COMMA
    style = next(iter(styles)) if len(styles) == 1 else guess
    whole = look.rows[f"whole {style}"] == look.values
    read = "thousands" if (style == POINT) == bool(comma) else "a fraction"
    other = "number-comma" if style == POINT else "number-point"
    mark = "point" if point else "comma"
    doubt = (
        f"has three digits after each {mark}, read as {read}; if not, say `{other}` (data.columns, --column)"
    )
    usual = point and separator == ","
    sure = len(styles) == 1
    kept = Form(INTEGER if whole else NUMBER, style, doubt="" if usual or sure else doubt)
    kept = replace(kept, evident=sure, guessed=not sure)
    return replace(kept, native=style == POINT and look.rows["plain"] == look.values and not look.markers)


def _times(look: Look) -> Form | None:
    if look.clear_dates:
        return _clear_times(look)
    if not look.dates.possible:
        return None
    order = look.dates.order()
    if look.dates.by_spread or not order:
        return Form(DATETIME, "", open=True)
    return _in_order(order)


def _clear_times(look: Look) -> Form:
    cut = "holds times finer than microseconds, which are cut" if look.rows["fine"] else ""
    return Form(DATETIME, CLEAR, native=look.iso_dates and not look.markers, doubt=cut)


def _in_order(order: str, why: str = "") -> Form:
    doubt = f"holds dates, read with the {order.replace('-', ' ')}{why}"
    return Form(DATETIME, order, doubt=doubt, evident=True)


def _with_order(name: str, look: Look, own: set[str], shown: set[str], *, needed: bool) -> Form:
    """No value by itself shows which number is the day, or the year: the same column does in other files (`own`), or
    others in this one."""
    orders = own or shown
    if len(orders) == 1 and look.dates.allows(order := next(iter(orders))):
        like = "the same column elsewhere" if own else "other columns of the file"
        return _in_order(order, f" like {like}")
    if order := look.dates.order():
        return _in_order(order)
    parts = "the day and the year" if look.dates.by_spread else "the day and the month"
    words = f"holds dates of which {parts} cannot be told apart"
    if needed:
        raise rejected("ambiguous-dates", f"column {quoted(name)} {words}")
    say = "say `day-first`, `month-first` or `year-first` (data.columns, --column)"
    return replace(TEXT, doubt=f"{words}, so it stays text: {say}", guessed=True)


def _told_of_times(look: Look, form: Form, before: str) -> Form:
    """Numbers may count times: a date as a number moves from each drop to the next."""
    what = look.whole.likely() if not form.doubt and before in ("", NOTHING, DATETIME) else ""
    return replace(form, doubt=like_times(what, form.kind)) if what else form


def _told_of_codes(look: Look, form: Form) -> Form:
    if form.doubt or not look.rows["with e"]:
        return form
    read = f"holds {quoted(look.odd['with e'])}, read as a number with an exponent"
    return replace(form, doubt=f"{read}; if it is a code, say `text` (data.columns, --column)")


def like_times(what: str, kind: str) -> str:
    """What is told of numbers that look like times."""
    like = _SPELLED.get(what, f"{what} since 1970")
    numbers = "whole numbers" if kind == INTEGER else "numbers"
    return f"holds {numbers} that look like {like}; if they are times, say `time` (data.columns, --column)"


_SPELLED = {
    COMPACT: "dates, as in 20240131",
    CLOCK: "times, as in 20240131101500",
    EXCEL: EXCEL,
    DAYS_FIRST: "dates, as in 31012024",
    MONTHS_FIRST: "dates, as in 01312024",
}


def _text(look: Look, before: str) -> Form:
    """Text; where most of it looks like something else, that is told."""
    if before == STRING:
        return TEXT
    style = max(POINT, COMMA, key=look.rows.__getitem__)
    numbers = look.rows[style] + look.rows["infinite"]
    number = "if it is a number, say so (data.columns, --column)"
    time = "write times as in 2024-12-31T23:59:59Z"
    shares = [
        (
            look.rows["decorated"] + numbers,
            "numbers with signs or units",
            look.odd.get("decorated", ""),
            number,
        ),
        (
            look.rows["unusual"] + numbers,
            "numbers in a form that is not read",
            look.odd.get("unusual", ""),
            "write numbers as in -1234.56",
        ),
        (
            look.rows["truth"],
            "true and false, and something that is neither,",
            look.odd.get("truth", ""),
            "write true and false alone",
        ),
        (numbers, "numbers", look.odd.get(style, ""), number),
        (look.rows["dates"], "dates, and something that is none,", look.odd.get("no date", ""), time),
        (look.rows["like times"], "what looks like dates or times", look.odd.get("like times", ""), time),
        (look.rows["formula"], "formulas of Excel", look.odd.get("formula", ""), "write what they come to"),
    ]
    for rows, what, example, remedy in shares:
        mostly = rows >= _WORTH_TELLING * look.values
        marks = rows >= _FEW_NUMBERS * look.values and len(look.strange) <= FEW and what == "numbers"
        if example and (mostly or marks) and rows:
            return replace(TEXT, doubt=f"holds {what} and is text, for example {quoted(example)}; {remedy}")
    return TEXT


def spoilt(look: Look) -> bool:
    """Nearly all values are numbers: the others are mistakes rather than text."""
    if look.rows["code"] or not look.values or (look.rows["either point"] and look.rows["either comma"]):
        return False
    near = max(look.rows[POINT], look.rows[COMMA]) + look.rows["infinite"]
    return near >= MOSTLY * look.values


def _stated_number(name: str, look: Look, said: str) -> Form:
    if not look.values:
        return EMPTY if not look.markers else Form(NOTHING, open=True)
    style = {"number-point": POINT, "number-comma": COMMA}.get(said, "")
    alone = _numbers(look) if not look.rows["code"] else None
    settled = alone is not None and alone.kind != LONG and not alone.open
    if alone is not None and alone.kind != LONG and not style:
        return alone
    if settled and alone is not None and look.rows[style] == look.values:
        return replace(alone, style=style, native=alone.native and style == POINT)
    if not style:
        point, comma = (max(look.rows[each], look.rows[f"bare {each}"]) for each in (POINT, COMMA))
        style = POINT if point >= comma else COMMA
    signs = {*look.signs, ""} if look.rows[style] else look.signs
    told = f"holds numbers with different signs ({', '.join(map(quoted, sorted(signs)))}); each is read as written"
    whole = look.rows[f"whole {style}"] == look.values and not look.rows["beyond"]  # 01, 02
    return Form(INTEGER if whole else NUMBER, style, bare=True, doubt=told if len(signs) > 1 else "")


def _stated_time(name: str, look: Look, said: str) -> Form:
    if not look.values:
        return EMPTY if not look.markers else Form(NOTHING, open=True)
    if look.clear_dates:
        return _clear_times(look)
    if said != "time" and look.rows["dates"] == look.values:
        return Form(DATETIME, said)  # one that is none in this order is told where it is read
    if look.dates.possible and (found := _times(look)) is not None:
        return found
    if style := look.whole.style({DAY_FIRST: DAYS_FIRST, MONTH_FIRST: MONTHS_FIRST}.get(said, "")):
        like = _SPELLED.get(style, f"{style} since 1970")
        return Form(DATETIME, style, doubt=f"holds numbers, read as {like}")
    odd = look.odd.get("no date") or look.odd.get("truth", "")
    raise NoTime(name, odd)
