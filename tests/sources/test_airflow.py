"""The Airflow source against pages as three releases sent them."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from etl.errors import (
    CredentialsError,
    PositionLost,
    RequestRefused,
)
from etl.records import EPOCH, Stream
from etl.sources import airflow
from tests.sources.airflow_lab import (
    LISTS,
    NOW,
    RUNS,
    TASKS,
    fetch,
    make_runs,
    read_page,
)
from tests.sources.airflow_server import RunServer


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


def test_times_are_asked_for_in_utc_with_an_offset() -> None:
    """Airflow answers a time without an offset with 500, and a raw plus sign with 422."""
    east = datetime.fromisoformat("2026-09-01T02:30:00+02:30")

    assert airflow.pages.format_time(east) == "2026-09-01T00:00:00.000000Z"
    assert airflow.pages.format_time(EPOCH) == "1970-01-01T00:00:00.000000Z"
