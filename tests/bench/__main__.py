"""What a sync costs, on this machine: `python -m tests.bench [EXECUTIONS] [MEASURE…]`."""

import gc
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from etl.cli import GARBAGE_OBJECTS
from tests.bench.figures import HEAD
from tests.bench.growth import measure_growth, measure_rereads
from tests.bench.latency import measure_chain, measure_windows
from tests.bench.loads import measure_loads

MEASURES = {
    "loads": measure_loads,
    "chain": measure_chain,
    "windows": measure_windows,
    "growth": measure_growth,
    "rereads": measure_rereads,
}
RESULTS = Path(".bench")


def main(executions: int, names: Sequence[str]) -> None:
    """Print each figure as it is found, and write those of each measure as JSON."""
    RESULTS.mkdir(exist_ok=True)
    print(HEAD)
    for name in names:
        found = []
        with tempfile.TemporaryDirectory() as folder:
            for figure in MEASURES[name](executions, Path(folder)):
                print(figure, flush=True)
                found.append({**asdict(figure), "median": figure.median})
        result = {"executions": executions, "figures": found}
        (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    # As the process `etl` does.
    gc.set_threshold(GARBAGE_OBJECTS)
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000, sys.argv[2:] or list(MEASURES))
