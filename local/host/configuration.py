"""host.json and the connection settings, read as the real host reads them, or refused with the key's name."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from local.host.errors import AppRefused

_TIMESPAN = re.compile(r"^(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})(?:\.(\d{1,7}))?$")
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
        raise AppRefused(f'{app_dir} has no host.json: the host needs one with "version": "2.0"') from None
    except ValueError as error:
        raise AppRefused(f"host.json is not JSON: {error}") from None
    if not isinstance(document, dict) or document.get("version") != "2.0":
        raise AppRefused('host.json has no "version": "2.0": the host does not start without it')
    bundle = _section(document, "extensionBundle")
    if bundle.get("id") != _BUNDLE or not re.fullmatch(r"[\[(].*,.*[\])]", str(bundle.get("version", ""))):
        raise AppRefused(
            f'host.json has no "extensionBundle" with the id {_BUNDLE} and a version range such as '
            '"[4.*, 5.0.0)": without it no queue or timer trigger is there'
        )
    extensions = _section(document, "extensions")
    prefix = _section(extensions, "http").get("routePrefix", "api")
    timeout = document.get("functionTimeout", "00:30:00")
    return HostConfiguration(
        queues=_queues(_section(extensions, "queues"), cores),
        route_prefix=str(prefix).strip("/"),
        timeout_s=None if timeout == "-1" else _seconds("functionTimeout", timeout),
    )


def _section(document: Mapping[str, object], key: str) -> Mapping[str, object]:
    value = document.get(key, {})
    if not isinstance(value, dict):
        raise AppRefused(f'host.json: "{key}" must be an object, not {value!r}')
    return cast(Mapping[str, object], value)


def _queues(section: Mapping[str, object], cores: int) -> QueueOptions:
    unknown = set(section) - _KNOWN_QUEUE_KEYS
    if unknown:  # the real host ignores them in silence; a misspelt key here is worth a stop
        raise AppRefused(
            f"host.json: extensions.queues has {sorted(unknown)}; known are {sorted(_KNOWN_QUEUE_KEYS)}"
        )
    batch = _whole(section, "batchSize", 16, 1, 32)
    encoding = section.get("messageEncoding", "base64")
    if encoding not in ("base64", "none"):
        raise AppRefused(f'host.json: messageEncoding is "base64" or "none", not {encoding!r}')
    return QueueOptions(
        batch_size=batch,
        new_batch_threshold=_whole(section, "newBatchThreshold", batch // 2 * cores, 0, 1000),
        max_polling_interval_s=max(
            0.1, _seconds("maxPollingInterval", section.get("maxPollingInterval", "00:01:00"))
        ),
        visibility_timeout_s=_seconds("visibilityTimeout", section.get("visibilityTimeout", "00:00:00")),
        max_dequeue_count=_whole(section, "maxDequeueCount", 5, 1, 100),
        base64=encoding == "base64",
    )


def _whole(section: Mapping[str, object], key: str, default: int, least: int, most: int) -> int:
    value = section.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise AppRefused(f"host.json: {key} must be a whole number from {least} to {most}, not {value!r}")
    return value


def _seconds(key: str, value: object) -> float:
    found = _TIMESPAN.match(value) if isinstance(value, str) else None
    if found is None:
        raise AppRefused(f'host.json: {key} must be a text such as "00:00:02", not {value!r}')
    days, hours, minutes, seconds, fraction = found.groups()
    whole = ((int(days or 0) * 24 + int(hours)) * 60 + int(minutes)) * 60 + int(seconds)
    return whole + float(f"0.{fraction or 0}")


def service_uri(settings: Mapping[str, str], connection: str, service: str, function: str) -> str:
    """The address of a connection's `blob` or `queue` service, by identity only."""
    if connection in settings or f"{connection}__connectionString" in settings:
        raise AppRefused(
            f"function {function}: the connection {connection} is a connection string, which holds a key; "
            f"set {connection}__{service}ServiceUri and {connection}__credential=managedidentity instead"
        )
    uri = settings.get(f"{connection}__{service}ServiceUri")
    if not uri:
        raise AppRefused(f"function {function}: the setting {connection}__{service}ServiceUri is missing")
    credential = settings.get(f"{connection}__credential", "managedidentity")
    if credential != "managedidentity":
        raise AppRefused(
            f"function {function}: {connection}__credential must be managedidentity, not {credential!r}"
        )
    return uri


def resolve(settings: Mapping[str, str], text: str, function: str) -> str:
    """Replace each %NAME% by the setting of that name."""

    def value(found: re.Match[str]) -> str:
        name = found.group(1)
        if name not in settings:
            raise AppRefused(f"function {function}: '%{name}%' does not resolve: there is no setting {name}")
        return settings[name]

    return re.sub(r"%([^%]+)%", value, text)
