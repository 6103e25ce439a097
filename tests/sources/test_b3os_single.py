"""B3OS's events, and executions by their ids."""

import json

import httpx
import pytest

from etl.errors import ConfigError, PositionLost, SourceError
from etl.sources import b3os
from tests.sources.b3os_lab import (
    EXECUTIONS,
    RUNS,
    client_of,
    fetch,
    make_config,
    make_records,
    normalize,
    read_page,
    restore,
    serve,
)
from tests.sources.b3os_server import B3osServer, make_record


def test_events_are_child_rows_of_their_execution() -> None:
    server = B3osServer(read_page("list_last.json")["data"]["items"])
    server.events = {"exec_1": read_page("events.json")["data"]}

    page = fetch(server.answer, config=make_config(events=True))

    assert server.requests[1:] == ["/v1/executions/exec_2/events", "/v1/executions/exec_1/events"]
    empty, (rows,) = (b3os.flatten(record).children for record in page.records)
    assert empty == ([],)
    assert [restore(b3os.tables.EVENTS, row) | {"executionId": "exec_1"} for row in rows] == [
        normalize(event) | {"createdAt": b3os.records.parse_time(event["createdAt"])}
        for event in server.events["exec_1"]
    ]


def test_without_the_option_nobody_asks_for_events() -> None:
    server = B3osServer(make_records(3))

    page = fetch(server.answer)

    assert len(server.requests) == 1
    assert {b3os.flatten(record).children for record in page.records} == {()}


def test_events_may_be_left_out_where_there_are_none() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/events"):
            return httpx.Response(200, json={"code": 200, "message": "success"})
        return serve("list_last.json")(request)

    page = fetch(answer, config=make_config(events=True))

    assert [b3os.flatten(record).children for record in page.records] == [([],), ([],)]


def test_a_server_that_has_no_events_at_all_is_an_error() -> None:
    """The events that are stored would be written over with nothing."""

    def answer(request: httpx.Request) -> httpx.Response:
        is_list = request.url.path == "/v1/executions"
        return server.answer(request) if is_list else httpx.Response(404)

    server = B3osServer(make_records(3))

    with pytest.raises(SourceError, match="3 executions in a row are without their events"):
        fetch(answer, config=make_config(events=True))


def test_an_execution_that_is_deleted_before_its_events_are_read_is_kept() -> None:
    server = B3osServer(make_records(3))

    def delete(number: int) -> None:
        if number == 2:
            server.records = server.records[1:]

    server.before_answer = delete
    page = fetch(server.answer, config=make_config(events=True))

    assert [b3os.flatten(record).children for record in page.records] == [(), ([],), ([],)]


def test_an_unknown_field_of_an_event_is_kept_and_a_broken_event_quarantines_its_execution() -> (
    None
):
    server = B3osServer(make_records(2))
    server.events = {
        "exec_1": [{"id": "e", "createdAt": "2026-03-01T00:00:00Z", "actor": "a"}],
        "exec_0": [{"id": "e", "createdAt": "soon"}],
    }

    page = fetch(server.answer, config=make_config(events=True))

    assert [json.loads(extra) for extra in page.extras.values()] == [{"events[0].actor": "a"}]
    assert [broken.path for broken in page.broken] == ["$.events[0]"]


def test_a_single_execution_is_the_same_record_as_in_the_list() -> None:
    server = B3osServer(read_page("list_last.json")["data"]["items"])
    server.events = {"exec_1": read_page("events.json")["data"]}
    for config in (make_config(), make_config(events=True)):
        listed = fetch(server.answer, config=config)
        with client_of(server.answer) as client:
            single = b3os.fetch_record(client, config, EXECUTIONS, "exec_1")

        assert b3os.flatten(single.records[0]) == b3os.flatten(listed.records[1])
        assert single.marks == listed.marks[1:]


def test_the_documented_answer_for_a_single_execution_is_understood() -> None:
    with client_of(serve("execution.json")) as client:
        page = b3os.fetch_record(client, make_config(events=True), EXECUTIONS, "exec_1")

    flat = b3os.flatten(page.records[0])
    assert flat.row[0] == "exec_1"
    assert len(flat.children[0]) == 2


def test_an_id_is_one_segment_of_the_path() -> None:
    server = B3osServer([make_record(1) | {"id": "a/b?c"}])

    with client_of(server.answer) as client:
        with pytest.raises(PositionLost):
            b3os.fetch_record(client, make_config(), EXECUTIONS, "../runs")
        fetch(server.answer, config=make_config(events=True))

    assert server.requests[0] == "/v1/executions/..%2Fruns"
    assert server.requests[2] == "/v1/executions/a%2Fb%3Fc/events"


@pytest.mark.parametrize("status", [400, 404, 410])
def test_an_execution_that_is_not_there_is_a_lost_position(status: int) -> None:
    with (
        client_of(serve("error_400.json", status)) as client,
        pytest.raises(PositionLost),
    ):
        b3os.fetch_record(client, make_config(), EXECUTIONS, "exec_9")


def test_an_answer_without_an_execution_is_a_lost_position() -> None:
    body = {"code": 200, "data": {"execution": None, "events": None}}

    with (
        client_of(lambda request: httpx.Response(200, json=body)) as client,
        pytest.raises(PositionLost, match="there is no such execution"),
    ):
        b3os.fetch_record(client, make_config(events=True), EXECUTIONS, "exec_9")


def test_single_runs_cannot_be_retrieved() -> None:
    with (
        client_of(serve("runs.json")) as client,
        pytest.raises(ConfigError, match="cannot retrieve single runs"),
    ):
        b3os.fetch_record(client, make_config(runs=True), RUNS, "run_1")
