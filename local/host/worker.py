"""The user's code runs here, in a process that the host can kill without losing anything but this process.

The host talks to it over standard input and output, one JSON object a line; both are taken away from the
user's code first. When the host dies, the input ends, and this process ends with all its children.
"""

import asyncio
import base64
import contextvars
import functools
import json
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

from azure.functions.meta import Datum

from local.host import logs
from local.host.app_index import Indexed, IndexingError, converter, index

Message = dict[str, object]


@dataclass(frozen=True)
class TraceContext:
    """W3C trace context of an invocation, as the worker hands it on."""

    trace_parent: str
    trace_state: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RetryContext:
    """Always that of a first attempt: the local host refuses retry policies."""

    retry_count: int = 0
    max_retry_count: int = 0
    exception: None = None


@dataclass(frozen=True)
class Context:
    """What a function gets that asks for `context`; as on Azure, no func.Context itself."""

    function_name: str
    function_directory: str
    invocation_id: str
    trace_context: TraceContext
    retry_context: RetryContext = RetryContext()
    thread_local_storage: threading.local = field(default_factory=threading.local)


class Worker:
    """Indexes the app once, then answers one message after another until its input ends."""

    def __init__(self, app_dir: Path, requests: BinaryIO, answers: BinaryIO) -> None:
        self._app_dir, self._requests, self._answers = app_dir, requests, answers
        self._lock = threading.Lock()
        self._functions: dict[str, Indexed] = {}
        self._threads = ThreadPoolExecutor(int(os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT", "1000")))

    def run(self) -> None:
        try:
            self._functions = {f.name: f for f in index(self._app_dir)}
        except IndexingError as error:
            self._answer({"refused": str(error)})
            return
        self._answer({"ready": [f.metadata() for f in self._functions.values()]})
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, args=(loop,), daemon=True).start()
        await asyncio.Event().wait()

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        running: set[asyncio.Task[None]] = set()

        def start(message: Message) -> None:
            task = loop.create_task(self._invoke(message))
            running.add(task)
            task.add_done_callback(running.discard)

        for line in self._requests:
            loop.call_soon_threadsafe(start, json.loads(line))
        end_with_children()

    async def _invoke(self, message: Message) -> None:
        function = self._functions[str(message["function"])]
        invocation_id = str(message["id"])
        logs.invocation.set((function.name, invocation_id))
        answer: Message = {"done": invocation_id, "error": None}
        try:
            result = await self._call(function, invocation_id, message)
            if function.returns is not None:
                answer["returned"] = _encoded(function.returns, result)
            elif result is not None:
                raise RuntimeError(
                    f"function {function.name} without a $return binding returned a non-None value"
                )
        except (SystemExit, KeyboardInterrupt) as error:
            # Microsoft's worker catches Exception alone: its loop ends, its process does not, and nobody is answered.
            logging.getLogger(__name__).critical("%s: the worker hangs from now on", type(error).__name__)
            threading.Event().wait()
        except Exception as error:  # noqa: BLE001 - the boundary to the user's code: any failure is an answer
            answer["error"] = f"{type(error).__name__}: {error}"
            answer["traceback"] = traceback.format_exc()
        self._answer(answer)

    async def _call(self, function: Indexed, invocation_id: str, message: Message) -> object:
        arguments: dict[str, object] = {function.parameter: _decoded(function, message)}
        if function.wants_context:
            trace = f"00-{invocation_id.replace('-', '')}-{invocation_id.replace('-', '')[:16]}-01"
            folder = str(self._app_dir)
            arguments["context"] = Context(function.name, folder, invocation_id, TraceContext(trace))
        bound = functools.partial(function.call, **arguments)
        if function.is_async:
            return await bound()  # type: ignore[misc]  # is_async has looked: this is a coroutine function
        running = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._threads, running.run, bound)

    def _answer(self, message: Message) -> None:
        line = json.dumps(message).encode() + b"\n"
        with self._lock:
            self._answers.write(line)
            self._answers.flush()


def _decoded(function: Indexed, message: Message) -> object:
    """The trigger's value as the function wants it, made by Microsoft's converter."""
    kind, value = str(message["kind"]), message["value"]
    if kind == "http":
        parts = cast(dict[str, dict[str, str]], value)
        datum = Datum(
            {
                "method": Datum(parts["method"], "string"),
                "url": Datum(parts["url"], "string"),
                "headers": {k: Datum(v, "string") for k, v in parts["headers"].items()},
                "query": {k: Datum(v, "string") for k, v in parts["query"].items()},
                "params": {k: Datum(v, "string") for k, v in parts["params"].items()},
                "body": Datum(base64.b64decode(str(parts["body"])), "bytes"),
            },
            "http",
        )
    else:
        datum = Datum(value, kind)
    if function.converter == "generic":
        return datum.value
    metadata = cast(dict[str, str], message.get("metadata") or {})
    typed = {k: Datum(v, "string") for k, v in metadata.items()}
    known = converter(function.converter)
    assert known is not None, function.converter
    return known.decode(datum, trigger_metadata=typed)


def _encoded(binding: str, result: object) -> Message:
    """An HTTP answer as plain values; anything that Microsoft's converter refuses fails the invocation."""
    known = converter(binding)
    assert known is not None, binding
    try:
        datum = known.encode(result, expected_type=None)
    except NotImplementedError:
        raise TypeError(
            f'unable to encode outgoing TypedData: unsupported type "{binding}" for Python type '
            f'"{type(result).__name__}"'
        ) from None
    if datum.type == "string":
        text = str(datum.value).encode()
        return {
            "status": 200,
            "headers": {"content-type": "text/plain; charset=utf-8"},
            "cookies": [],
            "body": base64.b64encode(text).decode(),
        }
    cookies = [
        {name: str(value or "") for name, value in morsel.items()}
        | {"name": morsel.key, "value": morsel.value}
        for jar in datum.value["cookies"] or []
        for morsel in jar.values()
    ]
    return {
        "status": int(datum.value["status_code"].value),
        "headers": {name: value.value for name, value in datum.value["headers"].items()},
        "cookies": cookies,
        "body": base64.b64encode(datum.value["body"].value).decode(),
    }


def end_with_children() -> None:
    """The host started this process as the head of a group of its own: end the group."""
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)


def main() -> None:
    """Started by local.host.channel with the app's folder as the one argument."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the host, which ends us in order
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    logs.configure()
    sys.stdout = logs.LineWriter("stdout")
    app_dir = Path(sys.argv[1])
    os.chdir(app_dir)
    logging.getLogger(__name__).info("worker %d indexes %s", os.getpid(), app_dir)
    Worker(app_dir, requests, answers).run()


if __name__ == "__main__":
    main()
