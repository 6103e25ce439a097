"""How far back a pass goes, and the ways in which it ends before everything is read."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import duckdb
import httpx
import pytest

from etl.budget import Budget, BudgetEnded
from etl.coverage import Interval
from etl.errors import CredentialsError, SourceError
from etl.records import EPOCH, Gap, SourceConfig, Stream
from etl.sources import SOURCES
from etl.store.connect import Opener
from tests.sources.riza_account import NOON, Account, make_execution, make_history
from tests.sync.lab import Lab, make_stream
from tests.sync.passes import EACH_PAGE, Bench, hour, make_config, open_bench

NINE = [f"e{n}" for n in range(1, 10)]


@pytest.fixture
def account() -> Account:
    """Nine executions, an hour apart, newest first: `e9` began at hour 9."""
    return Account(make_history(9, step=60))


@pytest.fixture
def bench(account: Account) -> Iterator[Bench]:
    with open_bench(transport=account.transport, now=hour(10)) as bench:
        yield bench


def test_since_bounds_the_history(bench: Bench, account: Account) -> None:
    bench.configs = [make_config(since=hour(5))]

    bench.sync_well()

    assert account.asked == ["head", "after e7"]
    assert bench.ledger() == (Interval(hour(5), hour(10)),)


def test_a_since_that_moves_down_opens_a_gap_below(bench: Bench, account: Account) -> None:
    bench.configs = [make_config(since=hour(5))]
    bench.sync_well()
    account.take_asked()

    bench.configs = [make_config(since=hour(2))]
    bench.sync_well()

    assert account.asked == ["head", "after e5", "after e2"]
    assert bench.ledger() == (Interval(hour(2), hour(10)),)


def test_a_later_since_for_one_pass_does_not_hide_what_came_late_below(
    bench: Bench, account: Account
) -> None:
    """That pass does not look back below its `since`, so what it leaves out is known no more."""
    account.records.insert(0, make_execution("e10", 9 * 60 + 58))
    bench.configs = [make_config(page_size=1)]
    bench.sync_well()
    account.records.insert(1, make_execution("late", 9 * 60 + 55))
    bench.now = hour(12)
    bench.configs = [make_config(page_size=1, since=hour(11))]
    bench.sync_well()

    bench.configs = [make_config(page_size=1)]
    bench.sync_well()

    assert "late" in bench.list_ids()
    assert bench.ledger() == (Interval(EPOCH, hour(12)),)


def test_refused_credentials_end_a_source_and_not_the_next(bench: Bench, account: Account) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "locked":
            return httpx.Response(401)
        return account.answer(request)

    bench.transport = httpx.MockTransport(answer)
    bench.configs = [make_config("locked"), make_config("prod")]

    locked, prod = bench.sync()

    assert [type(error) for error in locked.errors] == [CredentialsError]
    assert prod.errors == []
    assert bench.list_ids() == NINE
    assert bench.read("SELECT source, state, exit_code FROM etl.runs ORDER BY ALL") == [
        ("locked", "failed", 3),
        ("prod", "done", 0),
    ]


def test_the_name_of_a_source_cannot_be_given_to_another_kind(bench: Bench) -> None:
    """Its ledger would be believed: half of what the new one has would never be read."""
    bench.sync_well()
    b3os = SourceConfig("prod", "b3os", "http://prod", "TOKEN", "t0ken", SOURCES["b3os"].Options())

    bench.configs = [b3os]
    [result] = bench.sync()

    assert [error.exit_code for error in result.errors] == [2]
    assert "the history of a riza source under this name" in str(result.errors[0])


def test_where_the_time_is_short_each_source_has_its_turn(bench: Bench) -> None:
    bench.configs = [make_config("first"), make_config("second"), make_config("third")]
    turns = []
    for _ in range(4):
        results = bench.sync(max_pages=1)
        turns.append([result.source for result in results if result.runs[0].pages])
        bench.now += timedelta(hours=1)

    assert turns == [["first"], ["second"], ["third"], ["first"]]


def test_a_source_that_takes_its_time_and_brings_nothing_does_not_go_first_again(
    bench: Bench, account: Account
) -> None:
    """Else one that hangs would take the time of all others, run after run."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "hanging":
            raise BudgetEnded("the time is over")
        return account.answer(request)

    bench.transport = httpx.MockTransport(answer)
    bench.configs = [make_config("hanging"), make_config("prod")]
    bench.sync(max_pages=1)
    bench.now += timedelta(hours=1)

    assert [result.source for result in bench.sync(max_pages=1)] == ["prod", "hanging"]


