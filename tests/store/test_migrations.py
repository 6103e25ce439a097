"""Stores of every older version are upgraded in one transaction, and are like new ones then."""

import re
import shutil
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from etl.budget import start_budget
from etl.pending import PendingRows, number_key
from etl.records import Column, Flat, Table, to_epoch_us
from etl.sources import list_tables
from etl.sources.airflow.records import DagRun
from etl.sources.airflow.tables import DAG_RUNS
from etl.sources.airflow.tables import flatten as flatten_run
from etl.sources.b3os.tables import EVENTS
from etl.sources.b3os.tables import EXECUTIONS as B3OS_EXECUTIONS
from etl.store import schema
from etl.store.connect import open_writer
from etl.store.migrations import MIGRATIONS, Migration
from etl.store.schema import SCHEMA_VERSION, ensure_schema, read_version
from etl.store.upsert import Stamp, upsert_rows
from tests.cli.stage import NOW, RizaApi, Stage, make_record
from tests.cli.test_faults import full_disk
from tests.store.things import JOBS, THINGS, dump, read
from tests.store.versions.__main__ import KEY, SOURCES

VERSIONS = Path(__file__).parent / "versions"
OLDER = range(1, SCHEMA_VERSION)
NEVER = start_budget(None)


@pytest.fixture(params=OLDER, ids=lambda version: f"v{version}")
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Stage:
    """A folder in which an older version has synced two sources."""
    now = NOW + timedelta(hours=2)
    api = RizaApi([make_record(number) for number in (1, 2, 3, 1_450)], date=now)
    stage = Stage(tmp_path, api, now=now)
    stage.configure(SOURCES)
    shutil.copy(VERSIONS / f"v{request.param}.duckdb", stage.store)
    key = tmp_path / f"{stage.store.name}.key"
    key.write_text(KEY)
    key.chmod(0o600)
    return stage


def upgrade(path: Path, tables: Sequence[Table] = ()) -> None:
    with open_writer(path, NEVER) as connection:
        ensure_schema(connection, tables or list_tables(), path)


def describe(path: Path) -> list[tuple[Any, ...]]:
    """Every table with its columns and their types, in no order of columns."""
    with duckdb.connect(str(path), read_only=True) as connection:
        return read(
            connection,
            "SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns() "
            "WHERE database_name = current_database() AND schema_name <> 'main' ORDER BY ALL",
        )


def test_every_older_version_has_a_recorded_store_and_a_migration() -> None:
    recorded = sorted(path.name for path in VERSIONS.glob("*.duckdb"))

    assert recorded == [f"v{version}.duckdb" for version in OLDER]
    numbers = [re.match(r"m(\d{3})_", migrate.__name__) for migrate in MIGRATIONS]
    assert [int(number[1]) for number in numbers if number] == list(OLDER)


def test_an_upgraded_store_has_the_tables_of_a_new_one(old: Stage, tmp_path: Path) -> None:
    upgrade(old.store)
    upgrade(tmp_path / "new.duckdb")

    assert describe(old.store) == describe(tmp_path / "new.duckdb")


def test_an_upgrade_keeps_every_row(old: Stage) -> None:
    with duckdb.connect(str(old.store), read_only=True) as connection:
        before = dump(connection)

    upgrade(old.store)

    with duckdb.connect(str(old.store), read_only=True) as connection:
        after = dump(connection)
        assert read_version(connection) == SCHEMA_VERSION
    counts = {name: len(rows) for name, rows in before.items() if name != "etl.meta"}
    assert {name: len(after[name]) for name in counts} == counts
    assert counts["riza.executions"] == 6


