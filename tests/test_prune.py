"""Old payloads and old executions go; metrics, coverage and everything younger stay."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import duckdb
import pytest

from etl.prune import (
    METRICS,
    Horizons,
    find_prunable,
    list_payloads,
    prune,
)
from etl.sources import list_tables
from etl.store.integrity import check_store
from etl.tables import CONTENT_COLUMNS
from tests.views.history import History, make_history
from tests.views.store import NOW, insert, insert_coverage, open_store

BEFORE = NOW - timedelta(days=20)
TABLES = list_tables()
LOST = {"error_message"}
"""What a pruned execution cannot tell any more: it is a part of its payload."""


@pytest.fixture
def store() -> Iterator[duckdb.DuckDBPyConnection]:
    history: History = make_history(1, riza_rows=400, airflow_rows=100)
    with open_store() as connection:
        history.store(connection)
        insert(
            connection,
            "b3os.executions",
            [
                {
                    "source": "chain",
                    "stream": "executions",
                    "id": f"b{day}",
                    "workflow_id": "w",
                    "status": "workflow_succeeded",
                    "created_at": NOW - timedelta(days=day),
                    "started_at": NOW - timedelta(days=day),
                    "finished_at": NOW - timedelta(days=day) + timedelta(seconds=3),
                    "request_payload": '{"amount":1,"key":"hmac:0123456789abcdef"}',
                    "response_payload": "{}",
                    "first_synced_at": NOW,
                    "synced_at": NOW,
                }
                for day in (1, 30)
            ],
        )
        insert(
            connection,
            "foundry.executions",
            [
                {
                    "source": "functions",
                    "stream": "ri.function.one",
                    "resource_rid": "ri.function.one",
                    "foundry_trace_id": f"{reason}{day}",
                    "trace_owning_rid": "ri.owner",
                    "started_at": NOW - timedelta(days=day),
                    "status": "FAILED",
                    "failure_reason": reason,
                    "duration_ms": 3_000,
                    "extra": '{"note":"later"}',
                    "first_synced_at": NOW,
                    "synced_at": NOW,
                }
                for reason in ("timeout", "userError")
                for day in (1, 30)
            ],
        )
        yield connection


def read(connection: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    return connection.execute(sql).fetchall()


def read_view(connection: duckdb.DuckDBPyConnection, name: str) -> list[tuple[Any, ...]]:
    return read(connection, f"SELECT view::VARCHAR FROM {name} AS view ORDER BY ALL")


def list_mapped(connection: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    """Everything the views know of each execution, but what is lost."""
    columns = read(connection, "SELECT column_name FROM (DESCRIBE mapped_executions)")
    kept = ", ".join(f'"{name}"::VARCHAR' for (name,) in columns if name not in LOST)
    return read(connection, f"SELECT {kept} FROM mapped_executions ORDER BY ALL")


def count_payloads(connection: duckdb.DuckDBPyConnection, condition: str) -> int:
    """Riza's rows with anything in a payload column."""
    [table] = [table for table in TABLES if table.name == "riza.executions"]
    columns = list_payloads((*table.columns, *CONTENT_COLUMNS))
    is_any = " OR ".join(f'"{column}" IS NOT NULL' for column in columns)
    sql = f"SELECT count(*) FROM riza.executions WHERE ({is_any}) AND {condition}"
    count: int = read(connection, sql)[0][0]
    return count


def is_before(time: datetime) -> str:
    return f"started_at < TIMESTAMPTZ '{time.isoformat()}'"


