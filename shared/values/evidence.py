"""What the values of columns of text show: counts of rows by what each could be, and a few examples."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared.values import date_text, number_text
from shared.values.date_text import CLEAR
from shared.values.joined_words import JoinedWords, Mask, Places, mask
from shared.values.moments_of_numbers import CLOCKS, Range, ranges
from shared.values.nulls import markers
from shared.values.number_text import COMMA, POINT
from shared.values.word_sets import word_set

_LONGEST = 2**63
_SEEN = {
    "plain": number_text.PLAIN,
    POINT: number_text.GRAMMAR[POINT],
    COMMA: number_text.GRAMMAR[COMMA],
    "whole point": number_text.WHOLE[POINT],
    "whole comma": number_text.WHOLE[COMMA],
    "arrow whole": number_text.ARROW_WHOLE,
    "either point": number_text.EITHER_POINT,
    "either comma": number_text.EITHER_COMMA,
    "code": number_text.CODE,
}
_SEEN_OF_WORDS = {
    "infinite": number_text.INFINITE,
    "decorated": number_text.DECORATED,
    "unusual": number_text.UNUSUAL,
    "like times": date_text.LIKE,
    "formula": "^=.",
}
_FRACTION = re.compile("[.,]")
_A_LOOK = 1000
FEW = 3
"""So many different words among numbers may be marks of what is missing; more are text."""


Seen: TypeAlias = "tuple[Look, pa.Array, pa.Array]"
"""A column's look, its distinct words, and how many rows hold each."""


@dataclass
class Look:
    """What was seen of one column."""

    values: int = 0
    """Rows that hold something other than a null marker."""
    markers: Counter[str] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)
    """What values could be -> rows that hold such values."""
    odd: dict[str, str] = field(default_factory=dict)
    """What values could be -> one value that is none of it; of `code`, `decorated` and the like one that is."""
    signs: set[str] = field(default_factory=set)
    """What stands around decorated numbers; a few of it."""
    strange: set[str] = field(default_factory=set)
    """Words that are no numbers; a few of them."""
    whole: Range = field(default_factory=Range)
    """The range of whole numbers."""
    clear_dates: bool = True
    iso_dates: bool = True
    dates: date_text.Numbered = field(default_factory=date_text.Numbered)

    def see(self, words: pa.Array, rows: pa.Array) -> None:
        """Distinct words, trimmed and without nulls, and how many rows hold each."""
        see_all([(self, words, rows)])

    def _see_sign(self, what: str, rows: int, odd: str | None) -> None:
        """How many rows hold a value of a form, and one word that tells of it."""
        self.rows[what] += rows
        if odd is not None:
            self.odd.setdefault(what, odd)

    def _see_grown(self, words: list[str], rows: list[int]) -> None:
        """Whole numbers of many digits: those that float64 would change, and those beyond 64 bits."""
        self.rows["grown"] += sum(rows)
        for word, count in zip(words, rows, strict=True):
            digits = _FRACTION.split(word)[0]
            number = int(digits)
            self.rows["rounded"] += count * (int(float(number)) != number)
            if not -_LONGEST <= number < _LONGEST and word == digits:
                self.rows["beyond"] += count
                self.odd.setdefault("beyond", word)

    def _see_around(self, words: pa.Array, rows: Places) -> None:
        """What stands around numbers, some of which are decorated, and which form they have should a person say that
        they are numbers."""
        decorated = pc.match_substring_regex(words, number_text.DECORATED)
        self.signs.update(number_text.signs(words.filter(decorated))[: FEW + 1])
        bare = number_text.bare(words)
        for style, grammar in number_text.GRAMMAR.items():
            self.rows[f"bare {style}"] += int(rows[mask(pc.match_substring_regex(bare, grammar))].sum())

    def _see_dates(self, words: pa.Array, rows: Places) -> None:
        """Words of which each is written as a date."""
        if self.clear_dates:
            self.clear_dates = date_text.moments(words, CLEAR) is not None
            iso = pc.match_substring_regex(words, date_text.LOOKS_ISO)
            self.iso_dates = self.iso_dates and bool(pc.all(iso).as_py())
            self.rows["fine"] += int(rows[mask(pc.match_substring_regex(words, date_text.FINE))].sum())
        if self.dates.all:
            self.dates.see(words)
        if self.rows["dates"] == self.values and not (self.clear_dates or self.dates.possible):
            self.odd.setdefault("no date", date_text.odd_one(words[:_A_LOOK], CLEAR))


def see_all(columns: Iterable[Seen]) -> None:
    """See columns of one file or of many at once: in small files most of the time makes expressions ready to be
    matched, and here each is made ready once for all."""
    seen = [column for column in columns if len(column[1])]
    if not seen:
        return
    joined = JoinedWords([(words, rows) for _, words, rows in seen])
    plain = joined.all(joined.matching(number_text.PLAIN))
    numbers = [column for column, whole in zip(seen, plain, strict=True) if whole]
    others = _without_markers([column for column, whole in zip(seen, plain, strict=True) if not whole])
    _see_values([*numbers, *others])
    if numbers:
        _see_numbers([look for look, _, _ in numbers], JoinedWords([column[1:] for column in numbers]))
    if others:
        _see_words([look for look, _, _ in others], JoinedWords([column[1:] for column in others]))


