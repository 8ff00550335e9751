"""rejected: the rows of a version that its contract rejected, as they were read, with the rules that they break."""

from __future__ import annotations

import csv
import sys
from io import BytesIO
from typing import TYPE_CHECKING, Annotated

import typer

from cli import session
from cli.session import Json, print_json, table
from shared.errors import ConfigurationError
from shared.runtime import unit_of_work

if TYPE_CHECKING:
    import pyarrow as pa


def add_to(app: typer.Typer) -> None:
    app.command("rejected")(rejected)


def rejected(
    what: Annotated[
        str, typer.Argument(metavar="VERSION", help="LOOP/NUMBER, as `driftloop versions` shows it.")
    ],
    last: Annotated[int, typer.Option("--rows", "-n", min=1, help="How many, from the first on.")] = 20,
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV, to be mended and dropped again.")] = False,
    as_json: Json = False,
) -> None:
    """Show the rows that a contract rejected.

    Each with its number in the drop, the rules that it breaks, and its values as they were read. They are read from the
    version's folder with your own rights on the storage account.
    """
    loop, number = session.release_of(what)
    session.overview(loop)
    version = unit_of_work.read(session.ports(), loop).version(number)[0]
    if not version.rejected_rows:
        raise ConfigurationError(f"no row of version {what} was rejected")
    rows = _rows(version.path).slice(0, last)
    if as_json:
        print_json({"rejected": version.rejected_rows, "rows": rows.to_pylist()})
    elif as_csv:
        _csv(rows.drop_columns(rows.column_names[:2]))
    else:
        values = [
            [str(value) if value is not None else "" for value in row.values()] for row in rows.to_pylist()
        ]
        table(
            rows.column_names,
            values,
            f"{len(rows):,} of {version.rejected_rows:,} rejected rows of version {what}",
        )


def _rows(path: str) -> pa.Table:
    import pyarrow.parquet as pq

    return pq.read_table(BytesIO(session.ports().versions.read(f"{path}/rejected/part-00000.parquet")))


def _csv(rows: pa.Table) -> None:
    lines = csv.writer(sys.stdout, lineterminator="\n")
    lines.writerow(rows.column_names)
    lines.writerows(row.values() for row in rows.to_pylist())
