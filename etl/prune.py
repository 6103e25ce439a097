"""Old payloads or whole executions out of the store, and never in again.

What was pruned stays covered: it is not missing. Each stream remembers before which time its
executions are gone (`etl.pruned`); a sync neither walks that time nor stores what it meets of it.
A pruned payload stays away because its record keeps the hash of its whole content: read again it
is unchanged.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import duckdb

from etl.errors import ConfigError
from etl.records import KEPT_ROLES, Column, Table, from_epoch_us, to_epoch_us
from etl.store.connect import transaction
from etl.tables import CONTENT_COLUMNS, list_child_key

What = Literal["executions", "payloads", "quarantine"]
CHUNK_ROWS = 100_000
METRICS = (
    "name",
    "error_type",
    "work_id",
    "input_bytes",
    "output_bytes",
    "stdout_bytes",
    "stderr_bytes",
    "redactions",
)
"""What views compute from payloads: it is kept beside a pruned one, and the views read that."""


@dataclass(frozen=True, slots=True)
class Prunable:
    """What would go of one stream: rows, and the times of the first and the last."""

    what: What
    source: str
    stream: str
    rows: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Horizons:
    """Before which times whole executions, or only their payloads, are to go."""

    executions_before: datetime | None = None
    payloads_before: datetime | None = None


def find_prunable(
    connection: duckdb.DuckDBPyConnection, tables: Iterable[Table], horizons: Horizons
) -> list[Prunable]:
    """What would go, by stream. An execution that goes is not counted for its payload, too."""
    gone = horizons.executions_before
    emptied = horizons.payloads_before
    found: list[Prunable] = []
    for table in tables:
        if gone is not None:
            found += _count(connection, "executions", table.name, name_time(table), gone, "true")
        if emptied is not None:
            is_left = has_payload(table)
            if gone is not None:
                is_left = f"({is_left}) AND {name_time(table)} >= {make_time(gone)}"
            found += _count(connection, "payloads", table.name, name_time(table), emptied, is_left)
    before = max(time for time in (gone, emptied) if time is not None)
    found += _count(connection, "quarantine", "etl.quarantine", "quarantined_at", before, "true")
    return found


def prune(
    connection: duckdb.DuckDBPyConnection,
    tables: Sequence[Table],
    horizons: Horizons,
    now: datetime,
) -> None:
    """Do it: executions first, for what is gone has no payload."""
    if horizons.executions_before is not None:
        prune_executions(connection, tables, horizons.executions_before, now)
    if horizons.payloads_before is not None:
        prune_payloads(connection, tables, horizons.payloads_before, now)


def _count(
    connection: duckdb.DuckDBPyConnection,
    what: What,
    table: str,
    time: str,
    before: datetime,
    condition: str,
) -> Iterator[Prunable]:
    rows = connection.execute(
        f"""
        SELECT source, stream, count(*), epoch_us(min({time})), epoch_us(max({time}))
        FROM {table} AS parent WHERE {time} < {make_time(before)} AND ({condition})
        GROUP BY ALL ORDER BY ALL
        """
    ).fetchall()
    for source, stream, count, first_us, last_us in rows:
        first, last = from_epoch_us(first_us), from_epoch_us(last_us)
        yield Prunable(what, source, stream, count, first, last)


def check_lookback(
    connection: duckdb.DuckDBPyConnection, horizons: Horizons, now: datetime
) -> None:
    """Raise ConfigError if executions would be pruned that each sync reads again."""
    rows = connection.execute(
        "SELECT source, stream, lookback_s FROM etl.streams "
        "WHERE lookback_s IS NOT NULL ORDER BY lookback_s DESC LIMIT 1"
    ).fetchall()
    before = horizons.executions_before
    for source, stream, lookback_s in rows:
        if before is not None and before > now - timedelta(seconds=lookback_s):
            raise ConfigError(
                f"{source}/{stream}: each sync reads again what is younger than "
                f"{lookback_s / 3_600:g} hours; only older executions can be pruned"
            )


def prune_executions(
    connection: duckdb.DuckDBPyConnection, tables: Sequence[Table], before: datetime, now: datetime
) -> None:
    """Delete the older executions and remember that they are gone: both or neither."""
    with transaction(connection):
        for table in tables:
            is_old = f"{name_time(table)} < {make_time(before)}"
            for child in table.children:
                connection.execute(
                    f"DELETE FROM {child.name} AS child USING {table.name} AS parent "
                    f"WHERE {match_parent(table)} AND {is_old}"
                )
            connection.execute(f"DELETE FROM {table.name} AS parent WHERE {is_old}")
        _prune_quarantine(connection, before)
        _remember(connection, "executions_before", before, now)


def prune_payloads(
    connection: duckdb.DuckDBPyConnection, tables: Sequence[Table], before: datetime, now: datetime
) -> None:
    """Empty the payload columns of the older executions, some at a time: a kill leaves the rest."""
    for table in tables:
        _keep_metrics(connection, table, before)
        [(last,)] = connection.execute(f"SELECT max(rowid) FROM {table.name}").fetchall()
        for first in range(0, 0 if last is None else last + 1, CHUNK_ROWS):
            with transaction(connection):
                _empty(connection, table, before, first)
    with transaction(connection):
        _prune_quarantine(connection, before)
        _remember(connection, "payloads_before", before, now)


def _keep_metrics(connection: duckdb.DuckDBPyConnection, table: Table, before: datetime) -> None:
    """Compute what the views say of the payloads that are to go, by execution.

    Where a kind has no view, or the view no such column, there is nothing to keep.
    """
    view = f"executions_{table.name.partition('.')[0]}"
    rows = connection.execute(
        "SELECT column_name FROM duckdb_columns() WHERE database_name = current_database() "
        "AND schema_name = 'main' AND table_name = ?",
        [view],
    ).fetchall()
    fields = ", ".join(f"'{name}': \"{name}\"" for (name,) in rows if name in METRICS)
    metrics = f"SELECT source, stream, execution_id, to_json({{{fields}}}) AS metrics FROM {view}"
    nothing = "SELECT '' AS source, '' AS stream, '' AS execution_id, '{}'::JSON AS metrics LIMIT 0"
    key = ", ".join(f'parent."{name}"' for name in table.key)
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE kept AS
        FROM ({metrics if fields else nothing})
        SEMI JOIN (
            SELECT source, stream, concat_ws('/', {key}) AS execution_id
            FROM {table.name} AS parent
            WHERE {name_time(table)} < {make_time(before)} AND ({has_payload(table)})
        ) AS due
        USING (source, stream, execution_id)
        """
    )


