"""What a data file shows of the loop that is made of it, and what a person was asked or told about it."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from shared.errors import ConfigurationError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

LARGEST_SAMPLE_BYTES = 64 * 1024 * 1024
TASKS = ("classification", "regression")
MANY_CLASSES = 100
MOST_NAMED = 20
"""Classes that a note names."""
WORDS = 3
"""Words of a text on average, from which on it is a text; shorter ones are names and codes."""
FEWEST_YEARS = 10
AS_DATES = "years are numbers to Driftloop: write them as dates (1950-01-01)"

_YEARS = re.compile(r"(^|[ _-])(years?|yr|jahr|ann[eé]e|a[nñ]o|anno)$", re.IGNORECASE)
_YEAR_RANGE = (1000, 2999)
_WORD = r"[^\W\d]{2,}"
_ID_NAME = re.compile(r"(^|[ _-])(id|key|number|no)$", re.IGNORECASE)
NUMBERS = frozenset({"number", "integer", "boolean"})


@dataclass
class Seen:
    """What a data file shows, and what was settled about it."""

    target: str
    kinds: dict[str, str]
    distinct: dict[str, int]
    rows: int
    spread: float
    """Standard deviation of a numeric target, else 0."""
    table: pd.DataFrame = field(repr=False)
    """The rows that have a target."""
    findings: tuple[str, ...] = ()
    shown: str = ""
    """The task that the target's values show: what the loop would settle from the same rows."""
    classes: tuple[str, ...] = ()
    """Of a target of a few whole numbers."""
    task: str = ""
    time: str = ""
    id: str = ""
    ignore: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    worded: list[str] = field(default_factory=list)
    """Columns of free text, of which the model learns by their words."""
    said: dict[str, str] = field(default_factory=dict)
    """What a person said that columns are."""
    nulls: tuple[str, ...] = ()
    """What a person said that means no value."""
    alike: str = ""
    """A column whose rows resemble the rows before them; empty where none does."""
    cluster: str = ""
    """A key that occurs in several rows, for example a customer."""
    clocks: list[str] = field(default_factory=list)
    """Columns that say what time it is, as the one does that orders the rows."""

    @property
    def features(self) -> list[str]:
        return [name for name in self.kinds if name not in {self.target, self.id, *self.ignore}]

    @property
    def answers(self) -> list[object]:
        found: list[object] = self.table[self.target].tolist()
        return found

    @property
    def order(self) -> str:
        if self.time:
            return f"newest rows by {self.time} kept back"
        return f"whole groups by {self.cluster} kept back" if self.cluster else "rows kept back by their hash"

    def settle(self, task: str, time: str) -> None:
        """Task, order, id and columns of no use: as told, as the data show, or as asked."""
        from cli import new_prospects

        if (values := self.distinct[self.target]) < 2:
            held = f"one value ({self.answers[0]})" if values else "no value"
            raise ConfigurationError(
                f"{self.target} has {held} in {self.rows} rows, so there is nothing to learn; bring rows with others, "
                "or choose another --target"
            )
        self.task = task or self._task()
        if self.task not in TASKS:
            raise ConfigurationError(f"--task {self.task!r} is neither {' nor '.join(TASKS)}")
        if self.task == "regression" and self.kinds[self.target] not in ("number", "integer"):
            raise ConfigurationError(
                f"{self.target} is {self.kinds[self.target]}: a regression predicts numbers"
            )
        self._order(time)
        self._set_aside()
        self._depending()
        self._compare()
        if self.task == "classification":
            self.notes += new_prospects.telling(self.table, self.target, self.features)
        self.notes += self.findings
        if not self.features:
            why = "; ".join([f"no column is left to predict {self.target} from", *self.notes])
            raise ConfigurationError(why)

    def _task(self) -> str:
        kind, values = self.kinds[self.target], self.distinct[self.target]
        if kind == "datetime":
            raise ConfigurationError(
                f"{self.target} is a time; predict a class or a number: choose another --target"
            )
        if kind in ("string", "boolean"):
            if values > MANY_CLASSES:
                raise ConfigurationError(
                    f"{self.target} has {values} different texts in {self.rows} rows, so it is not a class; "
                    f"if they are numbers, pass --column {self.target}=number; else choose another --target, or pass "
                    "--task classification if you mean it"
                )
            return "classification"
        if self.shown == "classification":
            self.notes.append(
                f"{self.target} has {values} different whole numbers ({', '.join(self.classes)}), which are taken as "
                "classes; if it is a quantity, pass --task regression"
            )
        elif kind == "integer":
            self.notes.append(
                f"{self.target} has {values} different whole numbers, which are taken as a quantity; "
                "if they are codes of classes, pass --task classification"
            )
        return self.shown

    def _order(self, time: str) -> None:
        moments = [name for name, kind in self.kinds.items() if kind == "datetime"]
        if time and time != "none" and time not in moments:
            years = f"; {AS_DATES}" if self._counts_years(time) else ""
            raise ConfigurationError(
                f"--time {time!r} is not a column of times; columns of times: {', '.join(moments) or 'none'}; if it "
                f"holds times, pass --column {time}=time (or day-first, month-first){years}"
            )
        if not time and not moments:
            self.notes += [
                f"column {name} counts years: if the rows follow each other by it, {AS_DATES}, and the newest rows are "
                "kept back; otherwise drift is judged by the year as well, which always moves"
                for name in self.kinds
                if name != self.target and _YEARS.search(name) and self._counts_years(name)
            ]
        if not time:
            time = ask("time", [*moments, "none"]) if len(moments) > 1 else "".join(moments)
        self.time = "" if time == "none" else time

    def _counts_years(self, name: str) -> bool:
        """Whether these are years, by their values: whole numbers, and more of them than make a category."""
        if self.kinds.get(name) != "integer" or self.distinct[name] < FEWEST_YEARS:
            return False
        return bool(self.table[name].between(*_YEAR_RANGE).all())

    def _set_aside(self) -> None:
        for name, kind in self.kinds.items():
            if name in (self.target, self.time, *self.ignore):
                continue
            if self.said.get(name) == "id":
                self.id = self.id or name
                continue
            unique = kind in ("string", "integer") and self._differs(name)
            if unique and not self.id and _ID_NAME.search(name):
                self.id = name
                continue
            if kind == "integer" and unique and self._running(name):
                self._leave_out(name, "numbers the rows")
            elif self.distinct[name] <= 1:
                self._leave_out(name, "has one value" if self.distinct[name] else "has no value at all")
            elif kind == "string" and self.distinct[name] > max(50, self.rows * 0.5):
                self._read_words(name)

    def _depending(self) -> None:
        """What the tests of drift need to know of rows that depend on each other."""
        if self.cluster in (self.target, self.id):
            self.cluster = ""
        if self.cluster:
            if self.cluster not in self.ignore:
                self.ignore.append(self.cluster)
            kept = "" if self.time else ", and whole groups are kept back (`data.holdout`)"
            self.notes.append(
                f"{self.cluster} occurs in several rows: one row of each is compared (`drift.cluster`){kept}"
            )
        if self.time or self.alike:
            why = (
                f"rows follow each other by {self.time}"
                if self.time
                else f"{self.alike} resembles the row before it"
            )
            self.notes.append(
                f"{why}: a drop alarms when it is unusual among the drops before it (`drift.reference`), from the "
                "seventh drop on; until then the metric alone can ask for a retraining"
            )

    def _compare(self) -> None:
        """What drops are compared by: not what goes with the time, nor a name of whom a row is about."""
        numbers = [name for name in self.features if self.kinds[name] in ("number", "integer")]
        if self.time:
            from cli.new_prospects import clocks

            self.clocks = clocks(self.table, self.time, numbers)
            for name in self.clocks:
                self.notes.append(
                    f"column {name} only ever goes up or down with {self.time}: drift is not judged by it "
                    "(`drift.columns` in loop.yaml)"
                )
        for name in self.features:
            if (
                _ID_NAME.search(name)
                and self.kinds[name] in ("string", "integer")
                and self.distinct[name] > MOST_NAMED
                and name not in self.clocks
            ):
                self.notes.append(
                    f"column {name} looks like an id, and the model learns from it; if it only names who a row is "
                    f"about, remove the folder and make the loop again with --column {name}=ignore"
                )

    def _differs(self, name: str) -> bool:
        """Whether no two labelled rows have the same value, and each has one."""
        return len(self.table) > 1 and self.table[name].nunique() == len(self.table)

    def _running(self, name: str) -> bool:
        """Whether different whole numbers count the rows, from 0 or 1; consecutive years do not."""
        return bool(self.table[name].min() >= 0 and self.table[name].max() <= self.rows)

    def _read_words(self, name: str) -> None:
        why = f"has {self.distinct[name]} different texts in {self.rows} rows"
        if self.table[name].dropna().str.count(_WORD).mean() < WORDS:
            self._leave_out(name, why)
            return
        self.worded.append(name)
        self.notes.append(f"column {name} {why}: the baseline learns from its words")

    def _leave_out(self, name: str, why: str) -> None:
        self.ignore.append(name)
        self.notes.append(f"column {name} {why}: left out (`data.ignore` in loop.yaml)")


