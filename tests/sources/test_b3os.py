"""The B3OS source against answers in the form of its OpenAPI document."""

import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from etl.records import Stream
from etl.sources import b3os
from tests.sources.b3os_lab import (
    EXECUTIONS,
    RUNS,
    fetch,
    make_config,
    normalize,
    read_page,
    restore,
    serve,
)


@pytest.mark.parametrize(("name", "stream"), [("list_last.json", EXECUTIONS), ("runs.json", RUNS)])
def test_every_field_of_a_record_is_in_a_column(name: str, stream: Stream) -> None:
    items = read_page(name)["data"]["items"]

    page = fetch(serve(name), stream)

    rows = [b3os.flatten(record).row for record in page.records]
    assert [restore(stream.table, row) for row in rows] == [normalize(item) for item in items]
    assert (page.extras, page.broken, page.next) == ({}, (), None)


def test_marks_are_the_id_and_the_creation() -> None:
    page = fetch(serve("list_last.json"))

    assert page.marks == [
        ("exec_2", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        ("exec_1", datetime(2026, 3, 1, 9, tzinfo=UTC)),
    ]


def test_a_run_is_placed_by_its_start() -> None:
    page = fetch(serve("runs.json"), RUNS)

    assert page.marks[0] == ("run_2", datetime(2026, 3, 1, 10, 0, 2, tzinfo=UTC))


def test_a_newer_api_loses_nothing_and_stops_nothing() -> None:
    items = read_page("list_newer_api.json")["data"]["items"]

    page = fetch(serve("list_newer_api.json"))

    rows = [restore(b3os.tables.EXECUTIONS, b3os.flatten(record).row) for record in page.records]
    assert [row["id"] for row in rows] == ["exec_2", "exec_1"]
    assert rows[0]["status"] == "workflow_paused"
    assert not {"startedAt", "finishedAt"} & rows[0].keys()
    assert {n: json.loads(extra) for n, extra in page.extras.items()} == {0: {"region": "eu-1"}}
    assert [json.loads(broken.raw) for broken in page.broken] == items[2:]
    assert [broken.path for broken in page.broken] == [
        "$", "$.createdAt", "$.finishedAt", "$.updatedAt", "$.status", "$",
    ]  # fmt: skip


def test_only_documented_statuses_keep_an_execution_open() -> None:
    assert b3os.tables.EXECUTIONS.open_when == (
        "status IN ('awaiting_payment', 'payment_confirmed', 'workflow_queued', "
        "'workflow_running', 'workflow_waiting')"
    )
    assert b3os.tables.RUNS.open_when == "status IN ('running', 'waiting')"


@pytest.mark.parametrize(
    ("text", "time"),
    [
        (None, None),
        ("", None),
        ("0001-01-01T00:00:00Z", None),
        ("2026-03-01T10:00:00+02:00", datetime(2026, 3, 1, 8, tzinfo=UTC)),
        ("2026-03-01T10:00:00.123456789Z", datetime(2026, 3, 1, 10, 0, 0, 123_456, tzinfo=UTC)),
    ],
)
def test_times_are_read_as_utc(text: str | None, time: datetime | None) -> None:
    assert b3os.records.parse_time(text) == time


@pytest.mark.parametrize("text", ["soon", "2026-03-01T10:00:00", "9999-12-31T23:59:59-14:00"])
def test_what_is_not_a_moment_is_not_a_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        b3os.records.parse_time(text)


def test_runs_are_a_second_list_if_asked_for() -> None:
    assert [s.name for s in b3os.list_streams(make_config())] == ["executions"]
    assert [s.name for s in b3os.list_streams(make_config(runs=True))] == ["executions", "runs"]
    assert {(s.order, s.is_windowed, s.lookback) for s in (EXECUTIONS, RUNS)} == {
        (None, False, timedelta(hours=1))
    }


def test_each_list_has_its_address() -> None:
    paths = []

    def answer(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.raw_path.decode())
        return serve("list_empty.json")(request)

    fetch(answer)
    fetch(answer, RUNS)

    assert paths == ["/v1/executions?limit=100&offset=0", "/v1/runs?limit=100&offset=0"]
