"""Pages of both lists, by cursor or by offset, and single records."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import quote

import msgspec
from msgspec import UNSET, Raw, UnsetType

from etl.decode import Decoded, absent, decode_records
from etl.errors import ConfigError, GapTooLarge, PositionLost, RequestRefused, SourceError
from etl.http import Answer, Client, fetch
from etl.records import EPOCH, Gap, Mark, Page, SourceConfig, Stream
from etl.sources.airflow.records import RECORD_TYPES, DagRun, TaskInstance
from etl.sources.airflow.tables import DAG_RUNS, TASK_INSTANCES

BASE_URL = None
DAGS = "/api/v2/dags"
LOOKBACK = timedelta(minutes=10)
"""Longer than a transaction that stamps a row and commits later, and than clocks differ."""
PAGE_SIZE_MAX = 100
HEAD = timedelta(minutes=5)
"""How near to the server's clock a gap must end to be the newest one."""
STAMPED_SINCE = timedelta(days=1)
"""Rows younger than this were written by a version that stamps `updated_at`."""
UNSTAMPED_ROWS_MAX = 10_000
UNSTAMPED_MIN = timedelta(days=1)


class _Envelope(msgspec.Struct):
    """Either list; a server without cursors does not send `next_cursor` at all."""

    dag_runs: Raw = msgspec.field(default_factory=absent)
    task_instances: Raw = msgspec.field(default_factory=absent)
    total_entries: int = 0
    next_cursor: str | UnsetType | None = UNSET


class _Keys(msgspec.Struct):
    """What names a record, whatever else is wrong with it."""

    dag_id: str
    dag_run_id: str
    task_id: str | None = None
    map_index: int = -1


class _Position(msgspec.Struct, frozen=True, array_like=True):
    """Where a walk stands.

    `rows`: which ones it reads: those stamped within the gap (`window`), from its lower end on
    (`head`), or those of the gap's runs whatever their stamp is (`unstamped`). `cursor` is None
    where the server has none: then `anchor`, the id of the last record read, stands just before
    `offset`, unless rows before it have gone.
    """

    rows: Literal["window", "head", "unstamped"] = "window"
    cursor: str | None = ""
    offset: int = 0
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class _Body:
    """An answer whose records are not decoded yet: as one JSON array, and one by one."""

    array: Raw
    raws: list[Raw]
    total: int = 1
    next_cursor: str | UnsetType | None = None
    served_at: datetime | None = None


_PATHS = {"dag_runs": f"{DAGS}/~/dagRuns", "task_instances": f"{DAGS}/~/dagRuns/~/taskInstances"}
# A type that is chosen at run time is more than mypy can follow.
_DECODERS = {name: msgspec.json.Decoder(list[kind]) for name, kind in RECORD_TYPES.items()}  # type: ignore[valid-type]
_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_raws = msgspec.json.Decoder(list[Raw]).decode
_decode_raw = msgspec.json.Decoder(Raw).decode
_decode_keys = msgspec.json.Decoder(_Keys).decode
_decode_position = msgspec.json.Decoder(_Position).decode


def list_streams(config: SourceConfig) -> tuple[Stream, ...]:
    """The runs of all DAGs, and the task instances of all runs."""
    return (
        Stream("dag_runs", DAG_RUNS, LOOKBACK, order="unordered", is_windowed=True),
        Stream("task_instances", TASK_INSTANCES, LOOKBACK, order="unordered", is_windowed=True),
    )


def fetch_page(
    client: Client, config: SourceConfig, stream: Stream, gap: Gap, position: str | None
) -> Page:
    """The page at `position`, or the first one of the gap.

    The newest gap is read without an upper bound: a running row is stamped every few seconds and
    would else keep leaving the gap while it is walked. Raises PositionLost when the server
    refuses the cursor, or when rows that went away took the place in the list with them.
    """
    here = _Position() if position is None else _decode_position(position)
    page = _fetch_list(client, config, stream, gap, here)
    if position is None and _is_near(gap.until, page.served_at, HEAD):
        here = _Position("head")
        page = _fetch_list(client, config, stream, gap, here)
    if here == _Position("unstamped") and page.next is not None:
        _check_unstamped(client, stream, gap, page.total or 0)
    if here.rows == "unstamped":
        # Another list: that its page holds what the one before held is no loop.
        return replace(page, marks=[Mark(f"unstamped/{mark.id}", None) for mark in page.marks])
    if page.next is not None:
        return page
    has_more = _has_unstamped(client, stream, gap, page.served_at)
    return replace(page, next=_write_position(_Position("unstamped")) if has_more else None)


