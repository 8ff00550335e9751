"""The files of a drop become one stream of canonical batches, which can be begun again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.compute as pc

from drift.kinds import is_number
from shared.errors import InputRejected
from shared.files.delimited import Delimited
from shared.files.drop_files import DropFile, ReadSpec
from shared.files.formats import Budget
from shared.files.layout import is_value, nfc
from shared.files.parquet import Parquet
from shared.files.part import SAID_NUMBERS, SAID_TIMES, Part, first_looks, is_index, odd_value, open_parts
from shared.intake.rejections import listed, quoted, rejected
from shared.reader.met import Met
from shared.values import index_columns
from shared.values.arrow_columns import as_words, from_arrow, one_piece
from shared.values.column_kinds import (
    ARROW,
    BOOLEAN,
    DATETIME,
    INTEGER,
    LONG,
    NOTHING,
    NUMBER,
    STRING,
    infinite,
    join,
)
from shared.values.forms import TEXT, Form, NoTime, decided, like_times, settle, shown, spoilt, still
from shared.values.nulls import without
from shared.values.texts import Contradicted, converted

_WORDS_SAID = ("text", "id", "category")
"""Kinds under which text that looks like numbers is none."""


@dataclass
class Sources:
    """All files of one drop, opened, with the types that their columns suggest."""

    parts: list[Part]
    spec: ReadSpec
    budget: Budget
    found: dict[str, str] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    """Ignored columns of types for which there is no use."""
    there: frozenset[str] = frozenset()
    """All columns of the files, those that are left out as well."""
    told: list[str] = field(default_factory=list)
    """What people should know of how the files were read."""
    cut: set[str] = field(default_factory=set)
    """Columns of times of 96 bits that are finer than microseconds."""
    met: Met = field(default_factory=Met)
    """What the last pass showed."""
    _reading: Part | None = None
    """The file that the last pass came to."""

    @property
    def names(self) -> list[str]:
        return [part.file.name for part in self.parts]

    @property
    def texts(self) -> frozenset[str]:
        """Columns that are text in all files, or in the names of their folders, and can stay text."""
        typed = (part for part in self.parts if isinstance(part.file, Parquet))
        return self.there.difference(*(part.names for part in typed))

    def settled(self, name: str) -> str:
        """The type of a column when nothing is known of it before."""
        return STRING if self.found[name] == LONG else self.found[name]

    @property
    def hints(self) -> dict[str, str]:
        """Name -> style of numbers or order of dates by which others of its kind are read; not of files that differ."""
        return _agreed(
            (name, shown(part.looks[name], form)) for part in self.parts for name, form in part.forms.items()
        )

    @property
    def guessed(self) -> frozenset[str]:
        """Columns of which nothing in these files shows how they are written."""
        return frozenset(name for part in self.parts for name, form in part.forms.items() if form.guessed)

    def findings(self) -> list[str]:
        """How the files were read, where people may have meant something else."""
        told = list(dict.fromkeys(self.told))  # once, of ten thousand files alike
        for name in self.found:
            for form in dict.fromkeys(part.forms[name].doubt for part in self.parts if name in part.forms):
                told += [f"column {quoted(name)} {form}"] if form and not self._is_no_value(name) else []
            markers = sorted(
                {m for p in self.parts if _reads_markers(p, name) for m in p.looks[name].markers}
            )
            if markers and self.found[name] != STRING and name not in self.spec.ignore:
                told.append(f"column {quoted(name)}: {listed(markers)} is read as no value")
        return told + replace(self.met, cut=self.met.cut | self.cut.difference(self.spec.ignore)).findings()

    def _is_no_value(self, name: str) -> bool:
        """Whatever it looks like: it is left out, or only names its row."""
        return name in self.spec.ignore or (name == self.spec.id and self.found[name] == STRING)

    def learn(self, contradicted: Contradicted) -> None:
        """See all values of the column that a late row made another, and settle the types anew."""
        news = False
        for part in self.parts:
            if contradicted.what == "escapes" and isinstance(part.file, Delimited):
                news = news or not part.file.layout.escapes
                part.file = replace(part.file, layout=replace(part.file.layout, escapes=True))
            else:
                names = [n for n, own in part.names.items() if contradicted.column in (n, own)]
                news = news or bool(part.partial.intersection(names))
                part.look_at_all(names)
                news = part.read_as_words(names) or news
        if not news:  # all values were known: they are not what a person says
            times = any(
                f.kind == DATETIME for p in self.parts for n, f in p.forms.items() if n == contradicted.column
            )
            code, what = ("no-time", "time") if times else ("unparsable-numbers", "number")
            where = _where(self._reading, contradicted.column, contradicted.value)
            raise rejected(code, f"{where} not a {what}")
        _settle(self)

    def infinite(self, name: str) -> InputRejected:
        """Where the first infinite number of a column stands: its rows are gone through again."""
        file, row = "", 0
        for batch in self.batches({name: NUMBER}):
            here = self._reading.file.name if self._reading else ""
            file, row = here, row if here == file else 0
            at: int = pc.index(pc.is_inf(batch.column(0)), pa.scalar(True)).as_py()
            if at >= 0:
                return infinite(name, f"{quoted(file)}: ", f" in data row {row + at + 1:,}")
            row += batch.num_rows
        return infinite(name)

    def odd(self, name: str, kind: str) -> str:
        """What makes text of a column that was of another type."""
        return odd_value(self.parts, name, kind)

    def at_most(self, rows: int) -> bool:
        """Whether there are surely no more rows, as far as footers and line ends show it."""
        left = rows
        for part in self.parts:
            left -= part.file.rows if isinstance(part.file, Parquet) else part.file.lines(left)
            if left < 0:
                return False
        return True

    def count(self) -> int:
        """How many rows there are; from now on a pass can begin at any. Files of text are gone through for it."""
        for part in self.parts:
            part.row_starts = part.row_starts or part.file.row_starts()
        return sum(part.row_starts.rows for part in self.parts if part.row_starts)

    def holding(self, first: int, stop: int) -> tuple[str, ...]:
        """The files that hold some of these rows, after they were counted."""
        found, at = [], 0
        for part in self.parts:
            begin, at = at, at + (part.row_starts.rows if part.row_starts else 0)
            found += [part.file.name] if begin < stop and first < at else []
        return tuple(found)

    def batches(
        self, columns: Mapping[str, str], first: int = 0, stop: int | None = None
    ) -> Iterator[pa.RecordBatch]:
        """All rows of these columns as their settled types; file by file in the order of their names.

        Or those from `first` to before `stop`. Infinite numbers are told (`met`), not refused before the end: a later
        row may show that the column is text.
        """
        schema = pa.schema([(name, ARROW[kind]) for name, kind in columns.items()])
        for table in self._rows(columns, schema, first, stop):
            arrays = [one_piece(table.column(name)) for name in columns]
            found = {name for name, column in zip(columns, arrays, strict=True) if _has_infinite(column)}
            self.met.infinite |= found
            yield pa.RecordBatch.from_arrays([_without_nan(column) for column in arrays], schema=schema)

    def coded(self, columns: Mapping[str, str]) -> Iterator[pa.Table]:
        """As `batches`, with text as dictionaries and numbers as they are, which is faster where they are counted."""
        words = pa.dictionary(pa.int32(), pa.string())
        types = [(name, words if kind == STRING else ARROW[kind]) for name, kind in columns.items()]
        yield from self._rows(columns, pa.schema(types))

    def check_rows(self, rows: int, name: str) -> None:
        """No more than the limit."""
        if rows > self.spec.limits.max_rows:
            limit = f"the limit is {self.spec.limits.max_rows:,}"
            raise rejected("too-many-rows", f"{quoted(name)} brings the drop to {rows:,} rows, {limit}")

    def check_unpacked(self, size: int, name: str) -> None:
        """All spans together; one pass is refused on its way."""
        replace(self.budget).spend(size, name)

    def _rows(
        self, columns: Mapping[str, str], schema: pa.Schema, first: int = 0, stop: int | None = None
    ) -> Iterator[pa.Table]:
        budget, self.met = replace(self.budget), Met()
        for part, table in self._slices(columns, budget, first, stop):
            self.met.rows += table.num_rows
            self.check_rows(self.met.rows, part.file.name)
            self.met.unpacked += table.nbytes if isinstance(part.file, Parquet) else 0
            arrays = [self._column(part, table, f.name, columns[f.name], f.type) for f in schema]
            if self.spec.nulls:
                arrays = [without(array, self.spec.nulls) for array in arrays]
            rows = pa.Table.from_arrays(arrays, schema=schema)
            if len(columns) == len(self.found) > 1 and isinstance(part.file, Delimited):
                self.met.see(rows, words=set(columns.values()) == {STRING})
            yield rows

    def _slices(
        self, columns: Mapping[str, str], budget: Budget, first: int, stop: int | None
    ) -> Iterator[tuple[Part, pa.Table | pa.RecordBatch]]:
        """Tables with the rows from `first` to before `stop`, and the files that they are from."""
        at = 0
        for part in self.parts:
            self._reading = part
            if part.row_starts and at + part.row_starts.rows <= first:
                at += part.row_starts.rows
                continue
            begin, place = part.row_starts.before(first - at) if part.row_starts and first > at else (0, 0)
            at += begin
            for table in self._tables(part, columns, budget, place):
                start, at = at, at + table.num_rows
                ahead, behind = max(0, first - start), at if stop is None else min(at, stop)
                if start + ahead < behind:
                    yield part, table.slice(ahead, behind - start - ahead)
                if stop is not None and at >= stop:
                    return

    def _tables(
        self, part: Part, columns: Mapping[str, str], budget: Budget, place: int
    ) -> Iterator[pa.Table | pa.RecordBatch]:
        own = {name: part.names[name] for name in columns if name in part.names}
        if isinstance(part.file, Delimited):
            forms = {own[name]: part.forms[name] for name in own}
            if not forms:  # the rows of a partition of which only the folder's name is wanted
                first = part.file.columns[0]
                forms = {first: TEXT}
            return part.file.tables(
                {
                    name: TEXT if self._stays_text(name, columns, own) else form
                    for name, form in forms.items()
                },
                place=place,
            )
        return part.file.batches(list(own.values()), budget, place)

    def _stays_text(self, own_name: str, columns: Mapping[str, str], own: Mapping[str, str]) -> bool:
        return any(columns[name] == STRING for name, there in own.items() if there == own_name)

    def _column(
        self, part: Part, table: pa.Table | pa.RecordBatch, name: str, kind: str, wanted: pa.DataType
    ) -> pa.Array:
        if name not in part.names:
            value = part.constants.get(name)
            if value is None:
                return pa.nulls(table.num_rows, wanted)
            column: pa.Array = pa.repeat(pa.scalar(value, pa.string()), table.num_rows).dictionary_encode()
            column = converted(column, name, part.forms[name]) if kind != STRING else column
        else:
            column = table.column(part.names[name])
            changes = column.type != wanted or isinstance(part.file, Parquet)
            if self.spec.nulls and changes and is_number(column.type):  # later it may be text, or a time
                column = without(column, self.spec.nulls)
            if isinstance(part.file, Parquet) and name in part.forms:
                words = as_words(one_piece(column)).dictionary_encode()
                column = converted(words, name, part.forms[name])
        if column.type == wanted:
            return column
        column = one_piece(column)
        made, lossy = from_arrow(column, name, kind, lenient=name in self.spec.ignore)
        if lossy:
            (self.met.cut if kind == DATETIME else self.met.lossy).add(name)
        return made if made.type == wanted else made.dictionary_encode()


def _where(part: Part | None, name: str, odd: str) -> str:
    """The file, the column and, where it is known, the line of a value that is not what a person says."""
    here = part if part and (not odd or part.holds(name, odd)) else None
    file = f"{quoted(here.file.name)}: " if here else ""
    line = here.line_of(name, odd) if here and odd else ""
    return f"{file}column {quoted(name)} holds " + (
        f"{quoted(odd)}{line}, which is" if odd else "a value that is"
    )


def _has_infinite(column: pa.Array) -> bool:
    return column.type == pa.float64() and bool(pc.any(pc.is_inf(column)).as_py())


def _without_nan(column: pa.Array) -> pa.Array:
    if column.type != pa.float64():
        return column
    return pc.if_else(pc.is_nan(column), pa.scalar(None, pa.float64()), column)


def _reads_markers(part: Part, name: str) -> bool:
    form = part.forms.get(name)
    return form is not None and form.kind not in (STRING, LONG) and name in part.looks


def open_sources(files: Sequence[DropFile], spec: ReadSpec) -> Sources:
    """Open every file, check that they belong together, and see what the columns of text can be read as."""
    most = spec.limits.max_bytes
    if (total := sum(file.path.stat().st_size for file in files)) > most:
        first = listed([file.name for file in files], 1)
        raise rejected("too-large", f"{first} has {total:,} bytes, the limit is {most:,}")
    if (steps := files[0].steps) is not None:  # what a person says wins over what an MLTable does
        left = steps.keep or tuple(steps.kinds)
        kinds = {n: kind for n, kind in steps.kinds.items() if n in left and n not in steps.drop}
        spec = replace(spec, columns={**kinds, **spec.columns})
    budget = Budget(most, most)
    sources = Sources([], spec, budget)
    sources.parts += open_parts(files, spec, budget, sources.told)
    if not sources.parts:
        raise rejected("empty-file", f"{quoted(files[0].name)} is empty")
    sources.there = frozenset(name for part in sources.parts for name in part.columns)
    if spec.only:
        others = sorted(sources.there.difference(spec.only, spec.ignore))
        sources.spec = spec = replace(spec, ignore=(*spec.ignore, *others))
    first_looks(sources.parts, spec)
    _leave_out_rowless(sources)
    _leave_out_indexes(sources)
    _leave_out_ignored(sources)
    _tell_of_typed_text(sources)
    _tell_of_cut_times(sources)
    _check_same_columns(sources.parts)
    _settle(sources)
    return sources


def _tell_of_typed_text(sources: Sources) -> None:
    """Text in Parquet stays text, and numbers numbers; that they look like something else is told as long as the column
    is new."""
    spec, part = sources.spec, sources.parts[0]
    if not isinstance(part.file, Parquet):
        return
    file, quiet = part.file, {spec.id, *spec.ignore, *spec.columns}
    own = {there: name for name, there in part.names.items() if name not in quiet}
    words = [t for t, name in own.items() if spec.known_columns.get(name) != STRING and file.is_text(t)]
    large = [t for t in file.footer.large if t in own and spec.known_columns.get(own[t], NOTHING) == NOTHING]
    looks = file.head((*words, *large))
    for there, form in settle({name: looks[name] for name in words}, "", {}, {}).items():
        if form.kind in _TYPED:
            what = f"is text in the file and holds {_TYPED[form.kind]}"
            say = "if that is what it is, say so (data.columns, --column)"
            sources.told.append(f"column {quoted(own[there])} {what}; {say}")
        elif form.doubt:
            sources.told.append(f"column {quoted(own[there])} {form.doubt}")
    for there in large:
        if what := looks[there].whole.likely():
            sources.told.append(f"column {quoted(own[there])} {like_times(what, file.kind(there) or NUMBER)}")


def _tell_of_cut_times(sources: Sources) -> None:
    """Times of 96 bits come as microseconds: whether some were finer is asked of files until one says so."""
    for part in sources.parts:
        if isinstance(part.file, Parquet) and part.file.times96 and not sources.cut:
            names = {own: name for name, own in part.names.items()}
            sources.cut.update(names[own] for own in part.file.finer() if own in names)


_TYPED = {NUMBER: "numbers", INTEGER: "numbers", DATETIME: "times"}


def _leave_out_rowless(sources: Sources) -> None:
    """Parts without rows say nothing of the columns: writers leave some that have none at all."""
    full = [part for part in sources.parts if not part.rowless]
    if not full:
        return
    for part in sources.parts:
        if part.rowless and {*part.columns} != {*full[0].columns}:
            _check_no_row(part, full[0])
            sources.told.append(f"{quoted(part.file.name)} has no row, and other columns: it is passed over")
    sources.parts[:] = full


def _check_no_row(part: Part, full: Part) -> None:
    """A file of one row and no header looks like a header without rows."""
    strange = {*part.names}.isdisjoint(full.columns)
    if isinstance(part.file, Delimited) and strange and any(map(is_value, part.names)):
        line = part.separator.join(part.names)
        raise rejected("no-header", f"{quoted(part.file.name)} has values in place of names: {quoted(line)}")


def _leave_out_ignored(sources: Sources) -> None:
    """An ignored column that not all files have keeps none of them out."""
    for name in sources.spec.ignore:
        if any(name in part.columns for part in sources.parts) and not all(
            name in part.columns for part in sources.parts
        ):
            for part in sources.parts:
                part.leave_out(name)
            sources.told.append(f"column {quoted(name)} is ignored and is not in all files: left out")


def _check_same_columns(parts: Sequence[Part]) -> None:
    first = parts[0]
    for other in parts[1:]:
        if set(other.columns) != set(first.columns):
            different = sorted(set(other.columns) ^ set(first.columns))
            raise rejected(
                "mixed-schemas",
                f"{quoted(first.file.name)} and {quoted(other.file.name)} differ in the columns {listed(different)}",
            )


def _leave_out_indexes(sources: Sources) -> None:
    """pandas' index is no feature, where nobody says otherwise."""
    wanted = set(sources.spec.spelled)
    for name in dict.fromkeys(name for part in sources.parts for name in part.names):
        if name in wanted or not index_columns.looks_like(name):
            continue
        if all(is_index(part, name) for part in sources.parts if name in part.names):
            for part in sources.parts:
                part.leave_out(name)
            sources.told.append(
                f"column {quoted(name)} is pandas' index and is left out; say what it is (data.columns) to keep it"
            )
        elif any(part.unnamed for part in sources.parts) and name in index_columns.UNNAMED_NAMES:
            raise rejected("empty-header", f"{quoted(sources.parts[0].file.name)} has no name for column 1")
        else:
            sources.told.append(
                f"column {quoted(name)} looks like pandas' index and holds no row numbers; it is kept"
            )


