"""A dressed table as the reader sees it, in a drop and in a comparison."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from shared.intake import DropFile, ReadSpec
from shared.reader import profile_files
from shared.reader.batches import open_sources
from shared.values.texts import Contradicted


class Read:
    """A file as the reader sees it: types, rows, findings."""

    def __init__(self, content: bytes | str | pa.Table, **spec: Any) -> None:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "table"
            if isinstance(content, pa.Table):
                pq.write_table(content, path)
            else:
                path.write_bytes(content.encode() if isinstance(content, str) else content)
            sources = open_sources(
                [DropFile(path, "table", path.stat().st_size)], ReadSpec(**{"target": "", **spec})
            )
            while True:
                self.kinds = {name: sources.settled(name) for name in sources.found}
                try:
                    batches = list(sources.batches(self.kinds))
                    break
                except Contradicted as late:
                    sources.learn(late)
            self.rows = {n: [v for b in batches for v in b.column(n).to_pylist()] for n in self.kinds}
            self.findings = " | ".join(sources.findings())
            if "known_columns" in spec:
                return
            said = {key: spec[key] for key in ("columns", "ignore", "nulls") if key in spec}
            compared = profile_files.profile(path, **said)
            assert list(compared.profile.columns) == [
                n for n in self.kinds if n not in spec.get("ignore", ())
            ]
            assert compared.profile.rows == sum(b.num_rows for b in batches), (
                "compare reads what a drop reads"
            )


def column(values: list[str], separator: str = ";") -> str:
    """A file whose first column holds these values and whose second numbers the rows."""
    return "\n".join([f"x{separator}n", *(f'"{v}"{separator}{i}' for i, v in enumerate(values))]) + "\n"
