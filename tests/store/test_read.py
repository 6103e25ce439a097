"""What a sync has to know before it starts."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import duckdb
import pytest

from etl.coverage import Interval
from etl.records import Gap, Stream
from etl.store.read import LOOKBACK_MAX, OpenRecords, read_anchors, read_open, read_stream_states
from tests.store.test_write import walked
from tests.store.things import (
    JOBS,
    THINGS,
    make_batch,
    make_job,
    make_thing,
    minute,
    open_memory,
    write_batch,
)

STREAM = Stream("things", THINGS, timedelta(minutes=10))
JOBS_STREAM = Stream("things", JOBS, timedelta(minutes=10))


@pytest.fixture
def store() -> Iterator[duckdb.DuckDBPyConnection]:
    with open_memory() as connection:
        yield connection


def test_of_an_empty_store_nothing_is_known(store: duckdb.DuckDBPyConnection) -> None:
    [state] = read_stream_states(store, "lab", [STREAM]).values()

    assert state.ledger == ()
    assert (state.order, state.longest_delay) == (None, timedelta())
    assert read_open(store, "lab", STREAM, minute(0)) == OpenRecords()


def test_what_was_committed_is_known(store: duckdb.DuckDBPyConnection) -> None:
    steps = [walked(0, 10, (8, 10)), walked(-10, 0, (-3, 0))]
    known = {"things": Interval(minute(0), minute(8))}
    write_batch(store, make_batch([make_thing("c", 1)], walked=steps, known=known), minute(20))

    [state] = read_stream_states(store, "lab", [STREAM]).values()

    assert state.ledger == (Interval(minute(-3), minute(0)), Interval(minute(8), minute(10)))
    assert state.order == "descending"
    assert state.longest_delay == timedelta(minutes=19)


@pytest.fixture
def with_open(store: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Open records of each minute from 0 to 59; one more of another stream, one that ended."""
    jobs = [make_job(f"t{n}", n, "open") for n in range(60)]
    write_batch(store, make_batch([*jobs, make_job("ended", -1)], table=JOBS), minute(0))
    other = make_batch([make_job("other", -2, "open")], stream="others", table=JOBS)
    write_batch(store, other, minute(0))
    return store


def test_open_records_are_walked_from_the_oldest_on(with_open: duckdb.DuckDBPyConnection) -> None:
    assert read_open(with_open, "lab", JOBS_STREAM, minute(60)) == OpenRecords(since=minute(0))


def test_open_records_are_looked_for_where_nothing_is_read_again_anyway(
    with_open: duckdb.DuckDBPyConnection,
) -> None:
    assert read_open(with_open, "lab", JOBS_STREAM, minute(0)) == OpenRecords()


def test_a_few_open_records_are_read_by_id(with_open: duckdb.DuckDBPyConnection) -> None:
    stream = replace(JOBS_STREAM, is_retrievable=True)

    assert read_open(with_open, "lab", stream, minute(3)) == OpenRecords(("t0", "t1", "t2"))


def test_more_than_a_few_open_records_are_walked_behind_the_few(
    with_open: duckdb.DuckDBPyConnection,
) -> None:
    stream = replace(JOBS_STREAM, is_retrievable=True)

    found = read_open(with_open, "lab", stream, minute(60))

    assert found.ids == tuple(f"t{n}" for n in range(50))
    assert found.since == minute(50)


def test_what_has_been_open_for_very_long_does_not_make_all_be_read_again(
    with_open: duckdb.DuckDBPyConnection,
) -> None:
    """Payments that nobody will make stay open for ever; those of the last weeks are walked."""
    days = 24 * 60
    old = [make_job(f"old{n}", n * days, "open") for n in range(1, 3)]
    write_batch(with_open, make_batch(old, table=JOBS), minute(0))

    found = read_open(with_open, "lab", JOBS_STREAM, minute(2 * days) + LOOKBACK_MAX)

    assert found == OpenRecords(since=minute(2 * days))


def test_a_record_that_is_gone_is_not_waited_for(with_open: duckdb.DuckDBPyConnection) -> None:
    write_batch(with_open, make_batch(gone=[(JOBS, "t0")]), minute(0))

    assert read_open(with_open, "lab", JOBS_STREAM, minute(60)).since == minute(1)


def anchors(store: duckdb.DuckDBPyConnection, gap: Gap) -> list[float]:
    edge = gap.until if gap.order == "descending" else gap.since
    marks = read_anchors(store, "lab", "things", THINGS, edge, gap.order or "descending")
    assert all(mark.time is not None for mark in marks)
    return [(mark.time - minute(0)) / timedelta(minutes=1) for mark in marks if mark.time]


def test_anchors_stand_before_the_gap_near_ones_first(store: duckdb.DuckDBPyConnection) -> None:
    write_batch(store, make_batch([make_thing(f"t{n}", n) for n in range(100)]), minute(0))

    down = anchors(store, Gap(minute(0), minute(50), order="descending"))
    up = anchors(store, Gap(minute(50), minute(99), order="ascending"))

    assert down == [50, 51, 53, 57, 65, 81], "at the open end of the gap, or above it"
    assert up == [49, 48, 46, 42, 34, 18], "below the gap"


def test_without_rows_there_is_no_anchor(store: duckdb.DuckDBPyConnection) -> None:
    write_batch(store, make_batch([make_thing("a", 10)], stream="others"), minute(0))

    assert anchors(store, Gap(minute(0), minute(5), order="descending")) == []
