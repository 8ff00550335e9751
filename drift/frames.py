"""What people hold rows in, as something that is read batch by batch."""

from typing import Any

import pyarrow as pa

_UNNAMED = "value"


def plain(source: Any) -> Any:
    """A Series or an Arrow array as a table of one column; whatever speaks Arrow (Polars, DuckDB) as its table.

    Everything else is returned as it is.
    """
    home = type(source).__module__.split(".")[0]
    if home == "pandas" and hasattr(source, "to_frame") and getattr(source, "ndim", 0) == 1:
        return source.to_frame(_UNNAMED if source.name is None else source.name)
    if isinstance(source, pa.Array | pa.ChunkedArray):
        return pa.table({_UNNAMED: source})
    if isinstance(source, pa.Table | pa.RecordBatch | pa.RecordBatchReader) or home == "pandas":
        return source
    if home == "polars":
        return _polars(source)
    return pa.table(source) if hasattr(source, "__arrow_c_stream__") else source


def _polars(source: Any) -> pa.Table:
    frame = source.collect() if hasattr(source, "collect") else source
    frame = frame.to_frame() if hasattr(frame, "to_frame") else frame
    table: pa.Table = pa.table(frame)
    return table.rename_columns([name or _UNNAMED for name in table.column_names])