def columns_of(data: Path) -> list[str]:
    from shared.errors import InputRejected
    from shared.intake import ReadSpec
    from shared.reader.batches import open_sources
    from shared.reader.profile_files import files_of

    _check_there(data)
    try:
        sources = open_sources(files_of(data), ReadSpec(target=""))
    except InputRejected as rejection:
        raise ConfigurationError(f"{data} cannot be read: {rejection.code}: {rejection}") from rejection
    return list(sources.found)


def _check_there(data: Path) -> None:
    if not data.exists():
        raise ConfigurationError(
            f"{data} is not a file or folder; pass CSV or Parquet files like those that will be dropped"
        )
    if (
        size := sum(each.stat().st_size for each in (data, *data.rglob("*")) if each.is_file())
    ) > LARGEST_SAMPLE_BYTES:
        raise ConfigurationError(
            f"{data} has {size:,} bytes; give a part of it, {LARGEST_SAMPLE_BYTES:,} at most"
        )


def look(data: Path, target: str, columns: dict[str, str] | None = None, nulls: tuple[str, ...] = ()) -> Seen:
    """Read the file as a drop would be read: what passes here passes there."""
    import tempfile

    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from cli.compare import check_named
    from cli.new_prospects import sorted_by
    from shared.errors import InputRejected
    from shared.intake import ReadSpec, read_drop
    from shared.intake.compatibility import valueless
    from shared.reader.batches import open_sources
    from shared.reader.profile_files import files_of

    _check_there(data)
    told: list[str] = []
    with tempfile.TemporaryDirectory(prefix="driftloop-new-") as place:
        try:
            spec = ReadSpec(target=target, columns=columns or {}, nulls=nulls)
            reading = read_drop(files_of(data, told), spec, Path(place) / "out")
        except InputRejected as rejection:
            raise ConfigurationError(f"{data} cannot be used: {rejection.code}: {rejection}") from rejection
        table = pa.concat_tables(
            [pq.read_table(part) for part in sorted((Path(place) / "out").glob("[th]*/*.parquet"))]
        )
    if any(name not in reading.columns for name in spec.columns):  # left out, or nowhere
        check_named(spec.columns, open_sources(files_of(data), spec).there)
    known = table.filter(pc.is_valid(table[target])).to_pandas()
    # an empty column is left out, which its own note says
    empty = {valueless(name) for name, kind in reading.columns.items() if kind == "nothing"}
    spread = pc.stddev(table[target]).as_py() if reading.columns[target] in ("number", "integer") else 0.0
    return Seen(
        target=target,
        kinds=dict(reading.columns),
        distinct={
            name: pc.count_distinct(table[name], mode="only_valid").as_py() if kind != "nothing" else 0
            for name, kind in reading.columns.items()
        },
        rows=reading.rows,
        spread=float(spread or 0.0),
        findings=(*told, *(one for one in reading.findings if one not in empty)),
        shown=reading.task,
        classes=_classes(table[target]) if reading.task == "classification" else (),
        table=known,
        ignore=list(spec.ignore),
        said={name: kind for name, kind in spec.columns.items() if kind != "ignore"},
        nulls=spec.nulls,
        alike="" if sorted_by(known[target]) else _depending(reading.profile, "dependent_rows"),
        cluster=_cluster(reading.profile),
    )


