"""Whether rows seem to depend on each other: looked at in row order, in bounded blocks, mergeable.

The stated false-alarm rate holds for rows that are exchangeable. Three signs speak against it: a row resembles the one
before it, whole rows occur again, a key occurs in several rows. None of them is a test of drift; they decide which
sentence stands beside the rate.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .arrays import Floats, Ints

BLOCK_ROWS = 1_024
STARTS = (0, *(BLOCK_ROWS << k for k in range(7)))
"""Where the blocks begin that are looked at: few rows have some of them, and many do not have all near each other."""
HEAD_ROWS = 20_000
"""Rows whose keys and copies are counted."""

_HEAVIEST = 0.9  # beyond, two neighbours that are alike by chance would look like a pattern
_DISTINCT = 20
_FEWEST_PAIRS = 100
_LEAST = 0.1
_ERRORS = 5.0
_SHARE = 0.01
_TELLING, _OTHERS = 0.95, 10


@dataclass(frozen=True)
class Order:
    """How much a column's rows resemble the rows before them; those of two parts add up.

    Attributes
    ----------
    pairs
        Neighbours looked at, neither of them null.
    alike
        Sum over them of the rank correlation (numbers) or of the agreement beyond chance (categories).
    ordered
        Neighbours in blocks that are in ascending or descending order: the file is sorted, which says nothing.
    """

    pairs: int = 0
    alike: float = 0.0
    ordered: int = 0

    def __add__(self, other: "Order") -> "Order":
        return Order(self.pairs + other.pairs, self.alike + other.alike, self.ordered + other.ordered)

    @property
    def correlation(self) -> float:
        """Mean likeness of neighbours, from -1 to 1; 0 where nothing was looked at."""
        return self.alike / self.pairs if self.pairs else 0.0

    @property
    def dependent(self) -> bool:
        """Whether neighbours are alike: by more than .1, and five standard errors of independent rows."""
        r = self.correlation
        return self.pairs >= _FEWEST_PAIRS and r > _LEAST and r * np.sqrt(self.pairs) > _ERRORS


@dataclass(frozen=True)
class Copies:
    """Rows looked at, and how many of them differ; those of two parts add up, as if they shared no row.

    Attributes
    ----------
    rows, distinct
        Rows looked at, and different ones among them.
    telling, others
        Different values of the column that has most, and different rows of all the other columns: where the first
        are about as many as ``distinct`` and the second are some, equal rows are no chance.
    """

    rows: int = 0
    distinct: int = 0
    telling: int = 0
    others: int = 0

    def __add__(self, other: "Copies") -> "Copies":
        return Copies(
            self.rows + other.rows,
            self.distinct + other.distinct,
            self.telling + other.telling,
            self.others + other.others,
        )

    @property
    def share(self) -> float:
        """The share of rows that another row has already been."""
        return 1 - self.distinct / self.rows if self.rows else 0.0

    @property
    def duplicated(self) -> bool:
        """Whether at least 1 % of rows are copies where chance would hardly make one."""
        no_chance = self.telling >= _TELLING * self.distinct and self.others >= _OTHERS
        return no_chance and self.rows >= _DISTINCT and self.share >= _SHARE


NO_ORDER, NO_COPIES = Order(), Copies()


@dataclass(frozen=True)
class Looks:
    """Which rows of a batch to look at: blocks of neighbours, and how many of the first rows."""

    blocks: tuple[slice, ...]
    head: int

    @classmethod
    def at(cls, numbers: Ints) -> "Looks":
        """Of rows with these ascending numbers, whatever batch they come in."""
        stops = np.searchsorted(numbers, [(start, start + BLOCK_ROWS) for start in STARTS])
        found = (slice(start, stop) for start, stop in stops.tolist() if stop - start > 1)
        return cls(tuple(found), int(np.searchsorted(numbers, HEAD_ROWS)))


def of_numbers(values: Floats) -> Order:
    """Lag-1 rank autocorrelation of one block, NaN where null.

    Source: A. Wald, J. Wolfowitz, Ann. Math. Statist. 14 (1943) 378-388 (serial correlation of ranks).
    """
    known = np.isfinite(values)
    number = int(known.sum())
    if number < 2:
        return Order()
    ordered, place, counts = np.unique(values[known], return_inverse=True, return_counts=True)
    if counts.max() > _HEAVIEST * number:
        return Order()
    ranks = np.full(len(values), np.nan)
    ranks[known] = (np.cumsum(counts) - counts / 2)[place]
    both = known[1:] & known[:-1]
    pairs = int(both.sum())
    steps = np.diff(ranks)[both]
    if len(ordered) >= _DISTINCT and ((steps >= 0).all() or (steps <= 0).all()):
        return Order(ordered=pairs)
    spread = ranks - number / 2
    variance = float((spread[known] ** 2).mean())
    products = (spread[1:] * spread[:-1])[both]
    return Order(pairs, float(products.sum()) / max(variance, 1e-300))


def of_codes(codes: Ints) -> Order:
    """Agreement of neighbouring categories beyond chance (Cohen's kappa) of one block."""
    counts = np.bincount(codes)
    chance = float(((counts / max(len(codes), 1)) ** 2).sum())
    if len(codes) < 2 or chance > _HEAVIEST**2:
        return Order()
    same = codes[1:] == codes[:-1]
    pairs = len(same)
    if int((~same).sum()) < np.count_nonzero(counts):
        return Order(ordered=pairs)
    return Order(pairs, float((same.sum() - pairs * chance) / (1 - chance)))


def copies(columns: list[npt.NDArray[np.uint64]]) -> Copies:
    """Copies among some rows, from the bits of their values by column."""
    if not columns or not len(columns[0]):
        return Copies()
    most = max(range(len(columns)), key=lambda k: len(np.unique(columns[k][:512])))
    others = _hashed([bits for k, bits in enumerate(columns) if k != most], len(columns[0]))
    telling = columns[most]
    found = (len(np.unique(bits)) for bits in (_hashed([others, telling], len(others)), telling, others))
    return Copies(len(others), *found)


def _hashed(columns: list[npt.NDArray[np.uint64]], number: int) -> npt.NDArray[np.uint64]:
    """One number per row (multiply and shift, as in S. Vigna's splitmix64): equal where all columns are."""
    rows = np.zeros(number, np.uint64)
    for bits in columns:
        rows = (rows ^ (bits + np.uint64(0x9E3779B97F4A7C15))) * np.uint64(0xBF58476D1CE4E5B9)
        rows ^= rows >> np.uint64(29)
    return rows
