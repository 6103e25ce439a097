"""Runs and task instances as rows: a column per field."""

from typing import Any, get_args

import msgspec
from msgspec import Raw

from etl.decode import Int64, Time, read_json
from etl.records import Column, Flat, Role, Table
from etl.sources.airflow.records import DagRun, TaskInstance

_TYPES = {
    str: "VARCHAR",
    Int64: "BIGINT",
    float: "DOUBLE",
    Time: "TIMESTAMPTZ",
    Raw: "JSON",
}
_ROLES: dict[str, Role] = {
    "conf": "json",
    # The address of a bundle may have a password in it.
    "dag_version": "json",
    "dag_versions": "json",
    "executor_config": "text",
    "note": "text",
    "rendered_fields": "json",
    "rendered_map_index": "text",
    "trigger": "json",
    "triggerer_job": "json",
}


RUN_STATES = ("queued", "running", "success", "failed")
TASK_STATES = (
    *("scheduled", "queued", "running", "restarting", "up_for_retry", "up_for_reschedule"),
    *("deferred", "awaiting_input"),
    *("success", "failed", "skipped", "upstream_failed", "removed"),
)


def _list_columns(record_type: type[msgspec.Struct], states: tuple[str, ...]) -> tuple[Column, ...]:
    """One column per field of a record, in their order."""
    return tuple(
        Column(
            field.name,
            _name_type(field.type),
            _ROLES.get(field.name, "plain"),
            known=states if field.name == "state" else (),
        )
        for field in msgspec.structs.fields(record_type)
    )


def _name_type(kind: Any) -> str:
    """The column type of a field that may be null."""
    return next(_TYPES[option] for option in (kind, *get_args(kind)) if option in _TYPES)


FINAL_STATES = "('success', 'failed', 'skipped', 'upstream_failed', 'removed')"

DAG_RUNS = Table(
    "airflow.dag_runs",
    _list_columns(DagRun, RUN_STATES),
    key=("dag_id", "dag_run_id"),
    numbered_by="dag_run_id",
    open_when="state NOT IN ('success', 'failed')",
)
TASK_INSTANCES = Table(
    "airflow.task_instances",
    _list_columns(TaskInstance, TASK_STATES),
    key=("dag_id", "dag_run_id", "task_id", "map_index"),
    numbered_by="dag_run_id",
    open_when=f"coalesce(state, 'none') NOT IN {FINAL_STATES}",
    # Before a mapped task expands it is one row of index -1, which becomes the one of index 0.
    ousted_when="stored.map_index = -1 AND incoming.map_index >= 0 "
    "AND stored.dag_id = incoming.dag_id AND stored.dag_run_id = incoming.dag_run_id "
    "AND stored.task_id = incoming.task_id AND coalesce(incoming.state, '') <> 'removed' "
    f"AND coalesce(stored.state, 'none') NOT IN {FINAL_STATES}",
)
TABLES = (DAG_RUNS, TASK_INSTANCES)


def flatten(record: DagRun | TaskInstance) -> Flat:
    """The row of one run or of one task instance; neither has child rows."""
    values = msgspec.structs.astuple(record)
    return Flat(tuple([read_json(v) if isinstance(v, Raw) else v for v in values]))
