"""JSON bytes to typed records: nothing is lost, and one bad record does not take its page along."""

import json
from datetime import UTC, datetime
from typing import Any

import duckdb
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from etl.decode import (
    NESTING_MAX,
    Decoded,
    Int64,
    Time,
    absent,
    decode_records,
    read_json,
    read_leniently,
    set_list_aside,
    split_unknown,
)
from etl.records import Column
from etl.tables import build_arrow


class Host(msgspec.Struct, forbid_unknown_fields=True):
    name: str | None = None
    port: Int64 | None = None


class Request(msgspec.Struct, forbid_unknown_fields=True):
    hosts: list[Host] | None = None
    env: list[Host] | dict[str, str | None] | None = None
    input: Raw = msgspec.field(default_factory=absent)


class Record(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    id: str
    started_at: Time | None = None
    duration: Int64 | None = None
    details: Request | None = None


class Envelope(msgspec.Struct):
    data: list[Raw]
    next: str | None = None


def decode(*records: bytes) -> Decoded[Record]:
    return decode_records([Raw(record) for record in records], Record)


def test_unknown_fields_are_kept_verbatim_by_path() -> None:
    raw = b'{"id":"a","n":1.50,"details":{"hosts":[{"name":"h"},{"name":"i","tls":{"v" : 1e999}}],'
    raw += b'"env":{"X":"1"},"new":[ 1, 2]}}'

    decoded = decode(raw)

    assert decoded.broken == []
    assert decoded.extras == {
        0: b'{"n":1.50,"details.hosts[1].tls":{"v" : 1e999},"details.new":[ 1, 2]}'
    }
    assert decoded.records[0].details.hosts == [Host("h"), Host("i")]
    assert decoded.records[0].details.env == {"X": "1"}


def test_extras_stand_at_the_place_of_their_record_among_the_good_ones() -> None:
    decoded = decode(b'{"id":1}', b'{"id":"b","x":1}', b'{"id":"c"}', b'{"id":"d","y":2}')

    assert [record.id for record in decoded.records] == ["b", "c", "d"]
    assert decoded.extras == {0: b'{"x":1}', 2: b'{"y":2}'}


@pytest.mark.parametrize(
    ("raw", "path", "reason"),
    [
        (b'{"duration":1}', "$", "Object missing required field `id`"),
        (b'{"id":7}', "$.id", "Expected `str`, got `int`"),
        (b'{"id":null}', "$.id", "Expected `str`, got `null`"),
        (b'{"id":"a","duration":"7"}', "$.duration", "Expected `int | null`, got `str`"),
        (b'{"id":"a","duration":1.5}', "$.duration", "Expected `int | null`, got `float`"),
        (b'{"id":"a","details":[]}', "$.details", "Expected `object | null`, got `array`"),
        (
            b'{"id":"a","new":1,"details":{"hosts":[{},{"port":"x","new":2}]}}',
            "$.details.hosts[1].port",
            "Expected `int | null`, got `str`",
        ),
        (b"null", "$", "Expected `object`, got `null`"),
        (b'"a"', "$", "Expected `object`, got `str`"),
        (b'{"id":"a","startedAt":"soon"}', "$.startedAt", "Invalid RFC3339 encoded datetime"),
    ],
)
def test_a_record_of_a_wrong_type_is_set_aside_with_the_path_of_its_fault(
    raw: bytes, path: str, reason: str
) -> None:
    decoded = decode(b'{"id":"before"}', raw, b'{"id":"after"}')

    assert [record.id for record in decoded.records] == ["before", "after"]
    [broken] = decoded.broken
    assert (broken.raw, broken.path, broken.error) == (raw, path, reason)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**30])
def test_a_number_no_column_can_hold_sets_its_record_aside(number: int) -> None:
    [broken] = decode(b'{"id":"a","duration":%d}' % number).broken

    assert broken.path == "$.duration"


def test_the_largest_numbers_pass() -> None:
    decoded = decode(
        b'{"id":"a","duration":%d}' % (2**63 - 1), b'{"id":"b","duration":%d}' % -(2**63)
    )

    assert [record.duration for record in decoded.records] == [2**63 - 1, -(2**63)]


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-03-01T12:00:00.123456789Z", datetime(2026, 3, 1, 12, 0, 0, 123457, UTC)),
        ("2026-03-01T12:00:00+02:00", datetime(2026, 3, 1, 10, 0, 0, 0, UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
    ],
)
def test_times_are_read_to_the_microsecond(text: str, time: datetime) -> None:
    [record] = decode(b'{"id":"a","startedAt":"%s"}' % text.encode()).records

    assert record.started_at == time


def test_a_time_without_its_offset_is_no_time() -> None:
    [broken] = decode(b'{"id":"a","startedAt":"2026-03-01T12:00:00"}').broken

    assert broken.path == "$.startedAt"


def test_text_that_is_no_unicode_is_mended() -> None:
    decoded = decode(
        rb'{"id":"a","details":{"input":"x\ud800y"}}',
        b'{"id":"b","details":{"env":{"X":"\xff"}}}',
        rb'{"id":"c\udc00","new":"\ud83d"}',
    )

    assert not decoded.broken
    assert read_json(decoded.records[0].details.input) == r'"x\ufffdy"'
    assert decoded.records[1].details.env == {"X": "\N{REPLACEMENT CHARACTER}"}
    assert decoded.records[2].id == "c\N{REPLACEMENT CHARACTER}"
    assert json.loads(decoded.extras[2]) == {"new": "\N{REPLACEMENT CHARACTER}"}


