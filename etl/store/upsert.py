"""Rows into their tables: new ones inserted, changed ones replaced, unchanged ones left alone.

What is there already is found by etl.store.lookup, and written over by the row it is in.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime

import duckdb

from etl.coverage import Interval
from etl.records import Table, to_epoch_us
from etl.store.lookup import Stored, read_stored
from etl.store.offer import offer_once
from etl.tables import (
    HASH_PLACE,
    STREAM_PLACE,
    Key,
    PendingRows,
    build_children,
    build_outdated,
    build_parents,
    list_child_columns,
    list_child_key,
)


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
    if not pending.rows:
        return {}
    stored = read_stored(connection, stamp.source, pending)
    left_out = find_pruned(pending, stored, pruned) if pruned else set()
    fates = judge_rows(pending, stored, known, left_out)
    changed = {k: old for k, old in stored.items() if old.content_hash != _hash(pending, k)}
    unchanged = (stored.keys() - changed.keys()) | left_out
    if changed:
        _delete(connection, stamp.source, pending.table, changed)
    if len(unchanged) < len(pending.rows):
        _insert(connection, pending, stamp, stored, [k for k in pending.rows if k not in unchanged])
    return fates


def _hash(pending: PendingRows, key: Key) -> int:
    content_hash: int = pending.rows[key][HASH_PLACE]
    return content_hash


def find_pruned(
    pending: PendingRows, stored: Mapping[Key, Stored], pruned: Mapping[str, datetime]
) -> set[Key]:
    """The rows that are not in the store because they were pruned, or would have been."""
    place = _find_time_place(pending.table)
    if place is None:
        return set()
    return {
        key
        for key, row in pending.rows.items()
        if key not in stored
        and row[place] is not None
        and (before := pruned.get(row[STREAM_PLACE])) is not None
        and row[place] < before
    }


def judge_rows(
    pending: PendingRows,
    stored: Mapping[Key, Stored],
    known: Mapping[str, Interval],
    left_out: Set[Key],
) -> dict[str, Fate]:
    """Count new, changed and unchanged rows by stream, and find the oldest that came late."""
    fates: dict[str, Fate] = {}
    time_place = _find_time_place(pending.table)
    for key, row in pending.rows.items():
        fate = fates.get(row[STREAM_PLACE]) or fates.setdefault(row[STREAM_PLACE], Fate())
        old = stored.get(key)
        if key in left_out or (old is not None and old.content_hash == row[HASH_PLACE]):
            fate.unchanged += 1
            continue
        if key in pending.drift:
            fate.drift.update(pending.drift[key])
        if old is not None:
            fate.changed += 1
            continue
        fate.new += 1
        interval = known.get(row[STREAM_PLACE])
        if interval is None or time_place is None:
            continue
        time = row[time_place]
        if time is not None and interval.since <= time < interval.until:
            fate.late_from = min(time, fate.late_from or time)
    return fates


def _find_time_place(table: Table) -> int | None:
    names = [column.name for column in table.columns]
    return None if table.time is None else names.index(table.time)


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
    stored: Mapping[Key, Stored],
    keys: Sequence[Key],
) -> None:
    table = pending.table
    now_us = to_epoch_us(stamp.now)
    first = [stored[key].first_synced_at if key in stored else stamp.now for key in keys]
    incoming = build_parents(pending, keys, first)
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
    for child, rows in build_children(pending, keys).items():
        names = _quote(column.name for column in list_child_columns(table, child))
        offer_once(connection, "incoming", rows)
        connection.execute(
            f"INSERT INTO {child.name} (source, synced_at, {names}) "
            f"SELECT ?, make_timestamptz({now_us}), {names} FROM incoming",
            [stamp.source],
        )
        connection.unregister("incoming")


def _quote(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
