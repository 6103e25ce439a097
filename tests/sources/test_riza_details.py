"""Details that a Riza list leaves out, and where they come from."""

from datetime import timedelta

import httpx
import pytest

from etl.errors import SourceError
from tests.sources.riza_account import (
    NOON,
    Account,
    list_ids,
    make_execution,
    make_history,
)
from tests.sources.riza_lab import (
    fetch,
    read_page,
)


def test_a_listed_execution_without_details_is_completed() -> None:
    listed = read_page("list.json")["data"][3]
    whole = read_page("retrieve.json")
    account = Account([make_execution("e1"), listed], whole={listed["id"]: whole})

    page = fetch(account)

    assert account.asked == ["head", f"get {listed['id']}"]
    assert page.records[1].details.request.code == "<?php echo 1;"
    assert page.marks[1].time == page.records[1].started_at


def test_what_the_list_says_of_an_execution_stands() -> None:
    """A copy under another id or time would be stored beside the listed one."""
    listed = make_execution("e1", 1, details=None)
    account = Account([listed], whole={"e1": make_execution("other", 2) | {"new": 1}})

    page = fetch(account)

    [record] = page.records
    assert (record.id, record.started_at) == ("e1", NOON + timedelta(minutes=1))
    assert record.details.request.code == "print('other')"
    assert page.extras == {0: b'{"new":1}'}


def test_details_that_cannot_be_understood_are_set_aside() -> None:
    listed = make_execution("e1", details=None)
    account = Account([listed], whole={"e1": make_execution("e1", duration="long")})

    page = fetch(account)

    assert list_ids(page.records) == ["e1"]
    assert [(broken.path, broken.error) for broken in page.broken] == [
        ("$.duration", "Expected `int | null`, got `str`")
    ]


def test_an_execution_that_is_gone_when_its_details_are_asked_for_stays_without() -> None:
    account = Account([make_execution("e1", details=None)])

    page = fetch(account)

    assert list_ids(page.records) == ["e1"]
    assert account.asked == ["head", "get e1"]


@pytest.mark.parametrize("failing", [{"get e2"}, {"get e1", "get e3"}])
def test_details_that_the_server_cannot_show_do_not_stop_the_page(failing: set[str]) -> None:
    account = make_listing(failing)

    page = fetch(account)

    assert list_ids(page.records) == ["e3", "e2", "e1"]
    assert [broken.path for broken in page.broken] == ["$.details"] * len(failing)
    assert all("HTTP 500; gave up after retries" in broken.error for broken in page.broken)


def test_when_no_details_can_be_shown_the_server_may_be_down() -> None:
    with pytest.raises(SourceError, match="GET /v1/executions/e2: HTTP 500"):
        fetch(make_listing({"get e3", "get e2"}))


def make_listing(failing: set[str]) -> Account:
    """Three executions listed without details; the server fails when it is asked for some."""
    whole = make_history(3)
    return Account(
        [make_execution(f"e{n}", n, details=None) for n in (3, 2, 1)],
        whole={each["id"]: each for each in whole},
        before=lambda asked: httpx.Response(500) if asked in failing else None,
    )


def test_a_server_that_knows_no_execution_by_id_is_not_asked_for_ever() -> None:
    account = Account([make_execution(f"e{n}", details=None) for n in range(9)])

    fetch(account)

    assert account.asked == ["head", "get e0", "get e1", "get e2"]


def test_one_execution_found_by_id_is_reason_to_ask_for_all() -> None:
    """Those that were deleted meanwhile may be many."""
    records = [make_execution(f"e{n}", details=None) for n in range(9)]
    account = Account(records, whole={"e0": make_execution("e0"), "e8": make_execution("e8")})

    page = fetch(account)

    assert account.asked == ["head", *(f"get e{n}" for n in range(9))]
    assert page.records[8].details.request.code == "print('e8')"
