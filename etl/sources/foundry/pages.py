"""Pages of the list of each resource."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec
from msgspec import Raw

from etl.decode import Decoded, decode_records
from etl.errors import ConfigError, PositionLost, RequestRefused
from etl.http import Answer, Client, fetch
from etl.records import Broken, Gap, Mark, Page, SourceConfig, Stream
from etl.sources.foundry.options import Options
from etl.sources.foundry.records import Execution
from etl.sources.foundry.tables import EXECUTIONS

BASE_URL = None
LOOKBACK = timedelta(hours=24)
PAGE_SIZE_MAX = 100
ALARM = "a different execution has the same resource, trace, owner and start time"
TOKEN_REFUSED_STATUSES = frozenset({400, 404, 410})


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
            raise RequestRefused(
                f"{error}: the endpoint is not enabled on this Foundry; it is in preview, ask "
                "Palantir support for it",
                404,
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
