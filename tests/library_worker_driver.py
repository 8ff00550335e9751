"""Plays the functions host to Microsoft's library worker, in one process and without gRPC; not a test itself.

Reads {"app": folder, "calls": [...]} from standard input and writes what the worker answered to standard output.
Runs on Python 3.13 with azure-functions-runtime, whose message classes are given to it: any classes will do.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
from types import SimpleNamespace
from typing import Any


class Message:
    """A message of the worker's protocol: what it is made of, and which of several contents it has."""

    def __init__(self, **parts: Any) -> None:
        self.__dict__.update(parts)

    def WhichOneof(self, group: str) -> str | None:
        return next((name for name in self.__dict__ if not name.startswith("_")), None)


class Protocol:
    """Stands in for the generated module of messages: every name is a message class."""

    BindingInfo = type("BindingInfo", (Message,), {"undefined": None, "out": 1, "inout": 2})
    StatusResult = type("StatusResult", (Message,), {"Failure": 0, "Success": 1})
    RpcHttpCookie = type("RpcHttpCookie", (Message,), {"SameSite": SimpleNamespace(**{"None": 0})})

    def __getattr__(self, name: str) -> type[Message]:
        return type(name, (Message,), {})


def request(**content: Any) -> SimpleNamespace:
    return SimpleNamespace(
        request=SimpleNamespace(**content), properties={"host": "127.0.0.1", "protos": Protocol()}
    )


def value_of(call: dict[str, Any]) -> tuple[Message, dict[str, Message]]:
    """The trigger's value and metadata, as the host sends them."""
    match call["kind"]:
        case "queueTrigger":
            metadata = {
                "Id": "1",
                "DequeueCount": "1",
                "PopReceipt": "x",
                "InsertionTime": "2026-01-01T00:00:00+00:00",
            }
            return Message(string=call["body"]), {k: Message(string=v) for k, v in metadata.items()}
        case "timerTrigger":
            return Message(json=json.dumps({"IsPastDue": False, "Schedule": {}, "ScheduleStatus": None})), {}
        case "httpTrigger":
            http = SimpleNamespace(
                method=call["method"],
                url="http://127.0.0.1/api/x",
                headers=call.get("headers", {}),
                params=call.get("params", {}),
                query={},
                body=Message(bytes=call["body"].encode()),
            )
            return Message(http=http), {}
        case other:
            raise ValueError(other)


async def answer_of(worker: Any, call: dict[str, Any]) -> dict[str, Any]:
    value, metadata = value_of(call)
    context = SimpleNamespace(trace_parent="", trace_state="", attributes={})
    retries = SimpleNamespace(retry_count=0, max_retry_count=0, exception=None)
    invocation = SimpleNamespace(
        invocation_id="1",
        function_id=call["id"],
        input_data=[_Binding(call["parameter"], value)],
        trigger_metadata=metadata,
        trace_context=context,
        retry_context=retries,
    )
    response = await worker.invocation_request(request(invocation_request=invocation))
    answer: dict[str, Any] = {"succeeded": response.result.status == 1}
    if not answer["succeeded"]:
        answer["error"] = f"{response.result.exception.message}\n{response.result.exception.stack_trace}"
    elif response.return_value is not None:
        http = response.return_value.http
        answer |= {"status": http.status_code, "headers": http.headers, "body": http.body.bytes.decode()}
    return answer


class _Binding(Message):
    def __init__(self, name: str, data: Message) -> None:
        super().__init__(name=name, data=data)

    def WhichOneof(self, group: str) -> str:
        return "data"


async def main() -> dict[str, Any]:
    plan = json.load(sys.stdin)
    os.chdir(plan["app"])
    sys.path.insert(0, plan["app"])
    worker = importlib.import_module("azure_functions_runtime")  # absent where this file is only checked
    worker.start_threadpool_executor()
    loaded = await worker.worker_init_request(
        request(worker_init_request=SimpleNamespace(capabilities={}, function_app_directory=plan["app"]))
    )
    if loaded.result.status != 1:
        return {"refused": loaded.result.exception.message}
    heavy = [name for name in ("azure.ai.ml", "pandas", "scipy", "pyarrow") if name in sys.modules]
    metadata = await worker.functions_metadata_request(request())
    functions = {f.name: f for f in metadata.function_metadata_results}
    triggers = {}
    for name, function in functions.items():
        bindings = [json.loads(raw) for raw in function.raw_bindings]
        triggers[name] = next(b for b in bindings if b["type"].endswith("Trigger"))
    answers = []
    for call in plan["calls"]:
        trigger = triggers[call["function"]]
        identity = {
            "id": functions[call["function"]].function_id,
            "kind": trigger["type"],
            "parameter": trigger["name"],
        }
        answers.append(await answer_of(worker, call | identity))
    worker.stop_threadpool_executor()
    return {
        "functions": {name: trigger["type"] for name, trigger in triggers.items()},
        "answers": answers,
        "heavy": heavy,
        "worker": loaded.worker_metadata.worker_version,
    }


if __name__ == "__main__":
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the app prints is not an answer
    json.dump(asyncio.run(main()), out)
    out.close()
