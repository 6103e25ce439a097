"""Fetch threads, a bounded queue, and whoever loads: pages wait in bounded memory only."""

import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field

from etl.budget import BudgetEnded
from etl.errors import EtlError
from etl.records import Stream
from etl.sync.walk import Step

QUEUE_PAGES = 128
QUEUE_BYTES = 4 * 1024 * 1024
"""What may wait: while a batch is written, the pages of the next one should come in."""
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


@dataclass(slots=True)
class Arrivals:
    """Events on their way to the loader: as many as there is room for, by pages and by bytes."""

    events: deque[Event | BaseException] = field(default_factory=deque)
    size_bytes: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def put(self, event: Event | BaseException) -> bool:
        """Append an event; False if there was no room for a moment."""
        with self.changed:
            if not self.changed.wait_for(lambda: self._has_room_for(event), TICK_S):
                return False
            self.events.append(event)
            self.size_bytes += _measure_bytes(event)
            self.changed.notify_all()
        return True

    def get(self) -> Event | BaseException:
        """The next event; None if nothing came for a moment."""
        with self.changed:
            if not self.changed.wait_for(lambda: self.events, TICK_S):
                return None
            event = self.events.popleft()
            self.size_bytes -= _measure_bytes(event)
            self.changed.notify_all()
        return event

    def _has_room_for(self, event: Event | BaseException) -> bool:
        """One that is larger than all the room is let in when nothing else waits."""
        return not self.events or (
            len(self.events) < QUEUE_PAGES
            and self.size_bytes + _measure_bytes(event) <= QUEUE_BYTES
        )


def _measure_bytes(event: Event | BaseException) -> int:
    return event.size_bytes if isinstance(event, Step) else 0


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
    arrived = Arrivals()
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
            event = arrived.get()
            if isinstance(event, BaseException):
                raise event
            running -= isinstance(event, Ended)
            yield event
    finally:
        abandoned.set()
        deadline_s = time.monotonic() + JOIN_S
        for worker in workers:
            worker.join(timeout=max(0.0, deadline_s - time.monotonic()))


def _work(waiting: "queue.SimpleQueue[Job]", arrived: Arrivals, abandoned: threading.Event) -> None:
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


def _put(arrived: Arrivals, event: Event | BaseException, abandoned: threading.Event) -> None:
    while not abandoned.is_set():
        if arrived.put(event):
            return
    raise _Abandoned
