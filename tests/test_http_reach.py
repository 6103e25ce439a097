"""What a failed request tells of others: nothing, or that its stream or its source is lost, too."""

import httpx
import pytest

from etl.errors import CredentialsError, SourceError
from etl.http import Client
from tests.test_http import ask, client_of


def answer_always(answer: httpx.Response | Exception, client_asks: int) -> str:
    """The reach of the last of so many failures."""

    def handle(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    with client_of(handle) as client:
        return [fail(client) for _ in range(client_asks)][-1]


def fail(client: Client) -> str:
    with pytest.raises((CredentialsError, SourceError)) as caught:
        ask(client)
    return str(caught.value.reach)


@pytest.mark.parametrize(
    ("answer", "reach"),
    [
        (httpx.ConnectError("no such host"), "source"),
        (httpx.ConnectTimeout("nobody answers"), "source"),
        (httpx.Response(429), "source"),
        (httpx.Response(500), "request"),
        (httpx.ReadError("reset"), "request"),
        (httpx.Response(200, content=b"<html>"), "request"),
    ],
)
def test_nobody_there_and_too_many_requests_hold_for_all_once_they_last(
    answer: httpx.Response | Exception, reach: str
) -> None:
    assert answer_always(answer, 1) == "request"
    assert answer_always(answer, 3) == reach


@pytest.mark.parametrize(
    ("status", "reach"), [(400, "stream"), (401, "source"), (403, "stream"), (404, "stream")]
)
def test_a_refusal_holds_for_its_stream_and_a_refused_token_for_all(
    status: int, reach: str
) -> None:
    assert answer_always(httpx.Response(status), 1) == reach
