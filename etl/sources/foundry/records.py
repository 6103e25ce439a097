"""What the API sends: one struct per object of its reference."""

import msgspec

from etl.decode import Int64, Time, check_time

STATUSES = ("SUCCEEDED", "FAILED")


class Duration(msgspec.Struct, forbid_unknown_fields=True, gc=False, omit_defaults=True):
    value: Int64 | None = None
    unit: str | None = None


class Execution(
    msgspec.Struct, rename="camel", forbid_unknown_fields=True, gc=False, omit_defaults=True
):
    """One completed execution. Only what names it has to be there: the API is in preview."""

    resource_rid: str
    foundry_trace_id: str
    trace_owning_rid: str
    start_time: Time
    resource_version: str | None = None
    status: str | None = None
    failure_reason: str | None = None
    duration: Duration | None = None
    caller_rid: str | None = None

    def __post_init__(self) -> None:
        check_time("startTime", self.start_time)
