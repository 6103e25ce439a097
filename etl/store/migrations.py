"""Upgrades of a store: mNNN brings version NNN to the next one.

They run in one transaction together with the version they lead to. One that is in use is never
changed again: it says what a store was like then, so it names tables and columns itself. Tables
and columns that are new, and empty to begin with, need none: `ensure_schema` adds them.
"""

from collections.abc import Callable

import duckdb

Migration = Callable[[duckdb.DuckDBPyConnection], None]


def m001_remember_what_was_pruned(connection: duckdb.DuckDBPyConnection) -> None:
    """A program that does not know of it would fetch again what was pruned."""
    connection.execute(
        """
        CREATE TABLE etl.pruned (
            source VARCHAR,
            stream VARCHAR,
            executions_before TIMESTAMPTZ,
            payloads_before TIMESTAMPTZ,
            pruned_at TIMESTAMPTZ
        )
        """
    )


def m002_find_rows_without_reading_ids(connection: duckdb.DuckDBPyConnection) -> None:
    """Number the keys of records whose time may change; give child rows the time of their parent.

    The expression is that of `etl.pending.number_key`.
    """
    tables = {
        name
        for (name,) in connection.execute(
            "SELECT schema_name || '.' || table_name FROM duckdb_tables() "
            "WHERE database_name = current_database()"
        ).fetchall()
    }
    time = "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"
    for name, column in (
        ("airflow.dag_runs", "dag_run_id"),
        ("airflow.task_instances", "dag_run_id"),
        ("b3os.runs", "id"),
    ):
        if name in tables:
            connection.execute(f"ALTER TABLE {name} ADD COLUMN key_number BIGINT")
            connection.execute(
                f"""
                UPDATE {name} SET key_number = coalesce(
                    try_cast(array_to_string(regexp_extract_all(
                        regexp_extract({column}, '{time}'), '[0-9]'
                    ), '') AS BIGINT),
                    -1 - (md5_number_lower({column}) >> 1)::BIGINT
                )
                """
            )
    for name, parent, key in (
        ("riza.env", "riza.executions", "execution_id"),
        ("riza.http_allow", "riza.executions", "execution_id"),
        ("riza.files", "riza.executions", "execution_id"),
        ("b3os.events", "b3os.executions", "execution_id"),
    ):
        if name in tables:
            connection.execute(f"ALTER TABLE {name} ADD COLUMN synced_at TIMESTAMPTZ")
            connection.execute(
                f"UPDATE {name} AS child SET synced_at = parent.synced_at FROM {parent} AS parent "
                f"WHERE child.source = parent.source AND child.{key} = parent.id"
            )


MIGRATIONS: tuple[Migration, ...] = (
    m001_remember_what_was_pruned,
    m002_find_rows_without_reading_ids,
)
