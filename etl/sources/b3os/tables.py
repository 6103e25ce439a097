"""Executions, their events, and runs as rows: a column per field."""

from collections.abc import Callable
from typing import Any, get_args

import msgspec
from msgspec import Raw

from etl.decode import Int64, read_json
from etl.records import Column, Flat, Role, Table
from etl.sources.b3os.records import Event, Execution, Id, Run, Time, parse_time

PAYMENT_STATUSES = ("awaiting_payment", "payment_confirmed")
OPEN_STATUSES = (*PAYMENT_STATUSES, "workflow_queued", "workflow_running", "workflow_waiting")
FINAL_STATUSES = ("workflow_succeeded", "workflow_partial", "workflow_failed", "workflow_cancelled")
OPEN_RUN_STATUSES = ("running", "waiting")
RUN_STATUSES = (*OPEN_RUN_STATUSES, "success", "partial", "failure", "cancelled")

_COLUMN_TYPES: dict[Any, str] = {
    Time: "TIMESTAMPTZ",
    Id: "VARCHAR",
    str: "VARCHAR",
    Int64: "BIGINT",
    float: "DOUBLE",
    bool: "BOOLEAN",
    Raw: "JSON",
}
_JSONS = ("request_payload", "response_payload", "client_safe_metadata", "data")
_TEXTS = ("status_reason", "summary", "title", "message")
_ROLES: dict[str, Role] = {**dict.fromkeys(_JSONS, "json"), **dict.fromkeys(_TEXTS, "text")}


def _list_columns(
    record_type: type[msgspec.Struct], statuses: tuple[str, ...] = (), without: str = ""
) -> tuple[Column, ...]:
    """One column per field of a record, in their order, but the one that is stored elsewhere."""
    fields = [field for field in msgspec.structs.fields(record_type) if field.name != without]
    return tuple(
        Column(
            field.name,
            _name_type(field.type),
            _ROLES.get(field.name, "plain"),
            known=statuses if field.name == "status" else (),
        )
        for field in fields
    )


def _name_type(kind: Any) -> str:
    """The column type of a field that may be null; empty for one that is no column."""
    options = (kind, *get_args(kind))
    return next((_COLUMN_TYPES[option] for option in options if option in _COLUMN_TYPES), "")


EVENTS = Table("b3os.events", _list_columns(Event, without="execution_id"))
EXECUTIONS = Table(
    "b3os.executions",
    _list_columns(Execution, (*OPEN_STATUSES, *FINAL_STATUSES), without="events"),
    key=("id",),
    time="created_at",
    is_time_fixed=True,
    # One with an unknown status is not read again and again: the last status that was added to
    # the API was a final one, and what changes soon is within the lookback.
    open_when=f"status IN {OPEN_STATUSES}",
    children=(EVENTS,),
)
RUNS = Table(
    "b3os.runs",
    _list_columns(Run, RUN_STATUSES),
    key=("id",),
    time="started_at",
    numbered_by="id",
    open_when=f"status IN {OPEN_RUN_STATUSES}",
)
TABLES = (EXECUTIONS, RUNS)


def flatten(record: Execution | Run) -> Flat:
    """The row of one execution and its events, or of one run."""
    if isinstance(record, Run):
        return Flat(_flatten_fields(RUNS, record))
    row = _flatten_fields(EXECUTIONS, record)
    if record.events is None:
        return Flat(row)
    return Flat(row, ([_flatten_fields(EVENTS, event) for event in record.events],))


def _flatten_fields(table: Table, record: Execution | Run | Event) -> tuple[Any, ...]:
    values = [(column.type, getattr(record, column.name)) for column in table.columns]
    return tuple([_READERS[kind](value) if kind in _READERS else value for kind, value in values])


_READERS: dict[str, Callable[[Any], Any]] = {"TIMESTAMPTZ": parse_time, "JSON": read_json}
