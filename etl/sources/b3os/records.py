"""What the API sends: one struct per object of its OpenAPI document."""

from datetime import datetime
from typing import Annotated, get_args

import msgspec
from msgspec import Meta, Raw

from etl.decode import Int64, absent, convert_to_utc

Id = Annotated[str, Meta(min_length=1)]
Time = Annotated[str, Meta(description="RFC 3339; empty, or in year 1, where there is none")]


class Event(msgspec.Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    """What happened within an execution; `execution_id` is the execution's own."""

    id: str | None = None
    execution_id: str | None = None
    run_id: str | None = None
    workflow_id: str | None = None
    organization_id: str | None = None
    node_id: str | None = None
    event_type: str | None = None
    level: str | None = None
    title: str | None = None
    message: str | None = None
    data: Raw = msgspec.field(default_factory=absent)
    request_id: str | None = None
    created_at: Time | None = None

    def __post_init__(self) -> None:
        _check_times(self)


class Execution(msgspec.Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    """One execution. All but its id and its place in time may be missing.

    `events` are not part of the list; they are put in where they are asked for.
    """

    id: Id
    created_at: Time
    organization_id: str | None = None
    workflow_id: str | None = None
    run_id: str | None = None
    status: str | None = None
    status_reason: str | None = None
    payment_status: str | None = None
    checkout_session_id: str | None = None
    order_id: str | None = None
    external_ref: str | None = None
    idempotency_key: str | None = None
    initiated_by_id: str | None = None
    initiated_by_type: str | None = None
    source_system: str | None = None
    source_entity_type: str | None = None
    source_entity_id: str | None = None
    request_payload: Raw = msgspec.field(default_factory=absent)
    response_payload: Raw = msgspec.field(default_factory=absent)
    client_safe_metadata: Raw = msgspec.field(default_factory=absent)
    started_at: Time | None = None
    finished_at: Time | None = None
    updated_at: Time | None = None
    events: list[Event] | None = None

    def __post_init__(self) -> None:
        _check_times(self, "created_at")


class Run(msgspec.Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    """One run of a workflow, whoever started it."""

    id: Id
    started_at: Time
    finished_at: Time | None = None
    workflow_id: str | None = None
    workflow_name: str | None = None
    workflow_version: Int64 | None = None
    status: str | None = None
    summary: str | None = None
    trigger_source: str | None = None
    triggered_by: str | None = None
    trigger_node_id: str | None = None
    source_run_id: str | None = None
    total_cu: float | None = None
    is_simulation: bool | None = None
    is_dust_test: bool | None = None

    def __post_init__(self) -> None:
        _check_times(self, "started_at")


RECORD_TYPES: dict[str, type[Execution] | type[Run]] = {"executions": Execution, "runs": Run}
"""By the names of the streams."""
_TIMES = {
    kind: [
        (field.name, f"$.{field.encode_name}")
        for field in msgspec.structs.fields(kind)
        if Time in (field.type, *get_args(field.type))
    ]
    for kind in (Execution, Run, Event)
}


def parse_time(text: str | None) -> datetime | None:
    """A time of the API in UTC; None for none. Raises ValueError for what is not a time."""
    if not text:
        return None
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError("a time without its offset")
    return None if time.year == 1 else convert_to_utc(time)


def _check_times(record: Execution | Run | Event, needed: str = "") -> None:
    """Raise ValueError, which the decoder reports, for a time that is none."""
    for name, path in _TIMES[type(record)]:
        try:
            time = parse_time(getattr(record, name))
        except ValueError:
            raise ValueError(f"not a time - at `{path}`") from None
        if time is None and name == needed:
            raise ValueError(f"no time - at `{path}`")
