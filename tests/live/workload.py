"""What the live test makes Airflow do: more than 120 runs, made, held, cleared through its API."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.live.airflow_server import Airflow, LiveError, wait_until

QUICK, WORK, MAPPED = "etl_live_quick", "etl_live_work", "etl_live_mapped"
QUICK_RUNS = 112
FAILING_RUNS = 6
SECRET = "live-secret-b7c1f04e9a"
OPEN_RUNS = ("long", "mapped-late")
DAGS_TIMEOUT_S = 60.0
RUNS_TIMEOUT_S = 180.0
REQUEST_TIMEOUT_S = 60.0
FINAL = ("success", "failed")


@dataclass(frozen=True, slots=True)
class Holds:
    """Files that let a held run go on once they exist."""

    long: Path
    cleared: Path
    mapped: Path


def insist(airflow: Airflow, method: str, path: str, body: Any, done: tuple[int, ...]) -> None:
    """Make a request until it is answered with a status of `done`: SQLite may be busy."""

    def ask() -> bool:
        reply = airflow.request(method, path, body)
        if reply.status not in done:
            raise LiveError(f"HTTP {reply.status}: {reply.body}")
        return True

    wait_until(f"{method} {path} is done", ask, REQUEST_TIMEOUT_S)


def trigger(airflow: Airflow, dag_id: str, run_id: str, conf: dict[str, Any]) -> None:
    """Make one run; 409: it was made, though the answer to that was lost."""
    body = {"logical_date": None, "dag_run_id": run_id, "conf": conf}
    insist(airflow, "POST", f"/api/v2/dags/{dag_id}/dagRuns", body, done=(200, 409))


def make_runs(airflow: Airflow, holds: Holds) -> None:
    """Trigger every run of the test; some run ids need encoding in a path."""
    wait_until(
        "the DAGs are parsed",
        lambda: airflow.get("/api/v2/dags")["total_entries"] >= 3,
        DAGS_TIMEOUT_S,
    )
    for n in range(QUICK_RUNS):
        trigger(airflow, QUICK, f"quick__{n:03}+00:00", {"n": n})
    wait_for_all(airflow)
    trigger(airflow, WORK, "long", {"hold": str(holds.long)})
    trigger(airflow, MAPPED, "mapped-late", {"hold": str(holds.mapped), "parts": [4, 5]})
    for n in range(FAILING_RUNS):
        trigger(airflow, WORK, f"failing-{n}", {"n": n, "fail": True, "api_key": SECRET})
    trigger(airflow, WORK, "working", {"n": 1, "tags": ["a", {"b": None}], "ratio": 0.1})
    trigger(airflow, WORK, "cleared", {"fail": True, "hold": str(holds.cleared)})
    trigger(airflow, MAPPED, "mapped", {"parts": [1, 2, -3]})
    trigger(airflow, MAPPED, "mapped-empty", {"parts": []})
    wait_for_state(airflow, WORK, "long", ("running",))
    wait_for_state(airflow, MAPPED, "mapped-late", ("running",))
    wait_for_all(airflow, except_for=OPEN_RUNS)


def run_path(dag_id: str, run_id: str) -> str:
    return f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"


def wait_for_state(airflow: Airflow, dag_id: str, run_id: str, states: tuple[str, ...]) -> None:
    """Wait until a run, and its first task with it, is in one of the states."""

    def ask() -> bool:
        run = airflow.get(run_path(dag_id, run_id))
        tasks = airflow.get(run_path(dag_id, run_id) + "/taskInstances")["task_instances"]
        return run["state"] in states and any(task["state"] in states for task in tasks)

    wait_until(f"{run_id} is {' or '.join(states)}", ask, RUNS_TIMEOUT_S)


def wait_for_all(airflow: Airflow, except_for: tuple[str, ...] = ()) -> None:
    """Wait until every run but the named ones is over."""

    def ask() -> bool:
        listed = airflow.get("/api/v2/dags/~/dagRuns?limit=100&state=queued&state=running")
        return all(run["dag_run_id"] in except_for for run in listed["dag_runs"])

    wait_until("all runs are over", ask, RUNS_TIMEOUT_S)


def wait_for_quiet(airflow: Airflow, seconds: float, except_for: tuple[str, ...]) -> None:
    """Wait until no run but the named ones was touched for so long."""

    def ask() -> bool:
        since = (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()
        listed = airflow.get(f"/api/v2/dags/~/dagRuns?limit=100&updated_at_gte={quote(since)}")
        return all(run["dag_run_id"] in except_for for run in listed["dag_runs"])

    wait_until("nothing moves but the open runs", ask, RUNS_TIMEOUT_S)


def clear(airflow: Airflow, dag_id: str, run_id: str) -> None:
    """Send a run that has ended back to the queue, under the same id."""
    insist(airflow, "POST", run_path(dag_id, run_id) + "/clear", {"dry_run": False}, done=(200,))


def set_note(airflow: Airflow, dag_id: str, run_id: str, note: str) -> None:
    insist(airflow, "PATCH", run_path(dag_id, run_id), {"note": note}, done=(200,))
