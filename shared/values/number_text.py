"""Numbers as people and programs write them: signs, groups of thousands, decimal points and decimal commas."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

POINT, COMMA = "point", "comma"
"""What separates the fraction: 1,234.56 or 1.234,56."""

_GROUPS = "[ \u00a0\u2007\u2008\u2009\u202f'\u2019]"
_DASHES = "[\u2212\u2013\u2012\ufe63\uff0d]"
"""What stands for a minus where a number follows."""
_SIGN = "^[+\u2212\u2013\u2012\ufe63\uff0d-]?"
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
CODE = r"^(0(\d+([.,]\d*|[eE]\d+)?|[xX][0-9a-fA-F]+)|\+\d{9,15})$"
"""Leading zeros, as in postal codes, and the plus of telephone numbers would be lost."""
WITH_E = r"^\d+[eE]\d+$"
"""12E45 may be a code; programs write a point or a sign into numbers with an exponent."""
VANISHING = r"[1-9].*[eE]-\d{3,}$"
"""May be too small for a 64-bit float."""
SHORTENED = r"^-?\d(\.\d{1,5})?E\+(1[1-9]|[2-9]\d)$"
"""How Excel shows and exports numbers of twelve and more digits: all but six of them are lost."""
LONG_FRACTION = r"^[+-]?[0.,]*[1-9][.,' ]?(\d[.,' ]?){17,}$"
"""More digits than a 64-bit float keeps apart."""
LONG = r"^[+-]?\d{16}(\d|$)"
"""May be more than a 64-bit float keeps apart."""
LONG_GROUPS = (
    rf"^[+-]?([1-9]\d{{0,2}}((,\d{{3}}){{5,}}|(\.\d{{3}}){{5,}}|({_GROUPS}\d{{3}}){{5,}})"
    r"|[1-9]\d?(,\d\d){6,},\d{3})$"
)
"""Whole numbers of sixteen digits and more, in groups."""
INFINITE = r"(?i)^([+-]?inf(inity)?|[+-]?1\.#inf)$"

_NUMBER = r"\d[\d.,'\s\x{a0}\x{2007}-\x{2009}\x{202f}\x{2019}]*"
_MONEY = r"%|‰|[$€£¥₹₽₺₩₪฿₫₴₦₱₿¢]|[A-Z]{1,3}\$|[A-Z]{3}|[Kk]r\.?|zł|Kč|Ft|lei|Rs\.?|Fr\.?|S/|руб\.?"
_MEASURE = (
    r"[kmg]|kg|mg|lbs?|oz|km|cm|mm|µm|ft|km/h|mph|m/s|ml|m²|m³|m2|m3|°[CF]?|[KMGT]i?B|kB|[KM]|Mio\.?|Mrd\.?|bn|ms|sec|min"
    r"|h|hrs?|days?|kW|MW|k?Wh|MWh|mA|k?Hz|[MG]Hz|bar|k?Pa|hPa|psi|px|pcs|Stk\.?|pp|bps?|yrs?|years?"
)
_AROUND = rf"({_MONEY})"
_BEHIND = rf"({_MONEY}|{_MEASURE})"
_DASH = "[+\u2212\u2013-]?"
_NO_CENTS = r"[\x{2012}-\x{2015}-]{1,2}"
"""5,- and 5.— are prices without cents, and no negative numbers."""
UNSEEN = (
    "\u00ad\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
)
"""Signs of no width, which copies from pages and tables bring along."""
DECORATED = (
    rf"^{_DASH}\s?{_AROUND}\s?{_DASH}{_NUMBER}$|^{_DASH}{_NUMBER}\s?{_BEHIND}$|"
    rf"^\(({_AROUND}\s?)?{_NUMBER}\s?{_BEHIND}?\)$|^{_AROUND}\s?\({_NUMBER}\)$|^{_NUMBER}\s?[\x{{2212}}-]$|"
    rf"^[+\x{{2212}}\x{{2013}}-]\s+{_NUMBER}$|^({_MONEY}\s?)?{_DASH}{_NUMBER}[.,]{_NO_CENTS}(\s?{_MONEY})?$|"
    rf"""^['"\x{{2018}}\x{{2019}}\x{{201c}}\x{{201d}}]{_DASH}{_NUMBER}['"\x{{2019}}\x{{201d}}]$"""
)
"""Percentages, currencies, units, the parentheses and the minus behind of bookkeepers, quotes: text, unless a person
says that they are numbers."""
UNUSUAL = (
    r"^[+-]?(\d{1,3}([_`\x{b4}\x{b7}\x{2bc}\x{2d9}\x{2018}\x{2032}\x{66c}\x{ff07}]\d{3})+([.,\x{66b}]\d+)?|\d{1,4}(,\d{4})+|\d[\d.,]*([dD][+-]?\d+|\s?[x×*]\s?10\^?[+-]?\d+)"
    r"|[+-]?\d[\d.,]*\+|[<>~≈≤≥]=?\s?[+-]?\d[\d.,]*|[\d.,\x{66b}\x{66c}]*[\x{660}-\x{669}\x{6f0}-\x{6f9}\x{966}-\x{96f}"
    r"\x{ff10}-\x{ff19}][\p{Nd}.,\x{66b}\x{66c}]*|\d+ \d+/\d+|\d* ?[¼½¾⅓⅔⅛]"
    rf"|{_NUMBER}(CR|DR|Cr\.?|Dr\.?)|\({_NUMBER}\)\s?{_MONEY}|{_DASH}\({_DASH}{_NUMBER}\)|\d{{1,3}}[.,]\d+\s?°?\s?[NSEW]"
    rf"""|('|="?){_DASH}(0?[.,]\d+|0|[1-9]\d*([.,]\d+)*)"?|[{UNSEEN}]+{_DASH}{_NUMBER}[{UNSEEN}]*|{_DASH}{_NUMBER}[{UNSEEN}]+)$"""
)
"""1_234 1.5D+03 <5 1 1/2 '5 ="5" digits of other scripts, and numbers with signs that nobody sees: read by nobody as
numbers, and told."""


