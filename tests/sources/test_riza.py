"""The Riza source: pages, positions and anchors, and records that are not as documented."""

import json
from datetime import timedelta
from typing import Any

import httpx
import pytest

from etl.errors import CredentialsError, PositionLost, RequestRefused, SourceError
from etl.http import open_client
from etl.records import EPOCH, Gap, Mark, Order, Stream
from etl.sources import riza
from tests.budgets import RecordingBudget
from tests.sources.riza_account import (
    NOON,
    NOT_FOUND,
    Account,
    answer_json,
    list_ids,
    make_execution,
    make_history,
)
from tests.sources.riza_lab import (
    ALL,
    STREAM,
    client_of,
    fetch,
    make_config,
    read_page,
    walk,
)


def test_the_account_is_one_list_of_unknown_order() -> None:
    assert riza.list_streams(make_config()) == (
        Stream("executions", riza.tables.EXECUTIONS, timedelta(minutes=10)),
    )


def test_a_page_is_its_records_and_where_they_stand() -> None:
    account = Account(read_page("list.json")["data"][:3], now=NOON)

    page = fetch(account)

    assert list_ids(page.records) == [
        "01JM3JQFH1HW3SKDNEJTJJH740",
        "01JM3JQ7Z00000000000000A01",
        "01JM3JQ1Y00000000000000B01",
    ]
    assert [str(mark.time) for mark in page.marks] == [
        "2025-02-14 10:00:03.123000+00:00",
        "2025-02-14 09:59:55+00:00",
        "2025-02-14 09:59:49+00:00",
    ]
    assert page.served_at == NOON
    assert (page.broken, page.extras) == ((), {})


@pytest.mark.parametrize(("page_size", "limit"), [(2, "2"), (100, "100"), (1_000, "100")])
def test_a_page_is_as_large_as_asked_for_and_allowed(page_size: int, limit: str) -> None:
    limits = []

    def answer(request: httpx.Request) -> httpx.Response:
        limits.append(request.url.params["limit"])
        assert request.headers["authorization"] == "Bearer t0ken"
        return answer_json({"data": []})

    with open_client(
        "prod", "http://riza", "t0ken", RecordingBudget(), transport=httpx.MockTransport(answer)
    ) as client:
        riza.fetch_page(client, make_config(page_size), STREAM, ALL, None)

    assert limits == [limit]


@pytest.mark.parametrize(
    ("count", "asked"),
    [
        (0, ["head"]),
        (1, ["head", "head"]),
        (2, ["head", "after e2"]),
        (3, ["head", "after e1", "after e2"]),
        (4, ["head", "after e2", "after e2"]),
        (6, ["head", "after e4", "after e1", "after e2"]),
        (7, ["head", "after e5", "after e2", "after e2"]),
    ],
)
def test_a_walk_reads_each_page_once_and_makes_sure_of_the_end(
    count: int, asked: list[str]
) -> None:
    """The end is where the page behind the last but one holds just the last one."""
    account = Account(make_history(count))

    ids = walk(account, page_size=3)

    assert list(dict.fromkeys(ids)) == [f"e{n}" for n in range(count, 0, -1)]
    assert account.asked == asked


@pytest.mark.parametrize("is_ascending", [False, True])
def test_both_orders_are_walked_whole(is_ascending: bool) -> None:
    account = Account(make_history(11, is_ascending=is_ascending))

    ids = walk(account, page_size=4)

    numbers = range(1, 12) if is_ascending else range(11, 0, -1)
    assert list(dict.fromkeys(ids)) == [f"e{n}" for n in numbers]


def test_pages_shorter_than_asked_for_are_not_the_end() -> None:
    account = Account(make_history(11), limit_max=2)

    assert list(dict.fromkeys(walk(account, page_size=4))) == [f"e{n}" for n in range(11, 0, -1)]


def test_rows_added_behind_the_end_while_it_is_looked_for_are_read() -> None:
    account = Account(make_history(4, is_ascending=True))
    late = make_execution("e5", 5)

    def add(asked: str) -> None:
        if len(account.asked) == 3:
            account.records.append(late)

    account.before = add

    assert "e5" in walk(account, page_size=2)


@pytest.mark.parametrize("forgotten", ["refused", "empty"])
def test_an_execution_that_was_deleted_is_not_the_end_of_the_list(forgotten: Any) -> None:
    account = Account(make_history(9), forgotten)
    first = fetch(account, page_size=3)

    account.delete("e9", "e8", "e7")

    with pytest.raises(PositionLost):
        fetch(account, first.next, page_size=3)


def test_the_execution_before_a_deleted_one_still_stands() -> None:
    """A server that answers with an empty page hides that the last one is gone."""
    account = Account(make_history(9), "empty")
    first = fetch(account, page_size=3)

    account.delete("e7")

    assert list_ids(fetch(account, first.next, page_size=3).records) == ["e6", "e5", "e4"]


def make_gap(order: Order, *anchors: str) -> Gap:
    marks = [Mark(id, NOON + timedelta(minutes=int(id[1:]))) for id in anchors]
    return Gap(EPOCH, NOON, tuple(marks), order)


def test_a_walk_begins_behind_the_nearest_anchor() -> None:
    account = Account(make_history(9))

    page = fetch(account, gap=make_gap("descending", "e5", "e7"), page_size=2)

    assert list_ids(page.records) == ["e4", "e3"]
    assert account.asked == ["after e5"]


