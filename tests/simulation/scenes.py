"""Seeded scenes, one maker per dialect."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from etl.records import SourceConfig
from etl.sources import airflow, b3os, foundry, riza
from etl.sources.airflow.tables import DAG_RUNS, TASK_INSTANCES
from etl.sources.b3os.tables import EVENTS, RUNS
from etl.sources.b3os.tables import EXECUTIONS as B3OS_EXECUTIONS
from etl.sources.foundry.tables import EXECUTIONS as FOUNDRY_EXECUTIONS
from etl.sources.riza.tables import ENV
from etl.sources.riza.tables import EXECUTIONS as RIZA_EXECUTIONS
from tests.simulation import airflow_api, foundry_api
from tests.simulation.airflow_api import AirflowApi
from tests.simulation.b3os_api import B3osApi
from tests.simulation.foundry_api import FoundryApi
from tests.simulation.line import Answer
from tests.simulation.riza_api import RizaApi
from tests.simulation.watched import Expected, Watched
from tests.simulation.world import START, Habits, Record, World

ORDERS = ("descending", "ascending")
PAGE_SIZES = (2, 3, 7)


@dataclass
class Scene:
    """A world, how its API speaks, how it is configured, and what of it is to be stored.

    `lookback` is how late a record may appear. `is_wanted`: whether the platform lets a record be
    found at all. `fetch_name` is what `etl fetch` is given. `pruned_before` and `fetched` are what
    has happened to the store by other hands.
    """

    world: World
    config: SourceConfig
    answer: Answer
    watched: tuple[Watched, ...]
    lookback: timedelta
    fault_rate: float
    is_wanted: Callable[[Record], bool] = lambda record: True
    fetch_name: Callable[[Record], str] | None = None
    pruned_before: datetime | None = None
    fetched: set[str] = field(default_factory=set)


class Bustle(NamedTuple):
    """How many times something has come already, how likely something new is, and more of it."""

    populated: int
    insert: float
    tie: float


def _configure(chance: random.Random, source: str, kind: str, options: Any) -> SourceConfig:
    return SourceConfig(
        source,
        kind,
        f"http://{source}",
        "TOKEN",
        "t0ken",
        options,
        since=chance.choice((None, None, START + timedelta(minutes=30))),
        page_size=chance.choice(PAGE_SIZES),
        concurrency=chance.choice((1, 2, 4)),
    )


def _draw_bustle(chance: random.Random) -> Bustle:
    """How much comes: as a rule something; now and then bursts, into an account that is new."""
    if chance.random() < 0.2:
        return Bustle(chance.randrange(0, 3), 0.5, 0.7)
    return Bustle(
        chance.randrange(0, 10), chance.choice((0.0, 0.2, 0.5)), chance.choice((0.0, 0.3, 0.6))
    )


def _draw_retention(chance: random.Random) -> timedelta | None:
    return chance.choice((None, None, None, timedelta(minutes=90), timedelta(hours=5)))


def make_riza_scene(chance: random.Random, source: str) -> Scene:
    """An account in any order, whose forgotten ids are refused, ignored or silently empty."""
    bustle = _draw_bustle(chance)
    world = World(
        chance,
        Habits(
            insert=bustle.insert,
            delete=chance.choice((0.0, 0.05, 0.3)),
            late=chance.choice((0.0, 0.2)),
            late_max=timedelta(minutes=9),
            tie=bustle.tie,
            retention=_draw_retention(chance),
        ),
    )
    world.populate(bustle.populated)
    forgotten = chance.choice(("refused", "empty", "ignored"))
    api = RizaApi(world, chance.choice(ORDERS), forgotten, chance.choice(PAGE_SIZES))
    executions = Watched(
        "executions",
        RIZA_EXECUTIONS,
        ("id",),
        lambda record: record.started_at,
        lambda record: (Expected((record.id,), children=1),),
        child=ENV,
    )
    return Scene(
        world,
        _configure(chance, source, "riza", riza.Options()),
        api.answer,
        (executions,),
        timedelta(minutes=10),
        chance.choice((0.0, 0.05)),
        fetch_name=lambda record: record.id,
    )


def _read_json_version(text: str) -> int | None:
    version: int | None = json.loads(text)["version"]
    return version


def make_airflow_scene(chance: random.Random, source: str) -> Scene:
    """Runs and tasks that change under a hidden time, by cursors or offsets, some without it."""
    world = World(
        chance,
        Habits(
            insert=chance.choice((0.0, 0.1, 0.3)),
            delete=chance.choice((0.0, 0.05, 0.2)),
            change=chance.choice((0.0, 0.2, 0.4)),
            late=chance.choice((0.0, 0.2)),
            late_max=timedelta(minutes=9),
            open=chance.choice((0.0, 0.3)),
            retention=_draw_retention(chance),
        ),
    )
    world.populate(chance.randrange(0, 8))
    old = [r.id for r in world.records.values() if r.started_at < world.now - timedelta(hours=1)]
    unstamped = frozenset(record_id for record_id in old if chance.random() < 0.2)
    api = AirflowApi(world, chance.random() < 0.5, unstamped)
    return Scene(
        world,
        _configure(chance, source, "airflow", airflow.Options()),
        api.answer,
        (WATCHED_RUNS, WATCHED_TASKS),
        timedelta(minutes=10),
        chance.choice((0.0, 0.05)),
        is_wanted=lambda record: record.id not in unstamped,
        fetch_name=lambda record: f"etl/{record.id}",
    )


def _expect_tasks(record: Record) -> list[Expected]:
    rows = airflow_api.list_tasks(record)
    return [Expected((record.id, row.map_index), record.version) for row in rows]


def _forbid_task(record: Record) -> list[tuple[Any, ...]]:
    """The one row of a mapped task, once it has expanded."""
    is_whole = any(row.map_index == -1 for row in airflow_api.list_tasks(record))
    return [] if is_whole else [(record.id, -1)]


WATCHED_RUNS = Watched(
    "dag_runs",
    DAG_RUNS,
    ("dag_run_id",),
    lambda record: record.updated_at,
    lambda record: (Expected((record.id,), record.version),),
    version="conf",
    read_version=_read_json_version,
)
WATCHED_TASKS = Watched(
    "task_instances",
    TASK_INSTANCES,
    ("dag_run_id", "map_index"),
    lambda record: record.updated_at,
    _expect_tasks,
    _forbid_task,
    version="try_number",
    read_version=lambda number: number,
)


def make_foundry_scene(chance: random.Random, source: str) -> Scene:
    """Windows walked side by side; executions that end up to 30 days after they began."""
    late_max = chance.choice((timedelta(hours=1), timedelta(days=30)))
    world = World(
        chance,
        Habits(
            insert=chance.choice((0.0, 0.2, 0.5)),
            delete=chance.choice((0.0, 0.05, 0.3)),
            late=chance.choice((0.0, 0.3)),
            late_max=late_max,
            tie=chance.choice((0.0, 0.3, 0.6)),
        ),
    )
    world.populate(chance.randrange(0, 10))
    resources = foundry_api.RESOURCES[: chance.choice((1, 1, 2, 3))]
    too_large = chance.choice((None, None, None, late_max * 0.4))
    api = FoundryApi(world, resources, chance.choice((0.0, 0.2)), too_large, chance.choice((0, 2)))
    window_days = max(late_max / timedelta(days=1) * 0.7, 0.05)
    config = SourceConfig(
        source,
        "foundry",
        f"http://{source}",
        "TOKEN",
        "t0ken",
        foundry.Options(resources, window_days=chance.choice((window_days, 60.0))),
        since=START - timedelta(hours=1),
        lookback=timedelta(minutes=10) + late_max,
        page_size=chance.choice(PAGE_SIZES),
        concurrency=chance.choice((1, 2, 4)),
    )
    return Scene(
        world,
        config,
        api.answer,
        tuple(_watch_resource(api, resource) for resource in resources),
        timedelta(minutes=10) + late_max,
        chance.choice((0.0, 0.05)),
    )


def _watch_resource(api: FoundryApi, resource: str) -> Watched:
    def expect(record: Record) -> list[Expected]:
        return [Expected((record.id,))] if api.find_resource(record) == resource else []

    return Watched(
        resource,
        FOUNDRY_EXECUTIONS,
        ("foundry_trace_id",),
        lambda record: record.started_at,
        expect,
    )


def make_b3os_scene(chance: random.Random, source: str) -> Scene:
    """An offset list in any order; executions that open, end, and are run again."""
    bustle = _draw_bustle(chance)
    world = World(
        chance,
        Habits(
            insert=bustle.insert,
            delete=chance.choice((0.0, 0.1, 0.3)),
            change=chance.choice((0.0, 0.3)),
            late=chance.choice((0.0, 0.2)),
            late_max=timedelta(minutes=50),
            tie=bustle.tie,
            open=chance.choice((0.0, 0.4)),
            reopen_max=timedelta(minutes=50),
            retention=_draw_retention(chance),
        ),
    )
    world.populate(bustle.populated)
    api = B3osApi(world, chance.choice(ORDERS))
    options = b3os.Options(runs=chance.random() < 0.3, events=chance.random() < 0.2)
    executions = Watched(
        "executions",
        B3OS_EXECUTIONS,
        ("id",),
        lambda record: record.started_at,
        lambda record: (
            Expected((record.id,), record.version, options.events * (record.version + 1)),
        ),
        version="request_payload",
        read_version=_read_json_version,
        child=EVENTS,
        does_claim_version=False,
    )
    return Scene(
        world,
        _configure(chance, source, "b3os", options),
        api.answer,
        (executions, WATCHED_B3OS_RUNS) if options.runs else (executions,),
        timedelta(hours=1),
        chance.choice((0.0, 0.05)),
        fetch_name=lambda record: record.id,
    )


WATCHED_B3OS_RUNS = Watched(
    "runs",
    RUNS,
    ("id",),
    lambda record: record.started_at,
    lambda record: (Expected((record.id,), record.version),),
    version="workflow_version",
    read_version=lambda version: version,
    does_claim_version=False,
)

SCENES = {
    "airflow": make_airflow_scene,
    "b3os": make_b3os_scene,
    "foundry": make_foundry_scene,
    "riza": make_riza_scene,
}
