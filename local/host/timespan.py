""".NET's TimeSpan.Parse, whose surprises decide how long things last: "24:00:00" is 24 days."""

import re

_PLAIN_DAYS = re.compile(r"(\d+)")
_DOTTED = re.compile(r"(?:(\d+)\.)?(\d+):(\d+)(?::(\d+)(?:\.(\d{1,7}))?)?")
_FOUR = re.compile(r"(\d+):(\d+):(\d+):(\d+)(?:\.(\d{1,7}))?")
_LONGEST_S = 10_675_199 * 86_400


def seconds(text: str) -> float | None:
    """Seconds that the text means, None when .NET does not read it as a TimeSpan."""
    text = text.strip()
    sign, text = (-1, text[1:]) if text.startswith("-") else (1, text)
    if not text.isascii():
        return None
    found = _read(text)
    return None if found is None or found > _LONGEST_S else sign * found


def _read(text: str) -> float | None:
    if days := _PLAIN_DAYS.fullmatch(text):
        return _total(int(days[1]), 0, 0, 0, "")
    if four := _FOUR.fullmatch(text):
        return _total(int(four[1]), int(four[2]), int(four[3]), int(four[4]), four[5] or "")
    if (dotted := _DOTTED.fullmatch(text)) is None:
        return None
    days_, first, second, third, fraction = dotted.groups()
    whole = _total(int(days_ or 0), int(first), int(second), int(third or 0), fraction or "")
    if whole is None and days_ is None and third is not None and fraction is None:
        return _total(
            int(first), int(second), int(third), 0, ""
        )  # a:b:c with a above 23 is days:hours:minutes
    return whole


def _total(days: int, hours: int, minutes: int, whole_s: int, fraction: str) -> float | None:
    if hours > 23 or minutes > 59 or whole_s > 59:
        return None
    return ((days * 24 + hours) * 60 + minutes) * 60 + whole_s + float(f"0.{fraction or 0}")
