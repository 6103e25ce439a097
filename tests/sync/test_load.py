"""Pages into batches, batches into commits: when, whole or not at all, and what a run tells."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from etl.budget import BudgetEnded
from etl.errors import QuarantineExceeded, StoreError
from etl.records import Flat, SourceConfig
from etl.sources import SOURCES
from etl.sync.load import BatchLimits
from etl.sync.pump import run_inline, run_threads
from tests.budgets import RecordingBudget
from tests.sources.riza_account import Account, make_execution, make_history
from tests.sync.lab import Lab, make_stream
from tests.sync.passes import EACH_PAGE, Bench, hour, keep_open, open_bench

NINE = [f"e{n}" for n in range(1, 10)]


@pytest.fixture
def account() -> Account:
    return Account(make_history(9, step=60))


@pytest.fixture
def bench(account: Account) -> Iterator[Bench]:
    with open_bench(transport=account.transport, now=hour(10)) as bench:
        yield bench


def open_counting(bench: Bench, meet: Callable[[int], None]) -> Callable[[], Any]:
    """The store, and what happens at its n-th opening, after what is done in it."""
    count = 0

    @contextmanager
    def open_store() -> Iterator[duckdb.DuckDBPyConnection]:
        nonlocal count
        count += 1
        number = count
        with keep_open(bench.store)() as connection:
            yield connection
        meet(number)

    return open_store


@pytest.mark.parametrize(
    ("limits", "commits"),
    [
        (BatchLimits(10_000, 1e9), 1),
        (BatchLimits(6, 1e9), 2),
        (BatchLimits(3, 1e9), 4),
        (BatchLimits(10_000, 0.0), 5),
        (EACH_PAGE, 5),
    ],
)
def test_a_batch_is_committed_by_its_rows_or_its_age(
    bench: Bench, limits: BatchLimits, commits: int
) -> None:
    """Nine rows on four pages, the last one empty; and at the end what is left, with the run."""
    opened: list[int] = []
    bench.open_store = open_counting(bench, opened.append)
    bench.limits = limits

    bench.sync_well()

    assert len(opened) - 2 == commits, "two more to begin with: interrupted runs, and the plan"


@pytest.mark.parametrize("limits", [EACH_PAGE, BatchLimits(4, 1e9)])
def test_batches_of_any_size_leave_the_same_store(bench: Bench, limits: BatchLimits) -> None:
    bench.sync_well()
    with open_bench(transport=bench.transport, now=hour(10), limits=limits) as other:
        other.sync_well()

        [run, other_run] = (b.read("SELECT run_id FROM etl.runs")[0][0] for b in (bench, other))
        assert str(other.dump()) == str(bench.dump()).replace(run, other_run)
        assert other.ledger() == bench.ledger()


class Killed(BaseException):
    """The process dies here."""


@pytest.mark.parametrize("commit", [1, 2, 3, 4])
def test_a_run_that_dies_is_gone_on_with_and_marked(
    bench: Bench, account: Account, commit: int
) -> None:
    """It dies behind its n-th commit; what it costs is at most the pages of one batch."""

    def die(opening: int) -> None:
        if opening == 2 + commit:
            raise Killed

    bench.limits = EACH_PAGE
    bench.open_store = open_counting(bench, die)
    with pytest.raises(Killed):
        bench.sync()
    assert bench.states() == [("executions", "running", None)]

    bench.open_store = None
    bench.now = hour(11)
    bench.sync_well()

    assert bench.list_ids() == NINE
    assert bench.read("SELECT state, count(*) FROM etl.runs GROUP BY ALL ORDER BY ALL") == [
        ("done", 1),
        ("interrupted", 1),
    ]
    assert len(account.asked) <= 5 + 4


@pytest.mark.parametrize("run_jobs", [run_inline, run_threads])
def test_a_store_that_cannot_be_opened_ends_the_run_and_nothing_is_lost(
    bench: Bench, account: Account, run_jobs: Any
) -> None:
    before = threading.active_count()

    def fail(opening: int) -> None:
        if opening == 4:
            raise StoreError("locked by process 7")

    bench.limits = EACH_PAGE
    bench.run_jobs = run_jobs
    bench.open_store = open_counting(bench, fail)
    with pytest.raises(StoreError):
        bench.sync()
    assert threading.active_count() == before

    bench.open_store = None
    bench.sync_well()
    assert bench.list_ids() == NINE


@pytest.mark.parametrize("opening", [1, 2, 4])
def test_a_stop_while_the_store_is_locked_is_a_stop(bench: Bench, opening: int) -> None:
    """Before anything was read, or with a batch at hand: the next run reads it again."""

    def stop(number: int) -> None:
        if number == opening:
            raise BudgetEnded("asked to stop while the store was locked")

    bench.limits = EACH_PAGE
    bench.open_store = open_counting(bench, stop)
    [result] = bench.sync()
    assert result.is_stopped
    assert result.errors == []

    bench.open_store = None
    bench.sync_well()
    assert bench.list_ids() == NINE


def test_a_bug_keeps_its_traceback_and_what_was_committed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lab = Lab(records={"all": {f"r{n}": hour(n) for n in range(9)}})

    def flatten(record: Any) -> Flat:
        if record[0] == "r2":
            raise IndexError("a bug")
        return Lab.flatten(lab, record)

    monkeypatch.setattr(lab, "flatten", flatten)
    monkeypatch.setitem(SOURCES, "lab", lab)
    config = SourceConfig("prod", "lab", "http://lab", "TOKEN", "t", page_size=3)
    with open_bench(lab.TABLES, configs=[config], now=hour(10), limits=EACH_PAGE) as bench:
        with pytest.raises(IndexError):
            bench.sync()

        assert bench.read("SELECT count(*) FROM lab.records") == [(6,)]


def break_records(account: Account, count: int) -> None:
    for record in account.records[:count]:
        record["duration"] = "long"


def test_a_few_broken_records_are_set_aside(bench: Bench, account: Account) -> None:
    break_records(account, 2)

    result = bench.sync_well()

    assert bench.list_ids() == NINE[:7]
    assert (
        bench.read("SELECT path, error FROM etl.quarantine")
        == [("$.duration", "Expected `int | null`, got `str`")] * 2
    )
    [run] = result.runs
    assert (run.rows_quarantined, run.rows_new, run.exit_code) == (2, 7, 0)


def test_a_broken_record_that_is_read_again_is_kept_once(bench: Bench, account: Account) -> None:
    break_records(account, 2)
    bench.sync_well()

    bench.sync_well(is_full=True)

    assert bench.read("SELECT count(*) FROM etl.quarantine") == [(2,)]


@pytest.mark.parametrize(("good", "broken", "is_too_much"), [(9, 10, False), (9, 11, True)])
def test_too_much_that_cannot_be_understood_is_an_error(
    bench: Bench, account: Account, good: int, broken: int, is_too_much: bool
) -> None:
    account.records += [make_execution(f"b{n}", -n, duration="?") for n in range(broken)]

    [result] = bench.sync()

    assert bench.list_ids() == NINE[:good]
    assert [type(error) for error in result.errors] == [QuarantineExceeded] * is_too_much
    assert bench.states() == [("executions", "done", 7 if is_too_much else 0)]
    if is_too_much:
        assert result.errors[0].exit_code == 7
        assert str(result.errors[0]).startswith("prod: 11 of 20 records could not be understood")
        assert bench.read("SELECT error FROM etl.runs") == [(str(result.errors[0]),)]


def test_one_in_a_hundred_may_be_broken_in_a_long_history(bench: Bench, account: Account) -> None:
    bench.configs = [replace(bench.configs[0], page_size=100)]
    account.records = make_history(1_200, step=1)
    break_records(account, 12)
    bench.sync_well()

    break_records(account, 13)
    [result] = bench.sync(is_full=True)

    assert [type(error) for error in result.errors] == [QuarantineExceeded]


def test_a_run_tells_what_it_cost(bench: Bench, account: Account) -> None:
    failures = [httpx.Response(503), httpx.Response(429, headers={"retry-after": "7"})]
    account.before = lambda asked: failures.pop() if failures and asked == "after e7" else None

    budget = RecordingBudget()
    [result] = bench.sync(budget=budget)

    [run] = result.runs
    assert (run.pages, run.requests, run.retries) == (4, 7, 2)
    assert budget.waits[0] == 7.0
    assert run.slept_s == sum(budget.waits)
    assert run.received_bytes > 9 * 100
    assert bench.read("SELECT requests, retries, pages, covered_s > 0 FROM etl.runs") == [
        (7, 2, 4, True)
    ]


def test_threads_and_no_threads_leave_the_same_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six streams with ties, windows and halves, read by one thread or by four."""
    streams = tuple(
        make_stream(f"s{n}", order="ascending" if n % 2 else "descending") for n in range(6)
    )
    records = {
        stream.name: {f"{stream.name}-{n}": hour(n // 2) for n in range(40)} for stream in streams
    }
    monkeypatch.setitem(SOURCES, "lab", Lab(streams, records, rows_max=16))
    config = SourceConfig(
        "prod", "lab", "http://lab", "TOKEN", "t", since=hour(-1), page_size=3, concurrency=4
    )
    found = []
    for run_jobs in (run_inline, run_threads):
        with open_bench(
            Lab.TABLES,
            configs=[config],
            now=hour(30),
            run_jobs=run_jobs,
            limits=BatchLimits(25, 1e9),
        ) as bench:
            bench.sync_well()
            found.append(
                [
                    bench.read(
                        "SELECT id, stream, began_at::VARCHAR FROM lab.records ORDER BY ALL"
                    ),
                    bench.read("SELECT t::VARCHAR FROM etl.coverage AS t ORDER BY ALL"),
                    bench.read("SELECT stream, pages, rows_new, state FROM etl.runs ORDER BY ALL"),
                ]
            )

    inline, threaded = found
    assert inline == threaded
    assert len(inline[0]) == 240


def test_a_real_store_is_written_by_a_pass(tmp_path: Path, account: Account) -> None:
    """In a file, opened for each commit, with threads: what the command line does."""
    from etl.budget import start_budget
    from etl.sources import riza
    from etl.store.connect import open_reader, open_writer
    from etl.store.schema import ensure_schema

    path = tmp_path / "s.duckdb"

    @contextmanager
    def open_store() -> Iterator[duckdb.DuckDBPyConnection]:
        with open_writer(path, start_budget(None)) as connection:
            ensure_schema(connection, riza.TABLES, path)
            yield connection

    with duckdb.connect() as nothing:
        bench = Bench(nothing, account.transport, hour(10), limits=EACH_PAGE, run_jobs=run_threads)
        bench.open_store = open_store
        bench.sync_well(max_pages=2)
        bench.sync_well()

    with open_reader(path) as connection:
        assert connection.execute(
            "SELECT count(*), count(DISTINCT id) FROM riza.executions"
        ).fetchall() == [(9, 9)]
