"""Quarantined records are tried again without the API, and never displace what is stored."""

import json
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from etl.budget import start_budget
from etl.records import SourceConfig
from etl.sources import list_tables, riza
from etl.store.schema import QUARANTINE, ensure_schema, insert_json
from etl.sync.replay import replay_quarantine
from etl.sync.run import Surroundings
from tests.simulation.duck_store import DuckStore
from tests.simulation.fate import Fate
from tests.sync.passes import EACH_PAGE

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CONFIG = SourceConfig("lab", "riza", "http://api.test", "TOKEN", "t0ken", riza.Options())


@pytest.fixture
def store() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    ensure_schema(connection, list_tables(), Path("memory"))
    return connection


def set_aside(store: duckdb.DuckDBPyConnection, fingerprint: str, record: object) -> None:
    row = {"source": "lab", "kind": "riza", "stream": "executions", "fingerprint": fingerprint}
    rest = {"record": json.dumps(record), "path": "$", "error": "?", "quarantined_at": NOON}
    insert_json(store, QUARANTINE, [row | rest])


def replay(store: duckdb.DuckDBPyConnection) -> int:
    around = Surroundings(
        DuckStore(store).make_opener(Fate()),
        b"k",
        start_budget(None),
        lambda: NOON,
        limits=EACH_PAGE,
    )
    return sum(run.rows_new for run in replay_quarantine(CONFIG, around).runs)


def list_quarantined(store: duckdb.DuckDBPyConnection) -> list[str]:
    rows = store.execute("SELECT fingerprint FROM etl.quarantine ORDER BY 1").fetchall()
    return [fingerprint for (fingerprint,) in rows]


def test_what_is_understood_by_now_is_stored_and_the_rest_stays(
    store: duckdb.DuckDBPyConnection,
) -> None:
    set_aside(store, "good", {"id": "e1", "started_at": NOON.isoformat(), "duration": 7})
    set_aside(store, "bad", {"id": 5})

    rows = replay(store)

    assert rows == 1
    assert list_quarantined(store) == ["bad"]
    stored = store.execute("SELECT id, duration_ms FROM riza.executions").fetchall()
    assert stored == [("e1", 7)]
    runs = store.execute("SELECT mode, state FROM etl.runs").fetchall()
    assert runs == [("replay", "replayed")]


def test_a_fingerprint_is_not_taken_of_a_fingerprint(store: duckdb.DuckDBPyConnection) -> None:
    env = {"KEY": "hmac:0123456789abcdef"}
    details = {"type": "script", "request": {"env": env}, "response": {}}
    set_aside(store, "good", {"id": "e1", "started_at": NOON.isoformat(), "details": details})

    replay(store)

    assert store.execute("SELECT value FROM riza.env").fetchall() == [("hmac:0123456789abcdef",)]


def test_what_was_set_aside_as_it_came_is_redacted_as_the_source_asks_for_now(
    store: duckdb.DuckDBPyConnection,
) -> None:
    request = {"env": {"host": "hunter2hunter2"}, "input": {"password": "correct-horse"}}
    details = {"type": "tool", "request": request, "response": {}}
    set_aside(store, "good", {"id": "e1", "started_at": NOON.isoformat(), "details": details})

    replay(store)

    [(value, payload)] = store.execute(
        "SELECT value, input::VARCHAR FROM riza.env, riza.executions"
    ).fetchall()
    assert value.startswith("hmac:")
    assert "correct-horse" not in payload


def test_a_record_that_is_stored_by_now_is_not_displaced(
    store: duckdb.DuckDBPyConnection,
) -> None:
    set_aside(store, "first", {"id": "e1", "started_at": NOON.isoformat(), "duration": 7})
    replay(store)
    set_aside(store, "second", {"id": "e1", "started_at": NOON.isoformat(), "duration": 8})

    rows = replay(store)

    assert rows == 0
    assert list_quarantined(store) == ["second"]
    assert store.execute("SELECT duration_ms FROM riza.executions").fetchall() == [(7,)]


def test_of_two_versions_of_a_record_the_one_that_was_set_aside_last_is_stored(
    store: duckdb.DuckDBPyConnection,
) -> None:
    """In one commit: the older one, stored by itself, would keep the newer one out."""
    for fingerprint, duration in (("b", 7), ("a", 8)):
        record = {"id": "e1", "started_at": NOON.isoformat(), "duration": duration}
        set_aside(store, fingerprint, record)

    rows = replay(store)

    assert rows == 1
    assert list_quarantined(store) == []
    assert store.execute("SELECT duration_ms FROM riza.executions").fetchall() == [(8,)]


def test_a_replay_with_nothing_to_do_leaves_no_run(store: duckdb.DuckDBPyConnection) -> None:
    assert replay(store) == 0
    assert store.execute("SELECT count(*) FROM etl.runs").fetchall() == [(0,)]
