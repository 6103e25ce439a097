"""A store is rewritten in place and killed: every row is there, before and after."""

from pathlib import Path

import duckdb

from etl.budget import start_budget
from etl.compact import compact
from etl.store.connect import open_writer
from etl.store.schema import ensure_schema
from tests.store.things import THINGS

FILES = ("etl/compact.py", "etl/store/copy.py")
ROWS = 30_000
KEPT_OPEN: list[duckdb.DuckDBPyConnection] = []


def set_up(folder: Path) -> None:
    """A store of which most rows were deleted, the last of them not yet out of the log."""
    store = folder / "store.duckdb"
    with open_writer(store, start_budget(None)) as connection:
        ensure_schema(connection, (THINGS,), store)
        connection.execute(f"INSERT INTO lab.things (id) SELECT range FROM range({ROWS})")
    connection = duckdb.connect(str(store))
    connection.execute("SET checkpoint_threshold = '1GB'")
    connection.execute("DELETE FROM lab.things WHERE id::INT % 10 <> 0")
    assert (folder / "store.duckdb.wal").stat().st_size > 0
    # Left open: this process ends without writing the log into the file.
    KEPT_OPEN.append(connection)


def act(folder: Path) -> None:
    compact(folder / "store.duckdb", start_budget(None))


def check(folder: Path) -> None:
    assert read(folder) == (ROWS // 10, ROWS - 10)
    act(folder)
    assert read(folder) == (ROWS // 10, ROWS - 10)
    assert [path.name for path in folder.iterdir()] == ["store.duckdb"]


def read(folder: Path) -> tuple[int, int]:
    with duckdb.connect(str(folder / "store.duckdb"), read_only=True) as connection:
        rows = connection.execute("SELECT count(*), max(id::INT) FROM lab.things").fetchall()
    count, last = rows[0]
    return count, last
