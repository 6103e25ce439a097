"""The Foundry source against pages in the form of its reference."""

import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from etl.errors import (
    ConfigError,
    CredentialsError,
    GapTooLarge,
    RequestRefused,
    SourceError,
)
from etl.records import Gap
from etl.sources import foundry
from tests.sources.foundry_lab import (
    CALLER,
    START,
    client_of,
    fetch,
    find_stream,
    make_config,
    make_records,
    read_page,
    serve,
)
from tests.sources.foundry_server import OWNER, RID, FoundryServer, make_record


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
