"""Palantir Foundry: `POST /api/v2/observability/resources/{rid}/listExecutions`, in preview.

Order: newest first. Paging: a token, good for the request it came from and for a while; a page
may come without `data`. Limit: 100 a page. Only completed executions are listed, by start time: a
long one appears late. There is no id and no way to retrieve a single execution. Source: API
reference on palantir.com, "List Executions Resource".
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote

import msgspec
from msgspec import Meta, Raw

from etl.decode import Decoded, decode_records
from etl.errors import ConfigError, PositionLost, RequestRefused, SourceError
from etl.http import Answer, Client, fetch
from etl.records import Broken, Column, Flat, Gap, Mark, Page, SourceConfig, Stream, Table

BASE_URL = None
LOOKBACK = timedelta(hours=24)
PAGE_SIZE_MAX = 100
STATUSES = ("SUCCEEDED", "FAILED")
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
RESOURCE = re.compile(r"ri\.[a-z][a-z0-9-]*\.[a-z0-9-]*\.[a-z][a-z0-9-]*\.[A-Za-z0-9._-]+")
ALARM = "a different execution has the same resource, trace, owner and start time"
TOKEN_REFUSED_STATUSES = frozenset({400, 404, 410})

OPERATORS = {
    "status": ("eq", "in"),
    "duration": ("gte", "lte"),
    "userId": ("eq", "in", "isNull"),
    "callerRid": ("eq", "in", "isNull"),
    "resourceVersion": ("eq", "in"),
    "failureReason": ("eq", "in"),
    "foundryTraceId": ("eq", "in"),
    "traceOwningRid": ("eq", "in"),
}
"""Which fields a filter may ask for, and how."""
FILTER_KEYS = {
    "eq": {"type", "field", "value"},
    "in": {"type", "field", "value"},
    "gte": {"type", "field", "value"},
    "lte": {"type", "field", "value"},
    "isNull": {"type", "field"},
    "not": {"type", "filter"},
    "and": {"type", "filters"},
    "or": {"type", "filters"},
}
FILTER_UNITS = ("MILLISECONDS", "SECONDS", "MINUTES", "HOURS")
FILTER_DEPTH_MAX = 20

EXECUTIONS = Table(
    "foundry.executions",
    (
        Column("resource_rid", "VARCHAR"),
        Column("foundry_trace_id", "VARCHAR"),
        Column("trace_owning_rid", "VARCHAR"),
        Column("started_at", "TIMESTAMPTZ"),
        Column("resource_version", "VARCHAR"),
        Column("status", "VARCHAR", known=STATUSES),
        Column("failure_reason", "VARCHAR"),
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


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The keys that only this kind has; `where` is passed on as it is."""

    resources: Annotated[
        tuple[str, ...],
        Meta(min_length=1, description="a list of resource RIDs, one at least"),
    ]
    where: Annotated[dict[str, Any], Meta(description="a filter: a table")] | None = None
    window_days: Annotated[
        float, Meta(ge=0.01, le=3_650, description="a number of days from 0.01 to 3650")
    ] = 30.0


def check_options(options: Options) -> None:
    """Raise ValueError, with the path of the fault, for what the API would refuse."""
    for place, rid in enumerate(options.resources):
        if not RESOURCE.fullmatch(rid):
            raise ValueError(
                f"resources[{place}]: expected a RID, such as "
                '"ri.function-registry.main.function.c26f11c8-cdb3-4f44-9f5d-9816ea1c82da"'
            )
        if rid in options.resources[:place]:
            raise ValueError(f"resources[{place}]: the same resource stands in the list before")
    if options.where is not None:
        _check_filter(options.where, "where", 0)


def _check_filter(where: Any, path: str, depth: int) -> None:
    if not isinstance(where, dict):
        raise ValueError(f"{path}: expected a table")
    if depth > FILTER_DEPTH_MAX:
        raise ValueError(f"{path}: nested more than {FILTER_DEPTH_MAX} deep")
    operator = where.get("type")
    if operator not in FILTER_KEYS:
        raise ValueError(f"{path}.type: expected one of {', '.join(FILTER_KEYS)}")
    for key in sorted(FILTER_KEYS[operator] ^ where.keys()):
        reason = "missing" if key not in where else f"{operator} has no such key"
        raise ValueError(f"{path}.{key}: {reason}")
    if operator == "not":
        _check_filter(where["filter"], f"{path}.filter", depth + 1)
    elif operator in ("and", "or"):
        if not isinstance(where["filters"], list) or not where["filters"]:
            raise ValueError(f"{path}.filters: expected a list with one filter at least")
        for place, child in enumerate(where["filters"]):
            _check_filter(child, f"{path}.filters[{place}]", depth + 1)
    else:
        _check_comparison(where, path)


