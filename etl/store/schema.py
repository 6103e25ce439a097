"""The tables of the store and its version."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from etl.errors import StoreError
from etl.records import Column, Table
from etl.tables import CONTENT_COLUMNS, list_child_columns

SCHEMA_VERSION = 1

KEPT_COLUMNS = (
    Column("source", "VARCHAR"),
    Column("first_synced_at", "TIMESTAMPTZ"),
    Column("synced_at", "TIMESTAMPTZ"),
    Column("sync_run_id", "VARCHAR"),
    Column("gone_at", "TIMESTAMPTZ"),
)
"""What the store adds to each record; `gone_at`: when the platform no longer had it."""


def _columns(**types: str) -> tuple[Column, ...]:
    return tuple(Column(name, type) for name, type in types.items())


META = Table("etl.meta", _columns(name="VARCHAR", value="VARCHAR"))
COVERAGE = Table(
    "etl.coverage",
    _columns(source="VARCHAR", stream="VARCHAR", since="TIMESTAMPTZ", until="TIMESTAMPTZ"),
)
STREAMS = Table(
    "etl.streams",
    _columns(
        source="VARCHAR",
        kind="VARCHAR",
        stream="VARCHAR",
        list_order="VARCHAR",
        lookback_s="DOUBLE",
        longest_delay_s="DOUBLE",
    ),
)
RUNS = Table(
    "etl.runs",
    _columns(
        run_id="VARCHAR",
        source="VARCHAR",
        stream="VARCHAR",
        started_at="TIMESTAMPTZ",
        ended_at="TIMESTAMPTZ",
        state="VARCHAR",
        pages="BIGINT",
        requests="BIGINT",
        retries="BIGINT",
        slept_s="DOUBLE",
        rows_new="BIGINT",
        rows_changed="BIGINT",
        rows_unchanged="BIGINT",
        rows_quarantined="BIGINT",
        redactions="BIGINT",
        received_bytes="BIGINT",
        covered_s="DOUBLE",
        exit_code="BIGINT",
        error="VARCHAR",
    ),
)
QUARANTINE = Table(
    "etl.quarantine",
    _columns(
        source="VARCHAR",
        kind="VARCHAR",
        stream="VARCHAR",
        fingerprint="VARCHAR",
        record="JSON",
        path="VARCHAR",
        error="VARCHAR",
        page="VARCHAR",
        run_id="VARCHAR",
        quarantined_at="TIMESTAMPTZ",
    ),
)
DRIFT = Table(
    "etl.drift",
    _columns(
        source="VARCHAR",
        kind="VARCHAR",
        path="VARCHAR",
        value="VARCHAR",
        occurrences="BIGINT",
        first_seen_at="TIMESTAMPTZ",
        last_seen_at="TIMESTAMPTZ",
    ),
)
OWN_TABLES = (META, COVERAGE, STREAMS, RUNS, QUARANTINE, DRIFT)
"""What the program keeps for itself."""


def ensure_schema(
    connection: duckdb.DuckDBPyConnection, tables: Iterable[Table], path: Path
) -> None:
    """Create what is missing, also the tables of a kind that this program did not have before.

    Raises StoreError, and touches nothing, if the store is newer.
    """
    version = read_version(connection)
    tables = tuple(tables)
    if version == SCHEMA_VERSION and _list_tables(connection).issuperset(t.name for t in tables):
        return
    if version is not None and version > SCHEMA_VERSION:
        raise StoreError(
            f"{path}: the store has schema version {version}, this program knows "
            f"{SCHEMA_VERSION}; upgrade etl"
        )
    connection.execute("BEGIN")
    connection.execute("CREATE SCHEMA IF NOT EXISTS etl")
    for own in OWN_TABLES:
        _create(connection, own.name, own.columns)
    for table in tables:
        create_tables(connection, table)
    connection.execute("DELETE FROM etl.meta WHERE name = 'schema_version'")
    connection.execute("INSERT INTO etl.meta VALUES ('schema_version', ?)", [str(SCHEMA_VERSION)])
    connection.execute("COMMIT")


def read_version(connection: duckdb.DuckDBPyConnection) -> int | None:
    """The schema version of the store; None for one that is empty."""
    if META.name not in _list_tables(connection):
        return None
    found = connection.execute(
        "SELECT value FROM etl.meta WHERE name = 'schema_version'"
    ).fetchall()
    return int(found[0][0]) if found else None


def _list_tables(connection: duckdb.DuckDBPyConnection) -> set[str]:
    rows = connection.execute(
        "SELECT schema_name || '.' || table_name FROM duckdb_tables() "
        "WHERE database_name = current_database()"
    ).fetchall()
    return {name for (name,) in rows}


def create_tables(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    """Create the tables of one kind of record: its own and its children's."""
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {table.name.partition('.')[0]}")
    _create(connection, table.name, (*table.columns, *CONTENT_COLUMNS, *KEPT_COLUMNS))
    for child in table.children:
        columns = (KEPT_COLUMNS[0], *list_child_columns(table, child))
        _create(connection, child.name, columns)


def _create(connection: duckdb.DuckDBPyConnection, name: str, columns: tuple[Column, ...]) -> None:
    body = ", ".join(f'"{column.name}" {column.type}' for column in columns)
    connection.execute(f"CREATE TABLE IF NOT EXISTS {name} ({body})")


def insert_json(
    connection: duckdb.DuckDBPyConnection, table: Table, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Insert rows by column name, any number in one statement; JSON values are given as text."""
    if not rows:
        return
    types = {c.name: "VARCHAR" if c.type == "JSON" else c.type for c in table.columns}
    schema = msgspec.json.encode([types]).decode()
    connection.execute(
        f"INSERT INTO {table.name} BY NAME "
        f"SELECT unnest(from_json(?, '{schema}'), recursive := true)",
        [msgspec.json.encode(rows).decode()],
    )
