"""Passes over sources that live in the test, into a real store in memory."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import httpx

from etl.budget import Budget
from etl.coverage import Interval, Ledger
from etl.records import SourceConfig, Table
from etl.sources import riza
from etl.store.connect import Opener
from etl.store.read import read_ledgers
from etl.store.schema import ensure_schema
from etl.sync.commits import Submit, commit_inline
from etl.sync.load import BatchLimits
from etl.sync.pump import Event, Job, run_inline
from etl.sync.run import Extent, SourceResult, Surroundings, sync_sources
from tests.budgets import RecordingBudget
from tests.sources.riza_account import NOON

OpenCommits = Callable[[], AbstractContextManager[Submit]]
AT_THE_END = BatchLimits(rows=10_000, seconds=1e9)
EACH_PAGE = BatchLimits(rows=0, seconds=1e9)
"""When a pass commits."""


def hour(number: float) -> datetime:
    return NOON + timedelta(hours=number)


def make_config(name: str = "prod", page_size: int = 3, **others: Any) -> SourceConfig:
    return SourceConfig(
        name, "riza", f"http://{name}", "TOKEN", "t0ken-0123", page_size=page_size, **others
    )


def keep_open(connection: duckdb.DuckDBPyConnection) -> Opener:
    """A store in memory as the sync opens it: the same one each time."""

    @contextmanager
    def open_store() -> Iterator[duckdb.DuckDBPyConnection]:
        yield connection

    return open_store


@dataclass
class Bench:
    """A store, a clock and what answers; `sync` makes one pass over the sources."""

    store: duckdb.DuckDBPyConnection
    transport: httpx.BaseTransport | None = None
    now: datetime = NOON + timedelta(hours=100)
    configs: Sequence[SourceConfig] = field(default_factory=lambda: [make_config()])
    limits: BatchLimits = AT_THE_END
    run_jobs: Callable[[Sequence[Job], int], Generator[Event]] = run_inline
    open_store: Opener | None = None
    open_commits: OpenCommits = commit_inline

    def sync(
        self, max_pages: int | None = None, is_full: bool = False, budget: Budget | None = None
    ) -> list[SourceResult]:
        around = Surroundings(
            self.open_store or keep_open(self.store),
            b"key",
            budget or RecordingBudget(),
            lambda: self.now,
            self.transport,
            self.run_jobs,
            self.limits,
            open_commits=self.open_commits,
        )
        return sync_sources(self.configs, around, Extent(max_pages, is_full))

    def sync_well(self, max_pages: int | None = None, is_full: bool = False) -> SourceResult:
        """One pass of which nothing fails."""
        [result] = self.sync(max_pages, is_full)
        assert result.errors == []
        return result

    def read(self, sql: str) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self.store.execute(sql).fetchall()
        return rows

    def list_ids(self) -> list[str]:
        return [id for (id,) in self.read("SELECT id FROM riza.executions ORDER BY started_at, id")]

    def ledger(self, source: str = "prod", stream: str = "executions") -> Ledger:
        return read_ledgers(self.store, source, [stream])[stream]

    def write_ledger(self, *intervals: Interval, stream: str = "executions") -> None:
        """As if only this were known."""
        self.store.execute("DELETE FROM etl.coverage")
        for interval in intervals:
            self.store.execute(
                "INSERT INTO etl.coverage VALUES ('prod', ?, ?::TIMESTAMPTZ, ?::TIMESTAMPTZ)",
                [stream, interval.since.isoformat(), interval.until.isoformat()],
            )

    def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of executions and their children, as text."""
        names = ("executions", "env", "http_allow", "files")
        return {n: self.read(f"SELECT t::VARCHAR FROM riza.{n} AS t ORDER BY ALL") for n in names}

    def states(self) -> list[tuple[Any, ...]]:
        """The runs so far: stream, state and exit code."""
        return self.read("SELECT stream, state, exit_code FROM etl.runs ORDER BY rowid")


@contextmanager
def open_bench(tables: Sequence[Table] = riza.TABLES, **others: Any) -> Iterator[Bench]:
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        ensure_schema(connection, tables, Path("memory"))
        yield Bench(connection, **others)
