"""One request: timeouts, retries, rate, error text. The only place that talks to the network."""

import contextlib
import email.utils
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

import httpx
import msgspec
import tenacity

from etl.budget import Budget
from etl.errors import CredentialsError, GapTooLarge, RequestRefused, SourceError

ATTEMPTS_MAX = 6
RETRY_TOTAL_MAX_S = 300.0
BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 60.0
TIMEOUT = httpx.Timeout(60.0, connect=10.0)
RESPONSE_MAX_BYTES = 256 * 1024 * 1024
MESSAGE_MAX_CHARS = 200
RETRIED_STATUSES = frozenset({408, 409, 425, 429})

T = TypeVar("T")


@dataclass(slots=True)
class Traffic:
    """What one source cost so far; shared by the threads that walk it."""

    requests: int = 0
    retries: int = 0
    slept_s: float = 0.0
    received_bytes: int = 0
    served_at: datetime | None = None
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def count(self, *, requests: int = 0, retries: int = 0, slept_s: float = 0.0) -> None:
        with self.lock:
            self.requests += requests
            self.retries += retries
            self.slept_s += slept_s

    def count_response(self, size_bytes: int, served_at: datetime | None) -> None:
        with self.lock:
            self.received_bytes += size_bytes
            self.served_at = served_at


@dataclass(frozen=True, slots=True)
class Pace:
    """At most `requests_per_second`, evenly spaced, over all threads of a source."""

    requests_per_second: float | None
    budget: Budget
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    next_slot: list[float] = field(default_factory=lambda: [0.0])

    def wait_for_slot(self) -> None:
        if self.requests_per_second is None:
            return
        with self.lock:
            now = time.monotonic()
            slot = max(now, self.next_slot[0])
            self.next_slot[0] = slot + 1.0 / self.requests_per_second
        if slot > now:
            self.budget.wait(slot - now)


@dataclass(frozen=True, slots=True)
class Client:
    """One source's connection: keep-alive, credentials, budget, pace and counters.

    `learned` is what a source module found out about this server during the run.
    """

    source: str
    http: httpx.Client
    budget: Budget
    pace: Pace
    traffic: Traffic = field(default_factory=Traffic)
    learned: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful response: the body, and the server's clock when it answered."""

    body: bytes
    served_at: datetime | None


class _Transient(Exception):
    """A failed attempt that may heal.

    `wait_s` is what the server asked for. `may_be_size`: less to answer may be answered.
    """

    def __init__(self, message: str, wait_s: float | None = None, may_be_size: bool = False):
        super().__init__(message)
        self.wait_s = wait_s
        self.may_be_size = may_be_size


@contextlib.contextmanager
def open_client(
    source: str,
    base_url: str,
    token: str,
    budget: Budget,
    requests_per_second: float | None = None,
    transport: httpx.BaseTransport | None = None,
) -> Iterator[Client]:
    """A client for one source; `transport` replaces the network in tests.

    Redirects are not followed: the token must never travel to another host.
    """
    from etl import __version__

    headers = {
        "Authorization": f"Bearer {token}",
        "Accept": "application/json",
        "User-Agent": f"etl/{__version__}",
    }
    with httpx.Client(
        base_url=base_url.rstrip("/"), headers=headers, timeout=TIMEOUT, transport=transport
    ) as http:
        yield Client(source, http, budget, Pace(requests_per_second, budget))


def fetch(
    client: Client,
    method: str,
    path: str,
    decode: Callable[[Answer], T],
    params: dict[str, str] | None = None,
    body: dict[str, Any] | None = None,
) -> T:
    """Send one request and decode its answer, trying again what can heal.

    Raises CredentialsError (401, 403), RequestRefused (other 3xx and 4xx), GapTooLarge (413; 5xx
    and timeouts that did not heal) or SourceError, each as one line that names source and path.
    BudgetEnded passes through. A body that cannot be decoded is tried again, too: it may have
    been cut short.
    """

    def attempt() -> T:
        answer = _send_once(client, method, path, params, body)
        try:
            return decode(answer)
        except msgspec.DecodeError as error:
            start = answer.body[:1]
            kind = "HTML, not JSON" if start == b"<" else f"not the documented JSON ({error})"
            raise _Transient(f"the answer is {kind}") from error

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(_Transient),
        stop=tenacity.stop_after_attempt(ATTEMPTS_MAX)
        | tenacity.stop_before_delay(RETRY_TOTAL_MAX_S),
        wait=_wait_s,
        sleep=lambda seconds: _sleep(client, seconds),
        reraise=True,
    )
    try:
        return retrying(attempt)
    except _Transient as error:
        message = f"{client.source}: {method} {path}: {error}; gave up after retries"
        raise (GapTooLarge if error.may_be_size else SourceError)(message) from error


