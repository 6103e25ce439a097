"""Play many schedules: `python -m tests.simulation.play DIALECT FIRST COUNT`."""

import random
import sys
import time
import traceback
from collections.abc import Iterable

from tests.simulation.scenes import SCENES
from tests.simulation.schedule import open_store, run_schedule

SCHEDULES_PER_STORE = 100


def play(dialect: str, seeds: Iterable[int]) -> list[int]:
    """Play some seeds; those that broke a promise, each with its error on stderr."""
    failed = []
    for number, seed in enumerate(seeds):
        if number % SCHEDULES_PER_STORE == 0:
            connection = open_store()
        chance = random.Random(f"{dialect}-{seed}")
        scene = SCENES[dialect](chance, f"seed-{seed}")
        try:
            run_schedule(chance, scene, connection)
        except Exception:
            failed.append(seed)
            sys.stderr.write(f"{dialect} seed {seed}:\n{traceback.format_exc(limit=-4)}\n")
            connection = open_store()
    return failed


def main(dialect: str, first: int, count: int) -> int:
    began_s = time.process_time()
    failed = play(dialect, range(first, first + count))
    took_s = time.process_time() - began_s
    sys.stdout.write(
        f"{dialect}: {count} from seed {first} in {took_s:.0f} s of CPU, failed: {failed}\n"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
