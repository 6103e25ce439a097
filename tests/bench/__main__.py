"""What a sync costs, on this machine: `python -m tests.bench [EXECUTIONS] [RESULTS.json]`."""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from etl.demo.grid import Span
from etl.demo.history_foundry import FoundryHistory
from etl.demo.server import DemoSettings
from tests.bench.commands import Cost, run_etl, take_median, write_config
from tests.bench.served import ask_requests, serve, set_latency

ROUNDS = 3
YEAR_DAYS = 365.0
LATENCY_MS = 50.0


def measure_riza(executions: int, work: Path) -> Iterator[tuple[str, Cost, dict[str, Any]]]:
    """Full load, a run with nothing new, and the same load with everything unredacted."""
    settings = DemoSettings(platforms=("riza",), executions=executions, cached_records=executions)
    with serve(settings) as (base_url, server):
        source = f'kind = "riza"\nbase_url = "{base_url}/riza"\npayloads = "{{}}"'
        run_full(work, source.format("redacted"))
        for policy in ("redacted", "full"):
            costs = [run_full(work, source.format(policy)) for _ in range(ROUNDS)]
            rows = count_rows(work, "riza.executions")
            median = take_median(costs)
            yield f"full load, payloads {policy}", median, {"rows_per_s": rows / median.wall_s}
        before = ask_requests(server)
        costs = [run_etl(work, "sync") for _ in range(ROUNDS)]
        requests = (ask_requests(server) - before) / ROUNDS
        yield "nothing new", take_median(costs), {"requests": requests}


def run_full(work: Path, source: str) -> Cost:
    shutil.rmtree(work, ignore_errors=True)
    write_config(work, source)
    return run_etl(work, "sync")


def measure_foundry(executions: int, work: Path) -> Iterator[tuple[str, Cost, dict[str, Any]]]:
    """A year of executions with 50 ms for each request, by 1, 4 and 8 windows at a time."""
    settings = DemoSettings(
        platforms=("foundry",), executions=executions, days=YEAR_DAYS, cached_records=executions
    )
    resources = json.dumps(list(FoundryHistory(Span(executions, YEAR_DAYS)).streams))
    since = (datetime.now(UTC) - timedelta(days=YEAR_DAYS + 1)).isoformat(timespec="seconds")
    with serve(settings) as (base_url, server):
        source = (
            f'kind = "foundry"\nbase_url = "{base_url}/foundry"\nresources = {resources}\n'
            f"since = {since}\nconcurrency = "
        )
        run_full(work, f"{source}8")
        set_latency(server, LATENCY_MS)
        for concurrency in (1, 4, 8):
            before = ask_requests(server)
            cost = run_full(work, f"{source}{concurrency}")
            figures = {
                "requests": ask_requests(server) - before,
                "rows": count_rows(work, "foundry.executions"),
            }
            yield f"Foundry year, {LATENCY_MS:.0f} ms, concurrency {concurrency}", cost, figures


def count_rows(work: Path, table: str) -> int:
    with duckdb.connect(str(work / "executions.duckdb"), read_only=True) as connection:
        rows: list[tuple[int]] = connection.execute(f"SELECT count(*) FROM {table}").fetchall()
    return rows[0][0]


def main(executions: int, results: Path | None) -> None:
    found = []
    print(f"{'what':50} {'wall s':>8} {'cpu s':>8} {'peak MB':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for measure in (measure_riza, measure_foundry):
            for what, cost, figures in measure(executions, Path(folder) / "work"):
                rest = ", ".join(f"{name} {value:,.0f}" for name, value in figures.items())
                print(
                    f"{what:50} {cost.wall_s:8.2f} {cost.cpu_s:8.2f} {cost.peak_mb:8.0f}  {rest}",
                    flush=True,
                )
                found.append({"what": what, **asdict(cost), **figures})
    if results is not None:
        results.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main(
        int(sys.argv[1]) if len(sys.argv) > 1 else 100_000,
        Path(sys.argv[2]) if len(sys.argv) > 2 else None,
    )
