"""Records that wait for a commit: the last version of each, and its rows as Arrow tables.

Rows become Arrow soon after they came: their texts are in the processor's cache then, and Python's
copies of them can go long before the commit.
"""

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import md5
from itertools import compress
from typing import TYPE_CHECKING

import msgspec
import xxhash

from etl.drift import find_drift, has_drift
from etl.records import Column, Flat, Table
from etl.tables import (
    FIRST_SYNCED,
    NUMBER,
    Key,
    Row,
    build_array,
    build_arrow,
    find_key_places,
    find_place,
    list_child_columns,
    list_parent_columns,
)

if TYPE_CHECKING:
    import pyarrow as pa

PACKED_ROWS = 1_000
"""So many rows become Arrow at once: about as much as the processor's cache holds."""

TIME_IN_KEY = re.compile("([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})")
"""How Airflow writes the time into the ids that it makes up: `scheduled__2026-03-01T12:00:00…`."""

_encode = msgspec.msgpack.Encoder().encode


@dataclass(slots=True)
class Pile:
    """Rows of one table as they came, and for each the entry that it belongs to.

    The first of them are Arrow already (`packed`), the others are `loose`.
    """

    columns: tuple[Column, ...]
    entries: list[int] = field(default_factory=list)
    packed: "list[pa.Table]" = field(default_factory=list)
    loose: list[Row] = field(default_factory=list)


@dataclass(slots=True)
class PendingRows:
    """Records of one table that wait for a commit.

    Each that comes is an entry, by its number; `last` is that of a record's last version, by
    natural key. `streams`, `hashes`, `times` (the key time, None where there is none) and
    `key_numbers` (where the table has them) are by entry. `drift` is what the API does not
    document of an entry, where there is any; `partial` are those that came without their details.
    """

    table: Table
    last: dict[Key, int] = field(default_factory=dict)
    streams: list[str] = field(default_factory=list)
    hashes: list[int] = field(default_factory=list)
    times: list[datetime | None] = field(default_factory=list)
    key_numbers: list[int] = field(default_factory=list)
    drift: dict[int, list[tuple[str, str | None]]] = field(default_factory=dict)
    partial: set[int] = field(default_factory=set)
    parents: Pile = field(init=False)
    children: tuple[Pile, ...] = field(init=False)

    def __post_init__(self) -> None:
        table = self.table
        self.parents = Pile(list_parent_columns(table))
        self.children = tuple(Pile(list_child_columns(table, child)) for child in table.children)

    def add(self, stream: str, flat: Flat, extra: str | None) -> None:
        """Add one record, and its unknown fields as JSON text."""
        self.add_page(stream, [flat], {} if extra is None else {0: extra})

    def add_page(self, stream: str, flats: Sequence[Flat], extras: Mapping[int, str]) -> None:
        """Add records, and their unknown fields by index."""
        rows = [flat.row for flat in flats]
        entries = range(len(self.hashes), len(self.hashes) + len(rows))
        keys = [*zip(*[[row[n] for row in rows] for n in find_key_places(self.table)], strict=True)]
        hashes = [hash_content(flat, extras.get(index)) for index, flat in enumerate(flats)]
        self._replace_last(dict(zip(keys, entries, strict=True)), self._find_partial(rows, entries))
        self.streams += [stream] * len(rows)
        self.hashes += hashes
        self.times += self._read_times(rows)
        if self.table.numbered_by is not None:
            place = self.table.key.index(self.table.numbered_by)
            self.key_numbers += [number_key(key[place]) for key in keys]
        self._note_drift(entries, flats, extras)
        self.parents.entries += entries
        self.parents.loose += [
            (*row, stream, extras.get(index), content_hash)
            for index, (row, content_hash) in enumerate(zip(rows, hashes, strict=True))
        ]
        self._add_children(entries, keys, flats)
        for pile in (self.parents, *self.children):
            pack_many(pile)

    def _find_partial(self, rows: Sequence[Row], entries: Sequence[int]) -> set[int]:
        """The entries that came without their details."""
        place = find_place(self.table, self.table.whole)
        if place is None:
            return set()
        return {entry for entry, row in zip(entries, rows, strict=True) if row[place] is None}

    def _replace_last(self, entries: dict[Key, int], partial: set[int]) -> None:
        """The newer version takes the place of the older one, if it does not know less."""
        self.partial |= partial
        if partial:
            entries = {
                key: entry
                for key, entry in entries.items()
                if entry not in partial or self.last.get(key, entry) in self.partial
            }
        self.last.update(entries)

    def _read_times(self, rows: Sequence[Row]) -> list[datetime | None]:
        place = find_place(self.table, self.table.time)
        return [None] * len(rows) if place is None else [row[place] for row in rows]

    def _note_drift(
        self, entries: Sequence[int], flats: Sequence[Flat], extras: Mapping[int, str]
    ) -> None:
        is_drifting = has_drift(self.table, flats)
        for index in range(len(flats)) if is_drifting else extras:
            found = find_drift(self.table, flats[index], extras.get(index))
            if found:
                self.drift[entries[index]] = found

    def _add_children(
        self, entries: Sequence[int], keys: Sequence[Key], flats: Sequence[Flat]
    ) -> None:
        for entry, key, flat in zip(entries, keys, flats, strict=True):
            if not flat.children:
                continue
            for pile, items in zip(self.children, flat.children, strict=True):
                if items:
                    pile.entries += [entry] * len(items)
                    pile.loose += [(*key, n, *item) for n, item in enumerate(items)]


def pack_many(pile: Pile) -> None:
    """Make the loose rows Arrow when there are many of them."""
    if len(pile.loose) >= PACKED_ROWS:
        pile.packed.append(build_arrow(pile.columns, pile.loose))
        pile.loose = []


def take_parents(pending: PendingRows, first_synced_at: Mapping[int, datetime]) -> "pa.Table":
    """The rows of some entries as one Arrow table, each with when its record was first seen."""
    entries = sorted(first_synced_at)
    taken = take_rows(pending.parents, first_synced_at)
    first = build_array(FIRST_SYNCED, [first_synced_at[entry] for entry in entries])
    taken = taken.append_column(FIRST_SYNCED.name, first)
    if pending.table.numbered_by is None:
        return taken
    numbers = build_array(NUMBER, [pending.key_numbers[entry] for entry in entries])
    return taken.append_column(NUMBER.name, numbers)


def take_children(pending: PendingRows, entries: Container[int]) -> "dict[Table, pa.Table]":
    """The child rows of some entries, an Arrow table per child table."""
    piles = zip(pending.table.children, pending.children, strict=True)
    return {child: take_rows(pile, entries) for child, pile in piles if pile.entries}


def take_rows(pile: Pile, entries: Container[int]) -> "pa.Table":
    """The rows of some entries as one Arrow table, in the order they came."""
    import pyarrow as pa

    is_taken = [entry in entries for entry in pile.entries]
    tables: list[pa.Table] = []
    start = 0
    for table in pile.packed:
        flags = is_taken[start : start + table.num_rows]
        tables.append(table if all(flags) else table.filter(pa.array(flags)))
        start += table.num_rows
    loose = [*compress(pile.loose, is_taken[start:])]
    if loose or not tables:
        tables.append(build_arrow(pile.columns, loose))
    return pa.concat_tables(tables)


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
