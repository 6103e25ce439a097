"""One schedule: runs that are stopped, killed and resumed while the world goes on, then the truth.

What is checked after every run, killed or not: no record twice, no child without or with another
parent, and whatever the ledger claims is in the store. At the end, with the world at rest, the
store is the API.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import duckdb
import httpx

from etl.budget import Budget
from etl.records import SourceConfig, Table
from etl.sources import list_tables
from etl.store.schema import ensure_schema
from etl.sync.load import BatchLimits
from etl.sync.pump import run_inline
from etl.sync.run import Extent, SourceResult, Surroundings, sync_sources
from tests.simulation.faults import Crash, Fate, make_opener, make_transport
from tests.simulation.world import Record, World


@dataclass
class Scene:
    """A world, how its API speaks, and how the store shows what it got.

    `read_stored` gives the stored version of each record by id; `key_time` is the time the ledger
    counts by, None where rows do not carry it. `is_claimed` says whether a record must be in the
    store because of a claim up to now.
    """

    world: World
    config: SourceConfig
    answer: Callable[[httpx.Request], httpx.Response]
    table: Table
    read_stored: Callable[[duckdb.DuckDBPyConnection, str], dict[str, int | None]]
    key_time: Callable[[Record], datetime]
    is_exact: bool
    fault_rate: float
    is_expected: Callable[[Record], bool] = lambda record: True
    stream: str = "executions"
    does_claim_version: bool = True


class SimulatedBudget(Budget):
    """A budget whose waits move the world's clock instead of sleeping."""

    __slots__ = ("world",)

    def __init__(self, world: World) -> None:
        super().__init__()
        object.__setattr__(self, "world", world)

    def wait(self, seconds: float) -> None:
        self.world.now += timedelta(seconds=seconds)


def run_schedule(
    chance: random.Random, scene: Scene, connection: duckdb.DuckDBPyConnection
) -> None:
    """Play one schedule; AssertionError if a promise is broken."""
    for _ in range(chance.randrange(1, 4)):
        fate = draw_fate(chance)
        extent = Extent(chance.choice((None, None, 1, 2, 5)), chance.random() < 0.05)
        run_once(chance, scene, connection, fate, extent)
        check_claims(scene, connection)
        scene.world.now += timedelta(seconds=chance.choice((1, 60, 3600, 40_000)))
    scene.world.settle()
    finish(chance, scene, connection)
    check_claims(scene, connection)
    check_end(scene, connection)


def draw_fate(chance: random.Random) -> Fate:
    kind = chance.choice(("none", "http", "commit"))
    if kind == "http":
        return Fate(http_call=chance.randrange(1, 12))
    return Fate(commit_boundary=chance.randrange(1, 10) if kind == "commit" else None)


def run_once(
    chance: random.Random,
    scene: Scene,
    connection: duckdb.DuckDBPyConnection,
    fate: Fate,
    extent: Extent,
    fault_rate: float | None = None,
) -> list[SourceResult] | None:
    """One run of the real sync, None if it was killed."""
    rate = scene.fault_rate if fault_rate is None else fault_rate
    around = Surroundings(
        make_opener(connection, fate),
        b"key",
        SimulatedBudget(scene.world),
        lambda: scene.world.now,
        make_transport(scene.world, scene.answer, fate, rate),
        run_inline,
        BatchLimits(chance.choice((2, 6, 1000)), 1e9),
    )
    try:
        return sync_sources([scene.config], around, extent)
    except Crash:
        return None


def finish(chance: random.Random, scene: Scene, connection: duckdb.DuckDBPyConnection) -> None:
    """Runs without trouble: one is enough, whatever happened before."""
    results = run_once(chance, scene, connection, Fate(), Extent(), fault_rate=0.0)
    assert results is not None
    errors = [error for result in results for error in result.errors]
    assert not errors, errors
    assert not any(result.is_stopped for result in results)


def check_claims(scene: Scene, connection: duckdb.DuckDBPyConnection) -> None:
    """Nothing twice, and what the ledger claims is stored."""
    keys = ", ".join(f'"{key}"' for key in scene.table.key)
    doubled = connection.execute(
        f"SELECT {keys} FROM {scene.table.name} WHERE source = ? GROUP BY ALL HAVING count(*) > 1",
        [scene.config.name],
    ).fetchall()
    assert not doubled, f"stored twice: {doubled}"
    stored = scene.read_stored(connection, scene.config.name)
    claims = connection.execute(
        "SELECT epoch_us(since), epoch_us(until) FROM etl.coverage "
        "WHERE source = ? AND stream = ? ORDER BY 1",
        [scene.config.name, scene.stream],
    ).fetchall()
    assert all(a < b for a, b in claims), claims
    assert all(left[1] < right[0] for left, right in pairwise(claims)), claims
    for record in scene.world.list_visible():
        time_us = int(scene.key_time(record).timestamp() * 1_000_000)
        is_claimed = any(a <= time_us < b for a, b in claims)
        if is_claimed and not record.is_late and scene.is_expected(record):
            assert record.id in stored, f"{record} is claimed and not stored"
            is_fresh = stored[record.id] == record.version or not scene.does_claim_version
            assert is_fresh or not scene.is_exact, f"{record} is claimed and stale"


def check_end(scene: Scene, connection: duckdb.DuckDBPyConnection) -> None:
    """The store is the API, in the version last served."""
    stored = scene.read_stored(connection, scene.config.name)
    for record in scene.world.list_visible():
        if scene.is_expected(record):
            assert record.id in stored, f"{record} was lost"
            version = stored[record.id]
            assert version == record.version or not scene.is_exact, f"{record} is stale: {version}"
    intervals = connection.execute(
        "SELECT count(*) FROM etl.coverage WHERE source = ? AND stream = ?",
        [scene.config.name, scene.stream],
    ).fetchall()[0][0]
    assert intervals == 1, "the ledger has a hole after a complete run"


def open_store() -> duckdb.DuckDBPyConnection:
    """A store in memory; each schedule is a source of its own in it."""
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("PRAGMA disable_optimizer")
    ensure_schema(connection, list_tables(), Path("memory"))
    return connection
