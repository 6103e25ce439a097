"""What stands around each answer of B3OS, and how it says that it failed."""

import httpx
import msgspec
import pytest

from etl.errors import CredentialsError, RequestRefused, SourceError
from etl.sources import b3os
from etl.sync.walk import PageLimit, Walker, walk_gap
from tests.budgets import RecordingBudget
from tests.sources.b3os_lab import (
    EXECUTIONS,
    WHOLE,
    client_of,
    fetch,
    make_config,
    make_records,
    serve,
)


def test_the_envelope_of_the_introduction_is_understood() -> None:
    page = fetch(serve("list_other_envelope.json"))

    assert [record.id for record in page.records] == ["exec_2", "exec_1"]
    assert page.next is None


def test_an_empty_list_may_be_null() -> None:
    page = fetch(serve("list_empty.json"))

    assert (page.records, page.next) == ([], None)


def test_an_empty_page_that_promises_more_is_an_error_and_not_the_end() -> None:
    body = {"code": 0, "data": {"items": [], "hasMore": True}}

    with pytest.raises(SourceError, match="says that more follows"):
        fetch(lambda request: httpx.Response(200, json=body))


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
