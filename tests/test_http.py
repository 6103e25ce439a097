"""One request: what is tried again, what is not, how long, and what an error says."""

import gzip
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
import msgspec
import pytest

from etl.budget import Budget, BudgetEnded, start_budget
from etl.errors import (
    ConfigError,
    CredentialsError,
    EtlError,
    GapTooLarge,
    RequestRefused,
    SourceError,
)
from etl.http import LIMITS, Answer, Client, Limits, fetch, is_secure, open_client
from etl.refusals import read_retry_after
from tests.budgets import RecordingBudget

TOKEN = "sk-live-0123456789"
GOOD = httpx.Response(200, json={"data": [1]})


def decode(answer: Answer) -> list[Any]:
    data: list[Any] = msgspec.json.decode(answer.body, type=dict[str, list[Any]])["data"]
    return data


def answer_with(*responses: httpx.Response) -> Callable[[httpx.Request], httpx.Response]:
    """These answers in turn, the last one for ever."""
    left = list(responses)
    return lambda request: left.pop(0) if len(left) > 1 else left[0]


@contextmanager
def client_of(
    answer: Callable[[httpx.Request], httpx.Response],
    budget: Budget | None = None,
    limits: Limits = LIMITS,
    requests_per_second: float | None = None,
) -> Iterator[Client]:
    with open_client(
        "prod",
        "http://api.test",
        TOKEN,
        budget or RecordingBudget(),
        requests_per_second,
        httpx.MockTransport(answer),
        limits,
    ) as client:
        yield client


def ask(client: Client) -> list[Any]:
    return fetch(client, "GET", "/v1/things", decode)


def fail_with(
    responses: Sequence[httpx.Response], budget: Budget | None = None, **limits: Any
) -> tuple[EtlError, Client]:
    """The error these answers end in, and the client with its counters."""
    with client_of(answer_with(*responses), budget, Limits(**limits)) as client:
        with pytest.raises(EtlError) as raised:
            ask(client)
        return raised.value, client


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_a_bad_minute_is_waited_out(status: int) -> None:
    budget = RecordingBudget()

    with client_of(answer_with(httpx.Response(status), GOOD), budget) as client:
        data = ask(client)

    assert data == [1]
    assert (client.traffic.requests, client.traffic.retries) == (2, 1)
    assert budget.waits == [client.traffic.slept_s]


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 402, 404, 405, 410, 422])
def test_what_cannot_heal_is_asked_for_once(status: int) -> None:
    error, client = fail_with([httpx.Response(status, json={"message": "no such thing"})])

    assert isinstance(error, RequestRefused)
    assert (error.status, error.exit_code) == (status, 4)
    assert f"prod: GET /v1/things: HTTP {status}: no such thing" in str(error)
    assert client.traffic.requests == 1


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_are_their_own_error(status: int) -> None:
    error, client = fail_with([httpx.Response(status)])

    assert isinstance(error, CredentialsError)
    assert error.exit_code == 3
    assert client.traffic.requests == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_no_hint_makes_a_refusal_worth_asking_again(status: int) -> None:
    _, client = fail_with([httpx.Response(status, headers={"x-should-retry": "true"})])

    assert client.traffic.requests == 1


@pytest.mark.parametrize("hint", [{"x-should-retry": "false"}, {"QoS-Retry-Hint": "do-not-retry"}])
def test_a_server_that_asks_not_to_be_asked_again_is_not(hint: dict[str, str]) -> None:
    error, client = fail_with([httpx.Response(503, headers=hint)])

    assert error.exit_code == 4
    assert client.traffic.requests == 1


def test_a_server_that_asks_to_be_asked_again_is() -> None:
    busy = httpx.Response(418, headers={"x-should-retry": "true"})

    with client_of(answer_with(busy, GOOD)) as client:
        assert ask(client) == [1]


def test_attempts_are_bounded_and_the_last_reason_is_told() -> None:
    budget = RecordingBudget()

    error, client = fail_with([httpx.Response(503, json={"message": "tired"})], budget)

    assert isinstance(error, GapTooLarge), "a smaller time range may be answered"
    assert "HTTP 503: tired; gave up after retries" in str(error)
    assert client.traffic.requests == 6
    assert len(budget.waits) == 5
    assert all(0.0 < wait <= 60.5 for wait in budget.waits)


def test_a_server_that_does_not_heal_is_asked_just_once_from_then_on() -> None:
    """A source of many streams waits for a dead server a few times, not once for each of them."""
    answers = [httpx.Response(503)] * 20
    requests = []

    with client_of(lambda request: answers.pop() if answers else GOOD) as client:
        for _ in range(5):
            with pytest.raises(SourceError):
                ask(client)
            requests.append(client.traffic.requests)
        ask(client)
        answers += [httpx.Response(503)]
        ask(client)

    assert requests == [6, 12, 18, 19, 20]
    assert client.traffic.requests == 23, "patient again, once it has answered"


