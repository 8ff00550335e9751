"""Words of a column of text, each looked at once, become the values that they stand for."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from shared.intake.reader import date_text, number_text
from shared.intake.reader.column_kinds import ARROW, BOOLEAN, DATETIME, LONG, NOTHING, NUMBER
from shared.intake.reader.forms import Form
from shared.intake.reader.nulls import ALWAYS, AMONG_VALUES

_ALWAYS, _MARKERS = pa.array(ALWAYS), pa.array(AMONG_VALUES)


class Contradicted(Exception):
    """A row makes of a column something else than it was taken for; all of its values have to be seen."""

    def __init__(self, column: str, what: str) -> None:
        super().__init__(column)
        self.column, self.what = column, what


def trimmed(coded: pa.DictionaryArray) -> pa.DictionaryArray:
    """The words without white space around them, null where they say that there is no value."""
    words = coded.dictionary
    clean = pc.utf8_trim_whitespace(words)
    if clean.equals(words):
        return coded
    clean = pc.if_else(pc.is_in(clean, value_set=_ALWAYS), None, clean)
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
    if form.kind not in ARROW and form.kind != LONG:
        raise ValueError(form.kind)
    words = coded.dictionary
    if form.kind == LONG:
        if not pc.all(pc.match_substring_regex(words, number_text.ARROW_WHOLE), min_count=0).as_py():
            raise Contradicted(name, "values")
        return coded
    words = pc.if_else(pc.is_in(words, value_set=_MARKERS), pa.scalar(None, pa.string()), words)
    values = _values(words, name, form)
    return pc.take(values, coded.indices)


def _values(words: pa.Array, name: str, form: Form) -> pa.Array:
    if form.kind == NOTHING:
        if words.null_count < len(words):
            raise Contradicted(name, "values")
        return pa.nulls(len(words))
    if form.kind == DATETIME:
        times = date_text.moments(words, form.style)
        if times is None:
            raise Contradicted(name, "values")
        return times
    if form.kind == BOOLEAN:
        lower = pc.utf8_lower(words)
        if not pc.all(
            pc.is_in(lower.drop_null(), value_set=pa.array(["true", "false"])), min_count=0
        ).as_py():
            raise Contradicted(name, "values")
        return pc.equal(lower, "true")
    return _numbers(words, name, form)


def _numbers(words: pa.Array, name: str, form: Form) -> pa.Array:
    if form.bare:
        words = number_text.bare(words)
    grammar = (number_text.GRAMMAR if form.kind == NUMBER else number_text.WHOLE)[form.style]
    if not pc.all(pc.match_substring_regex(words.drop_null(), grammar), min_count=0).as_py():
        raise Contradicted(name, "values")
    if not form.bare and pc.any(pc.match_substring_regex(words, number_text.CODE)).as_py():
        raise Contradicted(name, "codes")
    try:
        numbers = pc.cast(number_text.plain(words, form.style), ARROW[form.kind])
    except pa.ArrowInvalid:
        raise Contradicted(name, "values") from None
    return numbers
