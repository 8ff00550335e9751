"""Sums of floats that are the same in whatever order they are added."""

from __future__ import annotations

import numpy as np

from .arrays import Floats, Ints

_BITS = 26
_LEAST = -1074
"""Every float is a whole multiple of two to this power."""


class Sums:
    """Exact sums of arrays, place by place.

    A float is cut into digits of 26 bits, and the digits are added as whole numbers, which is exact for some 10^11
    arrays. So `total` depends on nothing but which arrays were added.

    Source: the superaccumulator of U. Kulisch, "Computer Arithmetic and Validity" (2013), with digits kept as far as
    they occur.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._digits: dict[int, Ints] = {}

    def add(self, values: Floats) -> None:
        """Add finite values, one a place."""
        largest = float(np.abs(values).max(initial=0.0))
        place = (int(np.frexp(largest)[1]) - _LEAST) // _BITS if largest else -1
        left = values
        while place >= 0 and left.any():
            power = _BITS * place + _LEAST
            digits = np.rint(np.ldexp(left, -power))
            left = left - np.ldexp(digits, power)
            self._add(place, digits.astype(np.int64))
            place -= 1

    def merge(self, other: Sums) -> None:
        """Add all that another has added."""
        for place, digits in other._digits.items():
            self._add(place, digits)

    def total(self) -> Floats:
        """The sums, as floats."""
        total = np.zeros(self._places)
        for place in sorted(self._digits):
            total += np.ldexp(self._digits[place].astype(np.float64), _BITS * place + _LEAST)
        return total

    def _add(self, place: int, digits: Ints) -> None:
        held = self._digits.get(place)
        self._digits[place] = digits if held is None else held + digits
