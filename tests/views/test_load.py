"""How much runs: per day, per hour, per minute, and at the same time."""

import random
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.views.conftest import Case, build_case
from tests.views.expected import assert_same, group
from tests.views.history import HOUR
from tests.views.store import NOW, insert, open_store, read
from tests.views.test_rates import ZONES, covers, find_day

TICK = timedelta(microseconds=1)


@pytest.mark.parametrize("zone", ZONES)
def test_throughput(case: Case, zone: str) -> None:
    case = build_case(case.history, zone)
    expected = []
    for (source, day), members in group(
        case.executions, lambda e: (e.source, e.started_at.astimezone(ZoneInfo(zone)).date())
    ).items():
        minutes = group(members, lambda e: (e.started_at.replace(second=0, microsecond=0),))
        hours = {minute.replace(minute=0) for (minute,) in minutes}
        peak = max(len(started) for started in minutes.values())
        since, until = find_day(day, zone)
        length = until.timestamp() - since.timestamp()
        row: dict[str, Any] = {"source": source, "day": day, "executions": len(members)}
        row["executions_per_hour"] = len(members) / (length / 3600)
        row["active_hours"] = len(hours)
        row["executions_per_active_hour"] = len(members) / len(hours)
        row["peak_per_minute"] = peak
        row["peak_minute"] = min(m for (m,), started in minutes.items() if len(started) == peak)
        row["is_complete"] = covers(case.history, source, since, until)
        expected.append(row)

    assert_same(read(case.store, "FROM throughput"), expected, "source", "day")


def test_concurrency(case: Case) -> None:
    ran = [e for e in case.executions if e.ended_at is not None and e.outcome != "running"]
    expected = []
    for (source,), members in group(ran, lambda e: (e.source,)).items():
        for row in sweep([(e.started_at, e.ended_at) for e in members]):
            row["source"] = source
            row["is_complete"] = covers(case.history, source, row["hour"], row["hour"] + HOUR)
            expected.append(row)

    assert_same(read(case.store, "FROM concurrency"), expected, "source", "hour")


def sweep(spans: list[tuple[datetime, datetime]]) -> list[dict[str, Any]]:
    """What ran at each instant at which something started, counted one by one."""
    spans = [(since, max(until, since + TICK)) for since, until in spans]
    hours = {
        since.replace(minute=0, second=0, microsecond=0) + n * HOUR
        for since, until in spans
        for n in range((until - since) // HOUR + 2)
    }
    rows = []
    for hour in hours:
        parts = [
            (max(a, hour), min(b, hour + HOUR)) for a, b in spans if a < hour + HOUR and b > hour
        ]
        if parts:
            most = max(sum(a <= at < b for a, b in parts) for at, _ in parts)
            busy = sum(((b - a) for a, b in parts), timedelta())
            rows.append({"hour": hour, "max_running": most, "mean_running": busy / HOUR})
    return rows


def test_hundreds_at_the_same_time_are_counted_to_the_microsecond() -> None:
    """Many begin as others end, some at the full hour and at half past."""
    chance = random.Random(45)
    places = [chance.randrange(3 * 3_600_000_000) for _ in range(100)]
    places += [half * 1_800_000_000 + n for half in range(6) for n in (-1, 0, 1)]
    drawn = [sorted(chance.sample(places, 2)) for _ in range(300)]
    spans = [(NOW + since * TICK, NOW + until * TICK) for since, until in drawn]
    store = open_store()
    rows: list[dict[str, Any]] = [
        {
            "id": str(n),
            "source": "s",
            "started_at": since,
            "finished_at": until,
            "status": "success",
        }
        for n, (since, until) in enumerate(spans)
    ]
    insert(store, "b3os.executions", rows)

    found = read(store, "SELECT 's' AS source, hour, max_running, mean_running FROM concurrency")

    assert_same(found, [{"source": "s", **row} for row in sweep(spans)], "source", "hour")
    assert max(row["max_running"] for row in found) > 100


def read_concurrency(spans: list[tuple[datetime, int | None]]) -> list[tuple[Any, ...]]:
    store = open_store()
    rows = [
        {"id": str(n), "source": "s", "started_at": start, "duration_ms": duration_ms}
        for n, (start, duration_ms) in enumerate(spans)
    ]
    insert(store, "riza.executions", rows)
    found = read(store, "FROM concurrency ORDER BY hour")
    return [(row["hour"], row["max_running"], round(row["mean_running"], 6)) for row in found]


def test_one_that_begins_as_another_ends_does_not_run_beside_it() -> None:
    spans = [(NOW, 60_000), (NOW + timedelta(minutes=1), 60_000)]

    assert read_concurrency(spans) == [(NOW, 1, round(2 / 60, 6))]


def test_what_runs_through_a_whole_hour_counts_in_it() -> None:
    spans: list[tuple[datetime, int | None]] = [(NOW - HOUR / 2, 3 * 3_600_000), (NOW + HOUR, 0)]

    assert read_concurrency(spans) == [
        (NOW - HOUR, 1, 0.5),
        (NOW, 1, 1.0),
        (NOW + HOUR, 2, 1.0),
        (NOW + 2 * HOUR, 1, 0.5),
    ]


def test_what_claims_to_run_for_a_century_makes_no_row_for_each_hour_of_it() -> None:
    assert len(read_concurrency([(NOW, 3_155_760_000_000)])) == 31 * 24


def test_nothing_is_known_of_what_has_no_duration() -> None:
    assert read_concurrency([(NOW, None)]) == []
