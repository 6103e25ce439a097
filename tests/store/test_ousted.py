"""A row that took another's place under a new key: Airflow's mapped tasks, before they expand."""

from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from etl.pending import PendingRows
from etl.sources import list_tables
from etl.sources.airflow.records import TaskInstance
from etl.sources.airflow.tables import TASK_INSTANCES, flatten
from etl.store.schema import ensure_schema
from etl.store.upsert import Stamp, upsert_rows

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def store() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    ensure_schema(connection, list_tables(), Path("memory"))
    return connection


def write(
    store: duckdb.DuckDBPyConnection, *tasks: tuple[str, int, str | None], run_id: str = "r1"
) -> None:
    pending = PendingRows(TASK_INSTANCES)
    for task_id, map_index, state in tasks:
        task = TaskInstance(
            dag_id="etl", dag_run_id=run_id, task_id=task_id, map_index=map_index, state=state
        )
        pending.add("task_instances", flatten(task), None)
    upsert_rows(store, pending, Stamp("lab", "run", NOON), {})


def read(store: duckdb.DuckDBPyConnection) -> list[tuple[str, int]]:
    return store.execute(
        "SELECT task_id, map_index FROM airflow.task_instances ORDER BY ALL"
    ).fetchall()


@pytest.mark.parametrize("run_id", ["r1", "scheduled__2026-03-01T00:00:00+00:00"])
def test_a_mapped_task_that_expanded_leaves_no_ghost(
    store: duckdb.DuckDBPyConnection, run_id: str
) -> None:
    write(store, ("mapped", -1, None), ("other", -1, None), run_id=run_id)
    write(store, ("mapped", -1, None), run_id="r2")

    write(store, ("mapped", 0, "running"), ("mapped", 1, None), run_id=run_id)

    assert read(store) == [("mapped", -1), ("mapped", 0), ("mapped", 1), ("other", -1)]
    write(store, ("mapped", 0, "running"), run_id="r2")
    assert read(store) == [("mapped", 0), ("mapped", 0), ("mapped", 1), ("other", -1)]


def test_what_ended_unexpanded_stays(store: duckdb.DuckDBPyConnection) -> None:
    write(store, ("mapped", -1, "skipped"))

    write(store, ("mapped", 0, "removed"))

    assert read(store) == [("mapped", -1), ("mapped", 0)]