def _settle(sources: Sources) -> None:
    """The form of each column of text and the type of every column; where the first rows do not do, all are seen."""
    spec = sources.spec
    said = {name: kind for name, kind in spec.columns.items() if name not in spec.ignore}
    known = {name: kind for name, kind in spec.known_columns.items() if name not in spec.ignore}
    for part in sources.parts:
        forms = _forms(part, said, known)
        undecided = [
            name
            for name, form in forms.items()
            if form.open or form.bare or _is_spoilt(part, name, form, spec)
        ]
        part.look_at_all(undecided)
    looks = [(name, look) for part in sources.parts for name, look in part.looks.items()]
    agreed = _agreed(((name, decided(look)) for name, look in looks), "")
    hints = {**still(spec.hints, agreed), **agreed}
    for part in sources.parts:
        part.forms = _forms(part, said, known, hints)
        part.forms |= {name: replace(part.forms[name], native=False) for name in part.as_words}
        part.forms |= {name: replace(part.forms[name], partial=True) for name in part.partial}
        for name, form in part.forms.items():
            if _is_spoilt(part, name, form, spec):
                raise _spoilt(part, name)
    sources.found.clear()
    sources.dropped.clear()
    for name in sources.parts[0].columns:
        kind = _found(sources, name)
        if kind is None:
            sources.dropped.append(name)
        else:
            sources.found[name] = kind


