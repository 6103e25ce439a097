"""One DuckDB for many openings of a store: others are let in between, and an error ends it."""

from pathlib import Path

import duckdb
import pytest

from etl.errors import StoreError
from etl.store.connect import Engine, open_writer
from tests.store.test_connect import NEVER, hold, make_store
from tests.store.things import read


def test_an_engine_is_used_again_and_the_store_is_free_between(tmp_path: Path) -> None:
    path = make_store(tmp_path / "s.duckdb", rows=3)
    engine = Engine()

    with open_writer(path, NEVER, engine=engine) as connection:
        connection.execute("INSERT INTO t VALUES (3, 'three')")
    used = engine.connection
    with hold(path, "writer"):
        pass
    with duckdb.connect(str(path)) as other:
        other.execute("INSERT INTO t VALUES (4, 'four')")
    with open_writer(path, NEVER, wait_s=0.0, engine=engine) as connection:
        assert read(connection, "SELECT max(n), count(*) FROM t") == [(4, 5)]

    assert used is not None
    assert engine.connection is used


def test_an_error_ends_the_engine_and_what_was_not_committed(tmp_path: Path) -> None:
    path = make_store(tmp_path / "s.duckdb", rows=3)
    engine = Engine()

    def fail() -> None:
        with open_writer(path, NEVER, engine=engine) as connection:
            connection.execute("BEGIN")
            connection.execute("DELETE FROM t")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert engine.connection is None
    with open_writer(path, NEVER, wait_s=0.0, engine=engine) as connection:
        assert read(connection, "SELECT count(*) FROM t") == [(3,)]


def test_a_store_that_is_locked_is_waited_for_with_the_same_engine(tmp_path: Path) -> None:
    path = make_store(tmp_path / "s.duckdb", rows=3)
    engine = Engine()
    with (
        hold(path, "writer"),
        pytest.raises(StoreError, match="is locked by process"),
        open_writer(path, NEVER, wait_s=0.0, engine=engine),
    ):
        raise AssertionError

    with open_writer(path, NEVER, wait_s=0.0, engine=engine) as connection:
        assert read(connection, "SELECT count(*) FROM t") == [(3,)]
