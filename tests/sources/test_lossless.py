"""Records that are valid under the schemas of B3OS, Airflow and Foundry: each field has its column.

What Riza's executions become is tested down to the tables and back, see test_riza_flatten.
"""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, get_args

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.decode import Int64, decode_records
from etl.decode import Time as Moment
from etl.records import Page
from etl.sources import SOURCES, airflow, b3os, foundry, riza
from tests.sources import airflow_lab, b3os_lab, foundry_lab
from tests.sources.test_riza_flatten import json_values, numbers, texts

Record = dict[str, Any]

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
moments = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.timezones()).map(
    lambda moment: moment.isoformat()
)
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    b3os.records.Time: moments,
    b3os.records.Id: names,
    Moment: moments,
    datetime: moments,
    Int64: numbers,
    str: texts,
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    msgspec.Raw: st.dictionaries(texts, json_values, max_size=3),
}
TIMES = (b3os.records.Time, Moment, datetime)


def find_type(field: msgspec.structs.FieldInfo) -> Any:
    """The type of a field that may be null; None for one that is no value of its own."""
    options = (field.type, *get_args(field.type))
    return next((option for option in options if option in VALUES), None)


def list_fields(record_type: type[Any]) -> dict[str, Any]:
    """The types of a record's fields by the API's names for them."""
    fields = {f.encode_name: find_type(f) for f in msgspec.structs.fields(record_type)}
    return {name: kind for name, kind in fields.items() if kind is not None}


def make_records(record_type: type[Any]) -> st.SearchStrategy[Record]:
    required = {f.encode_name for f in msgspec.structs.fields(record_type) if f.required}
    values = {name: VALUES[kind] for name, kind in list_fields(record_type).items()}
    return st.fixed_dictionaries(
        {name: value for name, value in values.items() if name in required},
        optional={name: value for name, value in values.items() if name not in required},
    )


def normalize(record: Record, record_type: type[Any]) -> Record:
    """A record with its times as times."""
    fields = list_fields(record_type)
    return {
        name: datetime.fromisoformat(value) if fields.get(name) in TIMES else value
        for name, value in record.items()
    }


def restore(page: Page, kind: str, record_type: type[Any]) -> Record:
    """The row of the one record of a page as the JSON object it was made of, without its nulls."""
    assert (page.extras, list(page.broken)) == ({}, [])
    [record] = page.records
    row = SOURCES[kind].flatten(record).row
    fields = list_fields(record_type)
    return {
        name: json.loads(value) if field is msgspec.Raw else value
        for (name, field), value in zip(fields.items(), row, strict=True)
        if value is not None
    }


def answer(body: Any) -> Callable[[httpx.Request], httpx.Response]:
    return lambda request: httpx.Response(200, json=body)


def fetch_b3os(stream: Any) -> Callable[[Record], Page]:
    def fetch(record: Record) -> Page:
        body = {"code": 200, "data": {"items": [record], "hasMore": False}}
        return b3os_lab.fetch(answer(body), stream)

    return fetch


def fetch_airflow(stream: Any) -> Callable[[Record], Page]:
    def fetch(record: Record) -> Page:
        body = {stream.name: [record], "total_entries": 1, "next_cursor": None}
        return airflow_lab.fetch(answer(body), stream)

    return fetch


@pytest.mark.parametrize(
    ("kind", "record_type", "fetch"),
    [
        ("b3os", b3os.records.Execution, fetch_b3os(b3os_lab.EXECUTIONS)),
        ("b3os", b3os.records.Run, fetch_b3os(b3os_lab.RUNS)),
        ("airflow", airflow.records.DagRun, fetch_airflow(airflow_lab.RUNS)),
        ("airflow", airflow.records.TaskInstance, fetch_airflow(airflow_lab.TASKS)),
    ],
    ids=["b3os execution", "b3os run", "airflow run", "airflow task"],
)
def test_nothing_of_a_record_is_lost(
    kind: str, record_type: type[Any], fetch: Callable[[Record], Page]
) -> None:
    @settings(max_examples=40, deadline=None)
    @given(make_records(record_type))
    def check(record: Record) -> None:
        found = restore(fetch(record), kind, record_type)

        assert found == normalize(record, record_type)

    check()


durations = st.fixed_dictionaries(
    {"value": st.integers(0, 10**6), "unit": st.sampled_from(["MILLISECONDS", "HOURS", "YEARS"])}
)


def test_nothing_of_a_foundry_execution_is_lost() -> None:
    record_type = foundry.records.Execution

    @settings(max_examples=40, deadline=None)
    @given(make_records(record_type), durations)
    def check(record: Record, duration: Record) -> None:
        body = {"data": [record | {"duration": duration}]}

        [execution] = foundry_lab.fetch(answer(body)).records

        *row, value, unit, duration_ms, caller = foundry.flatten(execution).row
        found = dict(zip(list_fields(record_type), (*row, caller), strict=True))
        assert {n: v for n, v in found.items() if v is not None} == normalize(record, record_type)
        assert (value, unit) == (duration["value"], duration["unit"])
        hours = timedelta(hours=value) / timedelta(milliseconds=1)
        assert duration_ms == {"MILLISECONDS": value, "HOURS": hours, "YEARS": None}[unit]

    check()


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00"])
@pytest.mark.parametrize(
    "record_type",
    [
        *(airflow.records.DagRun, airflow.records.TaskInstance),
        *(foundry.records.Execution, riza.records.Execution),
    ],
)
def test_a_time_that_utc_has_no_date_for_sets_its_record_aside(
    record_type: type[msgspec.Struct], text: str
) -> None:
    """Whichever of its times it is: what cannot be stored must not stop what can."""
    fields = msgspec.structs.fields(record_type)
    whole = {f.encode_name: 1 if f.type is Int64 else "x" for f in fields if f.required}
    times = [f.encode_name for f in fields if Moment in (f.type, *get_args(f.type))]
    good = whole | dict.fromkeys(times, "2026-03-01T12:00:00Z")
    raws = [msgspec.Raw(msgspec.json.encode(good | {name: text})) for name in times]

    decoded = decode_records([*raws, msgspec.Raw(msgspec.json.encode(good))], record_type)

    assert [broken.path for broken in decoded.broken] == [f"$.{name}" for name in times]
    assert len(decoded.records) == 1


def test_the_schemas_have_the_fields_that_the_tests_speak_of() -> None:
    """A field whose type is not known here would be left out of the records in silence."""
    left_out = {
        f"{record_type.__module__}.{field.name}"
        for record_type in (
            b3os.records.Execution,
            b3os.records.Run,
            airflow.records.DagRun,
            airflow.records.TaskInstance,
            foundry.records.Execution,
        )
        for field in msgspec.structs.fields(record_type)
        if find_type(field) is None
    }

    assert left_out == {"etl.sources.b3os.records.events", "etl.sources.foundry.records.duration"}
