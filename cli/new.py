"""new: a data file becomes a loop that runs at once; what cannot be told from the data is asked, or named."""

from __future__ import annotations

import json
import re
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.compare import ColumnIs, said
from cli.session import out
from shared.errors import ConfigurationError

if TYPE_CHECKING:
    import pyarrow as pa

TEMPLATE = Path(__file__).parent / "new-loop"
LARGEST_SAMPLE_BYTES = 64 * 1024 * 1024
TASKS = ("classification", "regression")
MANY_CLASSES = 100
MOST_NAMED = 20
"""Classes that a note names."""

METRIC = {"classification": "balanced_accuracy", "regression": "rmse"}
"""Balanced accuracy counts every class alike: a model that never says the rare one gets no more than chance."""

_ID_NAME = re.compile(r"(^|[ _-])(id|key|number|no)$", re.IGNORECASE)
NUMBERS = frozenset({"number", "integer", "boolean"})


def add_to(app: typer.Typer) -> None:
    app.command("new")(new)


def new(
    name: Annotated[str, typer.Argument(help="The loop's name: small letters, digits, hyphens.")],
    data: Annotated[
        Path,
        typer.Option(help="A CSV or Parquet file like those that will be dropped, or a folder."),
    ],
    target: Annotated[str, typer.Option(help="The column to predict.")] = "",
    task: Annotated[str, typer.Option(help="classification or regression.")] = "",
    time: Annotated[str, typer.Option(help="The column that orders the rows; `none` for no order.")] = "",
    schedule: Annotated[
        str, typer.Option(help="Also retrain on this schedule (six fields, UTC); `none` for never.")
    ] = "",
    column: ColumnIs = None,
    folder: Annotated[Path, typer.Option(help="Where the loop's folder is made.")] = Path("loops"),
) -> None:
    """Make a loop from a data file, with a pipeline that trains a scikit-learn baseline; it runs as it stands."""
    kinds = said(column)
    seen = look(data, target or _ask("target", _columns(data)), kinds)
    seen.settle(task, time)
    chosen = "" if schedule == "none" else schedule
    if not schedule and sys.stdin.isatty():
        chosen = typer.prompt(
            "Retrain on a schedule too? Six fields in UTC, or nothing", default="", show_default=False
        )
    place = folder / name
    write(place, name, seen, chosen)
    out.print(
        f"made {place}: predicts {seen.target} ({seen.task}) from {len(seen.features)} columns, {seen.order}"
    )
    for note in seen.notes:
        out.print(f"note: {note}", markup=False)
    out.print(f"next: driftloop publish {place}; driftloop drop {name} {data}")


def _ask(option: str, choices: list[str]) -> str:
    """A question on a terminal; elsewhere the option that is missing, with what it may be."""
    if not sys.stdin.isatty():
        raise ConfigurationError(f"say --{option}, one of: {', '.join(choices)}")
    answer: str = typer.prompt(f"{option} ({', '.join(choices)})", default=choices[-1])
    if answer not in choices:
        raise ConfigurationError(f"{option} {answer!r} is none of: {', '.join(choices)}")
    return answer


# --- what the data show --------------------------------------------------------------------------


