"""What is known of each stream, and how far it is behind."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb

from etl.coverage import Interval, Ledger, find_gaps, subtract
from etl.records import EPOCH, Order, SourceConfig, Stream, from_epoch_us
from etl.sources import SOURCES
from etl.store.read import (
    OF_LISTS,
    StreamState,
    find_beginning,
    find_lookback,
    read_stream_states,
)


@dataclass(frozen=True, slots=True)
class LastRun:
    """The latest run that walked a stream; `ended_at` is None while it goes on."""

    started_at: datetime
    ended_at: datetime | None
    state: str
    rows_new: int
    rows_changed: int
    exit_code: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """One stream. `ledger` is what is known and was not pruned: what the store has all of.

    `gaps` lie between where the history begins and `known_until`, the newest time known, pruned or
    not; `lag` is how far that is behind now. Both are None for a stream that was never synced.
    """

    source: str
    kind: str
    stream: str
    payloads: str
    rows: int
    open_rows: int
    ledger: Ledger
    known_until: datetime | None
    gaps: tuple[Interval, ...]
    lag: timedelta | None
    order: Order | None
    lookback: timedelta
    last_run: LastRun | None


def read_status(
    connection: duckdb.DuckDBPyConnection, sources: Sequence[SourceConfig], now: datetime
) -> tuple[StreamStatus, ...]:
    """The status of every stream of these sources."""
    return tuple(
        _read_stream(connection, source, stream, now)
        for source in sources
        for stream in SOURCES[source.kind].list_streams(source)
    )


def _read_stream(
    connection: duckdb.DuckDBPyConnection, source: SourceConfig, stream: Stream, now: datetime
) -> StreamStatus:
    state = read_stream_states(connection, source.name, [stream])[stream.name]
    rows, open_rows = _count_rows(connection, source, stream)
    top = state.ledger[-1].until if state.ledger else None
    return StreamStatus(
        source.name,
        source.kind,
        stream.name,
        source.payloads,
        rows,
        open_rows,
        _subtract_pruned(state),
        top,
        find_gaps(state.ledger, find_beginning(source, state), top) if top else (),
        None if top is None else max(timedelta(), now - top),
        stream.order or state.order,
        find_lookback(source, stream, state),
        _read_last_run(connection, source.name, stream.name),
    )


def _subtract_pruned(state: StreamState) -> Ledger:
    """What is covered, without what is so only in order not to be fetched again."""
    if state.pruned_before is None:
        return state.ledger
    return subtract(state.ledger, Interval(EPOCH, state.pruned_before))


def _count_rows(
    connection: duckdb.DuckDBPyConnection, source: SourceConfig, stream: Stream
) -> tuple[int, int]:
    is_open = stream.table.open_when or "false"
    rows = connection.execute(
        f"SELECT count(*), count(*) FILTER ({is_open}) FROM {stream.table.name} "
        "WHERE source = ? AND stream = ?",
        [source.name, stream.name],
    ).fetchall()
    return rows[0][0], rows[0][1]


def _read_last_run(
    connection: duckdb.DuckDBPyConnection, source: str, stream: str
) -> LastRun | None:
    rows = connection.execute(
        f"""
        SELECT epoch_us(started_at), epoch_us(ended_at), state, rows_new, rows_changed, exit_code,
            error
        FROM etl.runs
        WHERE source = ? AND stream = ? AND {OF_LISTS}
        ORDER BY started_at DESC LIMIT 1
        """,
        [source, stream],
    ).fetchall()
    if not rows:
        return None
    started_us, ended_us, *rest = rows[0]
    ended_at = None if ended_us is None else from_epoch_us(ended_us)
    return LastRun(from_epoch_us(started_us), ended_at, *rest)
