"""The line between the sync and an API: some answers are errors, cut short, or never come."""

import json
import random
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import format_datetime
from typing import Any, NamedTuple
from unittest.mock import patch
from urllib.parse import unquote

import httpx

import etl.sync.fetch
import etl.sync.run
from etl.budget import Budget
from etl.http import Client, Pace, open_client
from tests.simulation.fate import Fate
from tests.simulation.world import World

RECORD_ID = re.compile(r"[0-9a-f]{6}-\d{4}")


class Request(NamedTuple):
    """What an API is asked; `body` is the request's JSON."""

    path: str
    params: Mapping[str, str]
    body: Any = None


class Reply(NamedTuple):
    """What it answers; `body` becomes JSON."""

    status: int
    body: Any


Answer = Callable[[Request], Reply]


@dataclass(frozen=True, slots=True)
class LightResponse:
    """What the program reads of a response."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def is_success(self) -> bool:
        return self.status_code < 300

    def iter_bytes(self) -> Iterator[bytes]:
        yield self.content


@dataclass
class Line:
    """A bad line to one API; `pages` counts the requests that were not for a single record."""

    world: World
    answer: Answer
    fate: Fate
    rate: float
    pages: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, request: Request) -> LightResponse:
        """One request, one at a time; it may be the last thing the process did."""
        with self.lock:
            self.fate.meet_http_call()
            self.pages += RECORD_ID.search(request.path) is None
            self.world.tick()
            if self.rate and self.world.chance.random() < self.rate:
                return fail(self.world.chance)
            reply = self.answer(request)
            content = json.dumps(reply.body).encode()
            if self.rate and self.world.chance.random() < self.rate:
                content = content[:-7]
            date = format_datetime(self.world.now.replace(microsecond=0), usegmt=True)
            return LightResponse(reply.status, {"date": date}, content)


def fail(chance: random.Random) -> LightResponse:
    kind = chance.choice(("500", "503", "429", "drop", "html"))
    if kind == "drop":
        raise httpx.ReadError("connection reset")
    if kind == "html":
        return LightResponse(200, {}, b"<html>maintenance</html>")
    headers = {"retry-after": "2"} if kind == "429" else {}
    return LightResponse(int(kind), headers, b'{"message": "later"}')


def make_transport(lines: Mapping[str, Line]) -> httpx.MockTransport:
    """The lines as a transport of httpx, by host."""

    def handle(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else None
        sent = Request(request.url.path, dict(request.url.params), body)
        light = lines[request.url.host].send(sent)
        return httpx.Response(light.status_code, headers=light.headers, content=light.content)

    return httpx.MockTransport(handle)


@dataclass(frozen=True, slots=True)
class LightHttp:
    """As much of an httpx.Client as the program uses, at a tenth of its price."""

    line: Line
    headers: Mapping[str, str]
    scheme: str = "http"
    netloc: bytes = b"api.test"

    @property
    def base_url(self) -> "LightHttp":
        return self

    def join(self, path: str) -> "LightHttp":
        return self

    @contextmanager
    def stream(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[LightResponse]:
        yield self.line.send(Request(unquote(path), params or {}, json))


class LightLines(dict[str, Line]):
    """The lines by host, for whoever connects to them directly."""


@contextmanager
def accept_light_lines() -> Iterator[None]:
    """Within it, the program connects to light lines directly, where it is given some."""
    with (
        patch.object(etl.sync.run, "open_client", _open_client),
        patch.object(etl.sync.fetch, "open_client", _open_client),
    ):
        yield


@contextmanager
def _open_client(
    source: str, base_url: str, token: str, budget: Budget, pace: float | None, transport: Any
) -> Iterator[Client]:
    if not isinstance(transport, LightLines):
        with open_client(source, base_url, token, budget, pace, transport) as client:
            yield client
        return
    line = transport[name_host(base_url)]
    http: Any = LightHttp(line, {"authorization": f"Bearer {token}"})
    yield Client(source, http, budget, Pace(None, budget))


def name_host(base_url: str) -> str:
    return base_url.rpartition("/")[2]
