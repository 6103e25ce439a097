"""What the store knows of itself: gaps, whole ranges, freshness, runs."""

import random
from datetime import datetime, timedelta
from typing import Any

import pytest

from etl.coverage import Interval, find_gaps, merge, subtract
from etl.records import EPOCH
from tests.views.conftest import Case, build_case
from tests.views.expected import assert_same, group
from tests.views.history import DAY, HOUR, make_history
from tests.views.store import (
    NOW,
    insert,
    insert_coverage,
    insert_pruned,
    open_store,
    read,
    to_us,
)

Ranges = list[tuple[datetime, datetime]]


def make_ranges(chance: random.Random) -> Ranges:
    """Ranges as a ledger holds them: disjoint, not touching; whole hours, so that edges meet."""
    pairs = [chance.randrange(60) for _ in range(chance.choice((0, 1, 2, 5)))]
    merged = merge(
        Interval(NOW - hours * HOUR, NOW - (hours - chance.randrange(1, 20)) * HOUR)
        for hours in pairs
    )
    return [(interval.since, interval.until) for interval in merged]


def prune_some(chance: random.Random, store: Any, stream: str, ranges: Ranges) -> Ranges:
    """What is left where a stream was pruned; some are not, of some only the payloads are."""
    if chance.random() < 0.3:
        return ranges
    before = chance.choice((None, *(NOW - hours * HOUR for hours in (70, 40, 20, 0))))
    insert_pruned(store, "s", stream, before)
    if before is None:
        return ranges
    ledger = subtract(merge(Interval(*pair) for pair in ranges), Interval(EPOCH, before))
    return [(interval.since, interval.until) for interval in ledger]


@pytest.mark.parametrize("seed", range(10))
def test_known_ranges(seed: int) -> None:
    chance = random.Random(seed)
    store = open_store()
    expected = []
    for stream in "abcd":
        ranges = make_ranges(chance)
        insert_coverage(store, "riza", "s", stream, ranges)
        for since, until in prune_some(chance, store, stream, ranges):
            expected.append({"source": "s", "stream": stream, "since": since, "until": until})

    assert_same(read(store, "FROM known_ranges"), expected, "stream", "since")


@pytest.mark.parametrize("seed", range(10))
def test_coverage_gaps(seed: int) -> None:
    chance = random.Random(seed)
    store = open_store()
    expected = []
    for stream in "abc":
        ranges = make_ranges(chance)
        insert_coverage(store, "riza", "s", stream, ranges)
        ranges = prune_some(chance, store, stream, ranges)
        if ranges:
            ledger = merge(Interval(*pair) for pair in ranges)
            for gap in find_gaps(ledger, ranges[0][0], ranges[-1][1]):
                row: dict[str, Any] = {"source": "s", "stream": stream}
                row |= {"since": gap.since, "until": gap.until}
                expected.append(row | {"gap_s": (gap.until - gap.since).total_seconds()})

    assert_same(read(store, "FROM coverage_gaps"), expected, "stream", "since")


@pytest.mark.parametrize("seed", range(10))
def test_complete_ranges(seed: int) -> None:
    """A moment is in a complete range when it is in a range of each stream, and not pruned."""
    chance = random.Random(seed)
    store = open_store()
    streams = [make_ranges(chance) for _ in range(chance.choice((1, 2, 3)))]
    for number, ranges in enumerate(streams):
        insert_coverage(store, "foundry", "s", str(number), ranges)
        streams[number] = prune_some(chance, store, str(number), ranges)
    moments = [NOW + n * HOUR / 2 for n in range(-160, 60)]

    rows = read(store, "FROM complete_ranges")

    for moment in moments:
        is_known = all(any(a <= moment < b for a, b in ranges) for ranges in streams)
        assert any(row["since"] <= moment < row["until"] for row in rows) == is_known


def test_a_stream_of_which_nothing_is_known_makes_nothing_complete() -> None:
    store = open_store()
    insert_coverage(store, "foundry", "s", "a", [(NOW - DAY, NOW)])
    insert_coverage(store, "foundry", "s", "b", [])

    assert read(store, "FROM complete_ranges") == []


def test_of_a_ledger_of_update_time_only_the_range_that_reaches_the_top_is_complete() -> None:
    """What started in an older range may have been updated in the gap behind it."""
    store = open_store()
    ranges = [(NOW - 9 * DAY, NOW - 5 * DAY), (NOW - DAY, NOW)]
    insert_coverage(store, "airflow", "s", "dag_runs", ranges)
    insert_coverage(store, "airflow", "s", "task_instances", [(NOW - HOUR, NOW)])

    expected = [{"source": "s", "since": NOW - DAY, "until": NOW}]
    assert read(store, "FROM complete_ranges") == expected


