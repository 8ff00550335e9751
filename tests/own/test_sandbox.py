"""Code that a loop brings along computes, or it is stopped by name: it reaches no file, network, process or secret."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from shared import deadline
from shared.domain.reason import Code
from shared.errors import ConfigurationError, DependencyUnavailable
from shared.gate.gate_record import ALL_ROWS, OwnSeen
from shared.own import sandbox, walls
from shared.own.measured import Group, measure
from shared.stats.metrics import OwnMetric
from shared.words import say

SECRET = "s3cr3t-of-the-app"
TRUTH = ["a", "b", "b"] * 30
ANSWERS = ["a", "b", "a"] * 30
ROWS = pd.DataFrame({"amount": range(len(TRUTH)), "name": ["x", "y", None] * 30})


def ask(body: str, *, span: tuple[float, float] | None = None, resamples: int = 100) -> OwnSeen:
    """A function `m` with this body, asked of rows of which it is right in two of three."""
    code = f"import numpy as np\ndef m(truth, predictions, rows, weights):\n    {body}\n"
    own = OwnMetric("higher", "classification", span, "", "0" * 64)
    groups = {ALL_ROWS: Group(range(len(TRUTH)), 0.95)}
    return measure(code, "metrics.m", own, TRUTH, [ANSWERS], ROWS, groups, resamples)


def stopped(body: str) -> tuple[Code, str]:
    seen = ask(body)
    assert seen.fault is not None, seen
    return seen.fault.code, say(seen.fault)


def test_a_function_of_the_loops_own_answers_with_a_number_and_its_bounds() -> None:
    seen = ask("return float(np.average(truth == predictions, weights=weights))")
    assert seen.fault is None
    found = seen.found[ALL_ROWS].challenger
    assert found.value == pytest.approx(2 / 3)
    assert found.low is not None and found.high is not None and 0.5 < found.low < 0.66 < found.high < 0.8


def test_it_sees_the_rows_as_they_are_and_may_answer_one_number_a_row() -> None:
    body = "return np.where(truth == predictions, 0.0, rows['amount'] + rows['name'].isna())"
    seen = ask(body, span=(0, 100))
    assert seen.fault is None
    assert seen.rows[0][:6] == (0.0, 0.0, 3.0, 0.0, 0.0, 6.0)


@pytest.mark.parametrize(
    "body",
    [
        "while True: pass",
        "__import__('time').sleep(600)",
        "__import__('os').closerange(1, 200) or __import__('time').sleep(600)",
    ],
)
def test_code_that_never_ends_is_stopped(body: str) -> None:
    source = f"def m(truth, predictions, rows, weights):\n    {body}\n"
    begun = time.monotonic()
    with pytest.raises(sandbox.Stopped) as caught:
        sandbox.run("metrics.py", source + "m(0, 0, 0, 0)\n", {"task": "load", "functions": ["m"]}, seconds=2)
    assert caught.value.reason.code is Code.OWN_CODE_SLOW
    assert "more than 2 s" in say(caught.value.reason)
    assert time.monotonic() - begun < sandbox._STARTING_SECONDS + 10


@pytest.mark.parametrize(
    "part",
    [
        "np.fft.fft([1.0])",
        "np.polynomial.Polynomial([1.0])",
        "np.char.array(['a'])",
        "np.unique([1.0])",
        "np.array([np.nanmedian(np.ones((700, 2)), axis=0)])",
        "scipy.special.expit([0.0])",
    ],
)
def test_parts_of_a_package_that_load_late_are_there_behind_the_walls(part: str) -> None:
    seen = ask(
        f"import scipy; return float(len({part}) and np.average(truth == predictions, weights=weights))"
    )
    assert seen.fault is None


@pytest.mark.parametrize(
    "body", ["x = []\n    while True: x.append(bytearray(10**7))", "np.ones((10**5, 10**5)).sum()"]
)
def test_code_that_fills_memory_is_stopped(body: str) -> None:
    code, words = stopped(body)
    assert code is Code.OWN_CODE_MEMORY, words
    assert "metrics.py:" in words and "1,024 MB" in words


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("__import__('os').fork()", "another process"),
        ("__import__('os').system('id')", "another process"),
        ("__import__('subprocess').run(['id'])", "another process"),
        ("__import__('os').execv('/bin/sh', ['sh'])", "another process"),
        ("__import__('socket').socket()", "a network connection"),
        ("__import__('_socket').getaddrinfo(b'169.254.169.254', 80)", "a network connection"),
        ("__import__('os').kill(__import__('os').getppid(), 9)", "a signal to a process"),
        ("__import__('ctypes').CDLL(None)", "native code"),
        ("open('/etc/passwd')", "the file '/etc/passwd'"),
        ("open('/tmp/own-code-was-here', 'w')", "the file '/tmp/own-code-was-here'"),
        ("open(f\"/proc/{__import__('os').getppid()}/environ\", 'rb')", "/environ'"),
        ("__import__('os').listdir('/')", "what the system refuses"),
    ],
)
def test_what_reaches_beyond_the_process_is_stopped_by_name(body: str, what: str) -> None:
    code, words = stopped(f"return {body}")
    assert code is Code.OWN_CODE_FORBIDDEN, words
    assert what in words and words.startswith("metrics.py:3 was stopped")


def test_the_apps_environment_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a managed identity is reached by, and every setting of the app, stays with the app."""
    for name in (
        "IDENTITY_ENDPOINT",
        "IDENTITY_HEADER",
        "MSI_SECRET",
        "AzureWebJobsStorage",
        "AZURE_CLIENT_SECRET",
    ):
        monkeypatch.setenv(name, SECRET)
    code, words = stopped(
        "raise ValueError(repr(sorted(__import__('os').environ)) + repr(__import__('os').environ))"
    )
    assert code is Code.OWN_CODE_RAISED
    assert "PYTHONPATH" in words and SECRET not in words
    for name in ("IDENTITY", "MSI", "AzureWebJobs", "AZURE", "HOME"):
        assert name not in words


