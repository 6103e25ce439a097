"""Fetch threads and whoever loads: order, errors, stops, and memory."""

import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from etl.budget import BudgetEnded
from etl.coverage import start_walk
from etl.errors import SourceError
from etl.records import EPOCH, Gap, Page
from etl.sync.pump import QUEUE_BYTES, QUEUE_PAGES, Ended, Job, run_inline, run_threads
from etl.sync.walk import Step
from tests.sync.lab import make_stream

ONE, TWO = make_stream("one"), make_stream("two")


def make_step(stream: Any = ONE, number: int = 0) -> Step:
    return Step(stream, Page([], [], str(number)), start_walk(Gap(EPOCH, EPOCH)))


def make_job(
    count: int, error: BaseException | None = None, stream: Any = ONE, rank: int = 0
) -> Job:
    """A job of some pages, and how it ends."""

    def walk() -> Iterator[Step]:
        for number in range(count):
            yield make_step(stream, number)
        if error is not None:
            raise error

    return Job(stream, walk, rank)


def list_events(run: Callable[..., Any], *jobs: Job, threads: int = 2) -> list[Any]:
    with closing(run(jobs, threads)) as events:
        return [event for event in events if event is not None]


@pytest.mark.parametrize("run", [run_inline, run_threads])
def test_every_page_arrives_and_each_job_ends_once(run: Any) -> None:
    events = list_events(run, make_job(30, stream=ONE), make_job(40, stream=TWO))

    for stream, count in ((ONE, 30), (TWO, 40)):
        pages = [e.page.next for e in events if isinstance(e, Step) and e.stream is stream]
        assert pages == [str(n) for n in range(count)], "in the order they were read"
    assert sorted(e.stream.name for e in events if isinstance(e, Ended)) == ["one", "two"]


@pytest.mark.parametrize("run", [run_inline, run_threads])
def test_no_jobs_are_no_events(run: Any) -> None:
    assert list_events(run) == []


@pytest.mark.parametrize("run", [run_inline, run_threads])
@pytest.mark.parametrize("error", [SourceError("down"), BudgetEnded("time")])
def test_an_expected_error_ends_its_job_and_no_other(run: Any, error: Exception) -> None:
    events = list_events(run, make_job(2, error, ONE), make_job(3, None, TWO), threads=1)

    assert [e for e in events if isinstance(e, Ended)] == [Ended(ONE, error), Ended(TWO)]
    assert len(events) == 2 + 3 + 2


@pytest.mark.parametrize("run", [run_inline, run_threads])
@pytest.mark.parametrize("bug", [KeyError("flatten"), KeyboardInterrupt(), SystemExit(3)])
def test_a_bug_in_a_walk_is_raised_where_the_pages_are_loaded(run: Any, bug: Any) -> None:
    with pytest.raises(type(bug)) as raised:
        list_events(run, make_job(2, bug), make_job(1_000, stream=TWO))

    assert raised.value is bug
    assert "in walk" in "".join(traceback.format_exception(bug)), "with the place it comes from"


def list_threads() -> set[threading.Thread]:
    """Those that run; the last ones of another test may end while this one goes on."""
    return set(threading.enumerate())


def test_the_threads_end_when_the_loader_fails() -> None:
    before = list_threads()

    def load() -> None:
        with closing(run_threads([make_job(10_000), make_job(10_000, stream=TWO)], 2)) as events:
            for _ in events:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        load()

    assert list_threads() <= before


def test_the_threads_end_when_everything_is_read() -> None:
    before = list_threads()

    list_events(run_threads, *(make_job(3, stream=ONE) for _ in range(20)), threads=8)

    assert list_threads() <= before


def test_a_thread_that_cannot_end_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several of them are waited for together, not one after the other."""
    monkeypatch.setattr("etl.sync.pump.JOIN_S", 0.05)
    release = threading.Event()

    def hang() -> Iterator[Step]:
        yield make_step()
        release.wait()

    with closing(run_threads([Job(ONE, hang)] * 4, 4)) as events:
        next(events)

    assert not release.is_set()
    release.set()


def test_pages_wait_in_bounded_memory_for_a_slow_loader() -> None:
    """A walk is at most the queue and one page ahead of what was loaded."""
    made = 0
    is_full = threading.Event()

    def walk() -> Iterator[Step]:
        nonlocal made
        for number in range(500):
            made += 1
            if made == QUEUE_PAGES + 2:
                is_full.set()
            yield make_step(ONE, number)

    loaded = 0
    with closing(run_threads([Job(ONE, walk)], 1)) as events:
        for event in events:
            if isinstance(event, Step):
                if loaded == 0:
                    assert is_full.wait(30.0)
                assert made - loaded <= QUEUE_PAGES + 2
                loaded += 1

    assert loaded == made == 500


def test_large_pages_wait_in_bounded_memory_too() -> None:
    """Three fit, one more is at hand, and one is being loaded."""
    made = 0
    is_full = threading.Event()

    def walk() -> Iterator[Step]:
        nonlocal made
        for number in range(20):
            made += 1
            if made == 5:
                is_full.set()
            yield replace(make_step(ONE, number), size_bytes=QUEUE_BYTES // 3)

    loaded = 0
    with closing(run_threads([Job(ONE, walk)], 1)) as events:
        for event in events:
            if isinstance(event, Step):
                if loaded == 0:
                    assert is_full.wait(30.0)
                assert made - loaded <= 5
                loaded += 1

    assert loaded == made == 20


def test_a_page_larger_than_the_queue_gets_through_alone() -> None:
    def walk() -> Iterator[Step]:
        for number in range(3):
            yield replace(make_step(ONE, number), size_bytes=2 * QUEUE_BYTES)

    events = list_events(run_threads, Job(ONE, walk))

    assert [e.page.next for e in events if isinstance(e, Step)] == ["0", "1", "2"]


def test_whoever_waits_for_pages_can_look_at_the_clock() -> None:
    release = threading.Event()

    def walk() -> Iterator[Step]:
        release.wait()
        yield make_step()

    with closing(run_threads([Job(ONE, walk)], 1)) as events:
        assert next(events) is None
        release.set()
        assert any(isinstance(event, Step) for event in events)


def test_jobs_are_begun_in_their_order() -> None:
    begun: list[int] = []

    def make(number: int) -> Job:
        def walk() -> Iterator[Step]:
            begun.append(number)
            yield make_step()

        return Job(ONE, walk, number)

    list_events(run_threads, *(make(number) for number in range(20)), threads=1)

    assert begun == list(range(20))