def _is_near(time: datetime, served_at: datetime | None, distance: timedelta) -> bool:
    return served_at is not None and time > served_at - distance


def _fetch_list(
    client: Client, config: SourceConfig, stream: Stream, gap: Gap, here: _Position
) -> Page:
    limit = min(config.page_size, PAGE_SIZE_MAX)
    params = {"limit": str(limit), "order_by": "id", **_build_filter(gap, here)}
    try:
        if here.cursor is None:
            return _fetch_behind(client, stream, params, here, limit)
        body = _fetch_body(client, stream, {**params, "cursor": here.cursor})
    except RequestRefused as error:
        if here.cursor == "":
            raise
        raise PositionLost(str(error)) from error
    if body.next_cursor is UNSET:
        return _list_behind(stream, body, here, 0, 0)
    following = None if body.next_cursor is None else _Position(here.rows, body.next_cursor)
    return _build_page(stream, body, 0, following)


def _build_filter(gap: Gap, here: _Position) -> dict[str, str]:
    """The gap as query parameters; the API takes times with an offset only."""
    since, until = format_time(gap.since), format_time(gap.until)
    if here.rows == "unstamped":
        return {"run_after_gte": since, "run_after_lt": until}
    if here.rows == "head":
        return {"updated_at_gte": since}
    return {"updated_at_gte": since, "updated_at_lt": until}


def _fetch_behind(
    client: Client, stream: Stream, params: dict[str, str], here: _Position, limit: int
) -> Page:
    """The page behind `here.anchor` of a server that knows offsets only.

    Rows that leave the list shift all behind them: pages overlap by one row, and if that is not
    the expected one, it is looked for one page before. So a page is two rows at least.
    """
    params = {**params, "limit": str(max(limit, 2))}
    offset = here.offset - 1
    for _ in range(2):
        body = _fetch_body(client, stream, {**params, "offset": str(offset)})
        names = [_name_raw(raw) for raw in body.raws]
        if here.anchor in names:
            return _list_behind(stream, body, here, offset, names.index(here.anchor) + 1)
        offset = max(0, offset - (len(names) or limit))
    raise PositionLost(f"{client.source}: {here.anchor} is not at offset {here.offset} any more")


def _list_behind(stream: Stream, body: _Body, here: _Position, offset: int, skipped: int) -> Page:
    """The rows of an offset page but the first `skipped` ones, which are known.

    The next page goes on behind the last row that has a name, be it a known one.
    """
    following = None
    if body.raws and offset + len(body.raws) < body.total:
        names = [(place, name) for place, raw in enumerate(body.raws) if (name := _name_raw(raw))]
        if not names:
            raise SourceError(f"{stream.name}: a whole page of records without an id")
        place, name = names[-1]
        following = _Position(here.rows, None, offset + place + 1, name)
    return _build_page(stream, body, skipped, following)


def _fetch_body(client: Client, stream: Stream, params: dict[str, str]) -> _Body:
    def decode(answer: Answer) -> _Body:
        body = _decode_envelope(answer.body)
        array = getattr(body, stream.name)
        raws = _decode_raws(array)
        return _Body(array, raws, body.total_entries, body.next_cursor, answer.served_at)

    return fetch(client, "GET", _PATHS[stream.name], decode, params)


