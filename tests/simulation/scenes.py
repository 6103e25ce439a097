"""Seeded scenes, one maker per dialect."""

import random
from datetime import timedelta

import duckdb

from etl.records import SourceConfig
from etl.sources import riza
from tests.simulation.riza_api import RizaApi
from tests.simulation.schedule import SOURCE, Scene
from tests.simulation.world import START, Habits, World


def make_riza_scene(chance: random.Random) -> Scene:
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
    world.populate(chance.randrange(0, 16))
    api = RizaApi(
        world, chance.random() < 0.5, chance.choice(("refused", "empty", "ignored")), page_size
    )
    config = SourceConfig(
        SOURCE,
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
        riza.EXECUTIONS,
        _read_riza,
        lambda record: record.started_at,
        is_exact=False,
        fault_rate=chance.choice((0.0, 0.05)),
        is_expected=lambda record: config.since is None or record.started_at >= config.since,
    )


def _read_riza(connection: duckdb.DuckDBPyConnection) -> dict[str, int | None]:
    """Stored ids; each must have its one environment variable, and none may have more."""
    rows = connection.execute(
        """
        SELECT id, count(execution_id), count(DISTINCT value)
        FROM riza.executions LEFT JOIN riza.env ON execution_id = id GROUP BY id
        """
    ).fetchall()
    assert all(children == 1 for _, children, _ in rows), rows
    return {id: None for id, _, _ in rows}


SCENES = {"riza": make_riza_scene}