def test_a_lasting_429_is_no_question_of_size() -> None:
    error, _ = fail_with([httpx.Response(429)])

    assert not isinstance(error, GapTooLarge)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "0"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "0", "retry-after": "9"}, None),
        ({"retry-after-ms": "x", "retry-after": "9"}, 9.0),
        (
            {
                "date": "Sun, 01 Mar 2026 00:00:00 GMT",
                "retry-after": "Sun, 01 Mar 2026 00:00:07 GMT",
            },
            7.0,
        ),
        (
            {
                "date": "Sun, 01 Mar 2026 00:00:00 -0000",
                "retry-after": "Sun, 01 Mar 2026 00:00:07 GMT",
            },
            7.0,
        ),
        (
            {
                "date": "Sun, 01 Mar 2026 00:00:07 GMT",
                "retry-after": "Sun, 01 Mar 2026 00:00:00 GMT",
            },
            None,
        ),
    ],
)
def test_what_a_server_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert read_retry_after(httpx.Headers(headers)) == seconds


def test_the_wait_a_server_asks_for_is_the_wait() -> None:
    budget = RecordingBudget()
    busy = httpx.Response(429, headers={"retry-after": "17"})

    with client_of(answer_with(busy, busy, GOOD), budget) as client:
        ask(client)

    assert budget.waits == [17.0, 17.0]
    assert client.traffic.slept_s == 34.0


def test_a_wait_beyond_the_budget_of_a_request_ends_it_without_sleeping() -> None:
    budget = RecordingBudget()
    busy = httpx.Response(503, headers={"retry-after": "3600"})

    error, client = fail_with([busy], budget)

    assert isinstance(error, SourceError)
    assert error.exit_code == 4
    assert (budget.waits, client.traffic.requests) == ([], 1)


def test_the_time_budget_of_a_run_holds_while_a_server_asks_to_wait() -> None:
    busy = httpx.Response(429, headers={"retry-after": "100"})

    with client_of(answer_with(busy), start_budget(10.0)) as client, pytest.raises(BudgetEnded):
        ask(client)

    assert (client.traffic.requests, client.traffic.slept_s) == (1, 0.0)


def test_a_run_whose_time_ends_while_a_server_fails_on_and_on_tells_why() -> None:
    budget = RecordingBudget(left_s=0.8)

    error, client = fail_with([httpx.Response(500)] * 9, budget)

    assert type(error) is SourceError
    assert str(error) == ("prod: GET /v1/things: HTTP 500; the run's time ended before it healed")
    assert client.traffic.requests < client.limits.attempts


@pytest.mark.parametrize("is_asked_to_stop", [True, False])
def test_one_failure_before_the_end_of_a_run_is_no_failure_of_it(is_asked_to_stop: bool) -> None:
    budget = RecordingBudget(left_s=None if is_asked_to_stop else 0.1)

    def fail(request: httpx.Request) -> httpx.Response:
        if is_asked_to_stop:
            budget.stop.set()
        return httpx.Response(500)

    with client_of(fail, budget) as client, pytest.raises(BudgetEnded):
        ask(client)

    assert client.traffic.requests == 1


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>maintenance</html>", "the answer is HTML, not JSON"),
        (b"\n <!doctype html>", "the answer is HTML, not JSON"),
        (b'{"data": [1', "the answer is not the documented JSON"),
        (b"", "the answer is not the documented JSON"),
        (b'{"error": "quota"}', "the answer is not the documented JSON"),
    ],
)
def test_an_answer_that_is_no_answer_is_tried_again_and_then_explained(
    body: bytes, words: str
) -> None:
    error, client = fail_with([httpx.Response(200, content=body)])

    assert type(error) is SourceError
    assert str(error).startswith(f"prod: GET /v1/things: {words}")
    assert "\n" not in str(error)
    assert client.traffic.requests == 6


def test_an_answer_cut_short_once_heals() -> None:
    with client_of(answer_with(httpx.Response(200, content=b'{"data": [1'), GOOD)) as client:
        assert ask(client) == [1]


