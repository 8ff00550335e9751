"""What is asked of the reading process and what it answers, as plain values that travel as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.files.place import Place

if TYPE_CHECKING:
    from shared import loopfile
    from shared.loopfile import Data
    from shared.tables.mltable import Steps
    from shared.tables.snapshot import Table, TablePart

MIB = 1024 * 1024

JUDGED_AS = {
    "number": "numeric",
    "number-point": "numeric",
    "number-comma": "numeric",
    "category": "category",
    "id": "id",
    "text": "text",
    "time": "datetime",
    "day-first": "datetime",
    "month-first": "datetime",
    "year-first": "datetime",
}
"""The kind under which such a column is compared."""


@dataclass(frozen=True)
class DropFile:
    """A file of a drop: where it lies, and the hostile name that it landed under."""

    path: Place
    name: str
    size: int
    below: str = ""
    """Its name below the drop's folder, whose folders may be partitions such as `year=2024/`."""
    table: TablePart | None = None
    """Of a file of a Delta table: what its log says of it, which wins over what the file says."""
    steps: Steps | None = None
    """Of a file that an MLTable names: what is done to it."""

    def to_document(self) -> dict[str, Any]:
        """Without what all files of a table share; of a file of this machine."""
        assert isinstance(self.path, Path)
        told = {"path": str(self.path.resolve()), "name": self.name, "size": self.size, "below": self.below}
        return {**told, "table": self.table.to_document() if self.table else None}

    @classmethod
    def from_document(cls, document: Mapping[str, Any], table: Table | None, steps: Steps | None) -> DropFile:
        """`table` and `steps` are what all files of a drop share."""
        from shared.tables.snapshot import TablePart

        part = TablePart.from_document(document["table"], table) if table is not None else None
        return cls(Path(document["path"]), document["name"], document["size"], document["below"], part, steps)


@dataclass(frozen=True)
class Limits:
    """What reading a drop may cost. Beyond any of these the drop is rejected, by name."""

    max_bytes: int = 1024 * MIB
    """Of all files together, after decompression."""
    max_rows: int = 50_000_000
    max_columns: int = 2_000
    max_field_bytes: int = MIB
    memory_mb: int = 1536
    seconds: float = 180.0

    @classmethod
    def of(cls, limits: loopfile.Limits) -> Limits:
        """What a loop file's section `data.limits` says."""
        from shared.loopfile.definition import MOST_READING_S

        return cls(
            max_bytes=int(limits.max_size_mb * MIB),
            max_rows=limits.max_rows,
            max_columns=limits.max_columns,
            max_field_bytes=int(limits.max_field_kb * 1024),
            memory_mb=limits.memory_mb,
            seconds=min(limits.seconds, MOST_READING_S),  # a loop that was published before may ask for more
        )


