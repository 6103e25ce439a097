"""One request to an API: timeouts, retries, rate. Nothing else talks to one."""

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import httpx
import msgspec
import tenacity

from etl.budget import Budget, BudgetEnded
from etl.decode import mend_nesting, mend_text
from etl.errors import ConfigError, CredentialsError, GapTooLarge, RequestRefused, SourceError
from etl.redact import mask_line
from etl.refusals import (
    describe_error_body,
    describe_failure,
    is_retried,
    read_date,
    read_retry_after,
)
from etl.sockets import bound_answers

BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 60.0
GIVEN_UP = "requests given up in a row"
PATIENCE_MAX = 3
FAILING_ATTEMPTS = 2

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may cost, with all its attempts.

    `read_timeout_s` begins anew with every byte; `response_s` ends an answer that only trickles.
    """

    attempts: int = 6
    retry_total_s: float = 300.0
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 60.0
    response_s: float = 300.0
    response_bytes: int = 256 * 1024 * 1024


LIMITS = Limits()


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


@dataclass(slots=True)
class Pace:
    """At most `requests_per_second`, evenly spaced, over all threads of a source.

    `next_slot_s` is a `time.monotonic` reading.
    """

    requests_per_second: float | None
    budget: Budget
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    next_slot_s: float = 0.0

    def wait_for_slot(self) -> None:
        if self.requests_per_second is None:
            return
        with self.lock:
            now_s = time.monotonic()
            slot_s = max(now_s, self.next_slot_s)
            self.next_slot_s = slot_s + 1.0 / self.requests_per_second
        if slot_s > now_s:
            self.budget.wait(slot_s - now_s)


@dataclass(slots=True)
class InFlight:
    """How many requests have been sent and not yet answered, over all threads of a source."""

    count: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __enter__(self) -> None:
        with self.lock:
            self.count += 1

    def __exit__(self, *error: object) -> None:
        with self.lock:
            self.count -= 1


@dataclass(frozen=True, slots=True)
class Client:
    """One source's connection: keep-alive, credentials, budget, pace and counters.

    `learned` is what was found out about this server during the run.
    """

    source: str
    http: httpx.Client
    budget: Budget
    pace: Pace
    limits: Limits = LIMITS
    traffic: Traffic = field(default_factory=Traffic)
    learned: dict[str, int] = field(default_factory=dict)
    in_flight: InFlight = field(default_factory=InFlight)


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful response: the body, and the server's clock when it answered."""

    body: bytes
    served_at: datetime | None


class Transient(Exception):
    """A failed attempt that may heal; decoders raise it for an envelope that says so.

    `wait_s` is what the server asked for. `may_be_size`: a smaller request might succeed.
    `is_for_all`: any other request would have failed, too.
    """

    def __init__(
        self,
        message: str,
        wait_s: float | None = None,
        may_be_size: bool = False,
        is_for_all: bool = False,
    ):
        super().__init__(message)
        self.wait_s = wait_s
        self.may_be_size = may_be_size
        self.is_for_all = is_for_all


@contextlib.contextmanager
def open_client(
    source: str,
    base_url: str,
    token: str,
    budget: Budget,
    requests_per_second: float | None = None,
    transport: httpx.BaseTransport | None = None,
    limits: Limits = LIMITS,
) -> Iterator[Client]:
    """A client for one source; `transport` replaces the network in tests.

    Redirects are not followed: the token must never travel to another host. Raises ConfigError
    for a token that cannot stand in a header: the HTTP library would print it.
    """
    from etl import __version__

    if not re.fullmatch(r"[!-~]+", token):
        raise ConfigError(
            f"{source}: the token is empty or has characters other than printable ASCII; "
            "look for spaces and line ends around it"
        )
    headers = {
        "Authorization": f"Bearer {token}",
        "Accept": "application/json",
        "User-Agent": f"etl/{__version__}",
    }
    timeout = httpx.Timeout(limits.read_timeout_s, connect=limits.connect_timeout_s)
    http = httpx.Client(
        base_url=base_url.rstrip("/"),
        headers=headers,
        timeout=timeout,
        transport=transport,
        # Without TLS there is nothing to verify, and reading all the certificates takes 0.1 s.
        verify=is_secure(base_url),
    )
    bound_answers(http, limits.response_s)
    client = Client(source, http, budget, Pace(requests_per_second, budget), limits)
    try:
        yield client
    finally:
        # A request that hangs keeps its socket to the end of the process: its thread would go on
        # with the number of a closed one, and by then that may be the store's.
        if client.in_flight.count == 0:
            http.close()


def is_secure(base_url: str) -> bool:
    """Whether an address is reached through TLS, in whatever letters it is written."""
    return httpx.URL(base_url).scheme == "https"


