"""The demo's Foundry and B3OS, synced over real sockets into a real store."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import httpx
import pytest

from etl.demo.faults import Faults
from etl.demo.server import DemoServer, DemoSettings, start_server
from etl.records import SourceConfig
from etl.sources import b3os, foundry, list_tables
from etl.store.schema import ensure_schema
from etl.sync.pump import run_threads
from etl.sync.run import Extent, SourceResult, Surroundings, sync_sources
from tests.budgets import RecordingBudget
from tests.sync.passes import keep_open

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SINCE = NOW - timedelta(days=91)
EXECUTIONS = 600


class Lab:
    """A demo server, a store in memory and a clock that both go by."""

    def __init__(self, store: duckdb.DuckDBPyConnection) -> None:
        self.store = store
        self.now = NOW
        self.server: DemoServer | None = None

    def start(self, **settings: Any) -> DemoServer:
        demo = DemoSettings(executions=EXECUTIONS, **settings)
        self.server = start_server(demo, now=lambda: self.now, sleep=lambda seconds: None)
        return self.server

    def sync(self, kind: str, options: Any, **others: Any) -> SourceResult:
        assert self.server is not None
        config = SourceConfig(
            "demo", kind, f"{self.server.base_url}/{kind}", "TOKEN", "demo-token", options,
            **{"since": SINCE} | others,
        )  # fmt: skip
        around = Surroundings(
            keep_open(self.store), b"key", RecordingBudget(), lambda: self.now, run_jobs=run_threads
        )
        [result] = sync_sources([config], around, Extent())
        assert result.errors == []
        return result

    def ask(self, path: str, **request: Any) -> Any:
        assert self.server is not None
        headers = {"Authorization": "Bearer demo-token"}
        method = "POST" if "json" in request else "GET"
        url = f"{self.server.base_url}{path}"
        return httpx.request(method, url, headers=headers, **request).json()

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return self.store.execute(sql).fetchall()


@pytest.fixture
def lab() -> Iterator[Lab]:
    with duckdb.connect() as store:
        store.execute("SET TimeZone = 'UTC'")
        ensure_schema(store, list_tables(), None)
        lab = Lab(store)
        try:
            yield lab
        finally:
            if lab.server is not None:
                lab.server.stop()


def list_foundry(lab: Lab) -> set[tuple[str, str, str]]:
    """Trace, start and status of everything the API serves, in one window per resource."""
    assert lab.server is not None
    found = set()
    for rid in lab.server.foundry.history.streams:
        body = {"startTime": "2026-01-01T00:00:00Z", "endTime": "2027-01-01T00:00:00Z"}
        path = f"/foundry/api/v2/observability/resources/{rid}/listExecutions?preview=true"
        while True:
            page = lab.ask(path, json=body)
            for row in page.get("data", ()):
                found.add((row["foundryTraceId"], row["startTime"], row["status"]))
            if "nextPageToken" not in page:
                break
            body["pageToken"] = page["nextPageToken"]
    return found


def list_b3os(lab: Lab, name: str = "executions") -> dict[str, str]:
    """Status by id of everything the API serves."""
    found, offset = {}, 0
    while True:
        data = lab.ask(f"/b3os/v1/{name}", params={"limit": 100, "offset": offset})["data"]
        found |= {item["id"]: item["status"] for item in data["items"]}
        if not data["hasMore"]:
            return found
        offset += len(data["items"])


def read_foundry(lab: Lab) -> set[tuple[str, str, str]]:
    rows = lab.query(
        "SELECT foundry_trace_id, strftime(started_at, '%Y-%m-%dT%H:%M:%S.%gZ'), status "
        "FROM foundry.executions"
    )
    assert len(rows) == len(set(rows))
    return set(rows)


def read_b3os(lab: Lab, name: str = "executions") -> dict[str, str]:
    rows = lab.query(f"SELECT id, status FROM b3os.{name}")
    assert len(rows) == len(dict(rows))
    return dict(rows)


def test_foundry_is_synced_whole_and_a_second_pass_asks_for_the_lookback_only(lab: Lab) -> None:
    server = lab.start()
    resources = tuple(server.foundry.history.streams)

    lab.sync("foundry", foundry.Options(resources=resources))
    asked = server.requests["foundry.list"]
    again = lab.sync("foundry", foundry.Options(resources=resources))

    assert read_foundry(lab) == list_foundry(lab)
    assert len(read_foundry(lab)) > EXECUTIONS / 2
    assert sum(run.requests for run in again.runs) == len(resources)
    assert sum(run.rows_new + run.rows_changed for run in again.runs) == 0
    assert asked < 4 * 8 + EXECUTIONS / 50


def test_what_completes_late_is_in_the_store_after_the_next_pass(lab: Lab) -> None:
    server = lab.start()
    options = foundry.Options(resources=tuple(server.foundry.history.streams))

    for _ in range(4):
        lab.sync("foundry", options)
        lab.now += timedelta(hours=13)
    lab.sync("foundry", options)

    assert read_foundry(lab) == list_foundry(lab)


def test_expired_tokens_and_failing_requests_lose_nothing_of_foundry(lab: Lab) -> None:
    faults = Faults(expire_token=0.1, error_500=0.05, cut=0.05, drop=0.05)
    server = lab.start(faults=faults)
    resources = tuple(server.foundry.history.streams)

    lab.sync("foundry", foundry.Options(resources=resources), page_size=10)

    server.set_faults(Faults())
    assert read_foundry(lab) == list_foundry(lab)


def test_a_filter_has_a_coverage_of_its_own(lab: Lab) -> None:
    server = lab.start()
    resources = tuple(server.foundry.history.streams)
    where = {"type": "eq", "field": "status", "value": "FAILED"}

    lab.sync("foundry", foundry.Options(resources=resources, where=where))
    failed = read_foundry(lab)
    lab.sync("foundry", foundry.Options(resources=resources))

    assert failed == {row for row in list_foundry(lab) if row[2] == "FAILED"}
    assert read_foundry(lab) == list_foundry(lab)


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_b3os_is_synced_whole_in_either_order(lab: Lab, order: str) -> None:
    server = lab.start(b3os_order=order)

    lab.sync("b3os", b3os.Options(runs=True))
    first = server.requests["b3os.list"]
    again = lab.sync("b3os", b3os.Options(runs=True))

    assert read_b3os(lab) == list_b3os(lab)
    assert read_b3os(lab, "runs") == list_b3os(lab, "runs")
    assert first == 7
    executions = next(run for run in again.runs if run.stream == "executions")
    [(still_open,)] = lab.query(f"SELECT count(*) FROM b3os.executions WHERE {open_when()}")
    assert executions.requests <= 2 + still_open
    assert executions.rows_new + executions.rows_changed == 0


def open_when() -> str:
    assert b3os.tables.EXECUTIONS.open_when is not None
    return b3os.tables.EXECUTIONS.open_when


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_b3os_executions_that_go_on_are_current_after_each_pass(lab: Lab, order: str) -> None:
    lab.start(b3os_order=order)

    for hours in (0, 1, 5, 26):
        lab.now += timedelta(hours=hours)
        lab.sync("b3os", b3os.Options())

        assert read_b3os(lab).items() >= list_b3os(lab).items()


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_soft_failures_and_broken_answers_lose_nothing_of_b3os(lab: Lab, order: str) -> None:
    faults = Faults(soft_error=0.1, error_503=0.05, cut=0.05, drop=0.05)
    server = lab.start(b3os_order=order, faults=faults)

    lab.sync("b3os", b3os.Options(), page_size=10)

    server.set_faults(Faults())
    assert read_b3os(lab) == list_b3os(lab)


def test_events_are_stored_once_with_their_executions(lab: Lab) -> None:
    server = lab.start()
    ids = list(list_b3os(lab))[:3]

    for _ in range(2):
        lab.sync("b3os", b3os.Options(events=True), since=NOW - timedelta(days=2))

    for record_id in ids:
        events = lab.ask(f"/b3os/v1/executions/{record_id}/events")["data"]
        rows = lab.query(
            f"SELECT id FROM b3os.events WHERE execution_id = '{record_id}' ORDER BY position"
        )
        assert rows == [(event["id"],) for event in events]
    assert server.requests["b3os.events"] > 3


def test_deleted_executions_shift_nothing_away(lab: Lab) -> None:
    server = lab.start()
    ids = list(list_b3os(lab))
    budget = RecordingBudget()
    config = SourceConfig(
        "demo", "b3os", f"{server.base_url}/b3os", "TOKEN", "demo-token", b3os.Options(),
        since=SINCE, page_size=10,
    )  # fmt: skip
    around = Surroundings(keep_open(lab.store), b"key", budget, lambda: lab.now)

    def delete(source: str, step: Any) -> None:
        for mark in step.page.marks[::4]:
            server.b3os.delete(mark.id)

    [result] = sync_sources([config], replace(around, on_step=delete), Extent())

    assert result.errors == []
    left = list_b3os(lab)
    assert len(left) < len(ids)
    assert read_b3os(lab).keys() >= left.keys()
