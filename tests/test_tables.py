"""Rows that wait for a commit, and the Arrow tables made of them."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.records import EPOCH, Column, Flat, Table
from etl.sources import list_tables
from etl.tables import (
    PendingRows,
    build_arrow,
    build_children,
    build_parents,
    hash_content,
    list_child_columns,
    number_key,
)
from tests.store.things import NOON, NOTES, PARTS, THINGS, make_thing, minute

EVERY_TYPE = (
    Column("text", "VARCHAR"),
    Column("body", "JSON"),
    Column("list", "VARCHAR[]"),
    Column("number", "BIGINT"),
    Column("share", "DOUBLE"),
    Column("flag", "BOOLEAN"),
    Column("moment", "TIMESTAMPTZ"),
)


def add_all(*things: Flat) -> PendingRows:
    pending = PendingRows(THINGS)
    for thing in things:
        pending.add("things", thing, None)
    return pending


def test_the_last_version_of_a_record_wins_with_its_children() -> None:
    pending = add_all(
        make_thing("a", value="old", parts=[("p", 1)]),
        make_thing("b"),
        make_thing("a", value="new"),
    )

    assert [row[3] for row in pending.rows.values()] == ["a", "new"], "in the order they came last"
    assert pending.children == {}


def test_children_of_the_last_version_take_the_place_of_older_ones() -> None:
    pending = add_all(make_thing("a", parts=[("p", 1)]), make_thing("a", parts=[("q", 2)]))

    tables = build_children(pending, pending.rows)

    assert {t.name: rows.column("name").to_pylist() for t, rows in tables.items()} == {
        "lab.parts": ["q"]
    }


def test_child_rows_name_their_parent_and_their_place() -> None:
    pending = add_all(
        make_thing("a", 1, 2, parts=[("p", 1), ("q", 2)]), make_thing("b", notes=["n"])
    )

    tables = build_children(pending, pending.rows)

    assert tables[PARTS].to_pylist() == [
        {
            "thing_id": "a",
            "thing_seen_at": minute(1),
            "thing_place": 2,
            "position": position,
            "name": name,
            "size": size,
        }
        for position, (name, size) in enumerate([("p", 1), ("q", 2)])
    ]
    assert tables[NOTES].column("thing_id").to_pylist() == ["b"]
    assert [c.name for c in list_child_columns(THINGS, NOTES)] == tables[NOTES].column_names


def test_only_the_keys_asked_for_are_built() -> None:
    pending = add_all(make_thing("a", notes=["x"]), make_thing("b", notes=["y"]))
    keys = [key for key in pending.rows if key[0] == "b"]

    parents = build_parents(pending, keys, [minute(-5)])

    assert parents.column("id").to_pylist() == ["b"]
    assert parents.column("first_synced_at").to_pylist() == [minute(-5)]
    assert build_children(pending, keys)[NOTES].column("text").to_pylist() == ["y"]


def test_a_table_without_rows_has_its_columns() -> None:
    table = build_arrow(EVERY_TYPE, [])

    assert table.column_names == [column.name for column in EVERY_TYPE]
    assert table.num_rows == 0


values = st.tuples(
    st.none() | st.text(st.characters(exclude_categories=["Cs"])),
    st.none() | st.just('{"a": 1}'),
    st.none() | st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"]))),
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.floats(allow_nan=False),
    st.none() | st.booleans(),
    st.none() | st.datetimes(timezones=st.just(UTC)),
)


@given(st.lists(values, max_size=5))
def test_values_of_every_type_stay_what_they_are(rows: list[tuple[Any, ...]]) -> None:
    table = build_arrow(EVERY_TYPE, rows)

    assert [tuple(row.values()) for row in table.to_pylist()] == rows


def test_a_time_is_the_same_moment_in_any_zone() -> None:
    elsewhere = NOON.astimezone(timezone(timedelta(hours=-5)))

    table = build_arrow((Column("moment", "TIMESTAMPTZ"),), [(elsewhere,), (NOON,)])

    assert table.column("moment").to_pylist() == [NOON, NOON]
    assert hash_content(Flat((elsewhere,)), None) == hash_content(Flat((NOON,)), None)


@pytest.mark.parametrize(
    "moment", [datetime(1, 1, 1, tzinfo=UTC), EPOCH, datetime.max.replace(tzinfo=UTC)]
)
def test_the_whole_calendar_can_be_stored(moment: datetime) -> None:
    table = build_arrow((Column("moment", "TIMESTAMPTZ"),), [(moment,)])

    assert table.column("moment").to_pylist() == [moment]
    assert isinstance(hash_content(Flat((moment,)), None), int)


parts = st.lists(st.tuples(st.text(max_size=2), st.integers(0, 3)), max_size=3)
things = st.builds(
    make_thing, st.text(max_size=2), value=st.none() | st.text(max_size=2), parts=parts
)


@given(things, things, st.none() | st.text(max_size=2), st.none() | st.text(max_size=2))
def test_contents_have_one_hash_if_and_only_if_they_are_equal(
    one: Flat, other: Flat, extra: str | None, other_extra: str | None
) -> None:
    is_same = (one, extra) == (other, other_extra)

    assert (hash_content(one, extra) == hash_content(other, other_extra)) == is_same
    assert -(2**63) <= hash_content(one, extra) < 2**63


def test_a_key_is_made_of_the_columns_that_name_it_in_their_order() -> None:
    table = Table(
        "lab.pairs",
        (Column("z", "VARCHAR"), Column("a", "VARCHAR"), Column("m", "VARCHAR")),
        key=("m", "z"),
    )
    pending = PendingRows(table)

    pending.add("s", Flat(("z", "a", "m")), None)

    assert list(pending.rows) == [("m", "z")]
    assert [c.name for c in list_child_columns(table, NOTES)] == [
        *("pair_m", "pair_z", "position", "text")
    ]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("scheduled__2026-03-01T12:30:05+00:00", 20260301123005),
        ("manual__2026-11-23T12:14:04.634041+00:00_x", 20261123121404),
        ("9999-99-99T99:99:99", 99999999999999),
        ("abc", -4125280303191149420),
        ("2026-03-01 12:30:05", -2751752213581016435),
        ("٢٠٢٦-03-01T12:30:05", -6412302031290938903),
        ("", -4549053946144276597),
    ],
)
def test_a_key_has_the_same_number_for_ever(text: str, number: int) -> None:
    """Stores hold it: with another one their rows would not be found any more."""
    assert number_key(text) == number


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_number_fits_its_column_and_tells_times_from_others(text: str) -> None:
    assert -(2**63) <= number_key(text) < 0
    assert number_key(f"{text}__2026-03-01T12:30:05") == 20260301123005


def test_every_record_can_be_found_without_reading_the_ids_of_all() -> None:
    for table in list_tables():
        assert table.is_time_fixed != (table.numbered_by in table.key), table.name
