"""B3OS Workflow API: `GET /v1/executions`, and `GET /v1/runs` if asked for.

Order: not documented; detected. Paging: offset and limit, `hasMore`; no filter, no sort, so rows
that come and go shift all behind them. Limit: 100 a page. Inside an envelope whose `code` is the
HTTP status, or begins with it (400228). Statuses grow; a retry reopens a finished execution.
Source: OpenAPI of the B3OS Workflow API; docs.b3os.org.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any, TypeVar, get_args
from urllib.parse import quote

import msgspec
from msgspec import Meta, Raw

from etl.decode import Decoded, absent, decode_records, read_json
from etl.errors import (
    ConfigError,
    CredentialsError,
    PositionLost,
    RequestRefused,
    SourceError,
)
from etl.http import Answer, Client, Transient, fetch
from etl.offsets import (
    LIMIT_MIN,
    OffsetRefused,
    Place,
    Position,
    Rows,
    find_place,
    find_start,
    mark_place,
)
from etl.records import Column, Flat, Gap, Mark, Page, Role, SourceConfig, Stream, Table
from etl.refusals import RETRIED_STATUSES, describe_error_body

BASE_URL = "https://api.b3os.org"
LOOKBACK = timedelta(hours=1)
PAGE_SIZE_MAX = 100
GONE_STATUSES = frozenset({400, 404, 410})
"""How an unknown id is answered; the API documents 400 only."""

PAYMENT_STATUSES = ("awaiting_payment", "payment_confirmed")
OPEN_STATUSES = (*PAYMENT_STATUSES, "workflow_queued", "workflow_running", "workflow_waiting")
FINAL_STATUSES = ("workflow_succeeded", "workflow_partial", "workflow_failed", "workflow_cancelled")
OPEN_RUN_STATUSES = ("running", "waiting")
RUN_STATUSES = (*OPEN_RUN_STATUSES, "success", "partial", "failure", "cancelled")

Id = Annotated[str, Meta(min_length=1)]
Time = Annotated[str, Meta(description="RFC 3339; empty, or in year 1, where there is none")]
Whole = Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
OrgId = Annotated[str, Meta(pattern=r"^[!-~]+\Z", description="the id of an organization")]
T = TypeVar("T")


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The keys that only this kind has.

    `runs`: also the runs that nobody started from outside. `events`: also what happened within
    each execution, for one more request per execution. `org_id`: for keys of several
    organizations.
    """

    runs: Annotated[bool, Meta(description="true or false")] = False
    events: Annotated[bool, Meta(description="true or false")] = False
    org_id: OrgId | None = None


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
    workflow_version: Whole | None = None
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


_COLUMN_TYPES: dict[Any, str] = {
    Time: "TIMESTAMPTZ",
    Id: "VARCHAR",
    str: "VARCHAR",
    Whole: "BIGINT",
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
    open_when=f"status IN {OPEN_RUN_STATUSES}",
)
TABLES = (EXECUTIONS, RUNS)
_RECORD_TYPES: dict[str, type[Execution] | type[Run]] = {"executions": Execution, "runs": Run}


class _Envelope(msgspec.Struct, rename="camel"):
    """Around every answer. The introduction of the API shows one with `success` and `error`."""

    code: int | None = None
    data: Raw = msgspec.field(default_factory=absent)
    success: bool | None = None
    has_more: bool | None = None


class _ListData(msgspec.Struct, rename="camel"):
    items: list[Raw] | None = None
    has_more: bool | None = None
    offset: int | None = None


class _Single(msgspec.Struct):
    execution: Raw
    events: Raw = msgspec.field(default_factory=absent)


class _Name(msgspec.Struct, rename="camel"):
    """What places a record in its list, whatever else is wrong with it."""

    id: Any = None
    created_at: Any = None
    started_at: Any = None


_TIMES = {
    kind: [
        (field.name, f"$.{field.encode_name}")
        for field in msgspec.structs.fields(kind)
        if _name_type(field.type) == "TIMESTAMPTZ"
    ]
    for kind in (Execution, Run, Event)
}
_DECODERS = {name: msgspec.json.Decoder(list[kind]) for name, kind in _RECORD_TYPES.items()}  # type: ignore[valid-type]
_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_list_data = msgspec.json.Decoder(_ListData).decode
_decode_raws = msgspec.json.Decoder(list[Raw] | None).decode
_decode_single = msgspec.json.Decoder(_Single).decode
_decode_name = msgspec.json.Decoder(_Name).decode
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_position = msgspec.json.Decoder(Position).decode