_backoff = tenacity.wait_random_exponential(multiplier=BACKOFF_FIRST_S, max=BACKOFF_MAX_S)


def _wait_s(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked_s = error.wait_s if isinstance(error, _Transient) else None
    return asked_s if asked_s is not None else BACKOFF_FIRST_S / 2 + _backoff(state)


def _sleep(client: Client, seconds: float) -> None:
    client.traffic.count(retries=1, slept_s=seconds)
    client.budget.wait(seconds)


def _send_once(
    client: Client,
    method: str,
    path: str,
    params: dict[str, str] | None,
    body: dict[str, Any] | None,
) -> Answer:
    """Exactly one request; any answer but success is an exception."""
    client.pace.wait_for_slot()
    client.traffic.count(requests=1)
    try:
        with client.http.stream(method, path, params=params, json=body) as response:
            content = _read_bounded(client, response)
    except httpx.TransportError as error:
        is_timeout = isinstance(error, httpx.ReadTimeout)
        raise _Transient(_describe_transport(error), may_be_size=is_timeout) from error
    served_at = _read_date(response.headers.get("date"))
    client.traffic.count_response(len(content), served_at)
    if response.is_success:
        return Answer(content, served_at)
    raise _refuse(client, method, path, response, content)


def _read_bounded(client: Client, response: httpx.Response) -> bytes:
    """The body, or an error once it is longer than any page can be."""
    size = 0
    chunks = []
    for chunk in response.iter_bytes():
        size += len(chunk)
        if size > RESPONSE_MAX_BYTES:
            raise GapTooLarge(
                f"{client.source}: the answer is longer than {RESPONSE_MAX_BYTES} bytes"
            )
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _refuse(
    client: Client, method: str, path: str, response: httpx.Response, content: bytes
) -> Exception:
    """The exception that an unsuccessful response stands for."""
    status = response.status_code
    detail = describe_error_body(content)
    message = f"HTTP {status}" + (f": {detail}" if detail else "")
    line = f"{client.source}: {method} {path}: {message}"
    if _is_retried(response):
        return _Transient(message, read_retry_after(response.headers), status >= 500)
    if status in (401, 403):
        return CredentialsError(line)
    if status == 413:
        return GapTooLarge(line)
    if 300 <= status < 400:
        line = f"{line}: redirected to {response.headers.get('location')}; correct base_url"
    return RequestRefused(line, status)


def _is_retried(response: httpx.Response) -> bool:
    """Whether another attempt may help; the server's own hints go before the status."""
    if response.headers.get("qos-retry-hint") == "do-not-retry":
        return False
    hint: str | None = response.headers.get("x-should-retry")
    if hint in ("true", "false"):
        return hint == "true"
    return response.status_code in RETRIED_STATUSES or response.status_code >= 500


def read_retry_after(headers: httpx.Headers) -> float | None:
    """Seconds the server asks to wait: `retry-after-ms`, or `Retry-After` as seconds or a date.

    None where it asks for nothing that makes sense; zero and less mean no hint.
    """
    with contextlib.suppress(KeyError, ValueError):
        milliseconds = float(headers["retry-after-ms"])
        return milliseconds / 1000 if milliseconds > 0 else None
    value = headers.get("retry-after")
    if value is None:
        return None
    with contextlib.suppress(ValueError):
        return float(value) if float(value) > 0 else None
    due = _read_date(value)
    served_at = _read_date(headers.get("date")) or datetime.now(UTC)
    return max(0.0, (due - served_at).total_seconds()) or None if due else None


def _read_date(value: str | None) -> datetime | None:
    if value is None:
        return None
    with contextlib.suppress(ValueError):
        return email.utils.parsedate_to_datetime(value).astimezone(UTC)
    return None


def describe_error_body(content: bytes) -> str:
    """What an error body says, in one short line; empty when it says nothing readable.

    Only the fields that describe an error are shown, never the whole body: it may echo a request.
    """
    try:
        body = json.loads(content)
    except ValueError:
        return "HTML" if content.lstrip()[:1] == b"<" else ""
    if not isinstance(body, dict):
        return ""
    names = ("errorName", "errorInstanceId", "message", "detail", "title", "error", "requestId")
    parts = [str(body[name]) for name in names if isinstance(body.get(name), (str, int))]
    return re.sub(r"\s+", " ", ", ".join(parts))[:MESSAGE_MAX_CHARS]


def _describe_transport(error: httpx.TransportError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return f"no answer in time ({type(error).__name__})"
    if isinstance(error, httpx.RemoteProtocolError):
        return "the connection was cut before the answer was complete"
    return f"cannot connect ({error})" if isinstance(error, httpx.ConnectError) else str(error)