def _forms(
    part: Part, said: Mapping[str, str], known: Mapping[str, str], hints: Mapping[str, str] | None = None
) -> dict[str, Form]:
    try:
        return settle(part.looks, part.separator, said, known, hints=hints, final=hints is not None)
    except NoTime as odd:
        raise rejected("no-time", f"{_where(part, odd.column, odd.value)} not a time") from odd


def _agreed(shown: Iterable[tuple[str, str]], otherwise: str | None = None) -> dict[str, str]:
    """The style of each column of which some files show one; where they show several, `otherwise`, or nothing."""
    found: dict[str, set[str]] = {}
    for name, style in shown:
        if style:
            found.setdefault(name, set()).add(style)
    agreed = {name: next(iter(styles)) if len(styles) == 1 else otherwise for name, styles in found.items()}
    return {name: style for name, style in agreed.items() if style is not None}


def _is_spoilt(part: Part, name: str, form: Form, spec: ReadSpec) -> bool:
    """Nearly all values are numbers, and nobody said that they are none."""
    said = spec.columns.get(name, "")
    quiet = (
        name in spec.ignore
        or name not in part.names
        or name == spec.id
        or spec.known_columns.get(name) == STRING
        or said in _WORDS_SAID
    )
    return form.kind == STRING and not quiet and spoilt(part.looks[name])


