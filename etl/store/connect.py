"""Opening the store: for as short as possible, with patience, and with errors that explain."""

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb

from etl.budget import Budget, BudgetEnded, start_budget
from etl.errors import StoreError

STORAGE_VERSION = "v1.5.0"
LOCK_WAIT_S = 60.0
LOCK_RETRY_S = 0.05
WAL_MAX = "512MB"
ROW_GROUP_ROWS = 10_240

Opener = Callable[[], contextlib.AbstractContextManager[duckdb.DuckDBPyConnection]]
"""What opens a store for writing; tests put a faulty one in its place."""


@contextlib.contextmanager
def open_writer(
    path: Path, budget: Budget, wait_s: float = LOCK_WAIT_S
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that may write, alone in the world. Raises StoreError.

    The file is created in a storage version that current BI drivers can open.
    """
    with explain_errors(path):
        connection = _wait_for(lambda: _connect_writer(path), path, budget, wait_s)
        try:
            yield connection
        finally:
            connection.close()


@contextlib.contextmanager
def open_reader(
    path: Path, budget: Budget | None = None, wait_s: float = LOCK_WAIT_S
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-only connection; waits while a batch is being committed. Raises StoreError."""
    if not path.exists():
        raise StoreError(f"{path}: there is no store yet; run: etl sync")
    with explain_errors(path):
        connection = _wait_for(
            lambda: _configure(duckdb.connect(str(path), read_only=True)),
            path,
            budget or start_budget(None),
            wait_s,
        )
        try:
            yield connection
        finally:
            connection.close()


def _connect_writer(path: Path) -> duckdb.DuckDBPyConnection:
    """An own in-memory database with the file attached: only so can a row group size be given.

    Closing the file rewrites its last, unfinished row group. With groups of about a batch that
    costs no more than keeping the file open would, and readers are let in between batches.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    version = "" if path.exists() else f"STORAGE_VERSION '{STORAGE_VERSION}', "
    quoted = str(path).replace("'", "''")
    connection = _configure(duckdb.connect(config={"threads": 1}))
    try:
        # The default threshold rewrites an unfinished row group for every 16 MB of log.
        connection.execute(f"SET checkpoint_threshold = '{WAL_MAX}'")
        connection.execute(f"ATTACH '{quoted}' AS store ({version}ROW_GROUP_SIZE {ROW_GROUP_ROWS})")
        connection.execute("USE store")
    except BaseException:
        connection.close()
        raise
    return connection


def _configure(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def _wait_for(
    connect: Callable[[], duckdb.DuckDBPyConnection], path: Path, budget: Budget, wait_s: float
) -> duckdb.DuckDBPyConnection:
    """Connect, waiting for whoever holds the file; the wait is bounded by `wait_s` and budget."""
    waited_s = 0.0
    while True:
        try:
            return connect()
        except duckdb.IOException as error:
            if not is_lock_conflict(error):
                raise
            if waited_s >= wait_s:
                raise StoreError(_describe_holder(path, error)) from error
            try:
                budget.wait(LOCK_RETRY_S)
            except BudgetEnded:
                raise StoreError(_describe_holder(path, error)) from error
            waited_s += LOCK_RETRY_S


def is_lock_conflict(error: Exception) -> bool:
    """Whether somebody else has the file open in a way that keeps us out."""
    return "Could not set lock" in str(error)


def _describe_holder(path: Path, error: Exception) -> str:
    found = re.search(r"held in (.*?) \(PID (\d+)\)", str(error))
    holder = f"process {found[2]} ({found[1]})" if found else "another process"
    return f"{path}: the store is locked by {holder}; close it there, then run the sync again"


@contextlib.contextmanager
def explain_errors(path: Path) -> Iterator[None]:
    """Turn what only the user can mend into a StoreError of one line; bugs pass through."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise StoreError(f"{path}: out of memory or disk space: {first_line(error)}") from error
    except (duckdb.IOException, duckdb.SerializationException, OSError) as error:
        raise StoreError(_explain(path, first_line(error))) from error


def _explain(path: Path, message: str) -> str:
    lowered = message.lower()
    if "not a valid duckdb" in lowered or "magic bytes" in lowered:
        return f"{path}: this is not a DuckDB file; it was left untouched"
    if "no space" in lowered:
        return f"{path}: the disk is full; what was committed is kept, make room and run again"
    if "checksum" in lowered or "corrupt" in lowered:
        return f"{path}: the store is damaged ({message}); restore it from a copy"
    if "version" in lowered and "storage" in lowered:
        return f"{path}: written by a newer DuckDB than this one ({message}); upgrade duckdb"
    return f"{path}: {message}"


def first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
