"""The account of what the APIs send and do not document: etl.drift."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import duckdb

from etl.records import from_epoch_us, to_epoch_us
from etl.store.schema import DRIFT, insert_json

PLACES_MAX = 1_000
"""Places kept of one source: a field whose name is data must not fill the store."""


def write_drift(
    connection: duckdb.DuckDBPyConnection,
    source: str,
    kind: str,
    drift: Counter[tuple[str, str | None]],
    now: datetime,
) -> None:
    """Add occurrences of unknown fields (value None) and of unknown values, by path."""
    if not drift:
        return
    known = connection.execute(
        "SELECT path, value, occurrences, epoch_us(first_seen_at) FROM etl.drift WHERE source = ?",
        [source],
    ).fetchall()
    places = {(path, value): (count, first_us) for path, value, count, first_us in known}
    now_us = to_epoch_us(now)
    rows = []
    for (path, value), occurrences in drift.items():
        if (path, value) not in places and len(places) >= PLACES_MAX:
            continue
        count, first_us = places.setdefault((path, value), (0, now_us))
        connection.execute(
            "DELETE FROM etl.drift WHERE source = ? AND path = ? AND value IS NOT DISTINCT FROM ?",
            [source, path, value],
        )
        rows.append(
            {
                "source": source,
                "kind": kind,
                "path": path,
                "value": value,
                "occurrences": count + occurrences,
                "first_seen_at": from_epoch_us(first_us),
                "last_seen_at": now,
            }
        )
    insert_json(connection, DRIFT, rows)


def count_drift(
    connection: duckdb.DuckDBPyConnection, sources: Sequence[str]
) -> list[tuple[str, int, int]]:
    """How many unknown fields and unknown values were seen of each source that has any."""
    rows: list[tuple[str, int, int]] = connection.execute(
        """
        SELECT source, count(*) FILTER (value IS NULL), count(value)
        FROM etl.drift
        WHERE list_contains(?::VARCHAR[], source)
        GROUP BY source ORDER BY source
        """,
        [list(sources)],
    ).fetchall()
    return rows
