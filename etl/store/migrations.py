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


MIGRATIONS: tuple[Migration, ...] = (m001_remember_what_was_pruned,)
