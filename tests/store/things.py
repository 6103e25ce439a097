"""A small kind of its own: a composite key with a time in it, children, JSON and lists."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb

from etl.pending import PendingRows
from etl.records import Column, Flat, Table
from etl.store.schema import ensure_schema
from etl.store.write import Batch, RunRow, commit_batch, stage_batch

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PARTS = Table("lab.parts", (Column("name", "VARCHAR"), Column("size", "BIGINT")))
NOTES = Table("lab.notes", (Column("text", "VARCHAR"),))
THINGS = Table(
    "lab.things",
    (
        Column("id", "VARCHAR"),
        Column("seen_at", "TIMESTAMPTZ"),
        Column("place", "BIGINT"),
        Column("value", "VARCHAR"),
        Column("body", "JSON"),
        Column("tags", "VARCHAR[]"),
        Column("ratio", "DOUBLE"),
        Column("is_good", "BOOLEAN"),
    ),
    key=("id", "seen_at", "place"),
    time="seen_at",
    is_time_fixed=True,
    open_when="value = 'open'",
    children=(PARTS, NOTES),
)
"""Its time is part of the key, so it never changes."""

JOBS = Table(
    "lab.jobs",
    (Column("id", "VARCHAR"), Column("moved_at", "TIMESTAMPTZ"), Column("value", "VARCHAR")),
    key=("id",),
    time="moved_at",
    numbered_by="id",
    open_when="value = 'open'",
)
"""Its time may change for a key."""


def minute(number: float) -> datetime:
    return NOON + timedelta(minutes=number)


def make_thing(
    id: str,
    at: float = 0,
    place: int = 0,
    value: str | None = "a",
    parts: Sequence[tuple[str, int]] = (),
    notes: Sequence[str] = (),
    body: str | None = None,
    tags: list[str] | None = None,
) -> Flat:
    row = (id, minute(at), place, value, body, tags, 0.5, True)
    children = (list(parts), [(note,) for note in notes])
    return Flat(row, children if parts or notes else ())


def make_job(id: str, at: float = 0, value: str = "a") -> Flat:
    return Flat((id, minute(at), value))


def make_batch(
    things: Iterable[Flat] = (),
    run_id: str = "run",
    stream: str = "things",
    table: Table = THINGS,
    **others: Any,
) -> Batch:
    """A batch of one stream of the source `lab`."""
    pending = PendingRows(table)
    for thing in things:
        pending.add(stream, thing, None)
    run = RunRow(run_id, "lab", stream, NOON)
    batch = Batch("lab", "lab", run_id, {table.name: pending}, runs={stream: run})
    return replace(batch, **others)


@contextmanager
def open_memory() -> Iterator[duckdb.DuckDBPyConnection]:
    """A store in memory with the tables of this kind."""
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        ensure_schema(connection, (THINGS, JOBS), None)
        yield connection


def read(connection: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = connection.execute(sql).fetchall()
    return rows


def dump(connection: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that is in the store, as text, by table."""
    names = read(
        connection,
        "SELECT schema_name || '.' || table_name FROM duckdb_tables() "
        "WHERE database_name = current_database() ORDER BY ALL",
    )
    return {
        name: read(connection, f"SELECT t::VARCHAR FROM {name} AS t ORDER BY ALL")
        for (name,) in names
    }


def write_batch(
    connection: duckdb.DuckDBPyConnection, batch: Batch, now: datetime
) -> dict[str, RunRow]:
    """Write and commit a batch."""
    runs = stage_batch(connection, batch, now)
    commit_batch(connection)
    return runs
