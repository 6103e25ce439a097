"""A compacted copy of a store in the place of a file: whole and at once, or not at all."""

import contextlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb

from etl.budget import Budget, BudgetEnded
from etl.errors import StoreError
from etl.store.connect import (
    LOCK_WAIT_S,
    ROW_GROUP_ROWS,
    STORAGE_VERSION,
    check_file,
    configure,
    explain,
    is_damage,
    quote_path,
    wait_for,
)

CHUNK_ROWS = 2 * ROW_GROUP_ROWS
MEMORY_MAX = "512MB"
SUFFIX = ".tmp"

Finish = Callable[[duckdb.DuckDBPyConnection], None]
"""What is done to a copy before it is put in place: it is attached as `copy`."""


def replace_with_copy(
    source: Path, target: Path, budget: Budget, finish: Finish = lambda connection: None
) -> int:
    """Put a compacted copy of `source` in the place of `target`; the bytes of the copy.

    Whoever has the old file open keeps it; a kill at any instruction leaves the old file or the
    new one. Nobody else may replace the same target meanwhile. Memory is bounded. Raises
    StoreError, or BudgetEnded when asked to stop; the target is as it was then.
    """
    new = name_temporary(target)
    with explain_os_errors(target):
        try:
            with open_source(source, budget, target) as connection:
                attach_copy(connection, new)
                copy_everything(connection, budget)
                finish(connection)
                connection.execute("DETACH copy")
                # Until now `source` is locked against writers: it may be the target itself.
                put_in_place(new, target)
        finally:
            remove_files(target.parent, new.name)
        return target.stat().st_size


def name_temporary(target: Path) -> Path:
    """A new name beside the target that `remove_leftovers` knows."""
    return target.with_name(f".{target.name}.{secrets.token_hex(4)}{SUFFIX}")


def remove_leftovers(target: Path) -> None:
    """Remove what is left of copies that were never finished, by whomever."""
    remove_files(target.parent, f".{target.name}.")


def remove_files(folder: Path, prefix: str) -> None:
    """Remove temporaries with such a name, what DuckDB wrote beside them included."""
    for path in folder.iterdir():
        if path.name.startswith(prefix) and SUFFIX in path.suffixes:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


@contextlib.contextmanager
def open_source(
    source: Path, budget: Budget, target: Path | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to nothing but `source`, read-only, as `store`; no one writes meanwhile."""
    with explain_copy_errors(source, target or source):
        if not check_file(source):
            raise StoreError(f"{source}: there is no store yet; run: etl sync")
        connection = wait_for(lambda: _attach_source(source), source, budget, LOCK_WAIT_S)
        with contextlib.closing(connection):
            yield connection


def _attach_source(source: Path) -> duckdb.DuckDBPyConnection:
    # Several threads leave half-filled row groups: a slower copy, and a larger one.
    connection = configure(duckdb.connect(config={"threads": 1}))
    try:
        connection.execute(f"SET memory_limit = '{MEMORY_MAX}'")
        connection.execute(f"ATTACH {quote_path(source)} AS store (READ_ONLY)")
    except BaseException:
        connection.close()
        raise
    return connection


def attach_copy(connection: duckdb.DuckDBPyConnection, new: Path) -> None:
    """Attach a new file as `copy`, in a storage version that current BI drivers open."""
    connection.execute(f"SET temp_directory = {quote_path(new.with_suffix('.spill' + SUFFIX))}")
    connection.execute(
        f"ATTACH {quote_path(new)} AS copy "
        f"(STORAGE_VERSION '{STORAGE_VERSION}', ROW_GROUP_SIZE {ROW_GROUP_ROWS})"
    )


def copy_everything(connection: duckdb.DuckDBPyConnection, budget: Budget) -> None:
    """Tables, views and rows from `store` to `copy`.

    In chunks: a copy in one statement holds the whole store in memory, and cannot be stopped.
    """
    connection.execute("COPY FROM DATABASE store TO copy (SCHEMA)")
    tables = connection.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'store'"
    ).fetchall()
    for schema, table in tables:
        name = f'"{schema}"."{table}"'
        [(last,)] = connection.execute(f"SELECT max(rowid) FROM store.{name}").fetchall()
        for first in range(0, 0 if last is None else last + 1, CHUNK_ROWS):
            if budget.stop.is_set():
                raise BudgetEnded("asked to stop")
            connection.execute(
                f"INSERT INTO copy.{name} FROM store.{name} "
                f"WHERE rowid >= {first} AND rowid < {first + CHUNK_ROWS}"
            )
        check_count(connection, name)


def check_count(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """AssertionError if the copy of a table is not whole: it may become the only one."""
    [(stored, copied)] = connection.execute(
        f"SELECT (SELECT count(*) FROM store.{name}), (SELECT count(*) FROM copy.{name})"
    ).fetchall()
    if stored != copied:
        raise AssertionError(f"{name}: {stored} rows became {copied}")


def put_in_place(new: Path, target: Path) -> None:
    """Make the finished file the target, on disk before it has the name."""
    if target.exists():
        shutil.copymode(target, new)
        with contextlib.suppress(PermissionError):
            os.chown(new, target.stat().st_uid, target.stat().st_gid)
    flush_to_disk(new)
    # What somebody wrote behind the old file must not be replayed onto the new one.
    target.with_name(target.name + ".wal").unlink(missing_ok=True)
    new.replace(target)
    flush_to_disk(target.parent)


def flush_to_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def explain_copy_errors(source: Path, target: Path) -> Iterator[None]:
    """Turn what only the user can mend into a StoreError about the file that is concerned."""
    try:
        yield
    except duckdb.Error as error:
        explained = explain(source if is_damage(error) else target, error)
        if explained is None:
            raise
        raise StoreError(explained) from error


@contextlib.contextmanager
def explain_os_errors(target: Path) -> Iterator[None]:
    """Turn a refusal of the operating system into a StoreError of one line."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"{target}: cannot be written: {error.strerror or error}") from error
