"""Readers beside a sync at full speed: `python -m tests.soak.readers [MINUTES] [ROUNDS]`."""

import contextlib
import json
import multiprocessing
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from etl.demo.grid import Span
from etl.demo.server import DemoSettings
from tests.bench.commands import run_etl, write_config
from tests.bench.served import serve
from tests.soak.looking import Seen, describe, keep_looking

READERS = 4
ROUND = Span(60_000, 90.0, datetime.now(UTC) - timedelta(days=90))
LONG = Span(20_000_000, 3_650.0, datetime.now(UTC) - timedelta(days=3_650))
STORE = "executions.duckdb"


@contextlib.contextmanager
def looked_at(store: Path, span: Span) -> Iterator[list[Seen]]:
    """Readers around a block; what they saw is in the list once it is over."""
    seen: list[Seen] = []
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(READERS, context) as pool:
        is_over = manager.Event()
        looks: list[Future[Seen]] = [
            pool.submit(keep_looking, store, span, is_over) for _ in range(READERS)
        ]
        try:
            yield seen
        finally:
            is_over.set()
            seen += [look.result() for look in looks]


def measure_rounds(rounds: int, work: Path) -> dict[str, Any]:
    """The same load without readers and with them, in turn; the ratio of the medians."""
    alone_s, beside_s, seen = [], [], []
    with serve(make_settings(ROUND)) as served:
        load(work, served.base_url)
        for _ in range(rounds):
            alone_s.append(load(work, served.base_url))
            with looked_at(work / STORE, ROUND) as looks:
                beside_s.append(load(work, served.base_url))
            seen += looks
    return {
        "executions": ROUND.executions,
        "alone_s": [round(wall_s, 2) for wall_s in alone_s],
        "beside_readers_s": [round(wall_s, 2) for wall_s in beside_s],
        "ratio": round(statistics.median(beside_s) / statistics.median(alone_s), 2),
        **describe(seen),
    }


def make_settings(span: Span) -> DemoSettings:
    return DemoSettings(
        platforms=("riza",), executions=span.executions, days=span.days, origin=span.origin
    )


def load(work: Path, base_url: str, *words: str) -> float:
    """Sync into a new store; the seconds it took."""
    for path in work.glob(f"{STORE}*"):
        path.unlink()
    write_config(work, f'kind = "riza"\nbase_url = "{base_url}/riza"')
    return run_etl(work, "sync", *words).wall_s


def run_long(minutes: float, work: Path) -> dict[str, Any]:
    """A sync that does not come to an end in its time, and the readers beside it."""
    with serve(make_settings(LONG)) as served, looked_at(work / STORE, LONG) as looks:
        wall_s = load(work, served.base_url, "--max-seconds", str(60 * minutes))
    rows = max((rows for seen in looks for rows in seen.states), default=0)
    return {
        "wall_s": round(wall_s),
        "rows": rows,
        "rows_per_s": round(rows / wall_s),
        "file_mb": round((work / STORE).stat().st_size / 1e6),
        **describe(looks),
    }


def main(minutes: float, rounds: int) -> int:
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / "work"
        if rounds:
            found["rounds"] = measure_rounds(rounds, work)
        if minutes:
            shutil.rmtree(work, ignore_errors=True)
            found["long"] = run_long(minutes, work)
    print(json.dumps(found, indent=1))
    return 1 if any(part["torn"] or part["errors"] for part in found.values()) else 0


if __name__ == "__main__":
    sys.exit(
        main(
            float(sys.argv[1]) if len(sys.argv) > 1 else 10.0,
            int(sys.argv[2]) if len(sys.argv) > 2 else 3,
        )
    )
