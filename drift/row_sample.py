"""Which rows enter the joint sample: chosen by a hash of their number, so that one pass is enough."""

import numpy as np
import numpy.typing as npt

from .arrays import Ints

SIZE = 8192


class RowSample:
    """The rows whose hash is below a threshold.

    The threshold depends only on how many rows there are, and only falls; a row kept early and above the final
    threshold is dropped at the end.
    """

    def __init__(self, most: int = SIZE) -> None:
        self._most = most
        self._rows = 0
        self._known = 0
        self._numbers: list[Ints] = []

    @property
    def kept(self) -> int:
        """Rows kept so far."""
        return sum(map(len, self._numbers))

    def expect(self, rows: int) -> None:
        """Tell that at least so many rows will have been seen in the end."""
        self._known = rows

    def next(self, numbers: Ints) -> Ints:
        """Places within the next batch, whose rows have these numbers, of the rows to keep."""
        self._rows += len(numbers)
        keep = np.flatnonzero(_mix(numbers) < self._threshold(max(self._known, self._rows)))
        self._numbers.append(numbers[keep])
        return keep

    def merge(self, other: "RowSample") -> None:
        """Keep what another has kept of other rows, behind its own."""
        self._rows += other._rows
        self._numbers += other._numbers

    def final(self) -> Ints:
        """Places of the rows that stay among all that were kept, in the order of their numbers."""
        numbers = np.concatenate([np.zeros(0, np.int64), *self._numbers])
        stays = np.flatnonzero(_mix(numbers) < self._threshold(self._rows))
        return stays[np.argsort(numbers[stays], kind="stable")]

    def settle(self) -> Ints:
        """As `final`; from now on these are all that were kept."""
        stays = self.final()
        self._numbers = [np.concatenate([np.zeros(0, np.int64), *self._numbers])[stays]]
        return stays

    def _threshold(self, rows: int) -> np.uint64:
        return np.uint64(2**32 if rows <= self._most else 2**32 * self._most // rows)


def _mix(numbers: Ints) -> npt.NDArray[np.uint32]:
    """A bijective hash of 32-bit numbers (C. Wellons' lowbias32, bias 0.17)."""
    x = numbers.astype(np.uint32)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x7FEB352D)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x846CA68B)
    x ^= x >> np.uint32(16)
    return x
