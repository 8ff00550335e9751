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
LONG_DIGITS = 16
"""Whole numbers of fewer are as exact as floats of 64 bits."""
LONG_FRACTION = r"^[+-]?[0.,]*[1-9][.,' ]?(\d[.,' ]?){17,}$"
"""More digits than a 64-bit float keeps apart."""
LONG_GROUPS = (
    rf"^[+-]?([1-9]\d{{0,2}}((,\d{{3}}){{5,}}|(\.\d{{3}}){{5,}}|({_GROUPS}\d{{3}}){{5,}})"
    r"|[1-9]\d?(,\d\d){6,},\d{3})$"
)
"""Whole numbers of so many digits and more, in groups."""
LONG_WHOLE = rf"^[+-]?\d{{{LONG_DIGITS},}}([.,]0*)?$|{LONG_GROUPS}"
"""Whole numbers that may be more than a 64-bit float keeps apart, as 9007199254740993 and 9007199254740993.0."""
LONG = f"{LONG_WHOLE}|{LONG_FRACTION}"
INFINITE = r"(?i)^([+-]?inf(inity)?|[+-]?1\.#inf)$"

_NUMBER = r"\d[\d.,'\s\x{a0}\x{2007}-\x{2009}\x{202f}\x{2019}]*"
_MONEY = "(" + "|".join((
    "%|‰|[$€£¥₹₽₺₩₪฿₫₴₦₱₿¢]",
    r"[A-Z]{1,3}\$|[A-Z]{3}",  # US$ EUR
    r"[Kk]r\.?|zł|Kč|Ft|lei|Rs\.?|Fr\.?|S/|руб\.?",
)) + ")"  # fmt: skip
_MEASURE = "(" + "|".join((
    "[kmg]|kg|mg|lbs?|oz",
    "km|cm|mm|µm|ft|m²|m³|m2|m3|ml",
    "km/h|mph|m/s",
    "°[CF]?",
    "[KMGT]i?B|kB",
    r"[KM]|Mio\.?|Mrd\.?|bn",
    "ms|sec|min|h|hrs?|days?|yrs?|years?",
    "kW|MW|k?Wh|MWh|mA|k?Hz|[MG]Hz",
    "bar|k?Pa|hPa|psi",
    r"px|pcs|Stk\.?|pp|bps?",
)) + ")"  # fmt: skip
_BEHIND = f"({_MONEY}|{_MEASURE})"
_DASH = "[+\u2212\u2013-]?"
_NO_CENTS = r"[\x{2012}-\x{2015}-]{1,2}"
"""5,- and 5.— are prices without cents, and no negative numbers."""
UNSEEN = (
    "\u00ad\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
)
"""Signs of no width, which copies from pages and tables bring along."""
DECORATED = "^(" + "|".join((
    rf"{_DASH}\s?{_MONEY}\s?{_DASH}{_NUMBER}",  # € 5, -$ 5, $ -5
    rf"{_DASH}{_NUMBER}\s?{_BEHIND}",  # 5 %, 5 kg
    rf"\(({_MONEY}\s?)?{_NUMBER}\s?{_BEHIND}?\)",  # (5), ($ 5), (5 €)
    rf"{_MONEY}\s?\({_NUMBER}\)",  # $ (5)
    rf"{_NUMBER}\s?[\x{{2212}}-]",  # 5-
    rf"[+\x{{2212}}\x{{2013}}-]\s+{_NUMBER}",  # - 5
    rf"({_MONEY}\s?)?{_DASH}{_NUMBER}[.,]{_NO_CENTS}(\s?{_MONEY})?",  # 5,- and CHF 5.— and 5,- kr
    rf"""['"\x{{2018}}\x{{2019}}\x{{201c}}\x{{201d}}]{_DASH}{_NUMBER}['"\x{{2019}}\x{{201d}}]""",  # "5"
)) + ")$"  # fmt: skip
"""Percentages, currencies, units, the parentheses and the minus behind of bookkeepers, quotes: text, unless a person
says that they are numbers."""
UNUSUAL = "^[+-]?(" + "|".join((
    r"\d{1,3}([_`\x{b4}\x{b7}\x{2bc}\x{2d9}\x{2018}\x{2032}\x{66c}\x{ff07}]\d{3})+([.,\x{66b}]\d+)?",  # 1_234
    r"\d{1,4}(,\d{4})+",  # 1,0000, as in Japan
    r"\d[\d.,]*[dD][+-]?\d+",  # 1.5D+03
    r"\d[\d.,]*\s?[x×*]\s?10\^?[+-]?\d+",  # 1.5 x 10^3
    r"[+-]?\d[\d.,]*\+",  # 5+
    r"[<>~≈≤≥]=?\s?[+-]?\d[\d.,]*",  # <5
    r"[\d.,\x{66b}\x{66c}]*[\x{660}-\x{669}\x{6f0}-\x{6f9}\x{966}-\x{96f}\x{ff10}-\x{ff19}]"
    r"[\p{Nd}.,\x{66b}\x{66c}]*",  # digits of other scripts
    r"\d+ \d+/\d+",  # 1 1/2
    r"\d* ?[¼½¾⅓⅔⅛]",
    rf"{_NUMBER}([CD]R|[CD]r\.?)",  # 5.00 CR
    rf"\({_NUMBER}\)\s?{_MONEY}",  # (5) €
    rf"{_DASH}\({_DASH}{_NUMBER}\)",  # (-5)
    r"\d{1,3}[.,]\d+\s?°?\s?[NSEW]",  # 48.85N
    rf"""('|="?){_DASH}(0?[.,]\d+|0|[1-9]\d*([.,]\d+)*)"?""",  # '5 ="5"
    rf"[{UNSEEN}]+{_DASH}{_NUMBER}[{UNSEEN}]*",
    rf"{_DASH}{_NUMBER}[{UNSEEN}]+",
)) + ")$"  # fmt: skip
"""1_234 1.5D+03 <5 1 1/2 '5 ="5" digits of other scripts, and numbers with signs that nobody sees: read by nobody as
numbers, and told."""


def bare(words: pa.Array) -> pa.Array:
    """The numbers without what DECORATED allows around them."""
    words = pc.replace_substring_regex(words, rf"(\d)([.,]){_NO_CENTS}(\s|{_MONEY}|$)", r"\1\20\3")
    words = pc.replace_substring_regex(words, rf"^{_MONEY}\s?\((.*)\)$", r"-\2")
    words = pc.replace_substring_regex(words, r"^\((.*)\)$", r"-\1")
    words = pc.replace_substring_regex(words, r"^(.*?)\s?[\x{2212}-]$", r"-\1")
    words = pc.replace_substring_regex(
        words, r"""['"\x{2018}\x{2019}\x{201c}\x{201d}]$|^['"\x{2018}\x{201c}]""", ""
    )
    words = pc.replace_substring_regex(words, rf"^({_DASH})\s?{_MONEY}\s?", r"\1")
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
