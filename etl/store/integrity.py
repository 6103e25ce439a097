"""What must be true of a store, asked of the store itself."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import duckdb

from etl.records import Table
from etl.tables import list_child_key


@dataclass(frozen=True, slots=True)
class Finding:
    """One promise, and how many rows break it."""

    promise: str
    broken: int


def check_store(
    connection: duckdb.DuckDBPyConnection, tables: Iterable[Table]
) -> tuple[Finding, ...]:
    """Every promise about the rows of these tables and about the ledger."""
    findings = [_check_ledger(connection)]
    for table in tables:
        findings.append(_check_keys(connection, table))
        findings += [_check_children(connection, table, child) for child in table.children]
    return tuple(findings)


def _check_ledger(connection: duckdb.DuckDBPyConnection) -> Finding:
    broken = connection.execute(
        """
        SELECT count(*) FROM (
            SELECT
                since, until,
                lag(until) OVER (PARTITION BY source, stream ORDER BY since, until) AS before
            FROM etl.coverage
        )
        WHERE since >= until OR since <= before
        """
    ).fetchall()[0][0]
    return Finding("etl.coverage: intervals are disjoint and not empty", broken)


def _check_keys(connection: duckdb.DuckDBPyConnection, table: Table) -> Finding:
    keys = ", ".join(f'"{name}"' for name in ("source", *table.key))
    broken = connection.execute(
        f"SELECT count(*) FROM (SELECT 1 FROM {table.name} GROUP BY {keys} HAVING count(*) > 1)"
    ).fetchall()[0][0]
    return Finding(f"{table.name}: one row per {', '.join(table.key)}", broken)


def _check_children(connection: duckdb.DuckDBPyConnection, table: Table, child: Table) -> Finding:
    places = zip(list_child_key(table), table.key, strict=True)
    same = " AND ".join(
        [
            "child.source = parent.source",
            "child.synced_at = parent.synced_at",
            *(f'child."{a.name}" = parent."{b}"' for a, b in places),
        ]
    )
    broken = connection.execute(
        f"SELECT count(*) FROM {child.name} AS child ANTI JOIN {table.name} AS parent ON {same}"
    ).fetchall()[0][0]
    return Finding(f"{child.name}: each row has its {table.name}, written with it", broken)


def count_clear_secrets(
    connection: duckdb.DuckDBPyConnection, tables: Iterable[Table], sources: Sequence[str]
) -> int:
    """Values of secret columns of these sources that are no fingerprints."""
    return sum(
        _count_clear(connection, table, column.name, sources)
        for parent in tables
        for table in (parent, *parent.children)
        for column in table.columns
        if column.role == "secret"
    )


def _count_clear(
    connection: duckdb.DuckDBPyConnection, table: Table, column: str, sources: Sequence[str]
) -> int:
    count: int = connection.execute(
        f"""
        SELECT count(*) FROM {table.name}
        WHERE "{column}" <> '' AND NOT starts_with("{column}", 'hmac:')
        AND list_contains(?::VARCHAR[], source)
        """,
        [list(sources)],
    ).fetchall()[0][0]
    return count
