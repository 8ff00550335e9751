"""How people and programs write that there is no value."""

from __future__ import annotations

ALWAYS = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null")
"""No value in any column."""

AMONG_VALUES = (
    "None", "none", "NONE", "Null", "NAN", "Nan", "na", "n.a.", "N.A.", "nil", "Nil", "NIL", "NaT", "<NA>",
    "\\N", "(null)", "(NULL)", "<null>", "<NULL>", "[null]", "[NULL]", "#NULL!", "#N/A N/A", "#NA",
    "#DIV/0!", "#VALUE!", "#REF!", "#NUM!", "#NAME?", "-", "--", "---", "\u2013", "\u2014", ".", "..", "...", "?", "*",
    "missing", "Missing", "MISSING", "(missing)", "unknown", "Unknown", "UNKNOWN", "(blank)", "(empty)",
)  # fmt: skip
"""No value in a column of numbers, times or truth values, and told; in a column of text they are words."""
