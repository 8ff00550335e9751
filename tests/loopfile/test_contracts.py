"""A contract in its own short form, as an Open Data Contract or a Pandera schema; mistakes with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared import loopfile
from shared.loopfile import LoopFileError
from shared.loopfile.published import Assets, Published

LOOP = """\
loop: shop
data:
  landing: landing/shop/
  target: paid
  contract: CONTRACT
train: {pipeline: train.yml}
serve: {endpoint: shop}
"""

OWN = """\
- {column: age, at_least: 0, at_most: 120, on_breach: drop_rows}
- {column: since, above: 2020-01-01, below: {column: until}}
- {column: status, values: [open, paid, 'null'], tolerance: 0.01, on_breach: report}
- {column: code, pattern: "[A-Z]{2}[0-9]+"}
- {column: note, max_length: 80}
- {column: rate, type: number}
- {column: rate, nulls_at_most: 0.05}
- {unique: [shop, day]}
- {rows_at_least: 100}
- {column: day, max_age: 2d, on_breach: report}
"""

ODCS = """\
apiVersion: v3.1.0
kind: DataContract
id: 53581432-6c55-4ba2-a65f-72344a91553a
version: 1.0.0
status: active
description: {purpose: orders}
schema:
  - name: orders
    logicalType: object
    properties:
      - {name: id, primaryKey: true, primaryKeyPosition: 2, logicalType: integer}
      - {name: shop, primaryKey: true, primaryKeyPosition: 1, logicalType: string}
      - name: amount
        physicalName: amount_eur
        logicalType: number
        required: true
        logicalTypeOptions: {minimum: 0, exclusiveMaximum: 1000}
        customProperties: [{property: on_breach, value: drop_rows}]
      - name: mail
        logicalTypeOptions: {minLength: 3, maxLength: 60, pattern: "@"}
        quality:
          - {type: text, description: somebody has looked}
          - {metric: nullValues, mustBeLessThan: 1, unit: percent, severity: warning}
          - {metric: duplicateValues, mustBe: 0}
      - name: unit
        quality:
          - {type: library, rule: validValues, validValues: [kg, pounds], mustBeLessOrEqualTo: 5, unit: percent}
    quality:
      - {metric: rowCount, mustBeBetween: [100, 200]}
      - {metric: duplicateValues, mustBe: 0, arguments: {properties: [shop, unit]}}
slaProperties:
  - {property: latency, value: 4, unit: d, element: orders.day}
  - {property: retention, value: 3, unit: y}
"""

PANDERA = """\
schema_type: dataframe
version: 0.35.0
columns:
  age:
    title: null
    dtype: int64
    nullable: false
    checks:
      - {value: 0, options: {check_name: greater_than_or_equal_to, raise_warning: false, ignore_na: true}}
      - {min_value: 0, max_value: 99, include_min: true, include_max: false, options: {check_name: in_range}}
    unique: false
    coerce: false
    required: true
    regex: false
  code:
    dtype: string[python]
    nullable: true
    coerce: true
    checks:
      str_matches: "a+"
      isin: {value: [a, aa], options: {raise_warning: true}}
      str_startswith: a.
      str_length: {min_value: 1, max_value: null}
    unique: true
