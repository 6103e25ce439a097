"""Seeded scenes, one maker per dialect."""

import random
from datetime import timedelta

import duckdb

from etl.records import SourceConfig
from etl.sources import airflow, b3os, foundry, riza
from tests.simulation import foundry_api
from tests.simulation.airflow_api import AirflowApi
from tests.simulation.b3os_api import B3osApi
from tests.simulation.foundry_api import FoundryApi
from tests.simulation.riza_api import RizaApi
from tests.simulation.schedule import Scene
from tests.simulation.world import START, Habits, World


def make_riza_scene(chance: random.Random, source: str) -> Scene:
    """An account in either order, whose forgotten ids are refused, ignored or silently empty."""
    page_size = chance.choice((2, 3, 7))
    world = World(
        chance,
        Habits(
            insert=chance.choice((0.0, 0.2, 0.5)),
            delete=chance.choice((0.0, 0.05, 0.3)),
            late=chance.choice((0.0, 0.2)),
            late_max=timedelta(minutes=9),
            tie=chance.choice((0.0, 0.3, 0.6)),
        ),
    )
    world.populate(chance.randrange(0, 10))
    api = RizaApi(
        world, chance.random() < 0.5, chance.choice(("refused", "empty", "ignored")), page_size
    )
    config = SourceConfig(
        source,
        "riza",
        "http://api.test",
        "TOKEN",
        "t0ken",
        riza.Options(),
        since=chance.choice((None, None, START + timedelta(minutes=30))),
        page_size=page_size,
    )
    return Scene(
        world,
        config,
        api.answer,
        riza.tables.EXECUTIONS,
        _read_riza,
        lambda record: record.started_at,
        is_exact=False,
        fault_rate=chance.choice((0.0, 0.05)),
        is_expected=lambda record: config.since is None or record.started_at >= config.since,
    )


def _read_riza(connection: duckdb.DuckDBPyConnection, source: str) -> dict[str, int | None]:
    """Stored ids; each must have its one environment variable, and none may have more."""
    rows = connection.execute(
        """
        SELECT id, count(env.execution_id), count(DISTINCT env.value)
        FROM riza.executions AS executions
        LEFT JOIN riza.env AS env ON env.execution_id = id AND env.source = executions.source
        WHERE executions.source = ? GROUP BY id
        """,
        [source],
    ).fetchall()
    assert all(children == 1 for _, children, _ in rows), rows
    return {id: None for id, _, _ in rows}


def make_airflow_scene(chance: random.Random, source: str) -> Scene:
    """Runs that change under a hidden time, by cursors or offsets, some without a stamp."""
    world = World(
        chance,
        Habits(
            insert=chance.choice((0.0, 0.1, 0.3)),
            delete=chance.choice((0.0, 0.05, 0.2)),
            change=chance.choice((0.0, 0.2, 0.4)),
            late=chance.choice((0.0, 0.2)),
            late_max=timedelta(minutes=9),
            open=chance.choice((0.0, 0.3)),
        ),
    )
    world.populate(chance.randrange(0, 8))
    old = [r.id for r in world.records.values() if r.started_at < world.now - timedelta(hours=1)]
    unstamped = frozenset(record_id for record_id in old if chance.random() < 0.2)
    api = AirflowApi(world, chance.random() < 0.5, unstamped)
    page_size = chance.choice((2, 3, 7))
    config = SourceConfig(
        source,
        "airflow", "http://api.test", "TOKEN", "t0ken", airflow.Options(),
        since=START - timedelta(hours=2), page_size=page_size,
    )  # fmt: skip
    return Scene(
        world,
        config,
        api.answer,
        airflow.tables.DAG_RUNS,
        _read_airflow,
        lambda record: record.updated_at,
        is_exact=True,
        fault_rate=chance.choice((0.0, 0.05)),
        is_expected=lambda record: record.id not in unstamped,
        stream="dag_runs",
    )


def _read_airflow(connection: duckdb.DuckDBPyConnection, source: str) -> dict[str, int | None]:
    """The stored version of each run."""
    rows = connection.execute(
        "SELECT dag_run_id, (conf->>'version')::INTEGER FROM airflow.dag_runs WHERE source = ?",
        [source],
    ).fetchall()
    return dict(rows)


def make_foundry_scene(chance: random.Random, source: str) -> Scene:
    """Windows walked side by side; executions that end up to 30 days after they began."""
    late_max = chance.choice((timedelta(hours=1), timedelta(days=30)))
    short_days = late_max / timedelta(days=2)
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
    api = FoundryApi(
        world, chance.choice((0.0, 0.2)), chance.choice((None, None, timedelta(hours=1)))
    )
    config = SourceConfig(
        source,
        "foundry",
        "http://api.test",
        "TOKEN",
        "t0ken",
        foundry.Options((foundry_api.RESOURCE,), window_days=chance.choice((short_days, 30.0))),
        since=START - timedelta(hours=1),
        lookback=timedelta(minutes=10) + late_max,
        page_size=chance.choice((2, 3, 7)),
    )
    return Scene(
        world,
        config,
        api.answer,
        foundry.tables.EXECUTIONS,
        _read_foundry,
        lambda record: record.started_at,
        is_exact=False,
        fault_rate=chance.choice((0.0, 0.05)),
        stream=foundry_api.RESOURCE,
    )


def _read_foundry(connection: duckdb.DuckDBPyConnection, source: str) -> dict[str, int | None]:
    rows = connection.execute(
        "SELECT foundry_trace_id FROM foundry.executions WHERE source = ?", [source]
    ).fetchall()
    return {trace_id: None for (trace_id,) in rows}


def make_b3os_scene(chance: random.Random, source: str) -> Scene:
    """An offset list in either order; executions that open, end, and are run again."""
    world = World(
        chance,
        Habits(
            insert=chance.choice((0.0, 0.2, 0.5)),
            delete=chance.choice((0.0, 0.1, 0.3)),
            change=chance.choice((0.0, 0.3)),
            late=chance.choice((0.0, 0.2)),
            late_max=timedelta(minutes=50),
            tie=chance.choice((0.0, 0.3, 0.6)),
            open=chance.choice((0.0, 0.4)),
            reopen_max=timedelta(minutes=50),
        ),
    )
    world.populate(chance.randrange(0, 10))
    api = B3osApi(world, chance.random() < 0.5)
    config = SourceConfig(
        source,
        "b3os",
        "http://api.test",
        "TOKEN",
        "t0ken",
        b3os.Options(),
        since=chance.choice((None, None, START + timedelta(minutes=30))),
        page_size=chance.choice((2, 3, 7)),
    )
    return Scene(
        world,
        config,
        api.answer,
        b3os.tables.EXECUTIONS,
        _read_b3os,
        lambda record: record.started_at,
        is_exact=True,
        fault_rate=chance.choice((0.0, 0.05)),
        is_expected=lambda record: config.since is None or record.started_at >= config.since,
        does_claim_version=False,
    )


def _read_b3os(connection: duckdb.DuckDBPyConnection, source: str) -> dict[str, int | None]:
    rows = connection.execute(
        "SELECT id, (request_payload->>'version')::INTEGER FROM b3os.executions WHERE source = ?",
        [source],
    ).fetchall()
    return dict(rows)


SCENES = {
    "airflow": make_airflow_scene,
    "b3os": make_b3os_scene,
    "foundry": make_foundry_scene,
    "riza": make_riza_scene,
}
