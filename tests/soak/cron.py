"""Runs as cron starts them, days of them in minutes: `python -m tests.soak.cron [RUNS]`.

The demo APIs grow by a quarter of an hour of history from run to run, their open executions go on,
and one request in twenty fails. Each tenth run is killed, wherever it is.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from etl.demo.faults import NO_FAULTS, Faults
from etl.demo.server import DemoServer, DemoSettings, start_server
from tests.soak.compare import compare_with_api, compare_with_fresh, count_rows

STEP = timedelta(minutes=15)
KILLED_EVERY = 10
RUNS_PER_FIGURE = 20
SETTINGS = DemoSettings(executions=6_000, days=10.0, token="soak-token")
FAULTS = Faults(
    seed=5,
    retry_after_s=0.1,
    **dict.fromkeys(
        ("rate_limit", "error_500", "error_503", "drop", "reset", "cut", "html"), 0.05 / 7
    ),
)
CODE = """
import sys
from datetime import UTC, datetime, timedelta
from etl.cli import main
from etl.cli.shell import Shell
later = timedelta(seconds=float(sys.argv[1]))
main(sys.argv[2:], obj=Shell(clock=lambda: datetime.now(UTC) + later))
"""
"""The program, with a clock that is ahead."""


@dataclass(frozen=True)
class Run:
    """How one run ended; `exit_code` is negative for a signal."""

    exit_code: int
    said: str
    wall_s: float
    peak_mb: float


@dataclass
class Soak:
    """A folder with a store, the APIs it is synced from, and how far their clock is ahead."""

    folder: Path
    ahead: timedelta = timedelta(0)
    runs: list[Run] = field(default_factory=list)

    def read_clock(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def run(self, *words: str, killed_after_s: float | None = None) -> Run:
        """Run the program, and perhaps kill it."""
        began = datetime.now(UTC)
        with (self.folder / "said").open("w+") as said:
            process = subprocess.Popen(
                [sys.executable, "-c", CODE, str(self.ahead.total_seconds()), *words],
                cwd=self.folder,
                env={"PATH": os.environ["PATH"], "DEMO_TOKEN": SETTINGS.token},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )
            killer = threading.Timer(killed_after_s or 600.0, process.kill)
            killer.start()
            _, status, usage = os.wait4(process.pid, 0)
            killer.cancel()
            process.returncode = os.waitstatus_to_exitcode(status)
            said.seek(0)
            text = said.read()
        wall_s = (datetime.now(UTC) - began).total_seconds()
        return Run(process.returncode, text, wall_s, usage.ru_maxrss / 1024)


def write_config(folder: Path, server: DemoServer) -> None:
    since = datetime.now(UTC) - timedelta(days=SETTINGS.days + 1)
    resources = json.dumps(list(server.foundry.history.streams))
    tables = ['[store]\npath = "executions.duckdb"\npublish = "copy.duckdb"']
    for kind in SETTINGS.platforms:
        own = {
            "foundry": f"resources = {resources}\nsince = {since:%Y-%m-%dT%H:%M:%SZ}",
            "b3os": "runs = true\nevents = true",
        }
        tables.append(
            f'[sources.{kind}]\nkind = "{kind}"\nbase_url = "{server.base_url}/{kind}"\n'
            f'token_env = "DEMO_TOKEN"\n{own.get(kind, "")}'
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "etl.toml").write_text("\n\n".join(tables) + "\n")


def soak(runs: int, work: Path) -> dict[str, Any]:
    """All the runs, and what is left in the end."""
    chance = random.Random(f"soak-{runs}")
    here = Soak(work / "kept")
    figures = []
    with start_server(SETTINGS, now=here.read_clock) as server:
        write_config(here.folder, server)
        first = here.run("sync")
        server.set_faults(FAULTS)
        for number in range(1, runs + 1):
            here.ahead += STEP
            is_killed = number % KILLED_EVERY == 0
            usual_s = statistics.median(run.wall_s for run in here.runs or [first])
            here.runs.append(
                here.run(
                    "sync",
                    "--metrics",
                    "etl.prom",
                    killed_after_s=chance.uniform(0.1, usual_s) if is_killed else None,
                )
            )
            if number % RUNS_PER_FIGURE == 0:
                figures.append(measure(here, number))
                print(json.dumps(figures[-1]), flush=True)
        requests = server.requests.total()
        server.set_faults(NO_FAULTS)
        last = here.run("sync")
        checked = here.run("check")
        wrong = compare_with_api(here.folder, server)
        fresh = Soak(work / "fresh", here.ahead)
        write_config(fresh.folder, server)
        wrong += compare_with_fresh(here.folder, fresh.folder, lambda: fresh.run("sync"))
    return {
        "runs": runs,
        "requests": requests,
        "first": describe_run(first),
        "last": describe_run(last),
        "check": checked.exit_code,
        "exit_codes": count_exit_codes(here.runs),
        "said": sorted({run.said for run in here.runs if run.said})[:5],
        "said_though_well": sum(bool(run.said) for run in here.runs if run.exit_code == 0),
        "wall_median_s": round(statistics.median(run.wall_s for run in here.runs), 2),
        "figures": figures,
        "fresh_file_mb": round((fresh.folder / "executions.duckdb").stat().st_size / 1e6, 2),
        "differences": wrong,
    }


def measure(here: Soak, number: int) -> dict[str, Any]:
    """Rows, file size and memory after some runs."""
    rows = count_rows(here.folder / "executions.duckdb")
    size = (here.folder / "executions.duckdb").stat().st_size
    recent = [run.peak_mb for run in here.runs[-RUNS_PER_FIGURE:] if run.exit_code == 0]
    return {
        "run": number,
        "rows": rows,
        "file_mb": round(size / 1e6, 2),
        "bytes_per_row": round(size / rows),
        "peak_median_mb": round(statistics.median(recent), 1),
        "peak_max_mb": round(max(recent), 1),
    }


def describe_run(run: Run) -> str:
    return (
        f"exit {run.exit_code} in {run.wall_s:.1f} s, peak {run.peak_mb:.0f} MB {run.said}".strip()
    )


def count_exit_codes(runs: Sequence[Run]) -> dict[int, int]:
    codes = [run.exit_code for run in runs]
    return {code: codes.count(code) for code in sorted(set(codes))}


def main(runs: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        found = soak(runs, Path(folder))
    print(json.dumps(found, indent=1))
    is_well = found["last"].startswith("exit 0") and found["check"] == 0
    is_well = is_well and not found["differences"] and not found["said_though_well"]
    return 0 if is_well and set(found["exit_codes"]) <= {0, -9} else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