def test_of_a_ledger_of_making_a_range_begins_later_by_the_longest_wait() -> None:
    """What was made in the gap before it may have started within it."""
    store = open_store()
    insert_coverage(store, "b3os", "s", "executions", [(NOW - DAY, NOW)])
    made = {"source": "s", "created_at": NOW - 5 * HOUR}
    starts = (NOW - 3 * HOUR, NOW - 5 * HOUR, NOW - 6 * HOUR, None)
    rows = [made | {"id": str(n), "started_at": start} for n, start in enumerate(starts)]
    insert(store, "b3os.executions", rows)

    expected = [{"source": "s", "since": NOW - 22 * HOUR, "until": NOW}]
    assert read(store, "FROM complete_ranges") == expected


def test_what_was_pruned_by_its_making_may_have_started_as_much_later() -> None:
    store = open_store()
    insert_coverage(store, "b3os", "s", "executions", [(NOW - 9 * DAY, NOW)])
    insert_pruned(store, "s", "executions", NOW - 5 * DAY)
    made = {"source": "s", "id": "1", "created_at": NOW - DAY, "started_at": NOW - DAY + 2 * HOUR}
    insert(store, "b3os.executions", [made])

    expected = [{"source": "s", "since": NOW - 5 * DAY + 2 * HOUR, "until": NOW}]
    assert read(store, "FROM complete_ranges") == expected


def test_a_range_shorter_than_the_longest_wait_is_none() -> None:
    store = open_store()
    insert_coverage(store, "b3os", "s", "executions", [(NOW - HOUR, NOW)])
    row = {"source": "s", "id": "1", "created_at": NOW - 5 * HOUR, "started_at": NOW}
    insert(store, "b3os.executions", [row])

    assert read(store, "FROM complete_ranges") == []


def insert_run(store: Any, **columns: Any) -> None:
    names = ", ".join(columns)
    holders = ", ".join(
        "make_timestamptz(?)" if isinstance(value, datetime) else "?" for value in columns.values()
    )
    values = [to_us(v) if isinstance(v, datetime) else v for v in columns.values()]
    store.execute(f"INSERT INTO etl.runs ({names}) VALUES ({holders})", values)


def test_sync_freshness() -> None:
    store = open_store()
    insert_coverage(
        store,
        "riza",
        "s",
        "executions",
        [(NOW - 9 * DAY, NOW - 5 * DAY), (NOW - DAY, NOW - HOUR)],
    )
    insert_coverage(store, "foundry", "f", "ri.x", [])
    key = {"source": "s", "stream": "executions"}
    ended_at = NOW - 2 * HOUR
    done = {"state": "done", "exit_code": 0}
    insert_run(store, run_id="1", **key, started_at=NOW - 3 * HOUR, ended_at=ended_at, **done)
    for state in ("fetched", "replayed"):
        later = {"started_at": NOW, "ended_at": NOW, "state": state, "exit_code": 0}
        insert_run(store, run_id=state, **key, **later)
    insert_run(
        store,
        run_id="2",
        **key,
        started_at=NOW - HOUR,
        ended_at=NOW,
        state="failed",
        exit_code=4,
        error="no answer",
    )

    rows = read(store, "FROM sync_freshness ORDER BY source")

    nothing = dict.fromkeys(("covered_since", "covered_until", "lag_s", "last_success_at"))
    nothing |= dict.fromkeys(("last_run_at", "last_state", "last_error"))
    assert rows == [
        {"source": "f", "kind": "foundry", "stream": "ri.x", "gaps": 0, **nothing},
        {
            **key,
            "kind": "riza",
            "covered_since": NOW - 9 * DAY,
            "covered_until": NOW - HOUR,
            "lag_s": 3600.0,
            "gaps": 1,
            "last_success_at": ended_at,
            "last_run_at": NOW - HOUR,
            "last_state": "failed",
            "last_error": "no answer",
        },
    ]


