"""The published copy: what dashboards may keep open without ever meeting the sync."""

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import duckdb

from etl.budget import Budget
from etl.errors import ConfigError, StoreError
from etl.records import TICK
from etl.store.connect import (
    check_file,
    explain,
    explain_errors,
    find_own_file,
    is_lock_conflict,
)
from etl.store.copy import (
    explain_os_errors,
    name_temporary,
    open_source,
    remove_files,
    remove_leftovers,
    replace_with_copy,
)

REFRESH = timedelta(hours=1)
"""A copy of which only the ledger is behind is left alone for so long."""
MARK = "published_version"
PUBLISHED = "A copy of a store was published to the file beside this one.\n"

VERSION_SQL = f"""
WITH newest AS (
    SELECT source, stream, max(until) AS until FROM store.etl.coverage GROUP BY ALL
)

SELECT md5(concat_ws(
    chr(10),
    (SELECT string_agg(name || '=' || value, ',' ORDER BY name)
        FROM store.etl.meta WHERE name <> '{MARK}'),
    (SELECT concat_ws(',', sum(rows_new), sum(rows_changed), sum(rows_quarantined))
        FROM store.etl.runs),
    (SELECT concat_ws(',', count(*), sum(occurrences)) FROM store.etl.drift),
    (SELECT string_agg(t::VARCHAR, ',' ORDER BY t::VARCHAR) FROM store.etl.pruned AS t),
    (SELECT string_agg(edges, ';' ORDER BY edges) FROM (
        SELECT concat_ws(',', c.source, c.stream, epoch_us(c.since),
            CASE WHEN c.until < newest.until THEN epoch_us(c.until) END) AS edges
        FROM store.etl.coverage AS c JOIN newest USING (source, stream)
    )),
    (SELECT string_agg(words, ';' ORDER BY words) FROM (
        SELECT list_sort(regexp_extract_all(sql, '\\w+'))::VARCHAR AS words FROM (
            SELECT sql FROM duckdb_tables() WHERE database_name = 'store'
            UNION ALL
            SELECT sql FROM duckdb_views() WHERE database_name = 'store' AND NOT internal
        )
    ))
))
"""
"""What a store holds, but for how far its newest interval and its run log have gone on.

The words of a definition are sorted: DuckDB 2 writes some lists of a view in any order.
"""


@dataclass(frozen=True, slots=True)
class Published:
    """What a published file says of itself; `version` is None where it cannot be asked now."""

    version: str | None = None
    last_run_us: int = 0


def publish(store: Path, target: Path, budget: Budget, is_alone: bool) -> int | None:
    """Bring the published copy up to date; its size in bytes, or None if there was nothing to do.

    Where a sync may run meanwhile (not `is_alone`) the rows are read from a snapshot, so that it
    waits for as long as it takes to copy a file. Raises ConfigError for a target that is something
    else, StoreError, or BudgetEnded when asked to stop.
    """
    target = target.resolve()
    own = find_own_file(store, target)
    if own is not None:
        raise ConfigError(f"{target}: this is {own}; name another file")
    with explain_os_errors(target):
        is_first = not make_lock_path(target).exists()
    if is_first:
        # What was never a copy of ours is refused before a trace is left beside it.
        read_published(target, was_published=False)
    with hold_target(target) as place:
        published = read_published(target, place.was_published)
        if published is not None and is_current(store, published, budget):
            place.was_published = True
            return None
        if is_alone:
            size_bytes = replace_with_copy(store, target, budget, mark_copy)
        else:
            with take_snapshot(store, target, budget) as snapshot:
                size_bytes = replace_with_copy(snapshot, target, budget, mark_copy)
        place.was_published = True
        return size_bytes


@dataclass(slots=True)
class Place:
    """Where a copy is published; `was_published`: what stands there is known to be a copy."""

    was_published: bool


def make_lock_path(target: Path) -> Path:
    return target.with_name(target.name + ".lock")


@contextlib.contextmanager
def hold_target(target: Path) -> Iterator[Place]:
    """Be the only one who publishes to this file.

    The lock file remembers whether one of our copies was put there: a file that cannot be asked
    what it is must else not be replaced.
    """
    from filelock import FileLock, Timeout

    path = make_lock_path(target)
    with explain_os_errors(target):
        # Before the lock is taken: some versions of its library empty the file.
        place = Place(path.exists() and path.read_text("utf-8", "replace") == PUBLISHED)
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise StoreError(f"{target}: another process is publishing to it") from None
    try:
        with explain_os_errors(target):
            remove_leftovers(target)
        yield place
    finally:
        if place.was_published:
            with contextlib.suppress(OSError):
                path.write_text(PUBLISHED, encoding="utf-8")
        lock.release()


def read_published(target: Path, was_published: bool) -> Published | None:
    """What the file that is there says of itself; None if there is none.

    Raises ConfigError if it is no copy of ours: it must not be replaced. One that is locked or
    damaged cannot be asked; it is ours if somebody has published there before.
    """
    with explain_errors(target):
        try:
            if not check_file(target):
                return None
            with duckdb.connect(str(target), read_only=True) as connection:
                return _ask(connection, target)
        except StoreError:
            if was_published:
                return Published()
            raise
        except duckdb.Error as error:
            is_unreadable = is_lock_conflict(error) or explain(target, error) is not None
            if was_published and is_unreadable:
                return Published()
            raise


def _ask(connection: duckdb.DuckDBPyConnection, target: Path) -> Published:
    try:
        [(version, last_run_us)] = connection.execute(
            "SELECT value, (SELECT coalesce(epoch_us(max(started_at)), 0) FROM etl.runs) "
            f"FROM etl.meta WHERE name = '{MARK}'"
        ).fetchall()
    except (duckdb.CatalogException, ValueError):
        raise ConfigError(
            f"{target}: this is not a published copy; move it away or name another file"
        ) from None
    return Published(version, last_run_us)


def is_current(store: Path, published: Published, budget: Budget) -> bool:
    """Whether the copy holds the same rows, and its ledger is not far behind."""
    if published.version is None:
        return False
    with open_source(store, budget) as connection:
        [(version,)] = connection.execute(VERSION_SQL).fetchall()
        [(last_run_us,)] = connection.execute(
            "SELECT coalesce(epoch_us(max(started_at)), 0) FROM store.etl.runs"
        ).fetchall()
    behind = (last_run_us - published.last_run_us) * TICK
    return bool(version == published.version and behind < REFRESH)


def mark_copy(connection: duckdb.DuckDBPyConnection) -> None:
    """Write into the copy what it is a copy of."""
    [(version,)] = connection.execute(VERSION_SQL).fetchall()
    connection.execute(f"DELETE FROM copy.etl.meta WHERE name = '{MARK}'")
    connection.execute(f"INSERT INTO copy.etl.meta VALUES ('{MARK}', ?)", [version])


@contextlib.contextmanager
def take_snapshot(store: Path, target: Path, budget: Budget) -> Iterator[Path]:
    """The bytes of the store as they are between two commits, for as long as they are needed."""
    snapshot = name_temporary(target)
    try:
        with open_source(store, budget, target), explain_os_errors(target):
            for suffix in (".wal", ""):
                # The store comes last: closing it here ends this process' lock on it.
                with contextlib.suppress(FileNotFoundError):
                    shutil.copyfile(f"{store}{suffix}", f"{snapshot}{suffix}")
        yield snapshot
    except StoreError as error:
        # The snapshot is a picture of the store, and gone when somebody reads this.
        raise StoreError(str(error).replace(str(snapshot), str(store))) from error
    finally:
        remove_files(target.parent, snapshot.name)
