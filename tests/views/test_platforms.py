"""What only some platforms have: tasks, versions, payments, runs beside executions."""

from datetime import datetime, timedelta
from typing import Any

import duckdb
import pytest

from etl.sources.airflow.tables import TASK_INSTANCES, TASK_STATES
from tests.views.expected import find_quantile, rate
from tests.views.store import NOW, insert, open_store, read

MINUTE = timedelta(minutes=1)


@pytest.fixture
def store() -> duckdb.DuckDBPyConnection:
    return open_store()


def insert_tasks(store: duckdb.DuckDBPyConnection, tasks: list[dict[str, Any]]) -> None:
    base = {"source": "s", "dag_id": "d", "task_id": "t", "map_index": -1}
    rows = [base | {"dag_run_id": str(n)} | task for n, task in enumerate(tasks)]
    insert(store, "airflow.task_instances", rows)


def test_task_failure_rate(store: duckdb.DuckDBPyConnection) -> None:
    states = ["success", "success", "failed", "upstream_failed", "skipped", "removed"]
    states += ["running", "deferred", None, "a new one", ""]
    tries = [1, 3, 2, 0, 0, 0, 1, 1, 0, 1, 1]
    tasks = [
        {"state": state, "try_number": tried, "start_date": NOW - n * MINUTE}
        for n, (state, tried) in enumerate(zip(states, tries, strict=True))
    ]
    insert_tasks(store, tasks)

    row = read(store, "FROM task_failure_rate")[0]

    expected: dict[str, Any] = {"source": "s", "dag_id": "d", "task_id": "t", "executions": 11}
    expected |= {"succeeded": 2, "skipped": 2, "upstream_failed": 1, **rate(1, 3)}
    expected |= {"unknown": 2, "running": 3}
    expected |= {"low_sample": True, "retried": 2, "recovered_by_retry": 1, "tries_per_run": 2.0}
    expected |= {"last_failure_at": NOW - 2 * MINUTE}
    assert row == {
        key: pytest.approx(value) if isinstance(value, float) else value
        for key, value in expected.items()
    }


def test_each_state_of_a_task_that_the_api_documents_is_counted_as_what_it_is(
    store: duckdb.DuckDBPyConnection,
) -> None:
    """Those that are final to the sync have ended for the view, too; the others are open."""
    insert_tasks(store, [{"state": state} for state in (None, *TASK_STATES)])
    is_open = TASK_INSTANCES.open_when
    opened = read(store, f"SELECT count(*) AS n FROM airflow.task_instances WHERE {is_open}")

    (row,) = read(store, "SELECT running AS n, unknown FROM task_failure_rate")

    assert row == {**opened[0], "unknown": 0}
    assert row["n"] > 5


def test_task_duration(store: duckdb.DuckDBPyConnection) -> None:
    tasks = [
        {
            "state": "failed" if n % 4 == 0 else "success",
            "duration_s": 0.5 + n,
            "queued_when": NOW - n * MINUTE if n else None,
            "start_date": NOW,
        }
        for n in range(20)
    ]
    broken = [{"state": "success", "duration_s": value} for value in (-1.0, 3_155_760_001.0)]
    insert_tasks(store, [*tasks, *broken, {"state": "running", "duration_s": 1.0}])

    row = read(store, "FROM task_duration")[0]

    successes = [1e3 * t["duration_s"] for t in tasks if t["state"] == "success"]
    everything = [1e3 * t["duration_s"] for t in tasks]
    waits = [60_000.0 * n for n in range(1, 20)]
    assert (row["executions"], row["all_executions"], row["queued"]) == (15, 20, 19)
    assert row["max_ms"] == max(successes)
    for column, values, share in (
        ("p50_ms", successes, 0.5),
        ("p95_ms", successes, 0.95),
        ("all_p90_ms", everything, 0.9),
        ("all_p99_ms", everything, 0.99),
        ("queue_p50_ms", waits, 0.5),
        ("queue_p95_ms", waits, 0.95),
    ):
        assert row[column] == pytest.approx(find_quantile(values, share))


def make_foundry(number: int, **columns: Any) -> dict[str, Any]:
    row = {
        "source": "f",
        "stream": "ri.a",
        "resource_rid": "ri.reg.main.function.c2",
        "extra": None,
    }
    row |= {"foundry_trace_id": str(number), "trace_owning_rid": "ri.own", "started_at": NOW}
    return row | {"status": "SUCCEEDED", "duration_ms": 1500} | columns


