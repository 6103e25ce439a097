"""The store as the commands open it: with its schema, its views, its key and its time zone."""

import contextlib
from collections.abc import Iterator

import duckdb

from etl.budget import Budget
from etl.config import StoreConfig
from etl.errors import StoreError
from etl.redact import load_key, make_key_id
from etl.sources import list_tables
from etl.store.connect import Engine, Opener, check_file, open_reader, open_writer, transaction
from etl.store.schema import SCHEMA_VERSION, check_version, ensure_schema, read_version
from etl.views import create_views


def prepare_store(store: StoreConfig, budget: Budget) -> tuple[Opener, bytes]:
    """What opens the store for a batch, and the key of its fingerprints.

    The store is opened once to begin with: what is the same for all batches is done here.
    """
    engine = Engine()
    with open_writer(store.path, budget, engine=engine) as connection:
        ensure_schema(connection, list_tables(), store.path)
        key = load_key(store.path, read_key_id(connection))
        with transaction(connection):
            _write_meta(connection, "key_id", make_key_id(key))
            _write_meta(connection, "timezone", store.timezone)
            create_views(connection)

    @contextlib.contextmanager
    def open_store() -> Iterator[duckdb.DuckDBPyConnection]:
        with open_writer(store.path, budget, engine=engine) as connection:
            ensure_schema(connection, list_tables(), store.path)
            yield connection

    return open_store, key


def read_key_id(connection: duckdb.DuckDBPyConnection) -> str | None:
    """By what the store knows the key of its fingerprints; None before the first sync."""
    return _read_meta(connection, "key_id")


def _read_meta(connection: duckdb.DuckDBPyConnection, name: str) -> str | None:
    found = connection.execute("SELECT value FROM etl.meta WHERE name = ?", [name]).fetchall()
    return found[0][0] if found else None


def _write_meta(connection: duckdb.DuckDBPyConnection, name: str, value: str) -> None:
    if _read_meta(connection, name) != value:
        connection.execute("DELETE FROM etl.meta WHERE name = ?", [name])
        connection.execute("INSERT INTO etl.meta VALUES (?, ?)", [name, value])


@contextlib.contextmanager
def open_known(store: StoreConfig) -> Iterator[duckdb.DuckDBPyConnection]:
    """The store, read-only, if it is one of this program's version. Raises StoreError."""
    with open_reader(store.path) as connection:
        version = read_version(connection)
        if version is None:
            raise StoreError(f"{store.path}: there is no execution history in it; run: etl sync")
        if version < SCHEMA_VERSION:
            raise StoreError(
                f"{store.path}: the store has the older schema version {version}; "
                "the next etl sync upgrades it"
            )
        check_version(version, store.path)
        yield connection


@contextlib.contextmanager
def open_known_or_empty(store: StoreConfig) -> Iterator[duckdb.DuckDBPyConnection]:
    """The store, read-only; an empty one in memory where there is none yet."""
    if check_file(store.path):
        with open_known(store) as connection:
            yield connection
        return
    with contextlib.closing(duckdb.connect()) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        ensure_schema(connection, list_tables(), store.path)
        yield connection