def fetch(
    client: Client,
    method: str,
    path: str,
    decode: Callable[[Answer], T],
    params: dict[str, str] | None = None,
    body: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> T:
    """Send one request and decode its answer, trying again what can heal.

    Raises CredentialsError (401, 403), RequestRefused (other 3xx and 4xx), GapTooLarge (413; 5xx
    and timeouts that did not heal) or SourceError, each as one line that names source and path.
    BudgetEnded passes through. A body that cannot be decoded is tried again, too: it may have
    been cut short. Where the time ends while it fails on and on, that is a SourceError, too.
    """
    _check_host(client, path)
    request = f"{client.source}: {method} {path}"
    failures: list[Transient] = []

    def attempt() -> T:
        try:
            return _decode(_send_once(client, method, path, params, body, headers), decode)
        except Transient as error:
            failures.append(error)
            raise

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(Transient),
        stop=tenacity.stop_after_attempt(_count_attempts(client))
        | tenacity.stop_before_delay(client.limits.retry_total_s),
        wait=_wait_s,
        sleep=lambda seconds: _sleep(client, seconds),
        reraise=True,
    )
    try:
        result = retrying(attempt)
    except BudgetEnded:
        if not _is_failing(client, failures):
            raise
        message = f"{request}: {failures[-1]}; the run's time ended before it healed"
        raise SourceError(message) from failures[-1]
    except Transient as error:
        client.learned[GIVEN_UP] = client.learned.get(GIVEN_UP, 0) + 1
        message = f"{request}: {error}; gave up after retries"
        if error.may_be_size:
            raise GapTooLarge(message, is_certain=False) from error
        is_hopeless = error.is_for_all and client.learned[GIVEN_UP] >= PATIENCE_MAX
        raise SourceError(message, "source" if is_hopeless else "request") from error
    client.learned[GIVEN_UP] = 0
    return result


def _is_failing(client: Client, failures: Sequence[Transient]) -> bool:
    """Whether a request was given up for its failures when the time ended, and not only for that.

    Once may be chance, and a server that asks to wait, or a person to stop, is no failure.
    """
    is_failing = len(failures) >= FAILING_ATTEMPTS and failures[-1].wait_s is None
    return is_failing and not client.budget.stop.is_set()


def _count_attempts(client: Client) -> int:
    """How often to try: just once where nothing has healed for a while.

    A source of many streams would else wait for a dead server once for each of them.
    """
    return client.limits.attempts if client.learned.get(GIVEN_UP, 0) < PATIENCE_MAX else 1


def _check_host(client: Client, path: str) -> None:
    """Raise SourceError for a link that leads elsewhere: the token must not travel there."""
    if re.match(r"/[^/\\]", path):
        return
    target = client.http.base_url.join(path)
    if (target.scheme, target.netloc) != (client.http.base_url.scheme, client.http.base_url.netloc):
        raise SourceError(f"{client.source}: a link leads to another host ({target.host}); refused")


def _decode(answer: Answer, decode: Callable[[Answer], T]) -> T:
    """The decoded answer; what no decoder takes is mended: one record must not stop a page."""
    try:
        return decode(answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        mend = mend_nesting if isinstance(error, RecursionError) else mend_text
        mended = mend(answer.body)
        if mended != answer.body:
            return _decode(Answer(mended, answer.served_at), decode)
        is_html = answer.body.lstrip()[:1] == b"<"
        kind = "HTML, not JSON" if is_html else f"not the documented JSON ({error})"
        raise Transient(f"the answer is {kind}") from error


_backoff = tenacity.wait_random_exponential(multiplier=BACKOFF_FIRST_S, max=BACKOFF_MAX_S)


def _wait_s(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked_s = error.wait_s if isinstance(error, Transient) else None
    return asked_s if asked_s is not None else BACKOFF_FIRST_S / 2 + _backoff(state)


def _sleep(client: Client, seconds: float) -> None:
    client.budget.wait(seconds)
    client.traffic.count(retries=1, slept_s=seconds)


def _send_once(
    client: Client,
    method: str,
    path: str,
    params: dict[str, str] | None,
    body: dict[str, Any] | None,
    headers: dict[str, str] | None,
) -> Answer:
    """Exactly one request; any answer but success is an exception."""
    client.pace.wait_for_slot()
    client.traffic.count(requests=1)
    try:
        with (
            client.in_flight,
            client.http.stream(method, path, params=params, json=body, headers=headers) as response,
        ):
            content = _read_bounded(client, response)
    except httpx.RequestError as error:
        raise Transient(
            describe_failure(error),
            may_be_size=isinstance(error, httpx.ReadTimeout),
            is_for_all=isinstance(error, httpx.ConnectError | httpx.ConnectTimeout),
        ) from error
    served_at = read_date(response.headers.get("date"))
    client.traffic.count_response(len(content), served_at)
    if response.is_success:
        return Answer(content, served_at)
    raise _refuse(client, method, path, response, content)


def _read_bounded(client: Client, response: httpx.Response) -> bytes:
    """The body, or an error once it is longer than any page can be."""
    size = 0
    chunks = []
    limits = client.limits
    for chunk in response.iter_bytes():
        size += len(chunk)
        if size > limits.response_bytes:
            raise GapTooLarge(
                f"{client.source}: the answer is longer than {limits.response_bytes} bytes"
            )
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _refuse(
    client: Client, method: str, path: str, response: httpx.Response, content: bytes
) -> Exception:
    """The exception that an unsuccessful response stands for."""
    status = response.status_code
    token = client.http.headers["authorization"].removeprefix("Bearer ")
    detail = describe_error_body(content, token)
    message = f"HTTP {status}" + (f": {detail}" if detail else "")
    line = f"{client.source}: {method} {path}: {message}"
    if is_retried(response):
        wait_s = read_retry_after(response.headers)
        return Transient(message, wait_s, may_be_size=status >= 500, is_for_all=status == 429)
    if status == 401:
        return CredentialsError(f"{line}; look at the variable that token_env names", "source")
    if status == 403:
        return CredentialsError(line, "stream")
    if status == 413:
        return GapTooLarge(line)
    if 300 <= status < 400:
        location = mask_line(response.headers.get("location", "nowhere"), (token,))
        line = f"{line}: redirected to {location}; correct base_url"
    return RequestRefused(line, status, detail)