def _build_page(stream: Stream, body: _Body, skipped: int, following: _Position | None) -> Page:
    """The records of an answer but the first `skipped` ones."""
    raws = body.raws[skipped:]
    array = msgspec.json.encode(raws) if skipped else body.array
    decoded: Decoded[Any]
    try:
        decoded = Decoded(_DECODERS[stream.name].decode(array), {}, ())
    except msgspec.ValidationError:
        decoded = decode_records(raws, RECORD_TYPES[stream.name])
    return Page(
        decoded.records,
        [Mark(name_record(record), None) for record in decoded.records],
        None if following is None else _write_position(following),
        decoded.extras,
        decoded.broken,
        total=body.total,
        served_at=body.served_at,
    )


def _write_position(position: _Position) -> str:
    return msgspec.json.encode(position).decode()


def _has_unstamped(client: Client, stream: Stream, gap: Gap, served_at: datetime | None) -> bool:
    """Whether the gap has rows that no filter on `updated_at` finds.

    Airflow stamps rows since 2.4 and left older ones empty. They belong to the gap in which their
    run was due. The stamped ones are counted first: a row made in between then counts as one more
    to read, and never hides one.
    """
    if _is_near(gap.since, served_at, STAMPED_SINCE):
        return False
    due = _build_filter(gap, _Position("unstamped"))
    stamped = _count(client, stream, {**due, "updated_at_gte": format_time(EPOCH)})
    return _count(client, stream, due) > stamped


def _count(client: Client, stream: Stream, params: dict[str, str]) -> int:
    return _fetch_body(client, stream, {"limit": "0", **params}).total


def _check_unstamped(client: Client, stream: Stream, gap: Gap, total: int) -> None:
    """Raise GapTooLarge for more rows than should be read again after an interruption."""
    if total > UNSTAMPED_ROWS_MAX and gap.until - gap.since > UNSTAMPED_MIN:
        message = f"{client.source}/{stream.name}: {total} rows without updated_at"
        raise GapTooLarge(message, is_counted=True)


def format_time(time: datetime) -> str:
    """A time as the API's filters want it: RFC 3339 in UTC, exact to the microsecond."""
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def name_record(record: DagRun | TaskInstance | _Keys) -> str:
    """The id of a record for `etl fetch`: `dag/run`, or `dag/run/task/map_index`."""
    task_id = getattr(record, "task_id", None)
    run = f"{record.dag_id}/{record.dag_run_id}"
    return run if task_id is None else f"{run}/{task_id}/{getattr(record, 'map_index', -1)}"


def _name_raw(raw: Raw) -> str | None:
    """The id of a record that may be broken otherwise; None if it has none."""
    try:
        return name_record(_decode_keys(raw))
    except msgspec.ValidationError:
        return None


def fetch_record(client: Client, config: SourceConfig, stream: Stream, record_id: str) -> Page:
    """One run or task instance by its id, as a page of one. Raises PositionLost if it is gone."""
    path = _find_path(client.source, stream, record_id)
    try:
        raw = fetch(client, "GET", path, lambda answer: _decode_raw(answer.body))
    except RequestRefused as error:
        raise PositionLost(str(error)) from error
    return _build_page(stream, _Body(Raw(msgspec.json.encode([raw])), [raw]), 0, None)


def _find_path(source: str, stream: Stream, record_id: str) -> str:
    """The path of one record. Raises ConfigError for an id that is not of this list.

    A run id may contain a slash, the other parts cannot.
    """
    is_run = stream.table is DAG_RUNS
    dag_id, _, rest = record_id.partition("/")
    run_id, *task = [rest] if is_run else rest.rsplit("/", 2)
    if not all((dag_id, run_id, *task)) or len(task) != (0 if is_run else 2):
        form = "dag/run" if is_run else "dag/run/task/map_index"
        raise ConfigError(f"{source}/{stream.name}: {record_id!r} is not of the form {form}")
    path = f"{DAGS}/{quote(dag_id, safe='')}/dagRuns/{quote(run_id, safe='')}"
    if is_run:
        return path
    # A task that is not mapped has index -1 in its record, and none in its address.
    places = task[:1] if task[1] == "-1" else task
    return "/".join((path, "taskInstances", *(quote(place, safe="") for place in places)))


def find_record_type(stream: Stream) -> type[DagRun] | type[TaskInstance]:
    """What a record of the stream is decoded to."""
    return RECORD_TYPES[stream.name]
