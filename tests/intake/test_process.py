"""The reading process is warm, is replaced when it breaks, and never outlives who began it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared import loopfile
from shared.errors import DependencyUnavailable, InputRejected
from shared.intake import DropFile, Limits, Reading, ReadSpec, read_drop
from shared.reader import child, child_pool
from tests.intake.corpus import dictionary_bomb, members

ROOT = Path(__file__).parents[2]


def drop(folder: Path, name: str = "a.csv", content: bytes = b"x,target\n1,a\n2,b\n") -> list[DropFile]:
    path = folder / name
    path.write_bytes(content)
    return [DropFile(path, name, len(content))]


def pid() -> int:
    assert child_pool._reader is not None
    return child_pool._reader._process.pid


def gone(process_id: int) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.kill(process_id, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_nothing_heavy_is_imported_here() -> None:
    code = (
        "import sys; import shared.intake; import shared.reader.child_pool;"
        "print([m for m in ('pyarrow', 'pandas', 'numpy', 'scipy', 'drift') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_loop_file_says_how_its_drops_are_read() -> None:
    limits = "limits: {seconds: 9, max_size_mb: 2}, "
    text = (
        "loop: penguins\nserve: {endpoint: penguins}\ntrain: {pipeline: t.yml}\n"
        f"data: {{landing: l00/x, target: t, id: i, time: w, ignore: [a], format: csv, {limits}"
        "holdout: {by: time, column: w, fraction: 0.1}}\n"
    )
    spec = ReadSpec.of(loopfile.parse(text, file="loop.yaml").data, {"t": "string"}, b"r")
    said = Limits(max_bytes=2 * 1024**2, seconds=9)
    assert spec == ReadSpec("t", "i", ("a",), "w", "time", 0.1, "w", {"t": "string"}, said, b"r", "csv")
    usual = loopfile.parse(text.replace(limits, ""), file="loop.yaml").data
    assert ReadSpec.of(usual, {}, b"").limits == Limits()
    assert ReadSpec.from_document(json.loads(json.dumps(spec.to_document())), b"r") == spec


def test_the_process_is_warm(tmp_path: Path) -> None:
    read_drop(drop(tmp_path), ReadSpec(target="target"), tmp_path / "0")
    first, started = pid(), time.monotonic()
    for number in range(1, 11):
        read_drop(drop(tmp_path), ReadSpec(target="target"), tmp_path / str(number))
    print(f"a small file costs {(time.monotonic() - started) * 100:.1f} ms")
    assert pid() == first


def test_it_is_warm_below_a_parent_that_holds_more_than_it_may(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from shared.intake import *\n"
        "from shared.reader import child_pool\n"
        "held = bytearray(b'1') * (500 << 20)\n"
        f"folder = Path({str(tmp_path)!r}); (folder / 'a').write_text('x,target\\n1,a\\n')\n"
        "for n in '01':\n"
        "    spec = ReadSpec(target='target', limits=Limits(memory_mb=400))\n"
        "    read_drop([DropFile(folder / 'a', 'a.csv', 0)], spec, folder / n)\n"
        "    print(child_pool._reader._process.pid)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.split()
    assert first == second


def test_many_threads_are_served_in_turn(tmp_path: Path) -> None:
    def one(number: int) -> Reading:
        folder = tmp_path / str(number)
        folder.mkdir()
        rows = b"".join(b"%d,a\n" % n for n in range(number + 1))
        return read_drop(
            drop(folder, content=b"x,target\n" + rows), ReadSpec(target="target"), folder / "out"
        )

    with ThreadPoolExecutor(8) as pool:
        assert [reading.rows for reading in pool.map(one, range(20))] == list(range(1, 21))


def test_a_process_that_was_killed_between_two_drops_is_replaced(tmp_path: Path) -> None:
    read_drop(drop(tmp_path), ReadSpec(target="target"), tmp_path / "0")
    os.kill(pid(), signal.SIGKILL)
    assert read_drop(drop(tmp_path), ReadSpec(target="target"), tmp_path / "1").rows == 2


def test_processes_that_die_while_they_read_are_a_named_rejection(tmp_path: Path) -> None:
    slow = drop(tmp_path, "slow.csv.gz", members(b"1,a\n" * 4_000_000, 50, b"x,target\n"))
    killed, done = set(), threading.Event()

    def kill() -> None:
        while not done.wait(0.2):
            if child_pool._reader is not None:
                killed.add(pid())
                os.kill(pid(), signal.SIGKILL)

    read_drop(drop(tmp_path), ReadSpec(target="target"), tmp_path / "0")
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(kill)
        with pytest.raises((InputRejected, DependencyUnavailable)) as caught:
            read_drop(slow, ReadSpec(target="target"), tmp_path / "1")
        done.set()
        future.result()
    assert caught.value.code in ("reader-died", "unavailable")
    assert killed and all(gone(process_id) for process_id in killed)
    assert read_drop(drop(tmp_path), ReadSpec(target="target"), tmp_path / "2").rows == 2


def test_time_and_memory_are_limited_whatever_is_read(tmp_path: Path) -> None:
    slow = drop(tmp_path, "slow.csv.gz", members(b"1,a\n" * 4_000_000, 50, b"x,target\n"))
    started = time.monotonic()
    with pytest.raises(InputRejected) as caught:
        read_drop(slow, ReadSpec(target="target", limits=Limits(seconds=0.5)), tmp_path / "0")
    assert caught.value.code == "too-slow" and time.monotonic() - started < 20
    assert read_drop(drop(tmp_path), ReadSpec(target="target"), tmp_path / "1").rows == 2
    with pytest.raises(InputRejected) as caught:
        read_drop(drop(tmp_path, "a.parquet", dictionary_bomb()), ReadSpec(target="target"), tmp_path / "2")
    assert caught.value.code == "too-much-memory"
    assert read_drop(drop(tmp_path), ReadSpec(target="target"), tmp_path / "3").rows == 2


def test_a_process_that_cannot_start_is_not_the_drops_fault(tmp_path: Path) -> None:
    with pytest.raises(DependencyUnavailable, match="did not start within 20 MB"):
        read_drop(drop(tmp_path), ReadSpec(target="target", limits=Limits(memory_mb=20)), tmp_path / "0")


def test_no_secret_of_the_environment_reaches_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child_pool.stop()
    monkeypatch.setenv("IDENTITY_HEADER", "planted-secret")
    read_drop(drop(tmp_path), ReadSpec(target="target"), tmp_path / "0")
    environment = Path(f"/proc/{pid()}/environ")
    if not environment.exists():
        pytest.skip("the system does not show a process's environment")
    assert b"planted-secret" not in environment.read_bytes()


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path\n"
        "from shared.intake import *\n"
        "from shared.reader import child_pool\n"
        f"folder = Path({str(tmp_path)!r}); (folder / 'a').write_text('x,target\\n1,a\\n')\n"
        "read_drop([DropFile(folder / 'a', 'a', 9)], ReadSpec(target='target'), folder / 'out')\n"
        "print(child_pool._reader._process.pid, flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    assert gone(child)


def test_the_watch_looks_while_a_drop_is_read_and_ends_who_takes_too_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A process that waits for drops takes no time: it looked fifty times a second, for ever."""
    looks: list[float] = []
    told = threading.Event()

    class Answers:
        def give(self, answer: dict[str, object], *, last: bool = False) -> None:
            assert last
            told.set()

    monkeypatch.setattr(child, "peak_mb", lambda: looks.append(2.0) or 2.0)  # type: ignore[func-returns-value]
    watch = child._Watch(1, Answers())  # type: ignore[arg-type]  # what ends the process
    time.sleep(0.2)
    assert looks == []
    watch.reading.set()
    assert told.wait(10)
