"""Rows of many pages, reduced to the last version per record, as Arrow tables."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
import xxhash

from etl.drift import find_drift
from etl.records import Column, Flat, Table

if TYPE_CHECKING:
    import pyarrow as pa

CONTENT_COLUMNS = (
    Column("stream", "VARCHAR"),
    Column("extra", "JSON", "json"),
    Column("content_hash", "BIGINT"),
)
"""What the program adds to each record before it reaches the store."""

STREAM_PLACE, HASH_PLACE = -3, -1
"""Where stream and hash stand in a pending row."""

Key = tuple[Any, ...]
"""A record's natural key."""

_encode = msgspec.msgpack.Encoder().encode


@dataclass(slots=True)
class PendingRows:
    """Rows of one table that wait for a commit, by natural key: the last version wins.

    `drift` is what the API does not document of a record, where there is any.
    """

    table: Table
    key_places: tuple[int, ...] = ()
    rows: dict[Key, tuple[Any, ...]] = field(default_factory=dict)
    children: dict[Key, tuple[list[tuple[Any, ...]], ...]] = field(default_factory=dict)
    drift: dict[Key, list[tuple[str, str | None]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.key_places = find_key_places(self.table)

    def add(self, stream: str, flat: Flat, extra: str | None) -> None:
        key = tuple([flat.row[place] for place in self.key_places])
        content_hash = hash_content(flat, extra)
        self.rows.pop(key, None)
        self.rows[key] = (*flat.row, stream, extra, content_hash)
        self.children.pop(key, None)
        if flat.children:
            self.children[key] = flat.children
        self.drift.pop(key, None)
        if found := find_drift(self.table, flat, extra):
            self.drift[key] = found


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


def build_parents(
    pending: PendingRows, keys: Sequence[Key], first_synced_at: Sequence[datetime]
) -> "pa.Table":
    """The pending rows of some keys as one Arrow table, each with when it was first seen."""
    columns = (*list_parent_columns(pending.table), Column("first_synced_at", "TIMESTAMPTZ"))
    rows = pending.rows
    values = list(zip(*[rows[key] for key in keys], strict=True)) or [()] * (len(columns) - 1)
    return _build_columns(columns, [*values, first_synced_at])


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
