"""new: a data file becomes a loop that runs at once; what cannot be told from the data is asked, or named."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli import new_data
from cli.compare import ColumnIs, Null, said
from cli.session import out
from shared.errors import ConfigurationError

TEMPLATE = Path(__file__).parent / "new-loop"


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
    null: Null = None,
    folder: Annotated[Path, typer.Option(help="Where the loop's folder is made.")] = Path("loops"),
) -> None:
    """Make a loop from a data file. Its pipeline trains a scikit-learn baseline and runs as it is."""
    kinds = said(column)
    nulls = tuple(null or ())
    seen = new_data.look(data, target or new_data.ask("target", new_data.columns_of(data)), kinds, nulls)
    seen.settle(task, time)
    chosen = "" if schedule == "none" else schedule
    if not schedule and sys.stdin.isatty():
        chosen = typer.prompt(
            "Retrain on a schedule too? Six fields in UTC, or nothing", default="", show_default=False
        )
    place = folder / name
    write(place, name, seen, chosen)
    columns = f"{len(seen.features)} column{'' if len(seen.features) == 1 else 's'}"
    out.say(f"made {place}: predicts {seen.target} ({seen.task}) from {columns}, {seen.order}")
    for note in seen.notes:
        out.say(f"note: {note}")
    out.say("next:")
    out.say(f"  driftloop publish {shlex.quote(str(place))}")
    out.say(f"  driftloop drop {name} {shlex.quote(str(data))}")


SCHEMA = "loop.schema.json"
"""Beside the loops' folders, where their editors find it: of this Driftloop, whichever made the loops before."""
SCHEMA_LINE = f"# yaml-language-server: $schema=../{SCHEMA}"


def write(place: Path, name: str, seen: new_data.Seen, schedule: str) -> None:
    """The loop's folder, valid as it stands; nothing that is there already is overwritten."""
    from cli import new_loop_file, new_prospects
    from shared import loopfile
    from shared.loopfile import json_schema

    if place.exists():
        raise ConfigurationError(f"{place} already exists; choose another name or remove it")
    text = new_loop_file.loop_text(name, seen, schedule)
    seen.notes += new_prospects.prospects(loopfile.parse(text, file=f"{name}/loop.yaml"), seen.answers)
    shutil.copytree(TEMPLATE, place, ignore=shutil.ignore_patterns("__pycache__"))
    (place / "loop.yaml").write_text(f"{SCHEMA_LINE}\n{text}")
    (place.parent / SCHEMA).write_text(json_schema.schema())
    columns = {
        "target": seen.target,
        "task": seen.task,
        "numbers": [c for c in seen.features if seen.kinds[c] in new_data.NUMBERS],
        "texts": [c for c in seen.features if seen.kinds[c] == "string" and c not in seen.worded],
        "words": seen.worded,
        "moments": [c for c in seen.features if seen.kinds[c] == "datetime"],
        "time": seen.time,
    }
    (place / "train" / "columns.json").write_text(json.dumps(columns, indent=1, ensure_ascii=False) + "\n")
    words = {"NAME": name, "TARGET": seen.target, "TASK": seen.task, "FOLDER": str(place)}
    notes = "\n".join(f"- {note}" for note in seen.notes)
    for file in (place / "train.yml", place / "environment.yml", place / "train/component.yml"):
        file.write_text(file.read_text().replace("NAME", name.replace("-", "_")))
    readme = re.sub("|".join(words), lambda found: words[found[0]], (place / "README.md").read_text())
    (place / "README.md").write_text(readme.replace("NOTES", notes))