def test_foundry(store: duckdb.DuckDBPyConnection) -> None:
    rows = [
        make_foundry(0, failure_reason="timeout"),
        make_foundry(1, status="FAILED", failure_reason="timeout"),
        make_foundry(2, status="FAILED", failure_reason="invalid_parameter"),
        make_foundry(3, status="FAILED", duration_ms=None),
        make_foundry(4, status="HALTED", duration_ms=-1),
    ]
    insert(store, "foundry.executions", rows)

    found = read(store, "FROM executions ORDER BY execution_id")

    assert [(r["outcome"], r["error_type"], r["duration_ms"]) for r in found] == [
        ("success", None, 1500),
        ("timeout", "timeout", 1500),
        ("failure", "invalid_parameter", 1500),
        ("failure", None, None),
        ("unknown", None, None),
    ]
    assert found[0]["execution_id"] == (
        "ri.reg.main.function.c2/0/ri.own/2026-03-15T12:00:00.000000Z"
    )
    assert (found[0]["name"], found[0]["type"]) == ("ri.reg.main.function.c2", "function")
    assert found[0]["ended_at"] == NOW + timedelta(seconds=1.5)


def test_failure_rate_by_version(store: duckdb.DuckDBPyConnection) -> None:
    rows = [
        make_foundry(
            n,
            resource_version="1.0" if n < 8 else "1.1",
            status="FAILED" if n in (0, 9) else "SUCCEEDED",
            started_at=NOW + n * MINUTE,
        )
        for n in range(10)
    ]
    insert(store, "foundry.executions", [*rows, make_foundry(99)])
    insert(
        store,
        "airflow.dag_runs",
        [
            {"source": "a", "dag_id": "d", "dag_run_id": str(n), "state": "success"}
            | {"dag_versions": versions, "queued_at": NOW}
            for n, versions in enumerate(
                ('[{"version_number": 1}, {"version_number": 2}]', "[]", None)
            )
        ],
    )

    found = read(store, "FROM failure_rate_by_version ORDER BY source, version")

    assert [(r["name"], r["version"], r["failed"], r["finished"]) for r in found] == [
        ("d", "2", 0, 1),
        ("ri.reg.main.function.c2", "1.0", 1, 8),
        ("ri.reg.main.function.c2", "1.1", 1, 2),
    ]
    wilson = rate(1, 8)
    assert found[1]["failure_rate_low"] == pytest.approx(wilson["failure_rate_low"])
    assert found[1]["failure_rate_high"] == pytest.approx(wilson["failure_rate_high"])
    assert found[1]["first_seen_at"] == NOW
    assert found[1]["last_seen_at"] == NOW + 7 * MINUTE


def make_b3os(number: int, **columns: Any) -> dict[str, Any]:
    row = {"source": "b", "stream": "executions", "id": str(number), "workflow_id": "w"}
    return row | {"created_at": NOW} | columns


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("awaiting_payment", "running"),
        ("payment_confirmed", "running"),
        ("workflow_queued", "running"),
        ("workflow_running", "running"),
        ("workflow_waiting", "running"),
        ("workflow_succeeded", "success"),
        ("workflow_partial", "failure"),
        ("workflow_failed", "failure"),
        ("workflow_cancelled", "cancellation"),
        ("workflow_refunded", "unknown"),
        (None, "unknown"),
    ],
)
def test_b3os_status(store: duckdb.DuckDBPyConnection, status: str | None, outcome: str) -> None:
    started_at, finished_at = NOW + 2 * MINUTE, NOW + 5 * MINUTE
    times = {"started_at": started_at, "finished_at": finished_at}
    insert(
        store,
        "b3os.executions",
        [make_b3os(1, status=status, status_reason="1 of 3 failed", **times)],
    )

    row = read(store, "FROM executions")[0]

    assert (row["outcome"], row["source_status"], row["queue_ms"]) == (outcome, status, 120_000)
    assert row["started_at"] == started_at
    is_over = outcome != "running"
    assert row["duration_ms"] == (180_000 if is_over else None)
    assert row["ended_at"] == (finished_at if is_over else None)
    is_failure = outcome == "failure"
    assert row["error_type"] == (status if is_failure else None)
    assert row["error_message"] == ("1 of 3 failed" if is_failure else None)


