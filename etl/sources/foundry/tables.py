"""Executions as rows of `foundry.executions`."""

from etl.records import Column, Flat, Table
from etl.sources.foundry.records import STATUSES, Duration, Execution

MS_PER_UNIT = {
    "MILLISECONDS": 1,
    "SECONDS": 1_000,
    "MINUTES": 60_000,
    "HOURS": 3_600_000,
    "DAYS": 86_400_000,
    "WEEKS": 604_800_000,
}
"""Months and years have no fixed length."""
INT64_MAX = (1 << 63) - 1

EXECUTIONS = Table(
    "foundry.executions",
    (
        Column("resource_rid", "VARCHAR"),
        Column("foundry_trace_id", "VARCHAR"),
        Column("trace_owning_rid", "VARCHAR"),
        Column("started_at", "TIMESTAMPTZ"),
        Column("resource_version", "VARCHAR"),
        Column("status", "VARCHAR", known=STATUSES),
        Column("failure_reason", "VARCHAR", "reason"),
        Column("duration_value", "BIGINT"),
        Column("duration_unit", "VARCHAR", known=(*MS_PER_UNIT, "MONTHS", "YEARS")),
        Column("duration_ms", "BIGINT"),
        Column("caller_rid", "VARCHAR"),
    ),
    key=("resource_rid", "foundry_trace_id", "trace_owning_rid", "started_at"),
    time="started_at",
    is_time_fixed=True,
)
TABLES = (EXECUTIONS,)
_NO_DURATION = Duration()


def flatten(record: Execution) -> Flat:
    """The row of one execution; it has no child rows."""
    duration = record.duration or _NO_DURATION
    return Flat(
        (
            record.resource_rid,
            record.foundry_trace_id,
            record.trace_owning_rid,
            record.start_time,
            record.resource_version,
            record.status,
            record.failure_reason,
            duration.value,
            duration.unit,
            _measure_ms(duration),
            record.caller_rid,
        )
    )


def _measure_ms(duration: Duration) -> int | None:
    """The duration in milliseconds; None where its unit has no fixed length or is not known."""
    if duration.value is None or duration.unit not in MS_PER_UNIT:
        return None
    duration_ms = duration.value * MS_PER_UNIT[duration.unit]
    return duration_ms if abs(duration_ms) <= INT64_MAX else None
