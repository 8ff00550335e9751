"""Folders like `year=2024/` hold the value of a column of all rows below them, as Hive, Spark and pandas write them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import unquote

from shared.files.passed_over import is_data
from shared.tables.snapshot import LOG

_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


def partition_of(name: str) -> dict[str, str | None]:
    """The columns that the folders of a file's name give, with their values."""
    found: dict[str, str | None] = {}
    for folder in name.split("/")[:-1]:
        key, mark, value = folder.partition("=")
        if mark and key:
            found[unquote(key)] = None if value == _NO_VALUE else unquote(value)
    return found


def table_of(names: Iterable[str]) -> str:
    """Which table format such names below a folder belong to, in it or in a folder of it: its files hold rows that are
    deleted. Empty for none."""
    for name in names:
        *folders, base = name.split("/")
        if LOG in folders:
            return "a Delta table"
        if ".hoodie" in folders or base == ".hoodie_partition_metadata":
            return "a Hudi table"
        if folders[-1:] == ["metadata"] and base.endswith(".metadata.json"):
            return "an Iceberg table"
    return ""


def is_part(below: str) -> bool:
    """Whether a file of this name below a drop's folder belongs to its data: with only partitions between."""
    *folders, base = below.split("/")
    return bool(base) and is_data(below) and all("=" in folder for folder in folders)


def left_out(names: Sequence[str], end: str = "_SUCCESS") -> list[str]:
    """Of names below a folder the data in folders that are no partitions of it, and no drops by an end of their own."""
    ended = {name.rpartition("/")[0] for name in names if name.endswith(f"/{end}")}
    inner = [name for name in names if is_data(name) and not is_part(name)]
    return [name for name in inner if name.rpartition("/")[0] not in ended]
