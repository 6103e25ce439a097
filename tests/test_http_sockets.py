"""Requests over real sockets: how connections end, idle, and lead elsewhere."""

import contextlib
import gzip
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from etl.errors import RequestRefused, SourceError
from etl.http import Client, Limits, fetch, open_client
from tests.budgets import RecordingBudget
from tests.loopback import Reply, find_closed_port, make_answer, serve

BODY = b'{"data": [1, 2, 3]}'
WHOLE = make_answer(BODY)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n13\r\n" + BODY + b"\r\n0\r\n\r\n"
QUICK = Limits(attempts=2, read_timeout_s=0.3)
PATIENT = Limits(attempts=2)


@contextmanager
def client_to(url: str, limits: Limits = PATIENT) -> Iterator[Client]:
    with open_client("prod", url, "t0ken", RecordingBudget(), limits=limits) as client:
        yield client


def ask(client: Client) -> Any:
    return fetch(client, "GET", "/v1/things", lambda answer: json.loads(answer.body))


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(Reply(b"", "close"), id="closed before the answer"),
        pytest.param(Reply(b"", "reset"), id="reset before the answer"),
        pytest.param(Reply(b"HTTP/1.1 200 OK\r\nContent-", "close"), id="closed in the head"),
        pytest.param(Reply(b"HTTP/1.1 200 OK\r\nContent-", "reset"), id="reset in the head"),
        pytest.param(Reply(b"HTTP/1.1 200 OK\r\nContent-", "hang"), id="silent in the head"),
        pytest.param(Reply(WHOLE[:-5], "close"), id="shorter than its length"),
        pytest.param(Reply(WHOLE[:-5], "reset"), id="reset in the body"),
        pytest.param(Reply(CHUNKED[:-12], "close"), id="chunk cut short"),
        pytest.param(Reply(CHUNKED[:-5], "close"), id="last chunk missing"),
        pytest.param(Reply(b"", "hang"), id="silent"),
        pytest.param(Reply(WHOLE[:-5], "hang"), id="silent in the body"),
        pytest.param(Reply(b"SSH-2.0-OpenSSH_9.6\r\n", "close"), id="not HTTP"),
    ],
)
def test_a_connection_that_fails_is_tried_again(broken: Reply) -> None:
    limits = QUICK if broken.after == "hang" else PATIENT

    with serve([broken, Reply(CHUNKED)]) as server, client_to(server.url, limits) as client:
        found = ask(client)

    assert found == {"data": [1, 2, 3]}
    assert (client.traffic.requests, client.traffic.retries) == (2, 1)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (Reply(WHOLE[:-5], "close"), "the connection was cut before the answer was complete"),
        (Reply(b"", "hang"), "no answer in time (ReadTimeout)"),
    ],
)
def test_a_connection_that_keeps_failing_is_explained(broken: Reply, words: str) -> None:
    with (
        serve([broken, broken]) as server,
        client_to(server.url, QUICK) as client,
        pytest.raises(SourceError) as raised,
    ):
        ask(client)

    assert str(raised.value) == f"prod: GET /v1/things: {words}; gave up after retries"


@pytest.mark.parametrize(
    "beginning",
    [
        pytest.param(b"", id="before the head"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX-Slow: ", id="in the head"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", id="in the body"),
        pytest.param(CHUNKED[: CHUNKED.index(b"13")], id="in the length of a chunk"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1000000\r\n\r\n"
            + gzip.compress(BODY)[:12],
            id="in a packed body",
        ),
    ],
)
def test_an_answer_that_only_trickles_is_given_up(beginning: bytes) -> None:
    """Each byte comes in time, the last one never."""
    limits = Limits(attempts=2, response_s=0.1)

    with (
        serve([Reply(beginning, "trickle")] * 2) as server,
        client_to(server.url, limits) as client,
        pytest.raises(SourceError, match="gave up after retries") as raised,
    ):
        ask(client)

    assert client.traffic.requests == 2
    assert "\n" not in str(raised.value)


