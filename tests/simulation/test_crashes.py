"""A process that is killed at each HTTP call and at each commit boundary of a run, one by one."""

import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.simulation.checks import check_claims
from tests.simulation.duck_store import DuckStore
from tests.simulation.fate import Fate
from tests.simulation.jobs import make_interleaving
from tests.simulation.model_store import ModelStore
from tests.simulation.play import playing
from tests.simulation.scenes import SCENES, Scene
from tests.simulation.schedule import Conditions, Schedule, Store, check_schedule, finish, run_once

TO_FIND_THE_PLACE = 3
"""Requests of the next run before it stands where the killed one did: the head of the list, the
place in its middle, and one that sees that nothing is missing there."""


@pytest.mark.parametrize("dialect", SCENES)
def test_no_crash_in_the_real_store_leaves_a_hole_or_a_false_claim(dialect: str) -> None:
    """Some of the places; the next test takes them all."""
    store = DuckStore()
    with playing():
        fates = list_moving_fates(dialect, 1)
        for fate in random.Random(0).sample(fates, min(8, len(fates))):
            crash_and_resume(make_moving(dialect, 1, store, fate), fate)


@pytest.mark.parametrize("dialect", SCENES)
@pytest.mark.parametrize("seed", range(1, 4))
def test_no_crash_leaves_a_hole_or_a_false_claim(dialect: str, seed: int) -> None:
    with playing():
        for fate in list_moving_fates(dialect, seed):
            crash_and_resume(make_moving(dialect, seed, ModelStore(), fate), fate)


@pytest.mark.parametrize("dialect", SCENES)
@pytest.mark.parametrize("seed", range(1, 5))
def test_a_crash_costs_the_page_of_each_walk_that_was_not_committed(
    dialect: str, seed: int
) -> None:
    """A list that does not show its key time is the exception: its windows are read again."""
    with playing():
        whole = make_resting(dialect, seed, Fate())
        clean = Fate()
        run_once(whole, make_conditions(clean))
        for fate in list_fates(clean):
            resting = make_resting(dialect, seed, fate)

            crash_and_resume(resting, fate)

            lost = whole.pages if dialect == "airflow" else count_lost_pages(resting.scenes[0])
            assert resting.pages <= whole.pages + lost, fate


def list_fates(clean: Fate) -> list[Fate]:
    """Each HTTP call and each commit boundary of a run that went well, as its last moment."""
    calls = [Fate(http_call=n) for n in range(1, clean.http_calls + 1)]
    boundaries = [Fate(commit_boundary=n) for n in range(1, clean.commit_boundaries + 1)]
    assert len(calls) > 1
    assert len(boundaries) > 1
    return calls + boundaries


def list_moving_fates(dialect: str, seed: int) -> list[Fate]:
    clean = Fate()
    run_once(make_moving(dialect, seed, ModelStore(), clean), make_conditions(clean))
    return list_fates(clean)


def crash_and_resume(schedule: Schedule, fate: Fate) -> None:
    run_once(schedule, make_conditions(fate))
    check_schedule(schedule, check_claims)
    finish(schedule)


def make_conditions(fate: Fate) -> Conditions:
    """A commit for each page, and pages that are loaded as they come."""
    run_jobs = make_interleaving(random.Random(0), lag=0)
    return Conditions(fate, batch_rows=1, has_faults=False, run_jobs=run_jobs)


def make_moving(dialect: str, seed: int, store: Store, fate: Fate) -> Schedule:
    """A scene of one or two dozen executions, the same for each fate."""
    chance = random.Random(f"crash-{dialect}-{seed}")
    source = f"crash-{seed}-{fate.http_call}-{fate.commit_boundary}"
    scene = SCENES[dialect](chance, source)
    scene.world.populate(6)
    scene.world.created_max = 20
    scene.config = replace(scene.config, page_size=3)
    return Schedule(chance, [scene], store, has_real_http=False)


def make_resting(dialect: str, seed: int, fate: Fate) -> Schedule:
    """The same, where nothing happens any more, and nothing is young enough to be read again."""
    schedule = make_moving(dialect, seed, ModelStore(), fate)
    scene = schedule.scenes[0]
    scene.world.settle()
    if scene.config.kind == "foundry":
        # Windows that are halved are asked for once more, and so is what a refused token was for.
        scene.answer = replace(scene.answer.__self__, too_large=None, refusals_at_rest=0).answer
    scene.world.now += timedelta(hours=2)
    scene.config = replace(scene.config, lookback=timedelta(seconds=1))
    return schedule


def count_lost_pages(scene: Scene) -> int:
    """What a crash may cost: per walk a page, the way back, and the rows of one time again.

    Walks are windows side by side, or the streams of a source in turn.
    """
    is_foundry = scene.config.kind == "foundry"
    walks = scene.config.concurrency if is_foundry else len(scene.watched)
    ties = Counter(record.started_at for record in scene.world.list_visible())
    return walks * (1 + TO_FIND_THE_PLACE + max(ties.values()) - 1)
