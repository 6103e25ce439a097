"""Fetch threads, a bounded queue, and whoever loads: pages wait in bounded memory only."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass

from etl.budget import BudgetEnded
from etl.errors import EtlError
from etl.records import Stream
from etl.sync.walk import Step

QUEUE_PAGES = 16
TICK_S = 0.1
JOIN_S = 0.5
"""How long the threads have to notice that nobody waits for them; they may be inside a request."""


@dataclass(frozen=True, slots=True)
class Job:
    """Gaps of one stream that are walked in turn, by one thread; rank 0 goes first."""

    stream: Stream
    walk: Callable[[], Iterator[Step]]
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Ended:
    """A job is done: `error` is why it ended early, None if it walked everything."""

    stream: Stream
    error: EtlError | BudgetEnded | None = None


Event = Step | Ended | None
"""None: nothing came for a moment; time to look at the clock."""


def run_inline(jobs: Sequence[Job], threads: int) -> Generator[Event]:
    """The same events without threads, job after job."""
    for job in jobs:
        yield from _run_job(job)


def _run_job(job: Job) -> Generator[Event]:
    try:
        yield from job.walk()
    except (EtlError, BudgetEnded) as error:
        yield Ended(job.stream, error)
    else:
        yield Ended(job.stream)


def run_threads(jobs: Sequence[Job], threads: int) -> Generator[Event]:
    """Walk the jobs on threads, in order, and yield what they bring.

    A bug in a thread is raised here. When the caller stops early the threads stop, too.
    """
    arrived: queue.Queue[Event | BaseException] = queue.Queue(QUEUE_PAGES)
    waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
    for job in jobs:
        waiting.put(job)
    abandoned = threading.Event()
    workers = [
        threading.Thread(target=_work, args=(waiting, arrived, abandoned), daemon=True)
        for _ in range(min(threads, len(jobs)))
    ]
    for worker in workers:
        worker.start()
    running = len(jobs)
    try:
        while running:
            try:
                event = arrived.get(timeout=TICK_S)
            except queue.Empty:
                yield None
                continue
            if isinstance(event, BaseException):
                raise event
            running -= isinstance(event, Ended)
            yield event
    finally:
        abandoned.set()
        deadline_s = time.monotonic() + JOIN_S
        for worker in workers:
            worker.join(timeout=max(0.0, deadline_s - time.monotonic()))


def _work(
    waiting: "queue.SimpleQueue[Job]",
    arrived: "queue.Queue[Event | BaseException]",
    abandoned: threading.Event,
) -> None:
    with contextlib.suppress(queue.Empty):
        while True:
            job = waiting.get_nowait()
            try:
                for event in _run_job(job):
                    _put(arrived, event, abandoned)
            except _Abandoned:
                return
            except BaseException as bug:
                with contextlib.suppress(_Abandoned):
                    _put(arrived, bug, abandoned)
                return


class _Abandoned(Exception):
    """Nobody waits for this thread any more."""


def _put(
    arrived: "queue.Queue[Event | BaseException]",
    event: Event | BaseException,
    abandoned: threading.Event,
) -> None:
    while not abandoned.is_set():
        with contextlib.suppress(queue.Full):
            arrived.put(event, timeout=TICK_S)
            return
    raise _Abandoned
