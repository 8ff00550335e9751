"""The diagram that people read is the table that the code runs."""

from __future__ import annotations

from pathlib import Path

from shared.domain.release import ENDED, Phase
from shared.release.machine import PHASES, diagram

PAGE = Path(__file__).parents[2] / "docs" / "release-states.md"


def test_the_diagram_in_the_docs_is_generated_from_the_table() -> None:
    """After a change: python -m tests.core.test_states"""
    assert f"```mermaid\n{diagram()}\n```" in PAGE.read_text()
    assert page() == PAGE.read_text()


def test_every_phase_has_a_row_or_is_an_end() -> None:
    assert set(PHASES) == set(Phase) - ENDED


def _yes(trait: bool) -> str:
    return "yes" if trait else ""


def page() -> str:
    rows = "\n".join(
        f"| `{source}` | `{seen.__name__}` | `{target}` | {when} |"
        for source, traits in PHASES.items()
        for seen, targets in traits.sees.items()
        for target, when in targets.items()
    )
    traits = "\n".join(
        f"| `{phase}` | {_yes(row.awaits_person)} | {row.undo.value} | {_yes(row.quick)} | {_yes(row.costs_job)} "
        f"| {row.frozen.value} |"
        for phase, row in PHASES.items()
    )
    return f"""# The states of a release

Generated from the table `PHASES` in `shared/release/machine.py` by `python -m tests.core.test_states`; a test keeps
both equal. A step that is not in the table raises `InvariantBroken`, and nothing happens.

```mermaid
{diagram()}
```

| phase | observation | next phase | when |
|---|---|---|---|
{rows}

Traffic that somebody else changed (`TrafficTaken`) moves no phase: the release is marked `adopted`, nothing is set, the
loop pauses, and a person resumes it or aborts the release.

| phase | a person is awaited | what an abort does | takes minutes | costs a job | while the loop is paused |
|---|---|---|---|---|---|
{traits}

*While the loop is paused* (or has `mode: observe`) no release spends, gives its challenger more traffic, promotes, or
deletes the deployment that a rollback needs; harm that is proven meanwhile, an abort and a rollback still take it back.

*Settled*: an abort does nothing, unless somebody else changed the traffic since.
"""


if __name__ == "__main__":
    PAGE.write_text(page())
