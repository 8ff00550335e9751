"""What the values of columns of text show: counts of rows by what each could be, and a few examples."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from shared.intake.reader import date_text, number_text
from shared.intake.reader.date_text import CLEAR, DAY_FIRST, MONTH_FIRST
from shared.intake.reader.nulls import AMONG_VALUES
from shared.intake.reader.number_text import COMMA, POINT

_TRUTH, _MARKERS = pa.array(["true", "false"]), pa.array(AMONG_VALUES)
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
_SEEN_OF_WORDS = {"infinite": number_text.INFINITE, "decorated": number_text.DECORATED}
_GROWN = r"^[+-]?\d{16,}$"


@dataclass
class Look:
    """What was seen of one column."""

    values: int = 0
    """Rows that hold something other than a null marker."""
    markers: Counter[str] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)
    """What values could be -> rows that hold such values."""
    odd: dict[str, str] = field(default_factory=dict)
    """What values could be -> one value that is none of it; for `decorated` one that is."""
    clear_dates: bool = True
    iso_dates: bool = True
    numbered_dates: bool = True
    day_first: bool = True
    month_first: bool = True
    dotted: bool = True

    def see(self, words: pa.Array, rows: pa.Array) -> None:
        """Distinct words, trimmed and without nulls, and how many rows hold each."""
        if not len(words):
            return
        plain = pc.match_substring_regex(words, number_text.PLAIN)
        numbers_only = bool(pc.all(plain, min_count=0).as_py())
        if not numbers_only:
            words, rows = self._without_markers(words, rows)
        self.values += pc.sum(rows).as_py() or 0
        for what, pattern in (_SEEN if numbers_only else {**_SEEN, **_SEEN_OF_WORDS}).items():
            self._count(what, words, rows, pc.match_substring_regex(words, pattern))
        self._see_long(words, rows)
        if numbers_only:
            self.clear_dates = self.numbered_dates = False
            return
        self._see_bare(words, rows)
        self._count("truth", words, rows, pc.is_in(pc.utf8_lower(words), value_set=_TRUTH))
        self._see_dates(words)

    def _without_markers(self, words: pa.Array, rows: pa.Array) -> tuple[pa.Array, pa.Array]:
        marked = pc.is_in(words, value_set=_MARKERS)
        if not pc.any(marked).as_py():
            return words, rows
        found = zip(words.filter(marked).to_pylist(), rows.filter(marked).to_pylist(), strict=True)
        self.markers.update(dict(found))
        return words.filter(pc.invert(marked)), rows.filter(pc.invert(marked))

    def _count(self, what: str, words: pa.Array, rows: pa.Array, mask: pa.Array) -> None:
        self.rows[what] += pc.sum(rows.filter(mask)).as_py() or 0
        wanted = mask if what == "decorated" else pc.invert(mask)
        if what not in self.odd and pc.any(wanted).as_py():
            self.odd[what] = words.filter(wanted)[0].as_py()

    def _see_long(self, words: pa.Array, rows: pa.Array) -> None:
        """Whole numbers of many digits: those that float64 would change, and those beyond 64 bits."""
        grown = pc.match_substring_regex(words, _GROWN)
        if not pc.any(grown).as_py():
            return
        words, rows = words.filter(grown), rows.filter(grown)
        self.rows["grown"] += pc.sum(rows).as_py()
        for word, count in zip(words.to_pylist(), rows.to_pylist(), strict=True):
            if not -_LONGEST <= int(word) < _LONGEST:
                self.rows["beyond"] += count
                self.odd.setdefault("beyond", word)

    def _see_bare(self, words: pa.Array, rows: pa.Array) -> None:
        """Which form decorated numbers have, should a person say that they are numbers."""
        if self.rows["decorated"]:
            bare = number_text.bare(words)
            for style, grammar in number_text.GRAMMAR.items():
                mask = pc.match_substring_regex(bare, grammar)
                self.rows[f"bare {style}"] += pc.sum(rows.filter(mask)).as_py() or 0

    def _see_dates(self, words: pa.Array) -> None:
        if not len(words):
            return
        if self.clear_dates:
            self.clear_dates = date_text.moments(words, CLEAR) is not None
            iso = pc.match_substring_regex(words, date_text.LOOKS_ISO)
            self.iso_dates = self.iso_dates and bool(pc.all(iso, min_count=0).as_py())
        if self.numbered_dates:
            found = date_text.numbered(words)
            self.numbered_dates = found.null_count == 0
            if self.numbered_dates:
                day, month, dotted = date_text.orders(found)
                day = day and date_text.moments(words, DAY_FIRST) is not None  # no 30 February, no hour 25
                month = month and date_text.moments(words, MONTH_FIRST) is not None
                self.day_first, self.month_first = self.day_first and day, self.month_first and month
                self.dotted = self.dotted and dotted
