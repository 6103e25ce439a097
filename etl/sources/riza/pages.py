"""Pages of the one list, and single executions."""

from collections.abc import Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import quote

import msgspec
from msgspec import UNSET, Raw, structs

from etl.decode import (
    UNREADABLE,
    Decoded,
    decode_records,
    read_leniently,
    set_list_aside,
)
from etl.errors import GapTooLarge, PositionLost, RequestRefused, SourceError
from etl.http import GIVEN_UP, Answer, Client, fetch
from etl.records import Broken, Gap, Mark, Page, SourceConfig, Stream
from etl.sources.riza.records import Execution
from etl.sources.riza.tables import EXECUTIONS

BASE_URL = "https://api.riza.io"
PATH = "/v1/executions"
LOOKBACK = timedelta(minutes=10)
PAGE_SIZE_MAX = 100
HITS = "whether an execution was found by id"
MISSES = "executions listed but not found by id"
MISSES_MAX = 3


class _List(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    data: list[Execution]


class _RawList(msgspec.Struct):
    data: list[Raw]


class _IdOnly(msgspec.Struct):
    id: str


@dataclass(frozen=True, slots=True)
class _Listed:
    """One page of the list; `ids` also of records that are broken otherwise."""

    decoded: Decoded[Execution]
    ids: list[str]
    size: int
    served_at: datetime | None
    is_short: bool = False


class _Position(msgspec.Struct, frozen=True, array_like=True):
    """Behind which execution to go on, which one is before it (None: it is the first of the list),
    and whether the page that ended with it was not full."""

    previous: str | None
    last: str
    is_short: bool


_decode_list = msgspec.json.Decoder(_List).decode
_decode_raw_list = msgspec.json.Decoder(_RawList).decode
_decode_id = msgspec.json.Decoder(_IdOnly).decode
_decode_position = msgspec.json.Decoder(_Position).decode
_decode_raw = msgspec.json.Decoder(Raw).decode


def list_streams(config: SourceConfig) -> tuple[Stream, ...]:
    """The whole account is one list."""
    return (Stream("executions", EXECUTIONS, LOOKBACK),)


def fetch_page(
    client: Client, config: SourceConfig, stream: Stream, gap: Gap, position: str | None
) -> Page:
    """The page behind `position`, or the first one of the gap.

    Raises PositionLost when the server may have forgotten where the walk stands.
    """
    if position is not None:
        return _go_on(client, config, gap, _decode_position(position))
    for anchor in gap.anchors:
        page = _try_anchor(client, config, gap, anchor)
        if page is not None:
            return page
    return _make_page(client, gap, _fetch_list(client, config, None), None)


def _try_anchor(client: Client, config: SourceConfig, gap: Gap, anchor: Mark) -> Page | None:
    """The page behind a stored execution, or None if the server may not know that one any more.

    It may then refuse, answer with an empty page, or begin at its head: with rows that belong
    before the anchor. An empty page may also be the end, which the next anchor will tell.
    """
    try:
        listed = _fetch_list(client, config, anchor.id)
    except PositionLost:
        return None
    records = listed.decoded.records
    first = records[0].started_at if records else None
    if first is None or anchor.time is None:
        return _make_page(client, gap, listed, anchor.id) if listed.decoded.broken else None
    is_before = first > anchor.time if gap.order == "descending" else first < anchor.time
    return None if is_before else _make_page(client, gap, listed, anchor.id)


def _go_on(client: Client, config: SourceConfig, gap: Gap, here: _Position) -> Page:
    """The page behind the last execution read.

    An empty page alone is not the end: an execution that was deleted may be answered so, too. The
    list ends where the page behind the execution before the last one holds just the last one.
    """
    if not here.is_short:
        listed = _fetch_list(client, config, here.last)
        if listed.ids:
            return _make_page(client, gap, listed, here.last)
    listed = _fetch_list(client, config, here.previous)
    if not listed.ids:
        raise PositionLost(f"{client.source}: {here.last} is not in the list any more")
    if listed.ids == [here.last]:
        return Page([], [], None, served_at=listed.served_at)
    return _make_page(client, gap, listed, here.previous)


def _make_page(client: Client, gap: Gap, listed: _Listed, previous: str | None) -> Page:
    """The listed executions with the details that the list left out."""
    following = None
    if listed.ids:
        before = listed.ids[-2] if len(listed.ids) > 1 else previous
        following = _Position(before, listed.ids[-1], listed.is_short)
    whole = _complete(client, gap.whole, listed.decoded)
    return Page(
        whole.records,
        [Mark(record.id, record.started_at) for record in listed.decoded.records],
        None if following is None else msgspec.json.encode(following).decode(),
        whole.extras,
        whole.broken,
        served_at=listed.served_at,
    )


def _fetch_list(client: Client, config: SourceConfig, after: str | None) -> _Listed:
    """The page behind an execution, or the head of the list."""
    limit = min(config.page_size, PAGE_SIZE_MAX)
    params = {"limit": str(limit)} | ({} if after is None else {"starting_after": after})
    try:
        listed = fetch(client, "GET", PATH, decode_page, params)
    except RequestRefused as error:
        if after is None:
            raise
        raise PositionLost(str(error)) from error
    if not listed.ids and listed.size >= limit:
        raise SourceError(f"{client.source}: GET {PATH}: a whole page of records without an id")
    return replace(listed, is_short=listed.size < limit)


def decode_page(answer: Answer) -> _Listed:
    try:
        records = _decode_list(answer.body).data
    except UNREADABLE:
        raws = _list_raws(answer.body)
        ids = [found for raw in raws if (found := _find_id(raw)) is not None]
        return _Listed(decode_records(raws, Execution), ids, len(raws), answer.served_at)
    ids = [record.id for record in records]
    return _Listed(Decoded(records, {}, ()), ids, len(ids), answer.served_at)


def _list_raws(body: bytes) -> list[Raw]:
    """The records of a page, also where one of them is no JSON at all."""
    try:
        return _decode_raw_list(body).data
    except UNREADABLE:
        envelope, raws = set_list_aside(body, "data")
        _decode_raw_list(envelope)
        return raws


def _find_id(raw: Raw) -> str | None:
    """The id of a record that may be broken otherwise."""
    try:
        return _decode_id(raw).id
    except UNREADABLE:
        record = read_leniently(bytes(raw))
        found = record.get("id") if isinstance(record, dict) else None
        return found if isinstance(found, str) else None


def _complete(client: Client, stored: Set[str], decoded: Decoded[Execution]) -> Decoded[Execution]:
    """The records with their details, retrieved where the list left them out.

    Those that are stored with their details do not come without.
    """
    if all(record.details is not UNSET for record in decoded.records):
        return decoded
    records: list[Execution] = []
    extras: dict[int, bytes] = {}
    broken = list(decoded.broken)
    for place, record in enumerate(decoded.records):
        extra = decoded.extras.get(place)
        if record.details is UNSET:
            if record.id in stored:
                continue
            found = _find_whole(client, record)
            broken += found.broken
            record, extra = found.records[0], found.extras.get(0, extra)
        if extra is not None:
            extras[len(records)] = extra
        records.append(record)
    return Decoded(records, extras, broken)


def _find_whole(client: Client, listed: Execution) -> Decoded[Execution]:
    """An execution as its own address shows it, at its place in the list.

    As it was listed, if it is not there (any more) or its details cannot be shown or understood. A
    server that lists executions and knows none of them by id is not asked for ever. Raises
    SourceError.
    """
    as_listed = Decoded([listed], {}, ())
    misses = client.learned.get(MISSES, 0)
    if misses >= MISSES_MAX and not client.learned.get(HITS):
        return as_listed
    try:
        found = _retrieve(client, listed.id)
    except PositionLost:
        client.learned[MISSES] = misses + 1
        return as_listed
    except GapTooLarge as error:
        # One that the server cannot show must not stop the others. Two in a row: it may be down.
        if client.learned.get(GIVEN_UP, 0) > 1:
            raise SourceError(str(error)) from error
        raw = msgspec.json.encode(listed)
        return replace(as_listed, broken=[Broken(raw, "$.details", str(error))])
    client.learned[HITS] = 1
    if not found.records:
        return replace(as_listed, broken=found.broken)
    whole = structs.replace(found.records[0], id=listed.id, started_at=listed.started_at)
    return replace(found, records=[whole])


def _retrieve(client: Client, execution_id: str) -> Decoded[Execution]:
    path = f"{PATH}/{quote(execution_id, safe='')}"
    try:
        raw = fetch(client, "GET", path, lambda answer: _decode_raw(answer.body))
    except RequestRefused as error:
        raise PositionLost(str(error)) from error
    return decode_records([raw], Execution)


def fetch_record(client: Client, config: SourceConfig, stream: Stream, record_id: str) -> Page:
    """One execution by its id, as a page of one. Raises PositionLost if it is not there."""
    decoded = _retrieve(client, record_id)
    marks = [Mark(record.id, record.started_at) for record in decoded.records]
    return Page(decoded.records, marks, None, decoded.extras, decoded.broken)


def find_record_type(stream: Stream) -> type[Execution]:
    """What a record of the stream is decoded to."""
    return Execution
