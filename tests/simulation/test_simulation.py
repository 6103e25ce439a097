"""Thousands of seeded schedules of a world in motion, a bad line and a process that dies.

A failing seed is named in the error; `python -m tests.simulation.play DIALECT SEED 1` plays it.
"""

import pytest

from tests.simulation.play import play

SEEDS_PER_TEST = 50
SCHEDULES = {"riza": 1000, "airflow": 1000}


@pytest.mark.parametrize(
    ("dialect", "first"),
    [(d, n) for d, count in SCHEDULES.items() for n in range(0, count, SEEDS_PER_TEST)],
)
def test_the_store_becomes_the_api_whatever_happens_on_the_way(dialect: str, first: int) -> None:
    """No hole, no double, no false claim, in each of these schedules."""
    failed = play(dialect, range(first, first + SEEDS_PER_TEST))

    assert not failed, f"python -m tests.simulation.play {dialect} {failed[0]} 1"
