"""Words of a column of text, each looked at once, become the values that they stand for."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from shared.values import date_text, moments_of_numbers, number_text
from shared.values.column_kinds import ARROW, BOOLEAN, DATETIME, INTEGER, LONG, NOTHING, NUMBER
from shared.values.forms import Form
from shared.values.nulls import ALWAYS, markers
from shared.values.word_sets import word_set

_BEHIND_BLANK = r'^\s+"([^"]|"")*"\s*$'


class Contradicted(Exception):
    """A row makes of a column something else than it was taken for; all of its values have to be seen."""

    def __init__(self, column: str, what: str, value: str = "") -> None:
        super().__init__(column)
        self.column, self.what, self.value = column, what, value


def trimmed(coded: pa.DictionaryArray, nulls: tuple[str, ...] = ALWAYS) -> pa.DictionaryArray:
    """The words without white space around them, and without quotes behind it, null where they say that there is no
    value. To Arrow a quote behind a blank is a sign like others; who writes blanks behind separators means quotes."""
    words = coded.dictionary
    clean = pc.utf8_trim_whitespace(words)
    if clean.equals(words):
        return coded
    if pc.any(quoted := pc.match_substring_regex(words, _BEHIND_BLANK)).as_py():
        bare = pc.replace_substring(pc.replace_substring_regex(clean, '^"|"$', ""), '""', '"')
        clean = pc.if_else(quoted, pc.utf8_trim_whitespace(bare), clean)
    clean = pc.if_else(pc.is_in(clean, value_set=word_set(*nulls)), None, clean)
    again = clean.dictionary_encode()
    return pa.DictionaryArray.from_arrays(pc.take(again.indices, coded.indices), again.dictionary)


def distinct(column: pa.ChunkedArray) -> tuple[pa.Array, pa.Array]:
    """Words that rows hold, and how many rows hold each."""
    if not len(column):
        return pa.array([], pa.string()), pa.array([], pa.int64())
    counted = pc.value_counts(column.cast(pa.string()).combine_chunks().drop_null())
    return counted.field(0), counted.field(1)


def converted(coded: pa.DictionaryArray, name: str, form: Form) -> pa.Array:
    """The values of trimmed words; `Contradicted` when a word that some row holds is none of the form."""
    words = coded.dictionary
    if form.kind == LONG:
        whole = (pc.match_substring_regex(words, pattern) for pattern in number_text.WHOLE.values())
        _check(words, pc.or_(*whole), name)
        return coded
    words = pc.if_else(markers(words), pa.scalar(None, pa.string()), words)
    return pc.take(_VALUES[form.kind](words, name, form), coded.indices)


def _check(words: pa.Array, fits: pa.Array, name: str, what: str = "values") -> None:
    """That all words fit; else one that does not is named."""
    wrong = words.filter(pc.fill_null(pc.invert(fits), False))
    if len(wrong):
        raise Contradicted(name, what, wrong[0].as_py())


def _nothing(words: pa.Array, name: str, form: Form) -> pa.Array:
    _check(words, pc.is_null(words), name)
    return pa.nulls(len(words))


def _times(words: pa.Array, name: str, form: Form) -> pa.Array:
    family = moments_of_numbers if form.style in moments_of_numbers.STYLES else date_text
    times = family.moments(words, form.style)
    if times is None:
        raise Contradicted(name, "values", family.odd_one(words, form.style))
    return times


def _truth(words: pa.Array, name: str, form: Form) -> pa.Array:
    lower = pc.utf8_lower(words)
    _check(words, pc.is_in(lower, value_set=word_set("true", "false", None)), name)
    return pc.equal(lower, "true")


def _numbers(words: pa.Array, name: str, form: Form) -> pa.Array:
    written = words
    if form.bare:
        words = number_text.bare(words)
    grammar = (number_text.GRAMMAR if form.kind == NUMBER else number_text.WHOLE)[form.style]
    _check(written, pc.match_substring_regex(words, grammar), name)
    if not form.bare:
        _check(words, pc.invert(pc.match_substring_regex(words, number_text.CODE)), name, "codes")
    try:
        return pc.cast(number_text.plain(words, form.style), ARROW[form.kind])
    except pa.ArrowInvalid:
        raise Contradicted(name, "values") from None


_VALUES = {NOTHING: _nothing, DATETIME: _times, BOOLEAN: _truth, NUMBER: _numbers, INTEGER: _numbers}
