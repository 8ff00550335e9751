"""Which languages some of the texts are in.

A language is told by py3langid (BSD-3-Clause, 139 languages, https://github.com/adbar/py3langid), whose model takes
about a second and 100 MB to load, once a process and for text alone. Without that package nothing is said of languages.
"""

from collections import Counter
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from .arrays import Ints
from .arrow_values import indices
from .categories import Counts, CountsBuilder

TEXT_ROWS = 1_000
"""Rows whose texts are read, chosen as those of the joint sample are."""

SHORTEST, LONGEST = 30, 400
"""Characters below which a language is unknown, and of which no more are read."""

SUREST = 0.5
"""Of all languages the likeliest must be at least so likely, or it is unknown."""

UNKNOWN = "unknown"


class Languages:
    """The texts of the rows that are to be read, until all rows are known."""

    def __init__(self) -> None:
        self._held: list[pa.Array] = []

    def add(self, column: pa.Array | pa.ChunkedArray, places: Ints) -> None:
        """Hold the texts of a batch at some places; what is no text is held as none."""
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
            self.skip(len(places))
            return
        column = column.cast(pa.string()) if pa.types.is_string_view(kind) else column  # which has no take
        some = column.take(indices(places)).cast(pa.string())
        some = some.combine_chunks() if isinstance(some, pa.ChunkedArray) else some
        self._held.append(pc.utf8_slice_codeunits(some, 0, LONGEST))

    def skip(self, rows: int) -> None:
        """Rows of a part that has no such column."""
        self._held.append(pa.nulls(rows, pa.string()))

    def merge(self, other: "Languages") -> None:
        """Hold what another has held, behind its own."""
        self._held += other._held

    def settle(self, places: Ints) -> None:
        """Hold no more than the texts at these places of all that are held."""
        self._held = pa.chunked_array(self._held, pa.string()).take(indices(places)).chunks

    def finish(self, places: Ints) -> Counts | None:
        """Texts by language, of those at these places of all that are held; None where there is nobody to tell."""
        told = _identifier()
        if told is None:
            return None
        texts = pa.chunked_array(self._held, pa.string()).take(indices(places)).drop_null()
        found = Counter(_language(told, text) for text in texts.to_pylist())
        counts = CountsBuilder()
        counts.add(found.keys(), found.values())
        return counts.finish()


@cache
def _identifier() -> Any:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError:
        return None
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True, min_confidence=SUREST)


def _language(told: Any, text: str) -> str:
    if len(text) < SHORTEST:
        return UNKNOWN
    language: str = told.classify(text)[0]
    return UNKNOWN if language in ("und", "zxx") else language
