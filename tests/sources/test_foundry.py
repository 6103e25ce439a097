"""The Foundry source against pages in the form of its reference, and a list with page tokens."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from etl.errors import (
    ConfigError,
    CredentialsError,
    GapTooLarge,
    PositionLost,
    RequestRefused,
    SourceError,
)
from etl.http import Client, open_client
from etl.records import Gap, Page, SourceConfig, Stream
from etl.sources import foundry
from etl.sync.walk import PageLimit, Walker, walk_gap
from tests.budgets import RecordingBudget
from tests.sources.foundry_server import OWNER, RID, FoundryServer, make_record

PAGES = Path(__file__).parent.parent / "pages" / "foundry"
START = datetime(2024, 9, 25, tzinfo=UTC)
DAY = Gap(START, START + timedelta(days=1), order="descending")
CALLER = "ri.workshop.main.module.f1e2d3c4-b5a6-7890-1234-567890abcdef"
Answer = Callable[[httpx.Request], httpx.Response]


def read_page(name: str) -> Any:
    return json.loads((PAGES / name).read_text())


def serve(name: str, status: int = 200) -> Answer:
    return lambda request: httpx.Response(status, content=(PAGES / name).read_bytes())


def make_config(
    page_size: int = 100, where: dict[str, Any] | None = None, rids: tuple[str, ...] = (RID,)
) -> SourceConfig:
    options = foundry.Options(resources=rids, where=where)
    return SourceConfig(
        "prod", "foundry", "http://f", "TOKEN", "t", options, START, page_size=page_size
    )


def find_stream(config: SourceConfig) -> Stream:
    return foundry.list_streams(config)[0]


@contextmanager
def client_of(answer: Answer) -> Iterator[Client]:
    transport = httpx.MockTransport(answer)
    with open_client("prod", "http://f", "t", RecordingBudget(), transport=transport) as client:
        yield client


def fetch(
    answer: Answer,
    position: str | None = None,
    gap: Gap = DAY,
    config: SourceConfig | None = None,
) -> Page:
    config = config or make_config()
    with client_of(answer) as client:
        return foundry.fetch_page(client, config, find_stream(config), gap, position)


def walk(answer: Answer, gap: Gap = DAY, page_size: int = 3) -> list[Page]:
    """The pages of a gap as the real loop reads them."""
    config = make_config(page_size)
    with client_of(answer) as client:
        walker = Walker(foundry, client, config, client.budget, PageLimit())
        return [step.page for step in walk_gap(walker, find_stream(config), gap)]


def name_traces(pages: list[Page]) -> list[str]:
    return [record.foundry_trace_id for page in pages for record in page.records]


def make_records(count: int) -> list[dict[str, Any]]:
    return [make_record(n, START + timedelta(minutes=n)) for n in range(count)]


# -- what is asked


def test_a_gap_is_asked_for_with_both_bounds_to_the_microsecond() -> None:
    server = FoundryServer([])
    gap = Gap(START + timedelta(microseconds=1), START + timedelta(seconds=1, microseconds=20))

    fetch(server.answer, gap=gap)

    assert server.requests == [
        {
            "startTime": "2024-09-25T00:00:00.000001Z",
            "endTime": "2024-09-25T00:00:01.000020Z",
            "pageSize": 100,
        }
    ]


def test_the_resource_is_one_segment_of_the_path_and_preview_is_asked_for() -> None:
    paths = []

    def answer(request: httpx.Request) -> httpx.Response:
        paths.append((request.method, request.url.raw_path.decode()))
        return httpx.Response(200, json={})

    fetch(answer)

    path = f"/api/v2/observability/resources/{RID}/listExecutions?preview=true"
    assert paths == [("POST", path)]


def test_the_filter_is_passed_on_with_every_page_beside_the_token() -> None:
    where = {"type": "eq", "field": "status", "value": "FAILED"}
    server = FoundryServer(make_records(3))
    config = make_config(2, where)

    page = fetch(server.answer, config=config)
    fetch(server.answer, page.next, config=config)

    first, second = server.requests
    assert first["where"] == where
    assert second == first | {"pageToken": second["pageToken"]}


def test_a_page_is_never_larger_than_the_api_allows() -> None:
    server = FoundryServer([])

    fetch(server.answer, config=make_config(500))

    assert server.requests[0]["pageSize"] == 100


# -- streams


def test_each_resource_is_a_list_of_its_own() -> None:
    other = RID.replace("c26f", "d37f")

    streams = foundry.list_streams(make_config(rids=(RID, other)))

    assert [stream.name for stream in streams] == [RID, other]
    assert {(s.order, s.is_windowed, s.lookback, s.window) for s in streams} == {
        ("descending", True, timedelta(hours=24), timedelta(days=30))
    }


def test_a_filtered_list_has_a_name_and_so_a_coverage_of_its_own() -> None:
    failed = {"type": "eq", "field": "status", "value": "FAILED"}
    same = {"value": "FAILED", "field": "status", "type": "eq"}

    names = [find_stream(make_config(where=w)).name for w in (None, failed, same)]
    other = find_stream(make_config(where=failed | {"value": "SUCCEEDED"})).name

    assert names[0] == RID
    assert names[1] == names[2]
    assert names[1].startswith(f"{RID}?where=")
    assert len({*names, other}) == 3


# -- what comes


def test_every_field_of_a_page_is_in_a_column() -> None:
    rows = [
        foundry.flatten(record).row
        for name in ("list_first.json", "list_last.json")
        for record in fetch(serve(name)).records
    ]

    noon = datetime(2024, 9, 25, 17, 29, 35, 974_000, tzinfo=UTC)
    first = "1f168a0f-8f5a-648c-8ce4-21d9f1ce17c2"
    second = "2a168a0f-8f5a-648c-8ce4-21d9f1ce17c3"
    version = "1.2.0"
    assert rows[:2] == [
        (RID, first, OWNER, noon, version, "SUCCEEDED", "timeout", 30, "SECONDS", 30_000, CALLER),
        (RID, second, OWNER, noon, version, "FAILED", "invalid_parameter", 1250, "MILLISECONDS",
         1250, CALLER),
    ]  # fmt: skip
    assert [row[3:4] + row[7:] for row in rows[2:]] == [
        (datetime(2024, 9, 25, 16, tzinfo=UTC), 2, "MINUTES", 120_000, None),
        (datetime(2024, 9, 25, 9, 15, 0, 500_000, tzinfo=UTC), 3, "HOURS", 10_800_000, None),
        (START - timedelta(microseconds=1), 2, "DAYS", 172_800_000, None),
        (START - timedelta(hours=2), 1, "WEEKS", 604_800_000, None),
        (START - timedelta(hours=3), 1, "MONTHS", None, None),
        (START - timedelta(hours=4), 1, "YEARS", None, None),
    ]


def test_marks_are_the_natural_key_and_the_start() -> None:
    page = fetch(serve("list_first.json"))

    assert page.marks[2].id == (
        f"{RID}/3b168a0f-8f5a-648c-8ce4-21d9f1ce17c4/{OWNER}/2024-09-25T16:00:00.000000Z"
    )
    assert page.marks[2].time == datetime(2024, 9, 25, 16, tzinfo=UTC)


def test_a_row_has_a_value_for_each_column() -> None:
    record = fetch(serve("list_last.json")).records[0]

    assert len(foundry.flatten(record).row) == len(foundry.tables.EXECUTIONS.columns)


def test_a_duration_too_long_to_be_counted_in_milliseconds_keeps_value_and_unit() -> None:
    huge = make_record(1, START, duration={"value": 2**62, "unit": "WEEKS"})

    page = fetch(lambda request: httpx.Response(200, json={"data": [huge]}))

    assert foundry.flatten(page.records[0]).row[7:10] == (2**62, "WEEKS", None)


def test_a_newer_api_loses_nothing_and_stops_nothing() -> None:
    body = read_page("list_newer_api.json")

    page = fetch(serve("list_newer_api.json"))

    rows = [foundry.flatten(record).row for record in page.records]
    assert [row[4:10] for row in rows] == [
        ("1.2.0", "CANCELLED", None, 7, "FORTNIGHTS", None),
        (None, None, None, 1, "SECONDS", 1_000),
    ]
    assert {n: json.loads(extra) for n, extra in page.extras.items()} == {
        0: {"userId": "u-17"},
        1: {"duration.precision": "exact"},
    }
    assert [json.loads(broken.raw) for broken in page.broken] == body["data"][2:]
    assert [broken.path for broken in page.broken] == [
        "$", "$.startTime", "$.startTime", "$.duration.value",
    ]  # fmt: skip


# -- paging


def test_a_walk_reads_each_execution_once_newest_first() -> None:
    server = FoundryServer(make_records(8))

    pages = walk(server.answer)

    assert name_traces(pages) == [f"trace-{n}" for n in reversed(range(8))]
    assert len(server.requests) == 3
    assert pages[-1].next is None


def test_a_page_without_data_but_with_a_token_is_not_the_end() -> None:
    server = FoundryServer(make_records(8), every_other_is_empty=True)

    pages = walk(server.answer)

    assert name_traces(pages) == [f"trace-{n}" for n in reversed(range(8))]
    assert fetch(serve("list_without_data.json")).next is not None
    assert fetch(serve("list_empty.json")).next is None


@pytest.mark.parametrize("status", [400, 404, 410])
def test_a_refused_token_is_a_lost_position_and_a_refused_first_page_is_not(status: int) -> None:
    position = fetch(serve("list_first.json")).next
    answer = serve("error_400_filter.json", status)

    with pytest.raises(PositionLost):
        fetch(answer, position)
    with pytest.raises(RequestRefused):
        fetch(answer)


def test_after_an_expired_token_only_the_rest_of_the_gap_is_asked_for() -> None:
    server = FoundryServer(make_records(8), expired=frozenset({3}))

    pages = walk(server.answer)

    assert sorted(set(name_traces(pages))) == [f"trace-{n}" for n in range(8)]
    again = server.requests[3]
    assert "pageToken" not in again
    assert again["startTime"] == "2024-09-25T00:00:00.000000Z"
    # The sixth row is at 00:02: its minute is read again, for it may hold more of them.
    assert again["endTime"] == "2024-09-25T00:02:00.000001Z"


def test_many_executions_of_one_time_are_read_across_page_boundaries() -> None:
    server = FoundryServer([make_record(n, START) for n in range(10)], expired=frozenset({3}))

    pages = walk(server.answer, page_size=4)

    assert sorted(set(name_traces(pages))) == sorted(f"trace-{n}" for n in range(10))


def test_a_token_that_comes_again_is_an_error_and_not_an_endless_walk() -> None:
    with pytest.raises(SourceError, match="does not advance"):
        walk(serve("list_first.json"), Gap(DAY.since, DAY.until, order="descending"))


# -- two executions under one key


def test_executions_that_nothing_tells_apart_are_reported_and_the_first_is_kept() -> None:
    twins = [make_record(1, START), make_record(1, START, status="FAILED"), make_record(2, START)]

    page = fetch(lambda request: httpx.Response(200, json={"data": twins}))

    assert [record.status for record in page.records] == ["SUCCEEDED", "SUCCEEDED"]
    assert [json.loads(broken.raw) for broken in page.broken] == [twins[1]]
    assert "same resource, trace, owner and start time" in page.broken[0].error


def test_twins_on_two_pages_are_reported_too() -> None:
    twins = [make_record(1, START), make_record(1, START, callerRid=CALLER)]
    server = FoundryServer(twins)

    pages = walk(server.answer, page_size=1)

    assert [len(page.records) for page in pages] == [1, 0]
    assert [json.loads(broken.raw) for broken in pages[1].broken] == [twins[1]]


def test_twins_with_an_empty_page_between_them_are_reported_too() -> None:
    twins = [make_record(1, START), make_record(1, START, callerRid=CALLER)]
    server = FoundryServer(twins, every_other_is_empty=True)

    pages = walk(server.answer, page_size=1)

    assert [json.loads(broken.raw) for page in pages for broken in page.broken] == [twins[1]]


def test_twins_that_only_a_new_field_tells_apart_are_reported_with_that_field() -> None:
    twins = [make_record(1, START, executionId="a"), make_record(1, START, executionId="b")]

    page = fetch(lambda request: httpx.Response(200, json={"data": twins}))

    assert [json.loads(extra) for extra in page.extras.values()] == [{"executionId": "a"}]
    assert [json.loads(broken.raw) for broken in page.broken] == [twins[1]]


def test_one_execution_listed_twice_is_not_reported() -> None:
    twice = [make_record(1, START), make_record(1, START)]

    page = fetch(lambda request: httpx.Response(200, json={"data": twice}))

    assert (len(page.records), page.broken) == (2, [])


def test_executions_of_one_trace_at_different_times_are_two() -> None:
    two = [make_record(1, START + timedelta(seconds=1)), make_record(1, START)]

    page = fetch(lambda request: httpx.Response(200, json={"data": two}))

    assert len({mark.id for mark in page.marks}) == 2
    assert page.broken == []


# -- errors


@pytest.mark.parametrize(
    ("page", "status", "kind", "words"),
    [
        ("error_400_filter.json", 400, RequestRefused, "InvalidExecutionFilter"),
        ("error_403_permission.json", 403, CredentialsError, "ListExecutionsPermissionDenied"),
        (
            "error_403_resource.json",
            403,
            CredentialsError,
            "ListExecutionsResourcePermissionDenied",
        ),
        ("error_404_resource.json", 404, RequestRefused, "ResourceNotFound"),
    ],
)
def test_an_error_is_one_line_with_its_name_and_instance(
    page: str, status: int, kind: type[Exception], words: str
) -> None:
    instance = read_page(page)["errorInstanceId"]

    with pytest.raises(kind) as caught:
        fetch(serve(page, status))

    assert str(caught.value) == (
        f"prod: POST /api/v2/observability/resources/{RID}/listExecutions: "
        f"HTTP {status}: {words}, {instance}"
    )


def test_a_404_without_a_body_says_that_the_endpoint_is_not_enabled() -> None:
    with pytest.raises(SourceError, match="HTTP 404: the endpoint is not enabled on this Foundry"):
        fetch(lambda request: httpx.Response(404))


def test_a_refusal_that_the_server_does_not_want_retried_is_not() -> None:
    calls = []

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        return httpx.Response(429, headers={"QoS-Retry-Hint": "do-not-retry"})

    with pytest.raises(SourceError):
        fetch(answer)

    assert len(calls) == 1


def test_a_window_that_keeps_failing_is_too_large() -> None:
    with pytest.raises(GapTooLarge):
        fetch(lambda request: httpx.Response(504))


def test_single_executions_cannot_be_retrieved() -> None:
    config = make_config()
    with (
        client_of(lambda request: httpx.Response(200)) as client,
        pytest.raises(ConfigError, match="cannot retrieve single executions"),
    ):
        foundry.fetch_record(client, config, find_stream(config), "x")


# -- options


def test_the_filter_of_the_reference_is_accepted() -> None:
    seconds = {"unit": "SECONDS", "value": 10}
    where = {
        "type": "and",
        "filters": [
            {"type": "eq", "field": "status", "value": "FAILED"},
            {"type": "gte", "field": "duration", "value": seconds},
            {"type": "lte", "field": "duration", "value": {"unit": "HOURS", "value": 0}},
            {"type": "or", "filters": [
                {"type": "in", "field": "failureReason", "value": ["timeout", "internal"]},
                {"type": "not", "filter": {"type": "isNull", "field": "callerRid"}},
            ]},
        ],
    }  # fmt: skip

    foundry.check_config(make_config(where=where))


@pytest.mark.parametrize(
    ("where", "fault"),
    [
        ({}, "where.type: expected one of eq, in, gte, lte, isNull, not, and, or"),
        ({"type": "like"}, "where.type: expected one of"),
        ({"type": "eq", "field": "status"}, "where.value: missing"),
        (
            {"type": "isNull", "field": "userId", "value": 1},
            "where.value: isNull has no such key",
        ),
        ({"type": "eq", "field": "region", "value": "x"}, "where.field: expected one of status"),
        ({"type": "gte", "field": "status", "value": "x"}, "where.type: status takes eq, in only"),
        ({"type": "isNull", "field": "status"}, "where.type: status takes eq, in only"),
        (
            {"type": "eq", "field": "status", "value": "RUNNING"},
            "where.value: expected SUCCEEDED or FAILED",
        ),
        ({"type": "in", "field": "userId", "value": "u"}, "where.value: expected a list"),
        ({"type": "in", "field": "userId", "value": []}, "where.value: expected a list"),
        ({"type": "in", "field": "userId", "value": ["u", 1]}, "where.value: expected a list"),
        ({"type": "eq", "field": "userId", "value": 1}, "where.value: expected a text"),
        (
            {"type": "gte", "field": "duration", "value": 5},
            "where.value: expected a table with value and unit",
        ),
        (
            {"type": "gte", "field": "duration", "value": {"value": -1, "unit": "SECONDS"}},
            "where.value.value: expected a whole number",
        ),
        (
            {"type": "gte", "field": "duration", "value": {"value": 1, "unit": "DAYS"}},
            "where.value.unit: expected one of MILLISECONDS",
        ),
        ({"type": "and", "filters": []}, "where.filters: expected a list"),
        (
            {"type": "or", "filters": [{"type": "not", "filter": {"type": "eq"}}]},
            "where.filters[0].filter.field: missing",
        ),
        ({"type": "not", "filter": "x"}, "where.filter: expected a table"),
    ],
)
def test_a_filter_that_the_api_would_refuse_is_refused_with_its_place(
    where: dict[str, Any], fault: str
) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        foundry.check_config(make_config(where=where))

    assert str(caught.value).startswith(fault)


def test_a_filter_nested_without_end_is_refused() -> None:
    where: dict[str, Any] = {"type": "isNull", "field": "userId"}
    for _ in range(1_000):
        where = {"type": "not", "filter": where}

    with pytest.raises(ValueError, match="nested more than 20 deep"):
        foundry.check_config(make_config(where=where))


@pytest.mark.parametrize(
    ("rids", "fault"),
    [
        (("c26f11c8",), "resources[0]: expected a RID"),
        ((RID, "ri.a.b.c.d/../e"), "resources[1]: expected a RID"),
        ((RID, RID), "resources[1]: the same resource"),
    ],
)
def test_resources_are_rids_and_stand_there_once(rids: tuple[str, ...], fault: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        foundry.check_config(make_config(rids=rids))

    assert str(caught.value).startswith(fault)


def test_a_history_without_a_beginning_is_refused() -> None:
    """It would be walked in 690 windows back to 1970, for each of the resources."""
    with pytest.raises(ValueError, match=r"^since: missing; expected the time where the history"):
        foundry.check_config(replace(make_config(), since=None))


def test_a_source_without_resources_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"resources": []}, foundry.Options)
