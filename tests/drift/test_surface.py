"""The package's face: cheap to import, complete, frozen, and every name explained."""

import json
import math
import subprocess
import sys
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pandas as pd
import pytest

import drift


def test_importing_drift_imports_none_of_its_libraries() -> None:
    code = "import sys, drift; print(sorted({'numpy','pyarrow','scipy','pandas'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_profile_imports_neither_scipy_nor_pandas() -> None:
    code = "import sys, drift; drift.profile; print(sorted({'scipy','pandas'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", drift.__all__)
def test_every_public_name_is_explained(name: str) -> None:
    assert (getattr(drift, name).__doc__ or name == "Kind").__class__ in (str, bool)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        drift.nothing  # noqa: B018 - the access is what is tested


def _finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_finite(v) for v in value.values())
    if isinstance(value, list | tuple):
        return all(_finite(v) for v in value)
    return not isinstance(value, float) or math.isfinite(value)


def strange(rows: int = 60) -> pd.DataFrame:
    """Every column that has ever broken a drift library."""
    rng = np.random.default_rng(0)
    third = np.arange(rows) % 3
    return pd.DataFrame(
        {
            "constant": np.ones(rows),
            "all_nan": np.full(rows, np.nan),
            "half_infinite": np.where(third == 0, np.inf, 1.0),
            "all_infinite": np.full(rows, -np.inf),
            "one_known": np.r_[5.0, np.full(rows - 1, np.nan)],
            "plain": rng.normal(size=rows),
            "tiny": rng.normal(size=rows) * 1e-310,
            "huge": rng.normal(size=rows) * 1e307,
            "flag": rng.random(rows) < 0.5,
            "words": np.array(["a", "b", ""])[third],
            "few": rng.integers(0, 5, rows),
            "text": [f"hello world {i}" for i in range(rows)],
            "key": [f"x{i}" for i in range(rows)],
            "day": pd.date_range("2024-01-01", periods=rows, freq="D"),
            "unsigned": np.full(rows, 2**64 - 1, dtype=np.uint64),
            "mixed": np.array([1, "a", None], dtype=object)[third],
            "bytes": [b"x"] * rows,
            "list": [[1]] * rows,
            "coded": pd.Categorical(np.array(["u", "v", None], dtype=object)[third]),
            "nullable": pd.array([(1, None, 3)[i] for i in third], dtype="Int64"),
        }
    )


@pytest.mark.parametrize(
    "rows", [(0, 0), (0, 60), (1, 1), (1, 60), (2, 1), (3, 2), (60, 0), (60, 1), (60, 60)]
)
def test_degenerate_data_give_a_defined_report(rows: tuple[int, int]) -> None:
    report = drift.compare(
        strange().iloc[: rows[0]], strange().iloc[: rows[1]].sample(frac=1, random_state=1)
    )
    document = report.to_dict()
    assert _finite(document)
    assert drift.Report.from_dict(json.loads(json.dumps(document, allow_nan=False))).to_dict() == document
    assert not report.detected
    assert not [reason for _, reason in report.skipped if "could not be judged" in reason]


def test_any_column_against_any_other_gives_a_defined_report() -> None:
    frame = strange(30)
    for first in frame.columns:
        reference = drift.profile(frame[[first]].rename(columns={first: "c"}))
        for second in frame.columns:
            report = drift.compare(reference, frame[[second]].rename(columns={second: "c"}))
            assert _finite(report.to_dict())
            assert not [reason for _, reason in report.skipped if "could not be judged" in reason]


def test_a_broken_column_leaves_the_others_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = strange()
    reference, current = drift.profile(frame), drift.profile(frame.assign(plain=frame["plain"] + 5))
    from drift import verdict

    judge = verdict.judge

    def failing(first: Any, second: Any, policy: Any) -> Any:
        if first.name == "few":
            raise ValueError("no such luck")
        return judge(first, second, policy)

    monkeypatch.setattr(verdict, "judge", failing)
    report = drift.compare(reference, current)
    assert ("few", "could not be judged: ValueError: no such luck") in report.skipped
    assert report.columns[0].name == "plain"
    assert report.material


def test_results_are_frozen() -> None:
    report = drift.compare(strange(), strange())
    for thing in (report, report.columns[0], report.columns[0].effect, drift.Policy()):
        with pytest.raises(FrozenInstanceError):
            thing.detected = True  # type: ignore[misc] # the point


def test_words_tell_direction_size_interval_and_tolerance() -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"income": rng.normal(40, 10, 4000), "town": rng.choice(["a", "b"], 4000)})
    moved = frame.assign(income=frame["income"] + 3.1, town=np.where(frame.index % 5, frame["town"], "c"))
    by_name = {c.name: c for c in drift.compare(frame, moved).columns}
    assert by_name["income"].words.startswith("income moved up by 0.3")
    assert "sd (0." in by_name["income"].words
    assert "tolerance 0.1" in by_name["income"].words
    assert "'c' (new) rose from 0.0% to 20.0%" in by_name["town"].words


def test_detected_is_not_material_below_the_tolerance() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(2, 200_000))
    report = drift.compare(pd.DataFrame({"x": x[0]}), pd.DataFrame({"x": x[1] + 0.04}))
    assert report.detected
    assert not report.material
    assert "within the tolerances" in report.headline
    strict = drift.Policy(columns={"x": drift.ColumnPolicy(tolerance=0.01)})
    assert drift.compare(pd.DataFrame({"x": x[0]}), pd.DataFrame({"x": x[1] + 0.04}), strict).material


def test_importance_asks_more_of_a_light_column() -> None:
    rng = np.random.default_rng(3)
    a = pd.DataFrame(rng.normal(size=(5000, 2)), columns=["heavy", "light"])
    b = pd.DataFrame(rng.normal(size=(5000, 2)) + 0.3, columns=["heavy", "light"])
    policy = drift.Policy(importance={"heavy": 0.9, "light": 0.09})
    found = {c.name: c for c in drift.compare(a, b, policy).columns}
    assert found["heavy"].material
    assert found["light"].detected
    assert not found["light"].material


def test_rows_compared_with_themselves_are_quiet() -> None:
    """Also where thousands of rare categories all lie on both sides, which chance would not do."""
    rng = np.random.default_rng(5)
    words = pd.DataFrame(
        {"word": [f"w{i}" for i in rng.zipf(1.3, 30_000) % 5_000], "x": rng.normal(size=30_000)}
    )
    assert not drift.compare(words, words).detected


def test_the_same_data_give_the_same_report() -> None:
    rng = np.random.default_rng(4)
    a, b = (pd.DataFrame({"x": rng.normal(m, 1, 80)}) for m in (0, 0.4))
    assert drift.compare(a, b).to_dict() == drift.compare(a, b).to_dict()


@pytest.mark.parametrize("value", [0, 1, -1, float("nan")])
def test_a_policy_refuses_an_impossible_rate(value: float) -> None:
    with pytest.raises(ValueError, match="false_alarm_rate"):
        drift.Policy(false_alarm_rate=value)