@pytest.mark.parametrize("depth", [NESTING_MAX, 2_000, 100_000])
def test_deep_nesting_is_kept_as_text(depth: int) -> None:
    deep = b"[" * depth + b"]" * depth

    decoded = decode(b'{"id":"a","details":{"input":%s}}' % deep, b'{"id":"b"}')

    assert [record.id for record in decoded.records] == ["a", "b"]
    assert b"[" * (depth - NESTING_MAX) in bytes(decoded.records[0].details.input)


@pytest.mark.parametrize(
    "raw", [b'{"id":"a","details":{"input":NaN}}', b'{"id":"a\x01"}', b"{id:1}", b""]
)
def test_what_is_no_json_sets_its_record_aside(raw: bytes) -> None:
    decoded = decode(b'{"id":"before"}', raw)

    assert [record.id for record in decoded.records] == ["before"]
    assert [broken.raw for broken in decoded.broken] == [raw]


def test_of_keys_that_stand_twice_the_last_counts() -> None:
    decoded = decode(b'{"id":"a","id":"b","x":1,"x":2}')

    assert decoded.records[0].id == "b"
    assert decoded.extras == {0: b'{"x":2}'}


@pytest.mark.parametrize("text", ["null", " null ", ""])
def test_a_missing_value_and_null_are_the_same(text: str) -> None:
    raw = f'{{"id":"a","details":{{"input":{text}}}}}' if text else '{"id":"a","details":{}}'

    assert read_json(decode(raw.encode()).records[0].details.input) is None


def test_a_record_that_is_no_json_does_not_take_its_page_along() -> None:
    body = (
        b'{"next":"n","data":[{"a":[1,"]"]},{"x":NaN}, {"s":"\\ud800 \\" ]"} ],"more":{"data":[1]}}'
    )

    envelope, raws = set_list_aside(body, "data")

    assert envelope == b'{"next":"n","data":[],"more":{"data":[1]}}'
    assert [bytes(raw) for raw in raws] == [
        b'{"a":[1,"]"]}',
        b'{"x":NaN}',
        b'{"s":"\\ud800 \\" ]"}',
    ]


def test_the_list_is_found_at_its_path() -> None:
    body = b'{"runs":[0],"data":{"list":[[9],8],"runs":[1,2]}}'

    assert (
        set_list_aside(body, "data", "runs")[0] == b'{"runs":[0],"data":{"list":[[9],8],"runs":[]}}'
    )
    assert set_list_aside(b'{"data":[ ]}', "data")[1] == []


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b'{"data":{}}', b'{"data":[{"a":1},{"b":', b'{"data":[1,2', b'{"date":[1]}'],
)
def test_a_page_without_its_list_or_its_end_is_an_error(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        set_list_aside(body, "data")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.lists(JSON, max_size=4), st.booleans(), st.sampled_from([None, 1]), JSON)
def test_a_good_page_comes_apart_as_a_decoder_would_have_it(
    records: list[Any], is_ascii: bool, indent: int | None, other: Any
) -> None:
    body = json.dumps(
        {"other": other, "data": records, "next": "n"}, ensure_ascii=is_ascii, indent=indent
    ).encode()

    envelope, raws = set_list_aside(body, "data")

    assert [json.loads(bytes(raw)) for raw in raws] == records
    assert json.loads(envelope) == {"other": other, "data": [], "next": "n"}


@given(st.dictionaries(st.text(max_size=4).map(lambda name: f"x{name}"), JSON, max_size=3))
def test_unknown_fields_are_all_that_is_taken_out(unknown: dict[str, Any]) -> None:
    raw = json.dumps({"id": "a", **unknown, "duration": 1}).encode()

    known, extra = split_unknown(Raw(raw), Record)

    assert json.loads(known) == {"id": "a", "duration": 1}
    assert {name: json.loads(bytes(value)) for name, value in extra.items()} == unknown


def test_almost_json_is_read_leniently() -> None:
    assert read_leniently(b'{"id":"a","x":NaN,"s":"\x01","h":"\\ud800"}')["id"] == "a"
    assert read_leniently(b'{"id":"\\ud800a"}') == {"id": "\ufffda"}
    assert read_leniently(b"[" * 100_000) is None
    assert read_leniently(b"{id:1}") is None


@pytest.mark.parametrize(
    "text",
    [
        "1e999", "-1e-999", "1" * 400, "0." + "1" * 400, '"\\u0000"',
        '{"\\u0000":1}', '"\\ud83d\\ude00"',
        '{"a":1,"a":2}', "[" * 900 + "]" * 900, '"\x7f\uffff"', "-0", ' {"a" : 1 }', '{"":1}',
    ],
)  # fmt: skip
def test_what_decodes_as_json_is_json_for_the_store(text: str) -> None:
    """One value that the store refuses would stop its whole batch."""
    raw = decode(b'{"id":"a","details":{"input":%s}}' % text.encode()).records[0].details.input
    connection = duckdb.connect()
    connection.execute("CREATE TABLE things (value JSON)")

    connection.register("incoming", build_arrow([Column("value", "JSON")], [(read_json(raw),)]))
    connection.execute("INSERT INTO things FROM incoming")

    [(stored, is_valid)] = connection.execute(
        "SELECT value::VARCHAR, json_valid(value) FROM things"
    ).fetchall()
    assert (stored, is_valid) == (read_json(raw), True)
