"""One file of a drop: its columns under the names that they have here, and what was seen of those that are text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa

from shared.errors import InputRejected
from shared.files.delimited import Delimited
from shared.files.drop_files import MIB, DropFile, ReadSpec
from shared.files.formats import Budget, is_parquet, open_text
from shared.files.layout import SEPARATORS, check_names, layout, nfc
from shared.files.list_columns import found_lists, unknown_lists, widened
from shared.files.parquet import Parquet, open_parquet
from shared.files.partitions import partition_of
from shared.files.place import Place
from shared.files.row_starts import RowStarts
from shared.intake.rejections import listed, quoted, rejected
from shared.tables.mltable import Steps
from shared.tables.table_file import open_table_file
from shared.values import index_columns
from shared.values.column_kinds import BOOLEAN, DATETIME, INTEGER, NUMBER, STRING, join
from shared.values.evidence import Look, Seen, see_all
from shared.values.forms import Form
from shared.values.nulls import ALWAYS
from shared.values.number_text import COMMA, POINT
from shared.values.texts import Contradicted


@dataclass
class Part:
    """One file: what its columns are called here, what is known of them, and what its folder says."""

    file: Delimited | Parquet
    names: dict[str, str]
    """Name here -> name in the file, in its order; without what is left out."""
    constants: dict[str, str | None] = field(default_factory=dict)
    """Columns whose value the name of a folder gives, as in `year=2024/`."""
    looks: dict[str, Look] = field(default_factory=dict)
    forms: dict[str, Form] = field(default_factory=dict)
    unnamed: bool = False
    """The first column has no name in the file."""
    partial: set[str] = field(default_factory=set)
    """Columns of which only the first rows were looked at."""

    row_starts: RowStarts | None = None
    """Where the file can be begun, once that is known."""

    as_words: set[str] = field(default_factory=set)
    """Columns of text that Arrow cannot convert and `texts` can."""

    @property
    def place(self) -> Place:
        return self.file.path if isinstance(self.file, Parquet) else self.file.text.path

    @property
    def columns(self) -> list[str]:
        return [*self.names, *(name for name in self.constants if name not in self.names)]

    @property
    def separator(self) -> str:
        return self.file.layout.separator if isinstance(self.file, Delimited) else ""

    @property
    def rowless(self) -> bool:
        """Whether it has no row."""
        if isinstance(self.file, Parquet):
            return not self.file.rows
        seen = (look.values or look.markers for look in self.looks.values())
        return not self.partial and not any(seen) and self.file.rowless

    def holds(self, name: str, value: str) -> bool:
        """Whether this file can hold a value of a column: a folder's name gives all its rows one."""
        return name in self.names or self.constants.get(name) == value

    def line_of(self, name: str, value: str) -> str:
        """Where a value of a column stands, as words; nothing where no line of this file holds it."""
        if name not in self.names or not isinstance(self.file, Delimited):
            return ""
        return self.file.line_of(self.names[name], value)

    def no_number(self, name: str) -> str:
        """A value that is no number in the style that most of a column's have; empty where all are."""
        look = self.looks[name]
        return look.odd.get(POINT if look.rows[POINT] >= look.rows[COMMA] else COMMA, "")

    def leave_out(self, name: str) -> None:
        """Read this column no more."""
        self.names.pop(name, None)
        self.constants.pop(name, None)
        self.looks.pop(name, None)
        self.partial.discard(name)

    def read_as_words(self, names: Sequence[str]) -> bool:
        """Arrow reads not all values of some columns, as `NULL ` for no value; whether that is news."""
        native = {name for name in names if name in self.forms and self.forms[name].native}
        slow = {name for name in native if self.forms[name].kind != STRING}
        self.as_words |= slow
        return bool(slow)

    def look_at_all(self, names: Sequence[str]) -> None:
        """See every value of some columns."""
        wanted = [name for name in names if name in self.partial]
        if not wanted:
            return
        found = self.file.look(tuple(self.names[name] for name in wanted))
        self.looks.update({name: found[self.names[name]] for name in wanted})
        self.partial -= set(wanted)


def open_parts(files: Sequence[DropFile], spec: ReadSpec, budget: Budget, told: list[str]) -> list[Part]:
    """Open all files of a drop but the empty ones, in the order of their names."""
    found: list[tuple[DropFile, Part]] = []
    seen, no_bytes, empty = list[str](), list[str](), list[str]()
    for file in sorted(files, key=lambda file: file.name):
        if len(files) > 1 and not file.path.stat().st_size and file.table is None:
            no_bytes.append(file.name)
            continue
        try:
            found.append((file, open_part(file, spec, budget, seen)))
        except InputRejected as rejection:
            if rejection.code != "empty-file" or len(files) == 1:
                raise
            empty.append(file.name)
    told += _few(seen, no_bytes, empty)
    lists = found_lists(part.file for _, part in found)
    for place, (file, part) in enumerate(found):
        if others := unknown_lists(part.file, lists):
            known = replace(spec, known_columns={**others, **spec.known_columns})
            found[place] = file, open_part(file, known, budget, told)
    return [part for _, part in found]


