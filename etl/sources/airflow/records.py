"""What the API sends: one struct per object of its OpenAPI document."""

from typing import get_args

import msgspec
from msgspec import Raw, structs

from etl.decode import Int64, Time, absent, check_time


class DagRun(msgspec.Struct, forbid_unknown_fields=True, gc=False, kw_only=True):
    """One run. Only its key is always there: older releases lack many of the rest."""

    dag_id: str
    dag_run_id: str
    dag_display_name: str | None = None
    run_type: str | None = None
    state: str | None = None
    logical_date: Time | None = None
    run_after: Time | None = None
    queued_at: Time | None = None
    start_date: Time | None = None
    end_date: Time | None = None
    duration_s: float | None = msgspec.field(name="duration", default=None)
    data_interval_start: Time | None = None
    data_interval_end: Time | None = None
    last_scheduling_decision: Time | None = None
    triggered_by: str | None = None
    triggering_user_name: str | None = None
    conf: Raw = msgspec.field(default_factory=absent)
    note: str | None = None
    dag_versions: Raw = msgspec.field(default_factory=absent)
    bundle_version: str | None = None
    partition_key: str | None = None
    partition_date: Time | None = None

    def __post_init__(self) -> None:
        _check_times(self)


class TaskInstance(msgspec.Struct, forbid_unknown_fields=True, gc=False, kw_only=True):
    """One task of a run, or one part of a mapped task; its `id` changes with each try."""

    dag_id: str
    dag_run_id: str
    task_id: str
    map_index: Int64
    id: str | None = None
    state: str | None = None
    try_number: Int64 | None = None
    max_tries: Int64 | None = None
    task_display_name: str | None = None
    dag_display_name: str | None = None
    logical_date: Time | None = None
    run_after: Time | None = None
    scheduled_when: Time | None = None
    queued_when: Time | None = None
    start_date: Time | None = None
    end_date: Time | None = None
    duration_s: float | None = msgspec.field(name="duration", default=None)
    operator: str | None = None
    operator_name: str | None = None
    hostname: str | None = None
    unixname: str | None = None
    pid: Int64 | None = None
    pool: str | None = None
    pool_slots: Int64 | None = None
    queue: str | None = None
    priority_weight: Int64 | None = None
    executor: str | None = None
    executor_config: str | None = None
    note: str | None = None
    rendered_map_index: str | None = None
    rendered_fields: Raw = msgspec.field(default_factory=absent)
    trigger: Raw = msgspec.field(default_factory=absent)
    triggerer_job: Raw = msgspec.field(default_factory=absent)
    dag_version: Raw = msgspec.field(default_factory=absent)

    def __post_init__(self) -> None:
        _check_times(self)


_TIMES = {
    kind: tuple(field.name for field in structs.fields(kind) if Time in get_args(field.type))
    for kind in (DagRun, TaskInstance)
}


def _check_times(record: DagRun | TaskInstance) -> None:
    """Raise ValueError, which the decoder reports, for a time beyond the calendar."""
    for name in _TIMES[type(record)]:
        check_time(name, getattr(record, name))


RECORD_TYPES: dict[str, type[DagRun] | type[TaskInstance]] = {
    "dag_runs": DagRun,
    "task_instances": TaskInstance,
}
"""By the names of the streams."""
