"""label-sample: which served rows to label, so that a few labels say most; a CSV to fill in and hand in."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import session
from cli.session import out
from shared.errors import ConfigurationError
from shared.runtime import unit_of_work

if TYPE_CHECKING:
    from shared.loopfile import Definition
    from shared.ports import Ports
    from shared.runtime.unit_of_work import Unit
    from shared.stats.label_design import Chosen
    from shared.verdict.estimate import Asked
    from shared.verdict.served_inputs import Window


_FORMULA = re.compile(r"[=+@\t\r]|-(?![\d.]+$)")
"""How a formula begins; a negative number is none."""


def add_to(app: typer.Typer) -> None:
    app.command("label-sample")(label_sample)


def label_sample(
    loop: Annotated[str, typer.Argument(help="The loop.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The CSV to write.")],
    rows: Annotated[int, typer.Option(min=50, max=1000, help="How many rows to label.")] = 200,
) -> None:
    """Choose served rows to label: those that say most.

    They are from the newest window whose metric was estimated, more of those whose answer is likely to be wrong. By
    their weights the metric of the labelled rows is unbiased for the window. Fill in the target and hand the file in
    with `driftloop drop LOOP FILE --labels`.
    """
    if output.exists():
        raise ConfigurationError(f"{output} already exists; choose another name")
    current = unit_of_work.read(session.ports(), loop)
    definition = current.published().definition
    if definition.data.labels is None or definition.data.id is None:
        raise ConfigurationError(
            f"{loop} could not take the labels: its loop file needs data.labels, where labels land, and data.id"
        )
    window, about = _newest(current, loop)
    chosen = _chosen(about, rows)
    inputs = _inputs(current.ports, definition, window, current)
    lines = list(_lines(definition, about, chosen, inputs))
    if not lines:
        raise ConfigurationError(f"the inputs of {loop}'s newest window are not collected any more")
    columns = list(dict.fromkeys(name for line in lines for name in line))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(lines)
    session.write(output, text.getvalue().encode())
    out.say(
        f"{output}: {len(lines)} of {len(about.ids)} rows served from {window.since[:16]} to {window.until[:16]}. Fill "
        f"in {definition.data.target}, leave label_weight as it is, then: driftloop drop {loop} {output} --labels"
    )


def _newest(current: Unit, loop: str) -> tuple[Window, Asked]:
    from shared.verdict import served_inputs
    from shared.verdict.estimate import asked

    kept = served_inputs.windows(current.ports.documents, current.state)
    champion = current.state.champion
    for window in reversed(kept):
        if window.estimate is not None and champion is not None and window.release == champion.release:
            return window, asked(current.ports.documents, window.estimate)
    raise ConfigurationError(
        f"{loop} has no estimate of the live model to choose rows by: it needs metric.estimate: true and drift.served "
        f"in its loop file, and one window of served inputs; `driftloop status {loop}` says what came of the newest"
    )


def _chosen(about: Asked, rows: int) -> list[Chosen]:
    """The same rows each time, so that a second call asks nobody for other labels."""
    import numpy as np

    from shared.stats import label_design

    losses = np.array(about.losses)
    # of a class the label is right or wrong; of a number the error grows with what is expected of it
    spread = np.sqrt(np.maximum(losses * (1 - losses), 0.01)) if about.classes else losses
    return label_design.choose(losses, spread, rows, seed=20070101)


def _inputs(
    ports: Ports, definition: Definition, window: Window, current: Unit
) -> dict[str, Mapping[str, object]]:
    """What was sent, by the collector's id."""
    champion = current.state.champion
    assert champion is not None
    since, until = (datetime.fromisoformat(moment) for moment in (window.since, window.until))
    found = ports.evidence.inputs(
        definition.serve.endpoint, champion.deployment, since, until, id=definition.data.id or ""
    )
    return {str(row["id"]): row["inputs"] for row in found if isinstance(row["inputs"], Mapping)}


def _lines(
    definition: Definition, about: Asked, chosen: Sequence[Chosen], inputs: Mapping[str, Mapping[str, object]]
) -> Iterator[dict[str, object]]:
    from shared.domain.reason import Code, reason
    from shared.intake.labels import WEIGHT
    from shared.words import say

    data = definition.data
    for one in chosen:
        given, id = inputs.get(about.rows[one.row]), about.ids[one.row]
        if given is None or _plain(id) != id:  # a spreadsheet would change it, and the label find nothing
            continue
        code = Code.LABEL_CHOSEN if about.classes else Code.LABEL_CHOSEN_NUMBER
        why = reason(code, loss=one.loss, drawn=one.drawn, like=one.of_stratum)
        label = {str(data.id): id, data.target: "", WEIGHT: round(one.weight, 6)}
        beside = {"answer": about.answers[one.row], "why": say(why)}
        features = {str(_plain(name)): _plain(value) for name, value in given.items()}
        yield label | {
            name: value for name, value in (beside | features | beside).items() if name not in label
        }


def _plain(value: object) -> object:
    """What a stranger sent, for people to read in a spreadsheet: never a formula of theirs."""
    from shared.verdict import served_rows

    kept = served_rows.plain(value)
    return f"'{kept}" if isinstance(kept, str) and _FORMULA.match(kept) else kept