def _without_markers(columns: Sequence[Seen]) -> list[Seen]:
    """The columns that hold other words, too."""
    if not columns:
        return []
    joined = JoinedWords([column[1:] for column in columns])
    marked = mask(markers(joined.words))
    any_marked = joined.first(marked)
    left = []
    for place, (look, words, rows) in enumerate(columns):
        look.whole.all = False
        if any_marked[place] is not None:
            gone = pa.array(marked[joined.starts[place] : joined.stops[place]])
            found = zip(words.filter(gone).to_pylist(), rows.filter(gone).to_pylist(), strict=True)
            look.markers.update(dict(found))
            words, rows = words.filter(pc.invert(gone)), rows.filter(pc.invert(gone))
        if len(words):
            left.append((look, words, rows))
    return left


def _see_values(columns: Sequence[Seen]) -> None:
    if not columns:
        return
    looks, joined = [look for look, _, _ in columns], JoinedWords([column[1:] for column in columns])
    for look, rows in zip(looks, np.add.reduceat(joined.rows, joined.starts).tolist(), strict=True):
        look.values += rows
    numbers: dict[str, Mask] = {}
    for what, pattern in _SEEN.items():
        matched = joined.matching(pattern)
        _see_sign(looks, joined, what, matched, matched if what == "code" else ~matched)
        if what in number_text.GRAMMAR:
            numbers[what] = matched
    _see_exponents(looks, joined, numbers)
    if pc.any(pc.match_substring(joined.words, "E+")).as_py():
        shortened = joined.counts(joined.matching(number_text.SHORTENED))
        for look, rows in zip(looks, shortened, strict=True):
            look.rows["shortened"] += rows
    _see_long(looks, joined)


def _see_sign(looks: Sequence[Look], joined: JoinedWords, what: str, found: Mask, odd: Mask) -> None:
    told = zip(looks, joined.counts(found), joined.first(odd), strict=True)
    for look, rows, place in told:
        look._see_sign(what, rows, None if place is None else joined.words[place].as_py())


def _see_long(looks: Sequence[Look], joined: JoinedWords) -> None:
    places = np.flatnonzero(mask(pc.greater_equal(pc.binary_length(joined.words), number_text.LONG_DIGITS)))
    if not len(places):
        return
    words, column = joined.words.take(pa.array(places)), joined.column(places)
    fraction = mask(pc.match_substring_regex(words, number_text.LONG_FRACTION))
    grouped = mask(pc.match_substring_regex(words, number_text.LONG_GROUPS))
    if grouped.any():
        bare = pc.replace_substring_regex(words, r"[^\d+-]", "")
        words = pc.if_else(pa.array(grouped), bare, words)
    grown = mask(pc.match_substring_regex(words, number_text.LONG_WHOLE))
    for number in np.unique(column[fraction | grown]).tolist():
        own = column == number
        looks[number].rows["long fraction"] += int(joined.rows[places[own & fraction]].sum())
        digits = words.filter(pa.array(own & grown)).to_pylist()
        looks[number]._see_grown(digits, joined.rows[places[own & grown]].tolist())


def _see_numbers(looks: Sequence[Look], joined: JoinedWords) -> None:
    for place, (look, found) in enumerate(zip(looks, ranges(joined), strict=True)):
        look.clear_dates = look.dates.all = False
        look.odd.setdefault("truth", joined.words[int(joined.starts[place])].as_py())
        look.whole.add(*found)
        if look.whole.like_clocks and not look.whole.clocks:
            words = joined.of(place)
            odd = words.filter(pc.invert(pc.match_substring_regex(words, CLOCKS)))
            look.odd.update({"no date": odd[0].as_py()} if len(odd) else {})


def _see_exponents(looks: Sequence[Look], joined: JoinedWords, numbers: Mapping[str, Mask]) -> None:
    """What may be a code, and what a float makes 0 of, among the numbers of each style."""
    powers = mask(pc.match_substring(joined.words, "e", ignore_case=True))
    for style, fits in numbers.items():
        places = np.flatnonzero(powers & fits)
        if not len(places):
            continue
        words = joined.words.take(pa.array(places))
        small = pc.match_substring_regex(words, number_text.VANISHING)
        small = pc.and_(small, pc.equal(pc.cast(number_text.plain(words, style), pa.float64()), 0))
        with_e = pc.match_substring_regex(words, number_text.WITH_E)
        for what, found in (("with e", with_e), ("vanished", small)):
            among = np.zeros_like(powers)
            among[places[mask(found)]] = True
            _see_sign(looks, joined, what, among, among)
            powers &= ~among


def _see_words(looks: Sequence[Look], joined: JoinedWords) -> None:
    number = joined.matching(number_text.GRAMMAR[POINT])
    matched = {what: joined.matching(pattern) for what, pattern in _SEEN_OF_WORDS.items()}
    for what, found in matched.items():
        _see_sign(looks, joined, what, found, found)
    decorated = joined.first(matched["decorated"])
    truth = mask(pc.is_in(pc.utf8_lower(joined.words), value_set=word_set("true", "false")))
    _see_sign(looks, joined, "truth", truth, ~truth)
    dated = mask(date_text.dates(joined.words))
    told = zip(looks, joined.counts(dated), joined.first(~dated), strict=True)
    for place, (look, rows, undated) in enumerate(told):
        if len(look.strange) <= FEW:
            look.strange.update(joined.of(place, ~number)[: FEW + 1].to_pylist())
        if decorated[place] is not None:
            look._see_around(joined.of(place), joined.rows_of(place))
        look.rows["dates"] += rows
        if undated is None:
            look._see_dates(joined.of(place), joined.rows_of(place))
        else:
            look.odd.setdefault("no date", joined.words[undated].as_py())
            look.clear_dates = look.dates.all = False
