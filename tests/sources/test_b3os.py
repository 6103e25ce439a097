"""The B3OS source against answers in the form of its OpenAPI document, and a list that moves."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from etl.coverage import Progress
from etl.errors import ConfigError, CredentialsError, PositionLost, RequestRefused, SourceError
from etl.http import Client, open_client
from etl.records import EPOCH, Gap, Order, Page, SourceConfig, Stream
from etl.sources import b3os
from etl.sync.walk import PageLimit, Walker, walk_gap
from tests.budgets import RecordingBudget
from tests.sources.b3os_server import MIDNIGHT, B3osServer, Record, make_record

PAGES = Path(__file__).parent.parent / "pages" / "b3os"
WHOLE = Gap(EPOCH, MIDNIGHT + timedelta(days=30))
Answer = Callable[[httpx.Request], httpx.Response]


def read_page(name: str) -> Any:
    return json.loads((PAGES / name).read_text())


def serve(name: str, status: int = 200) -> Answer:
    return lambda request: httpx.Response(status, content=(PAGES / name).read_bytes())


def make_config(page_size: int = 100, **options: Any) -> SourceConfig:
    own = b3os.Options(**options)
    return SourceConfig("shop", "b3os", "http://b", "TOKEN", "t", own, page_size=page_size)


EXECUTIONS, RUNS = b3os.list_streams(make_config(runs=True))


@contextmanager
def client_of(answer: Answer, budget: RecordingBudget | None = None) -> Iterator[Client]:
    transport = httpx.MockTransport(answer)
    budget = budget or RecordingBudget()
    with open_client("shop", "http://b", "t", budget, transport=transport) as client:
        yield client


def fetch(
    answer: Answer,
    stream: Stream = EXECUTIONS,
    position: str | None = None,
    gap: Gap = WHOLE,
    config: SourceConfig | None = None,
) -> Page:
    with client_of(answer) as client:
        return b3os.fetch_page(client, config or make_config(), stream, gap, position)


def walk(server: B3osServer, gap: Gap = WHOLE, page_size: int = 10) -> tuple[set[str], Progress]:
    """The ids that the real loop reads from a gap, and what it claims to know then."""
    names: set[str] = set()
    with client_of(server.answer) as client:
        walker = Walker(b3os, client, make_config(page_size), client.budget, PageLimit())
        for step in walk_gap(walker, EXECUTIONS, gap):
            names |= {record.id for record in step.page.records}
    return names, step.progress


def make_records(count: int, order: Order = "descending") -> list[Record]:
    records = [make_record(n) for n in range(count)]
    return records[::-1] if order == "descending" else records


def name_records(first: int, last: int) -> set[str]:
    return {f"exec_{n}" for n in range(first, last + 1)}


# -- what comes


def restore(table: Any, row: tuple[Any, ...]) -> Record:
    """A row as the JSON object it was made of, without its nulls."""
    columns = [(msgspec_camel(column.name), column.type) for column in table.columns]
    return {
        name: json.loads(value) if kind == "JSON" else value
        for (name, kind), value in zip(columns, row, strict=True)
        if value is not None
    }


def msgspec_camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def normalize(record: Record) -> Record:
    """A record with its times as times."""
    return {
        name: datetime.fromisoformat(value) if name.endswith("At") else value
        for name, value in record.items()
    }


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


# -- envelopes


def test_the_envelope_of_the_introduction_is_understood() -> None:
    page = fetch(serve("list_other_envelope.json"))

    assert [record.id for record in page.records] == ["exec_2", "exec_1"]
    assert page.next is None


def test_an_empty_list_may_be_null() -> None:
    page = fetch(serve("list_empty.json"))

    assert (page.records, page.next) == ([], None)


def test_without_has_more_a_full_page_is_not_the_end() -> None:
    body = {"code": 200, "data": {"items": make_records(4)}}
    config = make_config(4)

    page = fetch(lambda request: httpx.Response(200, json=body), config=config)
    last = fetch(lambda request: httpx.Response(200, json=body))

    assert (page.next is None, last.next is None) == (False, True)


@pytest.mark.parametrize(
    "body", ["{}", '{"code":200,"data":{}}', '{"code":200,"data":null}', "[]", "<html>"]
)
def test_what_is_not_the_envelope_is_tried_again_and_fails(body: str) -> None:
    calls = []

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        return httpx.Response(200, text=body)

    with pytest.raises(SourceError, match="gave up after retries"):
        fetch(answer)

    assert len(calls) > 1


def test_a_failure_inside_http_200_is_a_failure_that_names_the_request() -> None:
    with pytest.raises(RequestRefused) as caught:
        fetch(serve("error_in_200.json"))

    assert str(caught.value) == (
        "shop: GET /v1/executions: failed inside HTTP 200, code 400228: invalid definition, abc-125"
    )
    assert caught.value.status == 400


def test_a_failure_inside_http_200_that_may_heal_is_tried_again() -> None:
    answers = [serve("busy_in_200.json"), serve("busy_in_200.json"), serve("list_last.json")]
    budget = RecordingBudget()

    with client_of(lambda request: answers.pop(0)(request), budget) as client:
        page = b3os.fetch_page(client, make_config(), EXECUTIONS, WHOLE, None)

    assert len(page.records) == 2
    assert len(budget.waits) == 2


def test_a_failure_inside_http_200_that_does_not_heal_is_an_error() -> None:
    with pytest.raises(SourceError, match="code 503001: try again later, abc-126; gave up"):
        fetch(serve("busy_in_200.json"))


@pytest.mark.parametrize("code", [401, 403, 401001, 403012])
def test_refused_credentials_inside_http_200_are_refused_credentials(code: int) -> None:
    body = {"code": code, "message": "no", "requestId": "r"}

    with pytest.raises(CredentialsError):
        fetch(lambda request: httpx.Response(200, json=body))


@pytest.mark.parametrize("code", [-1, 1, 42, 302])
def test_any_code_that_is_not_success_is_a_failure(code: int) -> None:
    body = {"code": code, "message": "no", "data": {"items": [], "hasMore": False}}

    with pytest.raises(SourceError, match=f"code {code}: no"):
        fetch(lambda request: httpx.Response(200, json=body))


@pytest.mark.parametrize("code", [None, 0, 200, 201, 200001])
def test_codes_of_success_are_no_failure(code: int | None) -> None:
    body = {"code": code, "data": {"items": [], "hasMore": False}}

    assert fetch(lambda request: httpx.Response(200, json=body)).records == []


def test_the_other_envelope_of_a_failure_is_understood() -> None:
    with pytest.raises(SourceError, match="no such organization, abc-127"):
        fetch(serve("other_error.json"))


def test_an_error_is_one_line_with_message_and_request() -> None:
    with pytest.raises(RequestRefused) as caught:
        fetch(serve("error_400.json", 400))

    assert str(caught.value) == "shop: GET /v1/executions: HTTP 400: invalid limit, abc-124"


def test_a_server_error_that_does_not_heal_keeps_its_message() -> None:
    """There is no smaller range to ask for, so nothing else explains it."""
    body = {"message": "boom", "requestId": "r-1"}

    with client_of(lambda request: httpx.Response(500, json=body)) as client:
        walker = Walker(b3os, client, make_config(), client.budget, PageLimit())
        with pytest.raises(SourceError, match="HTTP 500: boom, r-1; gave up after retries"):
            list(walk_gap(walker, EXECUTIONS, WHOLE))


def test_the_organization_is_named_in_a_header() -> None:
    headers = []

    def answer(request: httpx.Request) -> httpx.Response:
        headers.append(request.headers.get("x-org-id"))
        return serve("list_last.json")(request)

    fetch(answer)
    fetch(answer, config=make_config(org_id="org_1"))

    assert headers == [None, "org_1"]


@pytest.mark.parametrize("org_id", ["a\r\nX-Evil: 1", "org_1\n", "org 1", ""])
def test_an_organization_that_cannot_stand_in_a_header_is_refused(org_id: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"org_id": org_id}, b3os.Options)


# -- paging


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
    assert (progress.covered.since, progress.covered.until) == (gap.since, gap.until)  # type: ignore[union-attr]
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


# -- events and single executions


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

    row, children = b3os.flatten(page.records[0])
    assert row[0] == "exec_1"
    assert len(children[0]) == 2


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


# -- streams


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
