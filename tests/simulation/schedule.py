"""One schedule: runs that are stopped, killed and resumed while the world goes on, then the truth.

What is checked after every run, killed or not: no record twice, no child without its parent, and
whatever the ledger claims is in the store. At the end, with the world at rest, the store is the
API.
"""

import random
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from etl.budget import Budget, BudgetEnded
from etl.errors import EtlError
from etl.records import Table
from etl.sync.fetch import fetch_records
from etl.sync.load import BatchLimits
from etl.sync.run import Extent, SourceResult, Surroundings, sync_sources
from tests.simulation.checks import check_claims, check_end
from tests.simulation.fate import Crash, Fate
from tests.simulation.jobs import RunJobs, choose_commits, draw_jobs_runner
from tests.simulation.line import LightLines, Line, make_transport, name_host
from tests.simulation.scenes import PAGE_SIZES, Scene
from tests.simulation.watched import Snapshot, Watched
from tests.simulation.world import START

SKEWS = (timedelta(0),) * 5 + tuple(timedelta(minutes=m) for m in (5, -5, 180, -180))


class Store(Protocol):
    """A store as a schedule needs it."""

    def make_opener(self, fate: Fate) -> Callable[[], AbstractContextManager[Any]]:
        """What the program opens it with; it dies as `fate` says."""

    def read(self, source: str, watched: Sequence[Watched]) -> Snapshot:
        """What it holds of a source."""

    def prune(self, tables: Sequence[Table], before: datetime, now: datetime) -> None:
        """Delete the older executions of these tables."""

    def read_lookback(self, source: str) -> timedelta:
        """The longest overlap of the source: nothing younger may be pruned."""


@dataclass
class Schedule:
    """The scenes that are synced into one store, and how.

    `has_real_http`: through httpx, as the program does, and not around it. `skew` is how far the
    client's clock is ahead of the servers'. `pages` counts what all its runs asked for.
    """

    chance: random.Random
    scenes: Sequence[Scene]
    store: Store
    has_real_http: bool = True
    may_use_threads: bool = False
    skew: timedelta = timedelta(0)
    pages: int = 0

    def now(self) -> datetime:
        return max(scene.world.now for scene in self.scenes) + self.skew

    def pass_time(self, span: timedelta) -> None:
        """Let time pass for all platforms; from now on their clocks agree."""
        now = max(scene.world.now for scene in self.scenes) + span
        for scene in self.scenes:
            scene.world.now = now


@dataclass(frozen=True, slots=True)
class Conditions:
    """Under which one run goes: `seconds` is the time it has, on the world's clock."""

    fate: Fate
    extent: Extent = field(default_factory=Extent)
    seconds: float | None = None
    batch_rows: int = 1_000
    has_faults: bool = True
    run_jobs: RunJobs | None = None


class SimulatedBudget(Budget):
    """A budget on the world's clock; its waits move that instead of sleeping."""

    __slots__ = ("ends_at", "schedule")

    def __init__(self, schedule: Schedule, seconds: float | None) -> None:
        super().__init__()
        ends_at = None if seconds is None else schedule.now() + timedelta(seconds=seconds)
        object.__setattr__(self, "schedule", schedule)
        object.__setattr__(self, "ends_at", ends_at)

    def remaining_s(self) -> float:
        if self.ends_at is None:
            return float("inf")
        return max(0.0, (self.ends_at - self.schedule.now()).total_seconds())

    def wait(self, seconds: float) -> None:
        if seconds >= self.remaining_s():
            raise BudgetEnded("a wait does not fit")
        self.schedule.pass_time(timedelta(seconds=seconds))


def run_schedule(schedule: Schedule) -> None:
    """Play one schedule; AssertionError if a promise is broken."""
    chance = schedule.chance
    # The backoff between retries draws from the generator that everybody shares.
    random.seed(chance.random())
    for _ in range(chance.randrange(1, 4)):
        run_once(schedule, draw_conditions(schedule))
        check_schedule(schedule, check_claims)
        change_settings(schedule)
        touch_store(schedule)
        pause(schedule)
    finish(schedule)


def finish(schedule: Schedule) -> None:
    """A run without trouble in a world at rest: one is enough, whatever happened before."""
    for scene in schedule.scenes:
        scene.world.settle()
    schedule.skew = timedelta(0)
    schedule.pass_time(timedelta(0))
    settled_at = schedule.now()
    run_jobs = draw_jobs_runner(schedule.chance, schedule.may_use_threads)
    results = run_once(schedule, Conditions(Fate(), has_faults=False, run_jobs=run_jobs))
    assert results is not None
    errors = [error for result in results for error in result.errors]
    assert not errors, errors
    assert not any(result.is_stopped for result in results)
    check_schedule(schedule, check_claims)
    check_schedule(schedule, lambda scene, seen: check_end(scene, seen, settled_at))