def _check_comparison(where: dict[str, Any], path: str) -> None:
    name, operator = where["field"], where["type"]
    if name not in OPERATORS:
        raise ValueError(f"{path}.field: expected one of {', '.join(OPERATORS)}")
    if operator not in OPERATORS[name]:
        raise ValueError(f"{path}.type: {name} takes {', '.join(OPERATORS[name])} only")
    if operator == "isNull":
        return
    if name == "duration":
        _check_duration(where["value"], f"{path}.value")
        return
    values = where["value"] if operator == "in" else [where["value"]]
    form = "a list with one text at least" if operator == "in" else "a text"
    if not isinstance(values, list) or not values or not all(isinstance(v, str) for v in values):
        raise ValueError(f"{path}.value: expected {form}")
    if name == "status" and not set(values) <= set(STATUSES):
        raise ValueError(f"{path}.value: expected {' or '.join(STATUSES)}")


def _check_duration(value: Any, path: str) -> None:
    if not isinstance(value, dict) or value.keys() != {"value", "unit"}:
        raise ValueError(f"{path}: expected a table with value and unit")
    if type(value["value"]) is not int or value["value"] < 0:
        raise ValueError(f"{path}.value: expected a whole number, not below 0")
    if value["unit"] not in FILTER_UNITS:
        raise ValueError(f"{path}.unit: expected one of {', '.join(FILTER_UNITS)}")


class Duration(msgspec.Struct, forbid_unknown_fields=True, gc=False, omit_defaults=True):
    value: Annotated[int, Meta(ge=-INT64_MAX, le=INT64_MAX)] | None = None
    unit: str | None = None


class Execution(
    msgspec.Struct, rename="camel", forbid_unknown_fields=True, gc=False, omit_defaults=True
):
    """One completed execution. Only what names it has to be there: the API is in preview."""

    resource_rid: str
    foundry_trace_id: str
    trace_owning_rid: str
    start_time: Annotated[datetime, Meta(tz=True)]
    resource_version: str | None = None
    status: str | None = None
    failure_reason: str | None = None
    duration: Duration | None = None
    caller_rid: str | None = None


class _List(msgspec.Struct, rename="camel"):
    data: list[Execution] | None = None
    next_page_token: str | None = None


class _RawList(msgspec.Struct, rename="camel"):
    data: list[Raw] | None = None
    next_page_token: str | None = None


class _Row(NamedTuple):
    """An execution, what the program does not know of it as JSON text, and its natural key."""

    execution: Execution
    extra: bytes
    name: str


class _Position(msgspec.Struct, frozen=True, array_like=True):
    """The token of the next page, and the last rows read, all of one start time.

    `tail` has digests of their content by digests of their names: positions stand in messages.
    """

    token: str
    tail: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Listed:
    decoded: Decoded[Execution]
    token: str | None
    served_at: datetime | None


_decode_list = msgspec.json.Decoder(_List).decode
_decode_raw_list = msgspec.json.Decoder(_RawList).decode
_decode_position = msgspec.json.Decoder(_Position).decode
_decode_extra = msgspec.json.Decoder(dict[str, Raw]).decode
_NO_DURATION = Duration()


def list_streams(config: SourceConfig) -> tuple[Stream, ...]:
    """One list per resource; what a filter leaves of it is another list."""
    options: Options = config.options
    window = timedelta(days=options.window_days)
    suffix = "" if options.where is None else f"?where={_digest_filter(options.where)}"
    return tuple(
        Stream(rid + suffix, EXECUTIONS, LOOKBACK, "descending", is_windowed=True, window=window)
        for rid in options.resources
    )


def _digest_filter(where: dict[str, Any]) -> str:
    """Eight hex digits that are the same for the same filter, however its keys are ordered."""
    return _digest(msgspec.json.encode(where, order="deterministic"), 4)


def _digest(content: bytes, size_bytes: int = 8) -> str:
    return hashlib.blake2b(content, digest_size=size_bytes).hexdigest()


