"""How far back a pass goes, and the ways in which it ends before everything is read."""

from collections.abc import Iterator

import httpx
import pytest

from etl.budget import Budget
from etl.coverage import Interval
from etl.errors import CredentialsError
from etl.records import EPOCH
from tests.sources.riza_account import NOON, Account, make_execution, make_history
from tests.sync.passes import Bench, hour, make_config, open_bench

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


def test_noon_is_where_the_history_begins() -> None:
    assert hour(0) == NOON
