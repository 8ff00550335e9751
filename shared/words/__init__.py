"""The sentences that people read, made from codes and facts: the one place to which a language could be added."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from string import Formatter
from typing import Any

from shared.domain.reason import Reason
from shared.domain.release import JobLog, Judgement
from shared.words import judges
from shared.words.english import TEXTS

__all__ = ["TEXTS", "in_words", "of_log", "plain", "say", "say_all", "spoken", "titled"]

ITS_OWN = "{text}"
"""The text of an error's code: what the error itself says."""


class _Sentence(Formatter):
    """`str.format` with `{until:moment}`, `{until:minute}`, `{took:span}` and `{phase:plain}`; a fact that an older
    row does not have is shown as unknown, not an error of the page."""

    def get_value(self, key: int | str, args: Any, kwargs: Mapping[str, Any]) -> Any:
        found = kwargs.get(str(key))
        return "unknown" if found is None else found

    def format_field(self, value: Any, format_spec: str) -> str:
        match format_spec:
            case "moment" | "minute":
                return _moment(
                    str(value), "%Y-%m-%d %H:%M:%S UTC" if format_spec == "moment" else "%Y-%m-%d %H:%M UTC"
                )
            case "span":
                return str(value if isinstance(value, str) else timedelta(seconds=round(value)))
            case "plain":
                return str(value).replace("_", " ")
            case _ if format_spec and isinstance(value, str):
                return value
            case _:
                return str(super().format_field(value, format_spec))


def _moment(text: str, shape: str) -> str:
    try:
        return f"{datetime.fromisoformat(text).astimezone(UTC):{shape}}"
    except ValueError:
        return text


_SENTENCE = _Sentence()


def say(reason: Reason | None) -> str:
    """The sentence for `reason`; empty for None. A stored fact that the text does not name is left out."""
    if reason is None:
        return ""
    text, because = TEXTS.get(reason.code, ITS_OWN), say_all(reason.because)
    if not isinstance(text, str):
        named = inspect.signature(text).parameters
        missing = {p.name for p in named.values() if p.default is p.empty} - set(reason.facts)
        given = {name: fact for name, fact in reason.facts.items() if name in named}
        words = reason.code.value.replace("-", " ") if missing else text(**given)
    else:
        words = _SENTENCE.format(text, **{**reason.facts, "because": because}).rstrip(" ;:")
        because = "" if "{because}" in text else because
    return f"{words}: {because}" if words and because else words or because


def say_all(reasons: Iterable[Reason]) -> str:
    """Their sentences, each once, one after the other."""
    return "; ".join(dict.fromkeys(map(say, reasons)))


def spoken(detail: Mapping[str, str | Reason]) -> dict[str, str]:
    """A ledger entry's detail as texts."""
    return {name: value if isinstance(value, str) else say(value) for name, value in detail.items()}


def plain(value: object) -> object:
    """A dataclass as JSON has it, each reason with its text beside its code and facts."""
    if isinstance(value, Reason):
        return {"code": value.code.value, "text": say(value), "facts": dict(value.facts)}
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list | tuple) else value


def in_words(value: object) -> str:
    """One value of a table as people read it; empty for what is not there."""
    if isinstance(value, Reason) or value is None:
        return say(value)
    if isinstance(value, list | tuple):
        reasons = [one for one in value if isinstance(one, Reason)]
        if not reasons and len(value) == 3:
            return "{:.4f} ({:.4f} to {:.4f})".format(*value)
        return say_all(reasons)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, int | float):
        return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
    return str(value).replace("_", " ") if isinstance(value, StrEnum) else str(value)


def titled(judgement: Judgement) -> str:
    """The name of a verdict, for example *canary step 1 of 2 at 10 %*."""
    return judges.title(judgement.kind, judgement.step, judgement.steps, judgement.weight_pct)


def of_log(log: JobLog) -> str:
    """The state of what printed it, and where it is from."""
    return f"{log.state}, {log.file}, {log.size:,} bytes" if log.file else f"{log.state}, no log"