def test_a_run_of_an_execution_is_not_counted_twice(store: duckdb.DuckDBPyConnection) -> None:
    insert(store, "b3os.executions", [make_b3os(1, run_id="r1", status="workflow_succeeded")])
    run = {"source": "b", "stream": "runs", "workflow_id": "w", "started_at": NOW}
    runs: list[dict[str, Any]] = [
        run | {"id": "r1", "status": "success"},
        run | {"id": "r2", "status": "partial", "summary": "half", "workflow_version": 3},
        run | {"id": "r3", "status": "success", "is_simulation": True},
        run | {"id": "r4", "status": "success", "is_dust_test": True},
        run | {"id": "r5", "status": "waiting", "finished_at": NOW},
        run | {"id": "r1", "status": "cancelled", "source": "another"},
    ]
    insert(store, "b3os.runs", runs)

    rows = read(store, "SELECT * FROM executions ORDER BY source DESC, execution_id")

    assert [(r["source"], r["execution_id"], r["outcome"], r["error_message"]) for r in rows] == [
        ("b", "1", "success", None),
        ("b", "r2", "failure", "half"),
        ("b", "r5", "running", None),
        ("another", "r1", "cancellation", None),
    ]


def test_one_that_waits_for_payment_stands_where_it_was_made(
    store: duckdb.DuckDBPyConnection,
) -> None:
    insert(store, "b3os.executions", [make_b3os(1, status="awaiting_payment")])

    row = read(store, "FROM executions")[0]

    assert (row["started_at"], row["queue_ms"]) == (NOW, None)


@pytest.mark.parametrize(
    "asked", [{"payment_status": "paid"}, {"checkout_session_id": "cs_1", "payment_status": ""}]
)
def test_waiting_for_payment_queueing_and_running_are_apart(
    store: duckdb.DuckDBPyConnection, asked: dict[str, Any]
) -> None:
    times = {"started_at": NOW + 2 * MINUTE, "finished_at": NOW + 5 * MINUTE}
    done = {"status": "workflow_succeeded", **times}
    rows = [make_b3os(1, **done), make_b3os(2, **done, **asked)]
    insert(store, "b3os.executions", rows)

    found = read(
        store,
        "SELECT payment_ms, queue_ms, duration_ms FROM mapped_executions ORDER BY execution_id",
    )

    assert [tuple(row.values()) for row in found] == [
        (None, 120_000, 180_000),
        (120_000, None, 180_000),
    ]


def test_payment_funnel(store: duckdb.DuckDBPyConnection) -> None:
    paid: dict[str, Any] = {"payment_status": "paid"}
    started: dict[str, datetime] = {"started_at": NOW}
    cases: list[dict[str, Any]] = [
        {"status": "awaiting_payment"},
        {"status": "awaiting_payment", "checkout_session_id": "c"},
        {"status": "payment_confirmed"},
        {"status": "workflow_queued", **paid},
        {"status": "workflow_cancelled", "payment_status": "expired"},
        {"status": "workflow_cancelled", **paid},
        {"status": "workflow_cancelled", **paid, **started},
        {"status": "workflow_waiting", **paid, **started},
        {"status": "workflow_failed", **paid, **started},
        {"status": "workflow_succeeded", **paid, **started},
        {"status": "a new one", **paid},
        {"status": "workflow_succeeded", **started},
    ]
    insert(store, "b3os.executions", [make_b3os(n, **case) for n, case in enumerate(cases)])

    rows = read(store, "FROM payment_funnel")

    found = [(r["step"], r["stage"], r["executions"], r["cancelled_here"]) for r in rows]
    assert found == [
        (1, "asked", 11, 1),
        (2, "paid", 8, 1),
        (3, "started", 4, 1),
        (4, "finished", 2, 0),
        (5, "succeeded", 1, 0),
    ]
    assert [r["share_of_asked"] for r in rows] == pytest.approx([1, 8 / 11, 4 / 11, 2 / 11, 1 / 11])
    assert [r["share_of_previous"] for r in rows] == [None, 8 / 11, 0.5, 0.5, 0.5]
