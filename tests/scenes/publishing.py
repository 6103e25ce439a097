"""A copy is published over an older one and killed: there is always a whole one, old or new."""

from pathlib import Path

import duckdb

from etl.budget import start_budget
from etl.publish import publish
from etl.store.connect import open_writer
from etl.store.schema import ensure_schema
from tests.store.things import THINGS

FILES = ("etl/publish.py", "etl/store/copy.py")
OLD, NEW = 3, 5


def set_up(folder: Path) -> None:
    """A store that is published, and then has more rows."""
    store = folder / "store.duckdb"
    with open_writer(store, start_budget(None)) as connection:
        ensure_schema(connection, (THINGS,), store)
        connection.execute("CREATE VIEW ids AS SELECT id FROM lab.things")
        add(connection, 0, OLD)
    act(folder)
    with open_writer(store, start_budget(None)) as connection:
        add(connection, OLD, NEW)


def add(connection: duckdb.DuckDBPyConnection, first: int, last: int) -> None:
    connection.execute(f"INSERT INTO lab.things (id) SELECT range FROM range({first}, {last})")
    connection.execute("INSERT INTO etl.runs (run_id, rows_new) VALUES (?, 1)", [str(last)])


def act(folder: Path) -> None:
    publish(folder / "store.duckdb", folder / "copy.duckdb", start_budget(None), is_alone=False)


def check(folder: Path) -> None:
    assert count(folder / "copy.duckdb") in (OLD, NEW)
    act(folder)
    assert count(folder / "copy.duckdb") == NEW
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["copy.duckdb", "copy.duckdb.lock", "store.duckdb"]


def count(path: Path) -> int:
    with duckdb.connect(str(path), read_only=True) as connection:
        rows: list[tuple[int]] = connection.execute("SELECT count(*) FROM ids").fetchall()
    return rows[0][0]