_MOST_TOLD = 50
"""Of ten thousand files alike the first show what there is; a version that told of each would fit no row."""


def _few(seen: list[str], no_bytes: list[str], empty: list[str]) -> list[str]:
    """What people should know of the files of a drop, also where these are many."""
    told = list(dict.fromkeys(seen))
    more = len(told) - _MOST_TOLD
    told = told[:_MOST_TOLD] + ([f"{more:,} more of its files are told of like these"] if more > 0 else [])
    told += _passed_over(no_bytes, "has 0 bytes and is passed over", "have 0 bytes and are passed over")
    return told + _passed_over(empty, "is empty and is passed over", "are empty and are passed over")


def _passed_over(names: list[str], one: str, many: str) -> list[str]:
    return [f"{listed(names)} {one if len(names) == 1 else many}"] if names else []


def open_part(file: DropFile, spec: ReadSpec, budget: Budget, told: list[str]) -> Part:
    """Open one file; what people should know of it is added to `told`."""
    if file.table is not None:
        opened: Delimited | Parquet = widened(
            open_table_file(file, file.table, spec.limits, spec.nulls), spec, told
        )
    elif is_parquet(file, spec):
        lying = replace(open_parquet(file.path, file.name, spec.limits), nulls=spec.nulls)
        opened = widened(lying, spec, told)
        told += [
            f"column {quoted(name)} is of type {quoted(kind)} in the file, and read as the numbers that it is stored as"
            for name, kind in lying.meant.items()
            if lying.is_plain_number(name) and nfc(name) not in spec.ignore
        ]
    else:
        text = open_text(file, budget)
        seen = layout(text, spec.limits, spec.target)
        if seen.above:
            told.append(
                f"{quoted(file.name)}: passed over above the first row: {listed(list(seen.above), 3)}"
            )
        if seen.other:
            told.append(f"{quoted(file.name)} has one column; {_remedy(seen.other, seen.sep_helps)}")
        if total := _total(file, seen.separator):
            told.append(
                f"{quoted(file.name)}: the last row looks like a total and is a row like others: {quoted(total)}"
            )
        opened = Delimited(text, seen, spec.limits, (*ALWAYS, *spec.nulls))
    known = {nfc(name): name for name in spec.spelled}
    used = [known.get(nfc(name), nfc(name)) for name in opened.columns]
    unnamed = len(used) > 1 and not used[0] and isinstance(opened, Delimited)
    if unnamed and isinstance(opened, Delimited):
        used[0] = next((n for n in index_columns.UNNAMED_NAMES if n not in used), index_columns.UNNAMED)
        opened = replace(opened, layout=replace(opened.layout, columns=(used[0], *opened.columns[1:])))
    unclear = {name for name, count in Counter(used).items() if count > 1 and name in spec.ignore}
    check_names(tuple(name for name in used if name not in unclear), file.name)
    names = {name: own for name, own in zip(used, opened.columns, strict=True) if name not in unclear}
    if file.steps is not None:
        names = _after_steps(names, file.steps, opened)
    folders = partition_of(file.below) if file.table is None else {}
    folders = {known.get(nfc(name), nfc(name)): value for name, value in folders.items()}
    if both := [name for name in folders if name in names]:
        told.append(f"{listed(both)} is read from the files, not from the names of their folders")
    constants = {name: _as_in_file(value, opened, spec) for name, value in folders.items()}
    return Part(opened, names, constants, unnamed=unnamed)


def _as_in_file(value: str | None, file: Delimited | Parquet, spec: ReadSpec) -> str | None:
    """The value of a partition, as the same text among the file's rows is read."""
    bare = (value or "").strip()
    if isinstance(file, Delimited):
        return None if bare in file.nulls else bare
    return None if bare in spec.nulls else value


def _remedy(mark: str, sep_helps: bool) -> str:
    """What to do where a sign that is no usual separator may be one."""
    if mark in SEPARATORS:
        return f"if {quoted(mark)} separates values, write no quotes around whole lines"
    what = "if blanks separate" if mark.isspace() else f"if {quoted(mark)} separates"
    if sep_helps and len(mark) == 1 and mark.isascii() and mark.isprintable():
        return f"{what} values, write it in a first line as sep={mark}"
    return f"{what} values, write a comma, a semicolon, a tab or | between them"


