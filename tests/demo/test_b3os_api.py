"""The B3OS dialect, checked against its OpenAPI document and by counting."""

from collections import Counter
from datetime import timedelta

import msgspec
import pytest

from etl.demo.faults import Faults
from etl.demo.history_b3os import FINAL_STATUSES
from etl.demo.server import DemoSettings

from .conftest import NOW, World
from .shapes import B3osError, EventsEnvelope, ExecutionsEnvelope, OneEnvelope, RunsEnvelope

SMALL = DemoSettings(executions=450, end=NOW)


def read_list(client, path, shape, limit=100, most=1_000_000, **query):
    """All items of a list, or `most` of them, by the API's own rule for paging."""
    items = []
    while True:
        params = {"limit": limit, "offset": len(items)} | query
        response = client.get(path, params=params)
        assert response.status_code == 200, response.text
        page = msgspec.json.decode(response.content, type=shape).data
        assert (page.limit, page.offset) == (limit, len(items))
        items += page.items
        if not page.has_more or len(items) >= most:
            return items


def read_executions(client, **keywords):
    return read_list(client, "/b3os/v1/executions", ExecutionsEnvelope, **keywords)


def read_runs(client, **keywords):
    return read_list(client, "/b3os/v1/runs", RunsEnvelope, **keywords)


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_offsets_tile_the_list_in_both_orders(serve, order) -> None:
    client = serve(DemoSettings(executions=450, end=NOW, b3os_order=order))

    listed = read_executions(client, limit=90)

    created = [one.created_at for one in listed]
    assert created == sorted(created, reverse=order == "newest")
    assert len({one.id for one in listed}) == 450
    assert read_executions(client, limit=7) == listed


def test_an_offset_behind_the_end_is_an_empty_page(serve) -> None:
    client = serve(SMALL)
    for offset in (450, 451, 10_000):
        data = client.get("/b3os/v1/executions", params={"offset": offset}).json()["data"]

        assert data == {"hasMore": False, "items": [], "limit": 20, "offset": offset}


def test_a_single_execution_is_one_level_deeper_and_has_its_events(serve) -> None:
    client = serve(SMALL)
    for listed in read_executions(client)[::25]:
        body = client.get(f"/b3os/v1/executions/{listed.id}").content
        events = client.get(f"/b3os/v1/executions/{listed.id}/events").content

        one = msgspec.json.decode(body, type=OneEnvelope).data
        assert one.execution == listed
        assert one.events == msgspec.json.decode(events, type=EventsEnvelope).data
        assert one.events[-1].data["status"] == listed.status or len(one.events) > 1
        assert {event.execution_id for event in one.events} == {listed.id}


def test_new_executions_shift_the_offsets(world: World) -> None:
    server = world.start(DemoSettings(executions=450))
    client = world.client(server)
    before = [one.id for one in read_executions(client)]

    world.now += timedelta(days=1)
    after = [one.id for one in read_executions(client)]

    assert after[-450:] == before
    assert len(after) > 450


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_deleted_executions_shift_the_offsets(world: World, order) -> None:
    server = world.start(DemoSettings(executions=450, end=NOW, b3os_order=order))
    client = world.client(server)
    ids = [one.id for one in read_executions(client)]
    gone = {*ids[:3], *ids[98:103], ids[200], ids[-1]}

    assert all(server.b3os.delete(identity) for identity in gone)
    left = [identity for identity in ids if identity not in gone]

    assert [one.id for one in read_executions(client, limit=1)][:5] == left[:5]
    assert [one.id for one in read_executions(client, limit=30)] == left
    assert client.get(f"/b3os/v1/executions/{ids[0]}").status_code == 404


def test_executions_move_on_with_the_clock_until_they_are_final(world: World) -> None:
    server = world.start(DemoSettings(executions=20_000))
    client = world.client(server)
    before = {one.id: one for one in read_executions(client, most=300)}
    world.now += timedelta(days=3)
    after = {one.id: one for one in read_executions(client, most=1_500)}

    moved = [one for one in before.values() if after[one.id] != one]
    assert moved
    assert all(after[one.id].updated_at > one.updated_at for one in moved)
    assert all(after[identity].status in FINAL_STATUSES for identity in before)
    assert any(one.status in FINAL_STATUSES for one in moved), "none was opened again"


