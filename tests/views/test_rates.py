"""Failure rates: counts, Wilson's interval, whole buckets, days of the configured time zone."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.views.conftest import Case, build_case
from tests.views.expected import (
    assert_same,
    count_outcomes,
    find_quantile,
    group,
    is_covered,
    rate,
)
from tests.views.history import DAY, HOUR, History, make_history
from tests.views.mapping import Execution
from tests.views.store import NOW, insert, open_store, read

ZONES = ("UTC", "America/New_York", "Asia/Kathmandu")


def covers(history: History, source: str, since: datetime, until: datetime) -> bool:
    """Whether all that started then is here, as a reader of the ledger would say it."""
    streams = []
    for kind, name, stream, ranges in history.coverage:
        if name == source and stream != "task_instances":
            streams.append(ranges[-1:] if kind == "airflow" else ranges)
    return bool(streams) and is_covered(streams, since, until)


def find_day(day: date, zone: str) -> tuple[datetime, datetime]:
    """When a day begins and ends there; where the clocks change it has 23 or 25 hours."""
    midnights = [datetime.combine(d, time(), ZoneInfo(zone)) for d in (day, day + timedelta(1))]
    return midnights[0], midnights[1]


@pytest.mark.parametrize("zone", ZONES)
def test_failure_rate_daily(case: Case, zone: str) -> None:
    case = build_case(case.history, zone)
    info = ZoneInfo(zone)
    expected = []
    for (source, day), members in group(
        case.executions, lambda e: (e.source, e.started_at.astimezone(info).date())
    ).items():
        is_complete = covers(case.history, source, *find_day(day, zone))
        row = {"source": source, "day": day, "is_complete": is_complete}
        expected.append(row | count_outcomes(members))

    assert_same(read(case.store, "FROM failure_rate_daily"), expected, "source", "day")


def test_failure_rate_hourly(case: Case) -> None:
    expected = []
    for (source, hour), members in group(
        case.executions,
        lambda e: (e.source, e.started_at.replace(minute=0, second=0, microsecond=0)),
    ).items():
        is_complete = covers(case.history, source, hour, hour + HOUR)
        row = {"source": source, "hour": hour, "is_complete": is_complete}
        expected.append(row | count_outcomes(members))

    assert_same(read(case.store, "FROM failure_rate_hourly"), expected, "source", "hour")


def count_recent(members: list[Execution]) -> dict[str, Any]:
    counts: dict[str, Any] = {}
    for days in (30, 7):
        recent = [e for e in members if e.started_at >= NOW - days * DAY]
        failed = sum(e.is_failed for e in recent)
        counts |= rate(failed, sum(e.is_finished for e in recent), f"_{days}d")
    return counts


@pytest.mark.parametrize("column", ["name", "type", "language"])
def test_failure_rate_by(case: Case, column: str) -> None:
    expected = [
        {"source": source, column: value} | count_outcomes(members) | count_recent(members)
        for (source, value), members in group(
            case.executions, lambda e: (e.source, getattr(e, column))
        ).items()
    ]

    actual = read(case.store, f"FROM failure_rate_by_{column}")

    assert_same(actual, expected, "source", column)


KEPT = ("executions", "succeeded", "failed", "unknown", "finished")
RATED = ("failure_rate", "failure_rate_low", "failure_rate_high", "low_sample")


def test_failure_rate_by_tool(case: Case) -> None:
    tools = [e for e in case.executions if e.kind == "riza" and e.type == "tool"]
    expected = []
    for (source, name), members in group(tools, lambda e: (e.source, e.name)).items():
        counts = count_outcomes(members)
        row = {"source": source, "tool_id": name}
        row |= {key: counts[key] for key in (*KEPT, *RATED)}
        row["first_seen_at"] = min(e.started_at for e in members)
        row["last_seen_at"] = max(e.started_at for e in members)
        expected.append(row)

    assert_same(read(case.store, "FROM failure_rate_by_tool"), expected, "source", "tool_id")


def test_http_egress(case: Case) -> None:
    """A host allowed twice in one execution counts once."""
    hosts = {
        (allow["source"], allow["execution_id"], allow["host"])
        for allow in case.history.allows
        if allow["host"] is not None
    }
    by_id = {(e.source, e.execution_id): e for e in case.executions if e.kind == "riza"}
    pairs = [(by_id[source, id], host) for source, id, host in hosts if (source, id) in by_id]
    expected = []
    for source, name, host in {(e.source, e.name, host) for e, host in pairs}:
        members = [e for e, h in pairs if (e.source, e.name, h) == (source, name, host)]
        counts = count_outcomes(members)
        row = {"source": source, "name": name, "host": host}
        row |= {key: counts[key] for key in ("executions", "finished", "failed", *RATED)}
        row["last_seen_at"] = max(e.started_at for e in members)
        expected.append(row)

    actual = read(case.store, "FROM http_egress")

    assert_same(actual, expected, "source", "name", "host")


@pytest.mark.parametrize("zone", ZONES)
def test_heatmap(case: Case, zone: str) -> None:
    case = build_case(case.history, zone)

    def place(e: Execution) -> tuple[Any, ...]:
        local = e.started_at.astimezone(ZoneInfo(zone))
        return e.source, e.name, local.isoweekday(), local.hour

    expected = []
    for (source, name, weekday, hour), members in group(case.executions, place).items():
        counts = count_outcomes(members)
        durations = [
            e.duration_ms for e in members if e.outcome == "success" and e.duration_ms is not None
        ]
        row = {"source": source, "name": name, "weekday": weekday, "hour": hour}
        row |= {key: counts[key] for key in ("executions", "finished", "failed", *RATED)}
        expected.append(row | {"p95_ms": find_quantile(durations, 0.95)})

    actual = read(case.store, "FROM heatmap")

    assert_same(actual, expected, "source", "name", "weekday", "hour")


def make_rates(pairs: list[tuple[int, int]]) -> list[dict[str, Any]]:
    """One day per pair of failures and successes; the rows of failure_rate_daily."""
    store = open_store()
    rows = []
    for day, (failed, succeeded) in enumerate(pairs):
        for number in range(failed + succeeded):
            started_at = datetime(2026, 1, 1, tzinfo=UTC) + day * DAY
            row = {"id": f"{day} {number}", "source": "s", "started_at": started_at}
            rows.append(row | {"exit_code": int(number < failed)})
    insert(store, "riza.executions", rows)
    return read(store, "FROM failure_rate_daily ORDER BY day")


def test_wilson_holds_the_rate_and_stays_within_0_and_1() -> None:
    pairs = [(k, n - k) for n in (1, 2, 3, 29, 30, 100) for k in {0, 1, n // 2, n - 1, n}]

    for (failed, succeeded), row in zip(pairs, make_rates(pairs), strict=True):
        low, high = row["failure_rate_low"], row["failure_rate_high"]
        assert 0 <= low <= row["failure_rate"] <= high <= 1
        assert (low == 0) == (failed == 0)
        assert (high == 1) == (succeeded == 0)
        assert row["low_sample"] == (failed + succeeded < 30)


def test_wilson_is_symmetric_and_narrows_with_more_samples() -> None:
    seldom, often, more = make_rates([(2, 8), (8, 2), (20, 80)])

    assert seldom["failure_rate_low"] == pytest.approx(1 - often["failure_rate_high"])
    assert seldom["failure_rate_high"] == pytest.approx(1 - often["failure_rate_low"])
    assert seldom["failure_rate_low"] < more["failure_rate_low"]
    assert seldom["failure_rate_high"] > more["failure_rate_high"]


def test_what_never_finished_has_no_rate() -> None:
    store = open_store()
    insert(store, "riza.executions", [{"id": "1", "source": "s", "started_at": NOW}])

    row = read(store, "FROM failure_rate_daily")[0]

    assert row["unknown"] == 1
    assert row["finished"] == 0
    assert row["failure_rate"] is row["failure_rate_low"] is row["failure_rate_high"] is None


KEYS = {
    "failure_rate_daily": ("source", "day"),
    "failure_rate_hourly": ("source", "hour"),
    "duration_daily": ("source", "day"),
    "throughput": ("source", "day"),
    "concurrency": ("source", "hour"),
    "heatmap": ("source", "name", "weekday", "hour"),
}


@pytest.mark.parametrize("view", KEYS)
def test_the_time_zone_of_the_session_does_not_matter(view: str) -> None:
    case = build_case(make_history(7), "Asia/Kathmandu")
    expected = read(case.store, f"FROM {view}")

    for zone in ("America/New_York", "Pacific/Apia"):
        case.store.execute(f"SET TimeZone = '{zone}'")
        assert_same(read(case.store, f"FROM {view}"), expected, *KEYS[view])