def _empty(
    connection: duckdb.DuckDBPyConnection, table: Table, before: datetime, first: int
) -> None:
    """Empty what is due among some rows and their children, and keep their metrics."""
    is_due = (
        f"parent.rowid >= {first} AND parent.rowid < {first + CHUNK_ROWS} "
        f"AND {name_time(table)} < {make_time(before)}"
    )
    key = ", ".join(f'parent."{name}"' for name in table.key)
    connection.execute(
        f"""
        UPDATE {table.name} AS parent SET kept_metrics = coalesce(kept_metrics, kept.metrics)
        FROM temp.kept AS kept WHERE {is_due} AND kept.source = parent.source
            AND kept.stream = parent.stream AND kept.execution_id = concat_ws('/', {key})
        """
    )
    for child in table.children:
        if columns := list_payloads(child.columns):
            connection.execute(
                f"UPDATE {child.name} AS child SET {_set_null(columns)} "
                f"FROM {table.name} AS parent "
                f"WHERE {match_parent(table)} AND {is_due} AND ({_is_any('child', columns)})"
            )
    columns = list_payloads((*table.columns, *CONTENT_COLUMNS))
    connection.execute(
        f"UPDATE {table.name} AS parent SET {_set_null(columns)} "
        f"WHERE {is_due} AND ({_is_any('parent', columns)})"
    )


def _prune_quarantine(connection: duckdb.DuckDBPyConnection, before: datetime) -> None:
    connection.execute(f"DELETE FROM etl.quarantine WHERE quarantined_at < {make_time(before)}")


def _remember(
    connection: duckdb.DuckDBPyConnection,
    column: Literal["executions_before", "payloads_before"],
    before: datetime,
    now: datetime,
) -> None:
    """Note the horizon for every stream; it never moves back."""
    connection.execute(
        """
        INSERT INTO etl.pruned (source, stream)
        SELECT source, stream FROM (
            SELECT source, stream FROM etl.coverage UNION SELECT source, stream FROM etl.streams
        )
        ANTI JOIN etl.pruned USING (source, stream)
        """
    )
    connection.execute(
        f"UPDATE etl.pruned SET {column} = greatest({column}, {make_time(before)}), "
        f"pruned_at = {make_time(now)}"
    )


def make_time(time: datetime) -> str:
    return f"make_timestamptz({to_epoch_us(time)})"


def name_time(table: Table) -> str:
    """When an execution was, as SQL: its key time, else the last thing that is known of it."""
    if table.time is not None:
        return f'parent."{table.time}"'
    times = [f'parent."{c.name}"' for c in table.columns if c.type == "TIMESTAMPTZ"]
    return f"coalesce(greatest({', '.join(times)}), parent.first_synced_at)"


def list_payloads(columns: Iterable[Column]) -> list[str]:
    """The columns that hold what was sent in, came out, or is secret; why it failed is kept."""
    return [column.name for column in columns if column.role not in KEPT_ROLES]


def has_payload(table: Table) -> str:
    """Whether there is anything left to prune of a row or its children, as SQL."""
    conditions = [_is_any("parent", list_payloads((*table.columns, *CONTENT_COLUMNS)))]
    for child in table.children:
        if columns := list_payloads(child.columns):
            conditions.append(
                f"EXISTS (SELECT 1 FROM {child.name} AS child "
                f"WHERE {match_parent(table)} AND ({_is_any('child', columns)}))"
            )
    return " OR ".join(conditions)


def match_parent(table: Table) -> str:
    places = zip(list_child_key(table), table.key, strict=True)
    same = (f'child."{column.name}" = parent."{name}"' for column, name in places)
    return " AND ".join(("child.source = parent.source", *same))


def _is_any(alias: str, columns: Iterable[str]) -> str:
    return " OR ".join(f'{alias}."{column}" IS NOT NULL' for column in columns)


def _set_null(columns: Iterable[str]) -> str:
    return ", ".join(f'"{column}" = NULL' for column in columns)
