"""What columns of text are read as: right, or told; siblings of the cases in test_dress.py."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import InputRejected
from shared.values.evidence import Look, see_all
from tests.intake.dressing import Read, column

QUICK = settings(max_examples=15, deadline=None, derandomize=True)


def day(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> dt.datetime:
    return dt.datetime(year, month, day, hour, minute, second, tzinfo=dt.UTC)


# --- no value --------------------------------------------------------------------------------------

MARKERS = [
    "k.A.", "K. A.", "n.v.", "ND", "N/D", "#NV", "#WERT!", "#¡DIV/0!", "#N/D", "#VALEUR!", "#BEZUG!", "#SPILL!",
    "#####", "−", "??", ":", "''", '""""', "{null}", "'NULL'", "(leer)", "-nan", "nan(ind)", "-1.#IND", "unbekannt",
    "Inconnu", "sin dato", "brak", "нет", "なし", "Not Available", "TBD", "\\\\N", "\u200b", "Na",
]  # fmt: skip


@pytest.mark.parametrize("marker", MARKERS)
def test_no_value_in_any_language_leaves_numbers_numbers(marker: str) -> None:
    values = [str(i) for i in range(20)]
    for several in ([marker], [marker] * 30):
        read = Read(column([*values[:5], *several, *values[5:]]))
        assert read.kinds["x"] == "integer" and read.rows["x"].count(None) == len(several)
        assert "read as no value" in read.findings


@pytest.mark.parametrize("blank", ["NULL ", " NA", "\u00a0", "\u3000"])
@pytest.mark.parametrize("value", ["1", "1.5", "true", "2024-01-31"])
def test_blanks_around_no_value_stop_nothing(blank: str, value: str) -> None:
    read = Read(column([value] * 3 + [blank]))
    assert read.kinds["x"] != "string" and read.rows["x"][3] is None


def test_a_word_that_also_says_no_value_is_a_word_among_words_and_alone() -> None:
    for states in (["NC", "ND"], ["NC"], ["NC", "OH"], ["void", "full"]):
        assert Read(column(states)).rows["x"] == states, "North Carolina is no missing value"
    assert Read(column(["?", "none"])).kinds["x"] == "nothing"
    assert Read(column(["unknown"]), known_columns={"x": "string", "n": "integer"}).rows["x"] == ["unknown"]


def test_few_words_among_numbers_are_told_however_many_rows_hold_them() -> None:
    read = Read(column(["weiss nicht"] * 80 + [str(i) for i in range(20)]))
    assert read.kinds["x"] == "string" and "'weiss nicht'" in read.findings
    assert "is text" not in Read(column(["a1", "b2", "c3", "d4", "5"])).findings


def test_zero_dates_are_no_value() -> None:
    read = Read(column(["2024-01-31", "0000-00-00", "0000-00-00 00:00:00"]))
    assert read.rows["x"] == [day(2024, 1, 31), None, None]


# --- numbers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dash", "−–‒﹣－")
def test_any_dash_before_a_number_is_a_minus(dash: str) -> None:
    assert Read(column([f"{dash}5", "7", f"{dash}1.5"])).rows["x"] == [-5, 7, -1.5]


UNREAD = [
    "1_234", "1,2345,6789", "1.5D+03", "1.5×10^3", "12+", "<5", "≥ 5", "~5", "１２３", "١٢٣", "12 kr", "12,50 zł",
    "Rs. 12", "R$ 12,50", "A$1,234", "12 kg", "12cm", "12k", "1.5 GB", "5 °C", "1.234,50-", "'0.5'", "“0.5”",
    "'12", "'1,5", "=12.5", "1 1/2", "2½", "½",
]  # fmt: skip


@pytest.mark.parametrize("value", UNREAD)
def test_numbers_in_forms_that_are_not_read_are_told(value: str) -> None:
    for values in ([value, value], [value, "5", "7", "8"]):
        read = Read(column(values))
        assert read.kinds["x"] == "string" and read.rows["x"] == values
        assert "is text" in read.findings and value in read.findings