def test_old_payloads_go_and_younger_ones_stay(store: duckdb.DuckDBPyConnection) -> None:
    old, young = is_before(BEFORE), f"NOT {is_before(BEFORE)}"
    younger = count_payloads(store, young)
    assert count_payloads(store, old) > 50

    prune(store, TABLES, Horizons(payloads_before=BEFORE), NOW)

    assert count_payloads(store, old) == 0
    assert count_payloads(store, young) == younger > 50
    secrets = f"""
        SELECT count(*) FROM riza.env AS child JOIN riza.executions AS parent
        ON child.execution_id = parent.id AND child.source = parent.source
        WHERE child.value IS NOT NULL AND {old}
    """
    assert read(store, secrets) == [(0,)]
    assert all(finding.broken == 0 for finding in check_store(store, TABLES))


def test_every_metric_stays(store: duckdb.DuckDBPyConnection) -> None:
    """Names, error types, sizes and retries are computed from payloads, too."""
    mapped = list_mapped(store)
    rates = read_view(store, "failure_rate_by_name")

    prune(store, TABLES, Horizons(payloads_before=BEFORE), NOW)

    assert list_mapped(store) == mapped
    assert read_view(store, "failure_rate_by_name") == rates
    assert len(rates) > 5


def test_what_is_kept_of_a_payload_is_named_by_the_views() -> None:
    with open_store() as connection:
        columns = {row[0] for row in read(connection, "DESCRIBE mapped_executions")}

    assert set(METRICS) <= columns


def test_pruning_again_finds_nothing_and_changes_nothing(
    store: duckdb.DuckDBPyConnection,
) -> None:
    horizons = Horizons(payloads_before=BEFORE)
    found = find_prunable(store, TABLES, horizons)
    prune(store, TABLES, horizons, NOW)
    mapped = list_mapped(store)

    assert sum(one.rows for one in found) > 50
    assert find_prunable(store, TABLES, horizons) == []
    prune(store, TABLES, horizons, NOW)
    assert list_mapped(store) == mapped


def test_a_later_prune_keeps_what_an_earlier_one_kept(store: duckdb.DuckDBPyConnection) -> None:
    """In many chunks, too."""
    mapped = list_mapped(store)

    for days in (40, 30, 20, 10):
        prune(store, TABLES, Horizons(payloads_before=NOW - timedelta(days=days)), NOW)

    assert list_mapped(store) == mapped


