"""The server as a server: authentication, connections, headers, limits, stopping."""

import gzip
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import msgspec
import pytest

from etl.demo.cache import CHUNK_SIZE, Chunk, ChunkCache
from etl.demo.server import DemoSettings, start_server

from .conftest import NOW, World
from .shapes import B3osError, FoundryError, RizaStatus

LIST = "/riza/v1/executions"
SMALL = DemoSettings(executions=300, end=NOW)


def exchange(server, data: bytes) -> bytes:
    """Everything that comes back for these bytes, until the server closes."""
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


@pytest.mark.parametrize("given", [None, "Bearer wrong", "demo-token", "Bearer démo".encode()])
def test_a_wrong_token_gets_401_in_the_words_of_the_platform(world: World, given) -> None:
    server = world.start(SMALL)
    headers = {} if given is None else {"Authorization": given}
    with httpx.Client(base_url=server.base_url, headers=headers) as client:
        riza, b3os = client.get(LIST), client.get("/b3os/v1/executions")
        foundry = client.post("/foundry/api/v2/observability/resources/x/listExecutions", json={})

    assert {riza.status_code, b3os.status_code, foundry.status_code} == {401}
    assert msgspec.json.decode(riza.content, type=RizaStatus).message == "unauthenticated"
    assert msgspec.json.decode(b3os.content, type=B3osError).code == 401
    assert msgspec.json.decode(foundry.content, type=FoundryError).error_code == "UNAUTHORIZED"
    assert server.requests.total() == 0


def test_the_date_header_is_the_servers_clock(world: World) -> None:
    server = world.start(DemoSettings(executions=10))
    client = world.client(server)

    first = client.get(LIST).headers["Date"]
    world.now = datetime(2027, 2, 3, 4, 5, 6, 789_000, tzinfo=UTC)
    second = client.get(LIST).headers["Date"]

    assert first == "Tue, 24 Nov 2026 12:00:00 GMT"
    assert second == "Wed, 03 Feb 2027 04:05:06 GMT"


def test_a_connection_serves_many_requests(world: World) -> None:
    server = world.start(SMALL)
    request = f"GET {LIST}?limit=1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer demo-token\r\n\r\n"

    received = exchange(server, request.encode() * 3)

    assert received.count(b"HTTP/1.1 200 OK\r\n") == 3
    assert server.requests == {"riza.list": 3}


@pytest.mark.parametrize(
    "head", [f"GET {LIST} HTTP/1.1\r\nConnection: close", f"GET {LIST} HTTP/1.0\r\nX: y"]
)
def test_a_connection_closes_when_the_client_wants_it(world: World, head) -> None:
    server = world.start(SMALL)
    request = f"{head}\r\nAuthorization: Bearer demo-token\r\n\r\n".encode()

    received = exchange(server, request * 2)

    assert received.count(b"HTTP/1.1 200 OK\r\n") == 1
    assert b"Connection: close\r\n" in received


@pytest.mark.parametrize(
    "data",
    [
        b"hello\r\n\r\n",
        b"GET / SPDY/3\r\n\r\n",
        b"POST /x HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"POST /x HTTP/1.1\r\nContent-Length: 2000000\r\n\r\n",
        b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 101 + b"\r\n",
        b"\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: ²\r\n\r\n".encode("latin-1"),
    ],
)
def test_what_is_no_request_is_answered_with_400_and_closed(world: World, data) -> None:
    received = exchange(world.start(SMALL), data)

    assert received.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"Connection: close\r\n" in received


def test_only_the_platforms_asked_for_are_served(serve) -> None:
    client = serve(DemoSettings(platforms=("b3os",), executions=10, end=NOW))

    assert client.get("/b3os/v1/executions").status_code == 200
    missing = client.get(LIST)
    assert (missing.status_code, missing.text) == (404, "served here: /b3os")


def test_answers_are_compressed_only_when_both_sides_want_it(world: World) -> None:
    plain, packed = (
        world.start(SMALL),
        world.start(DemoSettings(executions=300, end=NOW, gzip=True)),
    )
    request = f"GET {LIST} HTTP/1.0\r\nAuthorization: Bearer demo-token\r\n"
    asking = (request + "Accept-Encoding: gzip, br\r\n\r\n").encode()

    head, _, body = exchange(packed, asking).partition(b"\r\n\r\n")
    plain_body = exchange(plain, asking).partition(b"\r\n\r\n")[2]
    unasked_body = exchange(packed, (request + "\r\n").encode()).partition(b"\r\n\r\n")[2]

    assert b"Content-Encoding: gzip" in head
    assert f"Content-Length: {len(body)}".encode() in head
    assert gzip.decompress(body) == plain_body == unasked_body
    assert len(body) < len(plain_body) / 2