def fetch_page(
    client: Client, config: SourceConfig, stream: Stream, gap: Gap, position: str | None
) -> Page:
    """The page at `position`, or the first one of the gap.

    Raises PositionLost when the server refuses the page token.
    """
    here = None if position is None else _decode_position(position)
    rid = stream.name.partition("?")[0]
    path = f"/api/v2/observability/resources/{quote(rid, safe='')}/listExecutions"
    body = _build_body(config, gap, here)
    try:
        listed = fetch(client, "POST", path, _decode_page, {"preview": "true"}, body)
    except RequestRefused as error:
        if here is not None and error.status in TOKEN_REFUSED_STATUSES:
            raise PositionLost(str(error)) from error
        if error.status == 404 and not error.detail:
            raise SourceError(
                f"{error}: the endpoint is not enabled on this Foundry; it is in preview, ask "
                "Palantir support for it"
            ) from error
        raise
    return _make_page(listed, here.tail if here else {})


def _build_body(config: SourceConfig, gap: Gap, here: _Position | None) -> dict[str, Any]:
    """The request: with both bounds always, for what one of them alone means is not documented."""
    body: dict[str, Any] = {
        "startTime": _format_time(gap.since),
        "endTime": _format_time(gap.until),
        "pageSize": min(config.page_size, PAGE_SIZE_MAX),
    }
    if config.options.where is not None:
        body["where"] = config.options.where
    if here is not None:
        body["pageToken"] = here.token
    return body


def _format_time(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _decode_page(answer: Answer) -> _Listed:
    try:
        listed = _decode_list(answer.body)
    except msgspec.ValidationError:
        raw = _decode_raw_list(answer.body)
        decoded = decode_records(raw.data or [], Execution)
        return _Listed(decoded, raw.next_page_token or None, answer.served_at)
    decoded = Decoded(listed.data or [], {}, ())
    return _Listed(decoded, listed.next_page_token or None, answer.served_at)


def _make_page(listed: _Listed, tail: Mapping[str, str]) -> Page:
    rows, doubles = _set_aside_doubles(_list_rows(listed.decoded), tail)
    following = None
    if listed.token is not None:
        following = _Position(listed.token, _find_tail(rows) or dict(tail))
    return Page(
        [row.execution for row in rows],
        [Mark(row.name, row.execution.start_time) for row in rows],
        None if following is None else msgspec.json.encode(following).decode(),
        {place: row.extra for place, row in enumerate(rows) if row.extra},
        [*listed.decoded.broken, *doubles],
        served_at=listed.served_at,
    )


def _list_rows(decoded: Decoded[Execution]) -> list[_Row]:
    extras = decoded.extras
    return [
        _Row(record, extras.get(place, b""), name_record(record))
        for place, record in enumerate(decoded.records)
    ]


def name_record(record: Execution) -> str:
    """The natural key as text: `resource/trace/owner/start`."""
    start = _format_time(record.start_time)
    return f"{record.resource_rid}/{record.foundry_trace_id}/{record.trace_owning_rid}/{start}"


def _set_aside_doubles(
    rows: list[_Row], tail: Mapping[str, str]
) -> tuple[list[_Row], list[Broken]]:
    """The rows but those that differ from another one of the same key: nothing tells them apart.

    The key holds the start time, so such rows stand together; `tail` is the end of the page before.
    """
    first: dict[str, _Row] = {}
    kept: list[_Row] = []
    broken: list[Broken] = []
    for row in rows:
        before = tail.get(_digest(row.name.encode())) if tail else None
        is_known = before is None or before == _digest_row(row)
        if is_known and first.setdefault(row.name, row) == row:
            kept.append(row)
        else:
            broken.append(Broken(_write_row(row), "$", ALARM))
    return kept, broken


def _find_tail(rows: Sequence[_Row]) -> dict[str, str]:
    """The last rows of a page that share their start time, as digests."""
    last = [row for row in rows if row.execution.start_time == rows[-1].execution.start_time]
    return {_digest(row.name.encode()): _digest_row(row) for row in last}


def _digest_row(row: _Row) -> str:
    return _digest(msgspec.json.encode(row.execution) + row.extra)


def _write_row(row: _Row) -> bytes:
    extra = _decode_extra(row.extra) if row.extra else {}
    return msgspec.json.encode(msgspec.to_builtins(row.execution) | extra)


def fetch_record(client: Client, config: SourceConfig, stream: Stream, record_id: str) -> Page:
    """Raises ConfigError: the API has lists only."""
    raise ConfigError(f"{client.source}: foundry cannot retrieve single executions")


def find_record_type(stream: Stream) -> type[Execution]:
    """What a record of a stream is decoded to."""
    return Execution


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
