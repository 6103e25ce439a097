"""Rows into their tables: new ones inserted, changed ones replaced, unchanged ones left alone.

What is there already is found by etl.store.lookup, and written over by the row it is in.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime

import duckdb

from etl.coverage import Interval
from etl.pending import PendingRows, take_children, take_parents
from etl.records import Table, to_epoch_us
from etl.store.lookup import Stored, read_stored
from etl.store.offer import offer_once
from etl.tables import Key, build_outdated, list_child_key


@dataclass(slots=True)
class Fate:
    """What became of one stream's rows in a batch; `late_from`: the oldest that came late.

    `drift` counts what the API does not document in the rows written, by path and value.
    """

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    late_from: datetime | None = None
    drift: Counter[tuple[str, str | None]] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the store adds to each row it writes."""

    source: str
    run_id: str
    now: datetime


def upsert_rows(
    connection: duckdb.DuckDBPyConnection,
    pending: PendingRows,
    stamp: Stamp,
    known: Mapping[str, Interval],
    pruned: Mapping[str, datetime] | None = None,
) -> dict[str, Fate]:
    """Bring one table and its children up to date; what happened, by stream.

    `known` are the newest intervals of the ledgers before the run: a new row inside came late. New
    rows from before `pruned` are not wanted: they count as unchanged.
    """
    if not pending.last:
        return {}
    stored = read_stored(connection, stamp.source, pending)
    unchanged = find_unchanged(pending, stored, pruned or {})
    fates = judge_rows(pending, stored, known, unchanged)
    _welcome_back(connection, pending.table, [old for old in stored.values() if old.is_gone])
    changed = {key: old for key, old in stored.items() if key not in unchanged}
    if changed:
        _delete(connection, stamp.source, pending.table, changed)
    written = {
        entry: stored[key].first_synced_at if key in stored else stamp.now
        for key, entry in pending.last.items()
        if key not in unchanged
    }
    if written:
        _insert(connection, pending, stamp, written)
    return fates


def find_unchanged(
    pending: PendingRows, stored: Mapping[Key, Stored], pruned: Mapping[str, datetime]
) -> set[Key]:
    """The records that need not be written.

    Those that the store has as they are, or with details that did not come this time; and those
    that it has not because they were pruned, or would have been.
    """
    unchanged = set()
    for key, entry in pending.last.items():
        if (old := stored.get(key)) is not None:
            is_less = old.is_whole and entry in pending.partial
            if is_less or old.content_hash == pending.hashes[entry]:
                unchanged.add(key)
        elif pruned and _is_pruned(pending, entry, pruned):
            unchanged.add(key)
    return unchanged


def _is_pruned(pending: PendingRows, entry: int, pruned: Mapping[str, datetime]) -> bool:
    time, before = pending.times[entry], pruned.get(pending.streams[entry])
    return time is not None and before is not None and time < before


def judge_rows(
    pending: PendingRows,
    stored: Mapping[Key, Stored],
    known: Mapping[str, Interval],
    unchanged: Set[Key],
) -> dict[str, Fate]:
    """Count new, changed and unchanged rows by stream, and find the oldest that came late."""
    fates: dict[str, Fate] = {}
    for key, entry in pending.last.items():
        stream = pending.streams[entry]
        fate = fates.get(stream) or fates.setdefault(stream, Fate())
        if key in unchanged:
            fate.unchanged += 1
            continue
        if entry in pending.drift:
            fate.drift.update(pending.drift[entry])
        if key in stored:
            fate.changed += 1
            continue
        fate.new += 1
        interval, time = known.get(stream), pending.times[entry]
        if interval is not None and time is not None and interval.since <= time < interval.until:
            fate.late_from = min(time, fate.late_from or time)
    return fates


def _welcome_back(
    connection: duckdb.DuckDBPyConnection, table: Table, returned: Iterable[Stored]
) -> None:
    """What seemed to be gone, and is served again, is not: it is looked after as any other."""
    rows = ", ".join(str(old.rowid) for old in returned)
    if rows:
        connection.execute(f"UPDATE {table.name} SET gone_at = NULL WHERE rowid IN ({rows})")


def _delete(
    connection: duckdb.DuckDBPyConnection,
    source: str,
    table: Table,
    changed: Mapping[Key, Stored],
) -> None:
    """Delete rows that were looked up, and their children: they were written at the same time."""
    times = [old.synced_at for old in changed.values()]
    rows = [old.rowid for old in changed.values()]
    outdated = build_outdated(table, list(changed), rows, times)
    offer_once(connection, "outdated", outdated)
    connection.execute(
        f"DELETE FROM {table.name} WHERE rowid IN (SELECT stored_row FROM outdated)",
    )
    since, until = to_epoch_us(min(times)), to_epoch_us(max(times))
    names = _quote(column.name for column in list_child_key(table))
    for child in table.children:
        offer_once(connection, "outdated", outdated)
        connection.execute(
            f"""
            DELETE FROM {child.name} WHERE source = ?
                AND synced_at BETWEEN make_timestamptz({since}) AND make_timestamptz({until})
                AND (synced_at, {names}) IN (SELECT synced_at, {names} FROM outdated)
            """,
            [source],
        )
    connection.unregister("outdated")


def _insert(
    connection: duckdb.DuckDBPyConnection,
    pending: PendingRows,
    stamp: Stamp,
    written: Mapping[int, datetime],
) -> None:
    """Insert the rows of some entries, given with when their records were first seen."""
    table = pending.table
    now_us = to_epoch_us(stamp.now)
    incoming = take_parents(pending, written)
    names = _quote(incoming.column_names)
    offer_once(connection, "incoming", incoming)
    connection.execute(
        f"INSERT INTO {table.name} (source, sync_run_id, synced_at, {names}) "
        f"SELECT ?, ?, make_timestamptz({now_us}), {names} FROM incoming",
        [stamp.source, stamp.run_id],
    )
    if table.ousted_when is not None:
        offer_once(connection, "incoming", incoming)
        # Both are of one run, and so of one number: others are not looked at.
        connection.execute(
            f"DELETE FROM {table.name} AS stored USING incoming WHERE stored.source = ? "
            f"AND stored.key_number = incoming.key_number AND {table.ousted_when}",
            [stamp.source],
        )
    connection.unregister("incoming")
    for child, rows in take_children(pending, written).items():
        names = _quote(rows.column_names)
        offer_once(connection, "incoming", rows)
        connection.execute(
            f"INSERT INTO {child.name} (source, synced_at, {names}) "
            f"SELECT ?, make_timestamptz({now_us}), {names} FROM incoming",
            [stamp.source],
        )
        connection.unregister("incoming")


def _quote(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