@pytest.mark.parametrize("order", ["descending", "ascending"])
@pytest.mark.parametrize("forgotten", ["refused", "empty", "ignored"])
def test_a_forgotten_anchor_leads_to_the_next_and_then_to_the_head(
    order: Order, forgotten: Any
) -> None:
    account = Account(make_history(9, is_ascending=order == "ascending"), forgotten)
    near, far = ("e5", "e7") if order == "descending" else ("e5", "e3")
    gap = make_gap(order, near, far)

    account.delete(near)
    behind = fetch(account, gap=gap, page_size=2)
    account.delete(far)
    head = fetch(account, gap=gap, page_size=2)

    is_down = order == "descending"
    assert list_ids(behind.records) == (["e6", "e4"] if is_down else ["e4", "e6"])
    assert list_ids(head.records) == (["e9", "e8"] if is_down else ["e1", "e2"])
    assert account.asked == [f"after {near}", f"after {far}"] * 2 + ["head"]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"started_at": "2026-03-01T12:00:00"}, "$.started_at"),
        ({"started_at": "yesterday"}, "$.started_at"),
        ({"started_at": None}, "$"),
        ({"duration": 2**63}, "$.duration"),
        ({"exit_code": 1.5}, "$.exit_code"),
        ({"details": {"request": {"limits": {"memory_size": -(2**63) - 1}}}}, None),
        ({"details": []}, "$.details"),
        ({"details": {"request": {"env": [{"value": "v"}]}}}, None),
        ({"details": {"request": {"args": [1]}}}, "$.details.request.args[0]"),
    ],
)
def test_one_broken_record_does_not_stop_its_page(fields: Any, path: str | None) -> None:
    broken = make_execution("e2", 2, **fields)
    account = Account([make_execution("e3", 3), broken, make_execution("e1", 1)])

    page = fetch(account)

    assert list_ids(page.records) == ["e3", "e1"]
    [found] = page.broken
    assert json.loads(found.raw) == broken
    assert found.error
    assert path is None or found.path == path
    assert page.next is not None


@pytest.mark.parametrize("record", [None, 5, [], "text", {}])
def test_what_is_no_record_is_broken(record: Any) -> None:
    account = Account([make_execution("e2", 2), record, make_execution("e1", 1)])

    page = fetch(account)

    assert list_ids(page.records) == ["e2", "e1"]
    assert [json.loads(broken.raw) for broken in page.broken] == [record]


def test_a_page_of_broken_records_is_passed() -> None:
    broken = [make_execution(f"b{n}", started_at="?") for n in (2, 1)]
    account = Account([*make_history(4)[:2], *broken, *make_history(4)[2:]])

    assert list(dict.fromkeys(walk(account, page_size=2))) == ["e4", "e3", "e2", "e1"]


def test_a_record_without_id_is_broken_and_the_walk_goes_on_behind_the_one_before() -> None:
    nameless = make_execution("e2", 2)
    del nameless["id"]
    account = Account([make_execution("e3", 3), nameless, make_execution("e1", 1)])

    ids = walk(account, page_size=2)

    assert set(ids) == {"e3", "e1"}
    assert account.asked[:2] == ["head", "after e3"]


def test_a_whole_page_without_ids_is_an_error() -> None:
    nameless = [{"started_at": "2026-03-01T12:00:00Z"}] * 2
    account = Account([*make_history(2), *nameless])

    with pytest.raises(SourceError, match="a whole page of records without an id"):
        walk(account, page_size=2)


def test_unknown_fields_are_kept_aside_wherever_they_are() -> None:
    record = make_execution("e1") | {"cost": 1.50, "tags": ["a"]}
    record["details"]["request"]["http"] = {"allow": [{"host": "h", "port": 1}]}
    record["details"]["response"]["new"] = {"b": 1, "a": [2]}
    account = Account([make_execution("e2"), record])

    page = fetch(account)

    assert list_ids(page.records) == ["e2", "e1"]
    assert {place: json.loads(extra) for place, extra in page.extras.items()} == {
        1: {
            "cost": 1.5,
            "tags": ["a"],
            "details.request.http.allow[0].port": 1,
            "details.response.new": {"b": 1, "a": [2]},
        }
    }


@pytest.mark.parametrize("id", ["a/b", "a b?c#d", "ünï", "100%", "x" * 300])
def test_one_execution_is_fetched_by_any_id(id: str) -> None:
    account = Account([], whole={id: make_execution(id, 3)})

    with client_of(account) as client:
        page = riza.fetch_record(client, make_config(), STREAM, id)

    assert account.asked == [f"get {id}"]
    assert page.marks == [Mark(id, NOON + timedelta(minutes=3))]
    assert page.next is None


def test_an_execution_that_is_not_there_is_a_lost_position() -> None:
    with client_of(Account([])) as client, pytest.raises(PositionLost, match="HTTP 404: not found"):
        riza.fetch_record(client, make_config(), STREAM, "e1")


def test_refused_credentials_are_told_in_the_words_of_the_api() -> None:
    account = Account([])
    body = read_page("unauthenticated.json")
    account.before = lambda asked: httpx.Response(401, json=body)

    with pytest.raises(CredentialsError, match=r"prod: GET /v1/executions: HTTP 401: unauthent"):
        fetch(account)


def test_a_refused_head_is_no_lost_position() -> None:
    account = Account([])
    account.before = lambda asked: NOT_FOUND

    with pytest.raises(RequestRefused):
        fetch(account)