@pytest.mark.parametrize(
    ("body", "data"),
    [
        (rb'{"data": ["\ud800", "b"]}', ["�", "b"]),
        (rb'{"data": ["\\ud800"]}', [r"\ud800"]),
        (rb'{"data": ["\ud83d\ude00\udc00"]}', ["😀�"]),
        (b'{"data": ["\xff", "b"]}', ["�", "b"]),
        (b'{"data": [%s1%s, "b"]}' % (b"[" * 5_000, b"]" * 5_000), None),
    ],
)
def test_one_unreadable_value_does_not_stop_its_page(body: bytes, data: list[Any] | None) -> None:
    with client_of(answer_with(httpx.Response(200, content=body))) as client:
        found = ask(client)

    assert found == data or (data is None and found[1] == "b")
    assert client.traffic.requests == 1


def test_an_answer_is_bounded_in_size() -> None:
    error, client = fail_with([httpx.Response(200, content=b" " * 1_001)], response_bytes=1_000)

    assert isinstance(error, GapTooLarge)
    assert "longer than 1000 bytes" in str(error)
    assert client.traffic.requests == 1


def test_a_bomb_is_measured_after_it_has_been_unpacked() -> None:
    bomb = gzip.compress(b" " * 100_000)

    error, _ = fail_with(
        [httpx.Response(200, content=bomb, headers={"content-encoding": "gzip"})],
        response_bytes=1_000,
    )

    assert isinstance(error, GapTooLarge)


def test_a_refused_body_asks_for_a_smaller_time_range() -> None:
    error, _ = fail_with([httpx.Response(413)])

    assert isinstance(error, GapTooLarge)


def test_an_error_shows_only_what_describes_it() -> None:
    body = {"message": "bad\nfield", "detail": {"env": "s3cret"}, "request": "s3cret"}

    error, _ = fail_with([httpx.Response(400, json=body)])

    assert str(error) == "prod: GET /v1/things: HTTP 400: bad field"


def test_an_error_never_shows_the_token() -> None:
    quoting = httpx.Response(401, json={"message": "x" * 190 + TOKEN})

    error, _ = fail_with([quoting])

    assert TOKEN[:8] not in str(error)


@pytest.mark.parametrize("token", ["", f"{TOKEN}\n", f" {TOKEN}", "sk-lïve", "sk\x00live"])
def test_a_token_that_cannot_be_sent_is_a_mistake_in_the_configuration(token: str) -> None:
    with (
        pytest.raises(ConfigError) as raised,
        open_client("prod", "http://api.test", token, RecordingBudget()),
    ):
        pass

    assert raised.value.exit_code == 2
    assert not token.strip() or token.strip() not in str(raised.value)


@pytest.mark.parametrize(
    "path",
    [
        "http://evil.test/v1/things",
        "//evil.test/v1/things",
        "https://api.test/v1/things",
        "http://api.test:81/v1/things",
        "http://api.test@evil.test/v1/things",
    ],
)
def test_a_link_to_another_host_is_refused_and_nothing_is_sent(path: str) -> None:
    asked: list[httpx.URL] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return GOOD

    with client_of(answer) as client, pytest.raises(SourceError, match="another host"):
        fetch(client, "GET", path, decode)

    assert asked == []


def test_a_link_to_the_same_host_is_followed() -> None:
    with client_of(answer_with(GOOD)) as client:
        assert fetch(client, "GET", "http://api.test/v1/things?page=2", decode) == [1]


def test_requests_are_paced_evenly() -> None:
    budget = RecordingBudget()

    with client_of(answer_with(GOOD), budget, requests_per_second=0.001) as client:
        for _ in range(4):
            ask(client)

    assert [round(wait, -2) for wait in budget.waits] == [1_000.0, 2_000.0, 3_000.0]
    assert client.traffic.retries == 0


def test_the_clock_and_the_size_of_an_answer_are_noted() -> None:
    dated = httpx.Response(
        200, json={"data": []}, headers={"date": "Sun, 01 Mar 2026 01:02:03 GMT"}
    )

    with client_of(answer_with(dated)) as client:
        served_at = fetch(client, "GET", "/v1/things", lambda answer: answer.served_at)

    assert f"{served_at:%Y-%m-%dT%H:%M:%S%z}" == "2026-03-01T01:02:03+0000"
    assert client.traffic.served_at == served_at
    assert client.traffic.received_bytes == len(dated.content)


def test_a_date_that_is_none_is_no_clock() -> None:
    odd = httpx.Response(200, json={"data": []}, headers={"date": "yesterday"})

    with client_of(answer_with(odd)) as client:
        assert fetch(client, "GET", "/v1/things", lambda answer: answer.served_at) is None


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [("https://h", True), ("HTTPS://h", True), ("Https://h/x", True), ("http://h", False)],
)
def test_certificates_are_verified_however_an_address_is_written(
    base_url: str, expected: bool
) -> None:
    assert is_secure(base_url) is expected
