"""Opening the store: for as short as possible, with patience, and with errors that explain."""

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from etl.budget import Budget, BudgetEnded, start_budget
from etl.errors import StoreError
from etl.store.turns import claim_turn, may_begin, open_folder

STORAGE_VERSION = "v1.5.0"
LOCK_WAIT_S = 60.0
LOCK_GRACE_S = 10.0
STOP_GRACE_S = 2.0
"""How long a commit waits at least for a reader that may just be there: when the run's time is
over, and when it was asked to stop."""
LOCK_RETRY_S = 0.05
WAL_MAX = "1B"
"""Smaller than any log: a commit goes straight to its place in the file, and is written once."""
ROW_GROUP_ROWS = 6_144
"""Some more than a batch: each batch is a group of its own then, and none is written twice."""
CAN_WRITE_ASIDE = not duckdb.__version__.startswith("1.")
"""DuckDB 2 writes files by threads of their own, and waits for ever when a COPY fails or is
interrupted meanwhile (seen with 2.0.0)."""
MAGIC = b"DUCK"
MAGIC_OFFSET = 8
OWN_FILES = {
    "": "the store itself",
    ".wal": "the log of the store",
    ".key": "the key of the store's fingerprints",
    ".lock": "the lock of the store's syncs",
}
"""What the program keeps beside a store, by what its name ends in."""

QUOTED = re.compile(r'"[^"]*"')
DAMAGE = ("corrupt", "checksum", "could not read enough bytes", "replaying wal")
FILE_ERRORS = (
    duckdb.IOException,
    duckdb.SerializationException,
    duckdb.OutOfMemoryException,
    duckdb.FatalException,
)

Opener = Callable[[], contextlib.AbstractContextManager[duckdb.DuckDBPyConnection]]
"""What opens a store for writing; tests put a faulty one in its place."""


@dataclass(slots=True)
class Engine:
    """DuckDB without a file: attaching a store is the only way to give it a row group size.

    It serves many openings of a store, as long as nothing goes wrong: to start it takes longer than
    to attach a file, and the memory it has is used again.
    """

    connection: duckdb.DuckDBPyConnection | None = None


def _start(engine: Engine) -> duckdb.DuckDBPyConnection:
    if engine.connection is None:
        engine.connection = configure(duckdb.connect(config={"threads": 1}))
        # Closing the file would end the log in any case: so each byte is written once.
        engine.connection.execute(f"SET checkpoint_threshold = '{WAL_MAX}'")
    return engine.connection


def _stop(engine: Engine) -> None:
    if engine.connection is not None:
        engine.connection.close()
        engine.connection = None