@pytest.mark.parametrize("unseen", ["\u200b", "\u200e", "\u202a", "\u2060", "\ufeff", "\u00ad"])
def test_signs_of_no_width_in_numbers_are_told(unseen: str) -> None:
    for value in (f"12{unseen}", f"{unseen}12.5", f"{unseen}1,234{unseen}"):
        read = Read(column(["5", value, value]))
        assert read.rows["x"] == ["5", value, value]
        assert "numbers in a form that is not read" in read.findings and ascii(value) in read.findings


@pytest.mark.parametrize("value", ["'007", '=""007""', "word\u200b", "'n", "1/2 x", "=A1"])
def test_codes_and_words_are_no_numbers_in_another_form(value: str) -> None:
    assert "numbers" not in Read(column([value, value, value])).findings


@pytest.mark.parametrize(
    ("values", "numbers", "told"),
    [
        (["1,234.50-", "12.00"], [-1234.5, 12.0], ""),
        (["1.234,50-", "12,00"], [-1234.5, 12.0], ""),
        (["(3.5)", "12.00"], [-3.5, 12.0], ""),
        (["$-1,234.50", "($3)", "-$2.5"], [-1234.5, -3.0, -2.5], ""),
        (["12 kg", "13.5 kg"], [12.0, 13.5], ""),
        (["$ (1,234.50)", "$ 12.00", "$(3)"], [-1234.5, 12.0, -3.0], ""),
        (["R$ 1.234,00", "R$ 2,5"], [1234.0, 2.5], ""),
        (["12k", "3M"], [12.0, 3.0], "different signs"),
        (["12.5%", "0.5"], [12.5, 0.5], "different signs"),
    ],
)
def test_a_person_who_says_number_gets_the_number_that_is_written(
    values: list[str], numbers: list[float], told: str
) -> None:
    read = Read(column(values), columns={"x": "number"})
    assert read.rows["x"] == numbers
    assert told in read.findings and ("different signs" in read.findings) == bool(told)


@pytest.mark.parametrize("value", ["1_234", "<5", "weiss nicht", "１２３", "2024-01-31"])
def test_what_is_no_number_is_named_where_a_person_says_number(value: str) -> None:
    with pytest.raises(InputRejected) as refused:
        Read(column(["5", value]), columns={"x": "number"})
    assert refused.value.code == "unparsable-numbers" and f"'{value}'" in str(refused.value)


def test_a_value_that_is_no_number_is_told_as_it_stands_with_its_file_and_line() -> None:
    with pytest.raises(
        InputRejected, match=r"'table': column 'x' holds '€ oops' in line 3, which is not a num"
    ):
        Read(column(["€ 5", "€ oops"]), columns={"x": "number"})
    long = [*map(str, range(300)), "9" * 20]
    with pytest.raises(
        InputRejected, match=r"'table': column 'x' holds 301 .* in line 302, which 64 bits do not"
    ):
        Read(column(long))


@QUICK
@given(st.lists(st.integers(10**9, 10**14), min_size=1, max_size=20))
def test_telephone_numbers_keep_their_plus(values: list[int]) -> None:
    numbers = [f"+{v}" for v in values]
    assert Read(column(numbers)).rows["x"] == numbers


def test_more_digits_than_a_float_holds_are_told() -> None:
    assert "more digits" in Read(column(["1234567890123456789.01", "0.5"])).findings
    assert "more digits" not in Read(column(["0.30000000000000004", "1234567.8901234567"])).findings


def test_point_and_comma_that_could_each_be_either_are_told_not_refused() -> None:
    read = Read(column(["1.234", "2,345"]))
    assert read.kinds["x"] == "string" and "cannot be told apart" in read.findings


