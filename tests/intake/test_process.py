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
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

import drift
from shared import loopfile
from shared.errors import DependencyUnavailable, InputRejected, InvariantBroken
from shared.intake import DropFile, Limits, Reading, ReadSpec, read_drop
from shared.reader import child, child_pool
from shared.tables import delta_log, delta_table, mltable
from shared.tables.snapshot import Snapshot
from tests.intake.corpus import dictionary_bomb, members
from tests.tables.written import Written

ROOT = Path(__file__).parents[2]
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TEMP", "SYSTEMROOT", "LD_LIBRARY_PATH")


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


def test_another_limit_of_memory_is_another_process(tmp_path: Path) -> None:
    read_drop(drop(tmp_path), ReadSpec(target="target", limits=Limits(memory_mb=400)), tmp_path / "0")
    first = pid()
    read_drop(drop(tmp_path), ReadSpec(target="target", limits=Limits(memory_mb=500)), tmp_path / "1")
    assert pid() != first and gone(first)
    assert child_pool._reader is not None and child_pool._reader.memory_mb == 500


def test_what_goes_through_files_is_gone_afterwards_whatever_came_of_it(tmp_path: Path) -> None:
    read_drop(drop(tmp_path), ReadSpec(target="target"), tmp_path / "out")
    assert not (tmp_path / "out" / "scratch").exists()
    with pytest.raises(InputRejected):
        read_drop(drop(tmp_path), ReadSpec(target="other"), tmp_path / "refused")
    assert not (tmp_path / "refused" / "scratch").exists()


def test_a_profile_may_have_its_limit_and_no_byte_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(read_drop(drop(tmp_path), ReadSpec(target="target"), tmp_path / "0").profile)
    monkeypatch.setattr(child_pool, "_LARGEST_PROFILE", size)
    assert read_drop(drop(tmp_path), ReadSpec(target="target"), tmp_path / "1").rows == 2
    monkeypatch.setattr(child_pool, "_LARGEST_PROFILE", size - 1)
    with pytest.raises(
        InputRejected, match=rf"the statistical profile of 'a.csv' has {size:,} bytes"
    ) as caught:
        read_drop(drop(tmp_path), ReadSpec(target="target"), tmp_path / "2")
    assert caught.value.code == "too-much-memory"


def test_a_refusal_of_many_files_names_the_first_and_how_many_more(tmp_path: Path) -> None:
    two = drop(tmp_path, "a.csv") + drop(tmp_path, "b.csv")
    with pytest.raises(InputRejected, match=r"^'a.csv' and 1 more took longer than 1e-06 s to read;"):
        read_drop(two, ReadSpec(target="target", limits=Limits(seconds=1e-6)), tmp_path / "0")


def instead(folder: Path, monkeypatch: pytest.MonkeyPatch, begins: str) -> Path:
    """From now on a shell begins in the process's place, and notes that it did."""
    begun, script = folder / "begun", folder / "process"
    script.write_text(f"#!/bin/sh\necho $$ >>{begun}\n{begins}\n")
    script.chmod(0o755)
    child_pool.stop()
    monkeypatch.setattr(sys, "executable", str(script))
    return begun


def answering(*lines: str) -> str:
    """A process that says it is ready, answers a request with these lines, and ends."""
    said = "".join(f"; echo '{line}'" for line in lines)
    return f"read hello; echo '{{\"ready\": true}}'; read request{said}"