def test_what_has_not_the_time_to_run_is_not_called_slow() -> None:
    with deadline.within(20), pytest.raises(DependencyUnavailable, match="Too little time is left"):
        ask("return 1.0")


def test_a_stop_cannot_be_caught() -> None:
    """`except BaseException` keeps no run alive that asked for a process, and a file stays closed to who catches."""
    code, _ = stopped(
        "try:\n        __import__('os').fork()\n    except BaseException:\n        pass\n    return 1.0"
    )
    assert code is Code.OWN_CODE_FORBIDDEN
    caught = "try:\n        open('/etc/passwd')\n    except OSError:\n        raise KeyError('refused')"
    assert "KeyError: 'refused'" in stopped(caught)[1]


NATIVE = """
import ctypes, os, sys
from shared.own import walls
libc = ctypes.CDLL(None, use_errno=True)
walls.limit(1024, 5)
walls.close()
numbers = {"open": 2, "socket": 41, "clone": 56, "fork": 57, "execve": 59, "kill": 62, "ptrace": 101, "openat": 257,
           "prlimit": 302, "process_vm_readv": 310, "openat2": 437, "io_uring_setup": 425, "clone3": 435}
failed = {name for name, n in numbers.items() if libc.syscall(n, 0, 0, 0, 0, 0, 0) == -1 and ctypes.get_errno() == 1}
os.write(1, " ".join(sorted(set(numbers) - failed)).encode() + b".")
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="system calls are numbered by machine")
def test_native_code_gets_nothing_from_the_kernel() -> None:
    """Whoever gets past Python stands before the same wall: each of these calls is refused with EPERM."""
    root = Path(walls.__file__).parents[2]
    run = subprocess.run([sys.executable, "-c", NATIVE], cwd=root, capture_output=True, check=False)
    assert run.stdout == b".", (run.stdout, run.stderr)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return 1 / 0", "ZeroDivisionError"),
        ("raise SystemExit(3)", "SystemExit"),
        ("import requests", "ModuleNotFoundError"),
        ("return 'good'", "it answers str, not a number"),
        ("return [1.0, 2.0]", "one number a row needs metric.range"),
        ("return len(truth) / 100", "it does not use its weights"),
        ("__import__('os')._exit(0)", "ended its process (status 0)"),
    ],
)
def test_code_that_fails_or_answers_no_number_says_so(body: str, words: str) -> None:
    assert words in stopped(body)[1]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return 1.0", "it answers one number for 90 rows"),
        ("return np.full(len(truth), 3.0)", "it answers 3 for a row, and metric.range is 0 to 2"),
        ("return np.arange(len(truth)) / len(truth)", "changes with the other rows"),
        ("return np.full(len(truth), np.nan)", "it answers nan for a row"),
    ],
)
def test_numbers_a_row_must_be_that(body: str, words: str) -> None:
    seen = ask(body, span=(0, 2))
    assert seen.fault is not None and words in say(seen.fault)


def test_a_forged_answer_is_believed_only_as_far_as_its_form() -> None:
    """The code shares its process with what sends the answer, so that what comes back is looked at like any input."""
    for forged in (
        '{"found": {"": {"models": [["x", 1, 2]], "difference": null}}}',
        '{"rows": []}',
        "[]",
        "{",
        "[" * 100_000,
    ):
        body = f"os = __import__('os')\n    for pipe in (3, 4, 5):\n        try: os.write(pipe, {forged!r}.encode())\n"
        body += "        except OSError: pass\n    os._exit(0)"
        assert stopped(body)[0] in (Code.OWN_CODE_UNFIT, Code.OWN_CODE_DIED)


@pytest.mark.parametrize("first", ["", "from __future__ import annotations\n"])
def test_it_may_define_classes(first: str) -> None:
    source = (
        f"{first}import dataclasses\n\n@dataclasses.dataclass\nclass Price:\n    of: float\n\nm = Price\n"
    )
    assert sandbox.run("metrics.py", source, {"task": "load", "functions": ["m"]}) == {"loaded": True}


def test_rows_of_which_nothing_but_the_answer_is_known_are_rows() -> None:
    code = (
        "import numpy as np\ndef m(truth, predictions, rows, weights):\n    assert len(rows) == len(truth)\n"
    )
    code += "    return (truth == predictions).astype(float)\n"
    own = OwnMetric("higher", "classification", (0, 1), "", "0" * 64)
    seen = measure(code, "metrics.m", own, TRUTH, [ANSWERS], pd.DataFrame([{}] * len(TRUTH)), {})
    assert seen.fault is None and len(seen.rows[0]) == len(TRUTH)


def test_where_no_wall_can_be_built_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(ConfigurationError, match="runs on Linux"):
        ask("return 1.0")
