"""The tables of the store and its version."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import xxhash

from etl.errors import StoreError
from etl.records import Column, Table
from etl.store.connect import transaction
from etl.store.migrations import MIGRATIONS
from etl.tables import CONTENT_COLUMNS, list_child_columns, list_number_columns

SCHEMA_VERSION = 1 + len(MIGRATIONS)
VERSION, SHAPE = "schema_version", "schema_shape"

KEPT_COLUMNS = (
    Column("source", "VARCHAR"),
    Column("first_synced_at", "TIMESTAMPTZ"),
    Column("synced_at", "TIMESTAMPTZ"),
    Column("sync_run_id", "VARCHAR"),
    Column("gone_at", "TIMESTAMPTZ"),
    Column("kept_metrics", "JSON"),
)
"""What the store adds to each record. `gone_at`: when the platform no longer had it;
`kept_metrics`: what views computed from its payload before that was pruned."""

CHILD_COLUMNS = (Column("source", "VARCHAR"), Column("synced_at", "TIMESTAMPTZ"))
"""What the store adds to each child row: the same as in its parent."""


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
        mode="VARCHAR",
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
PRUNED = Table(
    "etl.pruned",
    _columns(
        source="VARCHAR",
        stream="VARCHAR",
        executions_before="TIMESTAMPTZ",
        payloads_before="TIMESTAMPTZ",
        pruned_at="TIMESTAMPTZ",
    ),
)
OWN_TABLES = (META, COVERAGE, STREAMS, RUNS, QUARANTINE, DRIFT, PRUNED)
"""What the program keeps for itself."""


def ensure_schema(
    connection: duckdb.DuckDBPyConnection, tables: Iterable[Table], path: Path
) -> None:
    """Bring the store to this program's version: missing tables, missing columns, migrations.

    All of it or nothing. Raises StoreError, and touches nothing, if the store is newer or somebody
    else's file.
    """
    meta = _read_meta(connection)
    version = _find_version(meta)
    check_version(version, path)
    declared = list_declared(tables)
    if version is None:
        _check_empty(connection, declared, path)
    shape = _describe_shape(declared)
    if version == SCHEMA_VERSION and meta.get(SHAPE) == shape:
        return
    with transaction(connection):
        _upgrade(connection, declared, version)
        _write_meta(connection, {VERSION: str(SCHEMA_VERSION), SHAPE: shape})


def check_version(version: int | None, path: Path) -> None:
    """Raise StoreError for a store of a newer version than this program knows."""
    if version is not None and version > SCHEMA_VERSION:
        raise StoreError(
            f"{path}: the store has schema version {version}, this program knows "
            f"{SCHEMA_VERSION}; upgrade etl"
        )


def _check_empty(
    connection: duckdb.DuckDBPyConnection, declared: Iterable[str], path: Path
) -> None:
    """Raise StoreError for a file that others keep their tables in: the path may be a mistake."""
    foreign = sorted(_list_columns(connection).keys() - set(declared))
    if foreign:
        raise StoreError(
            f"{path}: this DuckDB file is no store, it holds {foreign[0]}; it was left untouched; "
            "name a file of its own for the store"
        )


def _upgrade(
    connection: duckdb.DuckDBPyConnection,
    declared: Mapping[str, Sequence[Column]],
    version: int | None,
) -> None:
    if version is not None:
        for migrate in MIGRATIONS[version - 1 :]:
            migrate(connection)
    present = _list_columns(connection)
    for name, columns in declared.items():
        known = present.get(name, set())
        missing = [f'"{c.name}" {c.type}' for c in columns if c.name not in known]
        if not known:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {name.partition('.')[0]}")
            connection.execute(f"CREATE TABLE {name} ({', '.join(missing)})")
            continue
        for definition in missing:
            connection.execute(f"ALTER TABLE {name} ADD COLUMN {definition}")


def read_version(connection: duckdb.DuckDBPyConnection) -> int | None:
    """The schema version of the store; None for one that is empty."""
    return _find_version(_read_meta(connection))


def _find_version(meta: Mapping[str, str]) -> int | None:
    return int(meta[VERSION]) if VERSION in meta else None


def _read_meta(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    try:
        return dict(connection.execute("SELECT name, value FROM etl.meta").fetchall())
    except duckdb.CatalogException:
        return {}


def _write_meta(connection: duckdb.DuckDBPyConnection, values: Mapping[str, str]) -> None:
    for name, value in values.items():
        connection.execute("DELETE FROM etl.meta WHERE name = ?", [name])
        connection.execute("INSERT INTO etl.meta VALUES (?, ?)", [name, value])


def _describe_shape(declared: Mapping[str, Sequence[Column]]) -> str:
    """Changes whenever a table or a column does: looking at them all is slow."""
    names = [(name, [column.name for column in columns]) for name, columns in declared.items()]
    return xxhash.xxh3_64_hexdigest(msgspec.json.encode(sorted(names)))


def list_declared(tables: Iterable[Table]) -> dict[str, tuple[Column, ...]]:
    """Every table of the store, by name: the program's own, and those of the kinds."""
    declared = {own.name: own.columns for own in OWN_TABLES}
    for table in tables:
        own = (*CONTENT_COLUMNS, *KEPT_COLUMNS, *list_number_columns(table))
        declared[table.name] = (*table.columns, *own)
        for child in table.children:
            declared[child.name] = (*CHILD_COLUMNS, *list_child_columns(table, child))
    return declared


def _list_columns(connection: duckdb.DuckDBPyConnection) -> dict[str, set[str]]:
    rows = connection.execute(
        "SELECT schema_name || '.' || table_name, list(column_name) FROM duckdb_columns() "
        "WHERE database_name = current_database() GROUP BY ALL"
    ).fetchall()
    return {name: set(columns) for name, columns in rows}


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
