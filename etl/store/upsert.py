"""Rows into their tables: new ones inserted, changed ones replaced, unchanged ones left alone.

There is no index. Old versions are looked for by key, and only in the batch's time range where a
record's time never changes, so that the cost does not grow with the table.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import duckdb
import msgspec

from etl.coverage import Interval
from etl.records import Column, Table, from_epoch_us, to_epoch_us
from etl.tables import (
    HASH_PLACE,
    STREAM_PLACE,
    Key,
    PendingRows,
    build_children,
    build_parents,
    find_key_places,
    list_child_columns,
    list_child_key,
    list_parent_columns,
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


@dataclass(frozen=True, slots=True)
class Stored:
    """The version of a record that is in the store."""

    content_hash: int
    first_synced_at: datetime


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
    changed = [key for key, old in stored.items() if old.content_hash != _hash(pending, key)]
    unchanged = (stored.keys() - set(changed)) | left_out
    if changed:
        _delete(connection, stamp.source, pending, changed)
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
        fate = fates.setdefault(row[STREAM_PLACE], Fate())
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


def read_stored(
    connection: duckdb.DuckDBPyConnection, source: str, pending: PendingRows
) -> dict[Key, Stored]:
    """The versions already there of the pending records."""
    table = pending.table
    columns = [table.columns[place] for place in find_key_places(table)]
    bound = _bound_time(pending)
    # Most batches lie where there is nothing yet, which takes no time to see.
    if (
        bound
        and not connection.execute(
            f"SELECT 1 FROM {table.name} WHERE source = ? {bound} LIMIT 1", [source]
        ).fetchall()
    ):
        return {}
    rows = connection.execute(
        f"""
        SELECT content_hash, epoch_us(first_synced_at), {_select_key(columns)} FROM {table.name}
        WHERE source = ? {bound} AND {_match_key(columns)}
        """,
        [source, *_list_key_values(columns, pending.rows)],
    ).fetchall()
    # Whole batches were first seen at one time.
    first_seen = {us: from_epoch_us(us) for us in {row[1] for row in rows}}
    return {
        _read_key(columns, key): Stored(content_hash, first_seen[first_us])
        for content_hash, first_us, *key in rows
    }


def _bound_time(pending: PendingRows) -> str:
    """The batch's time range as a condition; none where an old version might lie outside."""
    table = pending.table
    place = _find_time_place(table)
    if place is None or not table.is_time_fixed:
        return ""
    times = [row[place] for row in pending.rows.values()]
    since, until = to_epoch_us(min(times)), to_epoch_us(max(times))
    return f'AND "{table.time}" BETWEEN make_timestamptz({since}) AND make_timestamptz({until})'


def _select_key(columns: Sequence[Column]) -> str:
    """Key columns as Python can read them: times as microseconds."""
    return ", ".join(_comparable(column) for column in columns)


def _comparable(column: Column) -> str:
    return f'epoch_us("{column.name}")' if column.type == "TIMESTAMPTZ" else f'"{column.name}"'


def _match_key(columns: Sequence[Column]) -> str:
    """A condition with one parameter per key column, see _list_key_values."""
    lists = ", ".join(
        f"""unnest(from_json(?, '["{"VARCHAR" if c.type == "VARCHAR" else "BIGINT"}"]'))"""
        for c in columns
    )
    return f"({_select_key(columns)}) IN (SELECT {lists})"


def _list_key_values(columns: Sequence[Column], keys: Iterable[Key]) -> list[str]:
    """Each key column's values as one JSON list: DuckDB binds long lists of values slowly."""
    return [
        msgspec.json.encode(
            [to_epoch_us(v) for v in values] if column.type == "TIMESTAMPTZ" else values
        ).decode()
        for column, values in zip(columns, zip(*keys, strict=True), strict=True)
    ]


def _read_key(columns: Sequence[Column], values: Sequence[Any]) -> Key:
    return tuple(
        from_epoch_us(value) if column.type == "TIMESTAMPTZ" else value
        for column, value in zip(columns, values, strict=True)
    )


def _delete(
    connection: duckdb.DuckDBPyConnection, source: str, pending: PendingRows, keys: list[Key]
) -> None:
    table = pending.table
    columns = [table.columns[place] for place in find_key_places(table)]
    values = _list_key_values(columns, keys)
    connection.execute(
        f"DELETE FROM {table.name} "
        f"WHERE source = ? {_bound_time(pending)} AND {_match_key(columns)}",
        [source, *values],
    )
    for child in table.children:
        connection.execute(
            f"DELETE FROM {child.name} WHERE source = ? AND {_match_key(list_child_key(table))}",
            [source, *values],
        )


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
    names = _quote(column.name for column in list_parent_columns(table))
    connection.register("incoming", build_parents(pending, keys, first))
    connection.execute(
        f"INSERT INTO {table.name} (source, sync_run_id, synced_at, first_synced_at, {names}) "
        f"SELECT ?, ?, make_timestamptz({now_us}), first_synced_at, {names} FROM incoming",
        [stamp.source, stamp.run_id],
    )
    if table.ousted_when is not None:
        connection.execute(
            f"DELETE FROM {table.name} AS stored USING incoming "
            f"WHERE stored.source = ? AND {table.ousted_when}",
            [stamp.source],
        )
    connection.unregister("incoming")
    for child, rows in build_children(pending, keys).items():
        names = _quote(column.name for column in list_child_columns(table, child))
        connection.register("incoming", rows)
        connection.execute(
            f"INSERT INTO {child.name} (source, {names}) SELECT ?, {names} FROM incoming",
            [stamp.source],
        )
        connection.unregister("incoming")


def _quote(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
