"""Thousands of seeded schedules of a world in motion, a bad line and a process that dies.

A failing seed is named in the error; `python -m tests.simulation.play DIALECT SEED 1` plays it.
`make simulate` plays more of them.
"""

import os

import pytest

from tests.simulation.play import play
from tests.simulation.scenes import SCENES

SEEDS_PER_TEST = 50
SCHEDULES_PER_DIALECT = int(os.environ.get("ETL_SCHEDULES", "100"))


@pytest.mark.parametrize(
    ("dialect", "first"),
    [(d, n) for d in SCENES for n in range(0, SCHEDULES_PER_DIALECT, SEEDS_PER_TEST)],
)
def test_the_store_becomes_the_api_whatever_happens_on_the_way(dialect: str, first: int) -> None:
    """No hole, no double, no false claim, in each of these schedules."""
    failed = play(dialect, range(first, first + SEEDS_PER_TEST))

    assert not failed, f"python -m tests.simulation.play {dialect} {failed[0]} 1"
