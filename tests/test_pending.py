"""Records that wait for a commit, and the Arrow tables made of them."""

from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

import etl.pending
from etl.pending import PendingRows, hash_content, number_key, take_children, take_parents
from etl.records import Column, Flat, Table
from etl.sources import list_tables
from etl.sources.riza.tables import EXECUTIONS
from etl.tables import list_child_columns
from tests.store.things import JOBS, NOON, NOTES, PARTS, THINGS, make_job, make_thing, minute


def add_all(*things: Flat) -> PendingRows:
    pending = PendingRows(THINGS)
    for thing in things:
        pending.add("things", thing, None)
    return pending


def read_taken(pending: PendingRows, entries: Sequence[int]) -> list[tuple[Any, ...]]:
    """Of each entry its value, and the first columns of its children, as Arrow has them."""
    children = take_children(pending, entries)
    found = {
        child: [tuple(row.values()) for row in children[child].to_pylist()]
        if child in children
        else []
        for child in (PARTS, NOTES)
    }
    return [
        (
            (row["id"], row["seen_at"], row["place"]),
            row["value"],
            row["stream"],
            row["extra"],
            *(
                [item[4] for item in items if item[:3] == (row["id"], row["seen_at"], row["place"])]
                for items in found.values()
            ),
        )
        for row in take_parents(pending, dict.fromkeys(entries, NOON)).to_pylist()
    ]


parts = st.lists(st.tuples(st.text(max_size=2), st.integers(0, 3)), max_size=3)
things = st.builds(
    make_thing, st.text(max_size=2), value=st.none() | st.text(max_size=2), parts=parts
)


@given(
    st.lists(st.lists(st.tuples(things, st.none() | st.just('{"x": 1}')), max_size=4), max_size=5),
    st.sampled_from([1, 2, 3, 1_000]),
    st.sets(st.integers(0, 20)),
)
def test_the_last_version_of_each_record_is_taken_with_its_own_children(
    pages: list[list[tuple[Flat, str | None]]], packed_rows: int, unchanged: set[int]
) -> None:
    """However many rows are Arrow already when it is known which ones have to be written."""
    pending, last = PendingRows(THINGS), {}
    with patch.object(etl.pending, "PACKED_ROWS", packed_rows):
        for number, page in enumerate(pages):
            extras = {index: extra for index, (_, extra) in enumerate(page) if extra is not None}
            pending.add_page(f"s{number}", [flat for flat, _ in page], extras)
            for flat, extra in page:
                last.pop(flat.row[:3], None)
                last[flat.row[:3]] = (flat, f"s{number}", extra)
    wanted = [entry for entry in sorted(pending.last.values()) if entry not in unchanged]
    by_entry = {entry: key for key, entry in pending.last.items()}

    taken = read_taken(pending, wanted)

    assert list(pending.last.keys() ^ last.keys()) == []
    assert taken == [
        (
            key,
            flat.row[3],
            stream,
            extra,
            *[[item[0] for item in c] for c in flat.children or ([], [])],
        )
        for key, (flat, stream, extra) in last.items()
        if key in {by_entry[entry] for entry in wanted}
    ]


def test_a_version_without_details_does_not_take_the_place_of_one_that_has_them() -> None:
    pending = PendingRows(EXECUTIONS)
    for id, type in (("a", "tool"), ("a", None), ("b", None), ("b", "script")):
        values = {"id": id, "started_at": NOON, "type": type}
        row = tuple(values.get(column.name) for column in EXECUTIONS.columns)
        pending.add("executions", Flat(row), None)

    taken = take_parents(pending, dict.fromkeys(pending.last.values(), NOON)).to_pylist()

    assert [(row["id"], row["type"]) for row in taken] == [("a", "tool"), ("b", "script")]


def test_child_rows_name_their_parent_and_their_place() -> None:
    pending = add_all(
        make_thing("a", 1, 2, parts=[("p", 1), ("q", 2)]), make_thing("b", notes=["n"])
    )

    tables = take_children(pending, [0, 1])

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


def test_each_row_tells_when_its_record_was_first_seen() -> None:
    pending = add_all(make_thing("a"), make_thing("b"), make_thing("c"))

    rows = take_parents(pending, {2: minute(-1), 0: minute(-5)})

    assert rows.column("id").to_pylist() == ["a", "c"]
    assert rows.column("first_synced_at").to_pylist() == [minute(-5), minute(-1)]


def test_each_row_has_the_number_of_its_own_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etl.pending, "PACKED_ROWS", 2)
    pending = PendingRows(JOBS)
    for id in ("x", "y", "x", "z"):
        pending.add("jobs", make_job(id, 0, "a"), None)

    rows = take_parents(pending, dict.fromkeys(pending.last.values(), NOON))

    numbers = dict(
        zip(*(rows.column(name).to_pylist() for name in ("id", "key_number")), strict=True)
    )
    assert numbers == {id: number_key(id) for id in "xyz"}


def test_what_is_no_more_in_a_record_is_no_drift_of_it() -> None:
    pending = PendingRows(THINGS)
    pending.add("things", make_thing("a"), '{"x": 1}')
    pending.add("things", make_thing("b"), '{"y": 1}')

    pending.add("things", make_thing("a"), None)

    found = [pending.drift.get(entry) for entry in pending.last.values()]
    assert sorted(found, key=str) == [None, [("y", None)]]


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

    assert list(pending.last) == [("m", "z")]
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
