"""host.json and the connection settings, read as the real host reads them, or refused with the key's name."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from local.host import timespan
from local.host.errors import FunctionRefused, HostJsonRefused

_LOG_LEVELS = frozenset({"trace", "debug", "information", "warning", "error", "critical", "none"})
_BUNDLE = "Microsoft.Azure.Functions.ExtensionBundle"
_KNOWN_QUEUE_KEYS = {
    "batchSize", "newBatchThreshold", "maxPollingInterval",
    "visibilityTimeout", "maxDequeueCount", "messageEncoding",
}  # fmt: skip


@dataclass(frozen=True)
class QueueOptions:
    """extensions.queues of host.json, with the real host's defaults."""

    batch_size: int
    new_batch_threshold: int
    max_polling_interval_s: float
    visibility_timeout_s: float
    max_dequeue_count: int
    base64: bool

    @property
    def concurrency(self) -> int:
        return self.batch_size + self.new_batch_threshold


@dataclass(frozen=True)
class HostConfiguration:
    """What host.json decides."""

    queues: QueueOptions
    route_prefix: str
    timeout_s: float | None


def read_host_json(app_dir: Path, cores: int) -> HostConfiguration:
    """Read and check host.json; AppRefused says what the real host would refuse."""
    path = app_dir / "host.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise HostJsonRefused(
            f'{app_dir} has no host.json: the host needs one with "version": "2.0"'
        ) from None
    except ValueError as error:
        raise HostJsonRefused(f"host.json is not JSON: {error}") from None
    if not isinstance(document, dict) or document.get("version") != "2.0":
        raise HostJsonRefused('host.json has no "version": "2.0": the host does not start without it')
    bundle = _section(document, "extensionBundle")
    if bundle.get("id") != _BUNDLE or not re.fullmatch(r"[\[(].*,.*[\])]", str(bundle.get("version", ""))):
        raise HostJsonRefused(
            f'host.json has no "extensionBundle" with the id {_BUNDLE} and a version range such as '
            '"[4.*, 5.0.0)": without it no queue or timer trigger is there'
        )
    extensions = _section(document, "extensions")
    _check_logging(_section(document, "logging"))
    return HostConfiguration(
        queues=_queues(_section(extensions, "queues"), cores),
        route_prefix=_prefix(_section(extensions, "http").get("routePrefix", "api")),
        timeout_s=_timeout(document.get("functionTimeout", "00:30:00")),
    )


def _timeout(value: object) -> float | None:
    if value == "-1":
        return None
    timeout_s = _seconds("functionTimeout", value)
    if not 0 < timeout_s < 86_400:  # "25:00:00" is 25 days, which stops the real host; nobody means that many
        raise HostJsonRefused(
            f"host.json: functionTimeout {value!r} is {timeout_s:g} s: give less than a day"
        )
    return timeout_s


def _prefix(value: object) -> str:
    prefix = str(value)
    if prefix and not re.fullmatch(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*", prefix):
        raise HostJsonRefused(f"host.json: the routePrefix {prefix!r} is not a path without outer slashes")
    return prefix


def _check_logging(section: Mapping[str, object]) -> None:
    for category, level in _section(section, "logLevel").items():
        if str(level).lower() not in _LOG_LEVELS:
            raise HostJsonRefused(f"host.json: logLevel {level!r} of {category} is not a level")


def _section(document: Mapping[str, object], key: str) -> Mapping[str, object]:
    value = document.get(key, {})
    if not isinstance(value, dict):
        raise HostJsonRefused(f'host.json: "{key}" must be an object, not {value!r}')
    return cast(Mapping[str, object], value)


def _queues(section: Mapping[str, object], cores: int) -> QueueOptions:
    unknown = set(section) - _KNOWN_QUEUE_KEYS
    if unknown:  # the real host ignores them in silence; a misspelt key here is worth a stop
        raise HostJsonRefused(
            f"host.json: extensions.queues has {sorted(unknown)}; known are {sorted(_KNOWN_QUEUE_KEYS)}"
        )
    batch = _whole(section, "batchSize", 16, 1, 32)
    encoding = str(section.get("messageEncoding", "base64")).lower()
    if encoding not in ("base64", "none"):
        raise HostJsonRefused(f'host.json: messageEncoding is "base64" or "none", not {encoding!r}')
    polling_s = _seconds("maxPollingInterval", section.get("maxPollingInterval", "00:01:00"))
    if polling_s < 0.1:
        raise HostJsonRefused("host.json: maxPollingInterval must be 100 ms or more")
    return QueueOptions(
        batch_size=batch,
        new_batch_threshold=_whole(section, "newBatchThreshold", batch // 2 * cores, 0, 1000),
        max_polling_interval_s=polling_s,
        visibility_timeout_s=_seconds("visibilityTimeout", section.get("visibilityTimeout", "00:00:00")),
        max_dequeue_count=_whole(section, "maxDequeueCount", 5, 1, 100),
        base64=encoding == "base64",
    )


def _whole(section: Mapping[str, object], key: str, default: int, least: int, most: int) -> int:
    value = section.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise HostJsonRefused(
            f"host.json: {key} must be a whole number from {least} to {most}, not {value!r}"
        )
    return value


def _seconds(key: str, value: object) -> float:
    """.NET reads a bare number as days, and so does nobody who writes one: a text with colons is wanted."""
    found = timespan.seconds(value) if isinstance(value, str) and ":" in value else None
    if found is None or found < 0:
        raise HostJsonRefused(f'host.json: {key} must be a text such as "00:00:02", not {value!r}')
    return found


def service_uri(settings: Mapping[str, str], connection: str, service: str, function: str) -> str:
    """The address of a connection's `blob` or `queue` service, by identity only."""
    if connection in settings or f"{connection}__connectionString" in settings:
        raise FunctionRefused(
            f"function {function}: the connection {connection} is a connection string, which holds a key; "
            f"set {connection}__{service}ServiceUri and {connection}__credential=managedidentity instead"
        )
    uri = settings.get(f"{connection}__{service}ServiceUri")
    if not uri:
        raise FunctionRefused(
            f"function {function}: the setting {connection}__{service}ServiceUri is missing"
        )
    credential = settings.get(f"{connection}__credential", "managedidentity")
    if credential != "managedidentity":
        raise FunctionRefused(
            f"function {function}: {connection}__credential must be managedidentity, not {credential!r}"
        )
    return uri


def resolve(settings: Mapping[str, str], text: str, function: str) -> str:
    """Replace each %NAME% by the setting of that name."""

    def value(found: re.Match[str]) -> str:
        name = found.group(1)
        if name not in settings:
            raise FunctionRefused(
                f"function {function}: '%{name}%' does not resolve: there is no setting {name}"
            )
        return settings[name]

    return re.sub(r"%([^%]+)%", value, text)
