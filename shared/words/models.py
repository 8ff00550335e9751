"""Sentences about models that somebody else made."""

from __future__ import annotations

UNKNOWN = (
    "what it was trained on, by which job and commit is not on record, and it may have seen the holdout rows"
)


def asked_for(model: str, why: str, by: str = "", at: str | None = None, job: str = "") -> str:
    return f"release of {_named(model, by, at, job)}: {why}; {UNKNOWN}"


def registered(model: str, by: str = "", at: str | None = None, job: str = "") -> str:
    return f"{_named(model, by, at, job)}, as `models` asks for; {UNKNOWN}"


def _named(model: str, by: str, at: str | None, job: str) -> str:
    made = f" at {at[:19].replace('T', ' ')} UTC" if at else ""
    return f"{model}, registered{f' by {by}' if by else ''}{made}" + (f" from job {job}" if job else "")


def columns_differ(model: str, loop: str, missing: str, texts: str) -> str:
    lacks = f"it takes {missing}, which {loop} does not send" if missing else ""
    other = f"it takes numbers in {texts}, where {loop} has text" if texts else ""
    return f"model {model} is not released: {'; '.join(filter(None, (lacks, other)))}"
