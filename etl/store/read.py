"""What a sync has to know of the store before it starts."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb

from etl.coverage import Interval, Ledger
from etl.records import EPOCH, TICK, Mark, Order, Table

ANCHORS_MAX = 12


@dataclass(frozen=True, slots=True)
class StreamState:
    """What the store knows of one stream."""

    ledger: Ledger = ()
    order: Order | None = None
    longest_delay: timedelta = timedelta()
    oldest_open: datetime | None = None


def read_ledger(connection: duckdb.DuckDBPyConnection, source: str, stream: str) -> Ledger:
    """The covered intervals of a stream, oldest first."""
    rows = connection.execute(
        """
        SELECT epoch_us(since), epoch_us(until) FROM etl.coverage
        WHERE source = ? AND stream = ? ORDER BY since
        """,
        [source, stream],
    ).fetchall()
    return tuple(Interval(EPOCH + a * TICK, EPOCH + b * TICK) for a, b in rows)


def read_stream_state(
    connection: duckdb.DuckDBPyConnection, source: str, stream: str, table: Table
) -> StreamState:
    """Everything a plan needs."""
    known = connection.execute(
        "SELECT list_order, longest_delay_s FROM etl.streams WHERE source = ? AND stream = ?",
        [source, stream],
    ).fetchall()
    order, delay_s = known[0] if known else (None, None)
    return StreamState(
        read_ledger(connection, source, stream),
        order,
        timedelta(seconds=delay_s or 0),
        _read_oldest_open(connection, source, stream, table),
    )


def _read_oldest_open(
    connection: duckdb.DuckDBPyConnection, source: str, stream: str, table: Table
) -> datetime | None:
    if table.open_when is None or table.time is None:
        return None
    rows = connection.execute(
        f"""
        SELECT epoch_us(min("{table.time}")) FROM {table.name}
        WHERE source = ? AND stream = ? AND ({table.open_when})
        """,
        [source, stream],
    ).fetchall()
    return None if rows[0][0] is None else EPOCH + rows[0][0] * TICK


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
    edge_us = (edge - EPOCH) // TICK
    rows = connection.execute(
        f"""
        SELECT id, time_us FROM (
            SELECT
                "{table.key[-1]}" AS id,
                epoch_us("{table.time}") AS time_us,
                row_number() OVER (ORDER BY "{table.time}" {direction}) AS distance
            FROM (
                FROM {table.name}
                WHERE source = ? AND stream = ? AND "{table.time}" {side} make_timestamptz(?)
                ORDER BY "{table.time}" {direction}
                LIMIT {2**ANCHORS_MAX}
            )
        )
        WHERE distance IN ({", ".join(str(2**n) for n in range(ANCHORS_MAX + 1))})
        ORDER BY distance
        """,
        [source, stream, edge_us],
    ).fetchall()
    return tuple(Mark(id, EPOCH + time_us * TICK) for id, time_us in rows)
