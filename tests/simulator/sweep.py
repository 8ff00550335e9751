"""Every point of a life at which something can go wrong, and everything that can go wrong there."""

from __future__ import annotations

import itertools
import multiprocessing
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from random import Random

from tests.faults import FAULTS
from tests.simulator.life import SIMULATED, Life


@dataclass(frozen=True)
class Case:
    """One life to be told; its text replays it."""

    faults: tuple[tuple[int, str], ...]
    seed: int = 0
    workers: int = 1
    slow: int = 0
    duplicates: float = 0.0
    lost: float = 0.0

    def life(self) -> Life:
        return Life(
            dict(self.faults),
            seed=self.seed,
            workers=self.workers,
            slow=self.slow,
            duplicates=self.duplicates,
            lost=self.lost,
        )

    def run(self) -> list[str]:
        return self.life().live()


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


def by_chance(seeds: Sequence[int]) -> Iterator[Case]:
    """T3: up to eight faults anywhere, one to four workers, events twice, late, or never."""
    for seed in seeds:
        random = Random(seed)
        workers = random.randint(1, 4)
        faults = {random.randrange(900): random.choice(SIMULATED) for _ in range(random.randint(0, 8))}
        yield Case(
            tuple(sorted(faults.items())),
            seed,
            workers,
            slow=random.randint(0, 2),
            duplicates=random.choice((0.0, 0.3)),
            lost=random.choice((0.0, 0.3)),
        )


def run(cases: Iterator[Case], processes: int = 1) -> tuple[int, list[str]]:
    """How many lives were told, and what was wrong in which; lives share nothing, so processes may share them."""
    told, wrong = 0, []
    with ExitStack() as stack:
        found: Iterator[str] = map(_run, cases)
        if processes > 1:
            pool = stack.enter_context(multiprocessing.get_context("fork").Pool(processes))
            found = pool.imap(_run, cases, chunksize=20)
        for words in found:
            told += 1
            if words:
                wrong.append(words)
                print(words, flush=True)
    return told, wrong


def _run(case: Case) -> str:
    found = case.run()
    return f"{case}: {'; '.join(found)}" if found else ""
