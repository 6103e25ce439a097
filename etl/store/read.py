"""What a sync has to know of the store."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta

import duckdb

from etl.coverage import Interval, Ledger
from etl.records import (
    EPOCH,
    Gap,
    Mark,
    Order,
    SourceConfig,
    Stream,
    Table,
    from_epoch_us,
    to_epoch_us,
)

OF_LISTS = "state NOT IN ('fetched', 'replayed')"
"""Runs that read a list: single records, and those of the quarantine, say nothing of it."""
LOOKBACK_MAX = timedelta(days=60)
"""One record that comes a year late, or never ends, must not make every pass read that year."""
ANCHORS_MAX = 13
OPEN_BY_ID_MAX = 50
WHOLE_MAX = 100_000
WHOLE_BESIDE_MAX = 1_000
"""The longest page there may be: so many rows from beside a gap it can show."""


@dataclass(frozen=True, slots=True)
class StreamState:
    """What the store knows of one stream; older executions than `pruned_before` are not wanted.

    `kind` is that of the source it came from.
    """

    ledger: Ledger = ()
    order: Order | None = None
    longest_delay: timedelta = timedelta()
    pruned_before: datetime | None = None
    kind: str | None = None


def find_lookback(config: SourceConfig, stream: Stream, state: StreamState) -> timedelta:
    """How far behind its newest known time a stream is read again."""
    return max(config.lookback or stream.lookback, min(state.longest_delay, LOOKBACK_MAX))


def find_beginning(config: SourceConfig, state: StreamState) -> datetime:
    """Where the history of a stream begins: what is older is not wanted, or was pruned."""
    return max(config.since or EPOCH, state.pruned_before or EPOCH)


def read_ledgers(
    connection: duckdb.DuckDBPyConnection, source: str, streams: Iterable[str]
) -> dict[str, Ledger]:
    """The covered intervals of some streams of a source, oldest first."""
    rows = connection.execute(
        "SELECT stream, epoch_us(since), epoch_us(until) FROM etl.coverage WHERE source = ?",
        [source],
    ).fetchall()
    ledgers: dict[str, list[Interval]] = {stream: [] for stream in streams}
    for stream, since_us, until_us in sorted(rows):
        if stream in ledgers:
            ledgers[stream].append(Interval(from_epoch_us(since_us), from_epoch_us(until_us)))
    return {stream: tuple(intervals) for stream, intervals in ledgers.items()}


@dataclass(frozen=True, slots=True)
class KnownStream:
    """A row of etl.streams: the order seen, the overlap in force, how late records appear."""

    source: str
    kind: str
    stream: str
    list_order: Order | None = None
    lookback_s: float | None = None
    longest_delay_s: float = 0.0


def read_streams(connection: duckdb.DuckDBPyConnection, source: str) -> dict[str, KnownStream]:
    """What is known of the streams of a source, by stream."""
    names = ", ".join(f.name for f in fields(KnownStream))
    rows = connection.execute(
        f"SELECT {names} FROM etl.streams WHERE source = ?", [source]
    ).fetchall()
    return {row[2]: KnownStream(*row) for row in rows}


def read_last_walked(connection: duckdb.DuckDBPyConnection) -> dict[str, datetime]:
    """When the last run began that asked a source for anything, by source."""
    rows = connection.execute(
        "SELECT source, epoch_us(max(started_at)) FROM etl.runs "
        "WHERE mode IN ('sync', 'full') AND (pages > 0 OR requests > 0) GROUP BY source"
    ).fetchall()
    return {source: from_epoch_us(begun_us) for source, begun_us in rows}


def read_stream_states(
    connection: duckdb.DuckDBPyConnection, source: str, streams: Sequence[Stream]
) -> dict[str, StreamState]:
    """Everything a plan needs, by stream."""
    ledgers = read_ledgers(connection, source, [stream.name for stream in streams])
    known = read_streams(connection, source)
    pruned = read_pruned(connection, source)
    states = {}
    for stream in streams:
        seen = known.get(stream.name, KnownStream(source, "", stream.name))
        states[stream.name] = StreamState(
            ledgers[stream.name],
            seen.list_order,
            timedelta(seconds=seen.longest_delay_s),
            pruned.get(stream.name),
            seen.kind or None,
        )
    return states


def read_pruned(connection: duckdb.DuckDBPyConnection, source: str) -> dict[str, datetime]:
    """Before which time the executions of a stream were pruned, by stream."""
    rows = connection.execute(
        "SELECT stream, epoch_us(executions_before) FROM etl.pruned "
        "WHERE source = ? AND executions_before IS NOT NULL",
        [source],
    ).fetchall()
    return {stream: from_epoch_us(before_us) for stream, before_us in rows}


@dataclass(frozen=True, slots=True)
class OpenRecords:
    """Records that will still change: those to read again by id, and since when by walking."""

    ids: tuple[str, ...] = ()
    since: datetime | None = None


def read_open(
    connection: duckdb.DuckDBPyConnection, source: str, stream: Stream, before: datetime
) -> OpenRecords:
    """The open records with a key time before the part that is read again anyway.

    The oldest are read by id, where the API can: so those that the platform forgot are found out,
    too. What is more than a few is left to a walk, unless it has been open for very long.
    """
    table = stream.table
    if table.open_when is None or table.time is None:
        return OpenRecords()
    by_id = OPEN_BY_ID_MAX if stream.is_retrievable else 0
    walked_from_us = to_epoch_us(before - LOOKBACK_MAX)
    [(ids, since_us)] = connection.execute(
        f"""
        SELECT
            list(id ORDER BY place) FILTER (place <= {by_id}),
            min(time_us) FILTER (place > {by_id} AND time_us >= {walked_from_us})
        FROM (
            SELECT
                "{table.key[-1]}" AS id,
                epoch_us("{table.time}") AS time_us,
                row_number() OVER (ORDER BY time_us, id) AS place
            FROM {table.name}
            WHERE source = ? AND stream = ? AND ({table.open_when}) AND gone_at IS NULL
                AND "{table.time}" < make_timestamptz({to_epoch_us(before)})
        )
        """,
        [source, stream.name],
    ).fetchall()
    return OpenRecords(tuple(ids or ()), None if since_us is None else from_epoch_us(since_us))


def read_whole_ids(
    connection: duckdb.DuckDBPyConnection, source: str, stream: Stream, gap: Gap
) -> frozenset[str]:
    """The rows in a gap and next to it that lack nothing, of a list that may leave parts out."""
    table = stream.table
    if table.whole is None or table.time is None:
        return frozenset()
    time = f'"{table.time}"'
    since, until = (f"make_timestamptz({to_epoch_us(edge)})" for edge in (gap.since, gap.until))
    whole = f"""
        SELECT "{table.key[-1]}" FROM {table.name}
        WHERE source = $source AND stream = $stream AND "{table.whole}" IS NOT NULL
    """
    rows = connection.execute(
        f"""
        ({whole} AND {time} >= {since} AND {time} < {until} ORDER BY {time} DESC LIMIT {WHOLE_MAX})
        UNION ALL
        ({whole} AND {time} < {since} ORDER BY {time} DESC LIMIT {WHOLE_BESIDE_MAX})
        UNION ALL
        ({whole} AND {time} >= {until} ORDER BY {time} LIMIT {WHOLE_BESIDE_MAX})
        """,
        {"source": source, "stream": stream.name},
    ).fetchall()
    return frozenset(record_id for (record_id,) in rows)


def count_before(
    connection: duckdb.DuckDBPyConnection, source: str, stream: Stream, edge: datetime, order: Order
) -> int:
    """How many stored rows stand in the list before a walk's place; 0 where nothing tells."""
    if stream.table.time is None:
        return 0
    side = ">=" if order == "descending" else "<"
    rows: list[tuple[int]] = connection.execute(
        f"""
        SELECT count(*) FROM {stream.table.name} WHERE source = ? AND stream = ?
            AND "{stream.table.time}" {side} make_timestamptz({to_epoch_us(edge)})
        """,
        [source, stream.name],
    ).fetchall()
    return rows[0][0]