def test_chunks_of_any_size_prune_the_same(
    store: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("etl.prune.CHUNK_ROWS", 7)
    mapped = list_mapped(store)

    prune(store, TABLES, Horizons(payloads_before=BEFORE), NOW)

    assert count_payloads(store, is_before(BEFORE)) == 0
    assert list_mapped(store) == mapped


def test_old_executions_go_with_all_that_belongs_to_them(
    store: duckdb.DuckDBPyConnection,
) -> None:
    condition = f"NOT {is_before(BEFORE)}"
    young = read(store, f"SELECT id FROM riza.executions WHERE {condition} ORDER BY ALL")
    coverage = read_view(store, "etl.coverage")

    prune(store, TABLES, Horizons(executions_before=BEFORE), NOW)

    assert read(store, "SELECT id FROM riza.executions ORDER BY ALL") == young
    assert read(store, "SELECT id FROM b3os.executions") == [("b1",)]
    assert all(finding.broken == 0 for finding in check_store(store, TABLES))
    assert read_view(store, "etl.coverage") == coverage
    [(streams, horizons)] = read(
        store, "SELECT count(*), count(DISTINCT executions_before) FROM etl.pruned"
    )
    assert (streams, horizons) == (len(read(store, "FROM etl.streams")), 1)


@pytest.fixture
def steady() -> Iterator[duckdb.DuckDBPyConnection]:
    """Ten days of an execution every six hours, a quarter before the hour; all of them known."""
    with open_store() as connection:
        ran = {"source": "steady", "stream": "executions", "exit_code": 0, "duration_ms": 1}
        rows = [
            ran | {"id": str(n), "started_at": NOW - timedelta(hours=6 * n, minutes=15)}
            for n in range(40)
        ]
        insert(connection, "riza.executions", rows)
        ranges = [(NOW - timedelta(days=30), NOW)]
        insert_coverage(connection, "riza", "steady", "executions", ranges)
        yield connection


@pytest.mark.parametrize("view", ["failure_rate_daily", "duration_daily", "throughput"])
def test_days_are_complete_behind_the_one_up_to_which_executions_went(
    steady: duckdb.DuckDBPyConnection, view: str
) -> None:
    sql = f"SELECT day, is_complete FROM {view} ORDER BY day"
    days = [NOW.date() - timedelta(days=n) for n in range(5, -1, -1)]
    assert read(steady, sql)[-6:] == [*((day, True) for day in days[:-1]), (days[-1], False)]

    prune(steady, TABLES, Horizons(executions_before=NOW - timedelta(days=5)), NOW)

    known = [False, True, True, True, True, False]
    assert read(steady, sql) == list(zip(days, known, strict=True))


@pytest.mark.parametrize("view", ["failure_rate_hourly", "concurrency"])
def test_hours_are_complete_behind_the_one_up_to_which_executions_went(
    steady: duckdb.DuckDBPyConnection, view: str
) -> None:
    before = NOW - timedelta(days=2, minutes=30)

    prune(steady, TABLES, Horizons(executions_before=before), NOW)

    rows = read(steady, f"SELECT is_complete FROM {view} ORDER BY hour")
    assert [known for (known,) in rows] == [False, *[True] * 8]


def test_payloads_that_went_leave_time_complete(store: duckdb.DuckDBPyConnection) -> None:
    known = read_view(store, "complete_ranges")

    prune(store, TABLES, Horizons(payloads_before=BEFORE), NOW)

    assert read_view(store, "complete_ranges") == known != []


def test_what_is_found_is_what_goes(store: duckdb.DuckDBPyConnection) -> None:
    edge = NOW - timedelta(days=25)
    horizons = Horizons(executions_before=edge, payloads_before=NOW - timedelta(days=10))
    before = count_rows(store)

    found = find_prunable(store, TABLES, horizons)
    prune(store, TABLES, horizons, NOW)

    gone = [one for one in found if one.what == "executions"]
    emptied = [one for one in found if one.what == "payloads"]
    assert sum(one.rows for one in gone) == before - count_rows(store) > 50
    assert {one.source for one in gone} > {"chain"}
    assert all(one.first <= one.last < edge for one in gone)
    assert all(edge <= one.first <= one.last < NOW - timedelta(days=10) for one in emptied)
    assert emptied


def count_rows(connection: duckdb.DuckDBPyConnection) -> int:
    return sum(read(connection, f"SELECT count(*) FROM {table.name}")[0][0] for table in TABLES)


def test_a_horizon_never_moves_back(store: duckdb.DuckDBPyConnection) -> None:
    for days in (20, 30):
        before = NOW - timedelta(days=days)
        prune(store, TABLES, Horizons(executions_before=before, payloads_before=before), NOW)

    [(executions, payloads)] = read(
        store,
        "SELECT DISTINCT epoch_us(executions_before), epoch_us(payloads_before) FROM etl.pruned",
    )
    assert executions == payloads == BEFORE.timestamp() * 1e6


def test_records_in_quarantine_are_payloads(store: duckdb.DuckDBPyConnection) -> None:
    store.execute(
        "INSERT INTO etl.quarantine (source, stream, record, quarantined_at) "
        f"SELECT 's', 't', '{{}}', TIMESTAMPTZ '{NOW.isoformat()}' - to_days(n::INT) "
        "FROM range(10, 40, 10) AS r(n)"
    )

    found = find_prunable(store, TABLES, Horizons(payloads_before=BEFORE))
    prune(store, TABLES, Horizons(payloads_before=BEFORE), NOW)

    assert [(one.source, one.rows) for one in found if one.what == "quarantine"] == [("s", 1)]
    assert read(store, "SELECT count(*) FROM etl.quarantine") == [(2,)]