def list_streams(config: SourceConfig) -> tuple[Stream, ...]:
    """The executions and, if asked for, all runs of the organization."""
    executions = Stream("executions", EXECUTIONS, LOOKBACK, is_retrievable=True)
    return (executions, Stream("runs", RUNS, LOOKBACK)) if config.options.runs else (executions,)


def fetch_page(
    client: Client, config: SourceConfig, stream: Stream, gap: Gap, position: str | None
) -> Page:
    """The records behind `position`, or the first ones of the gap.

    Raises PositionLost when the records that the walk has read last are not there any more.
    """
    limit = max(LIMIT_MIN, min(config.page_size, PAGE_SIZE_MAX))
    read = partial(_fetch_list, client, config, stream)
    if position is None:
        return _make_page(client, config, stream, find_start(read, gap, limit), 0)
    found = find_place(read, _decode_position(position), limit)
    if found is None:
        raise PositionLost(f"{client.source}/{stream.name}: nothing is where it was at {position}")
    return _make_page(client, config, stream, *found)


def _fetch_list(
    client: Client, config: SourceConfig, stream: Stream, offset: int, limit: int
) -> Rows:
    def read(envelope: _Envelope, served_at: datetime | None) -> Rows:
        data = _open_list(envelope, limit)
        raws = data.items or []
        places = [_read_place(stream, raw) for raw in raws]
        start = offset if data.offset is None else data.offset
        return Rows(start, raws, places, bool(raws and data.has_more), served_at)

    params = {"limit": str(limit), "offset": str(offset)}
    try:
        return _fetch(client, config, f"/v1/{stream.name}", read, params)
    except RequestRefused as error:
        if offset == 0 or error.status != 400:
            raise
        raise OffsetRefused(
            f"{error}: the API may not take an offset as large as {offset}; what came before is "
            "kept, a later `since` ends the walk earlier"
        ) from error


def _open_list(envelope: _Envelope, limit: int) -> _ListData:
    """The list of an answer, its `has_more` known. Raises ValidationError.

    The records may stand in `data` itself, and an empty list may be null or left out.
    """
    if bytes(envelope.data).startswith(b"["):
        data = _ListData(_decode_raws(envelope.data))
    else:
        data = _decode_list_data(envelope.data)
    has_more = envelope.has_more if data.has_more is None else data.has_more
    if data.items is None and has_more is not False:
        raise msgspec.ValidationError("there are no items")
    is_full = len(data.items or ()) >= limit
    return _ListData(data.items, is_full if has_more is None else has_more, data.offset)


def _read_place(stream: Stream, raw: Raw) -> Place:
    """The id and the key time of a record that may be broken otherwise."""
    try:
        name = _decode_name(raw)
    except msgspec.ValidationError:
        return Place(None, None)
    text = name.created_at if stream.table is EXECUTIONS else name.started_at
    try:
        time = parse_time(text) if isinstance(text, str) else None
    except ValueError:
        time = None
    return Place(name.id if isinstance(name.id, str) and name.id else None, time)


def _fetch(
    client: Client,
    config: SourceConfig,
    path: str,
    read: Callable[[_Envelope, datetime | None], T],
    params: dict[str, str] | None = None,
) -> T:
    """What an envelope holds. A failure inside HTTP 200 is one as if it had its own status."""

    def decode(answer: Answer) -> T:
        envelope = _decode_envelope(answer.body)
        _check_success(client.source, path, envelope, answer.body, config.token)
        return read(envelope, answer.served_at)

    headers = {"X-Org-ID": config.options.org_id} if config.options.org_id else None
    return fetch(client, "GET", path, decode, params, headers=headers)


def _check_success(source: str, path: str, envelope: _Envelope, body: bytes, token: str) -> None:
    code = envelope.code
    status = _read_status(code)
    if envelope.success is not False and (status == 0 or 200 <= status < 300):
        return
    detail = describe_error_body(body, token)
    message = f"failed inside HTTP 200, code {code}: {detail}"
    line = f"{source}: GET {path}: {message}"
    if status in RETRIED_STATUSES or status >= 500:
        raise Transient(message)
    if status in (401, 403):
        raise CredentialsError(line)
    if 400 <= status < 500:
        raise RequestRefused(line, status, detail)
    raise SourceError(line)


