"""The Airflow source against recorded pages, and against a list whose rows move."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from etl.budget import start_budget
from etl.errors import (
    ConfigError,
    CredentialsError,
    GapTooLarge,
    PositionLost,
    RequestRefused,
    SourceError,
)
from etl.http import Client, open_client
from etl.records import EPOCH, TICK, Gap, Page, SourceConfig, Stream
from etl.sources import airflow
from tests.sources.airflow_server import Run, RunServer

PAGES = Path(__file__).parent.parent / "pages" / "airflow"
LISTS = [
    path
    for path in sorted(PAGES.glob("*s_*.json"))
    if json.loads(path.read_text()).get("dag_runs")
    or (json.loads(path.read_text()).get("task_instances") and "tries" not in path.name)
]
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MONTH = Gap(datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 10, 1, tzinfo=UTC))
Answer = Callable[[httpx.Request], httpx.Response]


def read_page(name: str) -> Any:
    return json.loads((PAGES / name).read_text())


def make_config(page_size: int = 100) -> SourceConfig:
    return SourceConfig("prod", "airflow", "http://airflow", "TOKEN", "t", page_size=page_size)


RUNS, TASKS = airflow.list_streams(make_config())


@contextmanager
def client_of(answer: Answer) -> Iterator[Client]:
    with open_client(
        "prod", "http://airflow", "t", start_budget(None), transport=httpx.MockTransport(answer)
    ) as client:
        yield client


def fetch(
    answer: Answer, stream: Stream, position: str | None = None, gap: Gap = MONTH, size: int = 100
) -> Page:
    with client_of(answer) as client:
        return airflow.fetch_page(client, make_config(size), stream, gap, position)


def walk(server: RunServer, gap: Gap = MONTH, size: int = 3) -> list[str]:
    """The ids of all records of a gap, page by page, as they came."""
    names, position = [], None
    while True:
        page = fetch(server.answer, RUNS, position, gap, size)
        names += [mark.id.removeprefix("dag/") for mark in page.marks]
        if page.next is None:
            return names
        position = page.next


def make_runs(count: int, updated_at: datetime | None = MONTH.since) -> list[Run]:
    return [Run(n, updated_at, MONTH.since) for n in range(1, count + 1)]


def name_runs(first: int, last: int) -> list[str]:
    return [f"run-{n}" for n in range(first, last + 1)]


# -- recorded pages


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.stem)
def test_every_field_of_a_recorded_page_is_in_a_column(path: Path) -> None:
    body = json.loads(path.read_text())
    stream = RUNS if "dag_runs" in body else TASKS

    page = fetch(lambda request: httpx.Response(200, json=body), stream)

    assert [restore(stream, airflow.flatten(record).row) for record in page.records] == [
        normalize(record) for record in body[stream.name]
    ]
    assert (page.extras, page.broken) == ({}, ())
    assert page.total == body["total_entries"]


def restore(stream: Stream, row: tuple[Any, ...]) -> dict[str, Any]:
    """A row as the JSON object it was made of, without its nulls."""
    columns = stream.table.columns
    return {
        column.name.removesuffix("_s"): json.loads(value) if column.type == "JSON" else value
        for column, value in zip(columns, row, strict=True)
        if value is not None
    }


def normalize(record: dict[str, Any]) -> dict[str, Any]:
    """A record without its nulls, its own times as times."""
    times = {c.name for t in airflow.TABLES for c in t.columns if c.type == "TIMESTAMPTZ"}
    return {
        name: datetime.fromisoformat(value) if name in times else value
        for name, value in record.items()
        if value is not None
    }


def test_records_are_named_by_what_retrieves_them() -> None:
    body = read_page("task_instances_mapped.json")

    page = fetch(lambda request: httpx.Response(200, json=body), TASKS)

    assert sorted(mark.id for mark in page.marks) == [
        "etl_live_mapped/mapped-rec/handle/0",
        "etl_live_mapped/mapped-rec/handle/1",
        "etl_live_mapped/mapped-rec/handle/2",
        "etl_live_mapped/mapped-rec/list_parts/-1",
    ]


def test_a_cleared_run_has_the_key_of_the_run_it_was() -> None:
    """Its task instances have too, though each of them got a new id."""
    key = slice(0, 2)
    failed, cleared = read_page("dag_run_failed.json"), read_page("dag_runs_cleared.json")
    tasks = [read_page(f"task_instances_{name}.json") for name in ("failed", "cleared")]

    before = fetch(lambda request: httpx.Response(200, json={"dag_runs": [failed]}), RUNS)
    after = fetch(lambda request: httpx.Response(200, json=cleared), RUNS)
    pages = [fetch(lambda request, b=b: httpx.Response(200, json=b), TASKS) for b in tasks]

    rows = [airflow.flatten(page.records[0]).row for page in (before, after)]
    assert rows[0][key] == rows[1][key]
    assert [row[4] for row in rows] == ["failed", "queued"]
    names = [{mark.id for mark in page.marks} for page in pages]
    assert names[0] == names[1]
    assert not {r.id for r in pages[0].records} & {r.id for r in pages[1].records}


# -- how a list is asked for


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


# -- servers without cursors


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


# -- rows without a stamp


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


# -- what is refused


@pytest.mark.parametrize("name", ["error_400_cursor.json", "error_400_cursor_shape.json"])
def test_a_refused_cursor_is_a_lost_position(name: str) -> None:
    start = fetch(RunServer(make_runs(8), NOW).answer, RUNS, size=3)

    with pytest.raises(PositionLost, match=r"HTTP 400: (Invalid cursor|Cursor token)"):
        fetch(lambda request: httpx.Response(400, json=read_page(name)), RUNS, start.next)


def test_a_refused_first_page_is_not_a_lost_position() -> None:
    body = read_page("error_404_path.json")

    with pytest.raises(RequestRefused, match="HTTP 404: API route not found") as caught:
        fetch(lambda request: httpx.Response(404, json=body), RUNS)

    assert not isinstance(caught.value, PositionLost)


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_token_is_refused_credentials(status: int) -> None:
    body = read_page(f"error_{status}.json")

    with pytest.raises(CredentialsError, match=f"HTTP {status}: "):
        fetch(lambda request: httpx.Response(status, json=body), RUNS)


def test_a_field_of_a_later_release_is_kept_aside() -> None:
    body = read_page("dag_runs_cursor_first.json")
    body["dag_runs"][1]["priority"] = {"level": 3}

    page = fetch(lambda request: httpx.Response(200, json=body), RUNS)

    assert len(page.records) == 2
    assert page.extras == {1: b'{"priority":{"level":3}}'}


@pytest.mark.parametrize("has_cursors", [True, False])
def test_a_broken_record_is_set_aside_and_the_walk_goes_on(has_cursors: bool) -> None:
    body = read_page("dag_runs_offset_first.json")
    body["dag_runs"][1]["start_date"] = "yesterday"
    if not has_cursors:
        del body["next_cursor"]
    else:
        body["next_cursor"] = "kQI"

    page = fetch(lambda request: httpx.Response(200, json=body), RUNS)

    assert [mark.id for mark in page.marks] == ["etl_live_work/long-rec"]
    assert [broken.path for broken in page.broken] == ["$.start_date"]
    assert page.next is not None


def test_a_number_beyond_its_column_breaks_its_record_and_not_the_batch() -> None:
    body = read_page("task_instances_cursor_first.json")
    body["task_instances"][0]["pid"] = 2**63

    page = fetch(lambda request: httpx.Response(200, json=body), TASKS)

    assert len(page.records) == len(body["task_instances"]) - 1
    assert [broken.path for broken in page.broken] == ["$.pid"]


# -- one record


@pytest.mark.parametrize(
    ("stream", "record_id", "path", "page"),
    [
        (
            RUNS,
            "etl/manual__2026-11-23T22:52:18+00:00",
            "/api/v2/dags/etl/dagRuns/manual__2026-11-23T22%3A52%3A18%2B00%3A00",
            "dag_run_failed.json",
        ),
        (
            TASKS,
            "etl/a/b/work/-1",
            "/api/v2/dags/etl/dagRuns/a%2Fb/taskInstances/work",
            "task_instance_single.json",
        ),
        (
            TASKS,
            "etl/mapped/handle/2",
            "/api/v2/dags/etl/dagRuns/mapped/taskInstances/handle/2",
            "task_instance_mapped_single.json",
        ),
    ],
)
def test_one_record_is_retrieved_by_its_id(
    stream: Stream, record_id: str, path: str, page: str
) -> None:
    asked: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.raw_path)
        return httpx.Response(200, json=read_page(page))

    with client_of(answer) as client:
        found = airflow.fetch_record(client, make_config(), stream, record_id)

    assert asked == [path.encode()]
    assert [r.dag_run_id for r in found.records] == [read_page(page)["dag_run_id"]]
    assert found.next is None


@pytest.mark.parametrize("name", ["error_404_run.json", "error_404_mapped.json"])
def test_a_record_the_api_does_not_have_is_lost(name: str) -> None:
    with (
        client_of(lambda request: httpx.Response(404, json=read_page(name))) as client,
        pytest.raises(PositionLost, match="HTTP 404: "),
    ):
        airflow.fetch_record(client, make_config(), RUNS, "etl/run")


@pytest.mark.parametrize(
    ("stream", "record_id"),
    [(RUNS, "etl"), (RUNS, "/run"), (TASKS, "etl/run"), (TASKS, "etl/run/task/")],
)
def test_an_id_of_another_form_is_a_wrong_command(stream: Stream, record_id: str) -> None:
    with (
        client_of(lambda request: httpx.Response(500)) as client,
        pytest.raises(ConfigError, match="is not of the form dag/run"),
    ):
        airflow.fetch_record(client, make_config(), stream, record_id)


# -- times


def test_times_are_asked_for_in_utc_with_an_offset() -> None:
    """Airflow answers a time without an offset with 500, and a raw plus sign with 422."""
    east = datetime.fromisoformat("2026-09-01T02:30:00+02:30")

    assert airflow.pages.format_time(east) == "2026-09-01T00:00:00.000000Z"
    assert airflow.pages.format_time(EPOCH) == "1970-01-01T00:00:00.000000Z"