# --- times -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-01-31t10:15:00z", day(2024, 1, 31, 10, 15)),
        ("20240131T101530Z", day(2024, 1, 31, 10, 15, 30)),
        ("2024-01-31T10:00:00+01:00[Europe/Berlin]", day(2024, 1, 31, 9)),
        ("31. 1. 2024", day(2024, 1, 31)),
        ("31.01.2024.", day(2024, 1, 31)),
        ("31.01.2024 10:15 Uhr", day(2024, 1, 31, 10, 15)),
        ("31/01/2024 10:15 p. m.", day(2024, 1, 31, 22, 15)),
        ("2024. 1. 31.", day(2024, 1, 31)),
        ("2024年1月31日", day(2024, 1, 31)),
        ("31/Jan/2024:10:15:30 +0000", day(2024, 1, 31, 10, 15, 30)),
        ("31JAN2024:10:15:30", day(2024, 1, 31, 10, 15, 30)),
        ("Wed Jan 31 10:15:30 UTC 2024", day(2024, 1, 31, 10, 15, 30)),
        ("Wed Jan 31 10:15:30 2024", day(2024, 1, 31, 10, 15, 30)),
        ("31. Januar 2024", day(2024, 1, 31)),
        ("31-JAN-24 10.15.30.000000 PM", day(2024, 1, 31, 22, 15, 30)),  # Oracle's default
        ("31-JAN-2024 10.15.30 AM +01:00", day(2024, 1, 31, 9, 15, 30)),
    ],
)
def test_further_forms_of_times_are_read(text: str, moment: dt.datetime) -> None:
    assert Read(column([text])).rows["x"] == [moment]


UNREAD_TIMES = [
    "Jan-24", "01/2024", "2024-01", "2024-Q1", "Q1 2024", "2024-W05", "2024-W05-3", "2024-031", "31-Mär-2024",
    "31 de enero de 2024", "1 marraskuuta 2024", "10:15:30", "10:15 AM", "25:00:00", "PT1H", "P1D",
    "2024-01-31T24:00:00", "2024-06-30T23:59:60Z", "2024-02-30", "2024-01-31 10:00:00 CET", "31/01/2024 10h15",
    "2024-01-31 10", "/Date(1706695200000)/", "10000-01-01",
]  # fmt: skip


@pytest.mark.parametrize("value", UNREAD_TIMES)
def test_what_looks_like_a_time_and_is_not_read_is_told(value: str) -> None:
    read = Read(column([value]))
    assert read.rows["x"] == [value]
    assert "is text" in read.findings or value == "1 marraskuuta 2024"
    with pytest.raises(InputRejected) as refused:
        Read(column([value]), columns={"x": "time"})
    assert refused.value.code == "no-time" and value in str(refused.value)


def test_a_word_among_dates_is_told_and_iso_dates_stand_beside_others() -> None:
    read = Read(column(["2024-01-31"] * 10 + ["demnächst"]))
    assert read.kinds["x"] == "string" and "'demnächst'" in read.findings
    typo = Read(column(["2024-01-31"] * 30 + ["2024-13-01"]))
    assert typo.kinds["x"] == "string" and "'2024-13-01'" in typo.findings
    mixed = Read(column(["2024-01-30", "31/01/2024"]))
    assert mixed.rows["x"] == [day(2024, 1, 30), day(2024, 1, 31)] and "day first" in mixed.findings


@QUICK
@given(
    st.lists(st.dates(dt.date(2000, 1, 1), dt.date(2031, 12, 31)), min_size=1, max_size=40),
    st.sampled_from(["%y-%m-%d", "%d/%m/%y", "%m/%d/%y"]),
)
def test_years_of_two_digits_are_read_right_or_told(dates: list[dt.date], form: str) -> None:
    text = column([d.strftime(form) for d in dates])
    said = {"%y-%m-%d": "year-first", "%d/%m/%y": "day-first", "%m/%d/%y": "month-first"}[form]
    expected = [day(d.year, d.month, d.day) for d in dates]
    assert Read(text, columns={"x": said}).rows["x"] == expected
    read = Read(text)
    words = {"year-first": "year first", "day-first": "day first", "month-first": "month first"}
    assert read.kinds["x"] == "string" or "read with the" in read.findings
    if read.kinds["x"] == "datetime" and words[said] in read.findings:
        assert read.rows["x"] == expected


def test_years_differ_less_often_than_days() -> None:
    days = [dt.date(2024, 1, 1) + dt.timedelta(i) for i in range(300)]
    for form in ("%y-%m-%d", "%d/%m/%y"):
        expected = [day(d.year, d.month, d.day) for d in days]
        assert Read(column([d.strftime(form) for d in days])).rows["x"] == expected
    assert "the day and the year" in Read(column(["24-01-25"])).findings


