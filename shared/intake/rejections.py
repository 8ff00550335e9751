"""Every reason for which a drop is quarantined has a stable code and says what to do; the list is here."""

from __future__ import annotations

from shared.errors import InputRejected
from shared.redaction import printable

REMEDIES: dict[str, str] = {
    "archived-blob": "rehydrate the blob to the hot or cool tier, then run driftloop read-again",
    "rehydrating-blob": "wait until the blob is in the hot or cool tier, then run driftloop read-again",
    "encrypted-blob": "land the blob without a customer-provided key: Driftloop has none to read it with",
    "copy-incomplete": "copy the file again",
    "empty-file": "land a file with a header and rows",
    "empty-folder": "land the part files first, then _SUCCESS",
    "bad-manifest": "write names, as JSON or as CSV with a column name; size and md5 may stand beside them",
    "manifest-differs": "land the files as the manifest says, then run driftloop read-again, or land it again",
    "header-only": "land a file that has rows",
    "not-parquet": "write the file as Parquet, or name it .csv if it is one",
    "not-csv": "write the file as CSV, or change data.format in the loop file",
    "not-gzip": "compress the file with gzip, or drop .gz from its name",
    "unsupported-format": "land CSV (gzip too) or Parquet",
    "truncated": "land the whole file again; write it under another name first and rename it when it is complete",
    "damaged-parquet": (
        "write the file again, in a form that Arrow reads: without encryption, LZO and integers beyond 64 bits; else "
        "it is damaged: its pages contradict its footer or cannot be decoded"
    ),
    "too-large": "split the drop, or raise data.limits.max_size_mb",
    "decompressed-too-large": "split the drop, or raise data.limits.max_size_mb",
    "too-many-columns": "land fewer columns, or raise data.limits.max_columns",
    "version-too-large": "land fewer columns, or give them shorter names",
    "too-many-rows": "split the drop, or raise data.limits.max_rows",
    "too-many-row-groups": "write the file with row groups of 10,000 rows and more",
    "field-too-large": "close every quote; otherwise shorten the value, or raise data.limits.max_field_kb",
    "too-much-memory": "split the drop, or raise data.limits.memory_mb",
    "too-slow": "split the drop, or raise data.limits.seconds",
    "missing-target": "add the column, or correct data.target in the loop file",
    "missing-id": "add the column, or correct data.id in the loop file",
    "missing-origin": "add the column, or correct data.origin.column in the loop file",
    "missing-column": "add the column; to go on without it, leave it out (data.ignore, --ignore)",
    "label-weight": "leave label_weight as driftloop label-sample wrote it, or take the column out of the file",
    "retyped-column": (
        "land the column as it was, say what it is (data.columns, --column), or leave it out (data.ignore, --ignore)"
    ),
    "duplicate-header": "give each column a name of its own",
    "empty-header": "give each column a name; pandas writes none for its index: use index=False",
    "ragged-rows": "give each row as many values as the header has; quote values that hold the separator",
    "bad-encoding": "write the whole file again, as UTF-8",
    "unparsable-numbers": (
        "correct these values, name those that mean no value (data.nulls, --null), or say what the column is "
        "(data.columns, --column)"
    ),
    "mixed-schemas": "give all files of the drop the same columns and types",
    "unsupported-column": (
        "leave the column out (data.ignore, --ignore), or write it as numbers, text or times; of numbers in lists, "
        "give each row as many"
    ),
    "ambiguous-dates": "say what is first: day-first, month-first or year-first (data.columns, --column)",
    "no-time": (
        "write times as in 2024-12-31T23:59:59Z, name the values that mean no value (data.nulls, --null), or say what "
        "the column is (data.columns, --column)"
    ),
    "no-header": "write a header line above the rows",
    "delta-table": "land the files of one version of it, without its log (.hoodie, metadata); a Delta table by itself",
    "delta-feature": "write the table without it, or land a copy of its rows as Parquet files",
    "delta-elsewhere": "land a table with all its files below its own folder, as a deep clone has them",
    "delta-not-appended": "say data.delta: snapshot, or correct rows in another table",
    "delta-log-gap": "land the whole log, then run driftloop read-again, or write a checkpoint and commit again",
    "delta-log-too-large": "write a checkpoint, and let OPTIMIZE make fewer files; the next commit is read",
    "delta-files-missing": "they are gone: vacuum later, or land the table again; the next commit is read by itself",
    "bad-delta-log": "mend the table with the program that writes it; the next commit is read by itself",
    "bad-mltable": "correct the MLTable, and land it in one folder with the files that it names",
    "mltable-step": "leave the step out, and say in the loop file what columns are (data.columns, data.ignore); "
    "a Delta table is dropped by itself",
    "mltable-elsewhere": "land the files in the MLTable's own folder, and name them from there",
    "no-data": "put CSV or Parquet files there",
    "contract-broken": "correct the rows and land the file again, or change data.contract in the loop file",
    "holdout-impossible": "correct data.holdout in the loop file, or the column that it names",
    "unreadable": "write the file again with another program, and tell the maintainers of Driftloop",
    "reader-died": "write the file again with another program",
}


def rejected(code: str, what: str) -> InputRejected:
    """The rejection under a code of the list: what happened to which file, then what to do."""
    return InputRejected(code, f"{what}; {REMEDIES[code]}")


def quoted(text: str) -> str:
    """A hostile name as one short printable line."""
    clean = printable(text[:200])
    return f"'{clean}'" if len(text) <= 80 and len(clean) <= 120 else f"'{clean[:77]}…'"


def reference() -> str:
    """All reasons as a Markdown table."""
    rows = [
        f'| <a id="{code}"></a>`{code}` | {remedy[0].upper()}{remedy[1:]}. |'
        for code, remedy in sorted(REMEDIES.items())
    ]
    return "\n".join(["| reason | what to do |", "|---|---|", *rows]) + "\n"


def listed(names: list[str], most: int = 5) -> str:
    """Some names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(quoted(name) for name in names[:most]) + more
