"""The Foundry dialect, checked against the reference's field and error tables."""

import random
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from etl.demo.history_foundry import UNIT_MS
from etl.demo.server import DemoSettings

from .conftest import NOW, World
from .shapes import FoundryError, FoundryExecution, FoundryPage

SETTINGS = DemoSettings(executions=2_000, end=NOW)
SINCE = NOW - timedelta(days=91)


def path_of(rid):
    return f"/foundry/api/v2/observability/resources/{rid}/listExecutions?preview=true"


def read_pages(client, rid, **body):
    """Each page of a list, by the API's own rule for paging."""
    body = {"startTime": SINCE.isoformat(), "endTime": NOW.isoformat()} | body
    pages = []
    while True:
        response = client.post(path_of(rid), json=body)
        assert response.status_code == 200, response.text
        pages.append(msgspec.json.decode(response.content, type=FoundryPage))
        if pages[-1].next_page_token is msgspec.UNSET:
            return pages
        body["pageToken"] = pages[-1].next_page_token


def read_all(client, rid, **body) -> list[FoundryExecution]:
    return [one for page in read_pages(client, rid, **body) for one in page.data or []]


def duration_ms(execution: FoundryExecution) -> int:
    return execution.duration.value * UNIT_MS[execution.duration.unit]


@pytest.fixture
def foundry(world: World):
    server = world.start(SETTINGS)
    client = world.client(server)
    return server.foundry.history, client, next(iter(server.foundry.history.streams))


def test_every_completed_execution_is_listed_once_newest_first(world: World) -> None:
    server = world.start(SETTINGS)
    client = world.client(server)
    total = 0
    for rid, stream in server.foundry.history.streams.items():
        listed = read_all(client, rid)

        starts = [one.start_time for one in listed]
        assert starts == sorted(starts, reverse=True)
        assert {one.resource_rid for one in listed} == {rid}
        keys = {(one.foundry_trace_id, one.trace_owning_rid, one.start_time) for one in listed}
        now_ms = NOW.timestamp() * 1_000
        completed = [i for i in stream.visible(NOW) if stream.completed_ms(i) <= now_ms]
        assert len(keys) == len(listed) == len(completed)
        total += len(listed)

    assert 1_990 <= total <= 2_000


