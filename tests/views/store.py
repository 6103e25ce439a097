"""A store with every view, rows put straight into its tables, answers as plain values."""

import atexit
import functools
import itertools
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from etl import sources, views
from etl.records import Column, Table
from etl.store import schema
from etl.tables import CONTENT_COLUMNS, build_arrow, list_child_columns

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
Row = Mapping[str, Any]
_numbers = itertools.count()


def open_store(timezone: str | None = None, now: datetime = NOW) -> duckdb.DuckDBPyConnection:
    """An empty store whose clock stands still."""
    template = _make_template()
    path = template.with_stem(f"store_{next(_numbers)}")
    shutil.copy(template, path)
    connection = duckdb.connect(str(path))
    connection.execute("SET TimeZone = 'UTC'")
    if timezone is not None:
        set_meta(connection, "timezone", timezone)
    stop_clock(connection, now)
    return connection


@functools.cache
def _make_template() -> Path:
    """A store file to copy: creating all views takes ten times as long."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "template.duckdb"
    with duckdb.connect(str(path)) as connection:
        schema.ensure_schema(connection, sources.list_tables(), path)
        views.create_views(connection)
    return path


def stop_clock(connection: duckdb.DuckDBPyConnection, now: datetime) -> None:
    clock = next(view.sql for view in views.list_views() if view.name == "clock")
    stopped = clock.replace("now()", f"make_timestamptz({to_us(now)})")
    connection.execute(f"CREATE OR REPLACE VIEW clock AS {stopped}")


def find_table(name: str) -> Table:
    return next(table for table in sources.list_tables() if table.name == name)


def insert(connection: duckdb.DuckDBPyConnection, name: str, rows: Sequence[Row]) -> None:
    """Rows of a kind's table; columns they do not have are NULL."""
    table = find_table(name)
    _insert(connection, name, (*table.columns, *CONTENT_COLUMNS, *schema.KEPT_COLUMNS), rows)


def insert_children(
    connection: duckdb.DuckDBPyConnection, parent: str, name: str, rows: Sequence[Row]
) -> None:
    table = find_table(parent)
    child = next(child for child in table.children if child.name == name)
    columns = (*schema.CHILD_COLUMNS, *list_child_columns(table, child))
    _insert(connection, name, columns, rows)


def _insert(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    columns: Sequence[Column],
    rows: Sequence[Row],
) -> None:
    known = {column.name for column in columns}
    assert all(known.issuperset(row) for row in rows), "a row has a column the table lacks"
    values = [tuple(row.get(column.name) for column in columns) for row in rows]
    connection.register("new_rows", build_arrow(columns, values))
    connection.execute(f"INSERT INTO {name} BY NAME SELECT * FROM new_rows")
    connection.unregister("new_rows")


def insert_coverage(
    connection: duckdb.DuckDBPyConnection,
    kind: str,
    source: str,
    stream: str,
    ranges: Sequence[tuple[datetime, datetime]],
) -> None:
    """A stream and its ledger."""
    connection.execute(
        "INSERT INTO etl.streams (source, kind, stream) VALUES (?, ?, ?)",
        [source, kind, stream],
    )
    for since, until in ranges:
        connection.execute(
            "INSERT INTO etl.coverage VALUES (?, ?, make_timestamptz(?), make_timestamptz(?))",
            [source, stream, to_us(since), to_us(until)],
        )


def insert_pruned(
    connection: duckdb.DuckDBPyConnection, source: str, stream: str, before: datetime | None
) -> None:
    """A stream whose older executions, or (None) only payloads, were pruned."""
    connection.execute(
        "INSERT INTO etl.pruned (source, stream, executions_before, payloads_before) "
        "VALUES (?, ?, make_timestamptz(?), make_timestamptz(?))",
        [source, stream, None if before is None else to_us(before), to_us(NOW)],
    )


def set_meta(connection: duckdb.DuckDBPyConnection, name: str, value: str) -> None:
    connection.execute("DELETE FROM etl.meta WHERE name = ?", [name])
    connection.execute("INSERT INTO etl.meta VALUES (?, ?)", [name, value])


def read(connection: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, Any]]:
    """The rows of a query; times as aware datetimes."""
    described = connection.execute(f"DESCRIBE {sql}").fetchall()
    timed = [name for name, kind, *_ in described if kind == "TIMESTAMP WITH TIME ZONE"]
    replaced = ", ".join(f'epoch_us("{name}") AS "{name}"' for name in timed)
    stars = f"* REPLACE ({replaced})" if timed else "*"
    names = [name for name, *_ in described]
    rows = connection.execute(f"SELECT {stars} FROM ({sql})").fetchall()
    return [
        {
            name: from_us(value) if name in timed else value
            for name, value in zip(names, row, strict=True)
        }
        for row in rows
    ]


def to_us(time: datetime) -> int:
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def from_us(us: int | None) -> datetime | None:
    return None if us is None else datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