def bare(words: pa.Array) -> pa.Array:
    """The numbers without what DECORATED allows around them."""
    words = pc.replace_substring_regex(words, rf"(\d)([.,]){_NO_CENTS}(\s|$)", r"\1\20\3")
    words = pc.replace_substring_regex(words, rf"^{_AROUND}\s?\((.*)\)$", r"-\2")
    words = pc.replace_substring_regex(words, r"^\((.*)\)$", r"-\1")
    words = pc.replace_substring_regex(words, r"^(.*?)\s?[\x{2212}-]$", r"-\1")
    words = pc.replace_substring_regex(
        words, r"""['"\x{2018}\x{2019}\x{201c}\x{201d}]$|^['"\x{2018}\x{201c}]""", ""
    )
    words = pc.replace_substring_regex(words, rf"^({_DASH})\s?{_AROUND}\s?", r"\1")
    words = pc.replace_substring_regex(words, r"^([+\x{2212}\x{2013}-])\s+", r"\1")
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(words, rf"\s?{_BEHIND}$", ""))


def signs(words: pa.Array) -> list[str]:
    """The currencies and units around decorated numbers, each once; not what only says that they are negative."""
    around = pc.replace_substring_regex(words, _NUMBER, "")
    units = pc.replace_substring_regex(
        around, r"""[()+\x{2212}\x{2012}-\x{2015}\s'"\x{2018}\x{2019}\x{201c}\x{201d}-]""", ""
    )
    return list(pc.unique(units).to_pylist())


def plain(words: pa.Array, style: str) -> pa.Array:
    """Words that the grammar of a style holds, written as Arrow reads numbers."""
    words = pc.replace_substring_regex(words, _GROUPS, "")
    words = pc.replace_substring_regex(words, f"^{_DASHES}", "-")
    words = pc.replace_substring_regex(words, r"^\+", "")
    if style == COMMA:
        return pc.replace_substring(pc.replace_substring(words, ".", ""), ",", ".")
    return pc.replace_substring(words, ",", "")
