"""The demo APIs on a real socket: HTTP/1.1, a thread per connection, loopback only.

    http://127.0.0.1:PORT/riza/v1/executions
    http://127.0.0.1:PORT/foundry/api/v2/observability/resources/{rid}/listExecutions
    http://127.0.0.1:PORT/b3os/v1/executions

The clock is a parameter. A request goes through four steps: who asks, which fault it gets, what its
dialect answers, and how that goes over the wire.
"""

import hmac
import socket
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from ipaddress import IPv4Address
from types import TracebackType
from typing import BinaryIO, Literal, cast

from etl.demo.api_b3os import B3osApi
from etl.demo.api_foundry import FoundryApi
from etl.demo.api_riza import RizaApi, UnknownAnchor
from etl.demo.faults import NO_FAULTS, FaultName, Faults, find_fault
from etl.demo.grid import Span
from etl.demo.history_b3os import B3osHistory
from etl.demo.history_foundry import FoundryHistory
from etl.demo.history_riza import SEED, RizaHistory
from etl.demo.messages import Answer, Order, Request
from etl.demo.wire import BadRequestError, compress, read_request, write_head

Clock = Callable[[], datetime]
Sleep = Callable[[float], None]
Api = RizaApi | FoundryApi | B3osApi
Platform = Literal["riza", "foundry", "b3os"]
PLATFORMS: tuple[Platform, ...] = ("riza", "foundry", "b3os")
TOKEN = "demo-token"
REQUESTS_KEPT = 10_000
STOP_TIMEOUT_S = 5.0
LIST_KINDS = frozenset({"riza.list", "foundry.list", "b3os.list", "b3os.runs"})
HTML = b"<!doctype html><title>502 Bad Gateway</title><h1>Bad Gateway</h1><p>nginx</p>\n"
REFUSALS: dict[str, tuple[int, str]] = {
    "rate_limit": (429, "too many requests"),
    "error_500": (500, "internal error"),
    "error_503": (503, "service unavailable"),
    "no_retry": (503, "service unavailable"),
}


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """What is served and how. `executions` and `days` are those of each platform (see `grid.Span`).

    `unknown_anchor` is what Riza does with a `starting_after` it does not know. `cached_records`
    bounds the memory for rendered records, per platform.
    """

    platforms: tuple[Platform, ...] = PLATFORMS
    executions: int = 5_000
    days: float = 90.0
    seed: int = SEED
    origin: datetime | None = None
    end: datetime | None = None
    token: str = TOKEN
    faults: Faults = NO_FAULTS
    riza_order: Order = "newest"
    unknown_anchor: UnknownAnchor = "error"
    b3os_order: Order = "newest"
    is_foundry_enabled: bool = True
    gzip: bool = False
    cached_records: int = 200_000


def make_apis(settings: DemoSettings, now: datetime) -> dict[str, Api]:
    """The dialects to serve, by platform; what is visible at `now` stays so while they live."""
    span = Span(settings.executions, settings.days, settings.origin, settings.end)
    seed, cached = settings.seed, settings.cached_records
    ttl_s = settings.faults.page_token_ttl_s
    apis: dict[str, Api] = {
        "riza": RizaApi(
            RizaHistory(span, seed), now, settings.riza_order, settings.unknown_anchor, cached
        ),
        "foundry": FoundryApi(
            FoundryHistory(span, seed), now, ttl_s, settings.is_foundry_enabled, cached
        ),
        "b3os": B3osApi(B3osHistory(span, seed), now, settings.b3os_order, cached),
    }
    return {platform: apis[platform] for platform in settings.platforms}