def _cluster(profile: bytes) -> str:
    """The key that occurs in several rows; of several the one that tells most apart, as who a row is about does more
    than a number that begins again with each of them."""
    import drift
    from drift import findings

    found = drift.Profile.from_bytes(profile)
    keys = [one.column for one in findings.dependence(found) if one.code == "repeated_key"]
    return max(keys, key=lambda name: found.columns[name].keys[1], default="")


def _depending(profile: bytes, sign: str) -> str:
    """The column that shows that rows depend on each other in this way; empty where none does."""
    import drift
    from drift import findings

    found = findings.dependence(drift.Profile.from_bytes(profile))
    return next((one.column for one in found if one.code == sign), "")


def _classes(target: pa.ChunkedArray) -> tuple[str, ...]:
    from shared.stats.metrics import class_name

    found = sorted(target.unique().drop_null().to_pylist())[:MOST_NAMED]
    return tuple(map(class_name, found))


def ask(option: str, choices: list[str]) -> str:
    """A question on a terminal; elsewhere the option that is missing, with what it may be."""
    if not sys.stdin.isatty():
        raise ConfigurationError(f"missing --{option}; choose one of {', '.join(choices)}")
    answer: str = typer.prompt(f"{option} ({', '.join(choices)})", default=choices[-1])
    if answer not in choices:
        raise ConfigurationError(f"{option} {answer!r} is none of: {', '.join(choices)}")
    return answer
