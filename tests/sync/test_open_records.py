"""Executions that still run when they leave the lookback: read by id while few, else by a walk."""

from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from etl.coverage import Interval
from etl.records import EPOCH, SourceConfig
from etl.sources import b3os
from tests.sources.b3os_server import MIDNIGHT, B3osServer, make_record
from tests.sync.passes import Bench, open_bench

DAY = timedelta(days=1)
RUNNING = {"status": "workflow_running"}


@pytest.fixture
def server() -> B3osServer:
    """300 executions within five hours, newest first; those of the first two minutes still run."""
    records = [make_record(n, **(RUNNING if n < 2 else {})) for n in range(300)]
    return B3osServer(records[::-1])


@pytest.fixture
def bench(server: B3osServer) -> Iterator[Bench]:
    """The server's list is known as it was a day after."""
    config = SourceConfig("prod", "b3os", "http://b", "TOKEN", "t", b3os.Options())
    transport = httpx.MockTransport(server.answer)
    with open_bench(b3os.TABLES, transport=transport, now=MIDNIGHT + DAY) as bench:
        bench.configs = [config]
        bench.sync_well()
        server.requests.clear()
        bench.now += timedelta(minutes=5)
        yield bench


def read_statuses(bench: Bench) -> dict[str, int]:
    sql = "SELECT status, count(*) FROM b3os.executions WHERE gone_at IS NULL GROUP BY 1"
    return dict(bench.read(sql))


def change(server: B3osServer, number: int, status: str) -> None:
    place = len(server.records) - 1 - number
    server.records[place] = server.records[place] | {"status": status}


def test_a_few_open_executions_are_read_by_id_until_they_are_final(
    bench: Bench, server: B3osServer
) -> None:
    change(server, 0, "workflow_failed")

    bench.sync_well()
    first = list(server.requests)
    bench.sync_well()

    head = "/v1/executions?limit=100&offset=0"
    assert first == [head, "/v1/executions/exec_0", "/v1/executions/exec_1"]
    assert server.requests[3:] == [head, "/v1/executions/exec_1"]
    assert read_statuses(bench) == {
        "workflow_succeeded": 298, "workflow_running": 1, "workflow_failed": 1,
    }  # fmt: skip


def test_many_open_executions_are_reached_by_a_walk(bench: Bench, server: B3osServer) -> None:
    for number in range(60):
        change(server, number, "workflow_running")
    bench.sync_well(is_full=True)
    server.requests.clear()
    for number in range(60):
        change(server, number, "workflow_succeeded")

    bench.sync_well()

    by_id = [path for path in server.requests if "exec_" in path]
    assert by_id == [f"/v1/executions/exec_{n}" for n in range(50)], "the oldest of them"
    assert len(server.requests) - len(by_id) == 3, "pages down to the 51st of them"
    assert read_statuses(bench) == {"workflow_succeeded": 300}


def test_an_execution_that_was_deleted_while_it_ran_is_asked_for_just_once_more(
    bench: Bench, server: B3osServer
) -> None:
    del server.records[-1]

    bench.sync_well()
    server.requests.clear()
    bench.sync_well()

    assert "/v1/executions/exec_0" not in server.requests
    assert bench.read("SELECT id FROM b3os.executions WHERE gone_at IS NOT NULL") == [("exec_0",)]


def test_a_server_that_knows_nothing_by_its_id_does_not_make_open_executions_gone(
    bench: Bench, server: B3osServer
) -> None:
    for number in range(5):
        change(server, number, "workflow_running")
    bench.sync_well(is_full=True)

    def answer(request: httpx.Request) -> httpx.Response:
        is_list = request.url.path == "/v1/executions"
        return server.answer(request) if is_list else httpx.Response(404)

    bench.transport = httpx.MockTransport(answer)
    bench.sync_well()
    for number in range(5):
        change(server, number, "workflow_failed")
    bench.transport = httpx.MockTransport(server.answer)
    bench.sync_well()

    assert read_statuses(bench) == {"workflow_succeeded": 295, "workflow_failed": 5}


def test_one_that_seemed_gone_and_is_listed_again_is_looked_after_as_before(
    bench: Bench, server: B3osServer
) -> None:
    gone = server.records.pop()
    bench.sync_well()
    server.records.append(gone)

    bench.sync_well(is_full=True)

    assert bench.read("SELECT count(*) FROM b3os.executions WHERE gone_at IS NOT NULL") == [(0,)]


def test_one_that_the_server_cannot_show_stops_neither_the_others_nor_the_history(
    bench: Bench, server: B3osServer
) -> None:
    bench.write_ledger(Interval(MIDNIGHT + DAY / 8, MIDNIGHT + DAY))
    change(server, 1, "workflow_succeeded")

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("exec_0"):
            return httpx.Response(500)
        return server.answer(request)

    bench.transport = httpx.MockTransport(answer)
    [result] = bench.sync()

    assert [str(error) for error in result.errors] == [
        "prod: GET /v1/executions/exec_0: HTTP 500; gave up after retries"
    ]
    assert read_statuses(bench) == {"workflow_succeeded": 299, "workflow_running": 1}
    assert bench.ledger() == (Interval(EPOCH, bench.now),)


def test_an_execution_that_is_retried_within_the_lookback_is_open_again(
    bench: Bench, server: B3osServer
) -> None:
    server.records.insert(0, make_record(300, 24 * 60 + 1, status="workflow_failed"))
    bench.sync_well()
    server.records[0] = server.records[0] | {"status": "workflow_running"}

    bench.sync_well()
    bench.now += DAY
    server.records[0] = server.records[0] | {"status": "workflow_succeeded"}
    bench.sync_well()

    assert bench.read("SELECT status FROM b3os.executions WHERE id = 'exec_300'") == [
        ("workflow_succeeded",)
    ]
