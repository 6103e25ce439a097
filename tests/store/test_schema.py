"""The tables of the store and its version."""

from pathlib import Path

import duckdb
import pytest

from etl.budget import start_budget
from etl.errors import StoreError
from etl.sources import list_tables
from etl.store.connect import open_writer
from etl.store.schema import SCHEMA_VERSION, ensure_schema, insert_json, read_version
from tests.store.things import JOBS, THINGS, dump, read

NEVER = start_budget(None)


def test_an_empty_store_gets_the_tables_of_every_kind(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"

    with open_writer(path, NEVER) as connection:
        assert read_version(connection) is None
        ensure_schema(connection, list_tables(), path)

    with open_writer(path, NEVER) as connection:
        assert read_version(connection) == SCHEMA_VERSION
        names = {name for name in dump(connection) if not name.startswith("etl.")}
    children = {child.name for table in list_tables() for child in table.children}
    assert names == {table.name for table in list_tables()} | children


def test_a_second_time_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    with open_writer(path, NEVER) as connection:
        ensure_schema(connection, (THINGS,), path)
        connection.execute("INSERT INTO etl.drift (path) VALUES ('$.x')")
        before = dump(connection)

        ensure_schema(connection, (THINGS,), path)

        assert dump(connection) == before


def test_an_older_store_gets_the_tables_of_a_new_kind(tmp_path: Path) -> None:
    """Adding a source needs no new version of the schema."""
    path = tmp_path / "s.duckdb"
    with open_writer(path, NEVER) as connection:
        ensure_schema(connection, (THINGS,), path)
        connection.execute("INSERT INTO lab.things (id) VALUES ('a')")

        ensure_schema(connection, (THINGS, JOBS), path)

        assert read(connection, "SELECT id FROM lab.things") == [("a",)]
        assert read(connection, "SELECT count(*) FROM lab.jobs") == [(0,)]
        assert read_version(connection) == SCHEMA_VERSION


def test_a_store_from_a_newer_version_is_refused_unharmed(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    with open_writer(path, NEVER) as connection:
        ensure_schema(connection, (THINGS,), path)
        connection.execute("UPDATE etl.meta SET value = '9999'")
    before = path.read_bytes()

    with (
        pytest.raises(StoreError, match=r"schema version 9999.*upgrade etl") as raised,
        open_writer(path, NEVER) as connection,
    ):
        ensure_schema(connection, (THINGS, JOBS), path)

    assert raised.value.exit_code == 6
    assert path.read_bytes() == before


def test_every_table_is_one_that_duckdb_keeps_and_arrow_knows() -> None:
    """A column's type is written once; both sides must take it."""
    from etl.tables import build_arrow

    with duckdb.connect() as connection:
        ensure_schema(connection, list_tables(), Path("memory"))
        for table in list_tables():
            for part in (table, *table.children):
                empty = build_arrow(part.columns, [])
                names = ", ".join(f'"{column.name}"' for column in part.columns)
                connection.register("empty", empty)
                connection.execute(f"INSERT INTO {part.name} ({names}) FROM empty")


def test_rows_as_json_keep_their_types() -> None:
    from etl.records import Column, Table
    from tests.store.things import NOON

    table = Table(
        "main.t",
        (
            Column("text", "VARCHAR"),
            Column("number", "BIGINT"),
            Column("share", "DOUBLE"),
            Column("moment", "TIMESTAMPTZ"),
            Column("body", "JSON"),
            Column("not_given", "VARCHAR"),
        ),
    )
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        columns = ", ".join(f'"{c.name}" {c.type}' for c in table.columns)
        connection.execute(f"CREATE TABLE main.t ({columns})")

        insert_json(
            connection,
            table,
            [
                {
                    "text": 'a"\\\n\x00ü',
                    "number": 2**62,
                    "share": 0.1,
                    "moment": NOON,
                    "body": "[1]",
                },
                {"text": None, "number": None, "share": None, "moment": None, "body": None},
            ],
        )

        assert read(
            connection, "SELECT text, number, share, moment::VARCHAR, body, not_given FROM t"
        ) == [
            ('a"\\\n\x00ü', 2**62, 0.1, "2026-03-01 12:00:00+00", "[1]", None),
            (None, None, None, None, None, None),
        ]