checks: null
index: null
dtype: null
coerce: false
strict: false
name: null
ordered: false
unique: [age, code]
report_duplicates: all
unique_column_names: false
add_missing_columns: false
title: null
description: null
"""


def rules(folder: Path, text: str) -> list[str]:
    """Notation and outcome of each rule, of a loop whose contract is a file."""
    (folder / "loop.yaml").write_text(LOOP.replace("CONTRACT", "rules/contract.yml"))
    (folder / "rules").mkdir(exist_ok=True)
    (folder / "rules" / "contract.yml").write_text(text)
    (folder / "train.yml").write_text("")
    contract = loopfile.load(folder).data.contract
    assert contract == loopfile.contract(folder / "rules" / "contract.yml")
    return [f"{rule.notation} => {rule.on_breach}" for rule in contract]


def mistakes(text: str, folder: Path) -> list[str]:
    with pytest.raises(LoopFileError) as caught:
        rules(folder, text)
    return str(caught.value).splitlines()


def test_the_short_form_is_the_same_in_the_loop_file_and_beside_it_and_is_published_with_the_loop(
    tmp_path: Path,
) -> None:
    found = rules(tmp_path, OWN)
    assert found == [
        "age: at_least: 0, at_most: 120 => drop_rows",
        "since: above: 2020-01-01, below: {column: until} => quarantine",
        "status: values: [open, paid, null], tolerance: 0.01 => report",
        "code: pattern: [A-Z]{2}[0-9]+ => quarantine",
        "note: max_length: 80 => quarantine",
        "rate: type: number => quarantine",
        "rate: nulls_at_most: 0.05 => quarantine",
        "unique: [shop, day] => quarantine",
        "rows_at_least: 100 => quarantine",
        "day: max_age: 2d => report",
    ]
    inline = LOOP.replace("CONTRACT", "\n" + OWN.replace("- {", "    - {"))
    definition = loopfile.parse(inline, file="loop.yaml")
    assert definition == loopfile.load(tmp_path)
    published = Published(definition, Assets(pipeline="p"), "ann", definition_time())
    assert Published.from_bytes(published.to_bytes()) == published


def definition_time() -> object:
    from datetime import UTC, datetime

    return datetime(2026, 11, 29, tzinfo=UTC)


def test_a_definition_of_before_there_were_contracts_has_none() -> None:
    old = loopfile.parse(LOOP.replace("  contract: CONTRACT\n", ""), file="loop.yaml")
    assert old.data.contract == ()
    stored = Published(old, Assets(pipeline="p"), "ann", definition_time()).to_bytes()
    assert b'"contract": [], ' in stored
    assert Published.from_bytes(stored.replace(b'"contract": [], ', b"")).definition == old


def test_an_open_data_contract_becomes_rules(tmp_path: Path) -> None:
    assert rules(tmp_path, ODCS) == [
        "id: type: integer => quarantine",
        "id: nulls_at_most: 0 => quarantine",
        "shop: type: text => quarantine",
        "shop: nulls_at_most: 0 => quarantine",
        "amount_eur: type: number => quarantine",
        "amount_eur: nulls_at_most: 0 => drop_rows",
        "amount_eur: at_least: 0 => drop_rows",
        "amount_eur: below: 1000 => drop_rows",
        "mail: nulls_at_most: 1 => quarantine",
        "mail: min_length: 3, max_length: 60 => quarantine",
        "mail: pattern: (?s:.*)(?:@)(?s:.*) => quarantine",
        "mail: nulls_at_most: 0.01 => report",
        "unique: [mail] => quarantine",
        "unit: nulls_at_most: 1 => quarantine",
        "unit: values: [kg, pounds], tolerance: 0.05 => quarantine",
        "unique: [shop, id] => quarantine",
        "rows_at_least: 100, rows_at_most: 200 => quarantine",
        "unique: [shop, unit] => quarantine",
        "day: max_age: 4d => quarantine",
    ]


def test_an_element_that_is_named_once_for_all_promises_is_that_of_each(tmp_path: Path) -> None:
    once = ODCS.replace(", element: orders.day", "") + "slaDefaultElement: orders.day\n"
    assert once.count("orders.day") == 1
    assert rules(tmp_path, once) == rules(tmp_path, ODCS)


def test_a_pandera_schema_becomes_rules(tmp_path: Path) -> None:
    assert rules(tmp_path, PANDERA) == [
        "age: type: integer => quarantine",
        "age: nulls_at_most: 0 => quarantine",
        "age: at_least: 0 => quarantine",
        "age: at_least: 0, below: 99 => quarantine",
        "code: nulls_at_most: 1 => quarantine",
        "unique: [code] => quarantine",
        "code: pattern: (?:a+)(?s:.*) => quarantine",
        "code: values: [a, aa] => report",
        r"code: pattern: a\.(?s:.*) => quarantine",
        "code: min_length: 1 => quarantine",
        "unique: [age, code] => quarantine",
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("status: active", "state: active", "5 state: found \"active\"; allowed: nothing: Driftloop cannot check this"),
        ("apiVersion: v3.1.0", "apiVersion: v2.2.2", "1 apiVersion: found \"v2.2.2\"; allowed: v3.0.0 to v3.1.0"),
        ("minimum: 0,", "multipleOf: 5,", "17 schema[0].properties[2].logicalTypeOptions.multipleOf: found 5"),
        ("type: text,", "type: sql,", "allowed: library or text: Driftloop runs no SQL"),
        ("mustBeLessThan: 1, unit: percent", "mustBeLessThan: 9", "found 9; allowed: mustBe: 0, or unit: percent"),
        ("metric: nullValues", "metric: missingValues", "found \"missingValues\"; allowed: nullValues, invalidValues"),
        ("logicalType: integer", "logicalType: array", "found \"array\"; allowed: string, date"),
        ("severity: warning", "severity: mild", "found \"mild\"; allowed: error, warning, info"),
        ("value: drop_rows", "value: drop", "found \"drop\"; allowed: quarantine, drop_rows, report"),
        ("mustBeBetween: [100, 200]", "mustNotBe: 0", "schema[0].quality[0].mustNotBe"),
        ("mustBeBetween: [100, 200]", "mustBeBetween: [200, 100]", "29 data.contract[16].rows_at_most: found 100"),
        ('pattern: "@"', 'pattern: "(@"', "logicalTypeOptions.pattern: found \"(@\"; allowed: a regular expression"),
        ("element: orders.day", "driver: none", "slaProperties[0].element: found"),
        ("element: orders.day", "element: 'orders.day, orders.sent'", "allowed: one element, a time column"),
        ("mustBeBetween: [100, 200]", "mustBe: 5, mustBeLessThan: 9", "mustBeLessThan: found 9; allowed: one limit"),
        ("unit: d,", "unit: weeks,", "slaProperties[0].unit: found \"weeks\""),
        ("  - name: orders", "  - name: other\n  - name: orders", "found \"2 objects\"; allowed: one object"),
    ],
)  # fmt: skip
def test_what_an_open_data_contract_asks_and_we_do_not_check_is_refused_by_name(
    tmp_path: Path, old: str, new: str, expected: str
) -> None:
    assert ODCS.count(old) >= 1
    found = mistakes(ODCS.replace(old, new, 1), tmp_path)
    assert any(line.startswith("rules/contract.yml:") and expected in line for line in found), found


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("strict: false", "strict: true", "strict: found true; allowed: nothing: Driftloop cannot check this"),
        ("index: null", "index: [{dtype: int64}]", "index: found"),
        ("checks: null", "checks: {my_own: 1}", "checks: found"),
        ("required: true", "required: false", "columns.age.required: found false; allowed: true"),
        ("regex: false", "regex: true", "columns.age.regex: found true"),
        ("dtype: int64", "dtype: complex128", "columns.age.dtype: found \"complex128\""),
        ("\"a+\"", "a)|(b", "columns.code.checks.str_matches: found \"a)|(b\"; allowed: a regular expression"),
        ("isin:", "notin:", "columns.code.checks.notin: found \"notin\"; allowed: one of"),
        ("check_name: in_range", "check_name: mine", "columns.age.checks[1]: found \"mine\""),
        ("ignore_na: true", "ignore_na: false", "ignore_na: found false"),
        ("schema_type: dataframe", "schema_type: series", "schema_type: found \"series\"; allowed: dataframe"),
        ("value: 0,", "value: zero,", "data.contract[2].at_least: found \"zero\""),
    ],
)  # fmt: skip
def test_what_a_pandera_schema_asks_and_we_do_not_check_is_refused_by_name(
    tmp_path: Path, old: str, new: str, expected: str
) -> None:
    assert PANDERA.count(old) >= 1
    found = mistakes(PANDERA.replace(old, new, 1), tmp_path)
    assert any(line.startswith("rules/contract.yml:") and expected in line for line in found), found


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("{column: a, at_least: 5, below: 5}", ".below: found 5; allowed: a bound that leaves a value"),
        ("{column: a, at_least: 2024-02-01, at_most: 2024-01-31T23:00}", ".at_most: found"),
        ("{column: a, at_least: 1, above: 1}", ".above: found 1; allowed: one of at_least and above"),
        ("{column: a, at_least: 1, at_most: 2024-01-01}", "allowed: bounds that are all numbers, or all times"),
        ("{column: a, at_least: soon}", ".at_least: found \"soon\"; allowed: a number, a time"),
        ("{column: a, at_least: true}", ".at_least: found true"),
        ("{column: a, at_most: {column: a}}", ".at_most: found \"a\"; allowed: another column"),
        ("{column: a, values: []}", ".values: found []"),
        ("{column: a, values: [1, x]}", ".values: found [1, \"x\"]; allowed: a list of texts, of numbers"),
        ("{column: a, pattern: 'a)|(b'}", ".pattern: found \"a)|(b\"; allowed: a regular expression (RE2)"),
        ("{column: a, pattern: '(?=a)'}", ".pattern: found"),
        ("{column: a, min_length: 3, max_length: 2}", ".max_length: found 2; allowed: at least min_length (3)"),
        ("{column: a, nulls_at_most: 2}", ".nulls_at_most: found 2; allowed: a number from 0 to 1"),
        ("{column: a, max_age: soon}", ".max_age: found \"soon\"; allowed: a number with s, m, h or d"),
        ("{column: a}", "found \"no rule\"; allowed: one of at_least"),
        ("{column: a, at_least: 1, unique: [b]}", "found \"at_least, unique\"; allowed: one of at_least"),
        ("{at_least: 1}", ".column: found nothing; allowed: the column that at_least is about"),
        ("{column: a, rows_at_least: 1}", ".column: found \"a\"; allowed: no column beside rows_at_least"),
        ("{rows_at_least: 1, on_breach: drop_rows}", ".on_breach: found \"drop_rows\"; allowed: quarantine or report"),
        ("{column: a, nulls_at_most: 0.1, on_breach: drop_rows}", ".on_breach: found \"drop_rows\""),
        ("{rows_at_least: 1, tolerance: 0.1}", ".tolerance: found 0.1; allowed: no tolerance"),
        ("{column: a, at_least: 1, tolerance: 0.1, on_breach: drop_rows}", ".tolerance: found 0.1"),
        ("{column: a, at_lest: 1}", ".at_lest: found an unknown key; allowed: did you mean at_least?"),
        ("{column: a, at_least: 1, on_breach: drop rows}", ".on_breach: found \"drop rows\"; allowed: quarantine"),
        ("3", "found 3; allowed: a list of rules"),
    ],
)  # fmt: skip
def test_a_rule_that_can_mean_nothing_is_an_error_with_its_line_beside_every_other(
    rule: str, expected: str
) -> None:
    contract = f"\n    - {rule}\n    - {{column: z, at_least: 1, at_most: 0}}"
    with pytest.raises(LoopFileError) as caught:
        loopfile.parse(LOOP.replace("CONTRACT", contract).replace("loop: shop", "loop: S"), file="loop.yaml")
    lines = str(caught.value).splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["loop.yaml:1", "loop.yaml:6", "loop.yaml:7"]
    assert f"data.contract[0]{expected}" in lines[1] or expected in lines[1], lines


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("../contract.yml", 'loop.yaml:5 data.contract: found "../contract.yml"; allowed: a file beside'),
        ("gone.yml", 'loop.yaml:5 data.contract: found "gone.yml"; allowed: a file that exists'),
        ("broken.yml", "broken.yml:1: found"),
        ("bytes.yml", "bytes.yml:2: found bytes that are not UTF-8"),
        ("other.yml", "other.yml:1: found {\"a\": 1}; allowed: a list of rules, an Open Data Contract"),
        ("twice.yml", "twice.yml:3 data.contract[1].at_lest: found an unknown key"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_contract_s_file_names_that_file(tmp_path: Path, named: str, expected: str) -> None:
    (tmp_path / "train.yml").write_text("")
    (tmp_path / "broken.yml").write_text("[")
    (tmp_path / "bytes.yml").write_bytes(b"a\n\xff")
    (tmp_path / "other.yml").write_text("a: 1")
    (tmp_path / "twice.yml").write_text("- {column: a, at_least: 1}\n-\n  at_lest: 1\n")
    (tmp_path / "loop.yaml").write_text(LOOP.replace("CONTRACT", named))
    with pytest.raises(LoopFileError) as caught:
        loopfile.load(tmp_path)
    assert any(line.startswith(expected) for line in str(caught.value).splitlines()), str(caught.value)


def test_rules_that_the_loop_s_columns_do_not_fit_are_errors_where_the_columns_are_known(
    tmp_path: Path,
) -> None:
    rules(tmp_path, OWN)
    columns = {"age": "integer", "since": "string", "until": "datetime", "statsu": "string", "code": "string"}
    columns |= {"note": "nothing", "rate": "integer", "shop": "string", "day": "datetime"}
    with pytest.raises(LoopFileError) as caught:
        loopfile.load(tmp_path, columns=columns)
    assert str(caught.value).splitlines() == [
        'rules/contract.yml:2 data.contract[1]: found "since: above: 2020-01-01, below: {column: until}"; '
        "allowed: a rule that fits column since, which is string",
        f'rules/contract.yml:3 data.contract[2]: found "status"; allowed: did you mean statsu? columns of the '
        f"newest version: {', '.join(columns)}",
    ]


def test_without_its_folder_a_loop_file_s_contract_is_not_taken_for_empty() -> None:
    with pytest.raises(LoopFileError, match="rules, because this loop file is read without its folder"):
        loopfile.parse(LOOP.replace("CONTRACT", "contract.yml"), file="loop.yaml")