def _after_steps(names: dict[str, str], steps: Steps, opened: Delimited | Parquet) -> dict[str, str]:
    """The columns that an MLTable leaves, of a file that is as it says."""
    found = "delimited" if isinstance(opened, Delimited) else "parquet"
    if found != steps.form:
        raise rejected(
            "bad-mltable", f"{quoted(opened.name)} is {found}, not {steps.form} as its MLTable says"
        )
    separator = opened.layout.separator if isinstance(opened, Delimited) else ""
    if steps.delimiter and len(names) > 1 and separator != steps.delimiter:
        said = f"not {quoted(steps.delimiter)} as its MLTable says"
        raise rejected("bad-mltable", f"{quoted(opened.name)} is separated by {quoted(separator)}, {said}")
    return {name: names[name] for name in steps.left(list(names))}


_TOTALS = frozenset(
    ("total", "totals", "grand total", "sum", "subtotal", "summe", "gesamt", "gesamtsumme", "totale", "totaal", "somme",
     "suma", "soma", "razem", "itogo", "итого", "всего", "合計", "总计", "合计")
)  # fmt: skip
_TAIL_BYTES = 4096


def _total(file: DropFile, separator: str) -> str:
    """The last line of a file that is not packed, where one of its values is a word for a total."""
    with file.path.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - _TAIL_BYTES))
        lines = stream.read().decode("utf-8", "ignore").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip(f"\r {separator}")), "")
    words = (word.strip(' ":').casefold() for word in last.split(separator))
    return last if len(lines) > 1 and any(word in _TOTALS for word in words) else ""


_BYTES_AT_ONCE = 4 * MIB
"""Of words that are looked at together."""


def first_looks(parts: Sequence[Part], spec: ReadSpec) -> None:
    """The first look at columns of text, of as many small files at once as memory allows."""
    seen, size = list[Seen](), 0
    for part in parts:
        own = _first_look(part, spec)
        seen += own
        size += sum(words.nbytes for _, words, _ in own)
        if size >= _BYTES_AT_ONCE:
            see_all(seen)
            seen, size = [], 0
    see_all([*seen, *_folders_looks(parts)])


def _folders_looks(parts: Sequence[Part]) -> list[Seen]:
    """What is to be seen of columns that folders give. Their values are looked at together: `month=01` shows that
    `month=10` is a code as well."""
    seen: list[Seen] = []
    for name in dict.fromkeys(name for part in parts for name in part.constants):
        those = [part for part in parts if name in part.constants and name not in part.names]
        look = Look()
        for part in those:
            part.looks[name] = look
        held = Counter(value for part in those if (value := part.constants[name]) is not None)
        seen.append((look, pa.array([*held], pa.string()), pa.array([*held.values()], pa.int64())))
    return seen


def _first_look(part: Part, spec: ReadSpec) -> list[Seen]:
    """What `see_all` is to see for it."""
    seen: list[Seen] = []
    if isinstance(part.file, Delimited):
        try:
            looks, whole, seen = part.file.sample()
        except Contradicted:  # quotes behind a backslash
            part.file = replace(part.file, layout=replace(part.file.layout, escapes=True))
            looks, whole, seen = part.file.sample()
        part.looks = {name: looks[own] for name, own in part.names.items()}
        part.partial = set() if whole else set(part.looks)
    else:
        said = [n for n in part.names if _reads_words(part.file, part.names[n], spec.columns.get(n, ""))]
        part.looks = {name: Look() for name in said}
        part.partial = set(said)
        part.look_at_all(said)
    return seen


def odd_value(parts: Sequence[Part], name: str, kind: str) -> str:
    """What makes text of a column that was of another type: a value, its line and its file, to end a sentence with."""
    for part in parts:
        if name not in part.looks or join(kind, part.forms[name].kind) == kind:
            continue
        look = part.looks[name]
        if kind in (NUMBER, INTEGER):
            odd = part.no_number(name) or look.odd.get("code") or look.odd.get("beyond", "")
        else:
            odd = look.odd.get({DATETIME: "no date", BOOLEAN: "truth"}.get(kind, ""), "")
        if odd and part.holds(name, odd):
            return f": {quoted(odd)}{part.line_of(name, odd)} of {quoted(part.file.name)}"
    return ""


SAID_NUMBERS = ("number", "number-point", "number-comma")
SAID_TIMES = ("time", "day-first", "month-first", "year-first")


def _reads_words(file: Parquet, column: str, said: str) -> bool:
    """Whether a typed column is read by its words: text of which a person says more, or numbers that count times."""
    counts = said in SAID_TIMES and file.is_plain_number(column)
    return counts or (said in (*SAID_NUMBERS, *SAID_TIMES) and file.is_text(column))


def is_index(part: Part, name: str) -> bool:
    """Whether a column that is named like an index holds one."""
    if isinstance(part.file, Parquet):
        return index_columns.in_footer(part.file.schema, part.names[name])
    look = part.looks[name]
    return bool(look.values) and look.rows["arrow whole"] == look.values
