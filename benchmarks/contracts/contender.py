"""One contender in a process of its own: python contender.py NAME FILE. Reading the file is included."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).parent)
BEGAN = time.perf_counter()
NAME, FILE = sys.argv[1], Path(sys.argv[2])

if NAME == "driftloop":
    from shared.files.drop_files import Limits
    from shared.intake import DropFile, ReadSpec
    from shared.intake.contract_verdict import told
    from shared.reader.checked_files import check_files
elif NAME == "pandera":
    import pandas as pd
    import pandera.pandas as pa
    from pandera.errors import SchemaErrors
elif NAME == "great_expectations":
    import great_expectations as gx
    import great_expectations.expectations as gxe
    import pandas as pd
else:
    import pyarrow.parquet as pq

from workload import rules  # noqa: E402 - the imports above are timed

IMPORTED, SPENT = time.perf_counter(), time.process_time()
Said = tuple[int, int, str]
"""Broken rules, rows that break them, and what is said of a broken range."""


def driftloop() -> Said:
    file = DropFile(FILE, FILE.name, FILE.stat().st_size)
    limits = Limits(max_bytes=4 * 2**30)  # ten million rows are more than the default takes
    results, _, _ = check_files([file], ReadSpec(target="", contract=tuple(rules()), limits=limits))
    broken = [one for one in results if one.broken]
    return len(broken), sum(one.rows for one in broken), told(broken[0])


def pandera() -> Said:
    columns: dict[str, Any] = {}
    for rule in rules():
        if "column" not in rule or isinstance(rule.get("at_most"), dict):
            continue
        column = columns.setdefault(rule["column"], {"checks": [], "nullable": True})
        if "values" in rule:
            column["checks"].append(pa.Check.isin(rule["values"]))
        elif "pattern" in rule:
            column["checks"].append(pa.Check.str_matches(f"^(?:{rule['pattern']})$"))
        elif "min_length" in rule:
            column["checks"].append(pa.Check.str_length(rule["min_length"], rule["max_length"]))
        elif "at_least" in rule:
            column["checks"].append(pa.Check.in_range(rule["at_least"], rule["at_most"]))
        else:
            column["nullable"] = False
    whole = [pa.Check(lambda frame: frame.lo <= frame.hi), pa.Check(lambda frame: len(frame) >= 1000)]
    schema = pa.DataFrameSchema(
        {name: pa.Column(**said) for name, said in columns.items()} | {"id": pa.Column(unique=True)},
        checks=whole,
    )
    try:
        schema.validate(pd.read_parquet(FILE), lazy=True)
    except SchemaErrors as errors:
        cases = errors.failure_cases
        first = errors.schema_errors[0]
        return cases.groupby(["column", "check"], dropna=False).ngroups, len(cases), str(first)[:300]
    return 0, 0, ""


def great_expectations() -> Said:
    context = gx.get_context(mode="ephemeral")
    batches = (
        context.data_sources.add_pandas("x")
        .add_dataframe_asset("x")
        .add_batch_definition_whole_dataframe("x")
    )
    suite = gx.ExpectationSuite(name="x")
    for rule in rules():
        suite.add_expectation(_expectation(rule))
    batch = batches.get_batch(batch_parameters={"dataframe": pd.read_parquet(FILE)})
    found = batch.validate(suite, result_format="SUMMARY")
    broken = [one for one in found.results if not one.success]
    rows = sum(one.result.get("unexpected_count", 0) for one in broken)
    return len(broken), rows, json.dumps(broken[0].to_json_dict()["result"], default=str)[:300]


def _expectation(rule: dict[str, Any]) -> Any:
    name = rule.get("column")
    if "unique" in rule:
        return gxe.ExpectColumnValuesToBeUnique(column=rule["unique"][0])
    if "rows_at_least" in rule:
        return gxe.ExpectTableRowCountToBeBetween(min_value=rule["rows_at_least"])
    if isinstance(rule.get("at_most"), dict):
        return gxe.ExpectColumnPairValuesAToBeGreaterThanB(
            column_A=rule["at_most"]["column"], column_B=name, or_equal=True
        )
    if "values" in rule:
        return gxe.ExpectColumnValuesToBeInSet(column=name, value_set=rule["values"])
    if "pattern" in rule:
        return gxe.ExpectColumnValuesToMatchRegex(column=name, regex=f"^(?:{rule['pattern']})$")
    if "min_length" in rule:
        lengths = {"min_value": rule["min_length"], "max_value": rule["max_length"]}
        return gxe.ExpectColumnValueLengthsToBeBetween(column=name, **lengths)
    if "at_least" in rule:
        bounds = {"min_value": rule["at_least"], "max_value": rule["at_most"]}
        return gxe.ExpectColumnValuesToBeBetween(column=name, **bounds)
    return gxe.ExpectColumnValuesToNotBeNull(column=name)


def floor() -> Said:
    for _ in pq.ParquetFile(FILE).iter_batches():
        pass
    return 0, 0, ""


broken, rows, said = {
    "driftloop": driftloop,
    "pandera": pandera,
    "great_expectations": great_expectations,
    "floor": floor,
}[NAME]()
used = resource.getrusage(resource.RUSAGE_SELF)
print(
    json.dumps(
        {
            "import": IMPORTED - BEGAN,
            "run": time.perf_counter() - IMPORTED,
            "cpu": time.process_time() - SPENT,
            "rss_mb": used.ru_maxrss / 1000,
            "broken": broken,
            "rows": rows,
            "said": said,
        }
    )
)
