"""How many machines a challenger has for its share of the traffic. Pure: no clock, no I/O."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.loopfile import Definition


def machines(definition: Definition, weight: int) -> int:
    """So many that each gets no more requests than each of the champion's: `n * w / (100 - w)` at `w` % of the traffic
    beside `n` machines, never fewer than `canary.instances` and never more than `n`.

    So latency is compared on machines that are no busier, and what has all traffic is as large as what had it.
    """
    full, fewest = definition.serve.machines[0], definition.canary.instances
    if fewest is None or 2 * weight >= 100:
        return full
    return min(full, max(fewest, ceil(full * weight / (100 - weight))))
