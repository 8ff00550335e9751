"""An order is answered: the reader goes over the ordered files, wherever they lie and its rows go."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from shared.errors import DriftloopError, InputRejected
from shared.files.drop_files import DropFile, Reading, ReadSpec
from shared.files.place import FileChanged, FileUnavailable, Folder, Place
from shared.intake import manifest
from shared.intake.manifest import Promised
from shared.intake.rejections import listed, rejected
from shared.spark.read_answer import Answer, Changed, Part, Read, Refused
from shared.spark.read_order import Order, OrderedFile


class Shared(Protocol):
    """Reads a drop in many places; afterwards it says of each file how many rows it holds, how many tasks read at once,
    and why there was but one."""

    rows: dict[str, int]
    tasks: int
    alone: str

    def read(self, files: Sequence[DropFile], spec: ReadSpec, output: Any) -> Reading: ...


def answered(
    order: Order,
    reference: bytes,
    place_of: Callable[[OrderedFile], Place],
    rows: Folder,
    written: Callable[[], Mapping[str, str]],
    shared: Shared | None = None,
) -> Answer:
    """What the drop is; its rows lie under `rows`, and `written` then says under which ETags they do.

    One pass reads it, or `shared`, whose rows go where those of one pass would.
    """
    from shared.reader.one_pass import read, rows_of

    try:
        places = [place_of(one) for one in order.files]
        for one, place in zip(order.files, places, strict=True):
            manifest.check_content(Promised(one.name, one.size, bytes.fromhex(one.md5) or None), place)
        with TemporaryDirectory(prefix="driftloop-") as scratch:
            files = list(order.drop_files(places, Path(scratch)))
            spec = order.read_spec(reference)
            if shared is None:
                reading = read(files, spec, rows)
                return Read(reading, _parts(written(), rows_of(reading)))
            reading = shared.read(files, spec, rows)
            return Read(reading, _parts(written(), shared.rows), shared.tasks, shared.alone)
    except FileChanged as changed:
        return Changed(changed.name)
    except InputRejected as rejection:
        return Refused(rejection.code, str(rejection))
    except (FileUnavailable, DriftloopError, OSError):
        raise  # nothing is wrong with the drop: the job fails, and another one may do better
    except Exception as error:  # noqa: BLE001  # hostile bytes fail in ways that no list foresees
        return _beyond(order, error)


def _parts(etags: Mapping[str, str], rows: Mapping[str, int]) -> dict[str, Part]:
    return {name: Part(etag, rows.get(name, 0)) for name, etag in etags.items()}


def _beyond(order: Order, error: Exception) -> Refused:
    names = listed([one.name for one in order.files], most=1)
    if isinstance(error, MemoryError):
        told = rejected("too-much-memory", f"{names} takes more memory than its machine has")
    else:
        told = rejected("unreadable", f"{names} cannot be read ({type(error).__name__})")
    return Refused(told.code, str(told))
