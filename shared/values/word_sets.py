"""Sets of words that Arrow looks for."""

from __future__ import annotations

from functools import cache

import pyarrow as pa


@cache
def word_set(*words: str | None) -> pa.Array:
    """The words as an array, made when it is first asked for: to make one, pyarrow imports pandas, which takes longer
    than many a report."""
    return pa.array(words, pa.string())
