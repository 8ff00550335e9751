"""Every point of a life at which something can go wrong, and everything that can go wrong there."""

from __future__ import annotations

import itertools
import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Protocol

from tests.faults import FAULTS, PERMANENT, Call
from tests.simulator import branches
from tests.simulator.life import LASTING_HEALS_S, LOOP, ROUND_S, SIMULATED, Life

ONE_PAST = 100
"""Cases with one past that a process tells at a time."""

MENDED = 40
"""Rounds from its first failure after which somebody has mended what does not pass."""


class Tale(Protocol):
    """Something that can be told, and what was wrong in it."""

    def run(self) -> list[str]: ...


@dataclass(frozen=True)
class Lasting:
    """A fault that does not pass: from call number `since` on, every call of this name fails in the same way."""

    name: str
    fault: str
    since: int


@dataclass(frozen=True)
class Case:
    """One life to be told; its text replays it."""

    faults: tuple[tuple[int, str], ...]
    seed: int = 0
    workers: int = 1
    slow: int = 0
    duplicates: float = 0.0
    lost: float = 0.0
    lasting: tuple[Lasting, ...] = ()
    plan: str = LOOP

    def life(self, faults: Mapping[int, str] | None = None) -> Life:
        return Life(
            dict(self.faults) if faults is None else faults,
            seed=self.seed,
            workers=self.workers,
            slow=self.slow,
            duplicates=self.duplicates,
            lost=self.lost,
            plan=self.plan,
        )

    @property
    def has_one_fault(self) -> bool:
        """At one call, that it has after the same calls as a life without it."""
        return len(self.faults) == 1 and not self.lasting

    def run(self) -> list[str]:
        life = self.life()
        if not self.lasting:
            return life.live()
        life.broken = partial(_broken, life, self.lasting, {})
        return life.live_on(len(self.lasting))


def _broken(
    life: Life, lasting: tuple[Lasting, ...], begun: dict[Lasting, int], call: Call
) -> Exception | None:
    """What this call fails with while a fault of its name lasts."""
    for one in lasting:
        if call.name == one.name and len(life.calls) >= one.since:
            left = begun.setdefault(one, life.rounds) + MENDED - life.rounds
            if left > 0:
                life.healed_at_s = max(life.healed_at_s, life.now_s + left * ROUND_S + LASTING_HEALS_S)
                return PERMANENT[one.fault](call.name)
    return None


def lasting(each: int = 1) -> Iterator[Case]:
    """Every call that a life makes and every fault that does not pass, from moments by chance on."""
    _, calls, count = points()
    random = Random(0)
    for name, fault, _ in itertools.product(sorted(set(calls)), PERMANENT, range(each)):
        yield Case((), lasting=(Lasting(name, fault, random.randrange(count)),))


def _lasting(random: Random, calls: Sequence[str], fault: str) -> Lasting:
    """At a call by chance, from then on."""
    since = random.randrange(len(calls))
    return Lasting(calls[since], fault, since)


def points(workers: int = 1, seed: int = 0, slow: int = 0) -> tuple[list[int], list[str], int]:
    """Calls that are effects, the names of all calls, and how many there are, in a life without faults."""
    life = Life(seed=seed, workers=workers, slow=slow)
    assert life.live() == []
    return life.effects, life.calls, len(life.calls)


def singles(orderings: int = 1) -> Iterator[Case]:
    """T1: every effect point and every fault, in several orders of the workers; and every stale read."""
    for seed in range(orderings):
        workers, slow = 1 + seed % 4, seed // 4 % 3
        effects, calls, _ = points(workers, seed, slow)
        for point, fault in itertools.product(effects, (*FAULTS, "asleep") if workers > 1 else FAULTS):
            yield Case(((point, fault),), seed, workers, slow)
        for point, name in enumerate(calls):
            if name == "serving.traffic":
                yield Case(((point, "stale"),), seed, workers, slow)


def pairs(each: int) -> Iterator[Case]:
    """T2: every pair of faults `each` times, at two effects by chance; the second as likely during the recovery from
    the first."""
    effects, _, _ = points()
    random = Random(0)
    for _, one, other in itertools.product(range(each), FAULTS, FAULTS):
        first, second = sorted(random.sample(effects, 2))
        yield Case(((first, one), (second, other)))


def lasting_pairs(each: int) -> Iterator[Case]:
    """T2: every fault that does not pass with every other, and with each that does, `each` times."""
    effects, calls, _ = points()
    random = Random(0)
    for _, one, other in itertools.product(range(each), (*FAULTS, *PERMANENT), PERMANENT):
        known = _lasting(random, calls, other)
        if one in FAULTS:
            yield Case(((random.choice(effects), one),), lasting=(known,))
        else:
            yield Case((), lasting=(known, _lasting(random, calls, one)))


def by_chance(seeds: Sequence[int]) -> Iterator[Case]:
    """T3: up to eight faults anywhere, one to four workers, events twice, late, or never; in every fourth life one or
    two faults among them that do not pass."""
    _, calls, _ = points()
    for seed in seeds:
        random = Random(seed)
        workers = random.randint(1, 4)
        faults = {random.randrange(900): random.choice(SIMULATED) for _ in range(random.randint(0, 8))}
        case = Case(
            tuple(sorted(faults.items())),
            seed,
            workers,
            slow=random.randint(0, 2),
            duplicates=random.choice((0.0, 0.3)),
            lost=random.choice((0.0, 0.3)),
        )
        if seed % 4 == 3:
            kinds = random.choices(tuple(PERMANENT), k=random.randint(1, 2))
            case = replace(case, lasting=tuple(_lasting(random, calls, kind) for kind in kinds))
        yield case


def run(cases: Iterator[Tale], processes: int = 1) -> tuple[int, list[str]]:
    """How many lives were told, and what was wrong in which; lives share nothing, so processes may share them."""
    told, wrong = 0, []
    with ExitStack() as stack:
        found: Iterator[list[str]] = map(_run, _together(cases))
        if processes > 1:
            pool = stack.enter_context(multiprocessing.get_context("fork").Pool(processes))
            found = pool.imap(_run, _together(cases))
        for words in itertools.chain.from_iterable(found):
            told += 1
            if told % 2_000 == 0:
                print(f"{told:,} lives", flush=True)
            if words:
                wrong.append(words)
                print(words, flush=True)
    return told, wrong


def _together(cases: Iterator[Tale]) -> Iterator[list[Tale]]:
    """Neighbours that have one past, which is told once; the others are told one by one."""
    for calm, alike in itertools.groupby(cases, key=_past):
        while some := list(itertools.islice(alike, ONE_PAST if calm else 20)):
            yield some


def _past(case: Tale) -> Case | None:
    """The life without its one fault."""
    return replace(case, faults=()) if isinstance(case, Case) and case.has_one_fault else None


def _run(cases: list[Tale]) -> list[str]:
    alike = [case for case in cases if isinstance(case, Case) and case.has_one_fault]
    forked = len(alike) == len(cases) > 1
    found = branches.run(alike) if forked else ["; ".join(case.run()) for case in cases]
    return [f"{case}: {words}" if words else "" for case, words in zip(cases, found, strict=True)]