def test_a_drop_under_which_one_process_ends_is_read_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first may have been killed from outside."""
    first = f'if [ $(wc -l <{tmp_path}/begun) = 1 ]; then {answering()}; else exec {sys.executable} "$@"; fi'
    begun = instead(tmp_path, monkeypatch, first)
    assert read_drop(drop(tmp_path), ReadSpec(target="target"), tmp_path / "0").rows == 2
    assert len(begun.read_text().split()) == 2


@pytest.mark.parametrize("lines", [(), ("no JSON",)])
def test_a_drop_under_which_two_processes_end_is_refused(
    lines: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = instead(tmp_path, monkeypatch, answering(*lines))
    with pytest.raises(InputRejected, match=r"^'a.csv' ended the process that read it, twice") as caught:
        read_drop(drop(tmp_path), ReadSpec(target="target"), tmp_path / "0")
    assert caught.value.code == "reader-died"
    assert len(begun.read_text().split()) == 2
    assert child_pool._reader is None


def test_what_the_process_says_of_itself_is_ours_and_what_it_says_of_the_drop_is_the_drops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instead(tmp_path, monkeypatch, answering('{"broken": "two and two are five"}'))
    with pytest.raises(InvariantBroken, match=r"^two and two are five$"):
        read_drop(drop(tmp_path), ReadSpec(target="target"), tmp_path / "0")
    refusal = '{"rejected": {"code": "unreadable", "text": "row 7"}, "retire": true}'
    instead(tmp_path, monkeypatch, answering(refusal))
    with pytest.raises(InputRejected, match=r"^row 7$") as caught:
        read_drop(drop(tmp_path), ReadSpec(target="target"), tmp_path / "1")
    assert caught.value.code == "unreadable"
    assert child_pool._reader is None, "retired, as it asked for"


def test_what_a_table_and_an_mltable_say_of_their_files_goes_with_them(tmp_path: Path) -> None:
    table = Written({"x": "long", "target": "string"})
    table.append([{"x": n, "target": "a"} for n in range(5)])
    table.delete_rows(next(iter(table.live)), {1, 3})
    spec = ReadSpec(target="target")
    assert read_drop(delta_table.of_folder(table.write(tmp_path / "t")), spec, tmp_path / "0").rows == 3
    content = b"x;y;target\n1;1;a\n2;1;b\n"
    steps = mltable.read(
        b"paths: [{file: ./a.csv}]\n"
        b"transformations: [{read_delimited: {delimiter: ';'}}, {drop_columns: [y]}]\n"
    ).steps
    files = [replace(file, steps=steps) for file in drop(tmp_path, content=content)]
    assert set(read_drop(files, spec, tmp_path / "1").columns) == {"x", "target"}
    assert (tmp_path / "1").is_dir() and any((tmp_path / "1").rglob("*.parquet"))


def test_an_answer_may_be_longer_than_the_pipe_holds(tmp_path: Path) -> None:
    names = [f"column_{'x' * 90}_{n}" for n in range(1_900)]
    rows = "\n".join([",".join([*names, "target"]), ",".join(["1"] * 1_900 + ["a"])]).encode()
    reading = read_drop(drop(tmp_path, content=rows), ReadSpec(target="target"), tmp_path / "0")
    assert len(json.dumps(reading.to_document())) > 1 << 17
    assert set(names) < set(reading.columns)


def test_a_log_is_read_by_the_process_too(tmp_path: Path) -> None:
    table = Written({"x": "long"})
    table.append([{"x": 1}])
    table.append([{"x": 2}])
    table.checkpoint("v2", clean=True)
    log = table.write(tmp_path) / "_delta_log"
    there = {path.relative_to(log).as_posix(): path for path in log.rglob("*") if path.is_file()}
    wanted = delta_log.needed(there, 1, "table")
    files = {name: there[name] for name in wanted.names}
    asked = child_pool.read_log(wanted, files, "table", Limits())
    assert asked == delta_log.replay(wanted, files, "table")
    assert isinstance(asked, delta_log.Wanting)
    whole = {**files, **{name: there[name] for name in asked.names}}
    found = child_pool.read_log(wanted, whole, "table", Limits())
    assert found == delta_log.replay(wanted, whole, "table")
    assert isinstance(found, Snapshot) and len(found.files) == 2
    with pytest.raises(InputRejected, match=r"^table cannot be read"):
        child_pool.read_log(wanted, dict.fromkeys(files, tmp_path / "lost"), "table", Limits())
    with pytest.raises(InputRejected, match=r"^table took longer than 1e-06 s to read"):
        child_pool.read_log(wanted, files, "table", Limits(seconds=1e-6))


def test_a_process_that_cannot_start_is_not_the_drops_fault(tmp_path: Path) -> None:
    with pytest.raises(DependencyUnavailable, match="did not start within 20 MB"):
        read_drop(drop(tmp_path), ReadSpec(target="target", limits=Limits(memory_mb=20)), tmp_path / "0")


def test_nor_is_one_that_does_not_answer_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child_pool.stop()
    monkeypatch.setattr(child_pool, "_START_SECONDS", 0.001)
    with pytest.raises(DependencyUnavailable, match="did not start within 1536 MB and 0 s"):
        read_drop(drop(tmp_path), ReadSpec(target="target"), tmp_path / "0")
    assert child_pool._reader is None


def test_no_secret_of_the_environment_reaches_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child_pool.stop()
    monkeypatch.setenv("IDENTITY_HEADER", "planted-secret")
    read_drop(drop(tmp_path), ReadSpec(target="target"), tmp_path / "0")
    environment = Path(f"/proc/{pid()}/environ")
    if not environment.exists():
        pytest.skip("the system does not show a process's environment")
    set_ = dict(one.split(b"=", 1) for one in environment.read_bytes().split(b"\0") if one)
    assert b"planted-secret" not in set_.values()
    ours = {b"ARROW_DEFAULT_MEMORY_POOL": b"system", b"MALLOC_ARENA_MAX": b"2", b"OMP_NUM_THREADS": b"1"}
    assert ours.items() <= set_.items()
    assert set_.keys() - ours.keys() <= {b"PYTHONPATH", *(name.encode() for name in KEPT)}
    assert set_[b"PATH"] == os.environb[b"PATH"]
    seen = {name: (environment.parent / name).readlink() for name in ("fd/2", "cwd")}
    assert seen == {"fd/2": Path(os.devnull), "cwd": ROOT.parent}, (
        "says nothing, and imports nothing from there"
    )


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


def test_the_profile_of_another_process_is_read_within_limits() -> None:
    """What lies where a job answers may be of anybody; a few bytes may become gigabytes of objects."""
    limits = Limits(memory_mb=400)
    good = drift.profile(pa.table({"x": [1.5, 2.5]})).to_bytes()
    assert child_pool.packed_anew(good, limits, "a drop") == good
    bomb = b"[" + b"{}," * 8_000_000 + b"{}]"
    body = len(bomb).to_bytes(8, "little") + bomb
    packed = pa.Codec("zstd").compress(body, asbytes=True)
    assert len(packed) < 10_000
    with pytest.raises(InputRejected) as refused:
        child_pool.packed_anew(good[:12] + len(body).to_bytes(8, "little") + packed, limits, "a drop")
    assert refused.value.code == "too-much-memory"
    with pytest.raises(InputRejected):
        child_pool.packed_anew(good[:-3], limits, "a drop")
