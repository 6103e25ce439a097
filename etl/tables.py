"""The columns of the store's tables, and Arrow tables of them."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from etl.records import Column, Table

if TYPE_CHECKING:
    import pyarrow as pa

CONTENT_COLUMNS = (
    Column("stream", "VARCHAR"),
    Column("extra", "JSON", "json"),
    Column("content_hash", "BIGINT"),
)
"""What the program adds to each record before it reaches the store."""

FIRST_SYNCED = Column("first_synced_at", "TIMESTAMPTZ")
"""What the store knows of each record: when it was first seen."""

NUMBER = Column("key_number", "BIGINT")
"""What the program adds to the rows of a table that is `numbered_by` a column of its key."""

Row = tuple[Any, ...]
"""Values in the order of some columns."""

Key = tuple[Any, ...]
"""A record's natural key."""


def find_key_places(table: Table) -> tuple[int, ...]:
    """Where the natural key stands in a row of the table."""
    names = [column.name for column in table.columns]
    return tuple(names.index(name) for name in table.key)


def read_key(table: Table, row: Row) -> Key:
    """The natural key in a row of the table."""
    return tuple([row[place] for place in find_key_places(table)])


def find_place(table: Table, name: str | None) -> int | None:
    """Where a column stands in a row of the table, if there is one."""
    return None if name is None else [column.name for column in table.columns].index(name)


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


def build_wanted(table: Table, keys: Sequence[Key]) -> "pa.Table":
    """Keys as an Arrow table, each with its place among them: `nth`."""
    columns = [table.columns[place] for place in find_key_places(table)]
    return _build_columns(
        (*columns, Column("nth", "BIGINT")), [*zip(*keys, strict=True), range(len(keys))]
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


def build_arrow(columns: Sequence[Column], rows: Sequence[tuple[Any, ...]]) -> "pa.Table":
    """Rows as an Arrow table of the columns' types."""
    values = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    return _build_columns(columns, values)


def _build_columns(columns: Sequence[Column], values: Sequence[Sequence[Any]]) -> "pa.Table":
    import pyarrow as pa

    arrays = [build_array(column, v) for column, v in zip(columns, values, strict=True)]
    return pa.Table.from_arrays(arrays, [column.name for column in columns])


def build_array(column: Column, values: Sequence[Any]) -> "pa.Array":
    """One column as an Arrow array, in memory that others get back when it is needed no more."""
    import pyarrow as pa

    pool = pa.system_memory_pool()
    return pa.array(values, type=_arrow_type(column.type), memory_pool=pool)


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
