"""The tests of one kind of values, and how their p-values are joined."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np

from .arrays import Floats, Ints

Evaluated = Mapping[str, tuple[Floats, Floats]]
"""By test: statistics and p-values, one of each per labelling."""


@dataclass(frozen=True)
class Battery:
    """The tests of one kind of values.

    Attributes
    ----------
    evaluate
        Tests of labellings: pooled rows by cell, shape (K,), and the current side's, shape (R, K).
    weights
        The tests' weights.
    bound
        A p-value that is exact at every size, however small: pooled and current rows by cell, shapes (K,).
    """

    evaluate: Callable[[Ints, Ints], Evaluated]
    weights: Mapping[str, float]
    bound: Callable[[Ints, Ints], float]

    def only(self, tests: Collection[str]) -> "Battery":
        """Some of the tests alone; itself for none. Their weights stay as they are beside each other."""
        if not tests:
            return self
        weights = {name: weight for name, weight in self.weights.items() if family(name) in tests}

        def evaluate(pooled: Ints, current: Ints) -> Evaluated:
            return {name: seen for name, seen in self.evaluate(pooled, current).items() if name in weights}

        return Battery(evaluate, weights, self.bound)


def family(test: str) -> str:
    """The name by which a test is chosen: that of new categories has two forms."""
    return test.removesuffix("_closed")


def harmonic(p_values: Mapping[str, Floats], weights: Mapping[str, float]) -> Floats:
    """Weighted harmonic mean p-value, corrected upwards.

    Null hypothesis: all of the tests' null hypotheses hold. The plain harmonic mean is slightly too small;
    the correction ``h (1 + 7 h)`` covers table 1 of the source (10 tests: .0402 for .05, .00924 for .01,
    .00099 for .001), and 7 or fewer tests are used here. Dependence makes it conservative, not liberal,
    in the range of small p-values that an alarm needs.

    References
    ----------
    D. J. Wilson, "The harmonic mean p-value for combining dependent tests", PNAS 116 (2019) 1195-1200.
    """
    names = [name for name in weights if name in p_values]
    total = sum(weights[name] for name in names)
    if not names or total <= 0:
        return np.ones(1)
    inverse = sum(weights[name] / np.maximum(p_values[name], 1e-300) for name in names)
    mean = total / inverse
    return np.minimum(mean * (1 + 7 * mean), 1.0)
