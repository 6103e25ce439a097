"""A store of the oldest version is upgraded and killed: it is of one version or of the other."""

import shutil
from pathlib import Path

import duckdb

from etl.store.schema import SCHEMA_VERSION, read_version
from tests.store.test_migrations import VERSIONS, upgrade

FILES = ("etl/store/migrations.py", "etl/store/schema.py")
OLDEST = 1


def set_up(folder: Path) -> None:
    shutil.copy(VERSIONS / f"v{OLDEST}.duckdb", folder / "store.duckdb")


def act(folder: Path) -> None:
    upgrade(folder / "store.duckdb")


def check(folder: Path) -> None:
    path = folder / "store.duckdb"
    version, tables, rows = look(path)
    assert (version, "etl.pruned" in tables) in ((OLDEST, False), (SCHEMA_VERSION, True))
    act(folder)
    version, tables, rows_now = look(path)
    assert (version, "etl.pruned" in tables) == (SCHEMA_VERSION, True)
    assert rows == rows_now == 6
    assert [path.name for path in folder.iterdir()] == ["store.duckdb"]


def look(path: Path) -> tuple[int | None, set[str], int]:
    """The version, the tables, and the executions through the views."""
    with duckdb.connect(str(path), read_only=True) as connection:
        names = connection.execute(
            "SELECT schema_name || '.' || table_name FROM duckdb_tables()"
        ).fetchall()
        rows = connection.execute("SELECT count(*) FROM executions").fetchall()
        return read_version(connection), {name for (name,) in names}, rows[0][0]
