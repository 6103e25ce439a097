"""Rows of many pages, reduced to the last version per record, as Arrow tables."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import md5
from typing import TYPE_CHECKING, Any

import msgspec
import xxhash

from etl.drift import find_drift, has_drift
from etl.records import Column, Flat, Table

if TYPE_CHECKING:
    import pyarrow as pa

CONTENT_COLUMNS = (
    Column("stream", "VARCHAR"),
    Column("extra", "JSON", "json"),
    Column("content_hash", "BIGINT"),
)
"""What the program adds to each record before it reaches the store."""

NUMBER = Column("key_number", "BIGINT")
"""What the program adds to the rows of a table that is `numbered_by` a column of its key."""

TIME_IN_KEY = re.compile("([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})")
"""How Airflow writes the time into the ids that it makes up: `scheduled__2026-03-01T12:00:00…`."""

STREAM_PLACE, HASH_PLACE = -3, -1
"""Where stream and hash stand in a pending row."""

Key = tuple[Any, ...]
"""A record's natural key."""

_encode = msgspec.msgpack.Encoder().encode


@dataclass(slots=True)
class PendingRows:
    """Rows of one table that wait for a commit, by natural key: the last version wins.

    `drift` is what the API does not document of a record, where there is any; `numbers` those of
    the keys, where the table has them.
    """

    table: Table
    key_places: tuple[int, ...] = ()
    number_place: int | None = None
    rows: dict[Key, tuple[Any, ...]] = field(default_factory=dict)
    children: dict[Key, tuple[list[tuple[Any, ...]], ...]] = field(default_factory=dict)
    drift: dict[Key, list[tuple[str, str | None]]] = field(default_factory=dict)
    numbers: dict[Key, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.key_places = find_key_places(self.table)
        if self.table.numbered_by is not None:
            self.number_place = self.table.key.index(self.table.numbered_by)

    def add(self, stream: str, flat: Flat, extra: str | None) -> None:
        """Add one record, and its unknown fields as JSON text."""
        self.add_page(stream, [flat], {} if extra is None else {0: extra})

    def add_page(self, stream: str, flats: Sequence[Flat], extras: Mapping[int, str]) -> None:
        """Add records, and their unknown fields by index."""
        rows, places = self.rows, self.key_places
        is_drifting = has_drift(self.table, flats)
        for index, flat in enumerate(flats):
            row, extra = flat.row, extras.get(index)
            key = tuple([row[place] for place in places])
            if key in rows:
                self._forget(key)
            rows[key] = (*row, stream, extra, hash_content(flat, extra))
            if flat.children:
                self.children[key] = flat.children
            if self.number_place is not None:
                self.numbers[key] = number_key(key[self.number_place])
            if is_drifting or extra is not None:
                self._add_drift(key, find_drift(self.table, flat, extra))

    def _forget(self, key: Key) -> None:
        """Drop an older version of a record: its next one stands in the place of the newest."""
        del self.rows[key]
        self.children.pop(key, None)
        self.drift.pop(key, None)

    def _add_drift(self, key: Key, found: list[tuple[str, str | None]]) -> None:
        if found:
            self.drift[key] = found


def number_key(text: str) -> int:
    """A number that a text of a key has for ever, by which its rows are found.

    The time in it as digits, where there is one: rows of one time lie together. Else 63 bits of
    its MD5 below zero. The store keeps them, and a migration has made them: this never changes.
    """
    if found := TIME_IN_KEY.search(text):
        return int("".join(found.groups()))
    digest = md5(text.encode(), usedforsecurity=False).digest()
    return -1 - (int.from_bytes(digest[8:], "little") >> 1)


def hash_content(flat: Flat, extra: str | None) -> int:
    """64 bits of a record's content (xxh3), equal as long as nothing in its rows changes.

    Signed: DuckDB cannot push a filter on larger numbers down into Arrow.
    """
    digest = xxhash.xxh3_64_intdigest(_encode((flat.row, flat.children, extra)))
    return digest - (1 << 63)


def find_key_places(table: Table) -> tuple[int, ...]:
    """Where the natural key stands in a row of the table."""
    names = [column.name for column in table.columns]
    return tuple(names.index(name) for name in table.key)


def list_child_key(table: Table) -> tuple[Column, ...]:
    """The columns by which a child row names its parent: the parent's name and key columns."""
    noun = table.name.partition(".")[2].removesuffix("s")
    places = find_key_places(table)
    return tuple(Column(f"{noun}_{table.columns[i].name}", table.columns[i].type) for i in places)


def list_child_columns(table: Table, child: Table) -> tuple[Column, ...]:
    """All columns of a child table but the source: the parent's key, the position, its own."""
    return (*list_child_key(table), Column("position", "BIGINT"), *child.columns)


def list_parent_columns(table: Table) -> tuple[Column, ...]:
    """The columns of a pending row: the table's own and CONTENT_COLUMNS."""
    return (*table.columns, *CONTENT_COLUMNS)


def list_number_columns(table: Table) -> tuple[Column, ...]:
    """The column of the keys' numbers, where the table has it."""
    return () if table.numbered_by is None else (NUMBER,)


def build_parents(
    pending: PendingRows, keys: Sequence[Key], first_synced_at: Sequence[datetime]
) -> "pa.Table":
    """The pending rows of some keys as one Arrow table, each with when it was first seen."""
    parents = list_parent_columns(pending.table)
    numbers = list_number_columns(pending.table)
    rows = pending.rows
    values = list(zip(*[rows[key] for key in keys], strict=True)) or [()] * len(parents)
    return _build_columns(
        (*parents, Column("first_synced_at", "TIMESTAMPTZ"), *numbers),
        [*values, first_synced_at, *([pending.numbers[key] for key in keys] for _ in numbers)],
    )


def build_wanted(pending: PendingRows) -> "pa.Table":
    """The keys of the pending rows as an Arrow table, each with its place among them: `nth`."""
    table = pending.table
    columns = [table.columns[place] for place in pending.key_places]
    return _build_columns(
        (*columns, Column("nth", "BIGINT")),
        [*zip(*pending.rows, strict=True), range(len(pending.rows))],
    )


def build_outdated(
    table: Table, keys: Sequence[Key], rows: Sequence[int], synced_at: Sequence[datetime]
) -> "pa.Table":
    """Stored rows that have to go as an Arrow table: key, row, and when it was written."""
    return _build_columns(
        (
            *list_child_key(table),
            Column("stored_row", "BIGINT"),
            Column("synced_at", "TIMESTAMPTZ"),
        ),
        [*zip(*keys, strict=True), rows, synced_at],
    )


def build_children(pending: PendingRows, keys: Iterable[Key]) -> dict[Table, "pa.Table"]:
    """The child rows of some keys, an Arrow table per child table that has any."""
    tables = pending.table.children
    rows: list[list[tuple[Any, ...]]] = [[] for _ in tables]
    for key in keys:
        for place, items in enumerate(pending.children.get(key, ())):
            if items:
                rows[place] += [(*key, position, *item) for position, item in enumerate(items)]
    return {
        child: build_arrow(list_child_columns(pending.table, child), found)
        for child, found in zip(tables, rows, strict=True)
        if found
    }


def build_arrow(columns: Sequence[Column], rows: Sequence[tuple[Any, ...]]) -> "pa.Table":
    """Rows as an Arrow table of the columns' types."""
    values = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    return _build_columns(columns, values)


def _build_columns(columns: Sequence[Column], values: Sequence[Sequence[Any]]) -> "pa.Table":
    """Columns as an Arrow table; in memory that others get back when it is not needed any more."""
    import pyarrow as pa

    schema = pa.schema([(column.name, _arrow_type(column.type)) for column in columns])
    pool = pa.system_memory_pool()
    arrays = [
        pa.array(v, type=t, memory_pool=pool) for v, t in zip(values, schema.types, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _arrow_type(name: str) -> Any:
    import pyarrow as pa

    return {
        "VARCHAR": pa.string(),
        "JSON": pa.string(),
        "VARCHAR[]": pa.list_(pa.string()),
        "BIGINT": pa.int64(),
        "DOUBLE": pa.float64(),
        "BOOLEAN": pa.bool_(),
        "TIMESTAMPTZ": pa.timestamp("us", tz="UTC"),
    }[name]