@dataclass
class Seen:
    """What a data file shows, and what was settled about it."""

    target: str
    kinds: dict[str, str]
    distinct: dict[str, int]
    rows: int
    spread: float
    """Standard deviation of a numeric target, else 0."""
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
    said: dict[str, str] = field(default_factory=dict)
    """What a person said that columns are."""

    @property
    def features(self) -> list[str]:
        return [name for name in self.kinds if name not in {self.target, self.id, *self.ignore}]

    @property
    def order(self) -> str:
        return f"newest rows by {self.time} kept back" if self.time else "rows kept back by their hash"

    def settle(self, task: str, time: str) -> None:
        """Task, order, id and columns of no use: as told, as the data show, or as asked."""
        self.task = task or self._task()
        if self.task not in TASKS:
            raise ConfigurationError(f"--task {self.task!r} is neither {' nor '.join(TASKS)}")
        if self.task == "regression" and self.kinds[self.target] not in ("number", "integer"):
            raise ConfigurationError(
                f"{self.target} is {self.kinds[self.target]}: a regression predicts numbers"
            )
        self._order(time)
        self._set_aside()
        self.notes += list(self.findings)
        if not self.features:
            raise ConfigurationError(f"no column is left to predict {self.target} from")

    def _task(self) -> str:
        kind, values = self.kinds[self.target], self.distinct[self.target]
        if kind == "datetime":
            raise ConfigurationError(
                f"{self.target} is a time; predict a class or a number: choose another --target"
            )
        if kind in ("string", "boolean"):
            if values > MANY_CLASSES:
                raise ConfigurationError(
                    f"{self.target} has {values} different texts in {self.rows} rows, which is no class; "
                    "choose another --target, or say --task classification if it is meant"
                )
            return "classification"
        if self.shown == "classification":
            self.notes.append(
                f"{self.target} has {values} different whole numbers ({', '.join(self.classes)}), which are taken as "
                "classes; if it is a quantity, say --task regression"
            )
        elif kind == "integer":
            self.notes.append(
                f"{self.target} has {values} different whole numbers, which are taken as a quantity; "
                "if they are codes of classes, say --task classification"
            )
        return self.shown

    def _order(self, time: str) -> None:
        moments = [name for name, kind in self.kinds.items() if kind == "datetime"]
        if time and time != "none" and time not in moments:
            raise ConfigurationError(
                f"--time {time!r} is no column of times; there are: {', '.join(moments) or 'none'}"
            )
        if time:
            self.time = "" if time == "none" else time
        elif len(moments) > 1:
            self.time = _ask("time", [*moments, "none"]).replace("none", "")
        else:
            self.time = moments[0] if moments else ""

    def _set_aside(self) -> None:
        for name, kind in self.kinds.items():
            if name in (self.target, self.time, *self.ignore):
                continue
            if self.said.get(name) == "id":
                self.id = self.id or name
                continue
            unique = kind in ("string", "integer") and self.distinct[name] == self.rows > 1
            if unique and not self.id and _ID_NAME.search(name):
                self.id = name
                continue
            if self.distinct[name] <= 1:
                self._leave_out(name, "has one value" if self.distinct[name] else "has no value at all")
            elif kind == "string" and self.distinct[name] > max(50, self.rows * 0.5):
                self._leave_out(name, f"has {self.distinct[name]} different texts in {self.rows} rows")

    def _leave_out(self, name: str, why: str) -> None:
        self.ignore.append(name)
        self.notes.append(f"column {name} {why}: left out (`data.ignore` in loop.yaml)")


def _columns(data: Path) -> list[str]:
    from shared.errors import InputRejected
    from shared.intake import ReadSpec
    from shared.intake.reader.batches import open_sources
    from shared.intake.reader.profile_files import files_of

    _check_there(data)
    try:
        sources = open_sources(files_of(data), ReadSpec(target=""))
    except InputRejected as rejection:
        raise ConfigurationError(f"{data} cannot be read: {rejection.code}: {rejection}") from rejection
    return list(sources.found)


def _check_there(data: Path) -> None:
    if not data.exists():
        raise ConfigurationError(
            f"{data} is no file; give a CSV or Parquet file, or a folder of them, like those that will be dropped"
        )
    if (
        size := sum(each.stat().st_size for each in (data, *data.rglob("*")) if each.is_file())
    ) > LARGEST_SAMPLE_BYTES:
        raise ConfigurationError(
            f"{data} has {size:,} bytes; give a part of it, {LARGEST_SAMPLE_BYTES:,} at most"
        )


def look(data: Path, target: str, columns: dict[str, str] | None = None) -> Seen:
    """Read the file as a drop would be read: what passes here passes there."""
    import tempfile

    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from shared.errors import InputRejected
    from shared.intake import ReadSpec, read_drop
    from shared.intake.reader.profile_files import files_of

    _check_there(data)
    with tempfile.TemporaryDirectory(prefix="driftloop-new-") as place:
        try:
            spec = ReadSpec(target=target, columns=columns or {})
            reading = read_drop(files_of(data), spec, Path(place) / "out")
        except InputRejected as rejection:
            raise ConfigurationError(f"{data} cannot be used: {rejection.code}: {rejection}") from rejection
        table = pa.concat_tables([pq.read_table(part) for part in sorted(Path(place).rglob("*.parquet"))])
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
        findings=tuple(reading.findings),
        shown=reading.task,
        classes=_classes(table[target]) if reading.task == "classification" else (),
        ignore=[name for name in spec.ignore if name in reading.columns],
        said={name: kind for name, kind in spec.columns.items() if kind != "ignore"},
    )


