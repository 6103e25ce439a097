"""The figures of the report are those of the views, and of plain counting."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from etl.errors import ConfigError
from etl.report import questions
from etl.report.figures import Figures, Rate
from etl.report.read import read_figures
from tests.report.conftest import ALL_DAYS
from tests.views.conftest import Case, build_case
from tests.views.expected import find_quantile, find_wilson
from tests.views.history import DAY, make_history
from tests.views.store import (
    NOW,
    insert,
    insert_coverage,
    insert_pruned,
    open_store,
    read,
    set_meta,
)

MIDNIGHT = NOW.replace(hour=0)


def make_rate(row: dict[str, Any]) -> Rate:
    return Rate(
        row["finished"],
        row["failed"],
        row["failure_rate"],
        row["failure_rate_low"],
        row["failure_rate_high"],
    )


def test_days_are_those_of_the_daily_views(case: Case, figures: Figures) -> None:
    rates = {(r["source"], r["day"]): r for r in read(case.store, "FROM failure_rate_daily")}
    durations = {(r["source"], r["day"]): r for r in read(case.store, "FROM duration_daily")}
    days = {(day.source, day.day): day for s in figures.sources.rows for day in s.days}

    assert len(days) == ALL_DAYS * figures.sources.total
    assert set(days) >= set(rates)
    for key, day in days.items():
        assert day.executions == (rates[key]["executions"] if key in rates else 0)
        assert day.failures == (make_rate(rates[key]) if key in rates else Rate())
        found = durations.get(key, {})
        assert (day.p50_ms, day.p95_ms) == (found.get("p50_ms"), found.get("p95_ms"))
        assert key not in rates or day.is_complete == rates[key]["is_complete"]


def test_totals_are_those_of_the_executions(case: Case, figures: Figures) -> None:
    finished = [e for e in case.executions if e.is_finished]
    failed = [e for e in case.executions if e.is_failed]
    successes = sorted(
        e.duration_ms
        for e in case.executions
        if e.outcome == "success" and e.duration_ms is not None
    )

    assert figures.now.executions == len(case.executions)
    assert figures.now.running == sum(e.outcome == "running" for e in case.executions)
    assert figures.now.wasted_ms == sum(e.duration_ms or 0 for e in failed)
    assert_rate(figures.now.failures, len(failed), len(finished))
    expected = [find_quantile(successes, share) for share in (0.5, 0.95)]
    assert [figures.now.p50_ms, figures.now.p95_ms] == pytest.approx(expected)


def assert_rate(rate: Rate, failed: int, finished: int) -> None:
    low, high = find_wilson(failed, finished)
    assert (rate.failed, rate.finished) == (failed, finished)
    assert [rate.rate, rate.low, rate.high] == pytest.approx(
        [failed / finished if finished else None, low, high]
    )


def test_names_are_those_of_the_views(case: Case, figures: Figures) -> None:
    rows = read(
        case.store,
        "SELECT f.*, d.p50_ms, d.p95_ms FROM failure_rate_by_name AS f "
        "LEFT JOIN duration_by_name AS d ON d.source = f.source "
        "AND d.name IS NOT DISTINCT FROM f.name ORDER BY failed DESC, executions DESC, 1, 2",
    )

    assert figures.names.total == len(rows)
    assert [
        (row.source, row.name, row.executions, row.failures, row.p50_ms, row.p95_ms)
        for row in figures.names.rows
    ] == [
        (r["source"], r["name"], r["executions"], make_rate(r), r["p50_ms"], r["p95_ms"])
        for r in rows[: questions.NAMES_MAX]
    ]


def test_errors_are_those_of_the_view(case: Case, figures: Figures) -> None:
    rows = {
        (r["source"], r["error_type"], r["error_fingerprint"]): r
        for r in read(case.store, "FROM top_errors")
    }

    assert figures.errors.total == len(rows)
    assert len(figures.errors.rows) == min(len(rows), questions.ERRORS_MAX)
    counts = [row.failures for row in figures.errors.rows]
    assert counts == sorted((r["failures"] for r in rows.values()), reverse=True)[: len(counts)]
    for row in figures.errors.rows:
        found = rows[row.source, row.error_type, row.message]
        assert (row.failures, row.names) == (found["failures"], found["names"])
        assert row.first_seen_at == found["first_seen_at"].replace(tzinfo=None)
        assert row.last_seen_at == found["last_seen_at"].replace(tzinfo=None)


def test_the_slowest_are_the_longest_of_all_sources(case: Case, figures: Figures) -> None:
    ended = [e for e in case.executions if e.duration_ms is not None and e.outcome != "running"]
    longest = sorted((e.duration_ms or 0 for e in ended), reverse=True)

    assert [row.duration_ms for row in figures.slowest] == longest[: questions.SLOWEST_MAX]
    known = {(e.source, e.execution_id): (e.name, e.outcome) for e in ended}
    assert all(known[r.source, r.execution_id] == (r.name, r.outcome) for r in figures.slowest)


def test_hours_are_the_sums_of_the_heat_map(case: Case, figures: Figures) -> None:
    rows = read(
        case.store,
        "SELECT weekday, hour, sum(executions)::BIGINT AS executions, "
        "sum(finished)::BIGINT AS finished, sum(failed)::BIGINT AS failed "
        "FROM heatmap GROUP BY ALL ORDER BY ALL",
    )

    assert [
        (h.weekday, h.hour, h.executions, h.failures.finished, h.failures.failed)
        for h in figures.hours
    ] == [tuple(row.values()) for row in rows]


def test_streams_are_those_of_the_ledger(case: Case, figures: Figures) -> None:
    rows = {(r["source"], r["stream"]): r for r in read(case.store, "FROM sync_freshness")}
    begin = MIDNIGHT - (ALL_DAYS - 1) * DAY
    for row in figures.streams.rows:
        known = rows[row.source, row.stream]
        assert row.gaps == known["gaps"]
        assert row.covered_until == known["covered_until"].replace(tzinfo=None)
        covered_s = (
            sum(until - since for since, until in row.covered) * (NOW - begin).total_seconds()
        )
        ledger = next(
            ranges
            for _, source, stream, ranges in case.history.coverage
            if (source, stream) == (row.source, row.stream)
        )
        expected = sum(((until - max(since, begin)) for since, until in ledger), timedelta())
        assert covered_s == pytest.approx(expected.total_seconds())
    assert figures.streams.total == len(rows)


def test_the_period_before_is_as_long_and_ends_at_the_same_time_of_day() -> None:
    case = build_case(make_history(3))

    figures = read_figures(case.store, (), 7, NOW)

    since = MIDNIGHT - 13 * DAY
    before = [e for e in case.executions if e.started_at and since <= e.started_at < NOW - 7 * DAY]
    assert figures.before.executions == len(before) > 0
    assert_rate(
        figures.before.failures,
        sum(e.is_failed for e in before),
        sum(e.is_finished for e in before),
    )


def test_one_source_is_shown_alone() -> None:
    case = build_case(make_history(1))

    figures = read_figures(case.store, ("beta",), ALL_DAYS, NOW)

    own = [e for e in case.executions if e.source == "beta"]
    assert figures.now.executions == len(own)
    assert [source.source for source in figures.sources.rows] == ["beta"]
    for rows in (figures.names.rows, figures.errors.rows, figures.slowest, figures.streams.rows):
        assert {row.source for row in rows} == {"beta"}


def test_an_unknown_source_is_refused_with_those_there_are() -> None:
    case = build_case(make_history(1, riza_rows=12, airflow_rows=1))

    with pytest.raises(ConfigError, match=r'no source "delta".*alpha, beta, gamma'):
        read_figures(case.store, ("delta",), 30, NOW)


def test_days_begin_in_the_time_zone_of_the_store() -> None:
    store = open_store("America/New_York")
    started = datetime(2026, 3, 15, 3, 30, tzinfo=UTC)
    insert(store, "riza.executions", [make_row("e1", started)])

    figures = read_figures(store, (), 3, NOW)

    # The clocks went forward on 8 March: midnight is 4 hours behind UTC.
    assert figures.period.timezone == "America/New_York"
    assert figures.period.made_at == datetime(2026, 3, 15, 8)
    assert [d.executions for d in figures.sources.rows[0].days] == [0, 1, 0]
    assert figures.sources.rows[0].days[1].day == date(2026, 3, 14)
    assert figures.slowest[0].started_at == datetime(2026, 3, 14, 23, 30)
    assert [(h.weekday, h.hour) for h in figures.hours] == [(6, 23)]


def make_row(name: str, started_at: datetime, **changes: Any) -> dict[str, Any]:
    return {
        "id": name,
        "source": "alpha",
        "stream": "executions",
        "started_at": started_at,
        "language": "python",
        "duration_ms": 5,
        "exit_code": 0,
        "first_synced_at": NOW,
        "synced_at": NOW,
        **changes,
    }


def test_days_in_a_gap_and_today_are_not_complete_and_others_without_executions_are() -> None:
    store = open_store()
    insert(store, "riza.executions", [make_row("e1", NOW - 4 * DAY)])
    ranges = [(NOW - 90 * DAY, MIDNIGHT - 3 * DAY), (MIDNIGHT - DAY, NOW)]
    insert_coverage(store, "riza", "alpha", "executions", ranges)

    figures = read_figures(store, (), 5, NOW)

    (alpha,) = figures.sources.rows
    assert [day.is_complete for day in alpha.days] == [True, False, False, True, False]
    assert [day.executions for day in alpha.days] == [1, 0, 0, 0, 0]
    assert (figures.now.is_known, figures.before.is_known) == (False, True)


def test_days_that_were_pruned_are_neither_complete_nor_filled() -> None:
    store = open_store()
    insert(store, "riza.executions", [make_row("e1", NOW - DAY)])
    insert_coverage(store, "riza", "alpha", "executions", [(NOW - 90 * DAY, NOW)])
    insert_pruned(store, "alpha", "executions", NOW - 3 * DAY)

    figures = read_figures(store, (), 5, NOW)

    (alpha,), (stream,) = figures.sources.rows, figures.streams.rows
    assert [day.is_complete for day in alpha.days] == [False, False, True, True, False]
    assert (figures.now.is_known, figures.before.is_known) == (False, False)
    # The page begins four days and a half ago.
    assert stream.covered == ((pytest.approx(1.5 / 4.5), 1.0),)


def test_an_error_is_new_only_if_the_time_before_is_known() -> None:
    ends = {"known": NOW - 90 * DAY, "unknown": NOW - 2 * DAY}
    found = {}
    for name, since in ends.items():
        store = open_store()
        failed = make_row("e1", NOW - DAY, exit_code=1, stderr="ValueError: no\n")
        insert(store, "riza.executions", [failed])
        insert_coverage(store, "riza", "alpha", "executions", [(since, NOW)])
        (error,) = read_figures(store, (), 7, NOW).errors.rows
        found[name] = error.is_new

    assert found == {"known": True, "unknown": False}


def test_an_execution_of_the_future_of_today_counts_and_one_of_tomorrow_does_not() -> None:
    store = open_store()
    rows = [make_row("e1", NOW + timedelta(hours=1)), make_row("e2", NOW + DAY)]
    insert(store, "riza.executions", rows)

    assert read_figures(store, (), 7, NOW).now.executions == 1


def test_asking_twice_with_one_connection_gives_the_same() -> None:
    case = build_case(make_history(1, riza_rows=50, airflow_rows=5))
    set_meta(case.store, "timezone", "Asia/Kathmandu")

    first = read_figures(case.store, (), 30, NOW)

    assert read_figures(case.store, (), 30, NOW) == first


def test_every_source_is_shown_busiest_first(case: Case, figures: Figures) -> None:
    shown = [source.source for source in figures.sources.rows]

    assert set(shown) >= {execution.source for execution in case.executions}
    counts = [source.executions for source in figures.sources.rows]
    assert counts == sorted(counts, reverse=True)
    assert sum(counts) == figures.now.executions
