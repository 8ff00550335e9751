"""What the control surface asked to go wrong with deliveries; it outlives a restart."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from local.refusal import ArmError
from local.state import State

_KIND, _KEY = "event-faults", "now"


@dataclass(frozen=True)
class Faults:
    """Counts are used up by the next events; the rest holds until it is switched off."""

    duplicates: int = 0  # how many more times each event is delivered
    delay_s: float = 0  # how late each delivery comes
    reorder: bool = False  # hold deliveries back for a moment, then send the newest first
    lose: int = 0  # how many of the next events vanish
    dead_letter: int = 0  # how many of the next events end in the dead-letter container
    speed: float = 600  # how many times faster than Azure's the schedule of retries runs: a day in 144 s
    topic_statuses: tuple[int, ...] = ()  # what the custom topic answers to its next requests

    @staticmethod
    def read(state: State) -> Faults:
        stored = state.get(_KIND, _KEY) or {}
        return parsed(stored)

    def write(self, state: State) -> None:
        state.put(_KIND, _KEY, asdict(self))

    def without(self, count: str) -> Faults:
        """These faults with one of a count used up."""
        return replace(self, **{count: getattr(self, count) - 1})


def parsed(body: dict[str, object]) -> Faults:
    """Faults from JSON; an unknown word is refused: no test shall believe in a misspelt fault."""
    known = {name: type(value) for name, value in asdict(Faults()).items()}
    for name, value in body.items():
        if name not in known:
            raise ArmError(400, "BadRequest", f"'{name}' is not a fault; there are {', '.join(known)}.")
        if name == "topic_statuses":
            fits = isinstance(value, list | tuple) and all(isinstance(one, int) for one in value)
        elif name == "reorder":
            fits = isinstance(value, bool)
        else:
            fits = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
        if not fits:
            raise ArmError(400, "BadRequest", f"'{name}' cannot be {value!r}.")
    return Faults(**{k: tuple(v) if isinstance(v, list) else v for k, v in body.items()})  # type: ignore[arg-type]  # each value was checked above