@contextlib.contextmanager
def open_writer(
    path: Path, budget: Budget, wait_s: float = LOCK_WAIT_S, engine: Engine | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that may write, alone in the world. Raises StoreError.

    The file is created in a storage version that current BI drivers can open. An `engine` is kept
    for the next opening, if this one ends well.
    """
    used = engine or Engine()
    with explain_errors(path), contextlib.ExitStack() as stack:
        stack.callback(_stop, used)
        _create_missing(path)
        connection = _start(used)
        with open_folder(path) as folder:
            wait_for(
                lambda: _attach(connection, path), path, budget, wait_s, lambda: claim_turn(folder)
            )
        yield connection
        if engine is not None:
            connection.execute("USE memory")
            connection.execute("DETACH store")
            stack.pop_all()


@contextlib.contextmanager
def open_reader(
    path: Path, budget: Budget | None = None, wait_s: float = LOCK_WAIT_S
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-only connection; waits while a batch is being committed. Raises StoreError."""
    budget = budget or start_budget(None)
    with explain_errors(path):
        if not check_file(path):
            raise StoreError(f"{path}: there is no store yet; run: etl sync")
        _let_writers_in(path, budget, wait_s)
        connection = wait_for(
            lambda: configure(duckdb.connect(str(path), read_only=True)), path, budget, wait_s
        )
        try:
            yield connection
        finally:
            connection.close()


def check_file(path: Path) -> bool:
    """Whether there is a file. Raises StoreError if it is none of DuckDB's.

    DuckDB itself would look for an extension that can read it, on the network, too.
    """
    try:
        with path.open("rb") as file:
            head = file.read(MAGIC_OFFSET + len(MAGIC))
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error
    if not head.endswith(MAGIC) or len(head) < MAGIC_OFFSET + len(MAGIC):
        raise StoreError(f"{path}: this is not a DuckDB file; it was left untouched")
    return True


def find_own_file(store: Path, path: Path) -> str | None:
    """Which of a store's files this is; None where it is none of them."""
    for suffix, what in OWN_FILES.items():
        if is_same_file(store.with_name(store.name + suffix), path):
            return what
    return None


def is_same_file(one: Path, other: Path) -> bool:
    """Whether two paths lead to one place, by links and other spellings, too."""
    with contextlib.suppress(OSError):
        return one.samefile(other)
    return os.path.realpath(one) == os.path.realpath(other)


def _create_missing(path: Path) -> None:
    """Make a new store where there is none; whoever is killed meanwhile leaves no half of one."""
    if check_file(path):
        return
    new = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for leftover in (new, path.with_name(path.name + ".wal")):
            leftover.unlink(missing_ok=True)
        with duckdb.connect() as connection:
            connection.execute(
                f"ATTACH {quote_path(new)} AS store (STORAGE_VERSION '{STORAGE_VERSION}')"
            )
            connection.execute("DETACH store")
        new.rename(path)
    except OSError as error:
        raise StoreError(f"{path}: cannot make the store: {error.strerror}") from error


def quote_path(path: Path) -> str:
    """A path as an SQL text."""
    return "'" + str(path).replace("'", "''") + "'"


def _attach(connection: duckdb.DuckDBPyConnection, path: Path) -> duckdb.DuckDBPyConnection:
    """The connection, with the file attached and in use.

    Closing the file writes its last, unfinished row group. With groups of about a batch that costs
    no more than keeping the file open would, and readers are let in between batches.
    """
    connection.execute(f"ATTACH {quote_path(path)} AS store (ROW_GROUP_SIZE {ROW_GROUP_ROWS})")
    connection.execute("USE store")
    return connection


def configure(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """The connection, with times in UTC, and without the bar that DuckDB may draw on stdout."""
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    if CAN_WRITE_ASIDE:
        connection.execute("SET async_threads = 0")
    return connection


@contextlib.contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Everything in the block, or nothing of it."""
    connection.execute("BEGIN")
    with rolling_back(connection):
        yield
        connection.execute("COMMIT")


@contextlib.contextmanager
def rolling_back(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Whatever goes wrong in the block, nothing is left of the transaction."""
    try:
        yield
    except BaseException:
        # A COMMIT that failed has rolled back by itself; what it said must not be lost.
        with contextlib.suppress(duckdb.Error):
            connection.execute("ROLLBACK")
        raise


def _let_writers_in(path: Path, budget: Budget, wait_s: float) -> None:
    """Wait while a writer waits, but not for ever: it may be stopped, or wait for somebody else."""
    waited_s = 0.0
    with open_folder(path) as folder:
        while not may_begin(folder) and waited_s < wait_s:
            budget.pause(LOCK_RETRY_S)
            waited_s += LOCK_RETRY_S


def wait_for(
    connect: Callable[[], duckdb.DuckDBPyConnection],
    path: Path,
    budget: Budget,
    wait_s: float,
    on_conflict: Callable[[], object] = lambda: None,
) -> duckdb.DuckDBPyConnection:
    """Connect, waiting for whoever holds the file: up to `wait_s`, and the budget with a grace.

    `on_conflict` is called each time that the file is held. Raises StoreError; BudgetEnded where it
    was a request to stop that ended the wait.
    """
    waited_s = 0.0
    while True:
        try:
            return connect()
        except duckdb.IOException as error:
            if not is_lock_conflict(error):
                raise
            grace_s = STOP_GRACE_S if budget.stop.is_set() else LOCK_GRACE_S
            patience_s = min(wait_s, max(grace_s, waited_s + budget.remaining_s()))
            if waited_s >= patience_s:
                if budget.stop.is_set():
                    raise BudgetEnded("asked to stop while the store was locked") from error
                raise StoreError(_describe_holder(path, error)) from error
        on_conflict()
        budget.pause(LOCK_RETRY_S)
        waited_s += LOCK_RETRY_S


def is_lock_conflict(error: Exception) -> bool:
    """Whether somebody else has the file open in a way that keeps us out."""
    return "Could not set lock" in str(error)


def _describe_holder(path: Path, error: Exception) -> str:
    found = re.search(r"held in (.*?) \(PID (\d+)\)", str(error))
    holder = f"process {found[2]} ({found[1]})" if found else "another process"
    return f"{path}: the store is locked by {holder}; close it there, then run this again"


@contextlib.contextmanager
def explain_errors(path: Path) -> Iterator[None]:
    """Turn what only the user can mend into a StoreError of one line; bugs pass through."""
    try:
        yield
    except duckdb.Error as error:
        explained = explain(path, error)
        if explained is None:
            raise
        raise StoreError(explained) from error


def explain(path: Path, error: duckdb.Error) -> str | None:
    """One line about an error of the file or its disk; None for any other, which is a bug.

    DuckDB 2 reports damage as a bare `Error`, and every version a commit that could not be
    written as a TransactionException.
    """
    message = first_line(error)
    lowered = message.lower()
    if "not a valid duckdb" in lowered:
        return f"{path}: this is not a DuckDB file; it was left untouched"
    if "no space left" in lowered:
        return f"{path}: the disk is full; what was committed is kept, make room and run again"
    if "we can only read" in lowered:
        return f"{path}: written by a newer DuckDB than this one ({message}); upgrade duckdb"
    if is_damage(error):
        return f"{path}: the store is damaged ({message}); restore it from a copy"
    is_unwritten = "failed to commit" in lowered and "could not" in lowered
    if isinstance(error, FILE_ERRORS) or is_unwritten:
        return f"{path}: {message}"
    return None


def is_damage(error: duckdb.Error) -> bool:
    """Whether what was read of a store is not what was written; a path may hold any word."""
    message = QUOTED.sub("", first_line(error)).lower()
    return any(word in message for word in DAMAGE)


def first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
