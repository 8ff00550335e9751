"""The process that runs a loop's own code: it reads its question, closes the walls, runs, answers once, and ends."""

from __future__ import annotations

import builtins
import json
import os
import sys
from collections.abc import Callable
from io import BytesIO
from types import ModuleType
from typing import IO, Any

from shared.own import source_text, walls

_ENDS_IT = {
    "socket.": "a network connection",
    "os.fork": "another process",
    "os.posix_spawn": "another process",
    "os.exec": "another process",
    "os.system": "another process",
    "os.kill": "a signal to a process",
    "subprocess.": "another process",
    "pty.": "another process",
    "ctypes.": "native code",
    "mmap.": "memory of files",
}
"""Events of sys.audit whose beginning is so: they end the run by name. The walls stand whether or not they are told."""


BEGUN = b"."


class _FileRefused(PermissionError):
    pass


class _Answers:
    """The way back. Standard output is moved away, so that what the code prints goes nowhere."""

    def __init__(self) -> None:
        self._pipe = os.dup(1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    def begin(self) -> None:
        """From now on the code's own time counts."""
        os.write(self._pipe, BEGUN)

    def give(self, answer: dict[str, Any]) -> None:
        left = json.dumps(answer).encode()
        while left:
            left = left[os.write(self._pipe, left) :]
        os._exit(0)


def _line(file: str, error: BaseException | None = None) -> int | None:
    """The innermost line of the loop's file that was being run."""
    found = None
    step = error.__traceback__ if error else None
    while step is not None:
        found = step.tb_lineno if step.tb_frame.f_code.co_filename == file else found
        step = step.tb_next
    frame = None if error else sys._getframe()
    while frame is not None:
        if frame.f_code.co_filename == file:
            return frame.f_lineno
        frame = frame.f_back
    return found


def _watch(file: str, answers: _Answers) -> None:
    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            raise _FileRefused(f"the file {arguments[0]!r}")
        what = next((what for begin, what in _ENDS_IT.items() if event.startswith(begin)), None)
        if what is not None:
            answers.give({"forbidden": what, "line": _line(file)})

    sys.addaudithook(hook)


def _question(stream: IO[bytes]) -> tuple[dict[str, Any], list[bytes]]:
    header = json.loads(stream.readline())
    return header, [stream.read(size) for size in header["sizes"]]


def _load(text: str) -> None:
    """Everything that the source imports: once the walls are closed no file can be read."""
    named = source_text.attributes(text)
    for name, taken in source_text.imports(text):
        if name.split(".")[0] in source_text.MAY_IMPORT:
            try:
                module = builtins.__import__(name, fromlist=taken)
            except ImportError:
                continue  # the source's own import of it says so, with its line
            for part in named & set(dir(module)):
                getattr(module, part, None)  # numpy and scipy load some of their parts when these are named


def main() -> None:
    answers = _Answers()
    header, tables = _question(sys.stdin.buffer)
    walls.end_with_parent()
    from shared.own.tasks import TASKS, frame_of  # heavy, and before the walls are closed

    frames = [frame_of(BytesIO(table)) for table in tables]
    _load(header["source"])
    try:
        walls.limit(header["memory_mb"], header["seconds"])
        walls.close()
    except OSError as error:
        answers.give({"unwalled": str(error)})
    _watch(header["file"], answers)
    answers.begin()
    answers.give(_run(header, frames, TASKS[header["task"]]))


def _run(header: dict[str, Any], frames: list[Any], task: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    from shared.own.tasks import Unfit

    file = header["file"]
    try:
        module = ModuleType(file.removesuffix(".py"))
        sys.modules[module.__name__] = module  # where a dataclass looks for the module that it is of
        code = compile(header["source"], file, "exec", dont_inherit=True)
        exec(code, module.__dict__)  # noqa: S102  # the process is made for this
        return task(module.__dict__, header, frames)
    except MemoryError as error:
        return {"memory": True, "line": _line(file, error)}
    except Unfit as error:
        return {"unfit": str(error)}
    except PermissionError as error:
        what = str(error) if isinstance(error, _FileRefused) else f"what the system refuses ({error})"
        return {"forbidden": what, "line": _line(file, error)}
    except BaseException as error:  # noqa: BLE001  # whatever the code raises, SystemExit too, is what it came to
        return {"raised": f"{type(error).__name__}: {error}", "line": _line(file, error)}


if __name__ == "__main__":
    main()