def test_each_answer_on_a_connection_has_its_own_time() -> None:
    """It is the answer that has to come in time, not all those of a connection together."""
    waits = iter((0.0, 60.0))

    class Clock:
        now_s = 0.0

        def monotonic(self) -> float:
            return self.now_s

    with (
        pytest.MonkeyPatch.context() as patch,
        serve([Reply(WHOLE)] * 2) as server,
        client_to(server.url, Limits(attempts=1, response_s=30.0)) as client,
    ):
        clock = Clock()
        patch.setattr("etl.sockets.time", clock)
        for clock.now_s in waits:
            assert ask(client) == {"data": [1, 2, 3]}

    assert server.connections == 1


def test_a_connection_that_is_not_accepted_is_given_up() -> None:
    """The queue of the listener is full: nobody says yes, and nobody says no."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        stack.enter_context(socket.create_connection(listener.getsockname()))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        limits = Limits(attempts=2, connect_timeout_s=0.05)

        with client_to(url, limits) as client, pytest.raises(SourceError, match="ConnectTimeout"):
            ask(client)

    assert client.traffic.requests == 2


def test_a_handshake_that_is_not_answered_is_given_up() -> None:
    limits = Limits(attempts=2, connect_timeout_s=0.05)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        with client_to(url, limits) as client, pytest.raises(SourceError, match="gave up"):
            ask(client)

    assert client.traffic.requests == 2


def test_nobody_there_is_an_error_of_the_source() -> None:
    url = f"http://127.0.0.1:{find_closed_port()}"

    with client_to(url) as client, pytest.raises(SourceError, match="cannot connect") as raised:
        ask(client)

    assert raised.value.exit_code == 4
    assert "\n" not in str(raised.value)


def test_one_connection_serves_many_requests() -> None:
    with serve([Reply(WHOLE)] * 5) as server, client_to(server.url) as client:
        for _ in range(5):
            ask(client)

    assert server.connections == 1
    assert len(server.heads) == 5


def test_a_connection_that_was_closed_while_idle_is_opened_again() -> None:
    with (
        serve([Reply(WHOLE, "close"), Reply(WHOLE)]) as server,
        client_to(server.url) as client,
    ):
        found = [ask(client), ask(client)]

    assert found == [{"data": [1, 2, 3]}] * 2
    assert server.connections == 2


def test_answers_may_be_packed() -> None:
    packed = make_answer(gzip.compress(BODY), "Content-Encoding: gzip")

    with serve([Reply(packed)]) as server, client_to(server.url) as client:
        found = ask(client)

    assert found == {"data": [1, 2, 3]}
    assert "gzip" in server.heads[0].lower()


@pytest.mark.parametrize(
    "packed", [b"no gzip at all", gzip.compress(BODY * 20, mtime=0)[:-15]], ids=["not", "cut short"]
)
def test_damaged_packing_is_tried_again(packed: bytes) -> None:
    damaged = Reply(make_answer(packed, "Content-Encoding: gzip"))

    with serve([damaged, Reply(WHOLE)]) as server, client_to(server.url) as client:
        found = fetch(client, "GET", "/", lambda answer: msgspec.json.decode(answer.body))

    assert found == {"data": [1, 2, 3]}


def test_a_redirect_is_refused_and_the_token_stays_here() -> None:
    with serve([]) as elsewhere:
        location = f"Location: {elsewhere.url}/v1/things"
        moved = Reply(make_answer(b"", location, status="302 Found"))
        with (
            serve([moved]) as server,
            client_to(server.url) as client,
            pytest.raises(RequestRefused, match=r"redirected to .*; correct base_url"),
        ):
            ask(client)

    assert "authorization: bearer t0ken" in server.heads[0].lower()
    assert (elsewhere.connections, elsewhere.heads) == (0, [])


def test_a_request_that_is_left_behind_keeps_its_socket() -> None:
    """Whoever closes it under the hands of its thread gives its number to the next file."""

    def ask_in_vain() -> None:
        with pytest.raises(SourceError):
            ask(client)

    with serve([Reply(WHOLE), Reply(b"", "hang")]) as server:
        with client_to(server.url, Limits(attempts=1)) as client:
            ask(client)
            thread = threading.Thread(target=ask_in_vain)
            thread.start()
            while len(server.heads) < 2:
                thread.join(0.01)
        was_closed = client.http.is_closed
        server.is_over.set()
        thread.join()

        with client_to(server.url) as other:
            pass

    assert not was_closed
    assert other.http.is_closed
    client.http.close()
