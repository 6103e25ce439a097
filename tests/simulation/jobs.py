"""How the jobs of a run are walked, in turn, interleaved, or on real threads; when commits end."""

import random
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager, suppress

from etl.sync.commits import Submit, commit_inline, commit_on_thread
from etl.sync.pump import Event, Job, run_inline, run_threads
from tests.simulation.fate import Crash

RunJobs = Callable[[Sequence[Job], int], Generator[Event]]
OpenCommits = Callable[[], AbstractContextManager[Submit]]
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


def choose_commits(run_jobs: RunJobs | None, batch_rows: int) -> OpenCommits:
    """On a thread where pages come from threads; else at once, or as late as can be."""
    if run_jobs is run_threads:
        return commit_on_thread
    return commit_inline if batch_rows == 1 else commit_late


class Late(Future[None]):
    """What is only done when somebody waits for it."""

    def __init__(self, end: Callable[[], None]) -> None:
        super().__init__()
        self.end = end

    def result(self, timeout: float | None = None) -> None:
        if not self.done():
            self.end()
            self.set_result(None)


@contextmanager
def commit_late() -> Iterator[Submit]:
    """The slowest of threads: a commit ends when the next batch is full, or in the end.

    The last one is waited for, whatever happens; of a process that was killed nothing goes on.
    """
    last: list[Late] = []

    def submit(end: Callable[[], None]) -> Late:
        last[:] = [Late(end)]
        return last[0]

    try:
        yield submit
    finally:
        for late in last:
            with suppress(Crash):
                late.result()
