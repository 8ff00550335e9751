"""How people and programs write that there is no value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared.values import date_text
from shared.values.arrow_columns import computable
from shared.values.column_kinds import ARROW, DATETIME
from shared.values.word_sets import word_set

ALWAYS = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null")
"""No value in any column."""

_PLAIN = (
    "none", "null", "nan", "na", "n.a.", "n. a.", "n/a", "n\\a", "@na", "nil", "nat", "\\n", "\\\\n",
    "-nan", "+nan", "nan(ind)", "-nan(ind)", "1.#qnan", "-1.#qnan", "1.#snan", "1.#ind", "-1.#ind",
    "missing", "unknown", "undefined", "blank", "empty", "not available", "not applicable", "no data", "no value",
)  # fmt: skip
"""These say so even where a column holds nothing else."""

AMONG_VALUES = (
    *_PLAIN,
    "unk", "undef", "void", "tbd", "tba", "not known", "not reported", "nd", "n.d.", "n/d", "nr", "n.r.", "n/r",
    "k.a.", "k. a.", "k/a", "keine angabe", "keine angaben", "unbekannt", "fehlt", "fehlend", "leer", "entfällt",
    "n.v.", "n. v.", "n/v", "nc", "n.c.", "n/c", "non disponible", "non renseigné", "inconnu", "vide", "manquant",
    "s.d.", "s/d", "sin dato", "sin datos", "no disponible", "desconocido", "vacío", "vacio", "nulo",
    "não disponível", "sem dados", "desconhecido", "vazio", "non disponibile", "sconosciuto", "mancante", "vuoto",
    "onbekend", "leeg", "ontbreekt", "b/d", "b.d.", "brak", "brak danych", "nieznany", "okänd", "saknas", "ukjent",
    "ukendt", "mangler", "ei tietoa", "neznámý", "ismeretlen", "bilinmiyor", "yok", "нет", "нет данных", "н/д",
    "неизвестно", "不明", "なし", "無し", "無", "无", "缺失", "未知", "없음",
)  # fmt: skip
"""No value in a column of numbers, times or truth values, in any case and in brackets or quotes, and told; in a column
of text they are words."""

_WORDS = tuple(word.lower() for word in AMONG_VALUES)
_NO_DATE = r"^(0000[-/.]00[-/.]00|00[-/.]00[-/.]00(00)?)([ T][0:.]+(Z|[+-]00:?00)?)?$"
"""How MySQL and SAP write it."""
_SIGNS = r"^[^\pL\pN]+$"
"""Dashes, points, question marks, ##### (what Excel shows of what does not fit)."""
_ERRORS = r"^#[\pL\d/¡¿_ ]*\pL[\pL\d/¡¿_ ]*[!?]?$"
"""What Excel writes in place of a value, in any language: #DIV/0! #WERT! #NV #N/D"""
_RARE = ((r"^[^A-Za-z0-9]+$", _SIGNS), (r"^#", _ERRORS))
"""Letters of all scripts take Arrow milliseconds at each call; the first of each pair, which is quick, is found in
every word that the second is found in."""
_QUOTED = r"""^[(<\[{"'](.*)[)>\]}"']$"""


def markers(words: pa.Array) -> pa.Array:
    """Which words say, among values, that there is none."""
    return _markers(words, _WORDS)


def sure(words: list[str]) -> bool:
    """Whether such markers are no words of a column that holds nothing else: `NC` may be North Carolina."""
    return bool(pc.all(_markers(pa.array(words, pa.string()), _PLAIN), min_count=0).as_py())


def _markers(words: pa.Array, known: tuple[str, ...]) -> pa.Array:
    bare = pc.utf8_lower(pc.utf8_trim_whitespace(pc.replace_substring_regex(words, _QUOTED, r"\1")))
    found = pc.or_(pc.is_in(bare, value_set=word_set(*known)), pc.equal(bare, ""))
    found = pc.or_(found, pc.match_substring_regex(words, _NO_DATE))
    for quick, pattern in _RARE:
        if pc.any(pc.match_substring_regex(words, quick)).as_py():
            found = pc.or_(found, pc.match_substring_regex(words, pattern))
    return found


def without(column: pa.Array | pa.ChunkedArray, said: Sequence[str]) -> pa.Array | pa.ChunkedArray:
    """A typed column without the numbers, times and truth values that a person says mean no value, however they are
    written."""
    halves, column = pa.types.is_float16(column.type), computable(column)
    numbers = [number for text in said if (number := _number(text)) is not None]
    if pa.types.is_timestamp(column.type):
        times = (date_text.moment(text) for text in said)
        meant = pa.array([time.as_py() for time in times if time is not None], ARROW[DATETIME])
    elif pa.types.is_boolean(column.type):
        meant = pa.array(
            [word == "true" for text in said if (word := text.lower()) in ("true", "false")], pa.bool_()
        )
    elif pa.types.is_integer(column.type):
        bits = column.type.bit_width
        least = -(2 ** (bits - 1)) if pa.types.is_signed_integer(column.type) else 0
        held = (number for number in numbers if least <= number < least + 2**bits)
        meant = pa.array([whole for number in held if (whole := int(number)) == number], column.type)
    elif pa.types.is_decimal(column.type):
        meant = pa.array([number for number in numbers if _fits(number, column.type)], column.type)
    elif pa.types.is_floating(column.type):
        kinds = (float, np.float16) if halves else (float, np.float32)  # what the fewer bits make of a number
        with np.errstate(over="ignore"):
            both = [float(kind(float(number))) for number in numbers for kind in kinds]
        meant = pa.array(both, pa.float64()).cast(column.type, safe=False)
        meant = meant.filter(pc.is_finite(meant))  # too large for the fewer bits is not infinite
    else:
        return column
    gone = pc.is_in(column, value_set=meant.cast(column.type, safe=False))
    return pc.if_else(gone, pa.scalar(None, column.type), column)


def _fits(number: Decimal, kind: pa.DataType) -> bool:
    """Whether decimals of this type can be so."""
    try:
        pa.scalar(number, kind)
    except pa.ArrowInvalid:
        return False
    return True


def _number(text: str) -> Decimal | None:
    """-999 or 1e9, as it is written; None for any other text."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() and math.isfinite(number) else None
