"""Airflow's lists by cursor, by offset, and of rows without a stamp."""

from datetime import timedelta

import httpx
import pytest

from etl.errors import (
    GapTooLarge,
    PositionLost,
    SourceError,
)
from etl.records import TICK, Gap, Stream
from etl.sources import airflow
from tests.sources.airflow_lab import (
    MONTH,
    NOW,
    RUNS,
    TASKS,
    fetch,
    make_runs,
    name_runs,
    read_page,
    walk,
)
from tests.sources.airflow_server import RunServer


def test_a_closed_gap_is_asked_for_with_both_bounds_by_id() -> None:
    server = RunServer(make_runs(2), NOW)
    gap = Gap(MONTH.since + TICK, MONTH.until - TICK)

    fetch(server.answer, RUNS, gap=gap)

    assert dict(server.requests[0]) == {
        "limit": "100",
        "order_by": "id",
        "updated_at_gte": "2026-09-01T00:00:00.000001Z",
        "updated_at_lt": "2026-09-30T23:59:59.999999Z",
        "cursor": "",
    }


def test_a_walk_by_cursor_reads_every_run_once_and_no_page_twice() -> None:
    server = RunServer(make_runs(8), NOW)

    names = walk(server)

    assert names == name_runs(1, 8)
    pages = [asked for asked in server.requests if asked["limit"] == "3"]
    assert len(pages) == 3


def test_the_newest_gap_has_no_upper_bound() -> None:
    """A run that is stamped again while the gap is walked would be missing from it otherwise."""
    runs = make_runs(8, NOW - timedelta(hours=1))

    def stamp(number: int) -> None:
        runs[6].updated_at = NOW + timedelta(seconds=number)

    server = RunServer(runs, NOW, before_answer=stamp)

    names = walk(server, Gap(NOW - timedelta(hours=2), NOW - timedelta(seconds=1)))

    assert names == name_runs(1, 8)


def test_the_total_of_a_gap_is_told_with_its_first_page() -> None:
    server = RunServer(make_runs(250), NOW)

    page = fetch(server.answer, RUNS)

    assert (page.total, len(page.records)) == (250, 100)


def test_the_servers_clock_is_told_with_the_page() -> None:
    assert fetch(RunServer([], NOW).answer, RUNS).served_at == NOW


@pytest.mark.parametrize("release", ["3_0", "3_1"])
@pytest.mark.parametrize("stream", [RUNS, TASKS], ids=lambda stream: stream.name)
def test_a_recorded_release_without_cursors_is_read_by_offset(release: str, stream: Stream) -> None:
    first = read_page(f"{stream.name}_{release}_first.json")
    rest = first[stream.name][1:] + read_page(f"{stream.name}_{release}_last.json")[stream.name]
    total = len(first[stream.name]) + len(rest) - 1
    asked: list[httpx.QueryParams] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params)
        rows = rest if "offset" in request.url.params else first[stream.name]
        rows = [] if request.url.params["limit"] == "0" else rows
        return httpx.Response(200, json={stream.name: rows, "total_entries": total})

    start = fetch(answer, stream, size=2)
    end = fetch(answer, stream, start.next, size=2)

    assert [params.get("offset") for params in asked[:2]] == [None, "1"]
    assert [mark.id.split("/")[1] for mark in (*start.marks, *end.marks)] == [
        "quick-0",
        "quick-1",
        "quick-4",
    ]


@pytest.mark.parametrize("size", [1, 3, 8, 100])
def test_a_walk_by_offset_reads_every_run_once(size: int) -> None:
    server = RunServer(make_runs(8), NOW, has_cursors=False)

    assert walk(server, size=size) == name_runs(1, 8)


def test_a_whole_page_without_ids_is_an_error_not_the_end() -> None:
    body = {"dag_runs": [{"state": "failed"}] * 2, "total_entries": 9}

    with pytest.raises(SourceError, match="a whole page of records without an id"):
        fetch(lambda request: httpx.Response(200, json=body), RUNS)


def test_a_smaller_page_than_asked_for_is_not_the_end() -> None:
    """`maximum_page_limit` of the server may be below the page size."""
    server = RunServer(make_runs(8), NOW, has_cursors=False, limit_max=2)

    assert walk(server, size=5) == name_runs(1, 8)


@pytest.mark.parametrize("gone", [1, 2])
@pytest.mark.parametrize("number", range(1, 6))
def test_rows_that_leave_while_offsets_are_walked_hide_no_other(number: int, gone: int) -> None:
    runs = make_runs(12)

    def leave(request: int) -> None:
        if request == number:
            for run in runs[:gone]:
                run.updated_at = MONTH.until

    server = RunServer(runs, NOW, has_cursors=False, before_answer=leave)

    names = walk(server)

    assert name_runs(gone + 1, 12) == [n for n in names if n not in name_runs(1, gone)]


def test_an_offset_whose_neighbour_is_gone_is_a_lost_position() -> None:
    runs = make_runs(8)
    server = RunServer(runs, NOW, has_cursors=False)
    start = fetch(server.answer, RUNS, size=3)

    runs[2].updated_at = MONTH.until

    with pytest.raises(PositionLost, match="dag/run-3 is not at offset 3 any more"):
        fetch(server.answer, RUNS, start.next, size=3)


@pytest.mark.parametrize("has_cursors", [True, False])
def test_runs_without_a_stamp_are_found_by_when_they_were_due(has_cursors: bool) -> None:
    """Releases before 2.4 left updated_at empty: no filter on it finds those rows."""
    runs = make_runs(8)
    for run in (runs[1], runs[5], runs[6]):
        run.updated_at = None
    server = RunServer(runs, NOW, has_cursors=has_cursors)

    names = walk(server)

    assert names[:5] == ["run-1", "run-3", "run-4", "run-5", "run-8"]
    assert sorted(set(names)) == name_runs(1, 8)


def test_a_page_of_all_rows_is_not_the_page_of_stamped_ones_again() -> None:
    """Two pages that are the same in a row would end the walk: a list that does not advance."""
    runs = make_runs(4)
    runs[3].updated_at = None
    server = RunServer(runs, NOW)

    stamped = fetch(server.answer, RUNS, size=3)
    every = fetch(server.answer, RUNS, stamped.next, size=3)

    assert [r.dag_run_id for r in stamped.records] == [r.dag_run_id for r in every.records]
    assert stamped.marks != every.marks


def test_a_gap_whose_rows_are_all_stamped_costs_two_counts() -> None:
    server = RunServer(make_runs(3), NOW)

    fetch(server.answer, RUNS)

    assert [asked["limit"] for asked in server.requests] == ["100", "0", "0"]


def test_recent_rows_are_stamped_and_not_counted() -> None:
    server = RunServer(make_runs(3, NOW), NOW)

    fetch(server.answer, RUNS, gap=Gap(NOW - timedelta(minutes=10), NOW))

    assert [asked["limit"] for asked in server.requests] == ["100", "100"]


def test_more_unstamped_rows_than_one_walk_should_read_split_the_gap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(airflow.pages, "UNSTAMPED_ROWS_MAX", 5)
    server = RunServer(make_runs(8, None), NOW)

    with pytest.raises(GapTooLarge, match="8 rows without updated_at"):
        walk(server)

    day = Gap(MONTH.since, MONTH.since + timedelta(days=1))
    assert walk(server, day) == name_runs(1, 8)
