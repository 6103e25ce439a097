"""DAGs for the live test: one that is quick, one steered by `conf`, one with mapped tasks."""

import time
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import dag, get_current_context, task

WAIT_MAX_S = 300.0


def read_conf() -> dict[str, Any]:
    """The `conf` of the run that the running task belongs to."""
    return get_current_context()["dag_run"].conf or {}


def wait_for_file(name: str | None) -> None:
    """Hold the task until the file `name` is there: so a test decides when a run ends."""
    deadline_s = time.monotonic() + WAIT_MAX_S
    while name and not Path(name).exists():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"{name} did not appear")
        time.sleep(0.2)


@dag(dag_id="etl_live_quick", schedule=None, max_active_runs=200, tags=["etl"])
def build_quick() -> None:
    """Ends within the scheduler: an EmptyOperator needs no worker process."""
    EmptyOperator(task_id="nothing")


@dag(dag_id="etl_live_work", schedule=None, max_active_runs=50, tags=["etl"])
def build_work() -> None:
    """Waits for the file `conf.hold`, then fails if `conf.fail`; what follows fails upstream."""

    @task
    def work() -> int:
        conf = read_conf()
        wait_for_file(conf.get("hold"))
        if conf.get("fail"):
            raise ValueError("asked to fail")
        return int(conf.get("n", 0))

    work() >> EmptyOperator(task_id="after")


@dag(dag_id="etl_live_mapped", schedule=None, tags=["etl"])
def build_mapped() -> None:
    """One task instance per entry of `conf.parts`, after `conf.hold`; a part below zero fails."""

    @task
    def list_parts() -> list[int]:
        conf = read_conf()
        wait_for_file(conf.get("hold"))
        return [int(part) for part in conf.get("parts", [])]

    @task(map_index_template="part {{ task.op_kwargs['part'] }}")
    def handle(part: int) -> int:
        if part < 0:
            raise ValueError("a part below zero")
        return part

    handle.expand(part=list_parts())


build_quick()
build_work()
build_mapped()
