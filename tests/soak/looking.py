"""A reader that looks at the store every 100 ms, and would notice half of a commit."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import duckdb

from etl.demo.chance import unix_ms
from etl.demo.grid import Span
from etl.demo.history_riza import RizaHistory
from etl.store.connect import open_reader

PERIOD_S = 0.1
TAIL_ROWS = 500
EDGE = "INTERVAL 10 DAY"
"""Above the lower end of the ledger, where the last commits were: looking at all takes long."""

ROWS_SQL = """
SELECT count(*), (SELECT coalesce(sum(rows_new), 0) FROM etl.runs) FROM riza.executions
"""
LEDGER_SQL = f"""
WITH oldest AS (SELECT min(started_at) - INTERVAL 1 DAY AS since FROM riza.executions),

edges AS (
    SELECT greatest(c.since, oldest.since) AS first, least(c.until, first + {EDGE}) AS last
    FROM etl.coverage AS c CROSS JOIN oldest
)

SELECT epoch_us(first), epoch_us(last), (
    SELECT count(*) FROM riza.executions WHERE started_at >= first AND started_at < last
)
FROM edges
"""
ORPHANS_SQL = f"""
WITH tail AS (
    SELECT * FROM (SELECT execution_id FROM riza.env ORDER BY rowid DESC LIMIT {TAIL_ROWS})
    UNION
    SELECT * FROM (SELECT execution_id FROM riza.http_allow ORDER BY rowid DESC LIMIT {TAIL_ROWS})
    UNION
    SELECT * FROM (SELECT execution_id FROM riza.files ORDER BY rowid DESC LIMIT {TAIL_ROWS})
)

SELECT count(*) FROM tail ANTI JOIN (
    SELECT id FROM riza.executions
    WHERE started_at <= (SELECT min(started_at) FROM riza.executions) + {EDGE}
) AS e ON e.id = tail.execution_id
"""


@dataclass
class Seen:
    """What one reader saw: `states` are the numbers of rows, `waits_s` how long a look took."""

    states: set[int] = field(default_factory=set)
    waits_s: list[float] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def keep_looking(store: Path, span: Span, is_over: Event) -> Seen:
    """Look at the store until it is over; begins once there is one."""
    seen = Seen()
    history = RizaHistory(span)
    while not is_over.wait(PERIOD_S):
        if not store.exists():
            continue
        began_s = time.monotonic()
        try:
            with open_reader(store) as connection:
                rows, torn = look(connection, history)
        except duckdb.CatalogException:
            continue  # The store was made, and has no tables before its first commit.
        except Exception as error:
            seen.errors.append(f"{type(error).__name__}: {error}")
            continue
        seen.waits_s.append(time.monotonic() - began_s)
        seen.states.add(rows)
        seen.torn += torn
    return seen


def look(connection: duckdb.DuckDBPyConnection, history: RizaHistory) -> tuple[int, list[str]]:
    """How many rows there are, and what would be wrong with them after half of a commit."""
    torn = []
    [(rows, logged)] = connection.execute(ROWS_SQL).fetchall()
    if rows != logged:
        torn.append(f"{rows} rows, the run log counts {logged}")
    for since_us, until_us, stored in connection.execute(LEDGER_SQL).fetchall():
        served = count_served(history, since_us, until_us)
        if stored != served:
            torn.append(f"{stored} of {served} rows in a range that is said to be known")
    [(orphans,)] = connection.execute(ORPHANS_SQL).fetchall()
    if orphans:
        torn.append(f"{orphans} executions are missing that others belong to")
    return rows, torn


def count_served(history: RizaHistory, since_us: int, until_us: int) -> int:
    """How many executions of the API start in a range, bounds in microseconds."""
    assert history.span.origin is not None
    since_ms = max(-(-since_us // 1_000), unix_ms(history.span.origin))
    return history.index_at(-(-until_us // 1_000) - 1) - history.index_at(since_ms - 1)


def describe(readers: Sequence[Seen]) -> dict[str, Any]:
    """The figures of all readers together."""
    waits_s = sorted(wait for seen in readers for wait in seen.waits_s)
    return {
        "looks": len(waits_s),
        "states": len(set().union(*(seen.states for seen in readers))),
        "torn": [line for seen in readers for line in seen.torn][:5],
        "errors": [line for seen in readers for line in seen.errors][:5],
        "look_median_s": round(statistics.median(waits_s), 3),
        "look_p99_s": round(waits_s[len(waits_s) * 99 // 100], 3),
        "look_max_s": round(waits_s[-1], 3),
    }