def test_statistics_are_what_counting_the_list_gives(serve) -> None:
    client = serve(SMALL)
    since = NOW - timedelta(days=40)
    listed = [one for one in read_executions(client) if since <= one.created_at < NOW]
    bounds = {"from": int(since.timestamp() * 1_000), "to": int(NOW.timestamp() * 1_000)}

    data = client.get("/b3os/v1/executions/stats", params=bounds | {"granularity": "daily"}).json()[
        "data"
    ]

    counts = Counter(one.status for one in listed)
    assert {row["status"]: row["count"] for row in data["statuses"]} == counts
    assert data["summary"]["total"] == len(listed)
    assert data["summary"]["failed"] == counts["workflow_failed"]
    days = Counter(f"{one.created_at:%Y-%m-%dT00:00:00Z}" for one in listed)
    assert {row["bucketStart"]: row["total"] for row in data["timeSeries"]} == days
    systems = Counter(one.source_system for one in listed)
    assert {row["sourceSystem"]: row["total"] for row in data["sourceSystems"]} == systems
    failed = [one.id for one in listed if one.status == "workflow_failed"]
    assert [row["executionId"] for row in data["recentFailures"]] == failed[:10]
    runs_ms = [
        (one.finished_at - one.started_at) / timedelta(milliseconds=1)
        for one in listed
        if one.finished_at and one.started_at
    ]
    assert data["summary"]["averageDurationMs"] == pytest.approx(sum(runs_ms) / len(runs_ms))


def test_runs_are_those_of_the_executions_and_scheduled_ones(serve) -> None:
    client = serve(SMALL)
    listed = read_executions(client)

    runs = read_runs(client, limit=33)

    by_id = {run.id: run for run in runs}
    started = [one for one in listed if one.started_at]
    assert len(by_id) == len(runs)
    assert {one.run_id for one in started} <= by_id.keys()
    for one in started:
        run = by_id[one.run_id]
        assert (run.workflow_id, run.started_at, run.finished_at) == (
            one.workflow_id,
            one.started_at,
            one.finished_at,
        )
    scheduled = {run.id for run in runs} - {one.run_id for one in started}
    assert {by_id[identity].trigger_source for identity in scheduled} == {"schedule"}


def test_runs_that_have_not_started_are_not_listed(world: World) -> None:
    server = world.start(DemoSettings(executions=40_000))
    client = world.client(server)
    history = server.b3os.history
    now_ms = int(world.now.timestamp() * 1_000)
    wanted = []
    for index in reversed(server.b3os.visible(world.now)):
        started_ms = history.facts(index).run_started_ms
        if started_ms is None or started_ms <= now_ms:
            wanted.append(index)
        if len(wanted) == 60:
            break
    hidden = wanted[0] - wanted[-1] - 59

    data = client.get("/b3os/v1/runs", params={"limit": 60}).content
    tail = client.get("/b3os/v1/runs", params={"limit": 20, "offset": 40}).json()["data"]["items"]

    runs = msgspec.json.decode(data, type=RunsEnvelope).data.items
    assert [run.workflow_version for run in runs] == [1 + i // 5_000 % 40 for i in wanted]
    assert [run["id"] for run in tail] == [run.id for run in runs[40:]]
    assert hidden > 0


def test_runs_can_be_filtered_by_status(serve) -> None:
    client = serve(SMALL)
    every = read_runs(client)

    for status, count in Counter(run.status for run in every).items():
        chosen = read_runs(client, status=status, limit=9)
        assert chosen == [run for run in every if run.status == status]
        assert len(chosen) == count


@pytest.mark.parametrize(
    "path",
    [
        "/executions?limit=101",
        "/executions?limit=0",
        "/executions?offset=-1",
        "/runs?limit=x",
        "/runs?status=done",
        "/executions/stats?granularity=weekly",
        "/executions/stats?from=x",
    ],
)
def test_wrong_parameters_are_refused(serve, path) -> None:
    response = serve(SMALL).get("/b3os/v1" + path)

    assert response.status_code == 400
    assert msgspec.json.decode(response.content, type=B3osError).code == 400


@pytest.mark.parametrize(
    "path", ["/executions/exec_none", "/executions/exec_01JM3JQFH1HW3SKDNEJTJJH740/events", "/x"]
)
def test_what_is_not_there_is_not_found(serve, path) -> None:
    client = serve(SMALL)

    response = client.get("/b3os/v1" + path)

    assert response.status_code == 404
    assert msgspec.json.decode(response.content, type=B3osError).code == 404
    assert client.post("/b3os/v1/executions").status_code == 404


def test_an_envelope_can_say_failure_inside_status_200(serve) -> None:
    client = serve(DemoSettings(executions=10, end=NOW, faults=Faults(script={1: "soft_error"})))

    response = client.get("/b3os/v1/executions")

    assert response.status_code == 200
    assert response.json()["code"] == 500_228
    assert "data" not in response.json()
    assert response.json()["requestId"]
