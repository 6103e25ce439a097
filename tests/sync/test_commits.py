"""Commits that go on while the next batch is made: in turn, one at a time, and never unnoticed."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import duckdb
import pytest

from etl.errors import StoreError
from etl.sync.commits import commit_inline, commit_on_thread
from etl.sync.pump import run_inline, run_threads
from tests.sources.riza_account import Account, make_history
from tests.sync.passes import EACH_PAGE, Bench, hour, keep_open, open_bench

NINE = [f"e{n}" for n in range(1, 10)]
PATIENCE_S = 30.0
OTHERS = 2
"""Openings before the first batch: to mark interrupted runs, and to plan."""


@pytest.fixture
def account() -> Account:
    """Nine executions, an hour apart, on three pages and an empty one."""
    return Account(make_history(9, step=60))


@pytest.fixture
def bench(account: Account) -> Iterator[Bench]:
    with open_bench(
        transport=account.transport, now=hour(10), limits=EACH_PAGE, open_commits=commit_on_thread
    ) as bench:
        yield bench


def watch_openings(bench: Bench, on_close: Callable[[int], None]) -> None:
    """Call back when the store is about to be closed, with the number of the batch."""
    opened = 0

    @contextmanager
    def open_store() -> Iterator[duckdb.DuckDBPyConnection]:
        nonlocal opened
        opened += 1
        number = opened - OTHERS
        with keep_open(bench.store)() as connection:
            yield connection
            if number > 0:
                on_close(number)

    bench.open_store = open_store


def test_pages_are_read_while_a_commit_goes_on(bench: Bench, account: Account) -> None:
    """The first commit does not end before the second page was asked for."""
    asked = threading.Event()
    account.before = lambda what: asked.set() if what == "after e7" else None
    seen: list[bool] = []

    def wait_for_page(number: int) -> None:
        if number == 1:
            seen.append(asked.wait(PATIENCE_S))

    watch_openings(bench, wait_for_page)
    bench.sync_well()

    assert seen == [True]
    assert bench.list_ids() == NINE


def test_one_batch_is_committed_before_the_next_is_written(bench: Bench) -> None:
    open_now = 0
    at_most = 0
    order: list[int] = []

    @contextmanager
    def open_store() -> Iterator[duckdb.DuckDBPyConnection]:
        nonlocal open_now, at_most
        open_now += 1
        at_most = max(at_most, open_now)
        yield bench.store
        order.append(len(bench.list_ids()))
        open_now -= 1

    bench.open_store = open_store
    bench.sync_well()

    assert at_most == 1
    assert order == [0, 0, 3, 6, 9, 9, 9]


@pytest.mark.parametrize("run_jobs", [run_inline, run_threads])
@pytest.mark.parametrize("failing", [1, 2, 3])
def test_a_commit_that_fails_is_the_last_and_its_error_ends_the_run(
    bench: Bench, run_jobs: Any, failing: int
) -> None:
    before = set(threading.enumerate())
    written: list[int] = []

    def fail(number: int) -> None:
        written.append(number)
        if number == failing:
            raise StoreError("s.duckdb: the disk is full")

    watch_openings(bench, fail)
    bench.run_jobs = run_jobs
    with pytest.raises(StoreError) as raised:
        bench.sync()

    assert str(raised.value) == "s.duckdb: the disk is full"
    assert written == list(range(1, failing + 1))
    assert set(threading.enumerate()) <= before

    bench.open_store = None
    bench.sync_well()
    assert bench.list_ids() == NINE


def test_a_bug_beside_a_commit_lets_it_end(bench: Bench, account: Account) -> None:
    """What was written is kept, although the pages behind it cannot be loaded."""
    met = threading.Event()
    watch_openings(bench, lambda number: None if number > 1 else _wait(met))

    def break_down(what: str) -> None:
        if what == "after e7":
            met.set()
            raise ZeroDivisionError

    account.before = break_down
    with pytest.raises(ZeroDivisionError):
        bench.sync()

    assert bench.list_ids() == NINE[6:]


def _wait(event: threading.Event) -> None:
    assert event.wait(PATIENCE_S)


@pytest.mark.parametrize("run_jobs", [run_inline, run_threads])
def test_on_a_thread_or_not_the_store_becomes_the_same(account: Account, run_jobs: Any) -> None:
    found = []
    for open_commits in (commit_inline, commit_on_thread):
        with open_bench(
            transport=account.transport,
            now=hour(10),
            limits=EACH_PAGE,
            run_jobs=run_jobs,
            open_commits=open_commits,
        ) as bench:
            result = bench.sync_well()
            [run] = result.runs
            counters = bench.read("SELECT pages, rows_new, covered_s, requests FROM etl.runs")
            found.append((str(bench.dump()).replace(run.run_id, "run"), bench.ledger(), counters))

    assert found[0] == found[1]
