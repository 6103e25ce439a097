"""What a batch costs in a store that is large already, and how a file grows that is read again."""

import shutil
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import md5
from pathlib import Path
from typing import Any

from etl.budget import start_budget
from etl.cli.opening import prepare_store
from etl.config import StoreConfig
from etl.pending import PendingRows
from etl.records import Flat, Table
from etl.sources.airflow.tables import DAG_RUNS
from etl.sources.riza.tables import ENV, EXECUTIONS
from etl.store.write import Batch, RunRow, commit_batch, stage_batch
from tests.bench.figures import Figure

PAGE_ROWS = 100
BATCH_ROWS = 10_000
BATCHES = 5
REREADS = 50
SMALL_ROWS = 100_000
GROWN = 50
"""How many times the executions of the other measures the large store holds."""
START = datetime(2025, 1, 1, tzinfo=UTC)
SPACING = timedelta(seconds=5)
TEXT_CHARS = 384


@dataclass(frozen=True)
class Shape:
    """A table, and whether the ids of its rows sort by time; then with the time in them."""

    name: str
    table: Table
    is_sorted: bool

    def find_id(self, number: int) -> str:
        if self.is_sorted:
            return f"scheduled__{(START + number * SPACING).isoformat()}"
        return md5(str(number).encode()).hexdigest()

    @property
    def id_sql(self) -> str:
        if self.is_sorted:
            return f"'scheduled__' || strftime({TIME_SQL}, '%Y-%m-%dT%H:%M:%S+00:00')"
        return "md5(number::VARCHAR)"

    @property
    def number_sql(self) -> str:
        """What `etl.pending.number_key` makes of the id."""
        if self.is_sorted:
            return f"strftime({TIME_SQL}, '%Y%m%d%H%M%S')::BIGINT"
        return f"-1 - (md5_number_lower({self.id_sql}) >> 1)::BIGINT"


TIME_SQL = f"(TIMESTAMPTZ '{START}' + to_seconds(number * {SPACING.total_seconds()}))"
SHAPES = (
    Shape("time fixed, ids sort by time", EXECUTIONS, True),
    Shape("time fixed, random ids", EXECUTIONS, False),
    Shape("time changes, ids with their time", DAG_RUNS, True),
    Shape("time changes, random ids", DAG_RUNS, False),
)
TEXT_COLUMN = {EXECUTIONS: "code", DAG_RUNS: "note"}


def make_row(shape: Shape, number: int, version: int) -> Flat:
    """One record: its key, its time, a text that tells its versions apart, and a child row."""
    values: dict[str, Any] = dict.fromkeys(shape.table.key, "one")
    values[shape.table.key[-1]] = shape.find_id(number)
    text = md5(f"{number}/{version}".encode()).hexdigest() * (TEXT_CHARS // 32)
    values[TEXT_COLUMN[shape.table]] = text
    if shape.table.time is not None:
        values[shape.table.time] = START + number * SPACING
    row = tuple(values.get(column.name) for column in shape.table.columns)
    return Flat(row, ([("KEY", text[:32], None)], [], [])) if shape.table.children else Flat(row)


def build_store(shape: Shape, folder: Path, rows: int) -> Path:
    """A store with so many rows, made in SQL as if they had come batch by batch."""
    path = folder / "store.duckdb"
    folder.mkdir(parents=True, exist_ok=True)
    open_store, _ = prepare_store(StoreConfig(path), start_budget(None))
    *others, last = shape.table.key
    columns = [f"'one' AS {name}" for name in others] + [f"{shape.id_sql} AS {last}"]
    columns.append(
        f"{shape.number_sql} AS key_number"
        if shape.table.time is None
        else f"{TIME_SQL} AS {shape.table.time}"
    )
    synced = f"TIMESTAMPTZ '{START}' + to_minutes(number // {BATCH_ROWS}) AS synced_at"
    numbers = f"FROM range({rows}) AS numbers (number)"
    with open_store() as connection:
        connection.execute("SET threads = 2")
        connection.execute(
            f"""
            INSERT INTO {shape.table.name} BY NAME SELECT
                'bench' AS source, 'list' AS stream, 'built' AS sync_run_id, {", ".join(columns)},
                {synced}, synced_at AS first_synced_at,
                repeat(md5(number || '/0'), {TEXT_CHARS // 32}) AS {TEXT_COLUMN[shape.table]},
                0 AS content_hash {numbers}
            """
        )
        if shape.table.children:
            connection.execute(
                f"""
                INSERT INTO {ENV.name} BY NAME SELECT
                    'bench' AS source, {shape.id_sql} AS execution_id, 0 AS position, {synced},
                    'KEY' AS name, md5(number || '/0') AS value {numbers}
                """
            )
    return path


def write_rows(path: Path, shape: Shape, numbers: Sequence[int], version: int) -> float:
    """Commit one batch as a sync does; the milliseconds from its rows to the closed file."""
    open_store, _ = prepare_store(StoreConfig(path), start_budget(None))
    rows = [make_row(shape, number, version) for number in numbers]
    began_s = time.perf_counter()
    pending = PendingRows(shape.table)
    for start in range(0, len(rows), PAGE_ROWS):
        pending.add_page("list", rows[start : start + PAGE_ROWS], {})
    runs = {"list": RunRow("measured", "bench", "list", START)}
    batch = Batch("bench", "bench", "measured", pending={shape.table.name: pending}, runs=runs)
    with open_store() as connection:
        stage_batch(connection, batch, datetime.now(UTC))
        commit_batch(connection)
    return 1e3 * (time.perf_counter() - began_s)


def measure_growth(executions: int, folder: Path) -> Iterator[Figure]:
    """Milliseconds of each batch: into an empty store, and of three kinds into two that are not."""
    for shape in SHAPES:
        empty_ms = [_write_first(shape, folder / "empty") for _ in range(BATCHES)]
        yield Figure(f"{shape.name}: into an empty store", "ms", empty_ms)
        for rows in (SMALL_ROWS, executions * GROWN):
            store = build_store(shape, folder / "grown", rows)
            for kind, begin, step in (
                ("new", rows, BATCH_ROWS),
                ("half of them new", rows - BATCH_ROWS // 2, BATCH_ROWS // 2),
                ("changed", rows // 9, rows // 9),
            ):
                shutil.copytree(store.parent, folder / "copy", dirs_exist_ok=True)
                copy = folder / "copy" / store.name
                starts = [begin + number * step for number in range(BATCHES)]
                times_ms = [write_rows(copy, shape, range(n, n + BATCH_ROWS), 1) for n in starts]
                growth = statistics.median(times_ms) / statistics.median(empty_ms)
                what = f"{shape.name}: {kind}, {rows:,} there"
                yield Figure(what, "ms", times_ms, f"{growth:.2f} x the empty store")
            shutil.rmtree(store.parent)


def _write_first(shape: Shape, folder: Path) -> float:
    shutil.rmtree(folder, ignore_errors=True)
    return write_rows(build_store(shape, folder, 0), shape, range(BATCH_ROWS), 1)


def measure_rereads(executions: int, folder: Path) -> Iterator[Figure]:
    """Bytes a row of a file whose newest rows change again and again."""
    shape = SHAPES[0]
    path = build_store(shape, folder, executions)
    sizes = []
    for version in range(1, REREADS + 1):
        write_rows(path, shape, range(executions - BATCH_ROWS, executions), version)
        sizes.append(path.stat().st_size / executions)
    yield Figure(f"{executions:,} rows, 10,000 changed {REREADS} times", "B", sizes, "a row")
