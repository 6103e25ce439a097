"""Play many schedules: `python -m tests.simulation.play DIALECT FIRST COUNT`."""

import random
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from tests.simulation.duck_store import DuckStore
from tests.simulation.line import accept_light_lines
from tests.simulation.model_store import ModelStore, accept_models
from tests.simulation.scenes import SCENES, Scene
from tests.simulation.schedule import Schedule, run_schedule

SCHEDULES_PER_STORE = 100
REAL_EVERY = 8
"""One schedule in eight is played on the real store, through the real HTTP client."""


def play(dialect: str, seeds: Iterable[int]) -> list[int]:
    """Play some seeds; those that broke a promise, each with its error on stderr."""
    failed = []
    store = DuckStore()
    with playing():
        for number, seed in enumerate(seeds):
            if number % SCHEDULES_PER_STORE == SCHEDULES_PER_STORE - 1:
                store = DuckStore()
            try:
                run_schedule(make_schedule(dialect, seed, store))
            except Exception:
                failed.append(seed)
                sys.stderr.write(f"{dialect} seed {seed}:\n{traceback.format_exc(limit=-4)}\n")
                store = DuckStore()
    return failed


def make_schedule(dialect: str, seed: int, store: DuckStore) -> Schedule:
    """The schedule of a seed: one scene, or two that have nothing to do with each other."""
    chance = random.Random(f"{dialect}-{seed}")
    scenes = draw_scenes(chance, dialect, f"seed-{seed}")
    if seed % REAL_EVERY:
        return Schedule(chance, scenes, ModelStore(), has_real_http=False)
    return Schedule(chance, scenes, store, may_use_threads=True)


def draw_scenes(chance: random.Random, dialect: str, source: str) -> list[Scene]:
    """One scene as a rule; or two: with one of any kind, or with a twin that has the same ids."""
    twin_chance = random.Random()
    twin_chance.setstate(chance.getstate())
    scenes = [SCENES[dialect](chance, source)]
    company = chance.random()
    if company < 0.04:
        scenes.append(SCENES[dialect](twin_chance, f"{source}-twin"))
    elif company < 0.08:
        scenes.append(SCENES[chance.choice(list(SCENES))](chance, f"{source}-other"))
    return scenes


@contextmanager
def playing() -> Iterator[None]:
    """Within it, the program takes models and light lines where it is given them.

    DuckDB looks for pandas at each parameter; it need not search the disk for it each time.
    """
    is_missing = sys.modules.setdefault("pandas", None) is None
    try:
        with accept_models(), accept_light_lines():
            yield
    finally:
        if is_missing:
            del sys.modules["pandas"]


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