def check_schedule(schedule: Schedule, check: Callable[[Scene, Snapshot], None]) -> None:
    for scene in schedule.scenes:
        check(scene, schedule.store.read(scene.config.name, scene.watched))


def draw_conditions(schedule: Schedule) -> Conditions:
    chance = schedule.chance
    return Conditions(
        draw_fate(chance),
        Extent(chance.choice((None, None, None, 1, 2, 5)), chance.random() < 0.05),
        chance.choice((None, None, None, None, 30.0, 200.0)),
        chance.choice((1, 2, 6, 1000)),
        run_jobs=draw_jobs_runner(chance, schedule.may_use_threads),
    )


def draw_fate(chance: random.Random) -> Fate:
    """Nowhere, or somewhere in the run: near its beginning more often than far behind it."""
    kind = chance.choice(("none", "http", "commit"))
    place = chance.randrange(1, chance.choice((4, 12, 40)))
    if kind == "http":
        return Fate(http_call=place)
    return Fate(commit_boundary=place if kind == "commit" else None)


def surround(schedule: Schedule, lines: dict[str, Line], conditions: Conditions) -> Surroundings:
    lights: Any = LightLines(lines)
    return Surroundings(
        schedule.store.make_opener(conditions.fate),
        b"key",
        SimulatedBudget(schedule, conditions.seconds),
        schedule.now,
        make_transport(lines) if schedule.has_real_http else lights,
        conditions.run_jobs or draw_jobs_runner(schedule.chance, may_use_threads=False),
        BatchLimits(conditions.batch_rows, 1e9),
        open_commits=choose_commits(conditions.run_jobs, conditions.batch_rows),
    )


def open_lines(schedule: Schedule, conditions: Conditions) -> dict[str, Line]:
    """A line to each API, by host."""
    return {
        name_host(scene.config.base_url): Line(
            scene.world,
            scene.answer,
            conditions.fate,
            scene.fault_rate if conditions.has_faults else 0.0,
        )
        for scene in schedule.scenes
    }


def run_once(schedule: Schedule, conditions: Conditions) -> list[SourceResult] | None:
    """One run of the real sync, None if it was killed."""
    lines = open_lines(schedule, conditions)
    around = surround(schedule, lines, conditions)
    configs = [scene.config for scene in schedule.scenes]
    try:
        return sync_sources(configs, around, conditions.extent)
    except Crash:
        return None
    finally:
        schedule.pages += sum(line.pages for line in lines.values())


def change_settings(schedule: Schedule) -> None:
    """What a person may change between two runs: the page size, `since`, a clock."""
    chance = schedule.chance
    schedule.skew = chance.choice(SKEWS)
    for scene in schedule.scenes:
        if chance.random() < 0.15:
            scene.config = replace(scene.config, page_size=chance.choice(PAGE_SIZES))
        if chance.random() < 0.15:
            hours = chance.choice((-1, 0, 0.5, 1, 3))
            scene.config = replace(scene.config, since=START + timedelta(hours=hours))


def touch_store(schedule: Schedule) -> None:
    """What else may write into the store between two runs: `etl fetch` and `etl prune`."""
    if schedule.chance.random() < 0.1:
        prune(schedule)
    for scene in schedule.scenes:
        if schedule.chance.random() < 0.1:
            fetch_one(schedule, scene)


def prune(schedule: Schedule) -> None:
    """Prune what is older than some age that the lookbacks allow; of an empty store nothing."""
    store, now = schedule.store, schedule.now()
    for scene in schedule.scenes:
        ledgers = store.read(scene.config.name, scene.watched).ledgers
        if not all(ledgers.get(look.stream) for look in scene.watched):
            return
    lookback = max(store.read_lookback(scene.config.name) for scene in schedule.scenes)
    before = now - lookback - timedelta(minutes=schedule.chance.choice((0, 30, 120)))
    tables = {look.table for scene in schedule.scenes for look in scene.watched}
    store.prune(list(tables), before, now)
    for scene in schedule.scenes:
        scene.pruned_before = max(before, scene.pruned_before or before)


def fetch_one(schedule: Schedule, scene: Scene) -> None:
    """Fetch one record by its id; the process may be killed meanwhile, too."""
    records = scene.world.list_visible()
    if scene.fetch_name is None or not records:
        return
    record = schedule.chance.choice(records)
    conditions = Conditions(draw_fate(schedule.chance))
    lines = open_lines(schedule, conditions)
    around = surround(schedule, lines, conditions)
    scene.fetched.add(record.id)
    try:
        fetch_records(scene.config, [scene.fetch_name(record)], around)
    except (Crash, EtlError):
        return


def pause(schedule: Schedule) -> None:
    """Nobody syncs for a while: for a moment, or for longer than any lookback."""
    longest = max(scene.lookback for scene in schedule.scenes)
    spans = (timedelta(seconds=1), timedelta(minutes=1), longest * 0.6, longest * 1.5)
    schedule.pass_time(schedule.chance.choice(spans))
