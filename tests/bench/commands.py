"""The real command, as a process of its own: time, processor time and peak memory."""

import os
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cost:
    """What one run of a command took."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def run_etl(folder: Path, *arguments: str) -> Cost:
    """Run `etl` in a folder; raises CalledProcessError if it does not end with 0.

    The peak is Linux's own of the process: that of getrusage would include what its parent needed.
    """
    environ = os.environ | {"DEMO_TOKEN": "demo-token"}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began_s = time.perf_counter()
    code = (
        "import re, sys\n"
        "from pathlib import Path\n"
        "from etl.cli import run\n"
        "try:\n    run()\n"
        "finally:\n"
        "    status = Path('/proc/self/status').read_text()\n"
        "    sys.stderr.write(re.search(r'VmHWM:\\s*(\\d+) kB', status)[1] + '\\n')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    wall_s = time.perf_counter() - began_s
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall_s, cpu_s, int(done.stderr.split()[-1]) / 1024)


def take_median(costs: list[Cost]) -> Cost:
    """The median of each figure."""
    return Cost(
        statistics.median(cost.wall_s for cost in costs),
        statistics.median(cost.cpu_s for cost in costs),
        max(cost.peak_mb for cost in costs),
    )


def write_config(folder: Path, source: str, **sync: object) -> None:
    """An etl.toml with one source, given as the lines of its table."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["[sync]", *(f"{key} = {value}" for key, value in sync.items())]
    lines += ["[sources.bench]", 'token_env = "DEMO_TOKEN"', source]
    (folder / "etl.toml").write_text("\n".join(lines) + "\n")
