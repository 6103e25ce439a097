"""Play many schedules: `python -m tests.simulation.play DIALECT FIRST COUNT`."""

import random
import sys
import time
import traceback
from typing import Any

from tests.simulation.scenes import SCENES
from tests.simulation.schedule import open_empty_store, run_schedule

_template: list[Any] = []


def play(dialect: str, seed: int) -> None:
    """Play one seed; a broken promise names it."""
    chance = random.Random(f"{dialect}-{seed}")
    scene = SCENES[dialect](chance)
    with open_empty_store(_template) as connection:
        try:
            run_schedule(chance, scene, connection)
        except AssertionError as error:
            raise AssertionError(f"{dialect} seed {seed}: {error}") from error


def main(dialect: str, first: int, count: int) -> int:
    failed = []
    began_s = time.monotonic()
    for seed in range(first, first + count):
        try:
            play(dialect, seed)
        except Exception:
            failed.append(seed)
            if len(failed) <= 3:
                traceback.print_exc()
    took_s = time.monotonic() - began_s
    sys.stdout.write(f"{dialect}: {count} from seed {first} in {took_s:.0f} s, failed: {failed}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