def _classes(target: pa.ChunkedArray) -> tuple[str, ...]:
    from shared.stats.metrics import class_name

    found = sorted(target.unique().drop_null().to_pylist())[:MOST_NAMED]
    return tuple(map(class_name, found))


# --- the folder ----------------------------------------------------------------------------------


def write(place: Path, name: str, seen: Seen, schedule: str) -> None:
    """The loop's folder, valid as it stands; nothing that is there already is overwritten."""
    from shared import loopfile

    if place.exists():
        raise ConfigurationError(f"{place} is there already; choose another name or remove it")
    text = loop_text(name, seen, schedule)
    loopfile.parse(text, file=f"{name}/loop.yaml")
    shutil.copytree(TEMPLATE, place, ignore=shutil.ignore_patterns("__pycache__"))
    (place / "loop.yaml").write_text(text)
    columns = {
        "target": seen.target,
        "task": seen.task,
        "numbers": [c for c in seen.features if seen.kinds[c] in NUMBERS],
        "texts": [c for c in seen.features if seen.kinds[c] == "string"],
        "moments": [c for c in seen.features if seen.kinds[c] == "datetime"],
    }
    (place / "train" / "columns.json").write_text(json.dumps(columns, indent=1, ensure_ascii=False) + "\n")
    words = {"NAME": name, "TARGET": seen.target, "TASK": seen.task, "FOLDER": str(place)}
    notes = "\n".join(f"- {note}" for note in seen.notes)
    for file in (place / "train.yml", place / "environment.yml", place / "train/component.yml"):
        file.write_text(file.read_text().replace("NAME", name.replace("-", "_")))
    readme = re.sub("|".join(words), lambda found: words[found[0]], (place / "README.md").read_text())
    (place / "README.md").write_text(readme.replace("NOTES", notes))


def loop_text(name: str, seen: Seen, schedule: str) -> str:
    """The loop file. Texts are written as JSON, which YAML reads as they are."""
    quoted = json.dumps
    lines = [f"loop: {name}", "data:", f"  landing: landing/{name}/", f"  target: {quoted(seen.target)}"]
    lines.append(f"  task: {seen.task}")
    if seen.id:
        lines.append(f"  id: {quoted(seen.id)}")
    if seen.time:
        lines.append(f"  time: {quoted(seen.time)}")
    if seen.ignore:
        lines.append(f"  ignore: {quoted(seen.ignore)}")
    if seen.said:
        lines.append(f"  columns: {quoted(seen.said)}")
    by = (
        f"{{by: time, fraction: 0.2, column: {quoted(seen.time)}}}"
        if seen.time
        else "{by: hash, fraction: 0.2}"
    )
    lines += [f"  holdout: {by}", "  window: all", "train:", "  pipeline: train.yml", "serve:"]
    lines.append(f"  endpoint: {(name if len(name) > 2 else name + '-loop')[:32]}")
    if seen.time:
        judged = [c for c in seen.features if c != seen.time]
        lines += (
            ["drift:", f"  columns: {quoted(judged)}   # not the time itself, which always moves"]
            if judged
            else []
        )
    if schedule:
        lines += ["retrain:", f"  schedule: {quoted(schedule)}"]
    margin = "0.03" if seen.task == "classification" else f"{max(seen.spread * 0.1, 1e-9):.3g}"
    unit = (
        "of balanced accuracy"
        if seen.task == "classification"
        else f"of RMSE, a tenth of the spread of {quoted(seen.target)}"
    )
    limit = "at_least" if seen.task == "classification" else "at_most"
    lines += [
        "metric:",
        f"  name: {METRIC[seen.task]}   # measured on each labelled version; {limit} makes it a reason to retrain",
    ]
    lines += ["gate:", f"  margin: {margin}   # {unit}", "  on_inconclusive: hold"]
    return "\n".join(lines) + "\n"
