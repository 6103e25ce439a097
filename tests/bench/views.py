"""How long each view takes, and the report: `python -m tests.bench.views [EXECUTIONS]`.

The store is the demo's, multiplied in SQL: each copy lies further back, a year in all. Its texts
repeat more often than those of a real store do, which flatters what reads them.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb

from etl.views import list_views
from tests.bench.commands import run_etl, take_median

ROUNDS = 3
SOURCE_EXECUTIONS = 5_000
SHIFT_S = 365 * 86_400.0
GOAL_S = 1.0
REPORT = ("--config", "demo/etl.toml", "report", "report.html")
BUILDING_BLOCKS = {
    *("clock", "executions_airflow", "executions_b3os", "executions_foundry", "executions_riza"),
    *("mapped_executions", "executions", "works", "local_executions", "known_ranges"),
    *("complete_ranges", "failures", "retry_chains", "outcome_runs"),
}
"""They have a row per execution, or are read only by way of others."""
TABLES = {
    # Its id, the id of what it belongs to, and its times.
    "riza.executions": (("id",), ("started_at",)),
    "riza.http_allow": (("execution_id",), ()),
    "riza.env": (("execution_id",), ()),
    "foundry.executions": (("foundry_trace_id",), ("started_at",)),
    "b3os.executions": (("id", "run_id"), ("created_at", "started_at", "finished_at")),
}


def build_store(folder: Path, executions: int) -> Path:
    """The demo's store, as many times over as it takes."""
    run_etl(folder, "demo", "--executions", str(SOURCE_EXECUTIONS))
    path = folder / "demo" / "executions.duckdb"
    copies = max(1, executions // (3 * SOURCE_EXECUTIONS))
    with duckdb.connect(str(path)) as connection:
        connection.execute("SET preserve_insertion_order = false")
        for table, (ids, times) in TABLES.items():
            replaced = [f"{name} || '-' || copy AS {name}" for name in ids]
            replaced += [f"{name} - shift AS {name}" for name in times]
            connection.execute(
                f"""
                INSERT INTO {table} SELECT demo.* REPLACE ({", ".join(replaced)})
                FROM {table} AS demo CROSS JOIN (
                    SELECT range AS copy, INTERVAL (range * {SHIFT_S / copies}) SECOND AS shift
                    FROM range(1, {copies})
                )
                """
            )
        connection.execute("UPDATE etl.coverage SET since = since - INTERVAL 1 YEAR")
        connection.execute("CHECKPOINT")
    return path


def measure_views(path: Path) -> Iterator[tuple[str, float, int]]:
    """Each view that answers a question: its name, the median time, its rows."""
    with duckdb.connect(str(path), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for view in list_views():
            if view.name in BUILDING_BLOCKS:
                continue
            times_s = []
            for _ in range(ROUNDS):
                began_s = time.perf_counter()
                connection.execute(f"CREATE OR REPLACE TEMP TABLE result AS FROM {view.name}")
                times_s.append(time.perf_counter() - began_s)
            [(rows,)] = connection.execute("SELECT count(*) FROM result").fetchall()
            yield view.name, statistics.median(times_s), rows


def main(executions: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = build_store(folder, executions)
        with duckdb.connect(str(path), read_only=True) as connection:
            [(count,)] = connection.execute("SELECT count(*) FROM executions").fetchall()
        print(f"{count:,} executions, {path.stat().st_size / 1e6:,.0f} MB")
        costs = [run_etl(folder, *REPORT) for _ in range(ROUNDS)]
        size_kb = (folder / "report.html").stat().st_size / 1e3
        cost = take_median(costs)
        print(f"report: {cost.wall_s:.2f} s, {cost.peak_mb:.0f} MB, {size_kb:.0f} kB of HTML")
        slow = 0
        for view, wall_s, rows in measure_views(path):
            slow += wall_s > GOAL_S
            mark = "  over the goal" if wall_s > GOAL_S else ""
            print(f"{view:30} {wall_s:8.2f} s {rows:10,} rows{mark}", flush=True)
        print(f"{slow} views over {GOAL_S:.0f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5_000_000)