def test_threads_are_served_at_once_and_counted_exactly(world: World) -> None:
    server = world.start(DemoSettings(executions=2_000, end=NOW))
    history = server.riza.history
    ids = [history.execution_id(index) for index in history.visible(NOW)[::10]]

    def fetch(part: int) -> list[str]:
        headers = {"Authorization": "Bearer demo-token"}
        with httpx.Client(base_url=server.base_url, headers=headers) as client:
            wanted = ids[part::4]
            return [client.get(f"{LIST}/{identity}").json()["id"] for identity in wanted]

    with ThreadPoolExecutor(4) as pool:
        fetched = [identity for part in pool.map(fetch, range(4)) for identity in part]

    assert sorted(fetched) == ids
    assert server.requests == {"riza.get": 200}
    assert len(server.recent_requests) == 200


def test_the_last_requests_can_be_looked_at(world: World) -> None:
    server = world.start(SMALL)
    world.client(server).get(LIST, params={"limit": "5", "starting_after": "x"})

    assert server.recent_requests == ["GET riza/v1/executions?limit=5&starting_after=x"]


def test_it_is_served_on_loopback_only() -> None:
    with pytest.raises(ValueError, match="loopback"):
        start_server(SMALL, now=lambda: NOW, host="0.0.0.0")


def test_a_taken_port_is_an_error(world: World) -> None:
    server = world.start(SMALL)

    with pytest.raises(OSError, match="in use"):
        start_server(SMALL, now=lambda: NOW, port=server.port)


def test_stopping_closes_connections_that_are_kept_alive(world: World) -> None:
    server = world.start(SMALL)
    client = world.client(server)
    client.get(LIST)

    server.stop()

    with pytest.raises(httpx.HTTPError):
        client.get(LIST)
    names = {thread.name for thread in threading.enumerate()}
    assert not any(name.startswith("demo-") for name in names)


def test_what_was_visible_at_the_start_stays_while_the_server_runs(world: World) -> None:
    server = world.start(DemoSettings(executions=300))
    first = server.riza.visible(world.now)

    world.now += timedelta(days=5)

    later = server.riza.visible(world.now)
    assert later.start == first.start
    assert later.stop > first.stop


def test_the_demo_needs_nothing_else_of_the_program() -> None:
    script = (
        "import sys; before = set(sys.modules); import etl.demo.server;"
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}));"
        "print(*sorted(name for name in sys.modules if name.startswith('etl')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        check=True,
        text=True,
    )
    packages, modules = done.stdout.splitlines()

    # msgspec takes typing_extensions where it is installed.
    allowed = sys.stdlib_module_names | {"etl", "msgspec", "typing_extensions"}
    outside = set(packages.split()) - allowed
    assert not {name for name in outside if not name.startswith("_")}
    assert all(name == "etl" or name.startswith("etl.demo") for name in modules.split())


def test_a_cache_forgets_what_was_used_longest_ago() -> None:
    rendered: list[int] = []

    def render(indexes: range, now_ms: int) -> Chunk[int]:
        rendered.append(indexes.start // CHUNK_SIZE)
        return Chunk(tuple(indexes))

    cache = ChunkCache(render, records_max=2 * CHUNK_SIZE)
    wanted = range(CHUNK_SIZE - 2, CHUNK_SIZE + 3)

    assert cache.take(wanted, 0) == list(wanted)
    assert cache.take(range(5), 0) == list(range(5))
    assert cache.take(range(2 * CHUNK_SIZE, 2 * CHUNK_SIZE + 1), 0) == [2 * CHUNK_SIZE]
    assert cache.take(range(1), 0) == [0]
    assert cache.take(range(CHUNK_SIZE, CHUNK_SIZE + 1), 0) == [CHUNK_SIZE]
    assert rendered == [0, 1, 2, 1]
    assert cache.take(range(-3, 2), 0) == [-3, -2, -1, 0, 1]


def test_a_cache_renders_again_what_is_true_no_longer() -> None:
    def render(indexes: range, now_ms: int) -> Chunk[int]:
        since_ms = now_ms // 10 * 10
        return Chunk((now_ms,) * len(indexes), since_ms, since_ms + 10)

    cache = ChunkCache(render, records_max=1_000)

    assert [cache.take(range(1), now_ms)[0] for now_ms in (3, 9, 10, 12, 5)] == [3, 3, 10, 10, 5]
