"""The real store, in memory, behind a connection that dies around its commits."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from etl.prune import prune_executions
from etl.records import Table
from etl.sources import list_tables
from etl.store.read import read_ledgers
from etl.store.schema import ensure_schema
from etl.tables import list_child_key
from tests.simulation.fate import Crash, Fate
from tests.simulation.watched import Held, Snapshot, Watched


def connect() -> duckdb.DuckDBPyConnection:
    """A store in memory; each schedule is a source of its own in it."""
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("PRAGMA disable_optimizer")
    ensure_schema(connection, list_tables(), Path("memory"))
    return connection


@dataclass
class DuckStore:
    connection: duckdb.DuckDBPyConnection = field(default_factory=connect)

    def make_opener(self, fate: Fate) -> Callable[[], Any]:
        @contextmanager
        def open_store() -> Iterator[Any]:
            try:
                fate.check_alive()
                yield FaultyConnection(self.connection, fate)
            except Crash:
                self._roll_back()
                raise

        return open_store

    def _roll_back(self) -> None:
        try:
            self.connection.execute("ROLLBACK")
        except duckdb.TransactionException:
            return

    def read(self, source: str, watched: Sequence[Watched]) -> Snapshot:
        """What is there; rows that are there twice and children without a parent are faults."""
        seen = Snapshot(rows={look.stream: {} for look in watched})
        for look in {look.table: look for look in watched}.values():
            self._read_table(source, look, seen)
        seen.ledgers = read_ledgers(self.connection, source, seen.rows)
        seen.counted = dict(
            self.connection.execute(
                "SELECT stream, sum(rows_new)::BIGINT FROM etl.runs WHERE source = ? GROUP BY ALL",
                [source],
            ).fetchall()
        )
        return seen

    def _read_table(self, source: str, look: Watched, seen: Snapshot) -> None:
        names = ", ".join((*look.names, look.version or "NULL"))
        rows = self.connection.execute(
            f"SELECT stream, {names} FROM {look.table.name} WHERE source = ?", [source]
        ).fetchall()
        children = self._count_children(source, look)
        for stream, *name, version in rows:
            held = seen.rows.setdefault(stream, {})
            if tuple(name) in held:
                seen.faults.append(f"stored twice: {name}")
            held[tuple(name)] = Held(version, children.pop(tuple(name), 0))
        seen.faults += [f"child rows without a parent: {name}" for name in children]

    def _count_children(self, source: str, look: Watched) -> Counter[tuple[Any, ...]]:
        if look.child is None:
            return Counter()
        key = ", ".join(column.name for column in list_child_key(look.table))
        return Counter(
            self.connection.execute(
                f"SELECT {key} FROM {look.child.name} WHERE source = ?", [source]
            ).fetchall()
        )

    def prune(self, tables: Sequence[Table], before: datetime, now: datetime) -> None:
        prune_executions(self.connection, tables, before, now)

    def read_lookback(self, source: str) -> timedelta:
        """The longest overlap of the source: nothing younger may be pruned."""
        [(lookback_s,)] = self.connection.execute(
            "SELECT coalesce(max(lookback_s), 0) FROM etl.streams WHERE source = ?", [source]
        ).fetchall()
        return timedelta(seconds=lookback_s)


class FaultyConnection:
    """A DuckDB connection that dies around its commits, as a killed process would."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, fate: Fate) -> None:
        self._connection = connection
        self._fate = fate

    def execute(self, sql: str, *args: Any) -> Any:
        self._fate.check_alive()
        if sql != "COMMIT":
            return self._connection.execute(sql, *args)
        self._fate.meet_commit_boundary()
        result = self._connection.execute(sql)
        self._fate.meet_commit_boundary()
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)
