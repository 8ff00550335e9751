"""What the values of columns of text show: counts of rows by what each could be, and a few examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from shared.intake.reader import date_text, number_text
from shared.intake.reader.date_text import CLEAR
from shared.intake.reader.moments_of_numbers import Range
from shared.intake.reader.nulls import markers
from shared.intake.reader.number_text import COMMA, POINT

_TRUTH = pa.array(["true", "false"])
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
}
_LONG = 16
_GROWN = r"^[+-]?\d{16,}$"
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
    """What values could be -> one value that is none of it; of `decorated` and the like one that is."""
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

    def _see_numbers(self, words: pa.Array) -> None:
        self.clear_dates = self.dates.all = False
        self.odd.setdefault("truth", words[0].as_py())
        self.whole.see(words)

    def _see_words(self, words: pa.Array, rows: pa.Array, dated: pa.Array) -> None:
        self.whole.all = False
        self._see_around(words, rows)
        self._count("truth", words, rows, pc.is_in(pc.utf8_lower(words), value_set=_TRUTH))
        self.rows["dates"] += _sum(rows, dated)
        if not pc.all(dated, min_count=0).as_py():
            self.odd.setdefault("no date", words.filter(pc.invert(dated))[0].as_py())
        self._see_dates(words, rows)
        if self.rows["dates"] == self.values and not (self.clear_dates or self.dates.possible):
            self.odd.setdefault("no date", date_text.odd_one(words[:_A_LOOK], CLEAR))

    def _without_markers(self, words: pa.Array, rows: pa.Array, marked: pa.Array) -> Seen:
        if not pc.any(marked).as_py():
            return self, words, rows
        found = zip(words.filter(marked).to_pylist(), rows.filter(marked).to_pylist(), strict=True)
        self.markers.update(dict(found))
        return self, words.filter(pc.invert(marked)), rows.filter(pc.invert(marked))

    def _count(self, what: str, words: pa.Array, rows: pa.Array, mask: pa.Array) -> None:
        self.rows[what] += _sum(rows, mask)
        wanted = mask if what in _SEEN_OF_WORDS else pc.invert(mask)
        if what not in self.odd and pc.any(wanted).as_py():
            self.odd[what] = words.filter(wanted)[0].as_py()

    def _see_long(self, words: pa.Array, rows: pa.Array) -> None:
        """Whole numbers of many digits: those that float64 would change, and those beyond 64 bits."""
        long = pc.greater_equal(pc.binary_length(words), _LONG)
        if not pc.any(long).as_py():
            return
        words, rows = words.filter(long), rows.filter(long)
        self.rows["long fraction"] += _sum(rows, pc.match_substring_regex(words, number_text.LONG_FRACTION))
        grown = pc.match_substring_regex(words, _GROWN)
        if not pc.any(grown).as_py():
            return
        words, rows = words.filter(grown), rows.filter(grown)
        self.rows["grown"] += pc.sum(rows).as_py()
        for word, count in zip(words.to_pylist(), rows.to_pylist(), strict=True):
            if not -_LONGEST <= int(word) < _LONGEST:
                self.rows["beyond"] += count
                self.odd.setdefault("beyond", word)

    def _see_around(self, words: pa.Array, rows: pa.Array) -> None:
        """What stands around numbers, and which form they have should a person say that they are numbers."""
        if len(self.strange) <= FEW:
            number = pc.match_substring_regex(words, number_text.GRAMMAR[POINT])
            self.strange.update(words.filter(pc.invert(number))[: FEW + 1].to_pylist())
        decorated = pc.match_substring_regex(words, number_text.DECORATED)
        if pc.any(decorated).as_py():
            self.signs.update(number_text.signs(words.filter(decorated))[: FEW + 1])
            bare = number_text.bare(words)
            for style, grammar in number_text.GRAMMAR.items():
                mask = pc.match_substring_regex(bare, grammar)
                self.rows[f"bare {style}"] += _sum(rows, mask)

    def _see_dates(self, words: pa.Array, rows: pa.Array) -> None:
        if not len(words):
            return
        if self.clear_dates:
            self.clear_dates = date_text.moments(words, CLEAR) is not None
            iso = pc.match_substring_regex(words, date_text.LOOKS_ISO)
            self.iso_dates = self.iso_dates and bool(pc.all(iso, min_count=0).as_py())
            self.rows["fine"] += _sum(rows, pc.match_substring_regex(words, date_text.FINE))
        if self.dates.all:
            self.dates.see(words)


def see_all(columns: Iterable[Seen]) -> None:
    """The same of several columns at once: in small files most of the time makes expressions ready to be matched, and
    here each is made ready once for all."""
    seen = [column for column in columns if len(column[1])]
    numbers, others = list[Seen](), list[Seen]()
    for column, plain in _each(seen, lambda words: pc.match_substring_regex(words, number_text.PLAIN)):
        (numbers if pc.all(plain, min_count=0).as_py() else others).append(column)
    others = [
        look._without_markers(words, rows, marked) for (look, words, rows), marked in _each(others, markers)
    ]
    for look, words, rows in (*numbers, *others):
        look.values += pc.sum(rows).as_py() or 0
        look._see_long(words, rows)
    for what, pattern, matched in (
        *((what, pattern, [*numbers, *others]) for what, pattern in _SEEN.items()),
        *((what, pattern, others) for what, pattern in _SEEN_OF_WORDS.items()),
    ):
        for (look, words, rows), mask in _each(matched, partial(pc.match_substring_regex, pattern=pattern)):
            look._count(what, words, rows, mask)
    for look, words, _ in numbers:
        look._see_numbers(words)
    for (look, words, rows), dated in _each(others, date_text.dates):
        look._see_words(words, rows, dated)


def _each(columns: Sequence[Seen], of: Callable[[pa.Array], pa.Array]) -> Iterator[tuple[Seen, pa.Array]]:
    """Each column beside what `of` makes of its words."""
    if not columns:
        return
    made = of(pa.concat_arrays([words for _, words, _ in columns]) if len(columns) > 1 else columns[0][1])
    first = 0
    for column in columns:
        yield column, made.slice(first, len(column[1]))
        first += len(column[1])


def _sum(rows: pa.Array, mask: pa.Array) -> int:
    return int(pc.sum(rows.filter(mask)).as_py() or 0)