def read_anchors(
    connection: duckdb.DuckDBPyConnection,
    source: str,
    stream: str,
    table: Table,
    edge: datetime,
    order: Order,
) -> tuple[Mark, ...]:
    """Stored rows from which a walk can reach `edge`, nearest first, ever farther away.

    Newest first they stand at or above the edge, oldest first below it. They lie 0, 1, 3, 7, …
    rows from the edge: if the server forgot the near ones, a far one may do.
    """
    if table.time is None:
        return ()
    side, direction = (">=", "ASC") if order == "descending" else ("<", "DESC")
    rows = connection.execute(
        f"""
        SELECT id, time_us FROM (
            SELECT
                "{table.key[-1]}" AS id,
                epoch_us("{table.time}") AS time_us,
                row_number() OVER (ORDER BY "{table.time}" {direction}) AS distance
            FROM (
                FROM {table.name}
                WHERE source = ? AND stream = ?
                    AND "{table.time}" {side} make_timestamptz({to_epoch_us(edge)})
                ORDER BY "{table.time}" {direction}
                LIMIT {2 ** (ANCHORS_MAX - 1)}
            )
        )
        WHERE distance IN ({", ".join(str(2**n) for n in range(ANCHORS_MAX))})
        ORDER BY distance
        """,
        [source, stream],
    ).fetchall()
    return tuple(Mark(id, from_epoch_us(time_us)) for id, time_us in rows)