def _read_status(code: int | None) -> int:
    """The HTTP status that a code stands for: its first three digits; 0 where there is none."""
    status = abs(code or 0)
    while status >= 1_000:
        status //= 10
    return status


def _make_page(
    client: Client, config: SourceConfig, stream: Stream, rows: Rows, first: int
) -> Page:
    """The records of an answer from row `first` on."""
    raws = rows.raws[first:]
    if config.options.events and stream.table is EXECUTIONS:
        ids = [place.id for place in rows.places[first:]]
        raws = [_add_events(client, config, *named) for named in zip(raws, ids, strict=True)]
    following = mark_place(rows) if rows.has_more else None
    if rows.has_more and following is None:
        raise SourceError(f"{client.source}/{stream.name}: a whole page of records without an id")
    return _build_page(stream, raws, following, rows.served_at)


def _build_page(
    stream: Stream, raws: Sequence[Raw], following: Position | None, served_at: datetime | None
) -> Page:
    decoded: Decoded[Any]
    try:
        decoded = Decoded(_DECODERS[stream.name].decode(msgspec.json.encode(raws)), {}, ())
    except msgspec.ValidationError:
        decoded = decode_records(raws, _RECORD_TYPES[stream.name])
    return Page(
        decoded.records,
        [Mark(record.id, _read_key_time(record)) for record in decoded.records],
        None if following is None else msgspec.json.encode(following).decode(),
        decoded.extras,
        decoded.broken,
        served_at=served_at,
    )


def _read_key_time(record: Execution | Run) -> datetime | None:
    return parse_time(record.created_at if isinstance(record, Execution) else record.started_at)


def _add_events(client: Client, config: SourceConfig, raw: Raw, record_id: str | None) -> Raw:
    """An execution of the list with its events; without them if it is gone by now."""
    if record_id is None:
        return raw
    path = f"/v1/executions/{quote(record_id, safe='')}/events"
    try:
        events = _fetch(client, config, path, lambda envelope, _: envelope.data)
    except RequestRefused as error:
        if error.status not in GONE_STATUSES:
            raise
        return raw
    return _join_events(raw, events)


def _join_events(raw: Raw, events: Raw) -> Raw:
    fields = _decode_fields(raw)
    fields["events"] = Raw(b"[]") if read_json(events) is None else events
    return Raw(msgspec.json.encode(fields))


def fetch_record(client: Client, config: SourceConfig, stream: Stream, record_id: str) -> Page:
    """One execution by its id, as a page of one. Raises PositionLost if it is not there.

    Raises ConfigError for a run: the API shows a single one in another form than its list does.
    """
    if stream.table is not EXECUTIONS:
        raise ConfigError(f"{client.source}: b3os cannot retrieve single runs")
    path = f"/v1/executions/{quote(record_id, safe='')}"
    try:
        single = _fetch(client, config, path, lambda envelope, _: _decode_single(envelope.data))
    except RequestRefused as error:
        if error.status not in GONE_STATUSES:
            raise
        raise PositionLost(str(error)) from error
    raw = single.execution
    if read_json(raw) is None:
        raise PositionLost(f"{client.source}: GET {path}: there is no such execution")
    if config.options.events:
        raw = _join_events(raw, single.events)
    return _build_page(stream, [raw], None, None)


def parse_time(text: str | None) -> datetime | None:
    """A time of the API in UTC; None for none. Raises ValueError for what is not a time."""
    if not text:
        return None
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError("a time without its offset")
    try:
        return None if time.year == 1 else time.astimezone(UTC)
    except OverflowError:
        raise ValueError("a time beyond all calendars") from None


def _check_times(record: Execution | Run | Event, needed: str = "") -> None:
    """Raise ValueError, which the decoder reports, for a time that is none."""
    for name, path in _TIMES[type(record)]:
        try:
            time = parse_time(getattr(record, name))
        except ValueError:
            raise ValueError(f"not a time - at `{path}`") from None
        if time is None and name == needed:
            raise ValueError(f"no time - at `{path}`")


def find_record_type(stream: Stream) -> type[Execution] | type[Run]:
    """What a record of the stream is decoded to."""
    return _RECORD_TYPES[stream.name]


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