def _spoilt(part: Part, name: str) -> Exception:
    look = part.looks[name]
    odd = part.no_number(name) or look.odd.get("beyond", "")
    line = part.line_of(name, odd)
    column = f"{quoted(part.file.name)}: column {quoted(name)}"
    if nfc(odd) == name:
        return rejected("unparsable-numbers", f"{column} holds its own name{line}: a header among the rows")
    beyond = "" if part.no_number(name) else ", which 64 bits do not hold"
    share = f"{look.values:,} values, nearly all of them numbers, and among them {quoted(odd)}{line}{beyond}"
    return rejected("unparsable-numbers", f"{column} holds {share}")


def _found(sources: Sources, name: str) -> str | None:
    """The type that the values of a column suggest; None when it is ignored and of no use."""
    spec, found = sources.spec, NOTHING
    for part in sources.parts:
        kind = part.forms[name].kind if name in part.forms else _arrow_kind(part, name, spec)
        if kind is None:
            return None
        if kind != found and isinstance(part.file, Parquet) and name in part.names:
            kind = NOTHING if part.file.is_empty(part.names[name]) else kind
        joined = join(found, kind)
        if joined is None and (name in spec.ignore or name in sources.texts):
            joined = STRING
        if joined is None:
            raise rejected(
                "mixed-schemas",
                f"column {quoted(name)} is {_words(kind)} in {quoted(part.file.name)} and {_words(found)} before it",
            )
        found = joined
    if found == LONG and any(isinstance(part.file, Parquet) for part in sources.parts):
        sources.told.append(
            f"column {quoted(name)} holds whole numbers beyond 64 bits and is text, so that none changes"
        )
    if found == STRING and any(
        part.forms[name].kind not in (STRING, NOTHING) for part in sources.parts if name in part.forms
    ):
        sources.told.append(f"column {quoted(name)} is text, as it is in some of the files")
    return _as_said(name, found, "" if name in spec.ignore else spec.columns.get(name, ""))


def _words(kind: str) -> str:
    return "whole numbers beyond 64 bits" if kind == LONG else kind


def _as_said(name: str, found: str, said: str) -> str:
    """The type of a column that has one in its file, where a person says what it is: done, or refused."""
    if said == "text" and found != NOTHING:
        return STRING
    if said in SAID_NUMBERS and found == LONG:
        return NUMBER
    if said in SAID_NUMBERS and found in (BOOLEAN, DATETIME):
        raise rejected("unparsable-numbers", f"column {quoted(name)} is {found}, which is not a number")
    if said in SAID_TIMES and found not in (DATETIME, NOTHING):
        raise rejected("no-time", f"column {quoted(name)} is {found}, which is not a time")
    return found


def _arrow_kind(part: Part, name: str, spec: ReadSpec) -> str | None:
    assert isinstance(part.file, Parquet)
    own = part.names[name]
    if not part.file.rows:
        return NOTHING  # whatever type a part without rows says
    kind = part.file.kind(own)
    if kind is None and name not in spec.ignore:
        shape = quoted(str(part.file.schema.field(own).type)[:100])
        raise rejected(
            "unsupported-column", f"{quoted(part.file.name)} has column {quoted(name)} of type {shape}"
        )
    return kind