def test_where_there_is_time_for_all_the_sources_keep_their_order(bench: Bench) -> None:
    bench.configs = [make_config("b"), make_config("a")]
    for _ in range(3):
        assert [result.source for result in bench.sync()] == ["b", "a"]
        bench.now += timedelta(hours=1)


def test_what_came_before_an_outage_is_kept(bench: Bench, account: Account) -> None:
    down = httpx.Response(503, json={"message": "down for repair"})
    account.before = lambda asked: down if asked == "after e4" else None

    [result] = bench.sync()

    assert [str(error) for error in result.errors] == [
        "prod: GET /v1/executions: HTTP 503: down for repair; gave up after retries"
    ]
    assert bench.list_ids() == NINE[3:]
    account.before = lambda asked: None
    account.take_asked()
    bench.sync_well()
    assert account.asked == ["head", "after e5", "after e2", "after e2"]
    assert bench.list_ids() == NINE


def test_a_run_that_is_asked_to_stop_ends_in_order(bench: Bench, account: Account) -> None:
    budget = Budget()

    def stop(asked: str) -> None:
        if asked == "after e7":
            budget.stop.set()

    account.before = stop
    [result] = bench.sync(budget=budget)

    assert result.is_stopped
    assert result.errors == []
    assert account.asked == ["head", "after e7"]
    assert bench.list_ids() == NINE[3:]
    assert bench.states() == [("executions", "stopped", 0)]


def test_times_at_the_edge_of_the_calendar_are_only_times(bench: Bench, account: Account) -> None:
    """Zero times of some languages come last in a list; nothing overflows."""
    account.records.append(make_execution("zero", started_at="0001-01-01T00:00:00Z"))

    bench.sync_well()

    assert bench.list_ids() == ["zero", *NINE]
    assert bench.ledger() == (Interval(EPOCH, hour(10)),)


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00"])
def test_a_time_beyond_the_calendar_sets_its_record_aside_and_stops_nothing(
    bench: Bench, account: Account, time: str
) -> None:
    account.records.insert(4, make_execution("bad", started_at=time))

    bench.sync_well()

    assert bench.list_ids() == NINE
    assert bench.read("SELECT path, error FROM etl.quarantine") == [
        ("$.started_at", "a time beyond the calendar")
    ]


def test_what_was_committed_and_what_failed_is_told_of_a_stop_while_the_store_is_locked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(stream: Stream, gap: Gap) -> None:
        if stream.name == "a":
            raise SourceError("prod/a: HTTP 500; gave up", "request")

    lab = Lab(
        (make_stream("a"), make_stream("b")), {"b": {f"r{n}": hour(n) for n in range(7)}}, fail=fail
    )
    monkeypatch.setitem(SOURCES, "lab", lab)
    with open_bench(lab.TABLES, now=hour(10), limits=EACH_PAGE) as bench:
        bench.configs = [replace(make_config(), kind="lab")]
        bench.open_store = lock_at(bench, opening=5)

        [result] = bench.sync()

        stored = bench.read("SELECT count(*) FROM lab.records")

    assert result.is_stopped
    assert [error.exit_code for error in result.errors] == [4]
    assert [(sum(run.rows_new for run in result.runs),)] == stored == [(6,)]


def test_no_source_is_begun_after_a_stop_that_met_a_locked_store(
    bench: Bench, account: Account
) -> None:
    budget = Budget()
    bench.configs = [make_config("one"), make_config("two"), make_config("three")]
    bench.open_store = lock_at(bench, opening=2, budget=budget)

    results = bench.sync(budget=budget)

    assert [(result.source, result.is_stopped) for result in results] == [
        *(("one", True), ("two", True), ("three", True))
    ]
    assert account.asked == []


def lock_at(bench: Bench, opening: int, budget: Budget | None = None) -> Opener:
    """A store that somebody holds when it is opened for the n-th time, and a stop comes then."""
    count = 0

    @contextmanager
    def open_store() -> Iterator[duckdb.DuckDBPyConnection]:
        nonlocal count
        count += 1
        if count >= opening:
            assert count == opening, "asked again after the stop"
            (budget or Budget()).stop.set()
            raise BudgetEnded("asked to stop while the store was locked")
        yield bench.store

    return open_store


def test_noon_is_where_the_history_begins() -> None:
    assert hour(0) == NOON
