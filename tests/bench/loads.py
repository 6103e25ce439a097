"""One platform, no latency: everything, nothing new, one per cent new, and what redaction costs."""

import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb

from etl.demo.server import DemoSettings
from tests.bench.commands import Cost, run_etl, write_config
from tests.bench.figures import Figure
from tests.bench.served import Served, serve

ROUNDS = 3
DAYS = 90.0
DELTA_S = DAYS * 86_400 / 100
DLT = "ETL_BENCH_DLT"
"""The variable that names the Python of an environment with `dlt[duckdb]`."""


def measure_loads(executions: int, folder: Path) -> Iterator[Figure]:
    """The subjects in turns, so that a slow moment of the machine meets them all."""
    settings = DemoSettings(
        platforms=("riza",), executions=executions, days=DAYS, cached_records=executions
    )
    costs: dict[str, list[Cost]] = {}
    dlt_s: list[float] = []
    with serve(settings, DELTA_S) as served:
        # The first walk finds the server without a rendered page.
        _load(folder / "first", served, "redacted")
        for number in range(ROUNDS):
            served.set_clock(DELTA_S)
            work = folder / str(number)
            costs.setdefault("full load", []).append(_load(work, served, "redacted"))
            costs.setdefault("nothing new", []).append(run_etl(work, "sync"))
            rows = count_rows(work, "riza.executions")
            served.set_clock(0.0)
            costs.setdefault("1 % new", []).append(run_etl(work, "sync"))
            served.set_clock(DELTA_S)
            costs.setdefault("full load, payloads full", []).append(_load(work, served, "full"))
            if python := os.environ.get(DLT):
                dlt_s.append(_load_with_dlt(python, folder / "dlt", served))
    for what, found in costs.items():
        yield _describe(what, found)
    full = [cost.wall_s for cost in costs["full load"]]
    yield Figure("full load, thousand rows a second", "", [rows / wall_s / 1e3 for wall_s in full])
    pairs = zip(costs["full load"], costs["full load, payloads full"], strict=True)
    shares = [100 * (1 - bare.cpu_s / redacted.cpu_s) for redacted, bare in pairs]
    yield Figure("redaction, of the full load's processor time", "%", shares)
    if dlt_s:
        yield Figure("dlt, the same rows", "s", dlt_s)
        ratios = [theirs / ours for theirs, ours in zip(dlt_s, full, strict=True)]
        yield Figure("dlt / etl, run by run", "x", ratios)


def _describe(what: str, costs: list[Cost]) -> Figure:
    cpu_s = statistics.median(cost.cpu_s for cost in costs)
    peak_mb = max(cost.peak_mb for cost in costs)
    notes = f"processor {cpu_s:.2f} s, peak {peak_mb:.0f} MB"
    return Figure(what, "s", [cost.wall_s for cost in costs], notes)


def _load(work: Path, served: Served, payloads: str) -> Cost:
    shutil.rmtree(work, ignore_errors=True)
    url = f"{served.base_url}/riza"
    write_config(work, f'kind = "riza"\nbase_url = "{url}"\npayloads = "{payloads}"')
    return run_etl(work, "sync")


def _load_with_dlt(python: str, work: Path, served: Served) -> float:
    """The seconds it took dlt; raises CalledProcessError if it failed."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    script = Path(__file__).with_name("dlt_load.py")
    environ = os.environ | {"DLT_DATA_DIR": str(work / "data")}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    began_s = time.perf_counter()
    subprocess.run(
        [python, script, f"{served.base_url}/riza/", str(work)],
        env=environ,
        capture_output=True,
        check=True,
    )
    return time.perf_counter() - began_s


def count_rows(work: Path, table: str) -> int:
    """The rows of a table in the store of a work folder."""
    with duckdb.connect(str(work / "executions.duckdb"), read_only=True) as connection:
        rows: list[tuple[int]] = connection.execute(f"SELECT count(*) FROM {table}").fetchall()
    return rows[0][0]
