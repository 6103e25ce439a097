"""What a run costs that finds nothing new: the requests that the README states for each kind."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from etl.records import SourceConfig
from etl.sources import airflow, b3os, foundry, riza
from tests.sources.airflow_server import Run, RunServer
from tests.sources.riza_account import NOON, Account, make_execution, make_history
from tests.sources.test_demo_sync import Lab, lab, open_when
from tests.sync.passes import Bench, hour, open_bench

__all__ = ["lab"]

COUNT = 150


def sync_again(lab: Lab, kind: str, options: Any) -> dict[str, int]:
    """The requests of a run right behind another one, by stream; it finds nothing new."""
    lab.sync(kind, options)
    again = lab.sync(kind, options)
    assert sum(run.rows_new + run.rows_changed for run in again.runs) == 0
    return {run.stream: run.requests for run in again.runs}


@pytest.mark.parametrize(("order", "requests"), [("newest", 1), ("oldest", 2)])
def test_riza_takes_one_request_and_two_where_the_oldest_come_first(
    lab: Lab, order: str, requests: int
) -> None:
    lab.start(riza_order=order)

    assert sync_again(lab, "riza", riza.Options()) == {"executions": requests}


def test_foundry_takes_one_request_for_each_resource(lab: Lab) -> None:
    resources = tuple(lab.start().foundry.history.streams)

    found = sync_again(lab, "foundry", foundry.Options(resources=resources))

    assert found == dict.fromkeys(resources, 1)


@pytest.mark.parametrize(("order", "requests"), [("newest", 1), ("oldest", 2)])
def test_b3os_takes_one_request_or_two_and_one_for_each_old_open_execution(
    lab: Lab, order: str, requests: int
) -> None:
    lab.start(b3os_order=order)

    found = sync_again(lab, "b3os", b3os.Options(runs=True))

    [(still_open,)] = lab.query(
        f"SELECT count(*) FROM b3os.executions WHERE {open_when()} "
        f"AND created_at < TIMESTAMPTZ '{lab.now.isoformat()}' - INTERVAL 1 HOUR"
    )
    assert found["executions"] <= requests + still_open
    assert found["runs"] <= requests


@dataclass
class Lists:
    """Both lists of an Airflow: the runs of a server, and no task instances."""

    server: RunServer

    def answer(self, request: httpx.Request) -> httpx.Response:
        response = self.server.answer(request)
        if not request.url.path.endswith("/taskInstances"):
            return response
        body = {"task_instances": [], "total_entries": 0, "next_cursor": None}
        return httpx.Response(200, json=body, headers={"Date": response.headers["Date"]})


@pytest.mark.parametrize("has_cursors", [True, False])
def test_airflow_takes_two_requests_for_each_list(has_cursors: bool) -> None:
    runs = [Run(n, hour(n), hour(n)) for n in range(20)]
    server = RunServer(runs, hour(100), has_cursors)
    config = SourceConfig("prod", "airflow", "http://a", "TOKEN", "t", airflow.Options(), NOON)
    transport = httpx.MockTransport(Lists(server).answer)

    with open_bench(airflow.TABLES, transport=transport, configs=[config]) as bench:
        bench.sync_well()
        again = bench.sync_well()

    assert [(run.stream, run.requests) for run in again.runs] == [
        ("dag_runs", 2),
        ("task_instances", 2),
    ]


@pytest.fixture
def account() -> Account:
    """A full history, listed without any details; each execution shows them by itself."""
    whole = make_history(COUNT)
    listed = [without_details(each) for each in whole]
    return Account(listed, whole={each["id"]: each for each in whole})


def without_details(execution: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in execution.items() if name != "details"}


@pytest.fixture
def bench(account: Account) -> Iterator[Bench]:
    now = NOON + timedelta(minutes=COUNT)
    with open_bench(transport=account.transport, now=now) as bench:
        bench.configs = [replace(config, page_size=100) for config in bench.configs]
        yield bench


def test_details_that_are_stored_are_not_retrieved_again(bench: Bench, account: Account) -> None:
    bench.sync_well()
    before = bench.dump()
    account.take_asked()

    bench.sync_well()

    assert account.asked == ["head"]
    assert bench.dump() == before
    assert bench.read("SELECT count(*) FROM riza.executions WHERE code IS NULL") == [(0,)]


def test_what_was_listed_since_is_completed_and_nothing_else(
    bench: Bench, account: Account
) -> None:
    bench.sync_well()
    new = make_history(COUNT + 2)[:2]
    account.whole |= {each["id"]: each for each in new}
    account.records = [*map(without_details, new), *account.records]
    account.take_asked()

    bench.now += timedelta(minutes=2)
    bench.sync_well()

    assert account.asked == ["head", f"get e{COUNT + 2}", f"get e{COUNT + 1}"]
    assert bench.read("SELECT count(code) FROM riza.executions") == [(COUNT + 2,)]


def test_what_came_too_late_for_the_lookback_is_completed_as_well(
    bench: Bench, account: Account
) -> None:
    """It stands on the page that was read: to leave it out would be to lose it."""
    bench.sync_well()
    late = make_execution("late", COUNT - 30.5)
    account.whole["late"] = late
    account.records.insert(31, without_details(late))
    account.take_asked()

    bench.now += timedelta(minutes=2)
    bench.sync_well()

    assert account.asked == ["head", "get late"]
    assert bench.read("SELECT count(code) FROM riza.executions") == [(COUNT + 1,)]


def test_a_full_run_retrieves_all_details_again(bench: Bench, account: Account) -> None:
    bench.sync_well()
    account.take_asked()

    bench.sync_well(is_full=True)

    assert sum(asked.startswith("get ") for asked in account.asked) == COUNT
