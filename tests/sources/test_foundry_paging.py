"""Page tokens of Foundry, and executions that nothing tells apart."""

import json
from datetime import timedelta

import httpx
import pytest

from etl.errors import (
    PositionLost,
    RequestRefused,
    SourceError,
)
from etl.records import Gap
from tests.sources.foundry_lab import (
    CALLER,
    DAY,
    START,
    fetch,
    make_records,
    name_traces,
    serve,
    walk,
)
from tests.sources.foundry_server import FoundryServer, make_record


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
