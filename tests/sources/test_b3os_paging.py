"""Walks through a B3OS list that moves while it is read."""

from datetime import timedelta

import httpx
import pytest

from etl.errors import PositionLost, SourceError
from etl.records import Gap, Order
from etl.sources import b3os
from etl.sync.walk import PageLimit, Walker, walk_gap
from tests.sources.b3os_lab import (
    EXECUTIONS,
    WHOLE,
    client_of,
    fetch,
    make_config,
    make_records,
    name_records,
    walk,
)
from tests.sources.b3os_server import MIDNIGHT, B3osServer, make_record


@pytest.mark.parametrize("order", ["descending", "ascending"])
def test_a_walk_reads_every_execution_and_pages_overlap(order: Order) -> None:
    server = B3osServer(make_records(100, order))

    names, progress = walk(server)

    assert names == name_records(0, 99)
    assert (progress.order, progress.is_over) == (order, True)
    assert len(server.requests) == 13


def test_a_list_in_no_order_is_read_to_its_end() -> None:
    records = make_records(50)
    records[3], records[40] = records[40], records[3]
    server = B3osServer(records)

    names, progress = walk(server)

    assert names == name_records(0, 49)
    assert (progress.order, progress.is_over) == ("unordered", True)


def test_nothing_new_costs_one_request() -> None:
    server = B3osServer(make_records(1_000))
    top = MIDNIGHT + timedelta(minutes=999)

    names, progress = walk(server, Gap(top - timedelta(hours=1), top, order="descending"), 100)

    assert len(server.requests) == 1
    assert names == name_records(900, 999)
    assert progress.is_over


def test_nothing_new_at_the_end_of_a_list_costs_two_requests_with_a_good_guess() -> None:
    server = B3osServer(make_records(1_000, "ascending"))
    top = MIDNIGHT + timedelta(minutes=999)
    gap = Gap(top - timedelta(hours=1), top, order="ascending", rank=939)

    names, progress = walk(server, gap, 100)

    assert len(server.requests) <= 2
    assert names >= name_records(939, 998)
    assert progress.is_over


@pytest.mark.parametrize("order", ["descending", "ascending"])
def test_a_gap_in_the_middle_is_found_without_reading_what_is_before(order: Order) -> None:
    server = B3osServer(make_records(10_000, order))
    since = MIDNIGHT + timedelta(minutes=5_000)
    gap = Gap(since, since + timedelta(minutes=300), order=order)

    names, progress = walk(server, gap, 100)

    assert names >= name_records(5_000, 5_299)
    assert (progress.covered.since, progress.covered.until) == (gap.since, gap.until)
    assert len(server.requests) <= 24
    assert sum(server.limits) < 1_000


@pytest.mark.parametrize("order", ["descending", "ascending"])
def test_many_executions_of_one_time_are_all_read(order: Order) -> None:
    records = [make_record(n, n // 40) for n in range(200)]
    server = B3osServer(records[::-1] if order == "descending" else records)

    names, _ = walk(server)

    assert names == name_records(0, 199)


def test_executions_that_are_created_while_the_list_is_walked_shift_nothing_away() -> None:
    records = make_records(100)

    def insert(number: int) -> None:
        for _ in range(number % 4 * 2):
            records.insert(0, make_record(1_000 + len(records)))

    names, _ = walk(B3osServer(records, before_answer=insert))

    assert names >= name_records(0, 99)


def test_executions_that_are_deleted_while_the_list_is_walked_pull_nothing_away() -> None:
    records = make_records(100)

    def delete(number: int) -> None:
        if number > 1:
            del records[: min(7, len(records) - 20)]

    names, _ = walk(B3osServer(records, before_answer=delete))

    assert names >= {record["id"] for record in records}


def test_when_the_last_rows_read_are_deleted_the_rest_is_sought_by_time() -> None:
    records = make_records(100)

    def delete(number: int) -> None:
        if number == 4:
            del records[20:60]

    names, progress = walk(B3osServer(records, before_answer=delete))

    assert names >= {record["id"] for record in records}
    assert progress.is_over


def test_a_position_that_is_nowhere_near_is_lost() -> None:
    server = B3osServer(make_records(100))
    position = fetch(server.answer, config=make_config(10)).next
    server.records = [make_record(n, 2_000) for n in range(500, 600)]

    with pytest.raises(PositionLost, match="shop/executions: nothing is where it was"):
        fetch(server.answer, position=position, config=make_config(10))


def test_a_list_that_became_empty_is_at_its_end() -> None:
    server = B3osServer(make_records(100))

    def clear(number: int) -> None:
        if number == 3:
            server.records.clear()

    server.before_answer = clear
    _, progress = walk(server)

    assert progress.is_over


def test_an_offset_that_the_api_does_not_take_ends_the_walk_with_advice() -> None:
    server = B3osServer(make_records(100), offset_max=50)

    with pytest.raises(SourceError, match=r"HTTP 400: invalid offset.* a later `since`"):
        walk(server)


def test_a_page_that_comes_again_is_an_error_and_not_an_endless_walk() -> None:
    server = B3osServer(make_records(100))
    first = server.answer(httpx.Request("GET", "http://b/v1/executions?limit=10&offset=0"))

    with client_of(lambda request: httpx.Response(200, content=first.content)) as client:
        walker = Walker(b3os, client, make_config(10), client.budget, PageLimit())
        with pytest.raises(SourceError, match="does not advance"):
            list(walk_gap(walker, EXECUTIONS, WHOLE))


def test_a_page_is_never_larger_than_the_api_allows_nor_too_small_to_get_ahead() -> None:
    server = B3osServer(make_records(20))

    walk(server, page_size=1_000)
    walk(server, page_size=1)

    assert max(server.limits) == 100
    assert min(server.limits) == 4


def test_a_server_that_gives_less_than_asked_for_is_read_to_its_end() -> None:
    server = B3osServer(make_records(100), limit_max=20)

    names, _ = walk(server, page_size=100)

    assert names == name_records(0, 99)


def test_broken_records_do_not_hide_where_the_next_page_begins() -> None:
    records = make_records(40)
    records[9] = records[9] | {"status": 1}
    records[8] = records[8] | {"createdAt": "soon"}
    records[7] = {"createdAt": records[7]["createdAt"]}
    records[18:21] = [{"id": 1}, {}, "?"]

    names, _ = walk(B3osServer(records))

    lost = {f"exec_{39 - n}" for n in (7, 8, 9, 18, 19, 20)}
    assert names == name_records(0, 39) - lost


def test_a_whole_page_without_an_id_is_an_error() -> None:
    with pytest.raises(SourceError, match="a whole page of records without an id"):
        walk(B3osServer([{"createdAt": "2026-03-01T00:00:00Z"}] * 30))
