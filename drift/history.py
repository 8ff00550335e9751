"""An alarm for drops whose rows depend on each other: one score a drop, ranked among the loop's own past scores.

Tests of rows assume that rows are exchangeable. Where they are not (a time series, several rows of one customer, a
season) a test of rows alarms at nearly every drop. What can be assumed of such a loop is less: that its quiet drops
differ from what came before them about as much as they always did. So each drop gets one number, how far it lies from
the last eight drops, and alarms where that number is among the largest it ever was::

    reference = history.rolling(past_profiles)                   # the last eight drops
    now = history.score(drift.compare(reference, profile))       # one number, which is kept for good
    told = history.verdict(past_scores, now, rate=0.1)           # past_scores: of every drop so far, oldest first

A past drop never leaves the history because it alarmed: then the smaller scores that remain would make two to three
times as many quiet drops alarm. Only a person may say that one was bad. As the reference moves, an alarm fades once the
last eight drops are all of the new kind; `against` asks a fixed reference (or the same season) as well, each at half
the rate, which answers whether the data still differ from what the model was trained on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from scipy.special import stdtr

from .errors import DataError
from .mergers import merge
from .profiles import Profile
from .report import ColumnVerdict, Report

LAST = 8
"""Drops that a rolling reference holds."""

FEWEST = 3
"""Past scores below which nothing is said."""

PROVISIONAL_PART = 0.5
"""The part of the rate at which the provisional rule alarms: at the whole of 10 %, up to 14 % of quiet drops did."""

SPIKE = 3.0
"""A column whose second largest distance is more than so many times its median is one of spikes: these scale it."""

TRIFLE = 0.05
"""The least scale of a column, as a share of rows. By its own a column of trifles (the hour, where a drop lacks one)
would make that drop the most unusual one that there was, and hide whatever comes."""

_NOTHING = 1e-3  # a distance that counts as none: keeps ratios finite


class Basis(StrEnum):
    """What an alarm rests on."""

    RANK = "rank"
    PROVISIONAL = "provisional"
    TOO_FEW = "too_few"


@dataclass(frozen=True)
class Rank:
    """Whether a drop is unusual for its loop.

    Attributes
    ----------
    alarm
        Whether ``p_value`` is at or below ``rate``; False where there are too few past scores.
    p_value
        The share of scores, this one among them, that are at least as large; by the provisional rule a tail
        probability; 1 with too few.
    rate, past
        The rate asked for, and how many past scores it was compared with.
    basis
        ``rank``; ``provisional`` while ranks cannot reach the rate; ``too_few`` below `FEWEST`.
    column
        The column that stands out most, where scores by column were given.
    """

    alarm: bool
    p_value: float
    rate: float
    past: int
    basis: Basis
    column: str = ""

    @property
    def words(self) -> str:
        """What this says, with what it is worth."""
        if self.basis is Basis.TOO_FEW:
            return f"{self.past} past drops have a score, and {FEWEST} are needed: effects alone are reported"
        place = f"larger than in {1 - self.p_value:.0%} of {self.past} past drops"
        if self.basis is Basis.PROVISIONAL:
            place = f"provisional, from {self.past} past drops (p = {self.p_value:.2g})"
        where = f", most in {self.column}" if self.column else ""
        kept = f"about 1 quiet drop in {1 / self.rate:.3g} alarms where quiet drops vary as before"
        return f"{'unusual' if self.alarm else 'usual'} for this loop: {place}{where}; {kept}"


def distance(column: ColumnVerdict) -> float:
    """How far a column lies from its reference, as a share of rows from 0 to 1, significant or not.

    The largest of Kolmogorov-Smirnov (numbers), total variation (categories), and the change of the share of nulls;
    of the dependence between columns half the change of the correlation.
    """
    kinds = [abs(e.value) for e in column.effects if e.name == "nulls"]
    kinds += [abs(e.value) / 2 for e in column.effects if e.name == "correlation"]
    name = "ks" if "ks" in column.distances else "total_variation"
    return max([*kinds, column.distances.get(name, 0.0)])


def distances(report: Report) -> Mapping[str, float]:
    """`distance` of every column that was compared, by name, and of each in every segment, as ``segment: column``: what
    is kept of a drop for `unusual`."""
    of_segments = {
        f"{segment}: {c.name}": distance(c) for segment, part in report.segments.items() for c in part.columns
    }
    return {c.name: distance(c) for c in report.columns} | of_segments


def score(report: Report) -> float:
    """One number for a drop: the largest `distance` of its columns."""
    return max(map(distance, report.columns), default=0.0)


def rolling(past: Sequence[Profile], last: int = LAST) -> Profile:
    """The reference that moves: the rows of the last drops together, oldest first in ``past``.

    A column whose kind changed on the way is taken from the drops that have the newest one's kind.
    """
    if not past:
        raise DataError("there is no past drop", remedy="Compare with the training data until there is one.")
    kept = list(past)[-last:]
    newest = {
        name: column.kind for drop in kept for name, column in drop.columns.items() if column.kind != "empty"
    }
    return merge([_of_kinds(drop, newest) for drop in kept])


def _of_kinds(drop: Profile, kinds: Mapping[str, str]) -> Profile:
    """The profile without the columns that have another kind by now."""
    columns = {
        name: column
        for name, column in drop.columns.items()
        if column.kind in ("empty", kinds.get(name, column.kind))
    }
    return drop if len(columns) == len(drop.columns) else replace(drop, columns=columns)


def verdict(history: Sequence[float], score: float, rate: float = 0.1) -> Rank:
    """The rank of a drop's score among the loop's past scores.

    Null hypothesis: the scores, this one included, are exchangeable: quiet drops vary as before. Then
    ``P(p <= a) <= a`` for every a, as the p-value is the conformal one; where scores are stationary and forget their
    past the excess is small, and it was 8 to 11 % at 10 % over the processes of the tests. A trend, or a fixed
    reference under a random walk, is not covered. It is an average over histories: with one history frozen the
    long-run rate varies about it. Valid from ``1 / rate - 1`` past scores (9 at 10 %, 99 at 1 %).
    Fewer, from 3 on: a one-sided t-test of the score's logarithm among the past ones', which assumes
    log-normal scores, is called provisional, and alarms at half the rate.

    Parameters
    ----------
    history
        Scores of all past drops, those that alarmed too; order does not matter.
    score
        This drop's, against the reference that each of those had in its turn.
    rate
        The share of quiet drops that may alarm.

    References
    ----------
    V. Vovk, A. Gammerman, G. Shafer, Algorithmic Learning in a Random World (2005), chapter 2; R. I. Oliveira,
    P. Orenstein, T. Ramos, J. V. Romano, J. Mach. Learn. Res. 25 (2024) no. 225 (dependent scores).
    """
    if not 0 < rate < 1:
        raise ValueError(f"rate is {rate}; it must lie between 0 and 1, both excluded")
    past = np.asarray(history, np.float64)
    if not (np.isfinite(past).all() and np.isfinite(score)):
        raise ValueError("a score is not a finite number")
    number = len(past)
    if number < FEWEST:
        return Rank(False, 1.0, rate, number, Basis.TOO_FEW)
    if (number + 1) * rate >= 1 - 1e-9:
        p = (1 + int((past >= score).sum())) / (number + 1)
        return Rank(p <= rate * (1 + 1e-9), p, rate, number, Basis.RANK)
    logs, now = np.log(np.maximum(past, _NOTHING)), float(np.log(max(score, _NOTHING)))
    spread = float(logs.std(ddof=1)) * np.sqrt(1 + 1 / number)
    p = float(stdtr(number - 1, -(now - logs.mean()) / max(spread, 1e-9)))
    return Rank(p <= rate * PROVISIONAL_PART, p, rate, number, Basis.PROVISIONAL)


def unusual(history: Sequence[Mapping[str, float]], now: Mapping[str, float], rate: float = 0.1) -> Rank:
    """`verdict` over many columns at one stated rate, and the column that stands out.

    Every column's distance is divided by its median over all drops, this one included, so that a column that always
    varies much does not hide the others; the largest ratio is the drop's score. A column that mostly stays as it is and
    at times does not (a flag of holidays) has its scale from those times, or its weeks would be the most unusual ones
    of all for ever; and no scale is below `TRIFLE`. As past and present are treated alike, scores that were
    exchangeable remain so.

    Parameters
    ----------
    history, now
        `distances` of the past drops and of this one. What is in fewer than half of them all is left out; a drop that
        lacks one, such as a segment of too few rows, is scored by its others.
    """
    drops = (*history, now)
    names = list(dict.fromkeys(name for drop in drops for name in drop))
    names = [name for name in names if 2 * sum(name in drop for drop in drops) >= max(len(drops), 4)]
    if not names:
        return verdict([0.0] * len(history), 0.0, rate)
    table = np.array([[drop.get(name, np.nan) for name in names] for drop in drops])
    filled = np.where(np.isnan(table), -1.0, table)
    scale = np.maximum(np.nanmedian(table, axis=0), np.sort(filled, axis=0)[-2] / SPIKE)
    ratios = filled / np.maximum(scale, TRIFLE)
    scores = np.maximum(ratios.max(axis=1), 0.0)
    told = verdict(scores[:-1].tolist(), float(scores[-1]), rate)
    column = names[int(ratios[-1].argmax())]
    return Rank(told.alarm, told.p_value, rate, told.past, told.basis, column)


@dataclass(frozen=True)
class Both:
    """Against the last drops, and against a reference that stays: each at half the rate."""

    moving: Rank
    fixed: Rank

    @property
    def alarm(self) -> bool:
        """Whether either alarms; quiet drops do at most at the whole rate."""
        return self.moving.alarm or self.fixed.alarm


def against(
    moving: tuple[Sequence[float], float], fixed: tuple[Sequence[float], float], rate: float = 0.1
) -> Both:
    """Whether a drop differs from the last ones, or from a fixed or same-season reference, at one rate for both.

    Parameters
    ----------
    moving, fixed
        Past scores and this drop's, against the one kind of reference and against the other.
    """
    return Both(verdict(*moving, rate / 2), verdict(*fixed, rate / 2))
