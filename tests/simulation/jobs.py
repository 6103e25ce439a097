"""How the jobs of a run are walked: in turn, interleaved, or on real threads."""

import random
from collections import deque
from collections.abc import Callable, Generator, Sequence

from etl.sync.pump import Event, Job, run_inline, run_threads

RunJobs = Callable[[Sequence[Job], int], Generator[Event]]
LAGS = (0, 0, 1, 4, 16)
"""How many pages may have been read and not been loaded: as many as the pump's queue holds."""


def draw_jobs_runner(chance: random.Random, may_use_threads: bool) -> RunJobs:
    """Interleaved as a rule; on real threads now and then, where that is asked for."""
    if may_use_threads and chance.random() < 0.1:
        return run_threads
    return make_interleaving(chance, chance.choice(LAGS))


def make_interleaving(chance: random.Random, lag: int) -> RunJobs:
    """The jobs side by side, page by page in an order that is drawn; pages are loaded later."""

    def run_interleaved(jobs: Sequence[Job], threads: int) -> Generator[Event]:
        waiting, arrived = deque(jobs), deque[Event]()
        walks: list[Generator[Event]] = []
        while waiting or walks:
            while waiting and len(walks) < threads:
                walks.append(run_inline([waiting.popleft()], 1))
            walk = walks[0] if len(walks) == 1 else chance.choice(walks)
            try:
                arrived.append(next(walk))
            except StopIteration:
                walks.remove(walk)
            while len(arrived) > lag:
                yield arrived.popleft()
        yield from arrived

    return run_interleaved
