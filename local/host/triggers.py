"""What the worker accepted is checked against what the host accepts; all that is wrong is told at once."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from itertools import combinations
from typing import cast
from zoneinfo import ZoneInfo

from local.host.configuration import resolve, service_uri
from local.host.errors import AppRefused, FunctionRefused, HostJsonRefused
from local.host.routes import Route, compile_route
from local.host.schedule import Schedule

_FUNCTION_NAME = re.compile(r"^[a-z][a-z0-9_-]{0,127}$", re.IGNORECASE)
_BINDING_NAME = re.compile(r"^(\$return|[A-Za-z][A-Za-z0-9]*)$")
_QUEUE_NAME = re.compile(r"^(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*$")
_STORAGE = "AzureWebJobsStorage"


@dataclass(frozen=True)
class QueueTrigger:
    function: str
    queue_uri: str
    queue: str


@dataclass(frozen=True)
class TimerTrigger:
    function: str
    schedule: Schedule
    run_on_startup: bool
    use_monitor: bool


@dataclass(frozen=True)
class HttpTrigger:
    function: str
    route: Route
    methods: tuple[str, ...] | None
    """None: any method at all, also one that nobody knows."""
    auth_level: str


@dataclass
class Triggers:
    """Every trigger of the app, by kind."""

    queues: list[QueueTrigger] = field(default_factory=list)
    timers: list[TimerTrigger] = field(default_factory=list)
    http: list[HttpTrigger] = field(default_factory=list)


def checked(functions: Iterable[Mapping[str, object]], settings: Mapping[str, str], prefix: str) -> Triggers:
    """Make triggers of the worker's metadata; AppRefused names every function refused, and why."""
    triggers, faults = Triggers(), list[str]()
    kind: type[AppRefused] = FunctionRefused
    for function in functions:
        try:
            _add(function, settings, prefix, triggers)
        except AppRefused as error:
            kind = HostJsonRefused if isinstance(error, HostJsonRefused) else kind
            faults.append(str(error))
    faults += _conflicts(triggers.http)
    if triggers.timers:
        try:
            service_uri(settings, _STORAGE, "blob", triggers.timers[0].function)
        except AppRefused as error:
            faults.append(str(error))
    if faults:
        raise kind("\n".join(faults))
    return triggers


def _add(
    function: Mapping[str, object], settings: Mapping[str, str], prefix: str, triggers: Triggers
) -> None:
    name = str(function["name"])
    if not _FUNCTION_NAME.match(name) or name.lower() == "host":
        raise FunctionRefused(
            f"function {name!r}: a name is a letter, then at most 127 letters, digits, '_' or '-', "
            "and not 'host'"
        )
    if function["retries"]:
        raise FunctionRefused(
            f"function {name}: retry policies are not emulated by the local host; raise, and be retried"
        )
    bindings = cast(list[dict[str, object]], function["bindings"])
    for binding in bindings:
        if not _BINDING_NAME.match(str(binding["name"])):
            raise FunctionRefused(
                f"function {name}: the binding name {binding['name']!r} must be letters and digits only"
            )
    found = [b for b in bindings if str(b["type"]).lower().endswith("trigger")]
    if len(found) != 1:
        raise FunctionRefused(f"function {name} has {len(found)} triggers: each function needs exactly one")
    for binding in bindings:
        if binding is not found[0] and (binding["type"], binding["name"]) != ("http", "$return"):
            raise FunctionRefused(
                f"function {name}: the binding {binding['name']} ({binding['type']}) is not emulated by the "
                "local host, which has queue, timer and HTTP triggers and the HTTP answer: use an SDK client"
            )
    if str(settings.get(f"AzureWebJobs.{name}.Disabled", "")).lower() in ("true", "1"):
        return
    _add_trigger(name, found[0], settings, prefix, triggers)


def _add_trigger(
    name: str, binding: Mapping[str, object], settings: Mapping[str, str], prefix: str, triggers: Triggers
) -> None:
    match binding["type"]:
        case "queueTrigger":
            triggers.queues.append(_queue(name, binding, settings))
        case "timerTrigger":
            schedule = Schedule(resolve(settings, str(binding["schedule"]), name), name, _zone(settings))
            at_start, monitor = binding.get("runOnStartup"), binding.get("useMonitor")
            triggers.timers.append(TimerTrigger(name, schedule, bool(at_start), monitor is not False))
        case "httpTrigger":
            triggers.http.append(_http(name, binding, settings, prefix))
        case other:
            raise FunctionRefused(
                f"function {name}: {other} is not emulated by the local host, which has queueTrigger, "
                "timerTrigger and httpTrigger"
            )


def _zone(settings: Mapping[str, str]) -> tzinfo:
    """TZ moves the timers, as on Linux; WEBSITE_TIME_ZONE alone does not."""
    try:
        return ZoneInfo(settings["TZ"]) if settings.get("TZ") else UTC
    except (KeyError, ValueError, OSError):  # a zone that is not known is UTC, as for libc
        return UTC


def _queue(name: str, binding: Mapping[str, object], settings: Mapping[str, str]) -> QueueTrigger:
    queue = resolve(settings, str(binding["queueName"]), name)
    if not _QUEUE_NAME.match(queue):
        raise FunctionRefused(
            f"function {name}: {queue!r} is not a queue name (3 to 63 of a-z, 0-9 and single '-')"
        )
    if str(binding.get("dataType") or "UNDEFINED").upper() not in ("UNDEFINED", "STRING"):
        raise FunctionRefused(f"function {name}: dataType {binding['dataType']} of a queue is not emulated")
    connection = str(binding.get("connection") or _STORAGE)
    return QueueTrigger(name, service_uri(settings, connection, "queue", name), queue)


def _http(name: str, binding: Mapping[str, object], settings: Mapping[str, str], prefix: str) -> HttpTrigger:
    written = resolve(settings, str(binding.get("route") or ""), name)
    route = compile_route(written if written.strip() else name, name, prefix)
    methods = tuple(str(m).upper() for m in cast(list[str], binding.get("methods") or ())) or None
    level = str(binding.get("authLevel") or "function").lower()
    if level not in ("anonymous", "function", "admin"):
        raise FunctionRefused(
            f"function {name}: the auth level {level!r} is not anonymous, function or admin"
        )
    return HttpTrigger(name, route, methods, level)


def _conflicts(http: list[HttpTrigger]) -> list[str]:
    """Two functions that answer the same requests. Azure puts the later one in error only when the texts are the same
    too; otherwise the first one registered answers, and the other never does."""
    return [
        f"function {second.function}: its route {second.route.template!r} conflicts with that of "
        f"{first.function} ({first.route.template!r})"
        for first, second in combinations(http, 2)
        if first.route.shape == second.route.shape and _share_a_method(first, second)
    ]


def _share_a_method(first: HttpTrigger, second: HttpTrigger) -> bool:
    if first.methods is None or second.methods is None:
        return True
    return bool(set(first.methods) & set(second.methods))
