"""The diagram that people read is the table that the code runs."""

from __future__ import annotations

from pathlib import Path

from shared.domain.release import ENDED, Phase
from shared.release.transitions import TRANSITIONS, diagram

PAGE = Path(__file__).parents[2] / "docs" / "release-states.md"


def test_the_diagram_in_the_docs_is_generated_from_the_table() -> None:
    """After a change: python -m tests.core.test_states"""
    assert f"```mermaid\n{diagram()}\n```" in PAGE.read_text()


def test_every_phase_has_a_row_or_is_an_end() -> None:
    assert set(TRANSITIONS) == set(Phase) - ENDED


def page() -> str:
    rows = "\n".join(
        f"| `{source}` | `{target}` | {why} |"
        for source, targets in TRANSITIONS.items()
        for target, why in targets.items()
    )
    return f"""# The states of a release

Generated from `shared/release/transitions.py` by `python -m tests.core.test_states`; a test keeps both equal. What is
not in this table raises `InvariantBroken`, and nothing happens.

```mermaid
{diagram()}
```

| from | to | when |
|---|---|---|
{rows}

Traffic that somebody else changed moves no phase: the release is marked `adopted`, nothing is set, the loop pauses,
and a person resumes it or aborts the release.
"""


if __name__ == "__main__":
    PAGE.write_text(page())
