"""The stored versions of a batch's records, found at a cost that does not grow with the table.

There is no index. A record whose time never changes is looked for in the batch's time range only.
Any other is looked for by the number of its key (etl.pending): in the range of the batch's numbers
where they are times, and else among the rows of equal numbers, the only rows whose ids are read.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import cast

import duckdb
import msgspec

from etl.pending import PendingRows
from etl.records import Table, from_epoch_us, to_epoch_us
from etl.store.offer import offer_once
from etl.tables import NUMBER, Key, build_arrow, build_wanted

LOW_BITS = (1 << 19) - 1
"""So much of a number is compared first: DuckDB joins by a plain array up to a million values, at
a quarter of the time that its hash table takes."""
DIGITS_US = 1_000
"""How far two times of one record may differ: an API may show fewer digits in its list."""
FEW_BATCHES = 4
"""Up to so many times the rows of a batch, keys are compared without a look at numbers first."""

Found = tuple[int, int, int, int, int, bool, bool]
"""Of a stored version: the record's place in the batch, and what `Stored` has, in its order."""


class Stored(msgspec.Struct, frozen=True, gc=False):
    """The version of a record that is in the store, and in which row.

    `is_whole`: with its details; `is_gone`: the platform seemed to have it no more.
    """

    content_hash: int
    first_synced_at: datetime
    synced_at: datetime
    rowid: int
    is_whole: bool = False
    is_gone: bool = False


def read_stored(
    connection: duckdb.DuckDBPyConnection, source: str, pending: PendingRows
) -> dict[Key, Stored]:
    """The versions already there of the pending records; their rows stay until a commit."""
    find = _find_in_time if pending.table.numbered_by is None else _find_by_number
    found = find(connection, source, pending)
    keys = list(pending.last) if found else []
    # Whole batches were seen at one time.
    times = {us: from_epoch_us(us) for us in {us for row in found for us in row[2:4]}}
    return {
        keys[nth]: Stored(content_hash, times[first_us], times[synced_us], rowid, is_whole, is_gone)
        for nth, content_hash, first_us, synced_us, rowid, is_whole, is_gone in found
    }


def _find_in_time(
    connection: duckdb.DuckDBPyConnection, source: str, pending: PendingRows
) -> list[Found]:
    """The stored versions within the batch's time range, or just beside it."""
    table = pending.table
    # A time that never changes is never missing.
    times = [to_epoch_us(time) for time in cast(list[datetime], pending.times)]
    edges = (min(times) - DIGITS_US, max(times) + DIGITS_US)
    since, until = (f"make_timestamptz({edge})" for edge in edges)
    bound = f'"{table.time}" BETWEEN {since} AND {until}'
    if not _count(connection, table, bound, 1):
        return []
    return _compare_keys(connection, source, pending, bound)


def _find_by_number(
    connection: duckdb.DuckDBPyConnection, source: str, pending: PendingRows
) -> list[Found]:
    """The stored versions whose keys have the numbers of the batch's: times first, then hashes."""
    found: list[Found] = []
    for is_time in (True, False):
        numbers = [number for number in pending.key_numbers if (number >= 0) == is_time]
        if not numbers:
            continue
        bound = f"key_number BETWEEN {min(numbers)} AND {max(numbers)}"
        few = FEW_BATCHES * len(numbers)
        rows = _count(connection, pending.table, bound, few + 1)
        if rows > few:
            bound = _find_equal(connection, pending.table, numbers, bound)
        if rows and bound:
            found += _compare_keys(connection, source, pending, bound)
    return found


def _count(connection: duckdb.DuckDBPyConnection, table: Table, bound: str, most: int) -> int:
    """How many rows, up to some: most batches lie where there are none, which is quick."""
    [(rows,)] = connection.execute(
        f"SELECT count(*) FROM (SELECT 1 FROM {table.name} WHERE {bound} LIMIT {most})"
    ).fetchall()
    return int(rows)


def _find_equal(
    connection: duckdb.DuckDBPyConnection, table: Table, numbers: Sequence[int], bound: str
) -> str:
    """A bound, on rowid, that holds the rows which have one of these numbers; empty if none has."""
    wanted = build_arrow((NUMBER,), [(number,) for number in numbers])
    offer_once(connection, "numbers", wanted)
    low = f"key_number & {LOW_BITS} AS low"
    connection.execute(f"CREATE OR REPLACE TEMP TABLE lows AS SELECT DISTINCT {low} FROM numbers")
    offer_once(connection, "numbers", wanted)
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE near AS
        WITH alike AS MATERIALIZED (
            SELECT stored_row, key_number
            FROM (SELECT rowid AS stored_row, key_number, {low} FROM {table.name} WHERE {bound})
            JOIN temp.lows USING (low)
        )
        SELECT stored_row FROM alike SEMI JOIN numbers USING (key_number)
        """
    )
    connection.unregister("numbers")
    [(first, last)] = connection.execute(
        "SELECT min(stored_row), max(stored_row) FROM temp.near"
    ).fetchall()
    if first is None:
        return ""
    return f"rowid BETWEEN {first} AND {last} AND rowid IN (FROM temp.near)"


def _compare_keys(
    connection: duckdb.DuckDBPyConnection, source: str, pending: PendingRows, bound: str
) -> list[Found]:
    """The rows within a bound that are versions of the batch's records."""
    key = ", ".join(f'"{name}"' for name in pending.table.key)
    is_whole = "false" if pending.table.whole is None else f'"{pending.table.whole}" IS NOT NULL'
    # Joined in one step, or filtered by source first, the whole table would be read for a rowid.
    step = "MATERIALIZED" if pending.table.numbered_by else "NOT MATERIALIZED"
    offer_once(connection, "wanted", build_wanted(pending.table, list(pending.last)))
    found: list[Found] = connection.execute(
        f"""
        WITH stored AS {step} (
            SELECT rowid AS stored_row, source, content_hash, first_synced_at, synced_at, {key},
                {is_whole} AS is_whole, gone_at IS NOT NULL AS is_gone
            FROM {pending.table.name} WHERE {bound}
        )
        SELECT nth, content_hash, epoch_us(first_synced_at), epoch_us(synced_at), stored_row,
            is_whole, is_gone
        FROM stored JOIN wanted USING ({key}) WHERE source = ?
        """,
        [source],
    ).fetchall()
    connection.unregister("wanted")
    return found