@dataclass(frozen=True)
class ReadSpec:
    """What the loop says about its data."""

    target: str
    id: str = ""
    ignore: tuple[str, ...] = ()
    time: str = ""
    holdout_by: str = "hash"
    holdout_fraction: float = 0.2
    holdout_column: str = ""
    known_columns: Mapping[str, str] = field(default_factory=dict)
    """Name -> type of the version before; empty for the first."""
    limits: Limits = Limits()
    reference: bytes = b""
    """The profile whose grid is used, so that counts compare exactly."""
    format: str = "auto"
    """csv, parquet, or auto: told from the content."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Name -> what a person says that a column is, a `loopfile.value_kinds.ColumnKind`."""
    cluster: str = ""
    """Rows with the same value belong together: one of each is profiled."""
    hints: Mapping[str, str] = field(default_factory=dict)
    """Name -> style of numbers or order of dates that other data of the same kind show."""
    contract: tuple[Mapping[str, Any], ...] = ()
    """Each a `loopfile.contract.Rule`, as JSON has it."""
    origin: str = ""
    """The column that says where a row's label comes from; empty: nobody says."""
    own: tuple[str, ...] = ()
    """Values of it that mean the loop's own model."""
    trains_unknown: bool = False
    """Whether a label counts that has no origin."""
    nulls: tuple[str, ...] = ()
    """Texts that mean no value; those that are numbers in columns of numbers, too."""
    slices: tuple[str, ...] = ()
    """Columns whose values have profiles of their own; one that the drop lacks has none."""
    only: tuple[str, ...] = ()
    """All other columns are ignored; empty: none is for this."""
    landed_at: str = ""
    """When the drop landed, ISO 8601; the age of its times is counted from here."""

    def __post_init__(self) -> None:
        left_out = tuple(
            name for name, kind in self.columns.items() if kind == "ignore" and name not in self.ignore
        )
        object.__setattr__(self, "ignore", (*self.ignore, *left_out))

    @property
    def spelled(self) -> tuple[str, ...]:
        """The names that are known, as they are spelled where they are known."""
        named = (
            self.target,
            self.id,
            self.time,
            self.holdout_column,
            self.cluster,
            self.origin,
            *self.ignore,
            *self.columns,
            *self.slices,
            *(name for rule in self.contract for name in _named(rule)),
        )
        return tuple(name for name in (*named, *self.known_columns) if name)

    @classmethod
    def of(
        cls,
        data: Data,
        known_columns: Mapping[str, str],
        reference: bytes,
        cluster: str = "",
        slices: tuple[str, ...] = (),
    ) -> ReadSpec:
        """What a loop file's section `data` says; `cluster` is its `drift.cluster`, `slices` are its `slices`."""
        return cls(
            target=data.target,
            id=data.id or "",
            ignore=data.left_out,
            time=data.time or "",
            holdout_by=data.holdout.by,
            holdout_fraction=data.holdout.fraction,
            holdout_column=data.holdout.column or "",
            known_columns=known_columns,
            limits=Limits.of(data.limits),
            reference=reference,
            format=data.format,
            columns=data.columns,
            cluster=cluster,
            slices=slices,
            contract=cls.rules_of(data.contract),
            nulls=data.nulls,
            **cls.origin_of(data),
        )

    @staticmethod
    def origin_of(data: Data) -> dict[str, Any]:
        """The arguments that say which labels count."""
        found = data.origin
        if found is None:
            return {}
        return {"origin": found.column, "own": found.own, "trains_unknown": found.unknown == "train"}

    @staticmethod
    def rules_of(contract: Sequence[loopfile.Rule]) -> tuple[Mapping[str, Any], ...]:
        """A contract's rules as JSON has them."""
        return tuple(rule.model_dump(mode="json", exclude_defaults=True) for rule in contract)

    def to_document(self) -> dict[str, Any]:
        """Everything but the reference, which travels as a file."""
        left = {"reference", "limits"}
        left |= set() if self.only else {"only"}  # readers of before do not know it
        document = {name: value for name, value in self.__dict__.items() if name not in left}
        given = {name: dict(document[name]) for name in ("known_columns", "columns", "hints")}
        return {**document, **given, "limits": asdict(self.limits)}

    @classmethod
    def from_document(cls, document: Mapping[str, Any], reference: bytes) -> ReadSpec:
        listed = {name: tuple(document[name]) for name in ("ignore", "contract", "own", "nulls", "slices")}
        listed["only"] = tuple(document.get("only", ()))
        return cls(**{**document, **listed, "limits": Limits(**document["limits"])}, reference=reference)


def _named(rule: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns that a rule names."""
    others = (bound["column"] for bound in rule.values() if isinstance(bound, dict))
    return tuple(name for name in (rule.get("column", ""), *others, *rule.get("unique", ())) if name)


@dataclass(frozen=True)
class Reading:
    """What a drop turned out to be. Its rows lie under `output` as train/part-*.parquet and holdout/part-*.parquet.

    Rows without a label that are not held out lie in unlabelled/part-*.parquet, where there are some.
    """

    rows: int
    train_rows: int
    holdout_rows: int
    content_hash: str
    """The same for the same rows under the same column names, whatever their order, format or parts."""
    columns: Mapping[str, str]
    """Name -> number, integer, boolean, string, datetime or nothing (no value yet), in the order of the data."""
    schema_hash: str
    tags: Mapping[str, str]
    """length, start, end, median, sd, schema."""
    profile: bytes
    labelled: bool
    """Some row has a target."""
    findings: tuple[str, ...]
    """What people should know about a drop that can be used."""
    task: str = ""
    """classification or regression, as the target's values show; empty when no row has one."""
    rejected_rows: int = 0
    """Rows that the contract keeps out of both halves; they lie under `output` as rejected/part-*.parquet."""
    contract: tuple[Mapping[str, Any], ...] = ()
    """What each rule came to, a `contract_pass.Result` without values."""
    own_labels: int = 0
    """Labels that the loop's own model made: they are taken away."""

    def to_document(self) -> dict[str, Any]:
        """Everything but the profile, which travels as a file."""
        return {name: value for name, value in self.__dict__.items() if name != "profile"}

    @classmethod
    def from_document(cls, document: Mapping[str, Any], profile: bytes) -> Reading:
        listed = {name: tuple(document[name]) for name in ("findings", "contract")}
        return cls(**{**document, **listed}, profile=profile)