@QUICK
@given(
    st.lists(st.datetimes(dt.datetime(1971, 1, 1), dt.datetime(2100, 1, 1)), min_size=1, max_size=20),  # noqa: DTZ001
    st.sampled_from([1, 1_000, 1_000_000, 1_000_000_000]),
)
def test_numbers_that_count_times_are_read_where_a_person_says_so(
    moments: list[dt.datetime], unit: int
) -> None:
    expected = [m.replace(microsecond=0, tzinfo=dt.UTC) for m in moments]
    counts = [str(int(m.timestamp()) * unit) for m in expected]
    assert Read(column(counts), columns={"x": "time"}).rows["x"] == expected
    assert Read(column(counts)).kinds["x"] == "integer"


def test_dates_as_numbers_are_told_and_read_where_a_person_says_so() -> None:
    compact = column(["20240131", "20240229"])
    assert "20240131" in Read(compact).findings and Read(compact).kinds["x"] == "integer"
    assert Read(compact, columns={"x": "time"}).rows["x"] == [day(2024, 1, 31), day(2024, 2, 29)]
    assert "seconds since 1970" in Read(column(["1706695200", "1706781600"])).findings
    moved = Read(compact, known_columns={"x": "datetime", "n": "integer"})
    assert moved.kinds["x"] == "integer" and "say `time`" in moved.findings
    excel = Read(column(["45322.5", "45323"]), columns={"x": "time"})
    assert excel.rows["x"] == [day(2024, 1, 31, 12), day(2024, 2, 1)] and "Excel" in excel.findings
    for strange in ("2024", "202401", "1.5", "20241301", "-5"):
        with pytest.raises(InputRejected) as refused:
            Read(column([strange]), columns={"x": "time"})
        assert refused.value.code == "no-time" and strange in str(refused.value)


SPELLED = {  # what a person says: forms of numbers
    "time": ["%Y%m%d%H%M", "%Y%m%d%H%M%S", "%Y%m%d%H%M%S000"],
    "day-first": ["%d%m%Y"],
    "month-first": ["%m%d%Y"],
}


@pytest.mark.parametrize("said", SPELLED)
def test_times_that_numbers_spell_are_read_where_a_person_says_so(said: str) -> None:
    moments = [day(2024, 1, 31, 10, 15), day(2024, 2, 1, 0, 0), day(2023, 12, 9, 23, 59)]
    for form in SPELLED[said]:
        whole = "%H" in form
        expected = moments if whole else [m.replace(hour=0, minute=0) for m in moments]
        words = [m.strftime(form) for m in moments]
        typed = {"n": [1, 2, 3], "x": [int(word) for word in words]}
        for content in (
            column(words),
            column([f"{int(word)}.0" for word in words]),
            pa.table(typed),
            pa.table({**typed, "x": [float(number) for number in typed["x"]]}),
        ):
            if "000" in form and not isinstance(content, str):
                continue  # beyond what a float of pandas holds
            read = Read(content, columns={"x": said})
            assert read.rows["x"] == expected and "read as" in read.findings
        if whole:
            assert "look like times, as in 20240131101500" in Read(column(words)).findings


@pytest.mark.parametrize("odd", ["20241331101500", "20240230101500", "1706695200000", "5"])
def test_a_number_that_spells_no_time_makes_no_counts_of_the_others(odd: str) -> None:
    for place in (0, 30_000):
        rows = ["20240131101500"] * 30_000
        rows.insert(place, odd)
        with pytest.raises(InputRejected, match=f"'{odd}'") as refused:
            Read(column(rows), columns={"x": "time"})
        assert refused.value.code == "no-time"
    with pytest.raises(InputRejected, match="'20240230101500' in line 3"):
        Read(column(["20240131101500", "20240230101500"]), columns={"x": "time"})


