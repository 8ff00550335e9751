"""Numbers as people and programs write them: signs, groups of thousands, decimal points and decimal commas."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

POINT, COMMA = "point", "comma"
"""What separates the fraction: 1,234.56 or 1.234,56."""

_GROUPS = "[ \u00a0\u202f\u2009'\u2019]"
_SIGN = "^[+\u2212-]?"
_BLANK_GROUPS = rf"[1-9]\d{{0,2}}({_GROUPS}\d{{3}})+"
_POINT_WHOLE = rf"({_BLANK_GROUPS}|[1-9]\d{{0,2}}(,\d{{3}})+|[1-9]\d?(,\d\d)*,\d{{3}}|\d+)"
_COMMA_WHOLE = rf"({_BLANK_GROUPS}|[1-9]\d{{0,2}}(\.\d{{3}})+|\d+)"
_POWER = r"([eE][+-]?\d+)?$"

PLAIN = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
"""What needs no second thought: Arrow reads it as it is."""
ARROW_WHOLE = r"^-?\d+$"
GRAMMAR = {
    POINT: rf"{_SIGN}({_POINT_WHOLE}(\.\d*)?|\.\d+){_POWER}",
    COMMA: rf"{_SIGN}({_COMMA_WHOLE}(,\d*)?|,\d+){_POWER}",
}
WHOLE = {POINT: rf"{_SIGN}{_POINT_WHOLE}$", COMMA: rf"{_SIGN}{_COMMA_WHOLE}$"}
EITHER_POINT = r"^[+-]?[1-9]\d{0,2}\.\d{3}$"
EITHER_COMMA = r"^[+-]?[1-9]\d{0,2},\d{3}$"
"""Three digits after the only separator: a fraction in one form, thousands in the other."""
CODE = r"^0(\d+([.,]\d*)?|[xX][0-9a-fA-F]+)$"
"""Leading zeros, as in postal codes, would be lost."""
INFINITE = r"(?i)^[+-]?inf(inity)?$"

_NUMBER = r"\d[\d.,'\s\x{a0}\x{202f}\x{2009}\x{2019}]*"
_UNIT = r"(%|‰|[$€£¥₹]|[A-Z]{3}|US\$)"
DECORATED = (
    rf"^[+\x{{2212}}-]?\s?{_UNIT}\s?[+\x{{2212}}-]?{_NUMBER}$|"
    rf"^[+\x{{2212}}-]?{_NUMBER}\s?{_UNIT}$|^\(({_UNIT}\s?)?{_NUMBER}\s?{_UNIT}?\)$"
)
"""Percentages, currencies, and the parentheses of bookkeepers: text, unless a person says that they are numbers."""


def bare(words: pa.Array) -> pa.Array:
    """The numbers without what DECORATED allows around them."""
    words = pc.replace_substring_regex(words, r"^\((.*)\)$", r"-\1")
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(words, rf"\s?{_UNIT}\s?", ""))


def plain(words: pa.Array, style: str) -> pa.Array:
    """Words that the grammar of a style holds, written as Arrow reads numbers."""
    words = pc.replace_substring_regex(words, _GROUPS, "")
    words = pc.replace_substring(words, "\u2212", "-")
    words = pc.replace_substring_regex(words, r"^\+", "")
    if style == COMMA:
        return pc.replace_substring(pc.replace_substring(words, ".", ""), ",", ".")
    return pc.replace_substring(words, ",", "")
