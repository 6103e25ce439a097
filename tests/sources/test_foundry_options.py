"""Which resources, filters and beginnings of a Foundry source are refused."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from etl.sources import foundry
from tests.sources.foundry_lab import (
    make_config,
)
from tests.sources.foundry_server import RID


def test_the_filter_of_the_reference_is_accepted() -> None:
    seconds = {"unit": "SECONDS", "value": 10}
    where = {
        "type": "and",
        "filters": [
            {"type": "eq", "field": "status", "value": "FAILED"},
            {"type": "gte", "field": "duration", "value": seconds},
            {"type": "lte", "field": "duration", "value": {"unit": "HOURS", "value": 0}},
            {"type": "or", "filters": [
                {"type": "in", "field": "failureReason", "value": ["timeout", "internal"]},
                {"type": "not", "filter": {"type": "isNull", "field": "callerRid"}},
            ]},
        ],
    }  # fmt: skip

    foundry.check_config(make_config(where=where))


@pytest.mark.parametrize(
    ("where", "fault"),
    [
        ({}, "where.type: expected one of eq, in, gte, lte, isNull, not, and, or"),
        ({"type": "like"}, "where.type: expected one of"),
        ({"type": "eq", "field": "status"}, "where.value: missing"),
        (
            {"type": "isNull", "field": "userId", "value": 1},
            "where.value: isNull has no such key",
        ),
        ({"type": "eq", "field": "region", "value": "x"}, "where.field: expected one of status"),
        ({"type": "gte", "field": "status", "value": "x"}, "where.type: status takes eq, in only"),
        ({"type": "isNull", "field": "status"}, "where.type: status takes eq, in only"),
        (
            {"type": "eq", "field": "status", "value": "RUNNING"},
            "where.value: expected SUCCEEDED or FAILED",
        ),
        ({"type": "in", "field": "userId", "value": "u"}, "where.value: expected a list"),
        ({"type": "in", "field": "userId", "value": []}, "where.value: expected a list"),
        ({"type": "in", "field": "userId", "value": ["u", 1]}, "where.value: expected a list"),
        ({"type": "eq", "field": "userId", "value": 1}, "where.value: expected a text"),
        (
            {"type": "gte", "field": "duration", "value": 5},
            "where.value: expected a table with value and unit",
        ),
        (
            {"type": "gte", "field": "duration", "value": {"value": -1, "unit": "SECONDS"}},
            "where.value.value: expected a whole number",
        ),
        (
            {"type": "gte", "field": "duration", "value": {"value": 1, "unit": "DAYS"}},
            "where.value.unit: expected one of MILLISECONDS",
        ),
        ({"type": "and", "filters": []}, "where.filters: expected a list"),
        (
            {"type": "or", "filters": [{"type": "not", "filter": {"type": "eq"}}]},
            "where.filters[0].filter.field: missing",
        ),
        ({"type": "not", "filter": "x"}, "where.filter: expected a table"),
    ],
)
def test_a_filter_that_the_api_would_refuse_is_refused_with_its_place(
    where: dict[str, Any], fault: str
) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        foundry.check_config(make_config(where=where))

    assert str(caught.value).startswith(fault)


def test_a_filter_nested_without_end_is_refused() -> None:
    where: dict[str, Any] = {"type": "isNull", "field": "userId"}
    for _ in range(1_000):
        where = {"type": "not", "filter": where}

    with pytest.raises(ValueError, match="nested more than 20 deep"):
        foundry.check_config(make_config(where=where))


@pytest.mark.parametrize(
    ("rids", "fault"),
    [
        (("c26f11c8",), "resources[0]: expected a RID"),
        ((RID, "ri.a.b.c.d/../e"), "resources[1]: expected a RID"),
        ((RID, RID), "resources[1]: the same resource"),
    ],
)
def test_resources_are_rids_and_stand_there_once(rids: tuple[str, ...], fault: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        foundry.check_config(make_config(rids=rids))

    assert str(caught.value).startswith(fault)


def test_a_history_without_a_beginning_is_refused() -> None:
    """It would be walked in 690 windows back to 1970, for each of the resources."""
    with pytest.raises(ValueError, match=r"^since: missing; expected the time where the history"):
        foundry.check_config(replace(make_config(), since=None))


def test_a_source_without_resources_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"resources": []}, foundry.Options)