@pytest.mark.parametrize("numbers", [[1706695200, 1706781600], [20240131, 20240201], [20240131101500] * 2])
def test_numbers_of_parquet_that_look_like_times_are_told(numbers: list[int]) -> None:
    for values in (numbers, [float(number) for number in numbers]):
        assert "look like" in Read(pa.table({"x": values, "n": [1, 2]})).findings
    assert "look like" not in Read(pa.table({"x": [n // 7 for n in numbers], "n": [1, 2]})).findings
    assert "look like seconds" in Read(column(["1706695200.5", "1706781600"])).findings


def test_basic_times_of_iso_8601_are_read_with_a_blank() -> None:
    for word in ("20240131 101500", "20240131 10:15:00", "20240131T10:15"):
        assert Read(column([word])).rows["x"] == [day(2024, 1, 31, 10, 15)]


def test_times_that_are_cut_are_told() -> None:
    assert "finer than microseconds" in Read(column(["2024-01-31 10:15:30.1234567"])).findings
    assert "finer" not in Read(column(["2024-01-31 10:15:30.1234560"])).findings
    assert "finer" in Read(column(["31-JAN-24 10.15.30.123456789 PM"])).findings


def test_truth_values_are_categories_by_what_they_say_and_text_as_it_is_written() -> None:
    values = ["True", "false", "TRUE"]
    assert Read(column(values), columns={"x": "category"}).rows["x"] == [True, False, True]
    assert Read(column(values), columns={"x": "text"}).rows["x"] == values
    before = {"x": "string", "n": "integer"}
    assert Read(column(values), columns={"x": "category"}, known_columns=before).rows["x"] == values


@pytest.mark.parametrize(
    ("value", "told"),
    [("9007199254740993.0", True), ("9007199254740994.0", False), ("1234567890123456.0", False)],
)
def test_whole_numbers_are_told_where_a_float_rounds_them(value: str, told: bool) -> None:
    assert ("rounds" in Read(column(["0.5", value])).findings) == told


def test_numbers_that_excel_shortened_are_told() -> None:
    assert "their other digits are lost" in Read(column(["1.23457E+12", "9.87654E+13", "12345"])).findings
    assert "lost" not in Read(column(["1.23457E+12", "9.87654E+03", "1.5E-05"])).findings


@pytest.mark.parametrize("blank", "\u2007\u2008\u2009\u202f")
def test_any_narrow_blank_groups_thousands(blank: str) -> None:
    assert Read(column([f"1{blank}234,5", f"12{blank}000{blank}000"])).rows["x"] == [1234.5, 12_000_000]


def test_quotes_behind_blanks_are_quotes() -> None:
    read = Read('n, "x", y\n1, "a b", "2.5"\n2, "c ""d""", ""\n')
    assert read.rows == {"n": [1, 2], "x": ["a b", 'c "d"'], "y": [2.5, None]}


# --- rows that are none ----------------------------------------------------------------------------


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_headers_among_rows_of_text_are_told(mark: str) -> None:
    one = f"{mark}word,place\nhut,berg\nhaus,tal\n"
    read = Read(one * 3)
    assert "2 rows repeat the header" in read.findings and len(read.rows["word"]) == 8
    assert "repeat" not in Read("word,place\nword,berg\nhaus,place\n").findings
    assert "1 row repeats the header" in Read(one + "word,place\n").findings


def test_a_header_among_numbers_is_refused_by_its_line() -> None:
    one = "x,place\n" + "1,berg\n" * 100
    with pytest.raises(
        InputRejected, match="'table': column 'x' holds its own name in line 102: a header among"
    ):
        Read(one * 2)


def test_a_name_is_the_same_however_its_lines_end() -> None:
    assert list(Read('"unit\r\nprice",n\r\n1,2\r\n').rows) == ["unit\nprice", "n"]


# --- many files ------------------------------------------------------------------------------------

WORDS = [
    "1", "-2.5", "1,234", "1.234", "007", "20240131", "12345678901234567890", "0.1234567890123456789", "inf", "NA",
    "k.A.", "a", "true", "2024-01-31", "01/02/2024", "31.12.2024", "31 Dec 2024", "10:15", "12 %", "(1,50)", "1_234",
]  # fmt: skip


@QUICK
@given(st.lists(st.dictionaries(st.sampled_from(WORDS), st.integers(1, 9)), min_size=2, max_size=8))
def test_columns_of_many_files_are_seen_at_once_as_each_by_itself(columns: list[dict[str, int]]) -> None:
    alone, beside = [[Look() for _ in columns] for _ in range(2)]
    seen = [(pa.array([*held], pa.string()), pa.array([*held.values()], pa.int64())) for held in columns]
    for look, (words, rows) in zip(alone, seen, strict=True):
        look.see(words, rows)
    see_all((look, words, rows) for look, (words, rows) in zip(beside, seen, strict=True))
    assert alone == beside
    for look, held in zip(alone, columns, strict=True):
        assert look.values + look.markers.total() == sum(held.values())
