"""Thousands of seeded schedules of a world in motion, a bad line and a process that dies.

A failing seed is named in the error; `python -m tests.simulation.play DIALECT SEED 1` plays it: the
same way each time, but for the few that run on real threads. `make simulate` plays more of them.
"""

import os
import random

import pytest

from tests.simulation.duck_store import DuckStore
from tests.simulation.model_store import ModelStore
from tests.simulation.play import draw_scenes, play, playing
from tests.simulation.scenes import SCENES
from tests.simulation.schedule import Schedule, Store, run_schedule
from tests.simulation.watched import Snapshot

SEEDS_PER_TEST = 100
SCHEDULES_PER_DIALECT = int(os.environ.get("ETL_SCHEDULES", "2000"))


@pytest.mark.parametrize(
    ("dialect", "first"),
    [(d, n) for d in SCENES for n in range(0, SCHEDULES_PER_DIALECT, SEEDS_PER_TEST)],
)
def test_the_store_becomes_the_api_whatever_happens_on_the_way(dialect: str, first: int) -> None:
    """No hole, no double, no false claim, in each of these schedules."""
    failed = play(dialect, range(first, first + SEEDS_PER_TEST))

    assert not failed, f"python -m tests.simulation.play {dialect} {failed[0]} 1"


@pytest.mark.parametrize("dialect", SCENES)
def test_the_model_of_the_store_holds_what_the_store_holds(dialect: str) -> None:
    real = DuckStore()
    for seed in range(10):
        assert play_on(ModelStore(), dialect, seed) == play_on(real, dialect, seed)


def play_on(store: Store, dialect: str, seed: int) -> list[Snapshot]:
    """What a store holds of each scene when a schedule has been played on it."""
    chance = random.Random(f"both-{dialect}-{seed}")
    scenes = draw_scenes(chance, dialect, f"both-{seed}")
    with playing():
        run_schedule(Schedule(chance, scenes, store, has_real_http=False))
    return [store.read(scene.config.name, scene.watched) for scene in scenes]
