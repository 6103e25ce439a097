"""A batch is one transaction: rows, ledger, streams, quarantine and counters, or none of them."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import duckdb
import pytest

from etl.coverage import Interval, Progress
from etl.records import Gap, Order
from etl.store.read import read_ledgers, read_streams
from etl.store.write import (
    Batch,
    QuarantinedRecord,
    RunRow,
    Walked,
    count_rows,
    mark_interrupted,
)
from tests.store.things import (
    NOON,
    dump,
    make_batch,
    make_thing,
    minute,
    open_memory,
    read,
    write_batch,
)


@pytest.fixture
def store() -> Iterator[duckdb.DuckDBPyConnection]:
    with open_memory() as connection:
        yield connection


def walked(
    since: float,
    until: float,
    covered: tuple[float, float] | None,
    order: Order | None = "descending",
    stream: str = "things",
    is_reset: bool = False,
) -> Walked:
    gap = Gap(minute(since), minute(until), order=order)
    claim = None if covered is None else Interval(minute(covered[0]), minute(covered[1]))
    return Walked(stream, Progress(gap, order, gap.until, covered=claim), is_reset)


def quarantine(fingerprint: str, stream: str = "things", page: str = "p1") -> QuarantinedRecord:
    record = '{"bytes": 5, "text": "ü\\u0000\\"" }'
    return QuarantinedRecord(stream, fingerprint, record, "$.n", "Expected `int`", page)


def make_full_batch(value: str, run_id: str, position: int) -> Batch:
    """A batch that touches every table, with a new, a changed and an unchanged row."""
    things = [
        make_thing("same", parts=[("p", 1)]),
        make_thing("changing", value=value, parts=[(value, 1)], notes=[value]),
        make_thing(f"new-{value}", 1, parts=[("p", 1)]),
    ]
    return make_batch(
        things,
        run_id,
        walked=[walked(0, 100, (100 - position, 100)), walked(-50, 0, (-position, 0))],
        quarantined=[quarantine("hmac:1"), quarantine(f"hmac:{value}")],
        lookbacks_s={"things": 600.0 + position},
        known={"things": Interval(minute(0), minute(50))},
    )


class FailingConnection:
    """A connection whose n-th statement fails."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, statement: int) -> None:
        self._connection = connection
        self._left = statement

    def execute(self, sql: str, *args: Any) -> Any:
        if sql != "ROLLBACK":
            self._left -= 1
            if self._left == 0:
                raise KeyboardInterrupt
        return self._connection.execute(sql, *args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def test_a_batch_that_fails_anywhere_changes_nothing(store: duckdb.DuckDBPyConnection) -> None:
    """At each statement in turn, until there is none left to fail; then everything changed."""
    write_batch(store, make_full_batch("one", "run-1", 10), minute(60))
    before = dump(store)
    statement = 0
    is_done = False
    while not is_done:
        statement += 1
        failing: Any = FailingConnection(store, statement)
        try:
            write_batch(failing, make_full_batch("two", "run-2", 20), minute(61))
        except KeyboardInterrupt:
            assert dump(store) == before, statement
        else:
            is_done = True

    after = dump(store)
    assert statement > 10
    assert [name for name in after if after[name] == before[name]] == [
        *("etl.drift", "etl.meta", "etl.pruned", "lab.jobs")
    ]


def test_an_error_of_the_commit_is_the_error_that_is_raised(
    store: duckdb.DuckDBPyConnection,
) -> None:
    """A COMMIT that fails has ended the transaction: there is nothing left to roll back."""

    class FullDisk(FailingConnection):
        def execute(self, sql: str, *args: Any) -> Any:
            if sql == "COMMIT":
                self._connection.execute("ROLLBACK")
                raise duckdb.TransactionException("Failed to commit: no space left on device")
            return self._connection.execute(sql, *args)

    full: Any = FullDisk(store, 0)
    with pytest.raises(duckdb.TransactionException, match="no space left"):
        write_batch(full, make_full_batch("one", "run-1", 10), NOON)

    write_batch(store, make_full_batch("one", "run-1", 10), NOON)


def test_a_batch_written_twice_is_written_once(store: duckdb.DuckDBPyConnection) -> None:
    batch = make_full_batch("one", "run-1", 10)
    write_batch(store, batch, minute(60))
    before = dump(store)

    runs = write_batch(store, batch, minute(60))

    assert runs["things"].rows_unchanged == 3
    after = dump(store)
    assert [name for name in before if before[name] != after[name]] == ["etl.runs"]


def test_the_counters_of_a_run_add_up_over_its_batches(store: duckdb.DuckDBPyConnection) -> None:
    runs = write_batch(store, make_batch([make_thing("a"), make_thing("b")]), NOON)
    batch = make_batch(
        [make_thing("a", value="new"), make_thing("b"), make_thing("c")],
        runs=runs,
        walked=[walked(0, 10, (5, 10))],
    )

    runs = write_batch(store, batch, NOON)

    assert read(
        store, "SELECT rows_new, rows_changed, rows_unchanged, covered_s FROM etl.runs"
    ) == [(3, 1, 1, 300.0)]
    assert runs["things"].rows_new == 3


def test_the_ledger_follows_the_rows(store: duckdb.DuckDBPyConnection) -> None:
    write_batch(store, make_batch(walked=[walked(0, 100, (80, 100))]), NOON)
    write_batch(store, make_batch(walked=[walked(0, 100, (60, 100))]), NOON)

    assert read_ledgers(store, "lab", ["things"]) == {
        "things": (Interval(minute(60), minute(100)),)
    }


def test_steps_of_one_batch_are_applied_in_turn(store: duckdb.DuckDBPyConnection) -> None:
    """A reset voids what came before it, not what comes after."""
    steps = [
        walked(0, 100, (80, 100)),
        walked(0, 100, None, is_reset=True),
        walked(0, 50, (0, 50), "ascending"),
    ]

    write_batch(store, make_batch(walked=steps), NOON)

    assert read_ledgers(store, "lab", ["things"])["things"] == (Interval(minute(0), minute(50)),)


def test_the_ledgers_of_other_streams_and_sources_stay(store: duckdb.DuckDBPyConnection) -> None:
    run = RunRow("run", "lab", "others", NOON)
    both = make_batch(walked=[walked(0, 9, (0, 9)), walked(0, 8, (0, 8), stream="others")])
    write_batch(store, replace(both, runs=both.runs | {"others": run}), NOON)
    write_batch(store, replace(make_batch(walked=[walked(0, 7, (0, 7))]), source="other"), NOON)

    write_batch(store, make_batch(walked=[walked(0, 9, None)]), NOON)

    assert read(
        store,
        "SELECT source, stream, (epoch_us(until) - epoch_us(since)) // 60000000 FROM etl.coverage "
        "ORDER BY ALL",
    ) == [("lab", "others", 8), ("other", "things", 7)]


def test_times_in_the_ledger_are_exact_to_the_microsecond(store: duckdb.DuckDBPyConnection) -> None:
    tick = 1 / 60_000_000
    step = walked(-1e9, 0, (-1e9, -tick))

    write_batch(store, make_batch(walked=[step]), NOON)

    assert read_ledgers(store, "lab", ["things"])["things"] == (step.progress.covered,)


def test_a_stream_keeps_the_order_it_has_shown(store: duckdb.DuckDBPyConnection) -> None:
    write_batch(store, make_batch(walked=[walked(0, 9, None, None)]), NOON)
    assert read_streams(store, "lab")["things"].list_order is None

    write_batch(store, make_batch(walked=[walked(0, 9, None, "ascending")]), NOON)
    write_batch(store, make_batch(walked=[walked(0, 9, None, None)]), NOON)

    assert read_streams(store, "lab")["things"].list_order == "ascending"


def test_the_longest_delay_grows_with_rows_that_come_late(store: duckdb.DuckDBPyConnection) -> None:
    known = {"things": Interval(minute(0), minute(100))}

    def write(id: str, at: float, now: float) -> float:
        step = walked(0, 100, (0, 100))
        batch = make_batch([make_thing(id, at)], walked=[step], known=known)
        write_batch(store, batch, minute(now))
        return read_streams(store, "lab")["things"].longest_delay_s

    assert write("on time", 100, 130) == 0.0
    assert write("late", 90, 120) == 1_800.0
    assert write("less late", 99, 120) == 1_800.0
    assert write("later", 0, 60) == 3_600.0


def test_a_broken_record_is_kept_once(store: duckdb.DuckDBPyConnection) -> None:
    first = make_batch(quarantined=[quarantine("f1"), quarantine("f1"), quarantine("f2")])
    write_batch(store, first, NOON)

    again = make_batch(quarantined=[quarantine("f1", page="p9")], run_id="run-2")
    write_batch(store, again, minute(1))

    assert read(
        store, "SELECT fingerprint, page, run_id, path, error FROM etl.quarantine ORDER BY ALL"
    ) == [
        ("f1", "p9", "run-2", "$.n", "Expected `int`"),
        ("f2", "p1", "run", "$.n", "Expected `int`"),
    ]


def test_the_same_broken_record_of_two_streams_is_two(store: duckdb.DuckDBPyConnection) -> None:
    write_batch(store, make_batch(quarantined=[quarantine("f1", "others")]), NOON)

    write_batch(store, make_batch(quarantined=[quarantine("f1")]), NOON)

    assert read(store, "SELECT stream FROM etl.quarantine ORDER BY ALL") == [
        ("others",),
        ("things",),
    ]


def test_a_broken_record_is_stored_as_the_json_it_is(store: duckdb.DuckDBPyConnection) -> None:
    write_batch(store, make_batch(quarantined=[quarantine("f1")]), NOON)

    [(record, count)] = read(store, "SELECT record, record ->> 'bytes' FROM etl.quarantine")

    assert json.loads(record) == {"bytes": 5, "text": 'ü\x00"'}
    assert count == "5"


def test_a_run_is_one_row_per_stream_that_is_brought_up_to_date(
    store: duckdb.DuckDBPyConnection,
) -> None:
    running = RunRow("run", "lab", "things", NOON)
    write_batch(store, make_batch(runs={"things": running}), NOON)
    ended = replace(
        running, ended_at=minute(2), state="failed", exit_code=4, error='no "answer"', slept_s=1.5
    )

    write_batch(store, make_batch(runs={"things": ended}, written={"things": running}), minute(2))

    assert read(
        store,
        "SELECT run_id, source, stream, started_at::VARCHAR, ended_at::VARCHAR, state, exit_code, "
        "error, slept_s, pages FROM etl.runs",
    ) == [
        (
            *("run", "lab", "things", "2026-03-01 12:00:00+00", "2026-03-01 12:02:00+00"),
            *("failed", 4, 'no "answer"', 1.5, 0),
        )
    ]


def test_a_run_that_was_killed_is_marked_by_the_next_one(store: duckdb.DuckDBPyConnection) -> None:
    for run_id, state in (("killed", "running"), ("ended", "done")):
        run = RunRow(run_id, "lab", "things", NOON, state=state)
        write_batch(store, make_batch(run_id=run_id, runs={"things": run}), NOON)

    mark_interrupted(store, minute(5))

    assert read(store, "SELECT run_id, state, ended_at::VARCHAR FROM etl.runs ORDER BY ALL") == [
        ("ended", "done", None),
        ("killed", "interrupted", "2026-03-01 12:05:00+00"),
    ]


def test_every_version_that_waits_is_counted() -> None:
    """All of them are in memory until the commit."""
    batch = make_batch([make_thing("a"), make_thing("a", value="b"), make_thing("c")])

    assert count_rows(batch) == 3