class DemoServer:
    """A running server. Use it as a context manager, or call `stop()`."""

    def __init__(
        self, settings: DemoSettings, now: Clock, host: str, port: int, sleep: Sleep
    ) -> None:
        if host != "localhost" and not IPv4Address(host).is_loopback:
            raise ValueError(f"{host}: the demo is served on loopback addresses only")
        self.settings = settings
        self.apis = make_apis(settings, now())
        self._now = now
        self._sleep = sleep
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._recent: deque[str] = deque(maxlen=REQUESTS_KEPT)
        self._last_pages: dict[str, Answer] = {}
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._is_stopping = False
        self._listener = socket.create_server((host, port), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        # A platform's own base URL is this, a slash and its name.
        self.base_url = f"http://{host}:{self.port}"
        self._acceptor = threading.Thread(target=self._accept, name="demo-accept", daemon=True)
        self._acceptor.start()

    @property
    def requests(self) -> Counter[str]:
        """Authenticated requests so far by kind: `riza.list`, `riza.get`, `foundry.list`, …"""
        with self._lock:
            return self._counts.copy()

    @property
    def recent_requests(self) -> list[str]:
        """Method and path with query of the last 10 000 authenticated requests, oldest first."""
        with self._lock:
            return list(self._recent)

    @property
    def riza(self) -> RizaApi:
        """The Riza dialect, with its history."""
        return cast(RizaApi, self.apis["riza"])

    @property
    def foundry(self) -> FoundryApi:
        """The Foundry dialect, with its history."""
        return cast(FoundryApi, self.apis["foundry"])

    @property
    def b3os(self) -> B3osApi:
        """The B3OS dialect, with its history."""
        return cast(B3osApi, self.apis["b3os"])

    def set_faults(self, faults: Faults) -> None:
        """Other faults from the next request on; the numbers of requests go on."""
        self.settings = replace(self.settings, faults=faults)

    def stop(self) -> None:
        """Closes the port and every connection; returns when their threads have ended."""
        with self._lock:
            self._is_stopping = True
            connections = list(self._connections.items())
        _shut(self._listener)
        for connection, _ in connections:
            _shut(connection)
        self._acceptor.join(STOP_TIMEOUT_S)
        for _, thread in connections:
            thread.join(STOP_TIMEOUT_S)
        self._listener.close()

    def __enter__(self) -> "DemoServer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            with self._lock:
                if self._is_stopping:
                    connection.close()
                    return
                self._connections[connection] = thread
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as stream:
                while self._serve_one(connection, stream):
                    pass
        except OSError:
            pass  # The client is gone, or stop() has closed the connection.
        finally:
            with self._lock:
                self._connections.pop(connection, None)

    def _serve_one(self, connection: socket.socket, stream: BinaryIO) -> bool:
        """Answers one request; False when the connection is at its end."""
        now = self._now()
        try:
            request = read_request(stream)
        except BadRequestError as error:
            answer = Answer(400, str(error).encode(), content_type="text/plain")
            connection.sendall(write_head(answer, now, [("Connection", "close")]) + answer.body)
            return False
        if request is None:
            return False
        now = self._now()
        answer, fault = self._answer(request, now)
        if self.settings.gzip:
            answer = compress(answer, request.headers.get("accept-encoding", ""))
        is_last = request.headers.get("connection", "").lower() == "close"
        return _send(connection, answer, fault, now, is_last=is_last)

    def _answer(self, request: Request, now: datetime) -> tuple[Answer, FaultName | None]:
        platform, _, path = request.path.removeprefix("/").partition("/")
        api = self.apis.get(platform)
        if api is None:
            names = ", ".join(f"/{name}" for name in self.apis)
            return Answer(404, f"served here: {names}".encode(), content_type="text/plain"), None
        if not self._is_allowed(request):
            return api.refuse(401, "unauthenticated"), None
        request = replace(request, path="/" + path)
        kind = api.kind(request)
        fault = find_fault(self.settings.faults, self._count(request, kind), kind)
        self._wait(fault)
        refused = self._refuse(api, fault)
        if refused is not None:
            return refused, fault
        answer = api.answer(request, now, fault)
        return self._remember(answer, request, kind, fault), fault

    def _is_allowed(self, request: Request) -> bool:
        given = request.headers.get("authorization", "").encode()
        return hmac.compare_digest(given, f"Bearer {self.settings.token}".encode())

    def _count(self, request: Request, kind: str) -> int:
        query = "&".join(f"{name}={value}" for name, value in request.query.items())
        with self._lock:
            self._counts[kind] += 1
            self._recent.append(f"{request.method} {kind.partition('.')[0]}{request.path}?{query}")
            return self._counts.total()

    def _wait(self, fault: FaultName | None) -> None:
        faults = self.settings.faults
        wait_ms = faults.latency_ms + (faults.slow_ms if fault == "slow" else 0)
        if wait_ms > 0:
            self._sleep(wait_ms / 1_000)

    def _refuse(self, api: Api, fault: FaultName | None) -> Answer | None:
        if fault == "html":
            return Answer(200, HTML, content_type="text/html")
        if fault not in REFUSALS:
            return None
        answer = api.refuse(*REFUSALS[fault])
        headers: tuple[tuple[str, str], ...] = ()
        if fault == "rate_limit" and self.settings.faults.retry_after_s is not None:
            headers = (("Retry-After", f"{self.settings.faults.retry_after_s:g}"),)
        if fault == "no_retry":
            headers = (("QoS-Retry-Hint", "do-not-retry"), ("x-should-retry", "false"))
        return replace(answer, headers=headers)

    def _remember(
        self, answer: Answer, request: Request, kind: str, fault: FaultName | None
    ) -> Answer:
        """Keeps the last page of each list; gives it once more where that is the fault."""
        if kind not in LIST_KINDS or answer.status != 200:
            return answer
        stream = kind + request.path
        with self._lock:
            if fault == "repeat_page":
                return self._last_pages.get(stream, answer)
            self._last_pages[stream] = answer
        return answer


def start_server(
    settings: DemoSettings | None = None,
    *,
    now: Clock,
    host: str = "127.0.0.1",
    port: int = 0,
    sleep: Sleep = time.sleep,
) -> DemoServer:
    """Serves the demo APIs from threads of this process; `port` 0 takes a free one.

    `now` gives aware datetimes, `sleep` waits for latencies in seconds. Raises `OSError`
    when the port is taken, `ValueError` for other hosts than loopback.
    """
    return DemoServer(settings or DemoSettings(), now, host, port, sleep)


def _send(
    connection: socket.socket,
    answer: Answer,
    fault: FaultName | None,
    now: datetime,
    *,
    is_last: bool,
) -> bool:
    """Sends an answer, or as much of it as the fault leaves; False when the connection is over."""
    if fault == "drop":
        return False
    more = [("Connection", "close")] if is_last else []
    head = write_head(answer, now, more)
    if fault in {"cut", "reset"}:
        connection.sendall(head + answer.body[: len(answer.body) // 2])
        if fault == "reset":
            # Closing with a linger time of zero sends RST instead of FIN.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False
    _send_parts(connection, head, answer.body)
    return not is_last


def _send_parts(connection: socket.socket, head: bytes, body: bytes) -> None:
    # Together in one packet where they fit, without copying the body once more.
    sent = connection.sendmsg([head, body])
    if sent < len(head):
        connection.sendall(head[sent:])
        sent = len(head)
    if sent < len(head) + len(body):
        connection.sendall(memoryview(body)[sent - len(head) :])


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):  # Already closed by the other side.
        connection.shutdown(socket.SHUT_RDWR)
