"""Whether two sets of rows differ, in what, by how much, and whether that matters.

>>> import drift
>>> report = drift.compare(drift.profile("reference.parquet"), "new.parquet")  # doctest: +SKIP
>>> report.material, report.headline  # doctest: +SKIP

The names below are loaded when they are first used, so that importing this package costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .errors import DataError, UnknownSchemaError
    from .mergers import merge
    from .page import report_html
    from .policy import ColumnPolicy, Policy
    from .profiler import Profiler, profile
    from .profiles import By, ColumnProfile, Profile
    from .report import Code, ColumnVerdict, Effect, Finding, Kind, Report, TestResult
    from .schema import check_schema
    from .verdict import compare

_HOME = {
    "By": "profiles",
    "DataError": "errors",
    "UnknownSchemaError": "errors",
    "report_html": "page",
    "ColumnPolicy": "policy",
    "Policy": "policy",
    "ColumnProfile": "profiles",
    "Profile": "profiles",
    "Profiler": "profiler",
    "merge": "mergers",
    "profile": "profiler",
    "ColumnVerdict": "report",
    "Effect": "report",
    "Kind": "report",
    "Report": "report",
    "TestResult": "report",
    "Finding": "report",
    "Code": "report",
    "check_schema": "schema",
    "compare": "verdict",
}

__all__ = [
    "By",
    "Code",
    "ColumnPolicy",
    "ColumnProfile",
    "ColumnVerdict",
    "DataError",
    "Effect",
    "Finding",
    "Kind",
    "Policy",
    "Profile",
    "Profiler",
    "Report",
    "TestResult",
    "UnknownSchemaError",
    "check_schema",
    "compare",
    "merge",
    "profile",
    "report_html",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
