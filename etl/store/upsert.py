"""Rows into their tables: new ones inserted, changed ones replaced, unchanged ones left alone.

There is no index: old versions are looked for in the batch's time range only, where a record's
time never changes, so that the cost does not grow with the table.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import duckdb

from etl.coverage import Interval
from etl.records import Table, from_epoch_us, to_epoch_us
from etl.tables import (
    CONTENT_COLUMNS,
    PendingRows,
    build_children,
    build_parents,
    list_child_columns,
    list_child_key,
)


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one stream's rows in a batch; `late_from`: the oldest that came late."""

    stream: str
    new: int
    changed: int
    unchanged: int
    late_from: datetime | None


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the store adds to each row it writes."""

    source: str
    run_id: str
    now: datetime


def upsert_rows(
    connection: duckdb.DuckDBPyConnection,
    pending: PendingRows,
    stamp: Stamp,
    known: Mapping[str, Interval],
) -> list[Fate]:
    """Bring one table and its children up to date; what happened, by stream.

    `known` are the newest intervals of the ledgers before the run: a new row inside came late.
    """
    if not pending.rows:
        return []
    connection.register("incoming", build_parents(pending))
    try:
        _find_stored(connection, stamp.source, pending)
        fates = _count_fates(connection, pending.table, known)
        if any(fate.changed for fate in fates):
            _delete_changed(connection, stamp.source, pending)
        if any(fate.new or fate.changed for fate in fates):
            _insert_rows(connection, pending.table, stamp)
            has_unchanged = any(fate.unchanged for fate in fates)
            _insert_children(connection, stamp.source, pending, has_unchanged)
    finally:
        connection.unregister("incoming")
    return fates


def _find_stored(connection: duckdb.DuckDBPyConnection, source: str, pending: PendingRows) -> None:
    """Make the temporary table `stored`: versions already there of the incoming records."""
    keys = _quote(pending.table.key)
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE stored AS
        SELECT {keys}, content_hash AS stored_hash, first_synced_at AS stored_since
        FROM {pending.table.name} SEMI JOIN incoming USING ({keys})
        WHERE source = ? {_bound_time(pending)}
        """,
        [source],
    )


def _bound_time(pending: PendingRows) -> str:
    """The batch's time range as a condition; none where an old version might lie outside."""
    table = pending.table
    if table.time is None or not table.is_time_fixed:
        return ""
    place = [column.name for column in table.columns].index(table.time)
    times = [row[place] for row in pending.rows.values()]
    since, until = to_epoch_us(min(times)), to_epoch_us(max(times))
    return f'AND "{table.time}" BETWEEN make_timestamptz({since}) AND make_timestamptz({until})'


def _count_fates(
    connection: duckdb.DuckDBPyConnection, table: Table, known: Mapping[str, Interval]
) -> list[Fate]:
    late_time = "NULL"
    if table.time is not None:
        ranges = [
            f"({_literal(stream)}, {to_epoch_us(i.since)}, {to_epoch_us(i.until)})"
            for stream, i in known.items()
        ] or ["('', 0, 0)"]
        late_time = f"""
            CASE WHEN stored_hash IS NULL AND EXISTS (
                FROM (VALUES {", ".join(ranges)}) AS known(known_stream, since_us, until_us)
                WHERE known_stream = stream
                AND epoch_us(incoming."{table.time}") >= since_us
                AND epoch_us(incoming."{table.time}") < until_us
            ) THEN epoch_us(incoming."{table.time}") END"""
    rows = connection.execute(
        f"""
        SELECT
            stream,
            count(*) FILTER (stored_hash IS NULL),
            count(*) FILTER (stored_hash <> content_hash),
            count(*) FILTER (stored_hash = content_hash),
            min({late_time})
        FROM incoming LEFT JOIN stored USING ({_quote(table.key)})
        GROUP BY stream
        """
    ).fetchall()
    return [
        Fate(stream, new, changed, unchanged, None if late is None else from_epoch_us(late))
        for stream, new, changed, unchanged, late in rows
    ]


def _delete_changed(
    connection: duckdb.DuckDBPyConnection, source: str, pending: PendingRows
) -> None:
    table = pending.table
    changed = _select_keys(table, "stored_hash <> content_hash")
    connection.execute(
        f"DELETE FROM {table.name} WHERE source = ? {_bound_time(pending)} "
        f"AND ({_quote(table.key)}) IN ({changed})",
        [source],
    )
    child_keys = _quote(column.name for column in list_child_key(table))
    for child in table.children:
        connection.execute(
            f"DELETE FROM {child.name} WHERE source = ? AND ({child_keys}) IN ({changed})",
            [source],
        )


def _insert_rows(connection: duckdb.DuckDBPyConnection, table: Table, stamp: Stamp) -> None:
    names = _quote(column.name for column in (*table.columns, *CONTENT_COLUMNS))
    connection.execute(
        f"""
        INSERT INTO {table.name} ({names}, source, first_synced_at, synced_at, run_id)
        SELECT {names}, $source, coalesce(stored_since, make_timestamptz($now)),
            make_timestamptz($now), $run_id
        FROM incoming LEFT JOIN stored USING ({_quote(table.key)})
        WHERE stored_hash IS DISTINCT FROM content_hash
        """,
        {"source": stamp.source, "now": to_epoch_us(stamp.now), "run_id": stamp.run_id},
    )


def _insert_children(
    connection: duckdb.DuckDBPyConnection, source: str, pending: PendingRows, has_unchanged: bool
) -> None:
    table = pending.table
    keys = _quote(column.name for column in list_child_key(table))
    unchanged = _select_keys(table, "stored_hash = content_hash")
    is_written = f"({keys}) NOT IN ({unchanged})" if has_unchanged else "true"
    for child, rows in build_children(pending).items():
        names = _quote(column.name for column in list_child_columns(table, child))
        connection.register("incoming_child", rows)
        connection.execute(
            f"INSERT INTO {child.name} (source, {names}) "
            f"SELECT ?, {names} FROM incoming_child WHERE {is_written}",
            [source],
        )
        connection.unregister("incoming_child")


def _select_keys(table: Table, condition: str) -> str:
    keys = _quote(table.key)
    return f"SELECT {keys} FROM incoming JOIN stored USING ({keys}) WHERE {condition}"


def _quote(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
