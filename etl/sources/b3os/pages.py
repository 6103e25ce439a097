"""Pages of both lists, single executions, and their events."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Raw

from etl.decode import Decoded, absent, decode_records, read_json
from etl.errors import (
    ConfigError,
    CredentialsError,
    GapTooLarge,
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
from etl.records import Gap, Mark, Page, SourceConfig, Stream
from etl.refusals import RETRIED_STATUSES, describe_error_body
from etl.sources.b3os.records import RECORD_TYPES, Execution, Run, parse_time
from etl.sources.b3os.tables import EXECUTIONS, RUNS

BASE_URL = "https://api.b3os.org"
LOOKBACK = timedelta(hours=1)
PAGE_SIZE_MAX = 100
GONE_STATUSES = frozenset({400, 404, 410})
"""How an unknown id is answered; the API documents 400 only."""
EVENT_MISSES = "executions in a row without events"
EVENT_MISSES_MAX = 3
T = TypeVar("T")


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


# A type that is chosen at run time is more than mypy can follow.
_DECODERS = {name: msgspec.json.Decoder(list[kind]) for name, kind in RECORD_TYPES.items()}  # type: ignore[valid-type]
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
    here = _decode_position(position)
    found = find_place(read, here, limit)
    if found is None:
        raise PositionLost(f"{client.source}/{stream.name}: nothing is where it was at {position}")
    return _make_page(client, config, stream, *found, here)


def _fetch_list(
    client: Client, config: SourceConfig, stream: Stream, offset: int, limit: int
) -> Rows:
    def read(envelope: _Envelope, served_at: datetime | None) -> Rows:
        data = _open_list(envelope, limit)
        raws = data.items or []
        if data.has_more and not raws:
            raise Transient("an empty page says that more follows")
        places = [_read_place(stream, raw) for raw in raws]
        start = offset if data.offset is None else data.offset
        return Rows(start, raws, places, bool(data.has_more), served_at)

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
        raise CredentialsError(line, "source" if status == 401 else "stream")
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
    client: Client,
    config: SourceConfig,
    stream: Stream,
    rows: Rows,
    first: int,
    here: Position | None = None,
) -> Page:
    """The records of an answer from row `first` on, which stands behind `here`."""
    raws = rows.raws[first:]
    if config.options.events and stream.table is EXECUTIONS:
        ids = [place.id for place in rows.places[first:]]
        raws = [_add_events(client, config, *named) for named in zip(raws, ids, strict=True)]
    following = mark_place(rows, first, here) if rows.has_more else None
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
        decoded = decode_records(raws, RECORD_TYPES[stream.name])
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
    """An execution of the list with its events; without them if it is gone by now.

    Raises SourceError where the server has none for several in a row: those that are stored would
    be written over with nothing.
    """
    if record_id is None:
        return raw
    path = f"/v1/executions/{quote(record_id, safe='')}/events"
    try:
        events = _fetch(client, config, path, lambda envelope, _: envelope.data)
    except RequestRefused as error:
        misses = client.learned[EVENT_MISSES] = client.learned.get(EVENT_MISSES, 0) + 1
        if error.status not in GONE_STATUSES:
            raise
        if misses >= EVENT_MISSES_MAX:
            message = f"{error}; {misses} executions in a row are without their events"
            raise SourceError(message) from error
        return raw
    except GapTooLarge as error:
        # A smaller page of the list would not help.
        raise SourceError(str(error)) from error
    client.learned[EVENT_MISSES] = 0
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


def find_record_type(stream: Stream) -> type[Execution] | type[Run]:
    """What a record of the stream is decoded to."""
    return RECORD_TYPES[stream.name]