def test_a_sync_upgrades_the_store_and_goes_on_where_the_old_program_ended(
    old: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(old.folder)

    status = old.run("status")
    assert status.exit_code == 6
    assert "the next etl sync upgrades it" in status.stderr

    result = old.run("sync", "interpreter", "sandbox")

    assert (result.exit_code, result.output) == (0, "")
    assert old.query("SELECT source, count(*) FROM executions GROUP BY ALL ORDER BY ALL") == [
        ("interpreter", 4),
        ("sandbox", 4),
    ]
    assert old.run("status").exit_code == 0


def test_an_upgraded_store_is_refused_by_the_program_that_made_it(
    old: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it does not know of, such as pruned ranges, it would get wrong."""
    monkeypatch.chdir(old.folder)
    upgrade(old.store)
    before = old.store.read_bytes()
    monkeypatch.setattr("etl.cli.opening.SCHEMA_VERSION", 1)
    monkeypatch.setattr(schema, "SCHEMA_VERSION", 1)

    for command in ("sync", "status"):
        result = old.run(command)
        assert result.exit_code == 6
        assert "upgrade etl" in result.stderr
    assert old.store.read_bytes() == before


def test_rows_from_before_the_numbers_are_found_by_them(tmp_path: Path) -> None:
    """As if an older version had written them: the same rows, without what the upgrade adds."""
    path = tmp_path / "s.duckdb"
    upgrade(path)
    run_ids = (
        "scheduled__2026-03-01T12:00:05+00:00",
        "by-hand",
        "",
        "ünï/😀",
        "٢٠٢٦-03-01T12:30:05",
    )
    runs = PendingRows(DAG_RUNS)
    for run_id in run_ids:
        runs.add("dag_runs", flatten_run(DagRun(dag_id="etl", dag_run_id=run_id)), None)
    events = PendingRows(B3OS_EXECUTIONS)
    row = tuple({"id": "x", "created_at": NOW}.get(c.name) for c in B3OS_EXECUTIONS.columns)
    events.add("executions", Flat(row, ([(None,) * len(EVENTS.columns)],)), None)
    stamp = Stamp("lab", "run", NOW)
    with open_writer(path, NEVER) as connection:
        for pending in (runs, events):
            upsert_rows(connection, pending, stamp, {})
        before = dump(connection)
        connection.execute("UPDATE etl.meta SET value = '2' WHERE name = 'schema_version'")
        for table in ("airflow.dag_runs", "airflow.task_instances", "b3os.runs"):
            connection.execute(f"ALTER TABLE {table} DROP key_number")
        for table in ("riza.env", "riza.http_allow", "riza.files", "b3os.events"):
            connection.execute(f"ALTER TABLE {table} DROP synced_at")

    upgrade(path)

    with open_writer(path, NEVER) as connection:
        numbers = read(connection, "SELECT dag_run_id, key_number FROM airflow.dag_runs")
        assert sorted(numbers) == sorted((run_id, number_key(run_id)) for run_id in run_ids)
        assert read(connection, "SELECT epoch_us(synced_at) FROM b3os.events") == [
            (to_epoch_us(NOW),)
        ]
        [fate] = upsert_rows(connection, runs, stamp, {}).values()
        assert (fate.new, fate.unchanged) == (0, len(run_ids))
        assert {n: len(rows) for n, rows in dump(connection).items()} == {
            n: len(rows) for n, rows in before.items()
        }


def test_a_new_column_is_added_to_the_table_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    [part, note] = THINGS.children
    more = Table("lab.parts", (*part.columns, Column("weight", "DOUBLE")))
    wider = Table(
        "lab.things",
        (*THINGS.columns, Column("colour", "VARCHAR"), Column("shape", "JSON")),
        key=THINGS.key,
        children=(more, note),
    )
    with open_writer(path, NEVER) as connection:
        ensure_schema(connection, (THINGS,), path)
        connection.execute("INSERT INTO lab.things (id) VALUES ('a')")
        connection.execute("INSERT INTO lab.parts (thing_id, name) VALUES ('a', 'p')")

        ensure_schema(connection, (wider,), path)

        assert read(connection, "SELECT id, colour, shape FROM lab.things") == [("a", None, None)]
        assert read(connection, "SELECT thing_id, name, weight FROM lab.parts") == [
            ("a", "p", None)
        ]


class Failing:
    """A connection whose statement behind the first `left` fails, as if the process had died."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, left: int):
        self.connection, self.left = connection, left

    def execute(self, sql: str, *parameters: Any) -> Any:
        self.left -= sql != "ROLLBACK"
        if self.left < 0 and sql != "ROLLBACK":
            raise KeyboardInterrupt
        return self.connection.execute(sql, *parameters)


def test_an_upgrade_that_fails_at_any_statement_changes_nothing(old: Stage) -> None:
    tables = (*list_tables(), THINGS, JOBS)
    with open_writer(old.store, NEVER) as connection:
        before = dump(connection)
        for count in range(1_000):
            failing: Any = Failing(connection, count)
            try:
                ensure_schema(failing, tables, old.store)
            except KeyboardInterrupt:
                assert dump(connection) == before, count
            else:
                break

        assert count > 8
        assert read_version(connection) == SCHEMA_VERSION
        assert "lab.things" in dump(connection)


def test_a_full_disk_ends_an_upgrade_in_one_line_and_the_next_sync_does_it(
    old: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(old.folder)
    rows = "SELECT source, id, content_hash FROM riza.executions ORDER BY ALL"
    before = old.query(rows)

    with full_disk():
        refused = old.run("sync")
    after = old.query(rows)

    assert (refused.exit_code, refused.stderr.count("\n")) == (6, 1)
    assert after == before
    assert old.run("sync").exit_code == 0


def test_migrations_run_in_order_and_only_those_that_are_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s.duckdb"
    ran: list[int] = []

    def make(number: int) -> Migration:
        return lambda connection: ran.append(number)

    with open_writer(path, NEVER) as connection:
        ensure_schema(connection, (), path)
        connection.execute("UPDATE etl.meta SET value = '3' WHERE name = 'schema_version'")
        monkeypatch.setattr(schema, "MIGRATIONS", [make(number) for number in range(1, 6)])
        monkeypatch.setattr(schema, "SCHEMA_VERSION", 6)

        ensure_schema(connection, (), path)
        ensure_schema(connection, (), path)

        assert ran == [3, 4, 5]
        assert read_version(connection) == 6
