"""DAGs for the live test: one that is quick, one steered by `conf`, one with mapped tasks."""

import time
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import dag, get_current_context, task


def read_conf() -> dict[str, Any]:
    """The `conf` of the run that the running task belongs to."""
    return get_current_context()["dag_run"].conf or {}


@dag(dag_id="etl_live_quick", schedule=None, max_active_runs=200, tags=["etl"])
def build_quick() -> None:
    """Ends within the scheduler: an EmptyOperator needs no worker process."""
    EmptyOperator(task_id="nothing")


@dag(dag_id="etl_live_work", schedule=None, max_active_runs=50, tags=["etl"])
def build_work() -> None:
    """Sleeps `conf.sleep_s`, then fails if `conf.fail`; what follows it then fails upstream."""

    @task
    def work() -> int:
        conf = read_conf()
        time.sleep(float(conf.get("sleep_s", 0)))
        if conf.get("fail"):
            raise ValueError("asked to fail")
        return int(conf.get("n", 0))

    work() >> EmptyOperator(task_id="after")


@dag(dag_id="etl_live_mapped", schedule=None, tags=["etl"])
def build_mapped() -> None:
    """One task instance per entry of `conf.parts`; a part below zero fails."""

    @task
    def list_parts() -> list[int]:
        return [int(part) for part in read_conf().get("parts", [])]

    @task(map_index_template="part {{ task.op_kwargs['part'] }}")
    def handle(part: int) -> int:
        if part < 0:
            raise ValueError("a part below zero")
        return part

    handle.expand(part=list_parts())


build_quick()
build_work()
build_mapped()
