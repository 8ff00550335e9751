"""Sentences about models that somebody else made, and about jobs."""

from __future__ import annotations

from datetime import timedelta

UNKNOWN = (
    "what it was trained on, by which job and commit is not on record, and it may have seen the holdout rows"
)


def asked_for(model: str, why: str, by: str = "", at: str | None = None, job: str = "") -> str:
    return f"release of {_named(model, by, at, job)}: {why}; {UNKNOWN}"


def registered(model: str, by: str = "", at: str | None = None, job: str = "") -> str:
    return f"{_named(model, by, at, job)}, as `models` asks for; {UNKNOWN}"


def commit(id: str, author: str = "", pushed_by: str = "", dirty: bool | None = None) -> str:
    by = f" by {author}" if author else ""
    pushed = f", pushed by {pushed_by}" if pushed_by else ""
    more = {
        True: ", with changes that it does not have",
        None: "; whether there were changes that it does not have is not known",
    }
    return f"commit {str(id)[:12]}{by}{pushed}{more.get(dirty, '')}"


def goes_by(
    method: str,
    columns: str,
    metric: str = "",
    rows: int | None = None,
    agreement: float | None = None,
    champion: int = 0,
    theirs: str = "",
) -> str:
    of = "".join((f" of {metric}" if metric else "", f" on {rows:,} rows" if rows else ""))
    found = f"it goes by {columns} ({method}{of})"
    if agreement is None:
        return found
    other = f", which goes by {theirs}" if theirs else ""
    return f"{found}; agreement {agreement:.2f} of 1 with release {champion}{other}"


def step_took(
    step: str, node: float, nodes: int, size: str = "", money: float | None = None, currency: str = ""
) -> str:
    """`node` is seconds of all its nodes together."""
    many = f"{nodes} nodes" if nodes > 1 else ""
    on = " of ".join(part for part in (many, size) if part)
    cost = "" if money is None else f", {money:.2f} {currency}"
    return f"{step} {timedelta(seconds=round(node))}{f' on {on}' if on else ''}{cost}"


def reading_by_job(
    job: str,
    source: str,
    took: float,
    size: int,
    read: int,
    money: float | None,
    currency: str,
    tasks: int = 0,
    alone: str = "",
    again: bool = False,
) -> str:
    """`read` is how many bytes were fetched; of text more than there are, where it is read again."""
    share = f", {min(read, size) / size:.0%} of {size:,} bytes fetched" if read and size else ""
    share += _tasks(tasks, alone) + (", as another try" if again else "")
    return f"Azure ML job {job} reads {source}: {_took(took, money, currency)} so far{share}"


def read_by_job(
    job: str, why: str, took: float, money: float | None, currency: str, tasks: int = 0, alone: str = ""
) -> str:
    beyond = f", as it was beyond the app ({why})" if why else ""
    return f"read by Azure ML job {job} in {_took(took, money, currency)}{_tasks(tasks, alone)}{beyond}"


_ENDED = {"canceled": "was cancelled", "completed": "completed and left no answer"}


def reading_failed(job: str, status: str, error: str) -> str:
    what = f"job {job}, which was to read the drop, {_ENDED.get(status, status)}"
    if not error and status in _ENDED:
        return what
    return f"{what}: {error or 'no error text'}"


_ALONE = {
    "unique": "a rule `unique` needs all rows before",
    "cluster": "`drift.cluster` profiles the first row of each key",
    "slices": "the first rows settle what `gate.slices` profiles",
    "small": "the drop has no more than 131,072 rows",
    "not-delegated": "the identity of the job lacks the role Storage Blob Delegator",
    "beyond": "a task could not go on with its share",
}


def _tasks(tasks: int, alone: str) -> str:
    """How many tasks read side by side, or why one does."""
    if alone:
        why = "; ".join(_ALONE.get(code, code) for code in alone.split(","))
        return f", by one task ({why})"
    return f", by {tasks} tasks side by side" if tasks > 1 else ""


def _took(took: float, money: float | None, currency: str) -> str:
    cost = "" if money is None else f", {money:.2f} {currency}"
    return f"{timedelta(seconds=round(took))}{cost}"


def _named(model: str, by: str, at: str | None, job: str) -> str:
    made = f" at {at[:19].replace('T', ' ')} UTC" if at else ""
    return f"{model}, registered{f' by {by}' if by else ''}{made}" + (f" from job {job}" if job else "")


def columns_differ(model: str, loop: str, missing: str, texts: str) -> str:
    lacks = f"it takes {missing}, which {loop} does not send" if missing else ""
    other = f"it takes numbers in {texts}, where {loop} has text" if texts else ""
    return f"model {model} is not released: {'; '.join(filter(None, (lacks, other)))}"