def test_windows_are_half_open_and_tile(foundry) -> None:
    _, client, rid = foundry
    whole = read_all(client, rid)
    cut = whole[len(whole) // 2].start_time

    older = read_all(client, rid, endTime=cut.isoformat())
    newer = read_all(client, rid, startTime=cut.isoformat())

    assert newer + older == whole
    assert newer[-1].start_time == cut


def test_a_bound_inside_a_millisecond_is_exact(foundry) -> None:
    _, client, rid = foundry
    whole = read_all(client, rid)
    cut = whole[3].start_time

    newer = read_all(client, rid, startTime=(cut + timedelta(microseconds=1)).isoformat())

    assert newer == whole[:3]


def test_without_bounds_the_last_day_is_listed(foundry) -> None:
    _, client, rid = foundry
    whole = read_all(client, rid)

    body = client.post(path_of(rid), json={}).content

    page = msgspec.json.decode(body, type=FoundryPage)
    day = [one for one in whole if one.start_time >= NOW - timedelta(hours=24)]
    assert page.data == day
    assert day


def test_a_long_run_appears_behind_newer_ones_when_it_completes(world: World) -> None:
    server = world.start(DemoSettings(executions=20_000))
    client = world.client(server)
    rid = list(server.foundry.history.streams)[-1]
    before = read_all(client, rid)

    world.now = NOW + timedelta(hours=14)
    after = read_all(client, rid, endTime=world.now.isoformat())

    late = {one.foundry_trace_id for one in after if one.start_time < NOW}
    late -= {one.foundry_trace_id for one in before}
    assert late
    assert max(duration_ms(one) for one in after) > 3 * UNIT_MS["HOURS"]


def test_a_filter_selects_what_it_says(foundry) -> None:
    _, client, rid = foundry
    whole = read_all(client, rid)
    caller = next(one.caller_rid for one in whole if one.caller_rid is not msgspec.UNSET)
    cases = [
        ({"type": "eq", "field": "status", "value": "FAILED"}, lambda one: one.status == "FAILED"),
        (
            {"type": "gte", "field": "duration", "value": {"unit": "SECONDS", "value": 2}},
            lambda one: duration_ms(one) >= 2_000,
        ),
        (
            {"type": "lte", "field": "duration", "value": {"unit": "MILLISECONDS", "value": 900}},
            lambda one: duration_ms(one) <= 900,
        ),
        (
            {"type": "isNull", "field": "callerRid"},
            lambda one: one.caller_rid is msgspec.UNSET,
        ),
        (
            {
                "type": "or",
                "filters": [
                    {"type": "in", "field": "failureReason", "value": ["timeout", "internal"]},
                    {"type": "eq", "field": "callerRid", "value": caller},
                ],
            },
            lambda one: one.failure_reason in {"timeout", "internal"} or one.caller_rid == caller,
        ),
        (
            {
                "type": "and",
                "filters": [
                    {"type": "not", "filter": {"type": "eq", "field": "status", "value": "FAILED"}},
                    {"type": "eq", "field": "resourceVersion", "value": whole[0].resource_version},
                ],
            },
            lambda one: (
                one.status == "SUCCEEDED" and one.resource_version == whole[0].resource_version
            ),
        ),
    ]
    for where, matches in cases:
        wanted = [one for one in whole if matches(one)]

        assert read_all(client, rid, where=where, pageSize=9) == wanted, where
        assert 0 < len(wanted) < len(whole), where


def test_a_filter_by_user_works_though_users_are_not_shown(foundry) -> None:
    history, client, rid = foundry
    stream = history.streams[rid]
    user = next(filter(None, (stream.user_id(i) for i in stream.visible(NOW))))

    chosen = read_all(client, rid, where={"type": "eq", "field": "userId", "value": user})

    wanted = [index for index in stream.visible(NOW) if stream.user_id(index) == user]
    assert len(chosen) == len(wanted)


def test_a_page_may_be_empty_with_more_to_come(world: World) -> None:
    """A rare filter over many executions: the server stops looking before it finds a page full."""
    server = world.start(DemoSettings(executions=12_000, end=NOW))
    rid = next(iter(server.foundry.history.streams))
    where = {"type": "eq", "field": "foundryTraceId", "value": "no such trace"}

    pages = read_pages(world.client(server), rid, where=where)

    assert len(pages) == 4
    assert all(page.data is msgspec.UNSET for page in pages)


@pytest.mark.parametrize(
    "where",
    [
        {"type": "gte", "field": "status", "value": "FAILED"},
        {"type": "eq", "field": "status", "value": "RUNNING"},
        {"type": "eq", "field": "startTime", "value": "2026-01-01"},
        {"type": "eq", "field": "callerRid"},
        {"type": "eq", "field": "callerRid", "value": 7},
        {"type": "gte", "field": "duration", "value": {"unit": "DAYS", "value": 1}},
        {"type": "gte", "field": "duration", "value": {"unit": "SECONDS", "value": -1}},
        {"type": "gte", "field": "duration", "value": 5},
        {"type": "and", "filters": []},
        {"type": "not"},
        {"type": ["and"]},
        {"type": {}, "field": "status"},
        {"type": "eq", "field": ["status"], "value": "FAILED"},
        {"type": "eq", "field": "status", "value": []},
        {"type": "in", "field": "status", "value": [[]]},
        {"type": "gte", "field": "duration", "value": {"unit": [], "value": 1}},
        {"type": "gte", "field": "duration", "value": {"unit": "HOURS", "value": True}},
        {"field": "status"},
        "status",
        7,
    ],
)
def test_a_wrong_filter_is_an_invalid_argument(foundry, where) -> None:
    _, client, rid = foundry

    response = client.post(path_of(rid), json={"where": where})

    error = msgspec.json.decode(response.content, type=FoundryError)
    assert response.status_code == 400
    assert (error.error_code, error.error_name) == ("INVALID_ARGUMENT", "InvalidExecutionFilter")


def test_the_errors_of_the_reference_table(foundry) -> None:
    history, client, rid = foundry
    forbidden, missing = history.forbidden_rid, "ri.function-registry.main.function.missing"
    cases = [
        (path_of(forbidden), {}, 403, "PERMISSION_DENIED", "ListExecutionsPermissionDenied"),
        (path_of(missing), {}, 404, "NOT_FOUND", "ResourceNotFound"),
        (path_of(rid).partition("?")[0], {}, 400, "INVALID_ARGUMENT", "ApiFeaturePreviewUsageOnly"),
        (path_of(rid), {"pageSize": 101}, 400, "INVALID_ARGUMENT", "InvalidPageSize"),
        (path_of(rid), {"pageSize": "x"}, 400, "INVALID_ARGUMENT", "InvalidArgument"),
        (path_of(rid), {"startTime": "today"}, 400, "INVALID_ARGUMENT", "InvalidArgument"),
        (path_of(rid), {"pageToken": "v1.AAAA"}, 400, "INVALID_ARGUMENT", "InvalidPageToken"),
        (path_of(rid), {"pageToken": "v2.e30"}, 400, "INVALID_ARGUMENT", "InvalidPageToken"),
        ("/foundry/api/v2/datasets", {}, 404, "NOT_FOUND", "Default:NotFound"),
    ]
    for path, body, status, code, name in cases:
        response = client.post(path, json=body)

        error = msgspec.json.decode(response.content, type=FoundryError)
        assert (response.status_code, error.error_code, error.error_name) == (status, code, name)
    error = client.post(path_of(missing), json={}).json()
    assert error["parameters"] == {"resourceRid": missing}


def test_an_endpoint_that_is_not_enabled_is_an_empty_404(world: World) -> None:
    server = world.start(DemoSettings(executions=10, end=NOW, is_foundry_enabled=False))
    rid = next(iter(server.foundry.history.streams))

    response = world.client(server).post(path_of(rid), json={})

    assert (response.status_code, response.content) == (404, b"")


def test_a_token_belongs_to_the_request_it_was_made_for(foundry) -> None:
    _, client, rid = foundry
    bounds = {"startTime": SINCE.isoformat(), "endTime": NOW.isoformat()}
    token = client.post(path_of(rid), json=bounds).json()["nextPageToken"]

    other = client.post(
        path_of(rid), json=bounds | {"endTime": SINCE.isoformat(), "pageToken": token}
    )

    assert other.json()["errorName"] == "InvalidPageToken"


def test_times_without_a_zone_are_utc(foundry) -> None:
    _, client, rid = foundry
    body = {"startTime": "2026-11-20T00:00:00", "endTime": "2026-11-21T00:00:00"}

    listed = read_all(client, rid, **body)

    assert listed
    day = datetime(2026, 11, 20, tzinfo=UTC)
    assert all(day <= one.start_time < day + timedelta(days=1) for one in listed)


def test_any_window_holds_what_a_plain_search_finds(foundry) -> None:
    seed = random.randrange(10**6)
    generator = random.Random(seed)
    _, client, rid = foundry
    whole = read_all(client, rid)
    for _ in range(25):
        low, high = sorted(generator.uniform(0, 91 * 86_400) for _ in range(2))
        start, end = SINCE + timedelta(seconds=low), SINCE + timedelta(seconds=high)

        listed = read_all(client, rid, startTime=start.isoformat(), endTime=end.isoformat())

        wanted = [one for one in whole if start <= one.start_time < end]
        assert listed == wanted, f"seed {seed}, {start} to {end}"