@pytest.mark.parametrize(
    ("before", "since", "gaps"),
    [
        (None, NOW - 9 * DAY, 1),
        (NOW - 7 * DAY, NOW - 7 * DAY, 1),
        (NOW - 3 * DAY, NOW - 2 * DAY, 0),
        (NOW, None, 0),
    ],
)
def test_freshness_of_a_pruned_stream_is_what_it_was_and_covers_less(
    before: datetime | None, since: datetime | None, gaps: int
) -> None:
    """Even of one that ended so long ago that nothing of it is left: it lags all the same."""
    store = open_store()
    ranges = [(NOW - 9 * DAY, NOW - 5 * DAY), (NOW - 2 * DAY, NOW - DAY)]
    insert_coverage(store, "riza", "s", "executions", ranges)
    insert_pruned(store, "s", "executions", before)

    (row,) = read(store, "FROM sync_freshness")

    assert (row["covered_since"], row["gaps"]) == (since, gaps)
    assert (row["covered_until"], row["lag_s"]) == (NOW - DAY, DAY.total_seconds())


def test_sync_runs() -> None:
    store = open_store()
    counts = {"pages": 3, "requests": 5, "retries": 2, "slept_s": 1.5, "redactions": 7}
    counts |= {"rows_new": 100, "rows_changed": 20, "rows_unchanged": 30, "rows_quarantined": 1}
    counts |= {"received_bytes": 1000, "covered_s": 60.0}
    key = {"run_id": "1", "source": "s", "stream": "executions"}
    times = {"started_at": NOW - timedelta(seconds=10), "ended_at": NOW}
    outcome = {"mode": "full", "state": "done", "exit_code": 0, "error": None}
    insert_run(store, **key, **times, **outcome, **counts)
    insert_run(store, run_id="2", source="s", stream="executions", started_at=NOW)

    rows = read(store, "FROM sync_runs")

    assert [row["run_id"] for row in rows] == ["2", "1"]
    expected = {**key, **times, **outcome, **counts, "duration_s": 10.0, "rows_per_s": 15.0}
    assert rows[1] == expected
    assert rows[0]["mode"] is rows[0]["duration_s"] is rows[0]["rows_per_s"] is None


def find_quantile(values: list[float], share: float) -> float | None:
    """Linear interpolation, written out: statistics.quantiles stops at percents."""
    if len(values) < 5:
        return None
    values = sorted(values)
    place = share * (len(values) - 1)
    below = int(place)
    above = min(below + 1, len(values) - 1)
    return values[below] + (values[above] - values[below]) * (place - below)


def test_freshness(case: Case) -> None:
    expected = []
    for (source, kind, stream), members in group(
        case.executions, lambda e: (e.source, e.kind, e.stream)
    ).items():
        first_synced_at = min(e.first_synced_at for e in members)
        lags = [
            (e.first_synced_at - e.ended_at).total_seconds()
            for e in members
            if e.outcome != "running" and e.ended_at is not None and e.ended_at > first_synced_at
        ]
        successes = [e.started_at for e in members if e.outcome == "success"]
        last_started_at = max(e.started_at for e in members)
        row: dict[str, Any] = {"source": source, "kind": kind, "stream": stream}
        row["executions"] = len(members)
        row["running"] = sum(e.outcome == "running" for e in members)
        row["last_started_at"] = last_started_at
        row["last_ended_at"] = max((e.ended_at for e in members if e.ended_at), default=None)
        row["last_success_at"] = max(successes, default=None)
        row["age_s"] = (NOW - last_started_at).total_seconds()
        row["arrivals_measured"] = len(lags)
        row["arrival_p50_s"] = find_quantile(lags, 0.5)
        row["arrival_p95_s"] = find_quantile(lags, 0.95)
        row["arrival_p999_s"] = find_quantile(lags, 0.999)
        expected.append(row)

    assert_same(read(case.store, "FROM freshness"), expected, "source", "stream")


def test_what_the_first_sync_found_says_nothing_about_arrival() -> None:
    store = open_store()
    old = {"source": "s", "stream": "executions", "duration_ms": 0, "first_synced_at": NOW - DAY}
    new = old | {"first_synced_at": NOW}
    rows = [old | {"id": str(n), "started_at": NOW - 90 * DAY} for n in range(9)]
    rows += [new | {"id": f"new {n}", "started_at": NOW - HOUR} for n in range(5)]
    insert(store, "riza.executions", rows)

    row = read(store, "FROM freshness")[0]

    assert (row["arrivals_measured"], row["arrival_p95_s"]) == (5, 3600.0)


def test_there_are_arrivals_to_compare() -> None:
    rows = read(build_case(make_history(1)).store, "FROM freshness")

    assert any(row["arrival_p50_s"] is not None for row in rows)
